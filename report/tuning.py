"""Pages of a tuning: the held-out part as a table of candidates, and on a tuned study's page both settings beside each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from ablations.selection import companions
from ablations.statistics.comparison import FEWEST, Arm, Comparison
from ablations.statistics.measured import arms
from ablations.statistics.robustness import Robustness, Twofold, robustness
from ablations.statistics.rounding import NONE, difference_text, error_text, number, spoken_for
from ablations.store import Store
from ablations.study import Study
from ablations.tuning.choice import Edge, choice_text, chosen, edges, held_out_error
from ablations.tuning.record import Candidates, Choice, Point, Question, Tuned
from ablations.tuning.studies import note
from report.captions import KEYS, Captions, images_text
from report.numbers import plain
from report.publishing import Document, Published, publish, write_files
from report.raw import tables as raw_tables
from report.record import command, holes, keys, provenance
from report.rows import Reading, Row, one_reference, read
from report.tables import by_column
from report.wording import verdict_text

# -- the page of the held-out part


def write(study: Study, store: Store, folder: Path, stem: str, formats: Collection[str]) -> Published:
    """Write the page of a held-out part in these formats, and with "csv" the numbers of all trials.

    :raises InputError: if the folder cannot be written.
    """
    reading = read(study, store)
    made = [cell.result.provenance.created for cell in reading.cells if cell.result]
    date = datetime.fromisoformat(max(made)) if made else None
    done = publish(Document(_page(reading), study.name, {}, date), folder, stem, formats)
    if "csv" not in formats:
        return done
    files = write_files(folder, {name: text.encode() for name, text in raw_tables(reading).items() if name == "trials.csv"})
    return Published((*done.files, *files), done.missing)


def summary(study: Study, store: Store) -> str:
    """What each variant gets, for a terminal."""
    asked, found = _candidates(study), arms(study, store)
    told = []
    for name in asked.variants:
        choice = chosen(study, found, name)
        told.append(f"{name}: {'not chosen yet' if choice is None else choice_text(asked.points, choice)}")
    return "\n".join(told)


def _page(reading: Reading) -> str:
    study, numbers = reading.study, Captions()
    asked, lacking = _candidates(study), holes(reading)
    found = {name: chosen(study, reading.arms, name) for name in asked.variants}
    errors = {name: [_cell(reading.arms[asked.cell(name, place)]) for place in range(len(asked.points))] for name in asked.variants}
    parts = [
        f"# {plain(study.title)}",
        f"Every variant was trained at the same {len(asked.points)} candidates of {_fields(asked.question)}, the first of them the "
        f"suite's own setting, and evaluated on the {images_text(study)}; the test set was not read. A variant gets the candidate of least "
        f"{_mean(asked.question)}, the first of equals; one that diverges is not chosen. These errors choose, they do not judge: they are "
        "of few seeds, and the best of many is lower than it will be again.",
        numbers.table(_candidates_caption(asked.question)),
        candidates_table(asked.points, errors, found),
    ]
    told = [f"- {plain(name)}: {plain(choice_text(asked.points, choice))}" for name, choice in found.items() if choice is not None]
    parts += ["## What each variant gets", "\n".join(told)] if told else []
    parts += ["## Missing and diverged trials", "\n".join(f"- {hole}" for hole in lacking)] if lacking else []
    if any(cell.state != "diverged" for cell in reading.holes()):
        parts.append(f"To go on, with the same workspace and data:\n\n    {command(study, reading.holes())}")
    parts += ["## Provenance", f"Data: {plain(study.images.label)}. Study: {plain(study.name)}."]
    parts += ["\n".join(f"- {fact}" for fact in facts)] if (facts := provenance(reading)) else []
    parts += [f"To make this page again from nothing, with the same data:\n\n    {command(study)}", numbers.table(KEYS), *keys(reading)]
    return "\n\n".join(parts) + "\n"


def _candidates(study: Study) -> Candidates:
    assert study.candidates is not None, f"'{study.name}' is not the held-out part of a tuning"
    return study.candidates


def _cell(arm: Arm) -> str:
    """A candidate's error; "diverged" where a seed did."""
    if arm.diverged:
        return "diverged"
    error = held_out_error(arm)
    return NONE if error is None else number(error, 2)


def candidates_table(points: Sequence[Point], errors: Mapping[str, Sequence[str]], found: Mapping[str, Choice | None]) -> str:
    """A line a candidate, a column a variant; ``errors`` as they are shown, what was chosen in bold."""
    columns = {
        "Learning rate": [f"{point.lr:g}" for point in points],
        "Weight decay": [f"{point.weight_decay:g}" for point in points],
    }
    for name, cells in errors.items():
        choice = found[name]
        best = None if choice is None or choice.lost else choice.place
        columns[plain(name)] = [f"**{text}**" if place == best else text for place, text in enumerate(cells)]
    return by_column(columns, words=())


def _candidates_caption(question: Question) -> str:
    mean = f", mean over {question.seeds} seeds" if question.seeds > 1 else ""
    return f"Held-out top-1 error (%) of every variant at every candidate{mean}; each variant's best is bold."


def _fields(question: Question) -> str:
    names = (("learning rate", question.lr), ("weight decay", question.weight_decay))
    return " and ".join(name for name, span in names if span is not None)


def _mean(question: Question) -> str:
    return "held-out error" if question.seeds == 1 else f"mean held-out error over {question.seeds} seeds"


