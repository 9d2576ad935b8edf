"""The next design to look at: a pure function of the designs before it, so that a search that was killed goes on as if it had not been.

Optuna's samplers are used on a study in memory that is made anew for each proposal, each with a seed of its own. Proposals come in
batches: those of one batch know the results of the batches before it, and of their own batch only which designs it has already. So what
is proposed depends neither on how many trials run at a time nor on which of them ends first.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ablations.search.space import MANY, Design, Factor, Level, Space
from senet_core.config import canonical
from senet_core.errors import InputError

if TYPE_CHECKING:
    import optuna

Name = Literal["tpe", "random"]
SAMPLERS: tuple[Name, ...] = ("tpe", "random")
DRAWS = 50
"""How often chance may propose what is known already; then what is left of a space is listed, where it has an end."""

BY_CHANCE = 6
"""So many results are waited for before TPE proposes; Optuna's ten are a quarter of the usual budget, and cost more than they tell."""


@dataclass(frozen=True)
class Tried:
    """A design that was proposed before, and its two objectives, both to be small; None while they are not known."""

    design: Design
    values: tuple[float, float] | None


def propose(
    space: Space,
    tried: Sequence[Tried],
    *,
    number: int,
    seed: int,
    identity: Callable[[Design], str],
    sampler: Name = "tpe",
    without: Sequence[Design] = (),
) -> dict[str, Level] | None:
    """The design of that number, one that is neither among those tried nor among those that it is to do ``without``; None where the space
    has no other, or in a space without end where ``DRAWS`` proposals in a row were known.

    ``identity`` tells which designs mean one network: of those, one is enough.

    :raises InputError: where Optuna is not installed, and the sampler is one of its own.
    """
    known = {identity(design) for design in (*(one.design for one in tried), *without)}
    listed = space.size() < MANY
    if sampler == "tpe":
        at = seed_of(seed, number, 0)
        drawn = _by_tpe(space, tried, at)
        new = drawn if identity(drawn) not in known else _nearest(space, known, identity, np.random.default_rng(at), drawn)
        if new is not None or listed:
            return new
    for draw in range(DRAWS):
        design = _by_chance(space, np.random.default_rng(seed_of(seed, number, draw)))
        if identity(design) not in known:
            return design
    return _one_of(space.designs(), known, identity, np.random.default_rng(seed_of(seed, number, DRAWS))) if listed else None


def seed_of(seed: int, number: int, draw: int) -> int:
    """A seed of 32 bits for each draw of each number."""
    return int.from_bytes(hashlib.sha256(canonical([seed, number, draw]).encode()).digest()[:4], "big")


def _nearest(
    space: Space, known: set[str], identity: Callable[[Design], str], rng: np.random.Generator, near: Design
) -> dict[str, Level] | None:
    """Of the designs that are left one of those that are nearest to ``near``; None where none is left. In a space that cannot be listed,
    of those with the same numbers of its ranges.

    A sampler that is sure of what is good proposes what it has seen. Asking it again and again ends in chance; the nearest new design is
    worth more (``benchmarks/search_efficiency.py``), and costs one question.
    """
    by_distance: dict[float, list[dict[str, Level]]] = {}
    listed = space.size() < MANY
    for place, design in enumerate(space.designs() if listed else space.designs(ranges_of=near)):
        if place == MANY:
            return None
        by_distance.setdefault(_distance(space, near, design), []).append(design)
    for _, alike in sorted(by_distance.items()):
        if (found := _one_of(alike, known, identity, rng)) is not None:
            return found
    return None


def _one_of(
    designs: Iterable[dict[str, Level]], known: set[str], identity: Callable[[Design], str], rng: np.random.Generator
) -> dict[str, Level] | None:
    """One of the networks that are not known, drawn evenly; None where all are."""
    left: dict[str, dict[str, Level]] = {}
    for design in designs:
        if (name := identity(design)) not in known:
            left.setdefault(name, design)
    return list(left.values())[rng.integers(len(left))] if left else None


def _distance(space: Space, one: Design, other: Design) -> float:
    """The sum over factors: of two levels in an order, or numbers of a range, the share of the way that lies between them; of other
    different ones 1."""
    return round(sum(_apart(factor, one.get(factor.name), other.get(factor.name)) for factor in space.factors), 9)


