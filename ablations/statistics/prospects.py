"""What a study's seeds can tell, before they are trained: the smallest difference that each comparison resolves, and its chance to be
shown equivalent.

Power needs the noise of the paired differences. A comparison's own stored pairs tell it where there are enough of them, else those of all
the study's comparisons together, else what the user states, else nothing does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ablations.crossing import effects
from ablations.statistics.comparison import FEWEST, Arm, Pair
from ablations.statistics.noise import deviation_interval
from ablations.statistics.power import power_of_difference, power_of_equivalence, resolvable, seeds_for, stein_seeds
from ablations.statistics.two_stage_power import TwoStage
from ablations.statistics.verdicts import arm_name, family, members, rule, whole
from ablations.study import Precision, Study
from ablations.suite import Claim, Contrast

Source = Literal["own", "pooled", "stated"]


@dataclass(frozen=True)
class Noise:
    """The standard deviation of the paired differences of one seed, in percentage points, and where it is known from.

    ``own`` are the comparison's own stored pairs, ``pooled`` those of all the study's comparisons, ``stated`` is the user's word. The
    ``pairs`` are those of one comparison, the most where they are pooled; ``freedom`` are the degrees of freedom behind the deviation
    (for pooled ones those that are left although comparisons share arms). Both are None for a stated one.
    """

    deviation: float
    source: Source
    pairs: int | None = None
    freedom: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % chi-square interval of the deviation; None for a stated one."""
        return None if self.freedom is None else deviation_interval(self.deviation, self.freedom)


@dataclass(frozen=True)
class Outlook:
    """What a number of seeds can tell at one noise; differences in percentage points.

    ``resolvable`` is the smallest true difference that is seen with 80 % power, with the whole family counted. ``equivalence`` is the
    chance to be declared equivalent within the study's δ if there is no difference at all. Both are None below the three pairs that a
    verdict needs. ``to_resolve`` and ``to_equate`` are the seeds at which a difference of δ is seen, and equivalence shown, with 80 %
    chance; None beyond ``ablations.statistics.power.MOST``, and where the number of seeds follows from a precision.
    """

    resolvable: float | None
    equivalence: float | None
    to_resolve: int | None
    to_equate: int | None


@dataclass(frozen=True)
class Prospect:
    """What ``n`` pairs of seeds can tell of one declared comparison; ``outlook`` is None where that cannot be said as the noise is unknown.

    Where the number of seeds follows from a precision, ``n`` is what that is expected to be, the first stage alone if the noise is
    unknown. ``worst`` is the outlook with the noise at the upper end of its interval; None where there is none.
    ``diverged`` counts the seeds at which an arm has diverged already: they give no pair, and no number of others makes such an arm
    equivalent.
    """

    variant: str
    reference: str
    n: int
    noise: Noise | None
    outlook: Outlook | None
    worst: Outlook | None
    diverged: int


@dataclass(frozen=True)
class ClaimProspect:
    """A claim, as good as the weakest of its parts: of those that expect a difference, and of those that expect equivalence.

    A part whose two variants are one network needs no seeds and is left out; None where there is no part of that kind. ``differences``
    and ``equivalences`` count them.
    """

    claim: Claim
    difference: Prospect | None
    equivalence: Prospect | None
    differences: int
    equivalences: int


@dataclass(frozen=True)
class Prospects:
    """All declared comparisons of a study at ``seeds`` seeds: by claim, and those that no claim is about. ``stated`` is the noise that the
    user states, used or not."""

    study: Study
    seeds: int
    stated: float | None
    found: tuple[Prospect, ...]
    claims: tuple[ClaimProspect, ...]
    unclaimed: tuple[Prospect, ...]


def prospects(study: Study, arms: Mapping[str, Arm], seeds: int | None = None, stated: float | None = None) -> Prospects:
    """What the study's own seeds can tell, or as many ``seeds`` as are given.

    ``arms`` holds every variant by its name, with what is stored of it. ``stated`` is the standard deviation of one arm over seeds in
    percentage points, for a study of which nothing is known: two arms then differ by sqrt(2) times that, their seed correlation taken
    as 0. Effects of crossed factors are means of such differences, and by so much less noisy.
    """
    pairs, arms = family(study), whole(study, arms)
    noise = _noise(study, arms, pairs, stated)
    test = _Test(study.delta, rule(study).alpha / rule(study).planned, len(pairs), study.precision)
    found = {}
    for pair in pairs:
        asked = set.intersection(*(set(study.variant(name).keys) for name in members(study, *pair)))
        diverged = len(asked & (arms[pair.variant].diverged | arms[pair.reference].diverged))
        n = (len(asked) if seeds is None else seeds) - diverged
        found[frozenset(pair)] = test.prospect(pair, n, noise[pair], diverged)

    def networks(contrast: Contrast) -> frozenset[str]:
        return frozenset((arm_name(study, contrast.variant), arm_name(study, contrast.reference)))

    claimed = {networks(contrast) for claim in study.claims for contrast in claim.contrasts}
    return Prospects(
        study,
        seeds if seeds is not None else len(study.seeds),
        stated,
        tuple(found.values()),
        tuple(_claim(claim, lambda contrast: found.get(networks(contrast))) for claim in study.claims),
        tuple(one for pair, one in found.items() if pair not in claimed),
    )


