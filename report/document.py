"""A study's page: question, recipe, error table, figures, claims, holes and provenance, as Markdown with PNG and SVG beside it.

The same study and trials give the same bytes. Jinja's own escaping is for HTML and stays off: every text that comes from outside (names,
notes, reasons) passes the filter ``plain``, which makes it Markdown that shows exactly those characters.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from ablations.published import published
from ablations.statistics import Estimate
from ablations.store import Store
from ablations.study import Study
from ablations.suite import Claim, Contrast
from report.figures import curves_figure, dots_figure, save, style
from report.recipe import recipe
from report.rows import Reading, Row, read
from report.tables import aligned, difference_text, error_name, error_text, fixed_width, markdown, number, one_reference, plain, signal
from senet_core.errors import InputError
from senet_core.files import publish_text

FEWEST = 3
"""Below this many pairs, differences are shown and nothing is said of them."""
DIRECTIONS = {"better": "a lower error", "worse": "a higher error", "equivalent": "no difference that matters"}


def write(study_name: str, store: Store, out: Path) -> Path:
    """Write ``out/<study>/report.md`` and its figures; return the page's path. Holes are shown, not refused.

    :raises InputError: if there is no such study, or the folder cannot be written.
    """
    study = store.study(study_name)
    reading = read(study, store)
    folder = out / study_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figures = _figures(reading, folder)
        publish_text(folder / "report.md", _page(reading, figures))
    except OSError as error:
        raise InputError(f"Cannot write the report into '{folder}': {error.strerror}.") from None
    return page(study_name, out)


def page(study_name: str, out: Path) -> Path:
    """Where ``write`` puts a study's page."""
    return out / study_name / "report.md"


def summary(study: Study, store: Store) -> str:
    """The error table in a few columns of fixed width, for the end of a run in a terminal."""
    return fixed_width(study, read(study, store).rows())


def _page(reading: Reading, figures: Sequence[tuple[str, str]]) -> str:
    study, rows = reading.study, reading.rows()
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["plain"] = plain
    return templates.get_template("report.md.j2").render(
        study=study,
        paper=published(study.table),
        headline=headline(study, rows),
        table=markdown(study, rows),
        mixed=list(dict.fromkeys(name for row in rows for name in row.mixed)),
        correlation=_correlation(reading),
        few=any(_few(row.difference) for row in rows),
        figures=figures,
        signal=signal(rows),
        recipe=recipe(study),
        claims=[(claim.text, _directions(reading, claim)) for claim in study.claims],
        finished=any(row.errors for row in rows),
        holes=reading.holes(),
        command=command(study, any(cell.state == "failed" for cell in reading.holes())),
        unfinished=any(cell.state != "diverged" for cell in reading.holes()),
        provenance=reading.provenance(),
        keys=_keys(reading, rows),
    )


def _figures(reading: Reading, folder: Path) -> list[tuple[str, str]]:
    """Draw what there is to draw; return the (caption, file stem) of each figure."""
    rows, curves, study = reading.rows(), reading.curves(), reading.study
    drawn = []
    with style():
        if any(row.errors for row in rows):
            save(dots_figure(rows, error_name(study)), folder / "errors")
            drawn.append(("Each dot is a seed; the square or diamond is their mean with its 95 % interval.", "errors"))
        if curves:
            save(curves_figure(curves, study.reference), folder / "curves")
            drawn.append(("Training error after each epoch: the mean over seeds, and a band from the least to the greatest.", "curves"))
    return drawn


def headline(study: Study, rows: Sequence[Row]) -> str:
    """What was measured (Markdown): the reference's error, and the differences to it with their intervals; no verdict."""
    reference = next(row for row in rows if row.variant == study.reference)
    if reference.error.mean is None:
        return f'No trial of the reference "{plain(study.reference)}" has finished, so there are no differences yet.'
    images = (
        f"{study.data.evaluated:,} {'held-out' if study.data.evaluated_on == 'holdout' else 'test'} images of {plain(study.data.label)}"
    )
    opening = f'The reference "{plain(study.reference)}" errs on {error_text(reference.error)} % of the {images} (n = {reference.count})'
    others = [row for row in rows if row.difference and row.difference.mean is not None and row.same_as is None]
    if others and one_reference(rows) is None:
        return f"{opening}. The paired difference of a row to its own reference, in points, has {_compared(others, True)}.{_diverged(rows)}"
    if not others:
        return f"{opening}; no other variant has finished a trial at the same seeds.{_diverged(rows)}"
    return f"{opening}, and the paired difference to it, in points, has {_compared(others)}.{_diverged(rows)}"


