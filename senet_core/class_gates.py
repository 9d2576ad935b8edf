"""What a block's gates do by class: their means and spreads over images, in NumPy alone. How they are taken: ``senet_core.watch``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LOW, HIGH = 0.01, 0.99
"""A gate below the one or above the other is counted as saturated: a sigmoid whose input lies beyond ±4.6."""


@dataclass(frozen=True)
class ClassGates:
    """One block's gates over N images of K classes, C channels; the gate of an image and channel is one number.

    ``path`` is the block's in the network. ``counts`` (K,) are the images of each class. ``average`` (C,) is the mean gate over all
    images, ``offset`` (K, C) the mean of a class less that, ``deviation`` (K, C) the standard deviation within a class (n - 1); NaN for a
    class of too few images. ``low`` and ``high`` (C,) count the images whose gate is below ``LOW`` or above ``HIGH``; ``least`` and
    ``greatest`` are the ends of all gates.
    """

    path: str
    counts: NDArray[np.int64]
    average: Floats
    offset: Floats
    deviation: Floats
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    least: float
    greatest: float

    @property
    def channels(self) -> int:
        """C."""
        return len(self.average)

    @property
    def stage(self) -> int:
        """The stage that the block sits in, from 1; 0 for a path that names none."""
        return _place(self.path)[0]

    @property
    def unit(self) -> str:
        """The unit in its stage, "2" or "4a"; the path itself where it names none."""
        return _place(self.path)[1]

    @property
    def mean(self) -> Floats:
        """The mean gate of each class, (K, C)."""
        return self.average + self.offset

    @property
    def share(self) -> float | None:
        """The share of variance between classes, from 0 to 1: over images and channels together, the sum of squares of class means about
        the mean, divided by that of all gates about it. None where the gates do not vary at all."""
        between, within = self._squares
        return between / (between + within) if between + within > 0 else None

    @property
    def within(self) -> float:
        """The standard deviation within a class: the root of the variance pooled over classes and averaged over channels."""
        freedom = int((self.counts - 1).clip(min=0).sum())
        return math.sqrt(self._squares[1] / (freedom * self.channels)) if freedom else 0.0

    @property
    def spread(self) -> float:
        """The standard deviation over all images, whatever their class: the root of the variance averaged over channels."""
        freedom = int(self.counts.sum()) - 1
        return math.sqrt(sum(self._squares) / (freedom * self.channels)) if freedom > 0 else 0.0

    @property
    def saturated(self) -> tuple[float, float] | None:
        """The shares of gates below ``LOW`` and above ``HIGH``; None for gates that leave 0 to 1, whose curve ends elsewhere."""
        if self.least < 0 or self.greatest > 1:
            return None
        gates = int(self.counts.sum()) * self.channels
        return int(self.low.sum()) / gates, int(self.high.sum()) / gates

    @property
    def _squares(self) -> tuple[float, float]:
        """Sums of squares between and within classes, over all channels."""
        between = np.nansum(self.counts[:, None] * self.offset**2)
        within = np.nansum((self.counts - 1)[:, None] * self.deviation**2)
        return float(between), float(within)


def _place(path: str) -> tuple[int, str]:
    found = re.search(r"(?:^|\.)stage(\d+)\.(?:unit)?([^.]+)", path)
    return (int(found[1]), found[2]) if found else (0, path)
