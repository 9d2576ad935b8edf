"""The effects of several suites beside each other: every row's difference to its reference, suite by suite."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from report.figures import BLUE, GREY, interval_line, short
from report.rows import Reading, Row


def overview_figure(readings: Sequence[Reading]) -> Figure:
    """A figure as high as the suites have differences, with ``overview`` in it; made inside ``report.figures.style``."""
    lines = sum(len(_shown(reading)) + 1 for reading in readings)
    figure = Figure(figsize=(7.2, 1.0 + 0.24 * lines), layout="constrained")
    overview(figure.subplots(), readings)
    return figure


def overview(ax: Axes, readings: Sequence[Reading]) -> Axes:
    """A line a row, under its suite's title: the mean difference with the interval that covers together with those of its own suite, below
    three pairs the mean alone. The band ±δ lies under each suite; the axis follows intervals as far as twice the greatest difference."""
    shown = [(reading, rows) for reading in readings if (rows := _shown(reading))]
    greatest = [abs(row.comparison.mean) for _, rows in shown for row in rows if row.comparison and row.comparison.mean is not None]
    ends = [abs(end) for _, rows in shown for row in rows for end in _ends(row)]
    reach = max([reading.study.delta for reading, _ in shown] + greatest, default=1.0)
    limit = 1.06 * max(reach, min(max(ends, default=reach), 2 * reach))
    y, ticks, names, cut = 0, [], [], False
    for reading, rows in shown:
        ax.text(-limit, y, " " + short(reading.study.title, 90), fontweight="bold", va="center", fontsize=8.5)
        delta = reading.study.delta
        ax.fill_between([-delta, delta], y + 0.5, y + len(rows) + 0.5, color="#EEEEEE", linewidth=0, zorder=0)
        for row in rows:
            y += 1
            assert row.comparison is not None and row.comparison.mean is not None
            if span := _ends(row):
                cut |= interval_line(ax, (span[0], span[1]), y, BLUE, (-limit, limit), 1.2)
            filled = row.comparison.n >= 3
            ax.plot([row.comparison.mean], [y], "s", color=BLUE, mfc=BLUE if filled else "white", markersize=5, zorder=3)
            ticks.append(y)
            names.append(f"{short(f'{row.variant} − {row.reference}')}, n = {row.comparison.n}")
        y += 1
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0.5)
    ax.set(xlim=(-limit, limit), ylim=(y - 0.4, -0.7))
    ax.set_yticks(ticks, names, fontsize=8)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    note = "\narrow: the interval goes on beyond the axis" if cut else ""
    ax.set_xlabel(f"Difference in top-1 error (points); band: ±δ; hollow: fewer than three pairs{note}")
    return ax


def _shown(reading: Reading) -> list[Row]:
    return [row for row in reading.rows() if row.comparison and row.comparison.mean is not None and row.same_as is None]


def _ends(row: Row) -> tuple[float, ...]:
    one = row.comparison
    if one is None or one.n < 3 or one.all.low is None or one.all.high is None:
        return ()
    return one.all.low, one.all.high
