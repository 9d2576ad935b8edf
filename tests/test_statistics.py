"""The statistics: worked by hand, against statsmodels and SciPy, and against published examples."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from ablations.statistics.estimation import (
    Difference,
    components,
    divergence_p,
    false_alarms,
    holm,
    interval,
    joint_coverage,
    moderated,
    paired,
    paired_difference,
    pooled,
    seed_correlation,
    simultaneous,
    two_stage,
)

T_2, T_4 = 4.302652729911275, 2.7764451051977934  # the 97.5 % points of Student's t with 2 and 4 degrees of freedom, from any table


# -- one sample


def test_an_interval_worked_by_hand() -> None:
    # mean 2, standard deviation 1, n = 3: 4.302653 / sqrt(3) on either side
    estimate = interval([1.0, 2.0, 3.0])
    assert estimate.mean == pytest.approx(2.0)
    assert estimate.half_width == pytest.approx(T_2 / 3**0.5, abs=1e-10)
    assert estimate.n == 3


def test_two_values_use_one_degree_of_freedom() -> None:
    assert interval([4.0, 6.0]).half_width == pytest.approx(12.706204736432095, abs=1e-9)


def test_without_a_spread_there_is_no_interval() -> None:
    none, one = interval([]), interval([7.5])
    assert (none.mean, none.low, none.high, none.n, none.half_width) == (None, None, None, 0, None)
    assert (one.mean, one.low, one.high, one.n, one.half_width) == (7.5, None, None, 1, None)


def test_equal_values_have_an_interval_of_width_zero() -> None:
    estimate = interval([0.1, 0.1, 0.1])
    assert estimate.low == estimate.mean == estimate.high


# -- the paired difference


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_the_paired_difference_agrees_with_scipy(n: int, confidence: float) -> None:
    x, y = np.random.default_rng(n).normal(20, 1, (2, n))
    ours = paired_difference({str(i): v for i, v in enumerate(x)}, {str(i): v for i, v in enumerate(y)}, confidence)
    theirs = stats.ttest_rel(x, y)
    ends = theirs.confidence_interval(confidence)
    assert ours.low == pytest.approx(ends.low, abs=1e-10)
    assert ours.high == pytest.approx(ends.high, abs=1e-10)
    assert float(paired(x, y).p()) == pytest.approx(theirs.pvalue, abs=1e-10)


def test_students_own_example() -> None:
    """The sleep data (Student 1908) as R's ``t.test`` prints it: t = -4.0621, df = 9, p = 0.002833, interval -2.4598858 to -0.7001142."""
    first = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    second = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    found = paired(first, second)
    assert float(found.mean) == pytest.approx(-1.58, abs=1e-12)
    assert float(found.mean / found.error) == pytest.approx(-4.0621, abs=5e-5)
    assert float(found.freedom) == 9
    assert float(found.p()) == pytest.approx(0.002833, abs=5e-7)
    assert [float(end) for end in found.interval()] == pytest.approx([-2.4598858, -0.7001142], abs=5e-8)


def test_only_seeds_that_both_have_are_paired() -> None:
    estimate = paired_difference({"0": 5.0, "1": 7.0, "9": 100.0}, {"1": 6.0, "0": 5.0, "8": -100.0})
    assert (estimate.n, estimate.mean) == (2, 0.5)
    assert paired_difference({"0": 5.0}, {"1": 6.0}).mean is None
    one = paired_difference({"0": 5.0}, {"0": 6.0})
    assert (one.mean, one.low, one.n) == (-1.0, None, 1)


@pytest.mark.parametrize("delta", [0.1, 0.5, 2.0])
def test_two_one_sided_tests_agree_with_statsmodels(delta: float) -> None:
    for seed in range(20):
        x, y = np.random.default_rng(seed).normal(20, 0.5, (2, 6))
        theirs = ttost_paired(x, y, -delta, delta)[0]
        assert float(paired(x, y).equivalence_p(delta)) == pytest.approx(theirs, abs=1e-10)


def test_the_smallest_delta_is_where_equivalence_begins() -> None:
    # differences 1, 2, 3: 2 + 2.919986 / sqrt(3), with 2.919986 the 95 % point of t with 2 degrees of freedom
    found = paired(np.array([1.0, 2.0, 3.0]), np.zeros(3))
    assert float(found.smallest_delta()) == pytest.approx(2 + 2.919985580355516 / 3**0.5, abs=1e-10)
    for alpha in (0.05, 0.05 / 3):
        assert float(found.equivalence_p(found.smallest_delta(alpha))) == pytest.approx(alpha, abs=1e-10)


