"""Pages of a tuning: the held-out part as a table of candidates, and what pages say of both settings and of other tunings of a suite."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import median

from ablations.selection import tunings
from ablations.statistics.comparison import Arm
from ablations.statistics.measured import arms
from ablations.statistics.rounding import NONE, number
from ablations.store import Store
from ablations.study import Study
from ablations.tuning.choice import NotChosen, best, candidates, choice_text, choices, held_out_error
from ablations.tuning.record import FIELDS, Choice, Point, Question
from report.captions import KEYS, Captions, images_text
from report.numbers import plain
from report.publishing import Document, Published, publish, write_files
from report.raw import candidates as raw_candidates
from report.raw import tables as raw_tables
from report.record import command, holes, keys, provenance
from report.rows import Reading, read
from report.tables import by_column

# -- the page of the held-out part


def write(study: Study, store: Store, folder: Path, stem: str, formats: Collection[str]) -> Published:
    """Write the page of a held-out part in these formats, and with "csv" the numbers of all trials and candidates.

    :raises InputError: if the folder cannot be written.
    """
    reading = read(study, store)
    made = [cell.result.provenance.created for cell in reading.cells if cell.result]
    date = datetime.fromisoformat(max(made)) if made else None
    done = publish(Document(_page(reading), study.name, {}, date), folder, stem, formats)
    if "csv" not in formats:
        return done
    texts = {"trials.csv": raw_tables(reading)["trials.csv"], "candidates.csv": _raw(reading)}
    files = write_files(folder, {name: text.encode() for name, text in texts.items()})
    return Published((*done.files, *files), done.missing)


def summary(study: Study, store: Store) -> str:
    """What each variant gets, for a terminal."""
    found, lacking = _chosen(study, arms(study, store))
    return lacking or "\n".join(f"{name}: {choice_text(candidates(study).points, choice)}" for name, choice in found.items())


def _chosen(study: Study, found: Mapping[str, Arm]) -> tuple[dict[str, Choice], str]:
    """What each variant gets; nothing while trials are missing, and a sentence that says so."""
    try:
        return choices(study, found), ""
    except NotChosen as lacking:
        return {}, str(lacking)


def _page(reading: Reading) -> str:
    study, numbers = reading.study, Captions()
    asked, missing = candidates(study), holes(reading)
    chosen, lacking = _chosen(study, reading.arms)
    tried = {name: [reading.arms[asked.cell(name, place)] for place in range(len(asked.points))] for name in asked.variants}
    errors = {name: [held_out_error(arm) for arm in row] for name, row in tried.items()}
    texts = {name: [_cell(arm, len(study.seeds)) for arm in row] for name, row in tried.items()}
    fields = " and ".join(field.name for field in asked.question.fields)
    parts = [
        f"# {plain(study.title)}",
        f"Every variant was trained at the same {len(asked.points)} candidates of {fields}, the first of them the "
        f"suite's own setting, and evaluated on the {images_text(study)}; the test set was not read. A variant gets the candidate of least "
        f"{_mean(asked.question)}, the first of equals; one that diverges is not chosen. These errors choose, they do not judge: they are "
        "of few seeds, and the best of many is lower than it will be again.",
        numbers.table(candidates_caption(asked.question, errors, bool(chosen))),
        candidates_table(asked.points, texts, chosen),
    ]
    told = [f"- {plain(name)}: {plain(choice_text(asked.points, choice))}" for name, choice in chosen.items()]
    parts += ["## What each variant gets", plain(lacking) if lacking else "\n".join(told)]
    parts += ["## Missing and diverged trials", "\n".join(f"- {hole}" for hole in missing)] if missing else []
    if any(cell.state != "diverged" for cell in reading.holes()):
        parts.append(f"To go on, with the same workspace and data:\n\n    {command(study, reading.holes())}")
    parts += ["## Provenance", f"Data: {plain(study.images.label)}. Study: {plain(study.name)}."]
    parts += ["\n".join(f"- {fact}" for fact in facts)] if (facts := provenance(reading)) else []
    parts += [f"To make this page again from nothing, with the same data:\n\n    {command(study)}", numbers.table(KEYS), *keys(reading)]
    return "\n\n".join(parts) + "\n"


def _cell(arm: Arm, seeds: int) -> str:
    """A candidate's error; "diverged" where a seed did; with the number of seeds that have ended while others have not."""
    if arm.diverged:
        return "diverged"
    error = held_out_error(arm)
    return NONE if error is None else number(error, 2) + (f" (n = {arm.n})" if arm.n < seeds else "")


def _raw(reading: Reading) -> str:
    asked = candidates(reading.study)
    tried = {name: [reading.arms[asked.cell(name, place)] for place in range(len(asked.points))] for name in asked.variants}

    def state(arm: Arm) -> str:
        return "diverged" if arm.diverged else "missing" if arm.n < len(reading.study.seeds) else "done"

    errors = {name: [(held_out_error(arm), state(arm)) for arm in row] for name, row in tried.items()}
    return raw_candidates(asked.points, errors, _chosen(reading.study, reading.arms)[0])


def _mean(question: Question) -> str:
    return "held-out error" if question.seeds == 1 else f"mean held-out error over {question.seeds} seeds"


# -- the table of candidates, on both pages


def candidates_table(points: Sequence[Point], errors: Mapping[str, Sequence[str]], chosen: Mapping[str, Choice]) -> str:
    """A line a candidate, a column a variant; ``errors`` as they are shown, the best of each variant that has chosen in bold."""
    columns = {field.name.capitalize(): [f"{getattr(point, name):g}" for point in points] for name, field in FIELDS.items()}
    for name, cells in errors.items():
        bold = best(chosen[name].errors) if name in chosen else ()
        columns[plain(name)] = [f"**{text}**" if place in bold else text for place, text in enumerate(cells)]
    return by_column(columns, words=())


def candidates_caption(question: Question, errors: Mapping[str, Sequence[float | None]], chosen: bool) -> str:
    """Of that table, with how much a held-out error varies by chance: that of a typical best one (the median over the variants)."""
    mean = f", mean over {question.seeds} seeds" if question.seeds > 1 else ""
    bold = "; each variant's best is bold, several where they tie" if chosen else ""
    told = f"Held-out top-1 error (%) of every variant at every candidate{mean}{bold}."
    least = [min(known) for row in errors.values() if (known := [error for error in row if error is not None])]
    typical = median(least) / 100 if least else 0.0
    if not 0 < typical < 1:
        return told
    images = question.holdout * question.seeds
    deviation = 100 * math.sqrt(typical * (1 - typical) / images)
    counted = f"{question.holdout:,}" if question.seeds == 1 else f"{question.seeds} × {question.holdout:,}"
    error = f"An error of {number(100 * typical, 1)} % on {counted} images"
    return f"{told} {error} has a binomial standard error of {number(deviation, 1)} points."


# -- other tunings of a suite


def others(study: Study, store: Store) -> str:
    """The other tunings of the study's suite in the workspace, by their names; "" where there is none."""
    told = [
        f"{plain(one.name)} ({len(one.tuned.points)} candidates, shared setting {plain(one.tuned.points[0].text)})"
        for one in tunings(study, store)
        if one.tuned is not None
    ]
    return ", ".join(told)


def beside(study: Study, store: Store) -> list[str]:
    """On the page of a suite at its shared setting: a sentence on what it was tuned to besides."""
    told = "" if study.tuned is not None else others(study, store)
    return [f"This suite was also trained with each variant tuned, in this workspace: {told}."] if told else []
