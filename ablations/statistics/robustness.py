"""Whether a claim is found at two settings alike: one that all variants share, and the own best of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ablations.statistics.claims import Answer, Part
from ablations.statistics.comparison import FEWEST, Comparison
from ablations.statistics.rounding import TIE_DIGITS
from ablations.study import Study
from ablations.suite import Contrast

Survival = Literal[
    "same trials",
    "sign changes",
    "answer changes",
    "reversed at both",
    "fails at both",
    "equivalent at both",
    "no difference at both",
    "not known yet",
    "survives",
]
"""What becomes of a contrast, and of a claim: what the first of its contrasts in this order is called."""


@dataclass(frozen=True)
class Twofold:
    """One contrast of a claim at the shared and at the tuned setting, and what becomes of it."""

    shared: Part
    tuned: Part
    survival: Survival


@dataclass(frozen=True)
class Robustness:
    """A claim at both settings: it survives when each of its contrasts does.

    Where no trial of any of them differs between the settings, ``survival`` is "same trials": nothing was put to the test.
    """

    shared: Answer
    tuned: Answer
    parts: tuple[Twofold, ...]
    survival: Survival


def robustness(shared: Sequence[Answer], tuned: Sequence[Answer], moved: Callable[[Contrast], bool]) -> list[Robustness]:
    """The claims of the tuned study, in its order, each held against the same claim of the shared one; what only one of them makes is
    ``unmatched``. ``moved`` says of a contrast whether any of its trials differs between the two studies."""
    others = {_asked(answer): answer for answer in shared}
    found = []
    for answer in tuned:
        other = others.get(_asked(answer))
        if other is not None:
            parts = tuple(Twofold(*pair, _survival(*pair)) for pair in zip(other.parts, answer.parts, strict=True))
            same = not any(moved(part.tuned.contrast) for part in parts)
            survivals: list[Survival] = [*(part.survival for part in parts), "survives"]
            worst = min(survivals, key=get_args(Survival).index)
            found.append(Robustness(other, answer, parts, "same trials" if same else worst))
    return found


def unmatched(one: Sequence[Answer], other: Sequence[Answer]) -> list[str]:
    """The claims of the one study that the other does not make in these words with these contrasts."""
    known = {_asked(answer) for answer in other}
    return [answer.text for answer in one if _asked(answer) not in known]


def unmoved(shared: Study, tuned: Study) -> frozenset[str]:
    """The variants whose trials are the same in both studies, at all seeds that both have of them."""
    theirs, found = {variant.name: variant.keys for variant in shared.variants}, set()
    for variant in tuned.variants:
        both = variant.keys.keys() & theirs.get(variant.name, {}).keys()
        if both and all(variant.keys[seed] == theirs[variant.name][seed] for seed in both):
            found.add(variant.name)
    return frozenset(found)


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
    mean = round(one.mean, TIE_DIGITS)
    return (mean > 0) - (mean < 0)


def _survival(shared: Part, tuned: Part) -> Survival:
    verdicts = {shared.verdict, tuned.verdict}
    if tuned.contrast.expect == "equivalent":
        if "open" in verdicts:
            return "not known yet"
        return "answer changes" if len(verdicts) > 1 else "survives" if "holds" in verdicts else "fails at both"
    signs = {direction(part.comparison) for part in (shared, tuned)}
    if None in signs:
        return "not known yet"
    if len(signs) > 1:
        return "sign changes"
    if verdicts == {"holds", "fails"}:
        return "answer changes"
    if signs == {0}:
        return "no difference at both"
    if {part.comparison.word for part in (shared, tuned) if part.comparison} == {"equivalent"}:
        return "equivalent at both"
    return "survives" if signs == {1 if tuned.contrast.expect == "worse" else -1} else "reversed at both"


def _asked(answer: Answer) -> tuple[object, ...]:
    return (answer.text, *(part.contrast for part in answer.parts))
