"""Numbers with their intervals as text, the same wherever they stand: on the report's pages, in MLflow, on the terminal.

One rule for digits: the half-width of an interval is rounded to two significant digits, but to no more than two decimals, and the number
that it belongs to is given as many; a number without an interval has two decimals.
"""

from __future__ import annotations

import math
import re

from ablations.statistics.comparison import FEWEST
from ablations.statistics.estimation import Estimate

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


def error_text(error: Estimate) -> str:
    """ "5.21 ± 0.34", without the half-width below two seeds."""
    if error.mean is None:
        return NONE
    places = decimals(error.half_width)
    spread = "" if error.half_width is None else f" ± {number(error.half_width, places)}"
    return number(error.mean, places) + spread


def difference_text(difference: Estimate | None) -> str:
    """ "+0.42 [+0.10, +0.74]", without the interval below two pairs; one of no width is none, it only saw no spread."""
    if difference is None or difference.mean is None:
        return NONE
    places = decimals(difference.half_width)
    mean = number(difference.mean, places, sign=True)
    if difference.low is None or difference.high is None:
        return mean
    if difference.low == difference.high:
        return f"{mean} (no spread)"
    return f"{mean} [{number(difference.low, places, sign=True)}, {number(difference.high, places, sign=True)}]"


def spoken_for(difference: Estimate) -> Estimate:
    """A difference as it is shown: below three pairs without its interval, which two pairs say nothing of."""
    return difference if difference.n >= FEWEST else Estimate(difference.mean, None, None, difference.n)


def p_text(p: float | None) -> str:
    """A p in words: "0.012", "< 0.001"."""
    return NONE if p is None else "< 0.001" if p < 0.001 else number(p, 3 if p < 0.1 else 2)
