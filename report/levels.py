"""At which level a study decides, and what its intervals cover, in words: of several declared looks each has its part of the 5 %."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ablations.statistics.comparison import FEWEST, Comparison
from ablations.statistics.estimation import joint_coverage
from ablations.statistics.rounding import open_ended

OPEN_END = (
    'An end "(0" or "0)" was put at 0: Holm\'s procedure declares the difference although its interval alone would still include 0. '
    "It says on which side of 0 the difference lies, and no more."
)


def level_text(looks: int = 1) -> str:
    """The level of each test: "5 %", or "1.67 %" of three looks."""
    return f"{5 / looks:.3g} %"


def confidence(looks: int = 1) -> str:
    """The confidence of the intervals of a family: "95 %", or "98.33 %" of three looks."""
    return f"{100 - 5 / looks:.4g} %"


def together(family: int) -> str:
    """What the intervals of a family cover together, over all looks, rounded down: "91 %"."""
    return f"{math.floor(100 * joint_coverage(family) + 1e-9)} %"


def intervals_text(family: int, looks: int = 1) -> str:
    """What the intervals of a family are, as a sentence."""
    if family == 1:
        return f"The interval of the difference, the only one, is a {confidence(looks)} interval."
    return (
        f"Intervals of differences are Bonferroni's at {confidence(looks)}, made to agree with Holm's procedure: all {family} cover "
        f"together in at least {together(family)} (docs/statistics.md)."
    )


def open_ends(found: Iterable[Comparison]) -> str | None:
    """The sentence on ends that were put at 0, where an interval that is shown has one."""
    return OPEN_END if any(one.n >= FEWEST and open_ended(one.all) for one in found) else None
