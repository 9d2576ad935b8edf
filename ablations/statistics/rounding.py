"""Numbers with their intervals as text, the same wherever they stand: on the report's pages, in MLflow, on the terminal.

One rule for digits: the half-width of an interval is rounded to two significant digits, but to no more than two decimals, and the number
that it belongs to is given as many; a number without an interval has two decimals.
"""

from __future__ import annotations

import math
import re

from ablations.statistics.comparison import FEWEST
from ablations.statistics.estimation import Estimate

TIE_DIGITS = 9
"""Errors (%) that agree to so many decimals are equal: a mean over seeds is not exact to the last bit."""
NONE = "–"
"""What stands in a place without a number."""


def decimals(half_width: float | None) -> int:
    """How many decimals a number with this half-width is given (see the top of this file)."""
    if not half_width:
        return 2
    return min(2, max(0, 1 - math.floor(math.log10(half_width))))


def number(value: float, places: int, sign: bool = False) -> str:
    """A number with a true minus sign, on request with a plus sign too; a rounded zero has neither."""
    text = f"{value:+.{places}f}" if sign else f"{value:.{places}f}"
    zero = not re.search("[1-9]", text)
    return text.lstrip("+-") if zero else text.replace("-", "−")


def rounded_up(value: float, places: int = 2) -> str:
    """A bound above 0 in so many decimals, rounded up, so that it is one."""
    return number(math.ceil(value * 10**places - 1e-9) / 10**places, places)


def error_text(error: Estimate) -> str:
    """ "5.21 ± 0.34", without the half-width below two seeds and where there was no spread."""
    return NONE if error.mean is None else with_half_width(error, decimals(error.half_width))


def difference_text(difference: Estimate | None) -> str:
    """ "+0.42 [+0.10, +0.74]", without the interval below two pairs; one of no width is none, it only saw no spread."""
    return NONE if difference is None or difference.mean is None else with_interval(difference, decimals(difference.half_width))


def with_half_width(estimate: Estimate, places: int) -> str:
    """A mean in so many decimals with its half-width, if it has one: no spread at all says nothing of how sure the mean is."""
    assert estimate.mean is not None
    mean = number(estimate.mean, places)
    return f"{mean} ± {number(estimate.half_width, places)}" if estimate.half_width else mean


def with_interval(difference: Estimate, places: int) -> str:
    """A difference in so many decimals with its interval, if it has one, or with the words that there was no spread."""
    assert difference.mean is not None
    mean = number(difference.mean, places, sign=True)
    if difference.half_width is None:
        return mean
    return f"{mean} {interval_text(difference, places)}" if difference.half_width else f"{mean} (no spread)"


def interval_text(difference: Estimate, places: int) -> str:
    """ "[+0.10, +0.74]"; an end that was put at 0 is open, because 0 itself is outside: "(0, +0.74]"."""
    assert difference.low is not None and difference.high is not None
    low, high = (number(end, places, sign=True) for end in (difference.low, difference.high))
    return f"{'(0' if difference.low == 0 else f'[{low}'}, {'0)' if difference.high == 0 else f'{high}]'}"


def open_ended(difference: Estimate) -> bool:
    """Whether the interval has an end that was put at 0."""
    return bool(difference.half_width) and 0 in (difference.low, difference.high)


def spoken_for(difference: Estimate) -> Estimate:
    """A difference as it is shown: below three pairs without its interval, which two pairs say nothing of."""
    return difference if difference.n >= FEWEST else Estimate(difference.mean, None, None, difference.n)


def p_text(p: float | None) -> str:
    """A p in words: "0.012", "< 0.001"."""
    return NONE if p is None else "< 0.001" if p < 0.001 else number(p, 3 if p < 0.1 else 2)
