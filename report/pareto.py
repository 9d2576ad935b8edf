"""Error against cost, with the Pareto front: which variants no other one beats in both."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from report.figures import COLOURS, GREY
from report.names import height, legend_name
from report.rows import Row

MARKERS = ("o", "s", "D", "^", "v", "P", "X")
"""Markers change with every point, so that they are told apart in grey; with 7 colours they make 49 different points."""


def front(rows: Sequence[Row]) -> list[Row]:
    """The rows on the Pareto front, by rising parameters: no other row has both fewer parameters and a lower mean error, and none equals
    one of the two and beats the other. Rows without an error, and null ablations, are left out."""
    left = sorted((row for row in rows if row.error.mean is not None and row.same_as is None), key=_place)
    found: list[Row] = []
    for row in left:
        if not found or _place(row)[1] < _place(found[-1])[1]:
            found.append(row)
    return found


def _place(row: Row) -> tuple[int, float]:
    assert row.error.mean is not None
    return row.parameters, row.error.mean


def pareto_figure(rows: Sequence[Row], label: str) -> Figure:
    """A figure with ``pareto`` in it; made inside ``report.figures.style``."""
    figure = Figure(figsize=(7.2, max(3.4, 0.25 + height(legend_name(row.named) for row in rows))), layout="constrained")
    pareto(figure.subplots(), rows, label)
    return figure


def pareto(ax: Axes, rows: Sequence[Row], label: str = "Top-1 error (%)") -> Axes:
    """Mean errors over parameters with their 95 % intervals, and the front as a stepped line; a null ablation is its twin's point.

    The axis of errors is made for the means: an interval that is wider runs out of it.
    """
    shown = [row for row in rows if row.error.mean is not None and row.same_as is None]
    means = [_place(row)[1] for row in shown]
    line = front(rows)
    ax.step([row.parameters for row in line], [_place(row)[1] for row in line], where="post", color=GREY, linewidth=1, zorder=1)
    for place, row in enumerate(shown):
        x, y = _place(row)
        marker, colour = MARKERS[place % len(MARKERS)], COLOURS[(place + place // len(MARKERS)) % len(COLOURS)]
        if row.error.low is not None and row.error.high is not None:
            ax.plot([x, x], [row.error.low, row.error.high], color=colour, linewidth=1, alpha=0.6, zorder=2)
        size = 8 if row.is_reference else 6
        ax.plot(
            [x], [y], marker, color=colour, markersize=size, mec="white", mew=0.6, zorder=3, label=legend_name(row.named), linestyle="none"
        )
    span = max(max(means) - min(means), 0.4)
    ax.set_ylim(max(0.0, min(means) - 0.6 * span), max(means) + 0.6 * span)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    sizes = [row.parameters for row in shown]
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _count(value, max(sizes) - min(sizes))))
    ax.grid(True)
    ax.set(xlabel="Parameters\nline: the Pareto front of the means", ylabel=label)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), numpoints=1, handletextpad=0.2)
    return ax


def _count(value: float, span: float) -> str:
    """A number of parameters; in full where it takes that to tell the ticks of a narrow range apart."""
    if span < 0.05 * value:
        return f"{value:,.0f}"
    return f"{value / 1e6:.3g} M" if value >= 1e6 else f"{value / 1e3:.3g} k" if value >= 1e3 else f"{value:g}"
