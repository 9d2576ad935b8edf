"""The page of a search: the front, what was confirmed on the test set, what matters, every design, and the rules that found them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ablations.search.front import front
from ablations.search.importance import Importance, importances, installed
from ablations.search.record import State
from ablations.statistics.rounding import NONE, number
from ablations.store import Store
from ablations.study import Search, SearchedDesign, Study
from report.captions import KEYS, Captions, errors_caption, images_text
from report.figures import Drawing, drawn, style
from report.numbers import line, plain
from report.publishing import Document, Published, publish, write_files
from report.raw import csv_text
from report.recipe import recipe
from report.record import command, holes, keys, provenance
from report.rows import Reading, read
from report.search_figure import UNITS, search_figure
from report.tables import by_column, in_columns, markdown
from report.wording import headline

FIGURE = "front"
RANGES = ("low", "middle", "high")
"""What a number of a range counts as where importances are told: the third of the range in which it lies."""
STATES = {"done": "whole schedule", "stopped": "stopped", "diverged": "diverged", "failed": "failed", "open": "not finished"}


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
    lines += [(_name(one), _choices(one, search, line) or "the default", f"{one.cost:,}", _error(one)) for one in _shown(search)]
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
    study, numbers = reading.study, Captions()
    parts = [
        f"# {plain(study.title)}",
        plain(study.question),
        f"Source: {plain(study.source)}.",
        f"{_counted(search)} All were judged on the {images_text(study)} at seed 0; the test set was not read. The held-out error of the "
        "best of many is lower than it will be again: what is true of a design is what its confirmation says.",
        "## The front",
        numbers.table(
            f"Designs that no other one beats in held-out error and {search.cost} both, and the default; what a design changes against the "
            "default."
        ),
        _front(search),
    ]
    if figure:
        caption = (
            f"{plain(study.title)}: held-out error against {search.cost}; no design beats those on the line in both. Numbers are those of "
            "the designs."
        )
        parts += [f"[![Held-out error against cost]({FIGURE}.png)]({FIGURE}.svg)", numbers.figure(caption)]
    parts += ["## Confirmed on the test set", *_confirmed(search, store, numbers), "## What matters", *_importances(search, numbers)]
    parts += ["## Every design", numbers.table(_designs_caption(search)), _designs(search)]
    parts += ["## The rules", numbers.table("What a design is made of."), _factors(search), _rules(search)]
    parts += [f"- {plain(note)}" for note in study.notes]
    parts += ["## Recipe", "\n".join(f"- {what}: {how}" for what, how in recipe(study) if what != "What the variants change")]
    lacking = holes(reading)
    if lacking:
        parts += ["## Missing and diverged trials", "\n".join(f"- {hole}" for hole in lacking)]
    parts += ["## Provenance", f"Data: {plain(study.images.label)}. Study: {plain(study.name)}."]
    parts += ["\n".join(f"- {fact}" for fact in facts)] if (facts := provenance(reading)) else []
    parts += [f"To go on, or to make this page again from nothing, with the same data:\n\n    {command(study)}"]
    return "\n\n".join([*parts, numbers.table(KEYS), *keys(reading)]) + "\n"


def _counted(search: Search, shown: Callable[[str], str] = plain) -> str:
    """How many designs there are, in words; ``shown`` makes of the space's name what its reader sees."""
    states = Counter(one.state for one in search.designs)
    told = [f"{states[state]} {words}" for state, words in _COUNTED.items() if states[state]]
    count = len(search.designs)
    were = "design of the space {} was" if count == 1 else "designs of the space {} were"
    return f"{count} {were.format(shown(search.space))} looked at: {', '.join(told)}."


_COUNTED: Mapping[State, str] = {
    "done": "had the whole schedule",
    "stopped": "stopped on an early rung",
    "diverged": "diverged",
    "failed": "failed",
    "open": "not finished",
}


def _shown(search: Search) -> list[SearchedDesign]:
    """The front, and the default where it has an error."""
    best = front(search.designs)
    default = [one for one in search.designs if one.number == 0 and one.state == "done" and one not in best]
    return sorted([*best, *default], key=lambda one: (one.cost, one.number))


