"""From the numbers of two arms to a verdict: the family of declared comparisons of a study, decided together.

Knows no study and no store: arms are {seed: value} and the seeds that diverged. ``docs/statistics.md`` explains the choices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np

from ablations.statistics.estimation import Difference, Estimate, divergence_p, holm, paired, simultaneous, two_stage
from ablations.statistics.power import seeds_to_settle

Word = Literal["better", "worse", "better but negligible", "worse but negligible", "equivalent", "open"]
_OPPOSITE: Mapping[Word, Word] = {
    "better": "worse",
    "worse": "better",
    "better but negligible": "worse but negligible",
    "worse but negligible": "better but negligible",
    "equivalent": "equivalent",
    "open": "open",
}
FEWEST = 3
"""Below this many pairs, differences are shown and nothing is said of them."""


class Pair(NamedTuple):
    """One declared comparison: a variant and what it is compared with."""

    variant: str
    reference: str


@dataclass(frozen=True)
class Arm:
    """What the seeds of one variant gave: {seed: value} of the finished ones, and which diverged."""

    values: Mapping[str, float]
    diverged: frozenset[str] = frozenset()

    @property
    def n(self) -> int:
        """The seeds that came to an end."""
        return len(self.values) + len(self.diverged)

    def only(self, seeds: Iterable[str]) -> Arm:
        """The same arm at some of its seeds."""
        kept = set(seeds)
        return Arm({seed: value for seed, value in self.values.items() if seed in kept}, self.diverged & kept)


@dataclass(frozen=True)
class Rule:
    """How seeds were decided on, and so what their numbers may say.

    ``seeds`` are all, in the order in which they were asked for. ``first`` is the number of them that gave the variance, where Stein's
    procedure chose how many there are in all. ``looks`` groups them where several looks were declared before the first, and ``planned``
    counts those: each look then decides at ``alpha / planned``, and what it decides stays.
    """

    seeds: tuple[str, ...]
    first: int | None = None
    looks: tuple[tuple[str, ...], ...] = ()
    planned: int = 1
    alpha: float = 0.05


@dataclass(frozen=True)
class Divergence:
    """How many of each arm's seeds diverged, and Fisher's p that the rates are one; None below three seeds in either arm."""

    variant: int
    variant_n: int
    reference: int
    reference_n: int
    p: float | None

    def reversed(self) -> Divergence:
        """The same seen from the reference."""
        return Divergence(self.reference, self.reference_n, self.variant, self.variant_n, self.p)


@dataclass(frozen=True)
class Comparison:
    """A variant against its reference, in the unit of the values; ``values - reference`` over ``n`` pairs of seeds.

    ``own`` is the difference with its 95 % interval for itself, ``all`` the same with the interval that covers together with those of the
    whole family; ``p`` is two-sided and for itself, ``adjusted`` is Holm's. ``smallest_delta`` is the smallest δ at which the two would be
    equivalent; None where no δ would do. ``word`` is the verdict; where it is None, ``reason`` says why; beside an "open" it says what
    stands in the way. ``needed`` is about how many seeds in all would settle an open one. ``look`` counts the look that decided, where
    several were declared. ``deviation`` is the standard deviation of the paired differences that the intervals were made with, and
    ``freedom`` its degrees of freedom: of all n pairs, or of those of a first stage; both None below two of them.
    """

    variant: str
    reference: str
    n: int
    own: Estimate
    all: Estimate
    p: float | None = None
    adjusted: float | None = None
    equivalence_p: float | None = None
    smallest_delta: float | None = None
    divergence: Divergence | None = None
    word: Word | None = None
    reason: str = ""
    needed: int | None = None
    look: int | None = None
    deviation: float | None = None
    freedom: int | None = None

    @property
    def mean(self) -> float | None:
        """The difference, where there is a pair."""
        return self.own.mean

    @property
    def settled(self) -> bool:
        """Whether there is a verdict other than "open"."""
        return self.word not in (None, "open")

    def reversed(self) -> Comparison:
        """The same comparison with the two arms' roles exchanged."""
        return replace(
            self,
            variant=self.reference,
            reference=self.variant,
            own=_negative(self.own),
            all=_negative(self.all),
            divergence=self.divergence.reversed() if self.divergence else None,
            word=_OPPOSITE[self.word] if self.word else None,
            reason=_hindrance(self.divergence.reversed()) if self.divergence and self.word == "open" else self.reason,
        )