# -- the section of a tuned study's page

EDGE = "‡"


def section(reading: Reading, store: Store, numbers: Captions) -> str:
    """What the page of a tuned study says of both settings, in Markdown, its captions counted by ``numbers``."""
    study, tuned = reading.study, reading.study.tuned
    assert tuned is not None, f"'{study.name}' is no tuned study"
    beside = companions(study, store)
    shared = next((read(other, store) for other in beside if other.name == tuned.shared), None)
    parts = [note(tuned.question)]
    if shared is None:
        parts.append(f"The study at the shared setting, {plain(tuned.shared)}, is not in this workspace, so nothing is held against it.")
    parts += [numbers.table(_caption(study, tuned)), _both(reading, shared, tuned)]
    wary = [f"- {plain(name)}: {plain(edge.told(tuned.point(name)))}." for name, edge in _edges(tuned)]
    wary += [f"- {plain(name)}: {plain(choice_text(tuned.points, one))}." for name, one in tuned.choices.items() if one.lost]
    parts += ["\n".join(wary)] if wary else []
    if shared is not None:
        parts += _claims(reading, shared, tuned)
    parts += [numbers.table(_candidates_caption(tuned.question))]
    parts += [candidates_table(tuned.points, {name: list(map(_told, one.errors)) for name, one in tuned.choices.items()}, tuned.choices)]
    others = [plain(other.name) for other in beside if other.name != tuned.shared]
    parts += [f"The same suite was also tuned otherwise in this workspace: {', '.join(others)}."] if others else []
    return "\n\n".join(parts)


def _told(error: float | None) -> str:
    return "diverged" if error is None else number(error, 2)


def _edges(tuned: Tuned) -> list[tuple[str, Edge]]:
    return [(name, edge) for name, one in tuned.choices.items() if not one.lost for edge in edges(tuned.points, one.place)]


def _caption(study: Study, tuned: Tuned) -> str:
    mark = f" {EDGE}: the best is at the edge of what was tried." if _edges(tuned) else ""
    return (
        f"{plain(study.title)}: top-1 error (%) on the {images_text(study)} and differences in points, at the shared setting "
        f"({plain(tuned.points[0].text)}) and at each variant's own; errors with 95 % intervals, differences with those of their "
        f"study's family (from {FEWEST} pairs of seeds on).{mark}"
    )


def _both(reading: Reading, shared: Reading | None, tuned: Tuned) -> str:
    rows = reading.rows()
    before = {row.variant: row for row in shared.rows()} if shared else {}
    at_edge = {(name, edge.field) for name, edge in _edges(tuned)}

    def own(row: Row, field: str) -> str:
        return f"{getattr(tuned.point(row.variant), field):g}" + (f" {EDGE}" if (row.variant, field) in at_edge else "")

    columns = {"Variant": [plain(row.variant) for row in rows]}
    if one_reference(rows) is None:
        columns["Compared with"] = [NONE if row.is_reference else plain(row.reference) for row in rows]
    columns |= _columns("Shared", [before.get(row.variant) for row in rows])
    columns |= {"Learning rate": [own(row, "lr") for row in rows], "Weight decay": [own(row, "weight_decay") for row in rows]}
    columns |= _columns("Tuned", list(rows))
    return by_column(columns, words=("Variant", "Compared with", "Shared: verdict", "Tuned: verdict"))


def _columns(setting: str, rows: Sequence[Row | None]) -> dict[str, list[str]]:
    return {
        f"{setting}: error": [NONE if row is None else error_text(row.error) for row in rows],
        f"{setting}: difference": [
            NONE if row is None else "reference" if row.is_reference else _difference(row.comparison) for row in rows
        ],
        f"{setting}: verdict": [NONE if row is None else verdict_text(row.comparison) for row in rows],
    }


def _difference(one: Comparison | None) -> str:
    return NONE if one is None else difference_text(spoken_for(one.all))


def _claims(reading: Reading, shared: Reading, tuned: Tuned) -> list[str]:
    found = robustness(shared.verdicts.claims(), reading.verdicts.claims())
    if not found:
        return []
    word = "lr-robust" if tuned.question.lr is not None else "wd-robust"
    told = [
        line for one in found for line in (f"- {plain(one.text)} **{_word(one, word)}**", *(f"  - {_part(part)}" for part in one.parts))
    ]
    return [
        f"A claim is {word} where each of its differences has the same sign at both settings, from {FEWEST} pairs of seeds on; where it "
        "expects equivalence, the same answer. A difference that is nothing but noise keeps its sign every other time or more: the "
        "verdicts say which are more than that.",
        "\n".join(told),
    ]


def _word(one: Robustness, word: str) -> str:
    return word if one.survival == "survives" else one.survival


def _part(part: Twofold) -> str:
    contrast = part.tuned.contrast
    at = [f"{_at(one.comparison)} {setting}" for one, setting in ((part.shared, "shared"), (part.tuned, "tuned"))]
    return f"{plain(contrast.variant)} against {plain(contrast.reference)}, expected {contrast.expect}: {', '.join(at)}."


def _at(one: Comparison | None) -> str:
    """A comparison in a few words; two variants that are one network have none."""
    if one is None:
        return "one network"
    verdict = f" ({one.word})" if one.word else f" (n = {one.n})"
    return ("no pair" if one.mean is None else _difference(one)) + verdict
