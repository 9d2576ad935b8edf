"""Paired differences over seeds: intervals, tests, equivalence, divergence rates; plain functions on numbers and arrays, SciPy underneath.

Seeds are the sample: an interval says where the mean over all seeds of this recipe lies, on these training and test images. Every
difference comes down to a ``Difference``: a mean, its standard error and the degrees of freedom behind that. Three ways lead to one
(``paired``, ``pooled``, ``moderated``); what follows from it (interval, p, equivalence) is the same for all. Functions take arrays with any
leading axes, so that a simulation runs the very code that a report does. ``docs/statistics.md`` says why each was chosen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]


# -- one sample


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
    half = float(_t_quantile((1 + confidence) / 2, n - 1)) * float(_deviation(sample, np.abs(sample))) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def paired_difference(values: Mapping[str, float], reference: Mapping[str, float], confidence: float = 0.95) -> Estimate:
    """The mean of ``values - reference`` over the seeds that both have, with its Student-t interval; ``n`` counts those seeds."""
    seeds = [seed for seed in values if seed in reference]
    x, y = (np.array([source[seed] for seed in seeds], dtype=np.float64) for source in (values, reference))
    if len(seeds) < 2:
        return interval(x - y)
    found = paired(x, y)
    low, high = found.interval(confidence)
    return Estimate(float(found.mean), float(low), float(high), len(seeds))


# -- differences, by three ways


@dataclass(frozen=True)
class Difference:
    """A mean difference, its standard ``error``, and the degrees of ``freedom`` behind that; arrays of one shape.

    Where there was no spread at all (``error`` 0) an interval has width zero and no test is possible: each p is NaN, which decides nothing.
    """

    mean: Array
    error: Array
    freedom: Array

    def interval(self, confidence: float | Array = 0.95) -> tuple[Array, Array]:
        """Both ends of the Student-t interval."""
        half = _t_quantile((1 + np.asarray(confidence)) / 2, self.freedom) * self.error
        return self.mean - half, self.mean + half

    def p(self) -> Array:
        """Two-sided p of "no difference"."""
        return 2 * self._tail(np.abs(self.mean))

    def equivalence_p(self, delta: float | Array) -> Array:
        """The p of two one-sided tests (Schuirmann 1987): small where the true difference lies inside ±``delta``."""
        return self._tail(np.asarray(delta) - np.abs(self.mean))

    def smallest_delta(self, alpha: float = 0.05) -> Array:
        """The smallest δ at which the two one-sided tests would declare equivalence: the far end of the 1 - 2 alpha interval."""
        return np.abs(self.mean) + _t_quantile(1 - alpha, self.freedom) * self.error

    def _tail(self, distance: Array) -> Array:
        """P(T > distance / error)."""
        from scipy.special import stdtr  # late: SciPy takes a noticeable part of a second to import

        error = np.where(self.error > 0, self.error, np.nan)
        return np.asarray(stdtr(self.freedom, -distance / error))


def paired(values: Array, reference: Array) -> Difference:
    """Student's paired t: each contrast by its own differences. Both (..., n) in the same order of seeds; n >= 2."""
    return two_stage(values, reference, np.asarray(values).shape[-1])


def pooled(table: Array, reference: int) -> Difference:
    """Every row of ``table`` (..., variants, n) against one, by the residual variance of the two-way layout seed + variant.

    It has (variants - 1)(n - 1) degrees of freedom, and holds only where all variants vary alike and are alike correlated. The
    reference's own row is left out of the result (..., variants - 1).
    """
    table = np.asarray(table, dtype=np.float64)
    variants, n = table.shape[-2:]
    residuals = table - table.mean(-1, keepdims=True) - table.mean(-2, keepdims=True) + table.mean((-2, -1), keepdims=True)
    freedom = (variants - 1) * (n - 1)
    variance = 2 * (residuals**2).sum((-2, -1)) / freedom
    means = _against(table, reference).mean(-1)
    return _difference(means, np.broadcast_to(np.sqrt(variance)[..., None], means.shape), freedom, n)


def moderated(table: Array, reference: int) -> Difference:
    """As ``paired``, each contrast's variance drawn towards that of all by empirical Bayes (Smyth 2004, Section 6.2: limma).

    ``table`` and result as in ``pooled``. The prior is estimated from the contrasts at hand, which are few and share a reference.
    """
    differences = _against(np.asarray(table, dtype=np.float64), reference)
    n = differences.shape[-1]
    own = n - 1
    variance = differences.var(-1, ddof=1)
    prior, prior_freedom = _prior(np.maximum(variance, np.finfo(float).tiny), own)
    endless = np.isinf(prior_freedom)
    weight = np.where(endless, 0.0, prior_freedom)
    drawn = np.where(endless, prior, (weight * prior + own * variance) / (weight + own))
    freedom = np.where(endless, own * variance.shape[-1], np.minimum(weight + own, own * variance.shape[-1]))
    return _difference(differences.mean(-1), np.sqrt(drawn), freedom, n)


