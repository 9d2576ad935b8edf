"""Which factors matter most, by Optuna's fANOVA (Hutter, Hoos and Leyton-Brown 2014), with the spread of that answer.

A random forest learns the error from the factors' levels, and a factor's importance is the share of the forest's variance that its own
main effect explains; Optuna makes the shares of all factors add up to 1. So a table that holds nothing but noise has important factors,
too: importances rank, and decide nothing. One forest on one table is one answer; how much answers differ is told beside their mean.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, stdev
from typing import Any, TypeAlias

from ablations.search.sampler import quiet

Design: TypeAlias = tuple[Mapping[str, Any], float]
"""{factor: value} and the error that it gave, in any unit."""
TREES, FORESTS = 32, 5
"""Trees of a forest (Optuna's own default of 64 takes twice as long), and forests on one table."""


@dataclass(frozen=True)
class Importance:
    """A factor's share, from 0 to 1: the ``mean`` of ``count`` answers, and their standard ``deviation`` (None of one)."""

    name: str
    mean: float
    deviation: float | None
    count: int


def installed() -> bool:
    """Whether Optuna can be imported; it is not imported for that."""
    return importlib.util.find_spec("optuna") is not None


def importances(factors: Mapping[str, Sequence[Any]], designs: Sequence[Design], forests: int = FORESTS) -> list[Importance]:
    """Of one table of designs; the deviation is over ``forests`` that differ in their random numbers alone.

    ``factors`` are all values that each may take, as names without an order. A design that lacks a factor has it at a level of its own.
    In the order of the factors; none where all designs gave the same, or fewer than two are there. The same input gives the same output.

    :raises InputError: where Optuna is not installed.
    """
    return _summary(factors, [_answer(factors, designs, seed) for seed in range(forests)])


def importances_over_seeds(factors: Mapping[str, Sequence[Any]], tables: Sequence[Sequence[Design]]) -> list[Importance]:
    """The same of several tables, one for each seed of training, one forest on each; the deviation is over these.

    A table whose designs all gave the same is left out.

    :raises InputError: where Optuna is not installed.
    """
    return _summary(factors, [_answer(factors, designs, 0) for designs in tables])


def _summary(factors: Mapping[str, Sequence[Any]], answers: Sequence[tuple[float, ...]]) -> list[Importance]:
    told = [answer for answer in answers if answer]
    if not told:
        return []
    return [
        Importance(name, fmean(shares), stdev(shares) if len(shares) > 1 else None, len(shares))
        for name, shares in zip(factors, zip(*told, strict=True), strict=True)
    ]


def _answer(factors: Mapping[str, Sequence[Any]], designs: Sequence[Design], seed: int) -> tuple[float, ...]:
    """A share for each factor, or () where there is nothing to explain."""
    values = tuple(float(value) for _, value in designs)
    if len(set(values)) < 2:
        return ()
    levels = {name: list(allowed) for name, allowed in factors.items()}
    places = tuple(tuple(_place(levels[name], design, name) for name in factors) for design, _ in designs)
    sizes = tuple(max(len(levels[name]), *(row[place] + 1 for row in places)) for place, name in enumerate(factors))
    return _forest(sizes, places, values, seed)


def _place(levels: list[Any], design: Mapping[str, Any], name: str) -> int:
    return levels.index(design[name]) if name in design else len(levels)


@lru_cache(maxsize=256)
def _forest(sizes: tuple[int, ...], designs: tuple[tuple[int, ...], ...], values: tuple[float, ...], seed: int) -> tuple[float, ...]:
    """One forest's answer, kept because several pages ask for the same: it takes some tenths of a second."""
    names = [f"factor {place:03}" for place in range(len(sizes))]
    with quiet() as optuna:
        space = {name: optuna.distributions.CategoricalDistribution(tuple(range(size))) for name, size in zip(names, sizes, strict=True)}
        study = optuna.create_study()
        for design, value in zip(designs, values, strict=True):
            params = dict(zip(names, design, strict=True))
            study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=value))
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=seed)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=names)
    return tuple(float(found[name]) for name in names)
