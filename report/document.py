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

from ablations.claims import Answer
from ablations.comparison import FEWEST
from ablations.published import published
from ablations.store import Store
from ablations.study import Study
from report.checks import checks
from report.figures import curves_figure, differences_figure, dots_figure, save, style
from report.noise import by_images, by_source
from report.numbers import NONE, plain
from report.recipe import recipe
from report.rows import Reading, Row, read
from report.tables import aligned, comparisons, error_name, fixed_width, markdown, signal
from report.wording import claim_text, headline, part_text, quotation, seeds_text
from senet_core.errors import InputError
from senet_core.files import publish_text

_DIFFERENCES = (
    "Differences in top-1 error: the mean over paired seeds, its own 95 % interval (thick), the interval that covers together with all "
    "others (thin), and ±{delta}, the difference that does not matter (band)."
)


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
        publish_text(folder / "report.md", _page(reading, store, figures))
    except OSError as error:
        raise InputError(f"Cannot write the report into '{folder}': {error.strerror}.") from None
    return page(study_name, out)


def page(study_name: str, out: Path) -> Path:
    """Where ``write`` puts a study's page."""
    return out / study_name / "report.md"


def summary(study: Study, store: Store) -> str:
    """The error table in a few columns of fixed width, for the end of a run in a terminal."""
    return fixed_width(study, read(study, store).rows())


def _page(reading: Reading, store: Store, figures: Sequence[tuple[str, str]]) -> str:
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
        family=reading.verdicts.comparisons.family,
        delta=f"{study.delta:g}",
        checks=checks(reading),
        by_images=by_images(reading, store),
        by_source=by_source(reading, store),
        few=any(row.comparison is not None and row.comparison.n < FEWEST for row in rows),
        figures=figures,
        signal=signal(rows),
        recipe=recipe(study),
        comparisons=comparisons(reading),
        claims=[_claim(reading, answer) for answer in reading.verdicts.claims()],
        seeds=seeds_text(reading),
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
        compared = [one for one in reading.verdicts.comparisons.found if one.mean is not None and one.n >= FEWEST]
        if compared:
            save(differences_figure(compared, study.delta), folder / "differences")
            drawn.append((_DIFFERENCES.format(delta=f"{study.delta:g}"), "differences"))
        if curves:
            save(curves_figure(curves, study.reference), folder / "curves")
            drawn.append(("Training error after each epoch: the mean over seeds, and a band from the least to the greatest.", "curves"))
    return drawn


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


def _claim(reading: Reading, answer: Answer) -> tuple[str, list[str], str | None]:
    """A claim's line, one for each of its comparisons, and the sentence to quote."""
    return claim_text(answer), [part_text(reading, part) for part in answer.parts], quotation(reading, answer)


def _keys(reading: Reading, rows: Sequence[Row]) -> str:
    """The trial's key of every variant and seed, with what is stored where it is no result."""
    told = {(c.variant, c.seed): f"`{c.key}`" + ("" if c.state == "done" else f" {c.state}") for c in reading.cells}
    columns: dict[str, list[str]] = {"Variant": [plain(row.variant) for row in rows]}
    columns |= {f"seed {plain(seed)}": [told.get((row.variant, seed), NONE) for row in rows] for seed in reading.study.seeds}
    return aligned(pd.DataFrame(columns), words=tuple(columns))