def _prior(variance: Array, freedom: int) -> tuple[Array, Array]:
    """Smyth's prior variance and its degrees of freedom, (..., 1) each, from log sample variances (..., contrasts)."""
    from scipy.special import digamma, polygamma

    logs = np.log(variance) - digamma(freedom / 2) + math.log(freedom / 2)
    level = logs.mean(-1, keepdims=True)
    excess = logs.var(-1, ddof=1, keepdims=True) - polygamma(1, freedom / 2)
    half = _inverse_trigamma(np.where(excess > 0, excess, 1.0))
    prior = np.where(excess > 0, np.exp(level + digamma(half) - np.log(half)), np.exp(level))
    return prior, np.where(excess > 0, 2 * half, np.inf)


def _inverse_trigamma(y: Array) -> Array:
    """Newton's iteration on 1 / trigamma, which is nearly linear (Smyth 2004, appendix)."""
    from scipy.special import polygamma

    x = 0.5 + 1 / y
    for _ in range(50):
        trigamma = polygamma(1, x)
        step = trigamma * (1 - trigamma / y) / polygamma(2, x)
        x = x + step
        if np.max(np.abs(step) / x) < 1e-8:
            break
    return np.asarray(x)


def _against(table: Array, reference: int) -> Array:
    return np.delete(table - table[..., [reference], :], reference, axis=-2)


def _difference(mean: Array, deviation: Array, freedom: float | Array, n: int) -> Difference:
    mean = np.asarray(mean)
    return Difference(mean, np.asarray(deviation) / math.sqrt(n), np.broadcast_to(np.asarray(freedom, dtype=np.float64), mean.shape))


def two_stage(values: Array, reference: Array, first: int) -> Difference:
    """Stein's second stage (1945): as ``paired``, but with the variance and freedom of the ``first`` differences alone.

    The number of seeds followed from that variance, so later seeds say nothing about the spread that could be used.
    """
    values, reference = np.asarray(values, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    differences, scale = values - reference, np.maximum(np.abs(values), np.abs(reference))
    deviation = _deviation(differences[..., :first], scale[..., :first])
    return _difference(differences.mean(-1), deviation, first - 1, differences.shape[-1])


# -- many comparisons


def holm(p: Array, family: int | None = None) -> Array:
    """Holm's adjusted p along the last axis: reject where it is at most alpha, and alpha bounds the family-wise error.

    ``family`` counts the declared comparisons where some have no p yet; NaN stays NaN and counts as one that is not rejected.
    """
    p = np.asarray(p, dtype=np.float64)
    count = family if family is not None else p.shape[-1]
    filled = np.where(np.isnan(p), np.inf, p)
    order = np.argsort(filled, axis=-1, kind="stable")
    ranked = np.take_along_axis(filled, order, -1) * (count - np.arange(p.shape[-1]))
    stepped = np.minimum(np.maximum.accumulate(ranked, -1), 1.0)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, stepped, -1)
    return np.where(np.isnan(p), np.nan, adjusted)


def simultaneous(difference: Difference, adjusted: Array, family: int, alpha: float = 0.05) -> tuple[Array, Array]:
    """Intervals for a whole family that agree with Holm's decisions: 0 is outside of exactly those that it rejects.

    They are Bonferroni's, each at 1 - alpha / family, which cover all at once with 1 - alpha. Holm may reject what its interval still
    includes 0 in; the near end then stands at 0 (and 0 itself is outside), the far end stays; what they cover then is ``joint_coverage``.
    Intervals that are both informative and exactly as sharp as Holm do not exist (Strassburger and Bretz 2008).
    """
    low, high = difference.interval(1 - alpha / family)
    clear = adjusted <= alpha
    return np.where(clear & (difference.mean > 0), np.maximum(low, 0.0), low), np.where(
        clear & (difference.mean < 0), np.minimum(high, 0.0), high
    )


def joint_coverage(family: int, alpha: float = 0.05) -> float:
    """The least chance that the intervals of ``simultaneous`` cover all differences of a family at once.

    Of K declared looks, each at alpha / K, it holds for the intervals of all looks together.
    """
    return 1 - alpha * (2 - 1 / family)


# -- what an arm's seeds say besides


