"""The effects of several suites beside each other: every row's difference to its reference, suite by suite."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablations.statistics.comparison import FEWEST
from report.figures import BLUE, GREY, interval_line, stacked
from report.names import Stack, wrapped
from report.rows import Reading, Row
from report.wording import divergence_text

WIDEST = 40
"""Characters in a line of a name or a title."""


def overview_figure(readings: Sequence[Reading]) -> Figure:
    """A figure as high as the suites have differences, with ``overview`` in it; made inside ``report.figures.style``."""
    figure = Figure(figsize=(7.2, 1.2 + _stack(_lines(readings)).height), layout="constrained")
    overview(figure.subplots(), readings)
    return figure


def overview(ax: Axes, readings: Sequence[Reading]) -> Axes:
    """A line a row, under its suite's title: the mean difference with the interval that covers together with those of its own suite, below
    three pairs the mean alone, and without a pair how many seeds diverged. The band ±δ lies under each suite; the axis follows intervals as
    far as twice the greatest difference."""
    lines = _lines(readings)
    limit, stack = _limit(lines), _stack(lines)
    cut, above = False, 0.0
    for (reading, row), y in zip(lines, stack.at, strict=True):
        bottom = above + 2 * (y - above)
        if row is None:
            ax.text(-limit, y, f" {_title(reading)}".replace("\n", "\n "), fontweight="bold", va="center", fontsize=8.5)
        else:
            assert row.comparison is not None
            delta = reading.study.delta
            ax.fill_between([-delta, delta], above, bottom, color="#EEEEEE", linewidth=0, zorder=0)
            if span := _ends(row):
                cut |= interval_line(ax, (span[0], span[1]), y, BLUE, (-limit, limit), 1.2)
            face = BLUE if row.comparison.n >= FEWEST else "white"
            if row.comparison.mean is None:
                ax.text(0, y, f" {divergence_text(row.comparison)}", color=BLUE, va="center", fontsize=8)
            else:
                ax.plot([row.comparison.mean], [y], "s", color=BLUE, mfc=face, markersize=5, zorder=3)
        above = bottom
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0.5)
    ax.set_xlim(-limit, limit)
    shown = [place for place, (_, row) in enumerate(lines) if row is not None]
    ticks = Stack(tuple(stack.names[place] for place in shown), tuple(stack.at[place] for place in shown), stack.height)
    stacked(ax, ticks, fontsize=8)
    note = "\narrow: the interval goes on beyond the axis" if cut else ""
    ax.set_xlabel(f"Difference in top-1 error (points); band: ±δ\nhollow: fewer than three pairs{note}")
    return ax


Line = tuple[Reading, Row | None]
"""A suite's title, or one of its rows."""


def _lines(readings: Sequence[Reading]) -> list[Line]:
    """The lines of the figure, suite by suite."""
    shown = [(reading, _shown(reading)) for reading in readings]
    return [(reading, row) for reading, rows in shown if rows for row in (None, *rows)]


def _stack(lines: Sequence[Line]) -> Stack:
    return Stack.of([_title(reading) if row is None else _name(row) for reading, row in lines])


def _title(reading: Reading) -> str:
    return wrapped(reading.study.title, WIDEST)


def _name(row: Row) -> str:
    assert row.comparison is not None
    name, count = wrapped(f"{row.variant} − {row.reference},", WIDEST), f"n = {row.comparison.n}"
    gap = " " if len(name.rpartition("\n")[2]) + len(count) < WIDEST else "\n"
    return f"{name}{gap}{count}"


def _limit(lines: Sequence[Line]) -> float:
    """Where the axis ends."""
    rows = [row for _, row in lines if row is not None]
    greatest = [abs(row.comparison.mean) for row in rows if row.comparison and row.comparison.mean is not None]
    reach = max([reading.study.delta for reading, _ in lines] + greatest, default=1.0)
    ends = [abs(end) for row in rows for end in _ends(row)]
    return 1.06 * max(reach, min(max(ends, default=reach), 2 * reach))


def _shown(reading: Reading) -> list[Row]:
    """The rows with a difference, and those without one because seeds diverged."""
    found = [(row, row.comparison) for row in reading.rows() if row.comparison is not None and row.same_as is None]
    return [row for row, one in found if one.mean is not None or one.divergence is not None]


def _ends(row: Row) -> tuple[float, ...]:
    one = row.comparison
    if one is None or one.n < FEWEST or one.all.low is None or one.all.high is None:
        return ()
    return one.all.low, one.all.high
