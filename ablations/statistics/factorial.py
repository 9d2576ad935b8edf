"""The effects of crossed factors, as comparisons of arms that are made of cells; and where the variance of all cells lies.

An effect is a contrast of cells at one seed, so what a seed does to all of them alike drops out; over the seeds it is a difference like any
other. Both its sides are arms here (``ablations.crossing.Side``), so that the functions that decide comparisons decide effects: one family,
Holm, simultaneous intervals, δ, looks, Stein's second stage. A seed counts where every cell that the effect needs has finished.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np

from ablations.crossing import Crossed, Effect, Levels, Side, all_cells, effects
from ablations.statistics.comparison import Arm, Comparison, Comparisons, Pair, Rule, compare
from ablations.statistics.estimation import Array, Estimate, paired_difference

Cells: TypeAlias = Mapping[Levels, Arm]
"""Every cell of the full factorial by its levels."""


def made(crossed: Sequence[Crossed], cells: Cells) -> dict[str, Arm]:
    """The arms that effects are differences of, by their names.

    A seed at which one of its cells diverged has diverged for an arm. Of an interaction it has for both sides: which of its four cells
    diverged tells neither that the levels interact nor that they add up.
    """
    found: dict[str, Arm] = {}
    for effect in effects(crossed):
        plus, minus = (_arm(side, cells) for side in (effect.plus, effect.minus))
        if effect.is_interaction:
            plus, minus = (_less(arm, plus.diverged | minus.diverged) for arm in (plus, minus))
        found |= {effect.plus.name: plus, effect.minus.name: minus}
    return found


def _arm(side: Side, cells: Cells) -> Arm:
    own = [cells[levels] for levels in side.cells]
    return Arm(_sums(own, side.weight), frozenset().union(*(one.diverged for one in own)))


def _less(arm: Arm, diverged: frozenset[str]) -> Arm:
    return Arm({seed: value for seed, value in arm.values.items() if seed not in diverged}, diverged)


def _sums(arms: Sequence[Arm], weight: float = 1.0) -> dict[str, float]:
    """{seed: the weighted sum} where all arms have it; exact but for one rounding, so that equal effects stay equal."""
    return {seed: weight * math.fsum(arm.values[seed] for arm in arms) for seed in common(arms)}


def common(arms: Iterable[Arm]) -> list[str]:
    """The seeds that all of these arms have finished, in the order of the first."""
    first, *others = arms
    return [seed for seed in first.values if all(seed in other.values for other in others)]


@dataclass(frozen=True)
class Decided:
    """An effect with its comparison, which is its decision among the whole family.

    ``alone`` is what a study of one factor at a time finds in the place of a main effect: the difference of two cells, all other factors
    at their references, with an interval of its own. ``apart`` is that less the averaged effect, which is nothing where nothing
    interacts; it is decided like an effect, but in a family of its own with the other main effects'. An interaction has neither.
    """

    effect: Effect
    comparison: Comparison
    alone: Estimate
    apart: Comparison | None


def pairs(crossed: Sequence[Crossed]) -> list[Pair]:
    """All effects as declared comparisons, in the order of ``effects``."""
    return [Pair(effect.plus.name, effect.minus.name) for effect in effects(crossed)]


def decided(
    crossed: Sequence[Crossed], cells: Cells, comparisons: Comparisons, delta: float | None, rule: Rule, lower_is_better: bool = True
) -> tuple[Decided, ...]:
    """The effects with what ``comparisons`` decided of them."""
    found, apart = [], _apart(crossed, cells, delta, rule, lower_is_better)
    for effect in effects(crossed):
        comparison = comparisons.of(effect.plus.name, effect.minus.name)
        assert comparison is not None, "every effect of crossed factors is declared"
        alone = Estimate(None, None, None, 0)
        if effect.alone is not None:
            own, default = (cells[levels] for levels in effect.alone)
            alone = paired_difference(own.values, default.values)
        found.append(Decided(effect, comparison, alone, apart.of(*_beside(effect)) if effect.alone is not None else None))
    return tuple(found)


def _beside(effect: Effect) -> Pair:
    return Pair(f"{effect.levels[0]} alone", f"{effect.levels[0]} averaged")


def _apart(crossed: Sequence[Crossed], cells: Cells, delta: float | None, rule: Rule, lower_is_better: bool) -> Comparisons:
    """What each level does alone less what it does on average, decided together. Where one of the cells diverged it stays open, as an
    interaction does, and for its reason."""
    arms, found = made(crossed, cells), dict[str, Arm]()
    main = [effect for effect in effects(crossed) if effect.alone is not None]
    for effect in main:
        assert effect.alone is not None
        own, default = (cells[levels] for levels in effect.alone)
        plus, minus = arms[effect.plus.name], arms[effect.minus.name]
        # not (own - default) - (plus - minus): of differences the rounding could not be told from spread
        sums = _sums([own, minus]), _sums([default, plus])
        diverged = plus.diverged | minus.diverged
        found |= {name: _less(Arm(values), diverged) for name, values in zip(_beside(effect), sums, strict=True)}
    return compare(found, [_beside(effect) for effect in main], delta, rule, lower_is_better)


def decide(crossed: Sequence[Crossed], cells: Cells, delta: float | None, rule: Rule, lower_is_better: bool = True) -> tuple[Decided, ...]:
    """All effects of the factors, decided together as one family."""
    found = compare(made(crossed, cells), pairs(crossed), delta, rule, lower_is_better)
    return decided(crossed, cells, found, delta, rule, lower_is_better)


# -- where the variance lies


@dataclass(frozen=True)
class Part:
    """A part of the variance: its ``source``, its degrees of ``freedom``, and its ``share`` of the whole sum of squares (0 to 1)."""

    source: str
    freedom: int
    share: float


HIGHER, SEEDS, REST = "higher orders", "seeds", "rest"
"""Interactions of three factors and more; what a seed does to all cells alike; what it does to each."""


def parts(crossed: Sequence[Crossed], cells: Cells) -> tuple[Part, ...]:
    """The balanced analysis of variance over the seeds that all cells have finished: factors, their interactions by two, higher ones,
    seeds, and the rest. Shares are of sums of squares, so they add up to 1 and know no noise: what is only noise has a share, too.

    Empty where no seed is complete or nothing varies; with one seed, seeds and rest cannot be told apart from the cells and are left out.
    """
    seeds = common(cells.values())
    rows = [[cells[levels].values[seed] for seed in seeds] for levels in all_cells(crossed)]
    table = np.array(rows, dtype=np.float64).reshape(*(len(factor.levels) for factor in crossed), len(seeds))
    if not table.size or np.ptp(table) == 0:
        return ()
    total = float(((table - table.mean()) ** 2).sum())
    places = range(len(crossed))
    found = [_part(table, total, (place,), crossed[place].name) for place in places]
    found += [_part(table, total, pair, " × ".join(crossed[place].name for place in pair)) for pair in combinations(places, 2)]
    higher = [_part(table, total, some, HIGHER) for count in range(3, len(crossed) + 1) for some in combinations(places, count)]
    if higher:
        found.append(Part(HIGHER, sum(one.freedom for one in higher), sum(one.share for one in higher)))
    if len(seeds) > 1:
        found.append(_part(table, total, (len(crossed),), SEEDS))
        freedom = table.size - 1 - sum(one.freedom for one in found)
        found.append(Part(REST, freedom, max(0.0, 1 - sum(one.share for one in found))))
    return tuple(found)


def _part(table: Array, total: float, axes: tuple[int, ...], source: str) -> Part:
    """The part of just these axes: averaged over all others, and less what fewer of them explain."""
    part = table
    for axis in range(table.ndim):
        mean = part.mean(axis, keepdims=True)
        part = part - mean if axis in axes else mean
    squares = float((part**2).sum()) * table.size / part.size
    return Part(source, math.prod(table.shape[axis] - 1 for axis in axes), squares / total)
