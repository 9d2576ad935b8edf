"""The power of Stein's two-stage procedure, in which the first seeds decide how many there are in all.

Given the deviation of the first stage the number of seeds is known and the mean is normal; all is averaged over 400 equally likely
values of that deviation, as ``ablations.statistics.power`` does for a fixed number of seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ablations.statistics.power import POWER

if TYPE_CHECKING:
    from ablations.statistics.estimation import Array
    from ablations.study import Precision


@dataclass(frozen=True)
class TwoStage:
    """The procedure at one standard ``deviation`` of the paired differences of one seed, in percentage points.

    Where that is None it is taken for so large, and seeds for so many, that every interval is as wide as the precision allows: the noise
    then falls out of all answers, and any other noise gives better ones as long as the most seeds suffice.
    """

    rule: Precision
    deviation: float | None

    def power_of_difference(self, true: float, alpha: float) -> float:
        """The chance that the two-sided test at ``alpha`` sees a ``true`` difference."""
        from scipy.special import ndtr  # late: SciPy takes a noticeable part of a second to import

        error, margin = self._stages
        critical = _t_quantile(self.rule, 1 - alpha / 2) * margin
        return float((ndtr((true - critical) / error) + ndtr((-true - critical) / error)).mean())

    def power_of_equivalence(self, delta: float, alpha: float) -> float:
        """The chance that two one-sided tests at ``alpha`` find no true difference at all to be inside ±``delta``."""
        from scipy.special import ndtr

        error, margin = self._stages
        room = np.maximum(delta - _t_quantile(self.rule, 1 - alpha) * margin, 0.0)
        return float((2 * ndtr(room / error) - 1).mean())

    def resolvable(self, alpha: float, wanted: float = POWER) -> float:
        """The smallest true difference that is seen with the ``wanted`` chance at ``alpha``."""
        from scipy.optimize import brentq

        high = self.rule.half_width
        while self.power_of_difference(high, alpha) < wanted:
            high *= 2
        return float(brentq(lambda true: self.power_of_difference(true, alpha) - wanted, 0.0, high, xtol=1e-6 * high))

    @cached_property
    def _stages(self) -> tuple[Array, Array]:
        """For each value of the first stage's deviation: the true standard error of the mean in the end, and the one that is seen."""
        from scipy.special import gammaincinv

        freedom, width = self.rule.first - 1, self.rule.half_width
        true, most = (1e4 * width, np.inf) if self.deviation is None else (self.deviation, float(self.rule.most))
        seen = true * np.sqrt(2 * gammaincinv(freedom / 2, (np.arange(400) + 0.5) / 400) / freedom)
        wanted = np.ceil((_t_quantile(self.rule, 0.975) * seen / width) ** 2)
        root = np.sqrt(np.clip(wanted, self.rule.first, most))
        return true / root, seen / root


def _t_quantile(rule: Precision, probability: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(rule.first - 1, probability))
