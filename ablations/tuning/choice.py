"""Which candidate each variant gets: the least mean held-out error, whatever else it may be that recommends one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from ablations.statistics.comparison import Arm
from ablations.statistics.rounding import TIE_DIGITS
from ablations.study import Study
from ablations.tuning.record import FIELDS, Candidates, Choice, Point
from senet_core.errors import InputError


class NotChosen(InputError):
    """Nothing is chosen, because held-out trials have no result."""


class Edge(NamedTuple):
    """A best candidate beyond which none was tried: in which field, and whether it is the least or the greatest there."""

    field: str
    side: Literal["least", "greatest"]

    def told(self, point: Point) -> str:
        """In words, with what helps."""
        field = FIELDS[self.field]
        return (
            f"its {field.name}, {getattr(point, self.field):g}, is the {self.side} that was tried; widen {field.option} or raise --budget"
        )


def best(errors: Sequence[float | None]) -> tuple[int, ...]:
    """The places of the least error, several where candidates tie; none where all diverged."""
    rounded = [None if error is None else round(error, TIE_DIGITS) for error in errors]
    least = min((error for error in rounded if error is not None), default=None)
    return tuple(place for place, error in enumerate(rounded) if error is not None and error == least)


def edges(points: Sequence[Point], tied: Sequence[int]) -> tuple[Edge, ...]:
    """Where the first of the best candidates (``best``) stands at the edge of all that were tried, and none of those that tie with it lies
    inside. What diverged counts as tried: it bounds what stands beside it."""
    found = []
    for field in FIELDS if tied else ():
        values = [getattr(point, field) for point in points]
        ends, own = {min(values), max(values)}, values[tied[0]]
        if len(ends) == 2 and {values[place] for place in tied} <= ends:
            found.append(Edge(field, "least" if own == min(values) else "greatest"))
    return tuple(found)


def choose(errors: Sequence[float | None]) -> Choice:
    """The candidate of least error; of equals the first, so that the suite's own setting is left only for a better one."""
    return Choice(place=min(best(errors), default=0), errors=tuple(errors))


def choices(study: Study, arms: Mapping[str, Arm]) -> dict[str, Choice]:
    """What every variant of the suite gets, by the held-out part of its tuning; of that the ``arms`` (``ablations.statistics.measured``).

    :raises NotChosen: while a trial has no result: a variant with fewer candidates than another would be tuned less.
    """
    asked = candidates(study)
    found = {name: [arms[asked.cell(name, place)] for place in range(len(asked.points))] for name in asked.variants}
    lacking = [name for name, tried in found.items() if any(arm.n < len(study.seeds) for arm in tried)]
    if lacking:
        raise NotChosen(
            f"Nothing is chosen while held-out trials of '{study.name}' have no result ({', '.join(lacking)}); run the same command again, "
            "with --retry-failed where some failed."
        )
    return {name: choose([held_out_error(arm) for arm in tried]) for name, tried in found.items()}


def held_out_error(arm: Arm) -> float | None:
    """The mean error (%) of a candidate over the seeds that have ended; None where one of them diverged, or none has."""
    return fmean(arm.values.values()) if arm.values and not arm.diverged else None


def choice_text(tried: Sequence[Point], choice: Choice) -> str:
    """A choice in words, with what a reader should be wary of."""
    if choice.lost:
        return f"all {len(tried)} candidates diverged on the held-out images, so it keeps the shared setting, {tried[0].text}"
    tied = best(choice.errors)
    others = len(tied) - 1
    equals = f", tied with {others} other{'' if others == 1 else 's'}, so it gets the first of them" if others else ""
    beside = "".join(f"; {edge.told(tried[choice.place])}" for edge in edges(tried, tied))
    return f"{tried[choice.place].text}, held-out error {choice.errors[choice.place]:.2f} %{equals}{beside}"


def candidates(study: Study) -> Candidates:
    """What makes the study the held-out part of a tuning."""
    assert study.candidates is not None, f"'{study.name}' is not the held-out part of a tuning"
    return study.candidates
