"""The page of a study of a user's own training loop: the verdicts as ``ablate judge`` gives them, the settings, and the record."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

from ablations.judging.judge import Judgement
from ablations.judging.own_study import judged
from ablations.result import Result
from ablations.seed_rules import added, words
from ablations.statistics.rounding import NONE
from ablations.store import DamagedStore, Store
from ablations.study import Settings, Study
from report.captions import KEYS, Captions
from report.judgement import caption, key
from report.judgement_figure import draw
from report.judgement_words import answer, cells, escaped, headings, notes, reasons, text
from report.publishing import Document, Published, publish, write_files
from report.raw import csv_text
from report.tables import aligned, by_column
from report.wording import seeds_text
from senet_core.config import canonical, flat
from senet_core.seeds import seed_label

FIGURE = "verdicts"


def write(study: Study, store: Store, folder: Path, stem: str, formats: Collection[str]) -> Published:
    """Write the page in these formats, and with "csv" the numbers of all trials.

    :raises InputError: if the folder cannot be written.
    """
    found, results = judged(study, store), _results(study, store)
    drawing = draw(found, formats)
    page = _page(study, found, results, drawing is not None)
    done = publish(Document(page, study.name, {f"{FIGURE}.png": drawing} if drawing else {}, _date(results)), folder, stem, formats)
    if "csv" not in formats:
        return done
    return Published((*done.files, *write_files(folder, {"trials.csv": csv_text(_raw(study, store, results)).encode()})), done.missing)


def summary(study: Study, store: Store) -> str:
    """The verdicts, for the end of a run in a terminal."""
    return text(judged(study, store))


def _page(study: Study, found: Judgement, results: dict[str, Result], figure: bool) -> str:
    numbers, head = Captions(), headings(found, escaped, own=True)
    rows = [cells(found, name, escaped, own=True) for name in found.arms]
    parts = [f"# {escaped(study.title)}", f"**Question:** {escaped(study.question)}", answer(found, escaped)]
    parts += seeds_text(study, found.comparisons, finished=not found.holes)
    parts += [
        numbers.table(f"{escaped(found.metric)} by variant. {key(found, study.planned_looks)}"),
        aligned(head, rows, words=(head[0], head[-1])),
    ]
    if figure:
        parts += [f"[![{caption(found)}]({FIGURE}.png)]({FIGURE}.svg)", numbers.figure(caption(found))]
    lacking = [*reasons(found, escaped), *map(escaped, found.holes)]
    for title, sentences in (("Missing or open", lacking), ("Checks", list(map(escaped, notes(found))))):
        if sentences:
            parts.append(f"## {title}\n\n" + "\n".join(f"- {sentence}" for sentence in sentences))
    parts += ["## Settings", numbers.table("What each variant is given."), _settings(study)]
    parts += ["## Provenance", _provenance(study, results), _commands(study)]
    parts += [numbers.table(KEYS), _keys(study)]
    return "\n\n".join(parts) + "\n"


def _settings(study: Study) -> str:
    given = {variant.name: flat(_own(variant.config).settings) for variant in study.variants}
    names = list(dict.fromkeys(name for values in given.values() for name in values))
    columns = {"Variant": [escaped(name) for name in given]}
    columns |= {escaped(name): [_told(values[name]) if name in values else NONE for values in given.values()] for name in names}
    return by_column(columns, words=tuple(columns))


def _own(config: object) -> Settings:
    assert isinstance(config, Settings), "a study with a metric of its own has settings"
    return config


def _told(value: Any) -> str:
    return escaped(value if isinstance(value, str) else canonical(value))


def _provenance(study: Study, results: dict[str, Result]) -> str:
    """What the trials ran with, and how often."""
    loop = _own(study.variants[0].config)
    facts = [f"training loop `{escaped(loop.loop)}`, source `{loop.source}`"]
    devices = Counter(result.provenance.device for result in results.values())
    versions = Counter(f"{name} {version}" for result in results.values() for name, version in result.provenance.versions.items())
    facts += [f"{escaped(device)}: {count} trials" for device, count in devices.items()]
    facts += [f"versions: {', '.join(f'{escaped(one)} ({count})' for one, count in versions.items())}"] if versions else []
    return "\n".join(f"- {fact}" for fact in facts)


def _commands(study: Study) -> str:
    lines = [shlex.join(["ablate", "run", study.suite, "--load", "FILE.py", *options]) for options in (words(study), *added(study))]
    order = ", one command after the other" if len(lines) > 1 else ""
    return f"The trials, anew or as far as they are missing{order}:\n\n" + "\n".join(f"    {line}" for line in lines)


def _keys(study: Study) -> str:
    columns = {"Variant": [escaped(variant.name) for variant in study.variants]}
    for seed in study.seeds:
        columns[seed_label(seed)] = [f"`{variant.keys[seed]}`" if seed in variant.keys else NONE for variant in study.variants]
    return by_column(columns, words=tuple(columns))


def _raw(study: Study, store: Store, results: dict[str, Result]) -> list[dict[str, Any]]:
    """A line a trial with all numbers that its loop returned; one that is called as a column of ours gets "own" before it."""
    found: list[dict[str, Any]] = []
    for variant, seed, trial in study.trials():
        result = results.get(trial)
        line = {"variant": variant.name, "seed": seed, "key": trial, "state": store.state(trial), "seconds": None}
        measured = dict(result.measured.values) if result and result.measured else {}
        own = {f"own {name}" if name in line else name: value for name, value in measured.items()}
        found.append({**line, "seconds": result.timing.total if result else None, **own})
    names = list(dict.fromkeys(name for line in found for name in line))
    return [{name: line.get(name) for name in names} for line in found]


def _results(study: Study, store: Store) -> dict[str, Result]:
    """The sound results by key."""
    found = {}
    for _, _, trial in study.trials():
        try:
            result = store.result(trial)
        except DamagedStore:
            continue
        if result is not None:
            found[trial] = result
    return found


def _date(results: dict[str, Result]) -> datetime | None:
    """When the newest of the trials was stored."""
    made = [result.provenance.created for result in results.values()]
    return datetime.fromisoformat(max(made)) if made else None