def test_equivalence_is_never_found_where_the_mean_lies_outside() -> None:
    found = Difference(np.array([0.3, -0.3]), np.array([0.001, 0.001]), np.array([4.0, 4.0]))
    assert (found.equivalence_p(0.2) > 0.99).all()
    assert (found.equivalence_p(0.0) >= 0.5).all()


def test_leading_axes_are_so_many_differences() -> None:
    x, y = np.random.default_rng(0).normal(20, 1, (2, 7, 3, 5))
    all_at_once, one = paired(x, y), paired(x[4, 2], y[4, 2])
    assert all_at_once.mean.shape == (7, 3)
    assert float(all_at_once.p()[4, 2]) == pytest.approx(float(one.p()), abs=1e-14)


# -- no spread at all


def test_without_any_spread_nothing_is_tested() -> None:
    found = paired(np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.5, 2.5]))
    assert np.isnan(found.p()) and np.isnan(found.equivalence_p(1.0))
    assert [float(end) for end in found.interval()] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("values", "reference"),
    [
        ([23.4, 23.7, 22.9], [23.1, 23.4, 22.6]),
        ([100 * k / 1000 for k in (395, 396, 399)], [100 * k / 1000 for k in (398, 399, 402)]),
        ([100 * k / 10_000 for k in (396, 397, 400)], [100 * k / 10_000 for k in (403, 404, 407)]),
    ],
)
def test_rounding_is_not_taken_for_spread(values: list[float], reference: list[float]) -> None:
    """These differences are equal on paper and differ by 1e-15 in a computer; a test on that would find p = 1e-29."""
    differences = np.subtract(values, reference)
    assert np.ptp(differences) > 0
    assert np.isnan(paired(np.array(values), np.array(reference)).p())
    seeds = [str(number) for number in range(len(values))]
    estimate = paired_difference(dict(zip(seeds, values, strict=True)), dict(zip(seeds, reference, strict=True)))
    assert estimate.low == estimate.mean == estimate.high


def test_the_smallest_real_spread_counts() -> None:
    """One test image of 10,000 is 0.01 points. Differences 0.31, 0.30, 0.30: t = 91, and at two degrees p = 1 - t / sqrt(2 + t^2)."""
    found = paired(np.array([23.41, 23.7, 22.9]), np.array([23.1, 23.4, 22.6]))
    assert float(found.p()) == pytest.approx(1 - 91 / math.sqrt(2 + 91**2), rel=1e-8)


# -- the two other ways to a difference


def test_pooled_agrees_with_the_linear_model_of_statsmodels() -> None:
    table = np.random.default_rng(3).normal(20, 1, (4, 5))
    frame = pd.DataFrame(
        [(f"v{row}", f"s{column}", table[row, column]) for row in range(4) for column in range(5)], columns=["v", "s", "y"]
    )
    fit = ols("y ~ C(v, Treatment('v1')) + C(s)", frame).fit()
    names = [f"C(v, Treatment('v1'))[T.v{row}]" for row in (0, 2, 3)]
    found = pooled(table, 1)
    assert found.mean.tolist() == pytest.approx(fit.params[names].tolist(), abs=1e-10)
    assert found.error.tolist() == pytest.approx(fit.bse[names].tolist(), abs=1e-10)
    assert found.freedom.tolist() == [fit.df_resid] * 3
    assert found.p().tolist() == pytest.approx(fit.pvalues[names].tolist(), abs=1e-10)


def test_pooled_worked_by_hand() -> None:
    # rows 1 2 3 and 3 2 1: no mean difference; residuals -1 0 1 and 1 0 -1 about both means, so 4 / 2 = 2 is the variance, freedom 2
    found = pooled(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]), 0)
    assert (found.mean.tolist(), found.freedom.tolist()) == ([0.0], [2.0])
    assert found.error.tolist() == pytest.approx([math.sqrt(2 * 2 / 3)])


def test_two_variants_pooled_are_a_paired_t() -> None:
    table = np.random.default_rng(5).normal(20, 1, (2, 6))
    one, other = pooled(table, 0), paired(table[1], table[0])
    assert (float(one.mean[0]), float(one.error[0]), float(one.freedom[0])) == pytest.approx(
        (float(other.mean), float(other.error), float(other.freedom))
    )


