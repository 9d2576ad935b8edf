"""What a validity run prints: sections of a table and its checks; how far luck may carry a figure; as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablations.statistics.estimation import Array


@dataclass(frozen=True)
class Scale:
    """How much is simulated, from which random ``seed``, and how many standard ``errors`` a figure may lie beyond its bound.

    The ``small`` form has fewer settings as well as fewer draws.
    """

    draws: int
    seed: int
    errors: float
    small: bool = False

    @property
    def few(self) -> int:
        """Draws where one takes a millisecond of Python and not a microsecond of NumPy."""
        return max(100, self.draws // 2500 * 100)

    def generator(self, *stream: int) -> np.random.Generator:
        """The random numbers of one part, which do not depend on what other parts drew."""
        return np.random.default_rng([self.seed, *stream])

    def slack(self, rate: float, draws: int | None = None, looked_at: int = 1) -> float:
        """What luck adds to a ``rate`` counted in so many draws: ``errors`` standard errors.

        For the worst of several figures ``looked_at``, as many as make the same chance of an alarm as one figure has.
        """
        return self.many(looked_at) * math.sqrt(rate * (1 - rate) / (draws or self.draws))

    def many(self, looked_at: int) -> float:
        """How many standard errors the worst of several figures may be off; two-sided figures count twice."""
        from scipy.special import ndtr, ndtri

        return -float(ndtri(ndtr(-self.errors) / looked_at))

    def at_most(self, rate: float, looked_at: int = 1) -> float:
        """The greatest share that passes for ``rate``: ``errors`` standard errors more, also for the worst of several figures; in the small
        form these may be so much more that a false alarm stays as rare as with one figure."""
        return rate + self.slack(rate, looked_at=looked_at if self.small else 1)

    def covers(self, looked_at: int = 1) -> float:
        """The least share that passes for 95 %: half a point less, or the slack where that is more (in the small form it is)."""
        return 0.95 - max(0.005, self.slack(0.95, looked_at=looked_at))


class Means:
    """Means over all draws, of arrays that come in chunks of (draws, ...)."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], tuple[Array, int]] = {}

    def add(self, values: NDArray[Any], *name: str) -> None:
        """Count a chunk's values in."""
        total, count = self._sums.get(name, (np.zeros(values.shape[1:]), 0))
        self._sums[name] = total + values.sum(0), count + len(values)

    def of(self, *name: str) -> Array:
        """The mean of what was added under that name."""
        total, count = self._sums[name]
        return total / count

    def one(self, *name: str) -> float:
        """The same, where it is one number."""
        return float(self.of(*name))


@dataclass(frozen=True)
class Check:
    """A figure that was simulated and the bound that it must keep; both are shares where ``percent``."""

    text: str
    figure: float
    bound: float
    at_least: bool = False
    percent: bool = True

    @property
    def holds(self) -> bool:
        """Whether the bound is kept; NaN keeps none."""
        return self.figure >= self.bound if self.at_least else self.figure <= self.bound

    def __str__(self) -> str:
        figure, bound = (f"{100 * value:.2f} %" if self.percent else f"{value:.4g}" for value in (self.figure, self.bound))
        return f"{'holds' if self.holds else 'FAILS'}: {self.text}: {figure} (at {'least' if self.at_least else 'most'} {bound})"


@dataclass(frozen=True)
class Section:
    """One simulation: what was asked, the table that came out, and what had to hold in it."""

    title: str
    text: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    checks: Sequence[Check]

    def markdown(self) -> str:
        """The section as Markdown."""
        lines = [f"## {self.title}", "", self.text, "", _line(self.header), _line(["---"] * len(self.header))]
        lines += [_line(row) for row in self.rows]
        lines += ["", *(f"- {check}" for check in self.checks), ""] if self.checks else [""]
        return "\n".join(lines)


def percent(*shares: float) -> str:
    """Shares in percent with one decimal, slashes between them."""
    return " / ".join(f"{100 * share:.1f}" for share in shares)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
