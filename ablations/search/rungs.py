"""Early rungs: a design is first trained on complete short schedules, and goes on to the next longer one only while it is among the best.

Successive halving for two objectives (Jamieson and Talwalkar 2016; Optuna's own pruners take one objective). A rung is a trial of its own
with a whole schedule of fewer epochs, not a long one that was broken off, so its learning rate has come down when it is judged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ETA = 3
"""Each rung trains three times as long as the one before it, and lets a third of the designs go on."""
FEWEST_EPOCHS = 2
MOST_RUNGS = 3


def schedules(epochs: int) -> tuple[int, ...]:
    """The epochs of the rungs, the whole schedule last: of 30 epochs 3, 10, 30; of 5 epochs 2, 5."""
    found = [epochs]
    while len(found) < MOST_RUNGS and round(found[0] / ETA) >= FEWEST_EPOCHS:
        found.insert(0, round(found[0] / ETA))
    return tuple(found)


def goes_on(own: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    """Whether a design belongs to the best ``1 / ETA`` of those that reached this rung, itself and ``others``, by how many fronts lie
    before its own and, within one front, how lonely it is there: of a first front that is longer than that the rest is stopped, too. While
    fewer than ``2 ETA`` have reached the rung, itself included, all go on."""
    points = np.array([*others, own], dtype=np.float64)
    if len(points) < 2 * ETA:
        return True
    ranks = fronts(points)
    mine = int(ranks[-1])
    before = int((ranks < mine).sum())
    alike = np.flatnonzero(ranks == mine)
    lonely = crowding(points[alike])
    before += int((lonely[:-1] > lonely[-1]).sum())
    return before < -(-len(points) // ETA)


def fronts(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """The number of each point's front (N, 2) -> (N,): 0 for what no other point beats in one objective without losing in the other, 1 for
    what only those beat, and so on. Both objectives are to be small; equal points share a front."""
    beaten = _beats(points)
    ranks = np.full(len(points), -1)
    for rank in range(len(points)):
        left = ranks < 0
        if not left.any():
            break
        ranks[left & ~beaten[left].any(axis=0)] = rank
    return ranks


def _beats(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[i, j]: whether point i is nowhere worse than j and somewhere better."""
    one, other = points[:, None], points[None]
    return np.asarray((one <= other).all(-1) & (one < other).any(-1))


def crowding(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How lonely each point of a front is (Deb et al. 2002, Section III B): the way between its neighbours over both objectives, each as a
    share of the front's extent; infinite for the ends."""
    distance = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        extent = values[order[-1]] - values[order[0]]
        distance[order[[0, -1]]] = np.inf
        if extent > 0:
            distance[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / extent
    return distance


def hypervolume(points: NDArray[np.float64], reference: tuple[float, float]) -> float:
    """The area that a set of points (N, 2) beats, up to a reference point that is worse than all that counts."""
    inside = points[(points < np.asarray(reference)).all(1)]
    area, ceiling = 0.0, reference[1]
    for x, y in inside[np.lexsort((inside[:, 1], inside[:, 0]))]:
        if y < ceiling:
            area += (reference[0] - x) * (ceiling - y)
            ceiling = y
    return area