def _moderated_independently(variances: list[float], own: int) -> tuple[list[float], float]:
    """Smyth (2004), Section 6.2, one number after another: the moderated variances and their degrees of freedom."""
    logs = [math.log(v) - digamma(own / 2) + math.log(own / 2) for v in variances]
    level = sum(logs) / len(logs)
    excess = sum((one - level) ** 2 for one in logs) / (len(logs) - 1) - polygamma(1, own / 2)
    if excess <= 0:
        return [math.exp(level)] * len(logs), own * len(logs)
    prior_freedom = 2 * brentq(lambda x: polygamma(1, x) - excess, 1e-3, 1e6, xtol=1e-13, rtol=1e-15)
    prior = math.exp(level + digamma(prior_freedom / 2) - math.log(prior_freedom / 2))
    drawn = [(prior_freedom * prior + own * v) / (prior_freedom + own) for v in variances]
    return drawn, min(prior_freedom + own, own * len(logs))


@pytest.mark.parametrize("spread", [(1.0, 1.0, 1.0, 1.0), (0.1, 1.0, 3.0, 10.0), (1.0, 1.0, 1.0, 30.0)])
def test_moderated_agrees_with_an_independent_computation(spread: tuple[float, ...]) -> None:
    for seed in range(10):
        generator = np.random.default_rng(seed)
        table = np.vstack([generator.normal(20, 0.5, 5), *(generator.normal(20, s, 5) for s in spread)])
        differences = table[1:] - table[0]
        drawn, freedom = _moderated_independently(differences.var(-1, ddof=1).tolist(), 4)
        found = moderated(table, 0)
        assert found.mean.tolist() == pytest.approx(differences.mean(-1).tolist(), abs=1e-12)
        assert (found.error**2 * 5).tolist() == pytest.approx(drawn, rel=1e-8)
        assert found.freedom.tolist() == pytest.approx([freedom] * 4, rel=1e-8)


def test_moderated_draws_variances_together_and_keeps_their_order() -> None:
    table = np.vstack([np.zeros(5), *(s * np.random.default_rng(9).normal(0, 1, (3, 5)) for s in (0.1, 1.0, 4.0))])
    own, drawn = paired(table[1:], table[0]).error, moderated(table, 0).error
    assert np.ptp(np.log(drawn)) < np.ptp(np.log(own))
    assert (np.argsort(drawn) == np.argsort(own)).all()


# -- Stein


def test_the_second_stage_keeps_the_spread_of_the_first() -> None:
    # first three: 1, 2, 3 with deviation 1 and 2 degrees of freedom; mean of all six is 5, its error 1 / sqrt(6)
    found = two_stage(np.array([1.0, 2.0, 3.0, 4.0, 8.0, 12.0]), np.zeros(6), 3)
    low, high = found.interval()
    assert (float(found.mean), float(found.freedom)) == (5.0, 2.0)
    assert (float(low), float(high)) == pytest.approx((5 - T_2 / 6**0.5, 5 + T_2 / 6**0.5), abs=1e-10)


# -- Holm, and intervals that agree with it


def test_holm_worked_by_hand() -> None:
    # 0.01 x 4; 0.02 x 3; then 0.03 x 2 = 0.06; 0.04 x 1, which may not fall below the step before it
    assert holm(np.array([0.03, 0.01, 0.04, 0.02])).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]


def test_holm_agrees_with_statsmodels() -> None:
    for seed in range(4):  # each call of theirs collects garbage
        p = np.random.default_rng(seed).random(7) ** 3
        p[3] = p[5]  # ties
        assert holm(p).tolist() == pytest.approx(multipletests(p, method="holm")[1].tolist(), abs=1e-12)


def test_comparisons_without_a_p_count_in_the_family() -> None:
    found = holm(np.array([0.02, np.nan, 0.01, np.nan]))
    assert found[[0, 2]].tolist() == pytest.approx([0.06, 0.04])
    assert np.isnan(found[[1, 3]]).all()
    assert holm(np.array([0.02, 0.01]), family=4).tolist() == pytest.approx([0.06, 0.04])
    assert np.isnan(holm(np.array([np.nan, np.nan]))).all()
    assert holm(np.array([])).shape == (0,)


def test_holm_on_every_row_of_a_table() -> None:
    p = np.random.default_rng(1).random((6, 4))
    assert holm(p).tolist() == [holm(row).tolist() for row in p]


