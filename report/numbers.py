"""Numbers and names as Markdown text.

One rule for digits: the half-width of an interval is rounded to two significant digits, but to no more than two decimals, and the number
that it belongs to is given as many; a number without an interval has two decimals.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from itertools import groupby

from ablations.comparison import FEWEST
from ablations.statistics import Estimate

NONE = "–"
"""What stands in a cell without a number."""
HOURS = 90
"""Minutes from which on a time is told in hours."""
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")


def line(text: object) -> str:
    """Any text as one line; characters that would steer what shows it (controls, turns of the direction of writing, halves of a
    character) are spelled by their code points."""
    return _STEERING.sub(lambda found: f"U+{ord(found[0]):04X}", " ".join(str(text).split()))


def plain(text: object) -> str:
    """Any text as one line of Markdown that shows exactly these characters, also inside a table."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#|~!$&^])", r"\\\1", line(text))
    return re.sub(r"^\d+(?=[.)](?: |$))|^(?=[-+=])", r"\g<0>\\", escaped)  # what would begin a list or underline a heading


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


def macs_text(macs: int) -> str:
    """Multiply-adds in millions, "41.2 M"."""
    return f"{macs / 1e6:,.1f} M"


def widths_text(widths: Iterable[int]) -> str:
    """Hidden widths in the order of the network, repetitions once: "4, 8, 16"."""
    return ", ".join(str(width) for width, _ in groupby(widths)) or NONE


def time_text(minutes: float) -> str:
    """ "45 minutes", "3.5 hours"; never less than a minute."""
    if minutes < HOURS:
        return f"{max(1, round(minutes))} minute{'' if round(minutes) <= 1 else 's'}"
    return f"{minutes / 60:,.{1 if minutes < 600 else 0}f} hours"
