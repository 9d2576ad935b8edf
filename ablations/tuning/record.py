"""What a study keeps of a tuning: the candidates, what they gave on held-out images, and which of them each variant got."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from senet_core.config import Frozen

Span = tuple[float, float]
"""The least and the greatest value of a range."""


class Tunable(NamedTuple):
    """A field of a recipe that can be tuned: its name in words, where a config has it, and the option that gives its range."""

    name: str
    path: str
    option: str


FIELDS: Mapping[str, Tunable] = {
    "lr": Tunable("learning rate", "train.lr", "--lr"),
    "weight_decay": Tunable("weight decay", "train.weight_decay", "--weight-decay"),
}
"""All of them, by what points, questions and configs call them."""


class Point(Frozen):
    """One candidate: the peak learning rate and the weight decay, all else of a recipe being what it is."""

    lr: float
    weight_decay: float

    @property
    def text(self) -> str:
        """As names and tables have it: "lr 0.2, wd 0.0005"."""
        return f"lr {self.lr:g}, wd {self.weight_decay:g}"


class Question(Frozen):
    """What is asked of every variant alike: how many candidates, at how many seeds, on how many held-out training images, in which ranges
    (None where that is not tuned)."""

    budget: int
    seeds: int
    holdout: int
    lr: Span | None
    weight_decay: Span | None

    @property
    def fields(self) -> tuple[Tunable, ...]:
        """What is tuned."""
        return tuple(field for name, field in FIELDS.items() if getattr(self, name) is not None)


class Candidates(Frozen):
    """What makes a study the held-out part of a tuning: each of its variants is one of the suite's (``variants``) at one of the points.

    The first point is the suite's own setting. ``options`` are the words of a command line that ask for it again, the hold-out aside, which
    is among the study's overrides.
    """

    question: Question
    points: tuple[Point, ...]
    variants: tuple[str, ...]
    options: tuple[str, ...] = ()

    def cell(self, variant: str, place: int) -> str:
        """The name of the study's variant that is one of the suite's at the point of that place."""
        return cell(variant, self.points[place])


class Choice(Frozen):
    """What a variant got: the place of its point among the candidates, and the held-out error (%) of each of them, the mean over the seeds
    of the tuning; None for one that diverged. Where all did, the variant keeps the first, the suite's own."""

    place: int
    errors: tuple[float | None, ...]

    @property
    def lost(self) -> bool:
        """Whether there was nothing to choose, as every candidate diverged."""
        return all(error is None for error in self.errors)


class Tuned(Frozen):
    """What makes a study a suite at each variant's own best setting: how that was found, and the names of the study at the shared setting
    and of the one with the held-out trials."""

    question: Question
    points: tuple[Point, ...]
    choices: dict[str, Choice]
    shared: str
    held_out: str
    options: tuple[str, ...] = ()

    def point(self, variant: str) -> Point:
        """The setting of a variant."""
        return self.points[self.choices[variant].place]


def cell(variant: str, point: Point) -> str:
    """What the held-out part calls a variant at a point: "r = 8 @ lr 0.2, wd 0.0005"."""
    return f"{variant} @ {point.text}"
