"""Power and seeds needed: against statsmodels, exact integration and simulation, and worked by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from statsmodels.stats.power import TTestPower

from ablations.statistics.estimation import paired
from ablations.statistics.power import (
    MOST,
    power_of_difference,
    power_of_equivalence,
    resolvable,
    seeds_for,
    seeds_to_settle,
    stein_seeds,
)

NOISE = 0.2 * math.sqrt(2)
"""The deviation of paired differences of two uncorrelated arms with a seed noise of 0.2 points."""


# -- a difference


@pytest.mark.parametrize("n", [2, 3, 5, 10, 30, 100])
@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.00125])
def test_power_of_a_difference_agrees_with_statsmodels(n: int, alpha: float) -> None:
    for ratio in (0.0, 0.1, 0.3, 0.5, 1.0, 2.0, 5.0):
        theirs = TTestPower().power(ratio, n, alpha)
        if math.isnan(theirs):  # the far side is too small for SciPy, and for anybody
            theirs = TTestPower().power(ratio, n, alpha / 2, alternative="larger")
        assert power_of_difference(ratio * 3, 3, n, alpha) == pytest.approx(theirs, abs=1e-10)
        assert power_of_difference(-ratio, 1, n, alpha) == pytest.approx(power_of_difference(ratio, 1, n, alpha), abs=1e-14)


def test_without_a_difference_the_power_is_alpha() -> None:
    assert power_of_difference(0, 1, 7, 0.0125) == pytest.approx(0.0125, abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 10, 100, MOST])
def test_power_is_a_probability_that_grows_with_the_difference(n: int) -> None:
    """Far out SciPy's noncentral t gives NaN, for instance at n = 1000 and a ratio of 1.2154742500762872."""
    ratios = [*np.geomspace(1e-3, 1e4, 200), 1.2154742500762872]
    for alpha in (0.05, 0.05 / 40):
        powers = [power_of_difference(ratio, 1, n, alpha) for ratio in sorted(ratios)]
        assert all(0 <= one <= 1 for one in powers)
        assert all(later >= earlier - 1e-9 for earlier, later in pairwise(powers))


def test_seven_seeds_and_fourteen() -> None:
    """0.3 points at a seed noise of 0.2, in a family of four or five: seven seeds see it with a third of a chance, fourteen with 80 %."""
    four, five = (lambda n: power_of_difference(0.3, NOISE, n, 0.05 / 4)), (lambda n: power_of_difference(0.3, NOISE, n, 0.05 / 5))
    assert (round(four(7), 2), round(five(7), 2)) == (0.35, 0.31)
    assert (seeds_for(four), seeds_for(five)) == (14, 14)
    assert seeds_for(lambda n: power_of_difference(0.3, NOISE, n, 0.05)) == 10


# -- equivalence


def _exactly(true: float, deviation: float, n: int, delta: float, alpha: float) -> float:
    """The double integral over the sample's mean and deviation, the inner one in closed form."""
    freedom, root = n - 1, math.sqrt(n)
    critical = stats.t.isf(alpha, freedom)

    def density(u: float) -> float:
        margin = critical * u
        chance = stats.norm.cdf((delta - true) / deviation * root - margin) - stats.norm.cdf((-delta - true) / deviation * root + margin)
        return max(0.0, chance) * stats.chi.pdf(u * math.sqrt(freedom), freedom) * math.sqrt(freedom)

    return float(quad(density, 0, delta / deviation * root / critical, epsabs=1e-10, limit=200)[0])


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20])
@pytest.mark.parametrize(("true", "delta"), [(0, 0.1), (0, 0.5), (0.1, 0.2), (0.3, 0.3), (0.3, 1)])
def test_power_of_equivalence_agrees_with_the_integral(n: int, true: float, delta: float) -> None:
    assert power_of_equivalence(true, 0.3, n, delta, 0.05) == pytest.approx(_exactly(true, 0.3, n, delta, 0.05), abs=2e-4)


def test_power_of_equivalence_agrees_with_simulation() -> None:
    differences = np.random.default_rng(0).normal(0.1, 0.3, (20_000, 6))
    simulated = float((paired(differences, np.zeros(6)).equivalence_p(0.4) <= 0.05).mean())
    assert power_of_equivalence(0.1, 0.3, 6, 0.4, 0.05) == pytest.approx(simulated, abs=4 * math.sqrt(0.25 / 20_000))


def test_equivalence_within_a_fifth_of_a_point() -> None:
    assert [round(100 * power_of_equivalence(0, NOISE, n, 0.2, 0.05)) for n in (5, 10, 20)] == [9, 35, 84]


def test_equivalence_at_a_true_difference_of_delta_is_at_most_alpha() -> None:
    for n in (3, 5, 20):
        assert power_of_equivalence(0.2, 0.001, n, 0.2, 0.05) == pytest.approx(0.05, abs=1e-3)
        assert power_of_equivalence(0.2, 0.3, n, 0.2, 0.05) <= 0.05