def _apart(factor: Factor, one: Level | None, other: Level | None) -> float:
    if one == other:
        return 0.0
    if one is None or other is None or not (factor.is_range or factor.ordered):
        return 1.0
    if factor.levels:
        return abs(factor.levels.index(one) - factor.levels.index(other)) / (len(factor.levels) - 1)
    assert factor.low is not None and factor.high is not None, "a space refuses such a factor"
    return abs(float(one) - float(other)) / (factor.high - factor.low)


def _by_tpe(space: Space, tried: Sequence[Tried], seed: int) -> dict[str, Level]:
    with quiet() as optuna:
        tpe = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=BY_CHANCE)
        study = optuna.create_study(directions=["minimize", "minimize"], sampler=tpe)
        study.add_trials([_frozen(optuna, space, one) for one in tried])
        trial = study.ask()
        design: dict[str, Level] = {}
        for factor in space.factors:
            if factor.there(design):
                design[factor.name] = _suggested(trial, factor)
        return design


def _suggested(trial: optuna.trial.Trial, factor: Factor) -> Level:
    if factor.levels and not factor.ordered:
        chosen: Any = trial.suggest_categorical(factor.name, factor.levels)
        level: Level = chosen
        return level
    if factor.levels:
        return factor.levels[trial.suggest_int(factor.name, 0, len(factor.levels) - 1)]
    assert factor.low is not None and factor.high is not None, "a space refuses such a factor"
    if factor.whole:
        return trial.suggest_int(factor.name, int(factor.low), int(factor.high), log=factor.log)
    return trial.suggest_float(factor.name, factor.low, factor.high, log=factor.log)


def _by_chance(space: Space, rng: np.random.Generator) -> dict[str, Level]:
    """Every factor drawn by itself, levels and ranges evenly."""
    design: dict[str, Level] = {}
    for factor in space.factors:
        if not factor.there(design):
            continue
        if not factor.is_range:
            design[factor.name] = factor.levels[int(rng.integers(len(factor.levels)))]
            continue
        assert factor.low is not None and factor.high is not None, "a space refuses such a factor"
        low, high = (np.log(factor.low), np.log(factor.high)) if factor.log else (factor.low, factor.high)
        drawn = float(rng.uniform(low, high))
        number = float(np.exp(drawn)) if factor.log else drawn
        design[factor.name] = round(number) if factor.whole else number
    return design


def distribution(factor: Factor) -> optuna.distributions.BaseDistribution:
    """A factor as Optuna knows it: ordered levels by their place."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if factor.levels:
        return IntDistribution(0, len(factor.levels) - 1) if factor.ordered else CategoricalDistribution(factor.levels)
    assert factor.low is not None and factor.high is not None, "a space refuses such a factor"
    if factor.whole:
        return IntDistribution(int(factor.low), int(factor.high), log=factor.log)
    return FloatDistribution(factor.low, factor.high, log=factor.log)


def parameters(space: Space, design: Design) -> tuple[dict[str, Any], dict[str, optuna.distributions.BaseDistribution]]:
    """A design as Optuna stores it: the parameters and their distributions."""
    there = [factor for factor in space.factors if factor.name in design]
    values = {f.name: f.levels.index(design[f.name]) if f.ordered and f.levels else design[f.name] for f in there}
    return values, {factor.name: distribution(factor) for factor in there}


def _frozen(library: Any, space: Space, one: Tried) -> optuna.trial.FrozenTrial:
    values, distributions = parameters(space, one.design)
    state = library.trial.TrialState.RUNNING if one.values is None else library.trial.TrialState.COMPLETE
    found: optuna.trial.FrozenTrial = library.trial.create_trial(
        state=state, values=None if one.values is None else list(one.values), params=values, distributions=distributions
    )
    return found


@contextmanager
def quiet() -> Iterator[Any]:
    """Optuna without its log and its warnings about what is experimental.

    :raises InputError: where it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise InputError("A search needs Optuna, which is not installed: pip install 'senet-ablations[search]'.") from None

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield optuna
    finally:
        optuna.logging.set_verbosity(before)
