"""The figures of a report: a dot a seed with means and intervals, and training curves. The same numbers give the same bytes.

Functions that draw take axes and return them, so that other pages can put them side by side.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ablations.statistics.comparison import Comparison
from report.names import Stack, height, legend_name, wrapped
from report.rows import Curve, Row

BLUE, RED, GREY = "#0072B2", "#D55E00", "#666666"
COLOURS = (BLUE, RED, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The palette of Okabe and Ito, told apart by the colour-blind."""
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
"""A line style beside each colour tells lines apart in grey; 7 colours and 5 styles make 35 different lines."""
LEAST_SPAN = 0.4
"""Percentage points that the axis of errors shows at least, so that noise of a few images does not fill the page."""
FLOOR = 0.01
"""Training errors (%) below this are drawn here: a logarithmic axis has no zero."""
DOTS, MEAN, EQUAL = 0.042, -0.058, 0.05
"""Inches from the middle of a row to its dots and to its mean, and between dots of one value."""


@contextmanager
def style() -> Iterator[None]:
    """The one look of all figures, readable in grey; text is drawn as paths so that no viewer's fonts change it."""
    look: Any = {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.parse_math": False,  # a dollar sign in a name is a dollar sign
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "axes.axisbelow": True,
        "grid.color": "#DDDDDD",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "svg.fonttype": "path",
        "svg.hashsalt": "report",
    }
    with mpl.rc_context(look):
        yield


@dataclass(frozen=True)
class Drawing:
    """A drawn figure, without dates or versions in its bytes; None is what was not asked for.

    ``svg`` and ``png`` look the same everywhere. ``live`` is an SVG whose text is text, for where DejaVu Sans is at hand: in a PDF it
    can be searched and copied.
    """

    svg: bytes | None = None
    png: bytes | None = None
    live: bytes | None = None


def drawn(figure: Figure, formats: Collection[str] = ("md",)) -> Drawing:
    """Draw a figure as these formats of a page need it; made and drawn inside ``style``."""
    layout = figure.get_layout_engine()
    if layout is not None:  # found once, or each file would be drawn twice
        layout.execute(figure)
        figure.set_layout_engine(None)
    svg = _svg(figure) if {"md", "html"} & set(formats) else None
    if "pdf" not in formats:
        return Drawing(svg, _png(figure) if "md" in formats else None)
    with mpl.rc_context({"svg.fonttype": "none"}):
        live = _svg(figure)
    return Drawing(svg, _png(figure) if "md" in formats else None, live)


def _svg(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=160, metadata={"Software": None})
    return file.getvalue()


def dots_figure(rows: Sequence[Row], label: str) -> Figure:
    """A figure as high as it has rows, with ``dots`` in it; made inside ``style``."""
    figure = Figure(figsize=(7.2, 1.1 + _row_stack(rows).height), layout="constrained")
    dots(figure.subplots(), rows, label)
    return figure


def differences_figure(found: Sequence[Comparison], delta: float) -> Figure:
    """A figure as high as it has comparisons, with ``differences`` in it; made inside ``style``."""
    figure = Figure(figsize=(7.2, 1.1 + _pair_stack(found).height), layout="constrained")
    differences(figure.subplots(), found, delta)
    return figure


def curves_figure(found: Sequence[Curve], reference: str) -> Figure:
    """A figure with ``curves`` in it; made inside ``style``."""
    figure = Figure(figsize=(7.2, max(3.8, 0.25 + height(legend_name(curve.variant) for curve in found))), layout="constrained")
    curves(figure.subplots(), found, reference)
    return figure


def dots(ax: Axes, rows: Sequence[Row], label: str = "Top-1 error (%)") -> Axes:
    """One dot a seed and, above it, the mean with its interval; a line marks the mean of a reference that all rows share, an arrow an
    interval that goes on.

    The axis is made for the dots: it follows an interval only as far as half the dots' own range on either side.
    """
    low, high = _limits(rows)
    cut, shared, stack = False, len({row.reference for row in rows}) == 1, _row_stack(rows)
    for y, row in zip(stack.at, rows, strict=True):
        colour = RED if row.is_reference else BLUE
        errors = list(row.errors.values())
        heights = [y + DOTS + EQUAL * errors[:index].count(error) for index, error in enumerate(errors)]  # equal ones below each other
        ax.plot(errors, heights, "o", color=colour, alpha=0.6, markersize=4.5, mew=0)
        cut |= _mean(ax, row, y + MEAN, colour, (low, high))
        if shared and row.is_reference and row.error.mean is not None:
            ax.axvline(row.error.mean, color=RED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.5)
    ax.set_xlim(low, high)
    stacked(ax, stack)
    ax.set_xlabel(label + ("\narrow: the interval goes on beyond the axis" if cut else ""))
    return ax


def _row_stack(rows: Sequence[Row]) -> Stack:
    return Stack.of([f"{wrapped(row.named)}\n{wrapped(f'n = {row.count}')}" for row in rows])


