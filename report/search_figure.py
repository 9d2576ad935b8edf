"""The figure of a search: held-out error against cost, the Pareto front, and what lies behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ablations.search.front import front
from ablations.study import Search, SearchedDesign
from report.figures import BLUE, GREY, RED

UNITS = {"parameters": "Parameters", "macs": "Multiply-adds of one image"}


def search_figure(search: Search) -> Figure:
    """A figure with ``designs`` in it; made inside ``report.figures.style``."""
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    designs(figure.subplots(), search)
    return figure


def designs(ax: Axes, search: Search) -> Axes:
    """A dot for each design with the whole schedule, the front as a stepped line with the designs' numbers, crosses for what was stopped
    before (at the error of its last rung), a diamond for the default. The axis of errors is made for what had the whole schedule."""
    whole = [one for one in search.designs if one.state == "done" and one.errors[-1] is not None]
    best = front(search.designs)
    ax.step(*_places(best), where="post", color=BLUE, linewidth=1, zorder=1)
    for points, look in _looks(search, whole, best):
        if points:
            ax.plot(*_places(points), linestyle="none", mec="white" if look["marker"] != "x" else GREY, mew=0.6, **look)
    for one in (one for one in best if one.number > 0):
        ax.annotate(str(one.number), (one.cost, _error(one)), textcoords="offset points", xytext=(4, 4), fontsize=8, color=BLUE)
    errors = [_error(one) for one in whole]
    span = max(max(errors) - min(errors), 0.4)
    ax.set_ylim(max(0.0, min(errors) - 0.15 * span), min(100.0, max(errors) + 0.15 * span))
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    ax.grid(True)
    ax.set(xlabel=UNITS[search.cost], ylabel="Held-out top-1 error (%)")
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), numpoints=1, handletextpad=0.2)
    return ax


def _looks(
    search: Search, whole: Sequence[SearchedDesign], best: Sequence[SearchedDesign]
) -> list[tuple[list[SearchedDesign], dict[str, Any]]]:
    """What is shown alike, from the back to the front, and how."""
    stopped = [one for one in search.designs if one.state == "stopped"]
    behind = [one for one in whole if one not in best and one.number > 0]
    return [
        (stopped, {"marker": "x", "color": GREY, "markersize": 4, "zorder": 1, "label": "stopped early, at\nthe error of its last rung"}),
        (behind, {"marker": "o", "color": GREY, "markersize": 5, "zorder": 2, "label": "dominated"}),
        ([one for one in best if one.number > 0], {"marker": "s", "color": BLUE, "markersize": 6, "zorder": 3, "label": "on the front"}),
        ([one for one in whole if one.number == 0], {"marker": "D", "color": RED, "markersize": 7, "zorder": 4, "label": "default"}),
    ]


def _places(found: Sequence[SearchedDesign]) -> tuple[list[int], list[float]]:
    return [one.cost for one in found], [_error(one) for one in found]


def _error(one: SearchedDesign) -> float:
    error = one.errors[-1]
    assert error is not None, "a design that diverged has no place"
    return error


def _short(value: float) -> str:
    return f"{value / 1e6:.4g} M" if abs(value) >= 1e6 else f"{value / 1e3:.4g} k" if abs(value) >= 1e3 else f"{value:g}"
