"""Seeds needed against the true difference: the price of knowing more, at the noise seen so far."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ablations.statistics.comparison import FEWEST, Comparison
from ablations.statistics.power import MOST, POWER, power_of_difference, power_of_equivalence, seeds_for
from report.figures import BLUE, GREY, RED

POINTS = 60


def deviation(found: Sequence[Comparison]) -> float | None:
    """The standard deviation of paired differences, pooled over the comparisons that have three pairs and no divergence, each by the
    degrees of freedom of its own; None where none has, or nothing varies."""
    squares = freedom = 0.0
    for one in found:
        if one.n < FEWEST or one.deviation is None or one.freedom is None or one.divergence is not None:
            continue
        freedom += one.freedom
        squares += one.freedom * one.deviation**2
    return math.sqrt(squares / freedom) if squares > 0 else None


def seeds_needed_figure(spread: float, family: int, delta: float, now: int, alpha: float) -> Figure:
    """A figure with ``seeds_needed`` in it; made inside ``report.figures.style``."""
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    seeds_needed(figure.subplots(), spread, family, delta, now, alpha)
    return figure


def seeds_needed(ax: Axes, spread: float, family: int, delta: float, now: int, alpha: float) -> Axes:
    """Seeds at which a true difference is seen (solid), and at which equivalence within ±``delta`` is shown (dashed), with 80 % power.

    ``spread`` is the deviation of paired differences, ``family`` the comparisons that share ``alpha``, the level of a look, ``now`` the
    seeds there are.
    """
    most = max(2 * delta, 3 * spread)
    true = np.linspace(most / POINTS, most, POINTS)
    seen = [seeds_for(lambda n, d=d: power_of_difference(d, spread, n, alpha / family)) for d in true]  # type: ignore[misc]
    inside = np.linspace(0.0, 0.98 * delta, POINTS)
    shown = [seeds_for(lambda n, d=d: power_of_equivalence(d, spread, n, delta, alpha)) for d in inside]  # type: ignore[misc]
    ax.plot(true, [n or math.nan for n in seen], color=BLUE, linewidth=1.8, label=" to see the difference")
    ax.plot(
        inside, [n or math.nan for n in shown], color=RED, linewidth=1.8, linestyle="--", label=f" to show that it is inside ±{delta:g}"
    )
    ax.axhline(now, color=GREY, linewidth=1, linestyle=":", label=f" seeds now: {now}")
    ax.axvline(delta, color=GREY, linewidth=0.8)
    ax.set_yscale("log")
    ax.set(
        xlim=(0, most),
        ylim=(FEWEST * 0.9, MOST),
        xlabel="True difference (points)",
        ylabel=f"Seeds needed ({POWER:.0%} power)".replace("%", " %"),
    )
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(True)
    ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    return ax
