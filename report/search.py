"""The page of a search: the front, every look at the test set, what matters, every design, and the rules that found them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ablations.search.front import front
from ablations.search.looks import confirmations, looked_at
from ablations.search.rungs import ETA
from ablations.search.sampler import BY_CHANCE
from ablations.statistics.rounding import NONE, number
from ablations.store import Store
from ablations.study import Search, SearchedDesign, State, Study
from report.captions import KEYS, Captions, errors_caption, images_text
from report.figures import Drawing, drawn, style
from report.numbers import line, plain
from report.publishing import Document, Published, publish, write_files
from report.raw import csv_text
from report.recipe import recipe
from report.record import DATABASE, command, commands, holes, keys, provenance
from report.rows import Reading, read
from report.search_figure import UNITS, search_figure, stopped
from report.search_importance import importances_text
from report.tables import by_column, in_columns, markdown
from report.wording import headline, seeds_text

FIGURE = "front"
STATES: Mapping[State, str] = {
    "done": "finished",
    "stopped": "stopped early",
    "diverged": "diverged",
    "failed": "failed",
    "open": "not finished",
}


def write(study: Study, store: Store, folder: Path, stem: str, formats: Collection[str]) -> Published:
    """Write the page in these formats, and with "csv" every design.

    :raises InputError: if the folder cannot be written.
    """
    reading, search = read(study, store), _search(study)
    drawing = _drawing(search, formats)
    text = _page(reading, search, store, drawing is not None)
    made = [cell.result.provenance.created for cell in reading.cells if cell.result]
    date = datetime.fromisoformat(max(made)) if made else None
    done = publish(Document(text, study.name, {f"{FIGURE}.png": drawing} if drawing else {}, date), folder, stem, formats)
    if "csv" not in formats:
        return done
    return Published((*done.files, *write_files(folder, {"designs.csv": csv_text(_raw(search)).encode()})), done.missing)


def summary(study: Study) -> str:
    """The front in columns, for a terminal."""
    search = _search(study)
    lines = [("Design", "Choices", UNITS[search.cost], "Held-out top-1 error (%)")]
    lines += [(_name(one), _choices(one, search, line) or "the default", f"{one.cost:,}", _told_error(one)) for one in _shown(search)]
    return f"{_counted(search, line)}\n{in_columns(lines)}"


def _search(study: Study) -> Search:
    assert study.search is not None, f"'{study.name}' is no search"
    return study.search


def _drawing(search: Search, formats: Collection[str]) -> Drawing | None:
    if not front(search.designs) or not set(formats) & {"md", "html", "pdf"}:
        return None
    with style():
        return drawn(search_figure(search), formats)


def _page(reading: Reading, search: Search, store: Store, figure: bool) -> str:
    study, numbers, looks = reading.study, Captions(), _looks(reading.study, store)
    parts = [
        f"# {plain(study.title)}",
        plain(study.question),
        f"Source: {plain(study.source)}.",
        f"{_counted(search)} All were judged on the {images_text(study)} at seed 0; the test set was not read. The held-out error of the "
        "best of many is lower than it will be again: what is true of a design is what its confirmation says.",
        *_default(study, search),
        "## The front",
        numbers.table(
            f"Designs that no other one beats in held-out error and {search.cost} both, and the default; what a design changes against the "
            "default."
        ),
        _front(search, study.images.evaluated),
        *_noise(study, search),
    ]
    if figure:
        parts += [f"[![Held-out error against cost]({FIGURE}.png)]({FIGURE}.svg)", numbers.figure(_figure_caption(study, search))]
    parts += [
        "## Confirmed on the test set",
        *_confirmed(search, looks, store, numbers),
        "## What matters",
        *importances_text(search, numbers),
    ]
    parts += ["## Every design", numbers.table(_designs_caption(search)), _designs(search)]
    parts += ["## The rules", numbers.table("What a design is made of."), _factors(search), _rules(search)]
    parts += [f"- {plain(note)}" for note in study.notes]
    parts += ["## Recipe", "\n".join(f"- {what}: {how}" for what, how in recipe(study) if what != "What the variants change")]
    lacking = holes(reading)
    if lacking:
        parts += ["## Missing and diverged trials", "\n".join(f"- {hole}" for hole in lacking)]
    parts += ["## Provenance", f"Data: {plain(study.images.label)}. Study: {plain(study.name)}."]
    parts += ["\n".join(f"- {fact}" for fact in facts)] if (facts := provenance(reading)) else []
    parts += _commands(reading, search, looks)
    return "\n\n".join([*parts, numbers.table(KEYS), *keys(reading)]) + "\n"


def _commands(reading: Reading, search: Search, looks: Sequence[Study]) -> list[str]:
    told, again = [], commands(reading.study, looks)
    if any(cell.state != "diverged" for cell in reading.holes()):
        told.append(f"To go on, with the same workspace and data:\n\n    {command(reading.study, reading.holes())}")
    turn = ", one after the other" if len(again) > 1 else ""
    told.append(f"To make this page again from nothing, with the same data{turn}:\n\n    " + "\n    ".join(again))
    if search.storage:
        told.append(f"{DATABASE} stands for the address of the database that keeps the designs; it is not stored here.")
    return told


def _counted(search: Search, shown: Callable[[str], str] = plain) -> str:
    """How many designs there are, in words; ``shown`` makes of the space's name what its reader sees."""
    states = Counter(one.state for one in search.designs)
    told = [f"{states[state]} {words}" for state, words in STATES.items() if states[state]]
    count = len(search.designs)
    were = "design of the space {} was" if count == 1 else "designs of the space {} were"
    return f"{count} {were.format(shown(search.space))} looked at: {', '.join(told)}."


