"""The Pareto front of a search, and which designs of it are worth confirming."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablations.search.rungs import crowding, fronts
from ablations.study import SearchedDesign


def front(designs: Sequence[SearchedDesign]) -> list[SearchedDesign]:
    """The designs with the whole schedule that no other one beats in held-out error and cost, by rising cost."""
    whole = [(one, error) for one in designs if one.state == "done" and (error := one.errors[-1]) is not None]
    if not whole:
        return []
    ranks = fronts(np.array([[error, one.cost] for one, error in whole], dtype=np.float64))
    best = [pair for pair, rank in zip(whole, ranks, strict=True) if rank == 0]
    return [one for one, _ in sorted(best, key=lambda pair: (pair[0].cost, pair[1], pair[0].number))]


def chosen(designs: Sequence[SearchedDesign], most: int) -> list[SearchedDesign]:
    """At most so many of the front, the default left out: the one with the least error, then those that lie farthest from the others."""
    best = front(designs)
    if not best:
        return []
    lonely = crowding(np.array([[one.errors[-1], one.cost] for one in best], dtype=np.float64))
    places = sorted(range(len(best)), key=lambda place: (place != len(best) - 1, -lonely[place], best[place].cost))
    kept = [best[place] for place in places if best[place].number > 0][:most]
    return sorted(kept, key=lambda one: (one.cost, one.number))
