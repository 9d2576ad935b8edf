"""The figure of a search: held-out error against cost, the Pareto front, and beside it what was stopped on the first rung's schedule."""

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
    """A figure with ``designs`` in it, and below it ``first_rung`` where designs were stopped; made inside ``report.figures.style``."""
    if not stopped(search):
        figure = Figure(figsize=(7.2, 4.0), layout="constrained")
        designs(figure.subplots(), search)
        return figure
    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(5, 3))
    designs(upper, search)
    upper.set_xlabel("")
    first_rung(lower, search)
    return figure


def stopped(search: Search) -> bool:
    """Whether a design was stopped on a shorter schedule."""
    return any(one.state == "stopped" for one in search.designs)


def designs(ax: Axes, search: Search) -> Axes:
    """A dot for each design with the whole schedule, the front as a stepped line with the designs' numbers, a diamond for the default.

    Errors of shorter schedules are no errors of these, so designs that did not come so far have no place here.
    """
    whole = [one for one in search.designs if one.state == "done"]
    best = front(search.designs)
    ax.step(*_places(best, -1), where="post", color=BLUE, linewidth=1, zorder=1)
    behind = [one for one in whole if one not in best and one.number > 0]
    _dots(ax, behind, -1, {"marker": "o", "color": GREY, "markersize": 5, "zorder": 2, "label": "dominated"})
    _dots(ax, _others(best), -1, {"marker": "s", "color": BLUE, "markersize": 6, "zorder": 3, "label": "on the front"})
    _default(ax, whole, -1)
    for one, cost, error in zip(best, *_places(best, -1), strict=True):
        if one.number > 0:
            ax.annotate(str(one.number), (cost, error), textcoords="offset points", xytext=(4, 4), fontsize=8, color=BLUE)
    return _framed(ax, search, _places(whole, -1)[1], f"Held-out top-1 error (%),\n{search.epochs[-1]} epochs")


def first_rung(ax: Axes, search: Search) -> Axes:
    """Every design at the error of the shortest schedule, which all were trained for: a cross for what was stopped there or later, a dot
    for what had the whole schedule, a ring for the rest."""
    by = {kind: [one for one in _others(search.designs) if _kind(one) == kind] for kind in ("stopped", "done", "rest")}
    rest = "diverged, failed or\nnot finished later"
    _dots(ax, by["stopped"], 0, {"marker": "x", "color": GREY, "markersize": 5, "zorder": 1, "label": "stopped early"})
    _dots(ax, by["done"], 0, {"marker": "o", "color": BLUE, "markersize": 5, "zorder": 2, "label": "had the whole\nschedule, too"})
    _dots(ax, by["rest"], 0, {"marker": "o", "color": GREY, "markerfacecolor": "none", "markersize": 5, "zorder": 2, "label": rest})
    _default(ax, search.designs, 0)
    return _framed(ax, search, _places(search.designs, 0)[1], f"Held-out top-1 error (%),\n{search.epochs[0]} epochs")


def _kind(one: SearchedDesign) -> str:
    return one.state if one.state in ("stopped", "done") else "rest"


def _others(found: Sequence[SearchedDesign]) -> list[SearchedDesign]:
    return [one for one in found if one.number > 0]


def _default(ax: Axes, found: Sequence[SearchedDesign], place: int) -> None:
    own = [one for one in found if one.number == 0]
    _dots(ax, own, place, {"marker": "D", "color": RED, "markersize": 7, "zorder": 4, "label": "default"})


def _dots(ax: Axes, found: Sequence[SearchedDesign], place: int, look: dict[str, Any]) -> None:
    """What is shown alike; nothing, not even in the legend, where none of it has an error there."""
    costs, errors = _places(found, place)
    if costs:
        plain = look["marker"] == "x" or "markerfacecolor" in look
        edge: dict[str, Any] = {"mec": GREY, "mew": 1.0} if plain else {"mec": "white", "mew": 0.6}
        ax.plot(costs, errors, linestyle="none", clip_on=False, **edge, **look)  # a point at 0 or 100 % stays whole


def _places(found: Sequence[SearchedDesign], place: int) -> tuple[list[int], list[float]]:
    """Costs, and errors on the rung of that place, of those that have one there: 0 for the first, -1 for the last that they reached."""
    pairs = [(one.cost, error) for one in found if one.errors and (error := one.errors[place]) is not None]
    return [cost for cost, _ in pairs], [error for _, error in pairs]


def _framed(ax: Axes, search: Search, errors: Sequence[float], label: str) -> Axes:
    """Axes that hold all of these errors."""
    if errors:
        span = max(max(errors) - min(errors), 0.4)
        ax.set_ylim(max(0.0, min(errors) - 0.15 * span), min(100.0, max(errors) + 0.15 * span))
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    ax.grid(True)
    ax.set(xlabel=UNITS[search.cost], ylabel=label)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), numpoints=1, handletextpad=0.2)
    return ax


def _short(value: float) -> str:
    return f"{value / 1e6:.4g} M" if abs(value) >= 1e6 else f"{value / 1e3:.4g} k" if abs(value) >= 1e3 else f"{value:g}"