def test_simultaneous_intervals_worked_by_hand() -> None:
    """Two of them, at 97.5 % each. With 4 degrees of freedom: t(0.9875) = 3.495406, t(0.975) = 2.776445.

    p of the second, t = 3, is 0.0399: above 0.025, so Bonferroni's interval includes 0; but Holm has rejected the first and asks only for
    0.05 of it. Its near end then stands at 0.
    """
    found = Difference(np.array([10.0, -3.0]), np.array([1.0, 1.0]), np.array([4.0, 4.0]))
    adjusted = holm(found.p())
    low, high = simultaneous(found, adjusted, 2)
    assert adjusted[1] == pytest.approx(0.039941968, abs=1e-8)
    assert low.tolist() == pytest.approx([10 - 3.4954059, -3 - 3.4954059], abs=1e-6)
    assert high.tolist() == pytest.approx([10 + 3.4954059, 0.0], abs=1e-6)


def test_intervals_exclude_zero_exactly_where_holm_rejects() -> None:
    generator = np.random.default_rng(2)
    found = Difference(generator.normal(0, 3, (2000, 5)), generator.uniform(0.5, 2, (2000, 5)), np.full((2000, 5), 4.0))
    adjusted = holm(found.p())
    low, high = simultaneous(found, adjusted, 5)
    rejected = adjusted <= 0.05
    assert 0.1 < rejected.mean() < 0.9 and (rejected & ((low == 0) | (high == 0))).any()
    assert (((low >= 0) | (high <= 0)) == rejected).all()
    assert ((low <= found.mean) & (found.mean <= high)).all()


def test_what_a_family_covers_together() -> None:
    assert [joint_coverage(m) for m in (1, 2, 4)] == pytest.approx([0.95, 0.925, 0.9125])
    assert joint_coverage(4, 0.05 / 3) == pytest.approx(1 - 0.05 / 3 * 1.75)


def test_a_family_of_one_has_the_ordinary_interval() -> None:
    found = paired(np.array([1.0, 2.0, 3.0, 4.0, 9.0]), np.zeros(5))
    assert [float(end) for end in simultaneous(found, holm(found.p()[None])[0], 1)] == pytest.approx(
        [float(end) for end in found.interval()]
    )


# -- divergence, correlation, an arm against itself, components


def test_fishers_tea() -> None:
    """Fisher (1935): of eight cups four and four, three of each named right: p = (16 + 16 + 1 + 1) / 70, in R 0.4857."""
    assert divergence_p(3, 4, 1, 4) == pytest.approx(34 / 70, abs=1e-12)
    assert divergence_p(4, 4, 0, 4) == pytest.approx(2 / 70, abs=1e-12)
    assert divergence_p(0, 5, 0, 5) == 1.0


def test_the_correlation_of_seeds() -> None:
    reference = {"0": 1.0, "1": 2.0, "2": 3.0}
    assert seed_correlation([{"0": 11.0, "1": 12.0, "2": 13.0}], reference) == pytest.approx(1)
    assert seed_correlation([{"0": 3.0, "1": 2.0, "2": 1.0}], reference) == pytest.approx(-1)
    # var(x - y) = 1, var(x) = var(y) = 1
    assert seed_correlation([{"0": 1.0, "1": 3.0, "2": 2.0}], reference) == pytest.approx(0.5)
    assert seed_correlation([{"0": 1.0, "1": 2.0}], reference) is None
    assert seed_correlation([{"0": 4.0, "1": 4.0, "2": 4.0}], dict.fromkeys("012", 5.0)) is None


def test_the_correlation_is_pooled_over_samples() -> None:
    # var(x - y) 0 and 4, var(x) + var(y) 2 and 2: 1 - 4 / 4
    reference = {"0": 1.0, "1": 2.0, "2": 3.0}
    assert seed_correlation([reference, {"0": 3.0, "1": 2.0, "2": 1.0}], reference) == pytest.approx(0)


def test_all_splits_of_six_seeds() -> None:
    """Ten splits of 0 1 2 | 10 11 12 ... : an independent count over every pairing must bound what one random pairing each finds."""
    values = [0.0, 0.1, 0.2, 5.0, 5.1, 5.3]
    found = false_alarms(values, np.random.default_rng(0))
    assert found is not None and found.splits == 10
    possible = certain = 0
    for rest in combinations(range(1, 6), 2):
        one = [0, *rest]
        other = [index for index in range(6) if index not in one]
        ps = [
            stats.ttest_rel([values[index] for index in one], [values[index] for index in order]).pvalue
            for order in ([other[i] for i in turn] for turn in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)))
        ]
        possible += min(ps) <= 0.05
        certain += max(ps) <= 0.05
    assert 1 <= certain <= found.alarms <= possible < 10


