"""The candidates of a tuning: the recipe's own setting, and points of a Halton sequence in log(learning rate) x log(weight decay).

Every variant gets the same ones, so that none is searched more finely than another. The sequence (J. H. Halton, 1960, bases 2 and 3, not
scrambled) needs no random numbers, and its first points are the same however many are asked for: a greater budget trains only the new ones.
"""

from __future__ import annotations

from ablations.tuning.record import Point, Span
from senet_core.errors import InputError

DIGITS = 3
"""Significant digits of a candidate, so that a last bit of a logarithm does not make another trial of it."""
LR, WEIGHT_DECAY = (1 / 8, 4.0), (1 / 8, 8.0)
"""The ranges where none are given, as multiples of the recipe's own values."""


def spans(own: Point) -> tuple[Span, Span | None]:
    """The ranges of the learning rate and of the weight decay where a command line gives none; no weight decay has no range around it."""
    rate = (own.lr * LR[0], own.lr * LR[1])
    return rate, (own.weight_decay * WEIGHT_DECAY[0], own.weight_decay * WEIGHT_DECAY[1]) if own.weight_decay else None


def points(own: Point, lr: Span | None, weight_decay: Span | None, budget: int) -> tuple[Point, ...]:
    """So many candidates, ``own`` first; what has no range keeps its own value in all of them.

    :raises InputError: where the ranges hold fewer different points at the digits that are kept, or there is none.
    """
    ranges = {name: span for name, span in (("lr", lr), ("weight_decay", weight_decay)) if span is not None}
    if not ranges:
        raise InputError("There is nothing to tune: give a range for the learning rate (--lr LOW,HIGH) or the weight decay.")
    found, index = {own.text: own}, 0
    while len(found) < budget:
        index += 1
        if index > 50 * budget:
            told = " and ".join(f"{low:g} to {high:g}" for low, high in ranges.values())
            raise InputError(f"There are fewer than {budget} different settings of {DIGITS} digits from {told}; widen the range.")
        values = {name: _at(span, radical_inverse(index, base)) for (name, span), base in zip(ranges.items(), (2, 3), strict=False)}
        point = own.model_copy(update=values)
        found.setdefault(point.text, point)
    return tuple(found.values())


def radical_inverse(index: int, base: int) -> float:
    """The number in [0, 1) whose digits in that base are those of ``index``, mirrored at the point: 6 = 110 in base 2 gives 0.011 = 3/8."""
    value, weight = 0.0, 1.0
    while index:
        index, digit = divmod(index, base)
        weight /= base
        value += digit * weight
    return value


def _at(span: Span, share: float) -> float:
    """The value at that share of a range, evenly in its logarithm."""
    low, high = span
    return float(f"{low * (high / low) ** share:.{DIGITS}g}")