@dataclass(frozen=True)
class _Test:
    """How a study decides: its δ in percentage points, the level of each look, the number of declared comparisons, its precision."""

    delta: float
    alpha: float
    family: int
    precision: Precision | None

    def prospect(self, pair: Pair, n: int, noise: Noise | None, diverged: int) -> Prospect:
        if rule := self.precision:
            n = min(stein_seeds(noise.deviation, rule.first, rule.half_width), rule.most) if noise else rule.first
        elif noise is None:
            return Prospect(*pair, n, None, None, None, diverged)
        ends = noise.interval if noise else None
        likely = self._outlook(noise.deviation if noise else None, n, diverged)
        return Prospect(*pair, n, noise, likely, self._outlook(ends[1], n, diverged) if ends else None, diverged)

    def _outlook(self, deviation: float | None, n: int, diverged: int) -> Outlook:
        if self.precision is not None:
            procedure = TwoStage(self.precision, deviation)
            equal = 0.0 if diverged else procedure.power_of_equivalence(self.delta, self.alpha)
            return Outlook(procedure.resolvable(self.alpha / self.family), equal, None, None)
        assert deviation is not None, "without a precision there is nothing to say where the noise is unknown"
        known = deviation

        def difference(seeds: int) -> float:
            return power_of_difference(self.delta, known, seeds, self.alpha / self.family)

        def equivalence(seeds: int) -> float:
            return 0.0 if diverged else power_of_equivalence(0.0, known, seeds, self.delta, self.alpha)

        return Outlook(
            resolvable=resolvable(known, n, self.alpha, self.family) if n >= FEWEST else None,
            equivalence=equivalence(n) if n >= FEWEST else None,
            to_resolve=seeds_for(difference, least=FEWEST),
            to_equate=seeds_for(equivalence, least=FEWEST),
        )


def _claim(claim: Claim, of: Callable[[Contrast], Prospect | None]) -> ClaimProspect:
    equivalences = [one for c in claim.contrasts if c.expect == "equivalent" and (one := of(c))]
    differences = [one for c in claim.contrasts if c.expect != "equivalent" and (one := of(c))]
    return ClaimProspect(claim, weakest(differences), weakest(equivalences), len(differences), len(equivalences))


def weakest(parts: Iterable[Prospect]) -> Prospect | None:
    """The part that can tell the least: of unknown noise, else of too few seeds, else the noisiest for its number of seeds."""

    def rank(one: Prospect) -> tuple[bool, bool, bool, float]:
        deviation = one.noise.deviation if one.noise else 0.0
        return one.noise is None, one.n < FEWEST, one.diverged > 0, deviation / math.sqrt(max(one.n, 1))

    return max(parts, key=rank, default=None)


# -- the noise known so far


def _noise(study: Study, arms: Mapping[str, Arm], pairs: Sequence[Pair], stated: float | None) -> dict[Pair, Noise | None]:
    """What is known of each comparison's noise. Differences without any spread are as good as none: nothing could be tested with them."""
    scales = {Pair(one.plus.name, one.minus.name): one.scale for one in effects(study.crossed)}
    differences = {pair: [one / scales.get(pair, 1.0) for one in _differences(study, arms, pair)] for pair in pairs}
    spreads = {pair: Spread(len(values), _deviation(values)) for pair, values in differences.items() if len(values) >= 2}
    shared = pooled(spreads) or (None if stated is None else Noise(stated * math.sqrt(2), "stated"))
    known: dict[Pair, Noise | None] = dict.fromkeys(pairs, shared)
    for pair, spread in spreads.items():
        if spread.pairs >= FEWEST and spread.deviation > 0:
            known[pair] = Noise(spread.deviation, "own", spread.pairs, spread.pairs - 1)
    return {pair: one and replace(one, deviation=one.deviation * scales.get(pair, 1.0)) for pair, one in known.items()}


def _differences(study: Study, arms: Mapping[str, Arm], pair: Pair) -> list[float]:
    """Of all seeds that both have; rounded, so that equal differences of whole images stay equal."""
    own, other = arms[pair.variant].values, arms[pair.reference].values
    return [round(own[seed] - other[seed], 9) for seed in study.seeds if seed in own and seed in other]


def _deviation(values: Sequence[float]) -> float:
    """Exactly 0 for equal values, whose rounded mean may differ from them."""
    return float(np.std(values, ddof=1)) if np.ptp(values) > 0 else 0.0


@dataclass(frozen=True)
class Spread:
    """The standard deviation of one comparison's stored differences, of at least two pairs."""

    pairs: int
    deviation: float

    @property
    def freedom(self) -> int:
        """Its degrees of freedom."""
        return self.pairs - 1


def pooled(spreads: Mapping[Pair, Spread]) -> Noise | None:
    """The root mean square of the deviations, weighted by their degrees of freedom; None where there is no spread at all.

    Comparisons that share an arm are correlated by a half where all arms vary alike, so their degrees of freedom do not simply add: the
    deviation is as well known as one of (sum f)² / sum over all i, j of r² min(f_i, f_j) degrees of freedom (Satterthwaite 1946; the
    smaller one's seeds are among the greater one's). Every pair of k arms compared with every other gives the (k - 1)(n - 1) of the
    two-way layout.
    """
    total = sum(spread.freedom for spread in spreads.values())
    squares = sum(spread.freedom * spread.deviation**2 for spread in spreads.values())
    if squares == 0:
        return None
    overlap = sum(_correlation(one, other) ** 2 * min(a.freedom, b.freedom) for one, a in spreads.items() for other, b in spreads.items())
    return Noise(math.sqrt(squares / total), "pooled", max(spread.pairs for spread in spreads.values()), total**2 / overlap)


def _correlation(one: Pair, other: Pair) -> float:
    """How two comparisons' differences are correlated, up to the sign: by the arms that they share."""
    return len({*one} & {*other}) / 2
