"""The next design to look at: a pure function of the designs before it, so that a search that was killed goes on as if it had not been.

Optuna's samplers are used on a study in memory that is made anew for each proposal, each with a seed of its own. Proposals come in
batches: those of one batch know the results of the batches before it, and of their own batch only which designs it has already. So what
is proposed depends neither on how many trials run at a time nor on which of them ends first.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
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
"""How often a sampler may propose what is known already, before a new design is drawn from all that are left."""


@dataclass(frozen=True)
class Tried:
    """A design that was proposed before, and its two objectives, both to be small; None while they are not known."""

    design: Design
    values: tuple[float, float] | None


def propose(
    space: Space, tried: Sequence[Tried], *, number: int, seed: int, identity: Callable[[Design], str], sampler: Name = "tpe"
) -> dict[str, Level] | None:
    """The design of that number, one that is not among those tried; None where the space has no other.

    ``identity`` tells which designs mean one network: of those, one is enough.

    :raises InputError: where Optuna is not installed, and the sampler is one of its own.
    """
    known = {identity(one.design) for one in tried}
    for draw in range(DRAWS):
        design = _drawn(space, tried, seed_of(seed, number, draw), sampler)
        if identity(design) not in known:
            return design
    return _rest(space, known, identity, np.random.default_rng(seed_of(seed, number, DRAWS)))


def seed_of(seed: int, number: int, draw: int) -> int:
    """A seed of 32 bits for each draw of each number."""
    return int.from_bytes(hashlib.sha256(canonical([seed, number, draw]).encode()).digest()[:4], "big")


def _rest(space: Space, known: set[str], identity: Callable[[Design], str], rng: np.random.Generator) -> dict[str, Level] | None:
    """One of the designs that are left, drawn evenly; None where there is none, or they cannot be counted."""
    if space.size() >= MANY:
        return None
    left = {name: design for design in islice(space.designs(), MANY) if (name := identity(design)) not in known}
    return left[sorted(left)[rng.integers(len(left))]] if left else None


def _drawn(space: Space, tried: Sequence[Tried], seed: int, sampler: Name) -> dict[str, Level]:
    if sampler == "random":
        return _even(space, np.random.default_rng(seed))
    with quiet() as optuna:
        study = optuna.create_study(directions=["minimize", "minimize"], sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True))
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


def _even(space: Space, rng: np.random.Generator) -> dict[str, Level]:
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