def _front(search: Search) -> str:
    shown = _shown(search)
    if not shown:
        return "No design has an error on the whole schedule yet."
    columns = {
        "Design": [_name(one) + ("" if one in front(search.designs) else " (not on the front)") for one in shown],
        "Choices": [_choices(one, search) or "–" for one in shown],
        UNITS[search.cost]: [f"{one.cost:,}" for one in shown],
        "Held-out top-1 error (%)": [_error(one) for one in shown],
    }
    return by_column(columns, words=("Design", "Choices"))


def _confirmed(search: Search, store: Store, numbers: Captions) -> list[str]:
    if search.confirmed is None or search.confirmed not in store.studies():
        return ["Not confirmed: no design of the front was trained on all images and judged on the test set."]
    reading = read(store.study(search.confirmed), store)
    rows = reading.rows()
    return [
        "The best designs were trained anew on all training images, at seeds that the search did not use, and judged on the test set. "
        + headline(reading.study, rows),
        numbers.table(errors_caption(reading.study, rows)),
        markdown(reading.study, rows),
        f"Its own page has the comparisons, the checks and the figures: study {plain(search.confirmed)}.",
    ]


def _importances(search: Search, numbers: Captions) -> list[str]:
    if not installed():
        return [
            "How much each factor matters is worked out by Optuna, which is not installed here: pip install 'senet-ablations\\[search\\]'."
        ]
    rung = search.epochs[0]
    known = [(one, one.errors[0]) for one in search.designs if one.errors and one.errors[0] is not None]
    found = importances(
        {name: _values(name, search) for name, _ in search.factors},
        [({name: _level(value) for name, value in _as_levels(one, search).items()}, error) for one, error in known if error is not None],
    )
    if not found:
        return ["All designs gave the same so far, or there are too few of them to tell what matters."]
    ranked = sorted(found, key=lambda one: -one.mean)
    return [
        numbers.table(
            f"How much of the held-out error's variance over {len(known)} designs each factor explains by itself (fANOVA), at {rung} "
            f"epochs, which all of them were trained for; ± is the standard deviation over {found[0].count} random forests."
        ),
        by_column({"Factor": [plain(one.name) for one in ranked], "Share (%)": [_share(one) for one in ranked]}, words=("Factor",)),
        "Shares rank the factors and decide nothing: they add up to 100 % also where there is nothing but noise, and the search looked "
        "more often where errors were low.",
    ]


def _share(one: Importance) -> str:
    return number(100 * one.mean, 1) + (f" ± {number(100 * one.deviation, 1)}" if one.deviation is not None else "")


def _values(name: str, search: Search) -> list[str]:
    """Every level that a factor had, in the order of the designs; thirds of a range."""
    return list(dict.fromkeys(_level(levels[name]) for one in search.designs if name in (levels := _as_levels(one, search))))


def _as_levels(one: SearchedDesign, search: Search) -> Mapping[str, Any]:
    ranges = {name: sorted({float(other.choices[name]) for other in search.designs if name in other.choices}) for name in _ranges(search)}
    return {name: _third(float(value), ranges[name]) if name in ranges else value for name, value in one.choices.items()}


def _ranges(search: Search) -> list[str]:
    """Factors that took real numbers."""
    return [
        name
        for name, _ in search.factors
        if any(isinstance(one.choices.get(name), float) for one in search.designs)
        and all(isinstance(one.choices[name], float | int) for one in search.designs if name in one.choices)
    ]


def _third(value: float, seen: list[float]) -> str:
    return RANGES[min(2, 3 * seen.index(value) // len(seen))]


def _level(value: Any) -> str:
    return str(value)


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
    told = [
        f"Proposed by {by}, seed {search.seed}, in batches of {search.batch}; a budget of {search.budget} designs, the default first.",
        f"Objectives: held-out top-1 error and {search.cost}, both to be small.",
    ]
    if len(search.epochs) > 1:
        told.append(
            f"Rungs: complete schedules of {', '.join(map(str, search.epochs))} epochs; a design goes on while it is among the best third "
            "of those that reached a rung before it, by Pareto fronts."
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


def _error(one: SearchedDesign) -> str:
    return NONE if not one.errors or one.errors[-1] is None else number(one.errors[-1], 2)


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
