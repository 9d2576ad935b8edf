"""Intervals and paired differences: worked by hand, and against SciPy's own tests."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from ablations.statistics import interval, paired_difference, seed_correlation


def test_an_interval_worked_by_hand() -> None:
    # mean 2, standard deviation 1, n = 3: 4.302653 / sqrt(3) on either side
    estimate = interval([1.0, 2.0, 3.0])
    assert estimate.mean == pytest.approx(2.0)
    assert estimate.half_width == pytest.approx(4.302652729911275 / 3**0.5, abs=1e-10)
    assert estimate.n == 3 and not estimate.excludes_zero


def test_two_values_use_one_degree_of_freedom() -> None:
    assert interval([4.0, 6.0]).half_width == pytest.approx(12.706204736432095, abs=1e-9)


def test_without_a_spread_there_is_no_interval() -> None:
    none, one = interval([]), interval([7.5])
    assert (none.mean, none.low, none.high, none.n, none.half_width) == (None, None, None, 0, None)
    assert (one.mean, one.low, one.high, one.n, one.half_width) == (7.5, None, None, 1, None)
    assert not none.excludes_zero and not one.excludes_zero


def test_equal_values_have_an_interval_of_width_zero() -> None:
    estimate = interval([0.1, 0.1, 0.1])
    assert estimate.low == estimate.mean == estimate.high
    assert estimate.excludes_zero


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_the_paired_difference_agrees_with_scipy(n: int, confidence: float) -> None:
    x, y = np.random.default_rng(n).normal(20, 1, (2, n))
    ours = paired_difference({str(i): v for i, v in enumerate(x)}, {str(i): v for i, v in enumerate(y)}, confidence)
    theirs = stats.ttest_rel(x, y).confidence_interval(confidence)
    assert ours.low == pytest.approx(theirs.low, abs=1e-10)
    assert ours.high == pytest.approx(theirs.high, abs=1e-10)


def test_only_seeds_that_both_have_are_paired() -> None:
    estimate = paired_difference({"0": 5.0, "1": 7.0, "9": 100.0}, {"1": 6.0, "0": 5.0, "8": -100.0})
    assert (estimate.n, estimate.mean) == (2, 0.5)
    assert paired_difference({"0": 5.0}, {"1": 6.0}).mean is None


def test_the_correlation_of_seeds() -> None:
    reference = {"0": 1.0, "1": 2.0, "2": 3.0}
    assert seed_correlation([{"0": 11.0, "1": 12.0, "2": 13.0}], reference) == pytest.approx(1)
    assert seed_correlation([{"0": 3.0, "1": 2.0, "2": 1.0}], reference) == pytest.approx(-1)
    # var(x - y) = 1, var(x) = var(y) = 1
    assert seed_correlation([{"0": 1.0, "1": 3.0, "2": 2.0}], reference) == pytest.approx(0.5)
    assert seed_correlation([{"0": 1.0, "1": 2.0}], reference) is None
    assert seed_correlation([{"0": 4.0, "1": 4.0, "2": 4.0}], dict.fromkeys("012", 5.0)) is None


def test_importing_statistics_does_not_import_scipy() -> None:
    code = "import sys, ablations.statistics; raise SystemExit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