def test_without_noise_everything_is_known() -> None:
    assert (power_of_difference(0.1, 0, 3, 0.05), power_of_difference(0, 0, 3, 0.05)) == (1.0, 0.0)
    assert (power_of_equivalence(0.1, 0, 3, 0.2, 0.05), power_of_equivalence(0.2, 0, 3, 0.2, 0.05)) == (1.0, 0.0)


# -- seeds


def test_seeds_for_is_the_first_that_reaches_the_power() -> None:
    assert [seeds_for(lambda n, at=at: float(n >= at)) for at in (1, 3, 4, 7, 8, 9, 999, 1000)] == [3, 3, 4, 7, 8, 9, 999, 1000]
    assert seeds_for(lambda n: float(n >= 1001)) is None
    assert seeds_for(lambda n: float(n >= 5), least=12) == 12
    assert seeds_for(lambda n: n / 10, wanted=0.8) == 8


def test_seeds_for_brackets_the_power_exactly() -> None:
    for ratio in (0.15, 0.4, 1.0, 2.5):
        n = seeds_for(lambda n, ratio=ratio: power_of_difference(ratio, 1, n, 0.05))
        assert n is not None and power_of_difference(ratio, 1, n, 0.05) >= 0.8
        assert n == 3 or power_of_difference(ratio, 1, n - 1, 0.05) < 0.8


def test_seeds_needed_fall_with_the_difference_and_rise_with_noise_and_family() -> None:
    def different(true: float, deviation: float = 1.0, family: int = 1) -> float:
        n = seeds_for(lambda n: power_of_difference(true, deviation, n, 0.05 / family))
        return math.inf if n is None else n

    by_size = [different(true) for true in (0.05, 0.1, 0.2, 0.5, 1, 2, 4, 30)]
    assert by_size == sorted(by_size, reverse=True) and by_size[0] == math.inf and by_size[-1] == 3
    by_family = [different(0.5, family=family) for family in (1, 2, 5, 10, 100)]
    assert by_family == sorted(by_family) and by_family[0] < by_family[-1]
    by_noise = [different(0.5, deviation) for deviation in (0.1, 0.5, 1, 2, 5)]
    assert by_noise == sorted(by_noise)


def test_a_comparison_is_settled_either_way() -> None:
    # G*Power: 10 pairs see an effect of one deviation with 80 % at 5 %
    assert seeds_to_settle(0.2, 0.2, 0.1, 0.05, 1) == 10
    # no difference: only equivalence can be had, at 5 % whatever the family
    equivalent = seeds_for(lambda n: power_of_equivalence(0, NOISE, n, 0.2, 0.05))
    assert seeds_to_settle(0, NOISE, 0.2, 0.05, 1) == seeds_to_settle(0, NOISE, 0.2, 0.05, 9) == equivalent == 19
    # between: whichever comes first
    assert seeds_to_settle(0.3, NOISE, 1.0, 0.05, 4) == 3 < 14
    assert seeds_to_settle(0.0, 5, 0.01, 0.05, 4) is None
    assert seeds_to_settle(0.3, NOISE, 0.0, 0.05, 4) == 14
    assert seeds_to_settle(0.3, 0.01, 0.0, 0.05, 4, least=8) == 8


def test_the_smallest_difference_that_seeds_resolve() -> None:
    for n in (2, 3, 7, 14, 100):
        size = resolvable(NOISE, n, 0.05, 4)
        assert size is not None
        assert power_of_difference(size, NOISE, n, 0.05 / 4) == pytest.approx(0.8, abs=1e-4)
    fourteen = resolvable(NOISE, 14, 0.05, 4)
    assert fourteen is not None and 0.28 < fourteen < 0.3
    assert (resolvable(1.0, 1, 0.05, 4), resolvable(1.0, 0, 0.05, 4), resolvable(0.0, 3, 0.05, 4)) == (None, None, 0.0)


def test_steins_number_of_seeds_worked_by_hand() -> None:
    # t(0.975) with 2 degrees is 4.302653: (4.302653 x 0.5 / 0.6)^2 = 12.86
    assert stein_seeds(0.5, 3, 0.6) == 13
    assert stein_seeds(0.1, 3, 0.6) == 3  # the first stage is narrow enough
    assert stein_seeds(0.0, 5, 0.1) == 5
    # 2.919986 with 90 %: (2.919986 x 0.5 / 0.6)^2 = 5.92
    assert stein_seeds(0.5, 3, 0.6, confidence=0.9) == 6


def test_steins_interval_is_as_narrow_as_was_asked() -> None:
    generator = np.random.default_rng(3)
    for deviation in generator.uniform(0.05, 2, 50):
        n = stein_seeds(float(deviation), 4, 0.5)
        half = 3.182446305284263 * deviation / math.sqrt(n)
        assert half <= 0.5
        assert n == 4 or 3.182446305284263 * deviation / math.sqrt(n - 1) > 0.5
