"""Means, Student-t intervals and paired differences over seeds; plain functions on numbers, SciPy underneath.

Seeds are the sample: an interval says where the mean over all seeds of this recipe lies, on these training and test images.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` seeds with its interval, in the unit of the values.

    ``mean`` is None at n = 0; ``low`` and ``high`` are None below n = 2, where nothing is known of the spread.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half the interval's length, or None where there is no interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval and it lies wholly above or wholly below 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def interval(values: Iterable[float], confidence: float = 0.95) -> Estimate:
    """The mean of independent values and its Student-t interval with n - 1 degrees of freedom.

    Equal values give an interval of width zero; one value gives none, no value not even a mean.
    """
    sample = np.asarray(list(values), dtype=np.float64)
    n = sample.size
    if n == 0:
        return Estimate(None, None, None, 0)
    mean = float(sample.mean())
    if n == 1:
        return Estimate(mean, None, None, 1)
    half = _t_quantile(n - 1, (1 + confidence) / 2) * _deviation(sample) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def _deviation(sample: np.ndarray) -> float:
    """The sample's standard deviation (n - 1); exactly 0 for equal values, whose rounded mean may differ from them."""
    return float(sample.std(ddof=1)) if np.ptp(sample) > 0 else 0.0


def _t_quantile(freedom: int, probability: float) -> float:
    from scipy.special import stdtrit  # late: SciPy takes a noticeable part of a second to import

    return float(stdtrit(freedom, probability))


def paired_difference(values: Mapping[str, float], reference: Mapping[str, float], confidence: float = 0.95) -> Estimate:
    """The mean of ``values - reference`` over the seeds that both have, with its Student-t interval; ``n`` counts those seeds."""
    return interval([values[seed] - reference[seed] for seed in values if seed in reference], confidence)


def seed_correlation(samples: Sequence[Mapping[str, float]], reference: Mapping[str, float]) -> float | None:
    """How much of the seeds' effect is common to the samples and their reference: 1 all of it, 0 none.

    Pooled over the samples as 1 - sum var(x - y) / sum (var(x) + var(y)), so it is the share of a difference's variance that pairing by
    seed takes away. Samples with fewer than 3 common seeds do not count; None where none is left or nothing varies.
    """
    apart = together = 0.0
    for sample in samples:
        seeds = [seed for seed in sample if seed in reference]
        if len(seeds) < 3:
            continue
        x, y = (np.array([source[seed] for seed in seeds]) for source in (sample, reference))
        together += _deviation(x - y) ** 2
        apart += _deviation(x) ** 2 + _deviation(y) ** 2
    return 1 - together / apart if apart > 0 else None