def divergence_p(diverged: int, n: int, reference_diverged: int, reference_n: int) -> float:
    """Fisher's exact two-sided p that two arms diverge at one rate: all tables with these margins that are no likelier than this one.

    In whole numbers, so exact; and without SciPy's statistics, which take longer to import than a page takes to write.
    """
    total = diverged + reference_diverged
    tables = [math.comb(n, k) * math.comb(reference_n, total - k) for k in range(max(0, total - reference_n), min(n, total) + 1)]
    this = math.comb(n, diverged) * math.comb(reference_n, reference_diverged)
    return sum(count for count in tables if count <= this) / sum(tables)


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
        scale = np.maximum(np.abs(x), np.abs(y))
        together += float(_deviation(x - y, scale)) ** 2
        apart += float(_deviation(x, scale)) ** 2 + float(_deviation(y, scale)) ** 2
    return 1 - together / apart if apart > 0 else None


@dataclass(frozen=True)
class FalseAlarms:
    """Of ``splits`` comparisons of an arm with itself, in how many the test saw a difference."""

    alarms: int
    splits: int


def false_alarms(values: Sequence[float], generator: np.random.Generator, alpha: float = 0.05, limit: int = 2000) -> FalseAlarms | None:
    """An A/A control: one arm's seeds split into two halves, paired at random, and tested as two variants would be.

    All splits into halves are taken, or ``limit`` random ones where there are more. An odd seed is left out. None below 6 seeds, where
    a half has fewer than the three that a verdict needs, or where nothing varies.
    """
    sample = np.asarray(values, dtype=np.float64)
    half = len(sample) // 2
    if half < 3 or np.ptp(sample) == 0:
        return None
    if math.comb(2 * half, half) // 2 <= limit:
        chosen = [[0, *rest] for rest in combinations(range(1, 2 * half), half - 1)]
        splits = np.array([[*one, *(set(range(2 * half)) - set(one))] for one in chosen])
        splits[:, half:] = generator.permuted(splits[:, half:], axis=1)
    else:
        splits = generator.permuted(np.tile(np.arange(len(sample)), (limit, 1)), axis=1)[:, : 2 * half]
    found = paired(sample[splits[:, :half]], sample[splits[:, half:]]).p() <= alpha
    return FalseAlarms(int(found.sum()), len(found))


@dataclass(frozen=True)
class Components:
    """Where the variance of a mean comes from: standard deviations, in the unit of the values, of seeds, of images, and of their rest.

    Crossed random effects without replication: value = mean + seed + image + rest, so ``rest`` holds what a seed does to an image.
    """

    seed: float
    image: float
    rest: float
    seeds: int
    images: int

    @property
    def floor(self) -> float:
        """The standard error that no number of seeds goes below: another draw of as many images would move the mean by that much."""
        return self.image / math.sqrt(self.images)

    @property
    def error(self) -> float:
        """The standard error of the mean when seeds and images are both taken as samples."""
        return math.sqrt(self.floor**2 + self.seed**2 / self.seeds + self.rest**2 / (self.seeds * self.images))


def components(table: Array) -> Components:
    """Variance components of ``table`` (seeds, images) by the mean squares of the two-way layout; a negative estimate counts as 0.

    :raises ValueError: below two seeds or two images.
    """
    table = np.asarray(table, dtype=np.float64)
    seeds, images = table.shape
    if min(seeds, images) < 2:
        raise ValueError("variance components need two seeds and two images at least")
    by_seed, by_image, mean = table.mean(1), table.mean(0), table.mean()
    rest = ((table - by_seed[:, None] - by_image + mean) ** 2).sum() / ((seeds - 1) * (images - 1))
    seed = (images * by_seed.var(ddof=1) - rest) / images
    image = (seeds * by_image.var(ddof=1) - rest) / seeds
    deviations = [math.sqrt(max(0.0, float(part))) for part in (seed, image, rest)]
    return Components(deviations[0], deviations[1], deviations[2], seeds, images)


def _deviation(sample: Array, scale: Array) -> Array:
    """Standard deviations (n - 1) along the last axis; exactly 0 where the values differ by no more than rounding.

    ``scale`` holds the magnitudes that the values come from: 23.4 - 23.1 and 22.9 - 22.6 are not the same number to a computer.
    """
    rounding = 8 * np.finfo(np.float64).eps * scale.max(axis=-1)
    return np.where(np.ptp(sample, axis=-1) > rounding, sample.std(axis=-1, ddof=1), 0.0)


def _t_quantile(probability: float | Array, freedom: float | Array) -> Array:
    from scipy.special import stdtrit  # late, see above

    return np.asarray(stdtrit(freedom, probability))
