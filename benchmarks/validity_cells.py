"""Simulated studies: five variants, their errors' shape and spread, the correlation of seeds, the number of seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from ablations.statistics.estimation import Array

SPREADS = {
    "equal": (1.0, 1.0, 1.0, 1.0, 1.0),
    "last arm doubled": (1.0, 1.0, 1.0, 1.0, 2.0),
    "reference doubled": (2.0, 1.0, 1.0, 1.0, 1.0),
}
"""Standard deviations of the reference and of four variants; 1 is the seed noise, the unit of every figure."""
CHUNK = 10_000
"""Draws held in memory at a time."""


@dataclass(frozen=True)
class Cell:
    """One setting of the simulation: "normal" or "skewed" errors (exponential, skewness 2), spread, correlation, seeds."""

    errors: str
    spread: str
    correlation: float
    n: int

    @property
    def normal(self) -> bool:
        """Whether the t distribution's assumption holds."""
        return self.errors == "normal"

    @property
    def one_doubled(self) -> bool:
        """Whether the last variant alone has doubled spread."""
        return self.spread == "last arm doubled"

    def tables(self, draws: int, generator: np.random.Generator) -> Iterator[Array]:
        """Arrays (draws, 5, n) of values whose true means are all 0, the reference first; in chunks.

        A value is its seed's effect and its own, together of variance 1, times the arm's spread: two arms correlate by ``correlation``.
        """
        deviations = np.array(SPREADS[self.spread])[:, None]
        for start in range(0, draws, CHUNK):
            count = min(CHUNK, draws - start)
            common = standard(self.errors, (count, 1, self.n), generator)
            own = standard(self.errors, (count, len(deviations), self.n), generator)
            yield deviations * (np.sqrt(self.correlation) * common + np.sqrt(1 - self.correlation) * own)

    def labels(self) -> list[str]:
        """The first four cells of its row."""
        return [self.errors, self.spread, f"{self.correlation:g}", str(self.n)]


HEADER = ("errors", "spread", "correlation", "n")


def cells(small: bool) -> list[Cell]:
    """All settings, in the order of the tables; the small form leaves out the middle ones."""
    correlations, counts = ((0.0, 0.6), (3, 10)) if small else ((0.0, 0.3, 0.6), (3, 5, 10))
    return [Cell(*one) for one in product(("normal", "skewed"), SPREADS, correlations, counts)]


def standard(errors: str, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Random numbers of mean 0 and variance 1."""
    return generator.standard_exponential(shape) - 1 if errors == "skewed" else generator.standard_normal(shape)


def against_reference(table: Array) -> tuple[Array, Array]:
    """The four variants of each table, and the reference beside them, as ``statistics.paired`` takes them."""
    return table[..., 1:, :], table[..., :1, :]
