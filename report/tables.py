"""Rows as text: the error table in Markdown, the small table for the terminal, and the words for numbers that both use.

One rule for digits: the half-width of an interval is rounded to two significant digits, but to no more than two decimals, and the number
that it belongs to is given as many; a number without an interval has two decimals.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby

import pandas as pd

from ablations.published import published
from ablations.statistics import Estimate
from ablations.study import Study
from report.rows import Row

NONE = "–"
"""What stands in a cell without a number."""


def plain(text: object) -> str:
    """Any text as one line of Markdown that shows exactly these characters, also inside a table."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#|~!$&^])", r"\\\1", " ".join(str(text).split()))
    return re.sub(r"^\d+(?=[.)](?: |$))|^(?=[-+=])", r"\g<0>\\", escaped)  # what would begin a list or underline a heading


def decimals(half_width: float | None) -> int:
    """How many decimals a number with this half-width is given (see the top of this file)."""
    if not half_width:
        return 2
    return min(2, max(0, 1 - math.floor(math.log10(half_width))))


def number(value: float, places: int, sign: bool = False) -> str:
    """A number with a true minus sign, on request with a plus sign too; a rounded zero has neither."""
    text = f"{value:+.{places}f}" if sign else f"{value:.{places}f}"
    zero = not re.search("[1-9]", text)
    return text.lstrip("+-") if zero else text.replace("-", "−")


def error_text(error: Estimate) -> str:
    """ "5.21 ± 0.34", without the half-width below two seeds."""
    if error.mean is None:
        return NONE
    places = decimals(error.half_width)
    spread = "" if error.half_width is None else f" ± {number(error.half_width, places)}"
    return number(error.mean, places) + spread


def difference_text(difference: Estimate | None) -> str:
    """ "+0.42 [+0.10, +0.74]", without the interval below two pairs."""
    if difference is None or difference.mean is None:
        return NONE
    places = decimals(difference.half_width)
    mean = number(difference.mean, places, sign=True)
    if difference.low is None or difference.high is None:
        return mean
    return f"{mean} [{number(difference.low, places, sign=True)}, {number(difference.high, places, sign=True)}]"


def macs_text(macs: int) -> str:
    """Multiply-adds in millions, "41.2 M"."""
    return f"{macs / 1e6:,.1f} M"


def widths_text(widths: Iterable[int]) -> str:
    """Hidden widths in the order of the network, repetitions once: "4, 8, 16"."""
    return ", ".join(str(width) for width, _ in groupby(widths)) or NONE


def error_name(study: Study) -> str:
    """What is measured: "Top-1 error (%)", or the held-out one where the test set was not read."""
    return "Held-out top-1 error (%)" if study.data.evaluated_on == "holdout" else "Top-1 error (%)"


def frame(study: Study, rows: Sequence[Row]) -> pd.DataFrame:
    """The error table as text, one column a heading; the paper's columns stand where the study redraws a table."""
    columns = {
        "Variant": [variant_text(row) for row in rows],
        "Hidden widths": [widths_text(row.hidden_widths) for row in rows],
        "Parameters": [f"{row.parameters:,}" for row in rows],
        "MACs": [macs_text(row.macs) for row in rows],
        "n": [row.count for row in rows],
        error_name(study): [error_text(row.error) for row in rows],
        **_differences(rows),
    }
    table = published(study.table)
    if table is not None:
        where = f"Paper: {plain(table.data)}, {plain(table.network)}"
        columns[f"{where}, top-1 error (%)"] = [NONE if row.published is None else str(row.published) for row in rows]
        columns[f"{where}, difference (points)"] = [_paper_difference(row) for row in rows]
    return pd.DataFrame(columns)


def _differences(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The column of differences, headed with the reference; where rows have several, a column names each row's own."""
    texts = ["reference" if row.is_reference else _paired(row) for row in rows]
    shared = one_reference(rows)
    if shared is not None:
        return {f'Difference to "{plain(shared)}" (points)': texts}
    return {"Compared with": [NONE if row.is_reference else plain(row.reference) for row in rows], "Difference (points)": texts}


def one_reference(rows: Sequence[Row]) -> str | None:
    """The reference that all rows share, or None where there are several."""
    names = {row.reference for row in rows}
    return names.pop() if len(names) == 1 else None


def _paired(row: Row) -> str:
    """The difference, with its number of pairs where that is not the row's own n."""
    pairs = row.difference.n if row.difference else 0
    return difference_text(row.difference) + (f" (n = {pairs})" if 0 < pairs != row.error.n else "")


def variant_text(row: Row) -> str:
    """The variant's name as Markdown text, with its twin where both are one network, and a dagger where its trials are a mixture."""
    twin = f" (same network as {plain(row.same_as)})" if row.same_as else ""
    return plain(row.variant) + twin + (" †" if row.mixed else "")


def _paper_difference(row: Row) -> str:
    difference: Decimal | None = row.published_difference
    if difference is None:
        return "reference" if row.is_reference and row.published is not None else NONE
    return number(float(difference), max(0, -int(difference.as_tuple().exponent)), sign=True)


def markdown(study: Study, rows: Sequence[Row]) -> str:
    """The error table in Markdown."""
    return aligned(frame(study, rows), words=("Variant", "Hidden widths", "Compared with"))


def signal(rows: Sequence[Row]) -> str | None:
    """Scale at the start and dead gates as a table in Markdown; None where neither was looked at."""
    if all(row.start is None and row.dead_gates is None for row in rows):
        return None
    stems = {row.variant: row.start.stem_gradient for row in rows if row.start}
    columns = {
        "Variant": [plain(row.variant) for row in rows],
        "Stem gradient at the start": [f"{row.start.stem_gradient:.3g}" if row.start else NONE for row in rows],
        "Against the reference's": [_times(stems.get(row.variant), stems.get(row.reference)) for row in rows],
        "Dead gates at the start (%)": [_percent(row.start.dead_gates if row.start else None) for row in rows],
        "Dead gates after training (%)": [_percent(row.dead_gates) for row in rows],
    }
    return aligned(pd.DataFrame(columns), words=("Variant",))


def _times(value: float | None, reference: float | None) -> str:
    return NONE if value is None or not reference else f"× {value / reference:.2g}"


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}"


def aligned(table: pd.DataFrame, words: Sequence[str]) -> str:
    """A table of texts in Markdown, the columns of words to the left and those of numbers to the right."""
    sides = ["left" if column in words else "right" for column in table.columns]
    text: str = table.to_markdown(index=False, disable_numparse=True, colalign=sides)
    return text


def fixed_width(study: Study, rows: Sequence[Row]) -> str:
    """Variant, n, error and difference in columns of the width of their content, for a terminal."""
    shared = one_reference(rows)
    headings = ("Variant", "n", error_name(study), f'Difference to "{shared}"' if shared else "Difference")
    lines = [headings, *(_terminal_line(row, named=shared is None) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _terminal_line(row: Row, named: bool) -> tuple[str, str, str, str]:
    difference = "reference" if row.is_reference else difference_text(row.difference)
    if named and not row.is_reference:
        difference += f" to {' '.join(row.reference.split())}"
    return " ".join(row.variant.split()), row.count, error_text(row.error), difference