def test_an_arm_against_itself_needs_six_seeds_that_vary() -> None:
    generator = np.random.default_rng(0)
    assert false_alarms([1.0, 2.0, 3.0, 4.0, 5.0], generator) is None
    assert false_alarms([2.0] * 8, generator) is None
    assert false_alarms([], generator) is None
    seven = false_alarms([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0], generator)
    assert seven is not None and seven.splits == 10
    many = false_alarms(list(np.random.default_rng(1).normal(0, 1, 30)), generator, limit=300)
    assert many is not None and many.splits == 300


def test_evenly_spaced_values_raise_no_alarm_by_rounding() -> None:
    """0.1, 0.2 ... 0.6 against themselves: some pairings have equal differences on paper, where nothing can be tested."""
    for seed in range(20):
        found = false_alarms([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], np.random.default_rng(seed), alpha=1e-6)
        assert found is not None and found.alarms == 0


def test_components_worked_by_hand() -> None:
    """Three seeds by four images.

    Row means 2, 4, 6 have variance 4, column means 1, 3, 5, 7 have 20/3. The rest is ±1 in four cells: 4 / 6. So the mean squares are
    4 x 4 = 16, 3 x 20/3 = 20 and 2/3, and the variances (16 - 2/3) / 4 = 23/6, (20 - 2/3) / 3 = 58/9 and 2/3.
    """
    table = np.array([2.0, 4.0, 6.0])[:, None] + np.array([-3.0, -1.0, 1.0, 3.0])
    table += np.array([[1, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 0, 0]])
    found = components(table)
    assert (found.seed**2, found.image**2, found.rest**2) == pytest.approx((23 / 6, 58 / 9, 2 / 3), abs=1e-12)
    assert found.floor == pytest.approx(math.sqrt(58 / 9 / 4), abs=1e-12)
    # the mean square of seeds and that of images less the rest's, over all cells
    assert found.error**2 == pytest.approx((16 + 20 - 2 / 3) / 12, abs=1e-12)


def test_components_agree_with_the_analysis_of_variance_of_statsmodels() -> None:
    table = np.random.default_rng(4).normal(0, 1, (5, 8)) + np.arange(8)
    frame = pd.DataFrame(
        [(f"s{row}", f"i{column}", table[row, column]) for row in range(5) for column in range(8)], columns=["s", "i", "y"]
    )
    squares = anova_lm(ols("y ~ C(s) + C(i)", frame).fit())["mean_sq"]
    found = components(table)
    assert found.rest**2 == pytest.approx(squares["Residual"], abs=1e-8)
    assert found.image**2 == pytest.approx((squares["C(i)"] - squares["Residual"]) / 5, abs=1e-8)
    assert found.seed**2 == pytest.approx(max(0.0, (squares["C(s)"] - squares["Residual"]) / 8), abs=1e-8)


PENICILLIN = (
    "272326232321 272326232321 252125242420 262325232320 252226222320 242225232219 242023212219 262226242421 242124222220 242124232219 "
    "262326242421 252226242420 262426242522 262326232320 262325242422 252225232320 252124232320 252224232319 242123212119 262326242421 "
    "252124222218 252225222220 242124222419 242124222118"
)
"""Diameters in mm of 24 plates by six samples of penicillin (Davies and Goldsmith 1972, Section 6.6), two digits each."""


def test_components_of_a_published_example() -> None:
    """The REML estimates of lme4 and MixedModels, which equal the analysis of variance where the table is whole.

    Intercept 22.9722 with standard error 0.8086; variances 0.71691 of plates, 3.73092 of samples, 0.30242 of the rest.
    """
    table = np.array([[int(row[at : at + 2]) for at in range(0, 12, 2)] for row in PENICILLIN.split()], dtype=float)
    found = components(table)
    assert (found.seeds, found.images) == (24, 6)
    assert table.mean() == pytest.approx(22.9722, abs=5e-5)
    assert (found.seed**2, found.image**2, found.rest**2) == pytest.approx((0.716908, 3.73092, 0.302415), rel=2e-5)
    assert found.error == pytest.approx(0.808573, abs=1e-5)


def test_a_negative_component_counts_as_none() -> None:
    # both seeds have the mean of the other and opposite images: nothing is left for seeds or images but the rest
    found = components(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert (found.seed, found.image, found.rest) == (0.0, 0.0, 2.0)
    still = components(np.full((3, 4), 7.0))
    assert (still.seed, still.image, still.rest, still.floor, still.error) == (0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("shape", [(1, 10), (10, 1), (0, 5)])
def test_components_need_two_of_each(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="two seeds and two images"):
        components(np.zeros(shape))


def test_importing_statistics_does_not_import_scipy() -> None:
    code = "import sys, ablations.statistics.estimation; raise SystemExit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
