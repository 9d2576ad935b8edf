"""Which candidate each variant gets: the least mean held-out error, whatever else it may be that recommends one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from ablations.statistics.comparison import Arm
from ablations.study import Study
from ablations.tuning.record import Candidates, Choice, Point
from senet_core.errors import InputError

_FIELDS = {"lr": "learning rate", "weight_decay": "weight decay"}
_TIE_DIGITS = 9
"""Errors (%) that agree to so many decimals are equal: a mean of some seeds is not exact to the last bit."""


class Edge(NamedTuple):
    """A best candidate beyond which none was tried: in which field, and whether it is the least or the greatest there."""

    field: str
    side: Literal["least", "greatest"]

    def told(self, point: Point) -> str:
        """In words, with what helps."""
        name, option = _FIELDS[self.field], f"--{self.field.replace('_', '-')}"
        return f"its {name}, {getattr(point, self.field):g}, is the {self.side} that was tried; widen {option} or raise --budget"


def edges(points: Sequence[Point], place: int) -> tuple[Edge, ...]:
    """Where a candidate stands at the edge of those that were tried, those that diverged among them: what diverges beyond it bounds it."""
    found = []
    for field in _FIELDS:
        values = [getattr(point, field) for point in points]
        own = values[place]
        if min(values) < max(values) and own in (min(values), max(values)):
            found.append(Edge(field, "least" if own == min(values) else "greatest"))
    return tuple(found)


def choose(errors: Sequence[float | None]) -> Choice:
    """The candidate of least error; of equals the first, so that the suite's own setting is left only for a better one."""
    finished = [(round(error, _TIE_DIGITS), place) for place, error in enumerate(errors) if error is not None]
    return Choice(place=min(finished)[1] if finished else 0, errors=tuple(errors))


def choices(study: Study, arms: Mapping[str, Arm]) -> dict[str, Choice]:
    """What every variant of the suite gets, by the held-out part of its tuning; of that the ``arms`` (``ablations.statistics.measured``).

    :raises InputError: while a trial has no result: a variant with fewer candidates than another would be tuned less.
    """
    found = {name: chosen(study, arms, name) for name in _candidates(study).variants}
    lacking = [name for name, choice in found.items() if choice is None]
    if lacking:
        raise InputError(
            f"Nothing is chosen while held-out trials of '{study.name}' have no result ({', '.join(lacking)}); run the same command again, "
            "with --retry-failed where some failed."
        )
    return {name: choice for name, choice in found.items() if choice is not None}


def chosen(study: Study, arms: Mapping[str, Arm], variant: str) -> Choice | None:
    """What one variant gets, None while a trial of its candidates has not come to an end."""
    asked = _candidates(study)
    found = [arms[asked.cell(variant, place)] for place in range(len(asked.points))]
    if any(arm.n < len(study.seeds) for arm in found):
        return None
    return choose([held_out_error(arm) for arm in found])


def held_out_error(arm: Arm) -> float | None:
    """The mean error (%) of a candidate over the seeds that have ended; None where one of them diverged, or none has."""
    return fmean(arm.values.values()) if arm.values and not arm.diverged else None


def choice_text(tried: Sequence[Point], choice: Choice) -> str:
    """A choice in words, with what a reader should be wary of."""
    if choice.lost:
        return f"all {len(tried)} candidates diverged on the held-out images, so it keeps the shared setting, {tried[0].text}"
    beside = "".join(f"; {edge.told(tried[choice.place])}" for edge in edges(tried, choice.place))
    return f"{tried[choice.place].text}, held-out error {choice.errors[choice.place]:.2f} %{beside}"


def _candidates(study: Study) -> Candidates:
    assert study.candidates is not None, f"'{study.name}' is not the held-out part of a tuning"
    return study.candidates
