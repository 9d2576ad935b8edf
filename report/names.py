"""Names in figures: in full, in several lines where they are long, and with the room that those take."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from report.glyphs import spelled
from report.numbers import line

WIDEST = 32
"""Characters in a line of a name, so that the longest leaves the axes their room."""
MOST = 16
"""Lines of a name; only a longer one (500 characters) loses its end, for a picture can be no higher than 65,535 pixels."""
LINE, GAP = 0.165, 0.09
"""Inches of a line of type, and between two names."""


def wrapped(name: str, widest: int = WIDEST) -> str:
    """A name as figures show it: in lines of so many characters, and what no font has spelled by its code point."""
    lines = textwrap.wrap(spelled(line(name)), widest, break_on_hyphens=False) or [""]
    return "\n".join(lines if len(lines) <= MOST else [*lines[: MOST - 1], f"{lines[MOST - 1][: widest - 1]}…"])


def legend_name(name: str, widest: int = WIDEST) -> str:
    """The same for a legend. The space: a label that begins with "_" would be left out."""
    return " " + wrapped(name, widest).replace("\n", "\n ")


def height(names: Iterable[str], extra: float = 0.06) -> float:
    """Inches of wrapped names below each other."""
    return sum(extra + LINE * (name.count("\n") + 1) for name in names)


@dataclass(frozen=True)
class Stack:
    """Wrapped names below each other as the ticks of an axis whose unit is the inch: ``at`` is the middle of each, ``height`` of all."""

    names: tuple[str, ...]
    at: tuple[float, ...]
    height: float

    @staticmethod
    def of(names: Sequence[str]) -> Stack:
        """Each name has the room that its own lines take."""
        ends = [0.0, *accumulate(height([name], GAP) for name in names)]
        return Stack(tuple(names), tuple((top + end) / 2 for top, end in pairwise(ends)), ends[-1])