def _default(study: Study, search: Search) -> list[str]:
    """What the default is; nothing before there is one."""
    if not search.designs:
        return []
    chosen = "; ".join(f"{plain(name)}: {_told(value)}" for name, value in search.designs[0].choices.items())
    told = f"The default is what all others are held against: {chosen}. What a design does not choose is as in the recipe below."
    fields = [f"`{path}`" for path in study.overrides if path.startswith("net.")]
    if not fields:
        return [told]
    were = "was" if len(fields) == 1 else "were"
    return [
        f"{told} Of the network {', '.join(fields)} {were} set on the command line, so it is this recipe's default and not the paper's."
    ]


def _shown(search: Search) -> list[SearchedDesign]:
    """The front, and the default where it has an error."""
    best = front(search.designs)
    default = [one for one in search.designs if one.number == 0 and one.state == "done" and one not in best]
    return sorted([*best, *default], key=lambda one: (one.cost, one.number))


def _front(search: Search, images: int) -> str:
    shown = _shown(search)
    if not shown:
        return "No design has an error on the whole schedule yet."
    columns = {
        "Design": [_name(one) + ("" if one in front(search.designs) else " (not on the front)") for one in shown],
        "Choices": [_choices(one, search) or "–" for one in shown],
        UNITS[search.cost]: [f"{one.cost:,}" for one in shown],
        "Held-out top-1 error (%)": [_told_error(one) for one in shown],
        "Its standard error (points)": [_standard_error(one, images) for one in shown],
    }
    return by_column(columns, words=("Design", "Choices"))


def _standard_error(one: SearchedDesign, images: int) -> str:
    """Of a share of so many images; a share of none or all of them has none that means anything."""
    error = _error(one)
    return NONE if error is None or not 0 < error < 100 else number(math.sqrt(error * (100 - error) / images), 2)


def _noise(study: Study, search: Search) -> list[str]:
    if not _shown(search):
        return []
    return [
        f"The front is chosen by noisy numbers. The standard error is that of an error on {study.images.evaluated:,} images, "
        f"√(error · (100 − error) / {study.images.evaluated:,}); what another seed of training would change comes on top. Designs that lie "
        "no farther apart than that may well change places."
    ]


def _figure_caption(study: Study, search: Search) -> str:
    told = [
        f"{plain(study.title)}: held-out error against {search.cost}, of the designs that had the whole schedule; none of them beats those "
        "on the line in both. Numbers are those of the designs."
    ]
    if stopped(search):
        told.append(
            f"Below, every design at {search.epochs[0]} epochs, the first rung: errors of a shorter schedule, which cannot be held against "
            "those above."
        )
    without = sum(not any(error is not None for error in one.errors) for one in search.designs)
    if without:
        told.append(f"{without} design{' has' if without == 1 else 's have'} no error and no place here.")
    return " ".join(told)


def _looks(study: Study, store: Store) -> list[Study]:
    """What confirms a search, in order, each with the ones before it that were looked at: stored studies of an older make do not know."""
    found: list[Study] = []
    before: list[str] = []
    for one in confirmations(study, store):
        assert one.confirms is not None, "it confirms this search"
        found.append(one.model_copy(update={"confirms": one.confirms.model_copy(update={"before": tuple(before)})}))
        before += [one.name] if looked_at(one, store) else []
    return found