@dataclass(frozen=True)
class Comparisons:
    """The comparisons of one family, found by either order of their arms."""

    found: tuple[Comparison, ...] = ()
    family: int = 0
    _by_pair: dict[Pair, Comparison] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for one in self.found:
            self._by_pair[Pair(one.variant, one.reference)] = one

    def of(self, variant: str, reference: str) -> Comparison | None:
        """The comparison of two arms, seen from the first; None where it was not declared."""
        other = self._by_pair.get(Pair(reference, variant))
        return self._by_pair.get(Pair(variant, reference)) or (other.reversed() if other else None)


def declared(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Each comparison once, whichever of its arms comes first; an arm is not compared with itself."""
    kept: dict[frozenset[str], Pair] = {}
    for pair in pairs:
        if pair.variant != pair.reference:
            kept.setdefault(frozenset(pair), pair)
    return tuple(kept.values())


def compare(arms: Mapping[str, Arm], family: Sequence[Pair], delta: float | None, rule: Rule, lower_is_better: bool = True) -> Comparisons:
    """Decide all declared comparisons together; ``family`` as ``declared`` gives it, each arm in ``arms``.

    ``delta`` is the difference that does not matter; without one nothing is equivalent or negligible.
    """
    whole = _Look(arms, family, delta, rule, lower_is_better)
    if rule.planned == 1 or not 1 <= len(rule.looks) <= rule.planned:
        return Comparisons(tuple(whole.decided()), len(family))
    settled: dict[Pair, Comparison] = {}
    latest: list[Comparison] = []
    for number in range(1, len(rule.looks) + 1):
        seen = tuple(seed for look in rule.looks[:number] for seed in look)
        at_look = {name: arm.only(seen) for name, arm in arms.items()}
        latest = _Look(at_look, family, delta, replace(rule, seeds=seen), lower_is_better).decided()
        for one in latest:
            if one.settled:
                settled.setdefault(Pair(one.variant, one.reference), replace(one, look=number))
    return Comparisons(tuple(_standing(settled.get(Pair(one.variant, one.reference)), one) for one in latest), len(family))


def _standing(settled: Comparison | None, latest: Comparison) -> Comparison:
    """What a look settled stands, unless seeds have diverged since: that takes back what finished seeds alone had said."""
    return latest if settled is None or (latest.divergence and not settled.divergence) else settled


@dataclass(frozen=True)
class _Look:
    """All comparisons of the family on the same seeds."""

    arms: Mapping[str, Arm]
    family: Sequence[Pair]
    delta: float | None
    rule: Rule
    lower_is_better: bool

    @property
    def alpha(self) -> float:
        return self.rule.alpha / self.rule.planned

    def decided(self) -> list[Comparison]:
        tested = [self._tested(pair) for pair in self.family]
        adjusted = holm(np.array([one.decisive for one in tested], dtype=np.float64), len(tested))
        return [self._comparison(one, float(p)) for one, p in zip(tested, adjusted, strict=True)]

    def _tested(self, pair: Pair) -> _Tested:
        own, other = self.arms[pair.variant], self.arms[pair.reference]
        seeds = [seed for seed in self.rule.seeds if seed in own.values and seed in other.values]
        values, reference = (np.array([arm.values[seed] for seed in seeds], dtype=np.float64) for arm in (own, other))
        found = self._difference(seeds, values, reference)
        divergence = _divergence(own, other)
        tests = [float(found.p())] if found is not None and len(seeds) >= FEWEST else []
        tests = [p for p in tests if not math.isnan(p)]
        rates = [divergence.p] if divergence and divergence.p is not None else []
        p = min([1.0, *(len(tests + rates) * one for one in tests + rates)]) if tests + rates else math.nan
        return _Tested(pair, values - reference, found, divergence, p, tests[0] if tests else None)

    def _difference(self, seeds: Sequence[str], values: np.ndarray, reference: np.ndarray) -> Difference | None:
        if len(seeds) < 2:
            return None
        if self.rule.first is None:
            return paired(values, reference)
        first = sum(seed in self.rule.seeds[: self.rule.first] for seed in seeds)  # pairs of the first stage come first
        return two_stage(values, reference, first) if first >= 2 else None

    def _comparison(self, tested: _Tested, adjusted: float) -> Comparison:
        found, family = tested.difference, len(self.family)
        n, mean = len(tested.differences), float(tested.differences.mean()) if len(tested.differences) else None
        bare = Estimate(mean, None, None, n)
        told = Comparison(*tested.pair, n, bare, bare, divergence=tested.divergence)
        if found is not None:
            wide = simultaneous(found, np.asarray(adjusted if tested.by_mean else math.nan), family * tested.tests, self.alpha)
            told = replace(
                told,
                own=_estimate(found.interval(1 - self.rule.alpha), mean, n),
                all=_estimate(wide, mean, n),
                smallest_delta=None if tested.divergence or not found.error else float(found.smallest_delta(self.alpha)),
                deviation=float(found.error) * math.sqrt(n),
                freedom=int(found.freedom),
            )
        word, reason = self._word(tested, adjusted)
        if tested.p is not None and found is not None:
            told = replace(told, p=tested.p, equivalence_p=None if self.delta is None else float(found.equivalence_p(self.delta)))
        needed = self._needed(tested) if word == "open" and tested.divergence is None else None
        return replace(told, adjusted=None if math.isnan(adjusted) else adjusted, word=word, reason=reason, needed=needed)

    def _word(self, tested: _Tested, adjusted: float) -> tuple[Word | None, str]:
        found = tested.difference
        if tested.divergence:
            return self._diverged(tested, tested.divergence, adjusted)
        if len(tested.differences) < FEWEST or found is None:
            pairs = len(tested.differences)
            return None, f"{pairs or 'no'} finished pair{'' if pairs == 1 else 's'} of seeds; a verdict needs {FEWEST}"
        if tested.p is None:
            return None, "the differences have no spread at all, so nothing can be tested"
        inside = self.delta is not None and float(found.equivalence_p(self.delta)) <= self.alpha
        if adjusted <= self.alpha:
            direction = self._direction(float(found.mean))
            return (_NEGLIGIBLE[direction] if inside else direction), ""
        return ("equivalent", "") if inside else ("open", "")

    def _diverged(self, tested: _Tested, counts: Divergence, adjusted: float) -> tuple[Word | None, str]:
        """An arm that diverges is worse where its rate or its finished seeds say so; these cannot make it better or equivalent."""
        if math.isnan(adjusted):
            return None, f"seeds diverged, and a verdict needs {FEWEST} of each arm"
        if adjusted <= self.alpha and tested.by_mean and tested.difference is not None:
            direction = self._direction(float(tested.difference.mean))
            if not (counts.variant if direction == "better" else counts.reference):
                return direction, ""
        rate = min(1.0, counts.p * tested.tests * len(self.family)) if counts.p is not None else 1.0
        if (adjusted <= self.alpha and not tested.by_mean) or rate <= self.alpha:
            more = counts.variant * counts.reference_n > counts.reference * counts.variant_n
            return ("worse" if more else "better"), ""
        return "open", _hindrance(counts)

    def _direction(self, mean: float) -> Literal["better", "worse"]:
        return "better" if (mean < 0) == self.lower_is_better else "worse"

    def _needed(self, tested: _Tested) -> int | None:
        n, found = len(tested.differences), tested.difference
        if found is None or n < FEWEST:
            return None
        deviation = float(found.error) * math.sqrt(n)
        delta = self.delta if self.delta is not None else 0.0
        return seeds_to_settle(float(found.mean), deviation, delta, self.alpha, len(self.family), least=n + 1)


_NEGLIGIBLE: Mapping[Word, Word] = {"better": "better but negligible", "worse": "worse but negligible"}


def _hindrance(counts: Divergence) -> str:
    """Why a comparison with divergence stays open."""
    rule = "an arm that diverges is not equivalent, and better only than one that diverges more"
    return rule if counts.variant else f"its reference diverged, and {rule}"


@dataclass(frozen=True)
class _Tested:
    """A pair with its differences, before the family is decided: ``p`` of the t test (None where there is none), and the p that
    enters Holm's procedure, which counts the divergence rates too."""

    pair: Pair
    differences: np.ndarray
    difference: Difference | None
    divergence: Divergence | None
    decisive: float
    p: float | None

    @property
    def tests(self) -> int:
        """How many tests share the pair's part of alpha: that of the mean, and that of the divergence rates where there are any."""
        return max(1, (self.p is not None) + (self.divergence is not None and self.divergence.p is not None))

    @property
    def by_mean(self) -> bool:
        """Whether it is the t test that decides, and not the rates of divergence."""
        rate = self.divergence.p if self.divergence else None
        return self.p is not None and (rate is None or self.p < rate)


def _divergence(own: Arm, other: Arm) -> Divergence | None:
    counts = len(own.diverged), own.n, len(other.diverged), other.n
    if not counts[0] + counts[2]:
        return None
    return Divergence(*counts, p=divergence_p(*counts) if min(own.n, other.n) >= FEWEST else None)


def _estimate(ends: tuple[np.ndarray, np.ndarray], mean: float | None, n: int) -> Estimate:
    return Estimate(mean, float(ends[0]), float(ends[1]), n)


def _negative(estimate: Estimate) -> Estimate:
    mean, low, high = (None if value is None else -value for value in (estimate.mean, estimate.low, estimate.high))
    return Estimate(mean, high, low, estimate.n)
