"""The figure of a judgement: a dot a seed with the means on the left, the paired differences on the right. The same numbers give the
same bytes."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ablations.judging.judge import Judgement
from ablations.statistics.comparison import FEWEST, Comparison
from ablations.statistics.estimation import Estimate, interval
from report.figures import BLUE, DOTS, EQUAL, GREY, MEAN, RED, Drawing, drawn, stacked, style
from report.judgement_words import count
from report.names import Stack, wrapped

NAME = 28
"""Characters in a line of a variant's name."""


def draw(judgement: Judgement, formats: Collection[str] = ("md",)) -> Drawing | None:
    """The figure as these formats need it; None where there is nothing to draw."""
    if not any(arm.values for arm in judgement.arms.values()):
        return None
    with style():
        figure = Figure(figsize=(8.6, 1.2 + _stack(judgement).height), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        values(left, judgement)
        differences(right, judgement)
        return drawn(figure, formats)


def _stack(judgement: Judgement) -> Stack:
    return Stack.of([f"{wrapped(name, NAME)}\n{wrapped(f'n = {count(arm)}', NAME)}" for name, arm in judgement.arms.items()])


def values(ax: Axes, judgement: Judgement) -> Axes:
    """One dot a seed and, above it, the mean with its interval; a line marks the mean of the reference."""
    arms = list(judgement.arms.items())
    estimates = [interval(arm.values.values()) for _, arm in arms]
    limits = _limits([value for _, arm in arms for value in arm.values.values()], estimates)
    stack = _stack(judgement)
    for y, (name, arm), estimate in zip(stack.at, arms, estimates, strict=True):
        colour = RED if name == judgement.reference else BLUE
        _dots(ax, list(arm.values.values()), y + DOTS, colour)
        _interval(ax, estimate, y + MEAN, colour, limits, "D" if name == judgement.reference else "s")
    mean = estimates[0].mean
    if mean is not None:
        ax.axvline(mean, color=RED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.5)
    ax.set(xlim=limits, xlabel=wrapped(judgement.metric))
    stacked(ax, stack)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    return ax


def differences(ax: Axes, judgement: Judgement) -> Axes:
    """One dot a pair of seeds and, above it, the mean with the interval that covers together with all others; the verdict beside it."""
    base = judgement.arms[judgement.reference].values
    found: list[tuple[float, Comparison, Estimate, list[float]]] = []
    stack = _stack(judgement)
    for y, (name, arm) in zip(stack.at, judgement.arms.items(), strict=True):
        one = judgement.comparisons.of(name, judgement.reference)
        if one is not None:
            estimate = one.all if one.n >= FEWEST else Estimate(one.mean, None, None, one.n)
            found.append((y, one, estimate, [arm.values[seed] - base[seed] for seed in arm.values if seed in base]))
    delta = judgement.delta or 0.0
    limits = _limits([0.0, -delta, delta, *(value for *_, pairs in found for value in pairs)], [estimate for _, _, estimate, _ in found])
    if judgement.delta is not None:
        ax.axvspan(-delta, delta, color="#EEEEEE", linewidth=0, zorder=0)
    ax.axvline(0, color=RED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.5)
    for y, one, estimate, pairs in found:
        _dots(ax, pairs, y + DOTS, GREY)
        _interval(ax, estimate, y + MEAN, BLUE, limits, "s")
        ax.text(1.02, y, one.word or "no verdict", transform=ax.get_yaxis_transform(), va="center", ha="left")
    band = f"\nband: ±{delta:g}" if judgement.delta is not None else ""
    ax.set(xlim=limits, xlabel=wrapped(f"Difference to {judgement.reference}") + band)
    stacked(ax, stack)
    ax.tick_params(axis="y", labelleft=False)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    return ax


def _limits(points: Sequence[float], estimates: Sequence[Estimate]) -> tuple[float, float]:
    """An axis made for the dots: it follows an interval only as far as half the dots' own range on either side."""
    least, most = min(points), max(points)
    span = (most - least) or abs(most) * 0.01 or 1.0
    low = min([least, *(one.low for one in estimates if one.low is not None)])
    high = max([most, *(one.high for one in estimates if one.high is not None)])
    return max(low, least - span / 2) - 0.06 * span, min(high, most + span / 2) + 0.06 * span


def _dots(ax: Axes, points: Sequence[float], y: float, colour: str) -> None:
    """Equal values one below the other."""
    heights = [y + EQUAL * points[:index].count(point) for index, point in enumerate(points)]
    ax.plot(points, heights, "o", color=colour, alpha=0.6, markersize=4.5, mew=0)


def _interval(ax: Axes, estimate: Estimate, y: float, colour: str, limits: tuple[float, float], marker: str) -> None:
    """A mean and its interval, with an arrow where that goes on beyond the axis."""
    if estimate.mean is None:
        return
    ax.plot([estimate.mean], [y], marker, color=colour, markersize=5, zorder=3)
    if estimate.low is None or estimate.high is None:
        return
    left, right = max(estimate.low, limits[0]), min(estimate.high, limits[1])
    inset = 0.012 * (limits[1] - limits[0])  # so that an arrow's head lies inside the axis
    ax.plot([left, right], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
    ends = ((estimate.low, left, inset, "<"), (estimate.high, right, -inset, ">"))
    for end, shown, inside, arrow in ends:
        cut = not math.isclose(end, shown)
        ax.plot([shown + inside if cut else shown], [y], arrow if cut else "|", color=colour, markersize=6, zorder=3)