def _pair_stack(found: Sequence[Comparison]) -> Stack:
    return Stack.of([f"{wrapped(f'{one.variant} − {one.reference}')}\nn = {one.n}" for one in found])


def stacked(ax: Axes, stack: Stack, **look: Any) -> None:
    """Names below each other as the rows of a figure, with lines for the values only."""
    ax.set_ylim(stack.height, 0)
    ax.set_yticks(stack.at, stack.names, **look)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    errors = [error for row in rows for error in row.errors.values()]
    if not errors:
        return 0.0, 100.0
    centre, span = (min(errors) + max(errors)) / 2, max(max(errors) - min(errors), LEAST_SPAN)
    lows = [row.error.low for row in rows if row.error.low is not None]
    highs = [row.error.high for row in rows if row.error.high is not None]
    least, most = min([*lows, centre - span / 2]), max([*highs, centre + span / 2])
    margin = 0.06 * span
    return max(0.0, least - margin, centre - span), min(100.0, most + margin, centre + span)


def _mean(ax: Axes, row: Row, y: float, colour: str, limits: tuple[float, float]) -> bool:
    """Draw a mean and its interval inside the limits; return whether some of the interval lies outside."""
    mean, low, high = row.error.mean, row.error.low, row.error.high
    if mean is None:
        return False
    ax.plot([mean], [y], "D" if row.is_reference else "s", color=colour, markersize=5, zorder=3)
    return low is not None and high is not None and interval_line(ax, (low, high), y, colour, limits)


def interval_line(ax: Axes, ends: tuple[float, float], y: float, colour: str, limits: tuple[float, float], width: float = 1.4) -> bool:
    """A line from end to end, with an arrow where it goes on beyond the limits; returns whether it does so."""
    (low, high), (least, most) = ends, limits
    if high < least or low > most:
        return True
    ax.plot([max(low, least), min(high, most)], [y, y], color=colour, linewidth=width, solid_capstyle="butt")
    inset = 0.012 * (most - least)  # so that an arrow's head lies inside the axis
    ax.plot([low if low >= least else least + inset], [y], "|" if low >= least else "<", color=colour, markersize=6, zorder=3)
    ax.plot([high if high <= most else most - inset], [y], "|" if high <= most else ">", color=colour, markersize=6, zorder=3)
    return low < least or high > most


def differences(ax: Axes, found: Sequence[Comparison], delta: float, unit: str = "Difference in top-1 error (points)") -> Axes:
    """Mean differences over the band ±``delta``, each with its own interval (thick) and the one that covers with all others (thin).

    The axis follows the thin intervals only as far as twice what the thick ones and the band take.
    """
    reach = max([delta, *(abs(end) for one in found for end in (one.own.low, one.own.high, one.mean) if end is not None)])
    wide = max([reach, *(abs(end) for one in found for end in (one.all.low, one.all.high) if end is not None)])
    limit = 1.06 * min(wide, 2 * reach)
    cut, stack = False, _pair_stack(found)
    ax.axvspan(-delta, delta, color="#EEEEEE", linewidth=0, zorder=0)
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0.5)
    for y, one in zip(stack.at, found, strict=True):
        assert one.mean is not None, "only comparisons with a pair are drawn"
        if one.all.low is not None and one.all.high is not None:
            cut |= interval_line(ax, (one.all.low, one.all.high), y, BLUE, (-limit, limit), 0.9)
        if one.own.low is not None and one.own.high is not None:
            ax.plot([one.own.low, one.own.high], [y, y], color=BLUE, linewidth=3, solid_capstyle="butt")
        ax.plot([one.mean], [y], "s", color=BLUE, markersize=6, mec="white", mew=0.8, zorder=3)
    ax.set_xlim(-limit, limit)
    stacked(ax, stack)
    ax.set_xlabel(f"{unit}; band: ±{delta:g}" + ("\narrow: the interval goes on beyond the axis" if cut else ""))
    return ax


def curves(ax: Axes, found: Sequence[Curve], reference: str) -> Axes:
    """Mean training error after each epoch with a band from the least to the greatest seed; the reference's line is the heavier."""
    lines: list[Line2D] = []
    for curve, colour, dashes in zip(found, cycle(COLOURS), cycle(DASHES), strict=False):
        epochs = range(1, len(curve.mean) + 1)
        low, mean, high = (values.clip(min=FLOOR) for values in (curve.low, curve.mean, curve.high))
        ax.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
        width, marker = 2.2 if curve.variant == reference else 1.3, "o" if len(mean) == 1 else None
        lines += ax.plot(epochs, mean, marker=marker, color=colour, linestyle=dashes, linewidth=width)
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="y")
    ax.set(xlabel="Epoch", ylabel="Training top-1 error (%)")
    names = [legend_name(curve.variant) for curve in found]
    ax.legend(lines, names, loc="upper left", bbox_to_anchor=(1.01, 1), handlelength=3.2)
    return ax
