"""Whether what a claim is about has the same sign at two settings: one that all variants share, and the own best of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ablations.statistics.claims import Answer, Part
from ablations.statistics.comparison import FEWEST, Comparison

Survival = Literal["survives", "sign changes", "answer changes", "not known yet"]


@dataclass(frozen=True)
class Twofold:
    """One contrast of a claim at the shared and at the tuned setting, and whether it survives."""

    shared: Part
    tuned: Part
    survival: Survival


@dataclass(frozen=True)
class Robustness:
    """A claim at both settings: it survives when each of its contrasts does, and changes when one of them does."""

    text: str
    parts: tuple[Twofold, ...]
    survival: Survival


def robustness(shared: Sequence[Answer], tuned: Sequence[Answer]) -> list[Robustness]:
    """The claims of the tuned study, in its order, each held against the same claim of the shared one; one that this does not make (its
    suite has been changed since) is left out."""
    others = {_asked(answer): answer for answer in shared}
    found = []
    for answer in tuned:
        other = others.get(_asked(answer))
        if other is not None:
            parts = tuple(_twofold(*pair) for pair in zip(other.parts, answer.parts, strict=True))
            told = [part.survival for part in parts]
            order: tuple[Survival, ...] = ("sign changes", "answer changes", "not known yet", "survives")
            found.append(Robustness(answer.text, parts, next((word for word in order if word in told), "not known yet")))
    return found


def direction(one: Comparison | None) -> int | None:
    """Which way a comparison points: 1 where the variant errs more, −1 less, 0 where the two are one network or differ by nothing; None
    while fewer than three pairs of seeds are there, and no verdict.

    A verdict comes first: where seeds diverged it may be their rate that decides, and not the mean of the others.
    """
    if one is None:
        return 0
    word = one.word or ""
    if word.startswith(("better", "worse")):
        return -1 if word.startswith("better") else 1
    if one.mean is None or one.n < FEWEST:
        return None
    return (one.mean > 0) - (one.mean < 0)


def _twofold(shared: Part, tuned: Part) -> Twofold:
    if tuned.contrast.expect == "equivalent":
        answers = {shared.verdict, tuned.verdict}
        survival: Survival = "not known yet" if "open" in answers else "survives" if len(answers) == 1 else "answer changes"
        return Twofold(shared, tuned, survival)
    signs = [direction(part.comparison) for part in (shared, tuned)]
    return Twofold(shared, tuned, "not known yet" if None in signs else "survives" if signs[0] == signs[1] else "sign changes")


def _asked(answer: Answer) -> tuple[object, ...]:
    return (answer.text, *(part.contrast for part in answer.parts))
