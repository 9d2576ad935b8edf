"""Numbers of any unit with their intervals as text; errors in percent follow ``ablations.statistics.rounding``.

The half-width of an interval is rounded to two significant digits, and the number that it belongs to is given as many decimals; without an
interval a mean has four significant digits, a difference two.
"""

from __future__ import annotations

import math

from ablations.statistics.estimation import Estimate
from ablations.statistics.rounding import NONE, number, with_half_width, with_interval


def estimate_text(estimate: Estimate) -> str:
    """ "0.9132 ± 0.0021", without the half-width below two seeds and where there was no spread."""
    return NONE if estimate.mean is None else with_half_width(estimate, decimals(estimate.mean, estimate.half_width))


def difference_text(difference: Estimate) -> str:
    """ "+0.0042 [+0.0010, +0.0074]", without the interval where there is none; one of no width is none, it only saw no spread."""
    if difference.mean is None:
        return NONE
    return with_interval(difference, decimals(difference.mean, difference.half_width or abs(difference.mean)))


def decimals(value: float, half_width: float | None) -> int:
    """How many decimals a number is given (see the top of this file)."""
    if half_width:
        return max(0, 1 - math.floor(math.log10(half_width)))
    return max(0, 3 - math.floor(math.log10(abs(value)))) if value else 1


def rounded_up(delta: float) -> str:
    """A bound in two significant digits, rounded up, so that it is one."""
    if delta == 0:
        return "0"
    unit = 10.0 ** (math.floor(math.log10(delta)) - 1)
    return number(math.ceil(delta / unit - 1e-9) * unit, decimals(delta, delta))
