"""Rows as tables: the error table in Markdown, the small one for the terminal, all comparisons, and what was looked at besides."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from tabulate import tabulate

from ablations.published import published
from ablations.statistics.comparison import FEWEST, Comparison
from ablations.statistics.rounding import NONE, difference_text, error_text, number, p_text, rounded_up, spoken_for
from ablations.study import Study
from report.numbers import macs_text, plain, widths_text
from report.rows import Reading, Row, one_reference
from report.wording import verdict_text


def error_name(study: Study) -> str:
    """What is measured: "Top-1 error (%)", or the held-out one where the test set was not read."""
    return "Held-out top-1 error (%)" if study.images.evaluated_on == "holdout" else "Top-1 error (%)"


def _columns(study: Study, rows: Sequence[Row]) -> dict[str, list[str]]:
    """The error table as text, {heading: cells}; the paper's columns stand where the study redraws a table (its caption
    names their data and network)."""
    columns = {
        "Variant": [variant_text(row) for row in rows],
        "Hidden widths": [widths_text(row.hidden_widths) for row in rows],
        "Parameters": [f"{row.parameters:,}" for row in rows],
        "MACs": [macs_text(row.macs) for row in rows],
        "n": [row.count for row in rows],
        error_name(study): [error_text(row.error) for row in rows],
        **(_differences(rows) if _compared(study, rows) else {}),
    }
    table = published(study.table)
    if table is not None:
        columns["Paper: top-1 error (%)"] = [NONE if row.published is None else str(row.published) for row in rows]
        columns["Paper: difference (points)"] = [_paper_difference(row) for row in rows]
    return columns


def _compared(study: Study, rows: Sequence[Row]) -> bool:
    """Whether rows have differences: those of crossed factors alone have none, because their effects are what is compared."""
    return not study.crossed or any(row.comparison is not None for row in rows)


def _differences(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The columns of differences and verdicts, headed with the reference; where rows have several, a column names each row's own."""
    texts = ["reference" if row.is_reference else _paired(row) for row in rows]
    verdicts = {"Smallest δ (points)": [smallest_delta(row.comparison) for row in rows]}
    verdicts |= {"Verdict": [NONE if row.is_reference else verdict_text(row.comparison, row.minutes) for row in rows]}
    shared = one_reference(rows)
    if shared is not None:
        return {f'Difference to "{plain(shared)}" (points)': texts} | verdicts
    return {"Compared with": [NONE if row.is_reference else plain(row.reference) for row in rows], "Difference (points)": texts} | verdicts


def _paired(row: Row) -> str:
    """The difference, with the interval that covers together with the others; with its number of pairs where that is not the row's own n.
    Below three pairs it stands without an interval."""
    one = row.comparison
    if one is None or one.mean is None:
        return NONE
    text = difference_text(one.all) if one.n >= FEWEST else number(one.mean, 2, sign=True)
    return text + (f" (n = {one.n})" if one.n != row.error.n else "")


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
    counts = () if all(row.count.isdecimal() for row in rows) else ("n",)  # "3, 1 diverged" is words
    return by_column(_columns(study, rows), words=("Variant", "Hidden widths", "Compared with", "Verdict", *counts))


def comparisons(reading: Reading) -> str | None:
    """All that the study declares to compare, in Markdown: each by itself and decided together; None where there is nothing to compare."""
    found = reading.verdicts.of_variants
    if not any(one.mean is not None or one.divergence for one in found):
        return None
    columns = {
        "Comparison": [f"{plain(one.variant)} − {plain(one.reference)}" for one in found],
        "Pairs": [str(one.n) for one in found],
        "Difference, 95 % for itself (points)": [difference_text(spoken_for(one.own)) for one in found],
        "p": [p_text(one.p) for one in found],
        "p (Holm)": [p_text(one.adjusted) for one in found],
        "Smallest δ (points)": [smallest_delta(one) for one in found],
        "Verdict": [verdict_text(one, reading.minutes(one)) for one in found],
    }
    return by_column(columns, words=("Comparison", "Verdict"))


def smallest_delta(one: Comparison | None) -> str:
    """The smallest δ of a comparison, rounded up, so that it is one; a dash where none would do, and below three pairs."""
    return NONE if one is None or one.smallest_delta is None or one.n < FEWEST else rounded_up(one.smallest_delta)


def signal(rows: Sequence[Row]) -> str | None:
    """Scale at the start and dead gates as a table in Markdown; None where neither was looked at."""
    if all(row.start is None and row.dead_gates is None for row in rows):
        return None
    stems = {row.variant: row.start.stem_gradient for row in rows if row.start}
    columns = {
        "Variant": [plain(row.variant) for row in rows],
        "Stem gradient at the start": [f"{row.start.stem_gradient:#.3g}".rstrip(".") if row.start else NONE for row in rows],
        "Against the reference's": [_times(stems.get(row.variant), stems.get(row.reference)) for row in rows],
        "Dead gates at the start (%)": [_percent(row.start.dead_gates if row.start else None) for row in rows],
        "Dead gates after training (%)": [_percent(row.dead_gates) for row in rows],
    }
    return by_column(columns, words=("Variant",))


def _times(value: float | None, reference: float | None) -> str:
    return NONE if value is None or not reference else f"× {value / reference:#.3g}".rstrip(".")


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}"


def by_column(columns: Mapping[str, Sequence[str]], words: Collection[str]) -> str:
    """A table in Markdown of texts by their headings; ``words`` names the columns of words."""
    return _markdown(list(columns), list(zip(*columns.values(), strict=True)), words)


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[str]) -> str:
    """The same of rows of texts."""
    return _markdown(head, rows, words)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[str]) -> str:
    """The columns of words to the left and those of numbers to the right."""
    sides = ["left" if heading in words else "right" for heading in head]
    return tabulate(rows, headers=head, tablefmt="pipe", disable_numparse=True, colalign=sides)


def fixed_width(study: Study, rows: Sequence[Row]) -> str:
    """Variant, n, error and difference in columns of the width of their content, for a terminal."""
    shared = one_reference(rows)
    headings = ("Variant", "n", error_name(study), f'Difference to "{shared}"' if shared else "Difference", "Verdict")
    lines = [headings, *(_terminal_line(row, named=shared is None) for row in rows)]
    return in_columns(lines if _compared(study, rows) else [line[:3] for line in lines])


def in_columns(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells in columns of the width of their content."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _terminal_line(row: Row, named: bool) -> tuple[str, str, str, str, str]:
    difference = "reference" if row.is_reference else _paired(row)
    if named and not row.is_reference:
        difference += f" to {' '.join(row.reference.split())}"
    verdict = "" if row.is_reference else verdict_text(row.comparison, row.minutes)
    return " ".join(row.variant.split()), row.count, error_text(row.error), difference, verdict