def _diverged(rows: Sequence[Row]) -> str:
    """A sentence on the arms that diverged: their means, if any, are over the seeds that did not."""
    told = [f"{plain(row.variant)} ({row.states['diverged']} of {sum(row.states.values())})" for row in rows if row.states.get("diverged")]
    return f" Diverged, and counted but not averaged: {', '.join(told)}." if told else ""


def _compared(others: Sequence[Row], named: bool = False) -> str:
    kinds: dict[str, list[str]] = {
        "an interval that excludes 0 for": [],
        "an interval that includes 0 for": [],
        f"fewer than {FEWEST} seeds for": [],
    }
    excludes, includes, few = kinds.values()
    for row in others:
        kind = few if _few(row.difference) else excludes if _resolved(row.difference) else includes
        to = f" against {plain(row.reference)}" if named else ""
        kind.append(f"{plain(row.variant)}{to} ({difference_text(row.difference)})")
    return ", and ".join(f"{words} {'; '.join(told)}" for words, told in kinds.items() if told)


def _few(difference: Estimate | None) -> bool:
    return difference is not None and difference.n < FEWEST


def _resolved(difference: Estimate | None) -> bool:
    return difference is not None and not _few(difference) and difference.excludes_zero


def _directions(reading: Reading, claim: Claim) -> list[str]:
    return [_told(contrast, reading.difference(contrast), _divergences(contrast, reading.rows())) for contrast in claim.contrasts]


def _divergences(contrast: Contrast, rows: Sequence[Row]) -> str:
    """How many seeds diverged on each side of a contrast, in words; empty where none did."""
    counts = {row.variant: row.states.get("diverged", 0) for row in rows}
    sides = [f"{counts[name]} of {plain(name)}" for name in (contrast.variant, contrast.reference) if counts.get(name)]
    return " and ".join(sides)


def _told(contrast: Contrast, difference: Estimate, diverged: str) -> str:
    """One contrast as a sentence (Markdown): what is expected, what was observed, and whether the directions agree.

    Where an arm ``diverged`` the finished seeds do not speak for it, so no direction is told.
    """
    pair = f"{plain(contrast.variant)} against {plain(contrast.reference)}: expected is {DIRECTIONS[contrast.expect]}"
    if diverged:
        rest = "" if difference.mean is None else f"; the other seeds: {difference_text(difference)} points (n = {difference.n})"
        return f"{pair}; seeds that diverged: {diverged}{rest}: **not resolved**"
    if difference.mean is None:
        return f"{pair}; nothing was measured yet"
    observed = f"observed {difference_text(difference)} points (n = {difference.n})"
    return f"{pair}, {observed}: **{direction(contrast, difference)}**"


def direction(contrast: Contrast, difference: Estimate) -> str:
    """The direction observed against the one expected; "not resolved" where the interval includes 0, or below 3 pairs."""
    if not _resolved(difference) or difference.mean is None:
        return "not resolved"
    if contrast.expect == "equivalent":
        return "lower error is seen" if difference.mean < 0 else "higher error is seen"
    return "direction agrees" if (difference.mean < 0) == (contrast.expect == "better") else "direction is reversed"


def command(study: Study, failed: bool = False) -> str:
    """The command that goes on where the study has holes; what has ``failed`` is tried again only when asked."""
    options = [option for path, value in study.overrides.items() for option in (f"--{path}", _argument(value))]
    again = ["--retry-failed"] if failed else []
    return shlex.join(["ablate", "run", study.suite, "--preset", study.preset, *options, "--seed-list", ",".join(study.seeds), *again])


def _argument(value: Any) -> str:
    """A recipe value as the command line reads it back: words as they are, all else as JSON."""
    words = (
        isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.-]*", value) and value not in ("true", "false", "null", "NaN", "Infinity")
    )
    return str(value) if words else json.dumps(value)


def _correlation(reading: Reading) -> str | None:
    correlation = reading.seed_correlation()
    return None if correlation is None else number(correlation, 2)


def _keys(reading: Reading, rows: Sequence[Row]) -> str:
    """The trial's key of every variant and seed, with what is stored where it is no result."""
    told = {(c.variant, c.seed): f"`{c.key}`" + ("" if c.state == "done" else f" {c.state}") for c in reading.cells}
    columns: dict[str, list[str]] = {"Variant": [plain(row.variant) for row in rows]}
    columns |= {f"seed {plain(seed)}": [told[row.variant, seed] for row in rows] for seed in reading.study.seeds}
    return aligned(pd.DataFrame(columns), words=tuple(columns))
