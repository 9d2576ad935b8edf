"""What it takes to know: power, seeds needed, differences that can be resolved; with the correction for many comparisons counted.

``deviation`` is always the standard deviation of the paired differences of one seed. For two arms with seed noise s each and seed
correlation c it is s sqrt(2 (1 - c)).
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 1000
"""Seeds beyond which no number is given: it would be longer than any study, and a guess besides."""
POWER = 0.8


def power_of_difference(true: float, deviation: float, n: int, alpha: float) -> float:
    """The chance that a two-sided paired t test at ``alpha`` sees a ``true`` difference with n seeds (noncentral t)."""
    from scipy.special import nctdtr, stdtrit

    if deviation == 0:
        return float(true != 0)
    shift, freedom = abs(true) / deviation * math.sqrt(n), n - 1
    critical = stdtrit(freedom, 1 - alpha / 2)
    below, above = np.nan_to_num(nctdtr(freedom, shift, np.array([-critical, critical])))  # NaN where it is too small for SciPy
    return float(1 - above + below)


def power_of_equivalence(true: float, deviation: float, n: int, delta: float, alpha: float) -> float:
    """The chance that two one-sided tests at ``alpha`` declare a ``true`` difference to be inside ±``delta`` with n seeds.

    Given the sample's deviation the chance is a normal probability; it is averaged over 400 equally likely values of that deviation.
    """
    from scipy.special import ndtr, stdtrit

    if deviation == 0:
        return float(abs(true) < delta)
    freedom, root = n - 1, math.sqrt(n)
    margin = stdtrit(freedom, 1 - alpha) * _sample_deviations(freedom)
    chance = ndtr((delta - true) / deviation * root - margin) - ndtr((-delta - true) / deviation * root + margin)
    return float(np.maximum(chance, 0.0).mean())


@cache
def _sample_deviations(freedom: int) -> NDArray[np.float64]:
    """400 equally likely values of a sample's deviation, in units of the true one."""
    from scipy.special import gammaincinv

    levels = (np.arange(400) + 0.5) / 400
    return np.asarray(np.sqrt(2 * gammaincinv(freedom / 2, levels) / freedom))


def seeds_for(power: Callable[[int], float], wanted: float = POWER, least: int = 3) -> int | None:
    """The fewest seeds, from ``least`` on, at which ``power`` (of n; it grows with n) reaches ``wanted``; None beyond ``MOST``."""
    if power(MOST) < wanted:
        return None
    low, high = least - 1, least
    while power(high) < wanted:
        low, high = high, min(2 * high, MOST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= wanted else (middle, high)
    return high


def seeds_to_settle(true: float, deviation: float, delta: float, alpha: float, family: int, least: int = 3) -> int | None:
    """About how many seeds in all would settle a comparison one way or the other, were the difference and deviation seen the true ones.

    Settled means declared different (at ``alpha / family``, as Holm's first step asks) or equivalent (at ``alpha``), with 80 % chance.
    """
    different = seeds_for(lambda n: power_of_difference(true, deviation, n, alpha / family), least=least)
    equivalent = seeds_for(lambda n: power_of_equivalence(true, deviation, n, delta, alpha), least=least)
    return min((n for n in (different, equivalent) if n is not None), default=None)


def resolvable(deviation: float, n: int, alpha: float, family: int, wanted: float = POWER) -> float | None:
    """The smallest true difference that n seeds see with the ``wanted`` chance, at ``alpha / family``; None below two seeds."""
    from scipy.optimize import brentq

    if n < 2:
        return None
    if deviation == 0:
        return 0.0

    def short(true: float) -> float:
        return power_of_difference(true, deviation, n, alpha / family) - wanted

    high = deviation
    while short(high) < 0:
        high *= 2
    return float(brentq(short, 0.0, high, xtol=1e-6 * high))


def stein_seeds(deviation: float, first: int, half_width: float, confidence: float = 0.95) -> int:
    """How many seeds in all make an interval of that half-width, by the deviation of the ``first`` differences alone (Stein 1945)."""
    from scipy.special import stdtrit

    return max(first, math.ceil((float(stdtrit(first - 1, (1 + confidence) / 2)) * deviation / half_width) ** 2))
