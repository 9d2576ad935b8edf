"""Which factors matter most, by Optuna's fANOVA (Hutter, Hoos and Leyton-Brown 2014), with the spread of that answer.

A random forest learns the error from the factors' levels. A factor's main effect is what the forest says of its levels, averaged over all
combinations of the other factors' levels, and its importance is the share of that in the sum of all main effects: what factors do together
is left out, and shares add up to 1. So a table that holds nothing but noise has important factors, too: importances rank, and decide
nothing. One forest on one table is one answer; how much answers differ is told beside their mean.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, stdev
from typing import Any, Literal, TypeAlias

import numpy as np

from ablations.search.sampler import quiet

Design: TypeAlias = tuple[Mapping[str, Any], float]
"""{factor: value} and the error that it gave, in any unit."""
TREES, FORESTS = 32, 5
"""Trees of a forest (Optuna's own default of 64 takes twice as long), and forests on one table."""
RESAMPLED, TREES_RESAMPLED = 30, 8
"""Tables that are drawn from one with replacement, and the trees of the forest on each: some seconds in all."""
FEWEST = 20
"""Of fewer designs nothing is told. Made-up tables of six factors with two to six levels, one of which made up half of the variance and
noise the rest: that one came first in 8 of 16 tables of 12 designs, in 14 of 16 of 20, and in 15 of 16 of 40."""
MOST_LEVELS = 6
"""A factor with more different numbers than this, as a range has, counts by thirds: each would be a level with a design or two."""
THIRDS = ("low", "middle", "high")


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


# -- of the designs of a search


@dataclass(frozen=True)
class Among:
    """Importances among the designs that have some factor, of those factors that all of these have and that vary among them.

    ``because`` are the factors for whose sake these designs are looked at; all designs have them where ``whole``.
    """

    because: tuple[str, ...]
    designs: int
    whole: bool
    found: tuple[Importance, ...]


Reason: TypeAlias = Literal["never varied", "too few", "alone", "alike"]


@dataclass(frozen=True)
class Ranking:
    """The importances of a search: for each set of designs that have the same factors, and of which factors nothing can be told.

    ``left`` are {factor: (why, how many designs have it)}: it never varied, fewer than ``FEWEST`` designs have it, no other factor that
    varies is in all of these, or all of these gave the same. ``thirds`` are the factors that count as low, middle and high.
    """

    among: tuple[Among, ...]
    left: dict[str, tuple[Reason, int]]
    thirds: tuple[str, ...]


def ranking(factors: Sequence[str], designs: Sequence[Design]) -> Ranking:
    """What a search's designs say of its factors.

    A factor that is there under a condition alone is judged where it is there: among all designs its levels would stand for the condition,
    and the forest would be asked about combinations that no design has. The spread is that over tables drawn from the designs with
    replacement, for the forest's own random numbers are the smallest part of what another search would give. The same input gives the same
    output.

    :raises InputError: where Optuna is not installed.
    """
    table, thirds = _in_thirds(factors, designs)
    having: dict[tuple[int, ...], list[str]] = {}
    left: dict[str, tuple[Reason, int]] = {}
    for name in factors:
        places = tuple(place for place, (design, _) in enumerate(table) if name in design)
        if len(_levels(name, [table[place] for place in places])) < 2:
            left[name] = "never varied", len(places)
        elif len(places) < FEWEST:
            left[name] = "too few", len(places)
        else:
            having.setdefault(places, []).append(name)
    among, unsaid = [], dict[str, tuple[Reason, int]]()
    for places, names in having.items():
        found = _among(factors, [table[place] for place in places])
        if isinstance(found, str):
            unsaid |= {name: (found, len(places)) for name in names}
        else:
            among.append(Among(tuple(names), len(places), len(places) == len(table), found))
    told = {one.name for found in among for one in found.found}
    return Ranking(tuple(among), left | {name: why for name, why in unsaid.items() if name not in told}, thirds)


def _among(factors: Sequence[str], designs: Sequence[Design]) -> tuple[Importance, ...] | Literal["alone", "alike"]:
    """The importances of the factors that all of these designs have, or why there are none."""
    shared = [name for name in factors if all(name in design for design, _ in designs)]
    levels = {name: found for name in shared if len(found := _levels(name, designs)) > 1}
    if len(levels) < 2:
        return "alone"
    draws = np.random.default_rng(0).integers(len(designs), size=(RESAMPLED, len(designs)))
    answers = [_answer(levels, [designs[place] for place in drawn], seed, TREES_RESAMPLED) for seed, drawn in enumerate(draws)]
    return tuple(_summary(levels, answers)) or "alike"


def _levels(name: str, designs: Sequence[Design]) -> list[Any]:
    return list(dict.fromkeys(design[name] for design, _ in designs if name in design))


def _in_thirds(factors: Sequence[str], designs: Sequence[Design]) -> tuple[list[Design], tuple[str, ...]]:
    """The designs with the numbers of a range as low, middle or high, a third of the different values each, and which factors these are."""
    scales: dict[str, list[float]] = {}
    for name in factors:
        values = _levels(name, designs)
        if len(values) > MOST_LEVELS and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            scales[name] = sorted(values)
    table = [
        ({name: _third(value, scales[name]) if name in scales else value for name, value in design.items()}, error)
        for design, error in designs
    ]
    return list(table), tuple(scales)


def _third(value: float, seen: Sequence[float]) -> str:
    return THIRDS[3 * seen.index(value) // len(seen)]


# -- one table, one answer


def _summary(factors: Mapping[str, Sequence[Any]], answers: Sequence[tuple[float, ...]]) -> list[Importance]:
    told = [answer for answer in answers if answer]
    if not told:
        return []
    return [
        Importance(name, fmean(shares), stdev(shares) if len(shares) > 1 else None, len(shares))
        for name, shares in zip(factors, zip(*told, strict=True), strict=True)
    ]


def _answer(factors: Mapping[str, Sequence[Any]], designs: Sequence[Design], seed: int, trees: int = TREES) -> tuple[float, ...]:
    """A share for each factor, or () where there is nothing to explain."""
    values = tuple(float(value) for _, value in designs)
    if len(set(values)) < 2:
        return ()
    levels = {name: list(allowed) for name, allowed in factors.items()}
    places = tuple(tuple(_place(levels[name], design, name) for name in factors) for design, _ in designs)
    sizes = tuple(max(len(levels[name]), *(row[place] + 1 for row in places)) for place, name in enumerate(factors))
    return _forest(sizes, places, values, seed, trees)


def _place(levels: list[Any], design: Mapping[str, Any], name: str) -> int:
    return levels.index(design[name]) if name in design else len(levels)


@lru_cache(maxsize=256)
def _forest(
    sizes: tuple[int, ...], designs: tuple[tuple[int, ...], ...], values: tuple[float, ...], seed: int, trees: int
) -> tuple[float, ...]:
    """One forest's answer, kept because several pages ask for the same: it takes some tenths of a second. () where no tree was given two
    different errors."""
    names = [f"factor {place:03}" for place in range(len(sizes))]
    with quiet() as optuna:
        space = {name: optuna.distributions.CategoricalDistribution(tuple(range(size))) for name, size in zip(names, sizes, strict=True)}
        study = optuna.create_study()
        for design, value in zip(designs, values, strict=True):
            params = dict(zip(names, design, strict=True))
            study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=value))
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=trees, seed=seed)
        try:
            found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=names)
        except RuntimeError as error:
            if "zero total variance" not in str(error):
                raise
            return ()
    return tuple(float(found[name]) for name in names)
