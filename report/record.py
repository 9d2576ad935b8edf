"""The last page: what is missing and why, the commands that go on and that begin again, what the trials ran with, and their keys."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Sequence
from itertools import accumulate, islice
from typing import Any

from ablations.presets import set_back
from ablations.seed_rules import added, words
from ablations.statistics.rounding import NONE
from ablations.study import Confirms, Search, Study
from report.numbers import plain
from report.rows import Cell, Reading
from report.tables import by_column
from senet_core.seeds import seed_label

SEEDS = 5
"""Columns of keys that stand beside each other."""
DATABASE = "URL"
"""What stands in a command for the address of a search's database."""


def holes(reading: Reading) -> list[str]:
    """The trials without an error, those of a variant together that share their reason."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for cell in reading.holes():
        groups.setdefault((cell.variant, cell.state, cell.reason), []).append(cell.seed)
    return [
        f"{plain(variant)}, {plain(seeds_named(seeds))} ({state}): {plain(reason)}" for (variant, state, reason), seeds in groups.items()
    ]


def seeds_named(seeds: Sequence[str]) -> str:
    """Seeds in words: "seed 3", "seeds 0, 1, 2", "init 1, init 2"."""
    labels = [seed_label(seed) for seed in seeds]
    if len(labels) > 1 and all(label.startswith("seed ") for label in labels):
        return "seeds " + ", ".join(label.removeprefix("seed ") for label in labels)
    return ", ".join(labels)


def command(study: Study, cells: Collection[Cell] = ()) -> str:
    """The command that goes on where these cells are holes; without any, the one that makes the study from nothing. What failed is tried
    again only when asked."""
    options = _options(study)
    again = ["--retry-failed"] if any(cell.state == "failed" for cell in cells) else []
    if study.candidates is not None:
        return shlex.join(
            ["ablate", "tune", study.suite, "--preset", study.preset, *options, *study.candidates.options, "--only-tuning", *again]
        )
    rule = study.search or study.confirms
    if rule is not None:
        return _searching(study, rule, study.seeds if study.confirms else [str(seed) for seed in rule.seeds], again)
    seeds = words(study, () if study.tuned else {cell.seed for cell in cells})  # a tuned one has the seeds of the shared one
    verb, tuning = ("run", ()) if study.tuned is None else ("tune", study.tuned.options)
    return shlex.join(["ablate", verb, study.suite, "--preset", study.preset, *options, *tuning, *seeds, *again])


def commands(study: Study, confirmations: Sequence[Study] = ()) -> list[str]:
    """The commands that make the study from nothing, in turn: seeds that were added for what was open are asked for by one of their own.
    ``confirmations`` are those of a search, in their order."""
    if study.candidates is not None:
        return [command(study)]
    if study.confirms is not None:
        return [_searching(study, study.confirms, seeds) for seeds in accumulate(study.looks, lambda one, more: (*one, *more))]
    if study.search is not None:
        told, own = [line for one in confirmations for line in commands(one)], command(study)
        whole = max((one.confirms.size for one in confirmations if one.confirms), default=0) >= study.search.size
        return told if own in told[-1:] or (whole and study.search.confirm in (None, 0)) else [*told, own]
    if study.tuned is not None:  # seeds that not all variants have are added to the shared study, and tune takes them over
        return [*(commands(study.model_copy(update={"tuned": None})) if added(study) else []), command(study)]
    options = _options(study)
    later = (shlex.join(["ablate", "run", study.suite, "--preset", study.preset, *options, *more]) for more in added(study))
    return [command(study), *later]


def _searching(study: Study, rule: Search, seeds: Sequence[str], more: Sequence[str] = ()) -> str:
    """The command that asks for a search by the same rule, confirmed at these seeds. Where the designs are kept is not told: the address of
    a database may have a password in it."""
    fields = _overrides(study)
    holdout = fields.pop("data.holdout", rule.holdout if isinstance(rule, Confirms) else None)
    fields |= {} if holdout is None else {"data.holdout": holdout}  # last, so that a search and its confirmation say the same
    recipe = [word for path, value in fields.items() for word in (f"--{path}", _argument(value))]
    stated = {"budget": rule.size, "batch": rule.batch, "sampler": rule.sampler, "seed": rule.seed, "name": rule.name}
    told = [word for option, value in stated.items() if value is not None for word in (f"--{option}", str(value))]
    told += ["--no-rungs"] if len(rule.epochs) == 1 else []
    told += ["--storage", DATABASE] if rule.storage else []
    told += ["--confirm", str(rule.confirm)] if rule.confirm is not None else []
    told += ["--seed-list", ",".join(seeds)] if seeds and rule.confirm != 0 else []
    return shlex.join(["ablate", "search", rule.space, "--preset", study.preset, *recipe, *told, *more])


def _overrides(study: Study) -> dict[str, Any]:
    """The study's own, and those that make today's preset the one that it was when the study was made."""
    if study.metric is not None:
        return dict(study.overrides)
    return {**set_back(study.preset, study.variant(study.reference).recipe, study.overrides), **study.overrides}


def _options(study: Study) -> list[str]:
    return [option for path, value in _overrides(study).items() for option in (f"--{path}", _argument(value))]


def _argument(value: Any) -> str:
    """A recipe value as the command line reads it back: words as they are, all else as JSON."""
    bare = isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.-]*", value) and value not in ("true", "false", "null", "NaN", "Infinity")
    return str(value) if bare else json.dumps(value)


def provenance(reading: Reading) -> list[str]:
    """What the stored trials ran with: commits, devices, what differs among them; and in one line what is the same for all."""
    facts = reading.provenance()
    trials = sum(facts.get("commit", {}).values())
    told, same = [], []
    for name, values in facts.items():
        if name in ("commit", "device") or len(values) > 1 or sum(values.values()) < trials:
            counted = (f"{plain(value)} ({count} trial{'' if count == 1 else 's'})" for value, count in values.items())
            told.append(f"{plain(name)}: {', '.join(counted)}")
        else:
            same.append(f"{plain(name)} {plain(next(iter(values)))}")
    return [*told, f"in all {trials} trials: {', '.join(same)}"] if same else told


def keys(reading: Reading) -> list[str]:
    """The trial's key of every variant and seed, with what is stored where it is no result; a table for every few seeds."""
    told = {(c.variant, c.seed): f"`{c.key}`" + ("" if c.state == "done" else f" {c.state}") for c in reading.cells}
    names, seeds, tables = [variant.name for variant in reading.study.variants], iter(reading.study.seeds), []
    while some := list(islice(seeds, SEEDS)):
        columns = {"Variant": list(map(plain, names))}
        columns |= {plain(seed_label(seed)): [told.get((name, seed), NONE) for name in names] for seed in some}
        tables.append(by_column(columns, words=tuple(columns)))
    return tables