def _confirmed(search: Search, looks: Sequence[Study], store: Store, numbers: Captions) -> list[str]:
    lost = [name for name in search.confirmed if name not in {one.name for one in looks}]
    told = [f"This search names a confirmation that is not in this workspace: study {plain(name)}." for name in lost]
    if not looks:
        return told or ["Not confirmed: no study of this workspace confirms this search."]
    told.append(
        "The best designs are trained anew on all training images, at seeds that the search did not use, and judged on the test set."
        + (f" That was begun {len(looks)} times; all of them stand here, in their order." if len(looks) > 1 else "")
    )
    for number_, study in enumerate(looks, start=1):
        reading = read(study, store)
        rows, several = reading.rows(), len(looks) > 1
        told += [f"### Confirmation {number_} of {len(looks)}"] if several else []
        told += [f"{_before(study)} {headline(study, rows)}", *seeds_text(study, reading.verdicts.comparisons, reading.finished)]
        told += [numbers.table(errors_caption(study, rows)), markdown(study, rows)]
        told += [f"Its own page has the comparisons, the checks and the figures: study {plain(study.name)}."]
    return told


def _before(study: Study) -> str:
    """How many confirmations of the search were looked at before this one."""
    count = len(study.confirms.before) if study.confirms else 0
    return f"Looks of this search at the test set before this one: {count or 'none'}."


def _designs_caption(search: Search) -> str:
    rungs = ", ".join(map(str, search.epochs))
    return f"Every design with its held-out top-1 errors (%) on the rungs of {rungs} epochs, each a complete schedule."


def _designs(search: Search) -> str:
    columns = {"Design": [_name(one) for one in search.designs]}
    for name, _ in search.factors:
        columns[plain(name)] = [_told(one.choices.get(name)) for one in search.designs]
    columns[UNITS[search.cost]] = [f"{one.cost:,}" for one in search.designs]
    for place, epochs in enumerate(search.epochs):
        columns[f"{epochs} epochs"] = [_at(one, place) for one in search.designs]
    columns["State"] = [STATES[one.state] for one in search.designs]
    return by_column(columns, words=("Design", *(plain(name) for name, _ in search.factors), "State"))


def _at(one: SearchedDesign, place: int) -> str:
    if place >= len(one.errors):
        return NONE
    error = one.errors[place]
    return "diverged" if error is None else number(error, 2)


def _factors(search: Search) -> str:
    columns = {"Factor": [plain(name) for name, _ in search.factors], "Choices": [plain(text) for _, text in search.factors]}
    return by_column(columns, words=("Factor", "Choices"))


def _rules(search: Search) -> str:
    by = {"tpe": "Optuna's TPE for several objectives", "random": "chance alone"}.get(search.sampler, search.sampler)
    chance = f"; by chance until {BY_CHANCE} designs have a result, the default among them" if search.sampler == "tpe" else ""
    told = [
        f"Proposed by {by}, seed {search.seed}, in batches of {search.batch}{chance}; a budget of {search.size} designs.",
        f"Objectives: held-out top-1 error and {search.cost}, both to be small.",
    ]
    if len(search.epochs) > 1:
        told.append(
            f"Rungs: complete schedules of {', '.join(map(str, search.epochs))} epochs. The default goes through all. Another goes on "
            "while it is among the best third of those that have reached a rung, itself and those of earlier batches: by Pareto fronts, "
            "and within a front by how far it lies from its neighbours, so one on a rung's own front may be stopped, too. While fewer "
            f"than {2 * ETA} have reached a rung, itself included, all go on."
        )
    return "\n".join(f"- {plain(one)}" for one in told)


def _name(one: SearchedDesign) -> str:
    return "default" if one.number == 0 else f"design {one.number}"


def _choices(one: SearchedDesign, search: Search, shown: Callable[[str], str] = plain) -> str:
    """What a design chooses otherwise than the default, in words."""
    default = search.designs[0].choices
    return "; ".join(f"{shown(name)}: {_told(value, shown)}" for name, value in one.choices.items() if default.get(name) != value)


def _told(value: Any, shown: Callable[[str], str] = plain) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else shown(str(value))


def _error(one: SearchedDesign) -> float | None:
    """On the last rung that it reached."""
    return one.errors[-1] if one.errors else None


def _told_error(one: SearchedDesign) -> str:
    error = _error(one)
    return NONE if error is None else number(error, 2)


def _raw(search: Search) -> list[dict[str, Any]]:
    """A line a design."""
    found = []
    for one in search.designs:
        row: dict[str, Any] = {"design": one.number, "state": one.state, search.cost: one.cost}
        row |= {
            f"error at {epochs} epochs": one.errors[place] if place < len(one.errors) else None
            for place, epochs in enumerate(search.epochs)
        }
        found.append(row | {name: one.choices.get(name) for name, _ in search.factors})
    return found
