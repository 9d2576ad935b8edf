"""The claims of the paper, decided on one setting: holds, fails or open at a converged preset, elsewhere their direction alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ablations.statistics.comparison import Comparison
from ablations.suite import Claim, Contrast

Lookup = Callable[[str, str], Comparison | None]
"""The comparison of a variant with its reference; None where the two are one network."""
Verdict = Literal["holds", "fails", "open"]
Direction = Literal["agrees", "reversed", "not resolved"]


@dataclass(frozen=True)
class Part:
    """One contrast of a claim: how it was compared (None where its two variants are one network), its verdict and its direction."""

    contrast: Contrast
    comparison: Comparison | None
    verdict: Verdict
    direction: Direction


@dataclass(frozen=True)
class Answer:
    """A claim with its parts. ``verdict`` is None where the preset does not train to convergence: only ``direction`` is told there."""

    text: str
    parts: tuple[Part, ...]
    verdict: Verdict | None
    direction: Direction


def decide(claims: Sequence[Claim], lookup: Lookup, delta: float, converged: bool) -> list[Answer]:
    """Each claim decided by its declared contrasts. A conjunction holds when each part does, and fails when one of them does."""
    found = []
    for claim in claims:
        parts = tuple(_part(contrast, lookup, delta) for contrast in claim.contrasts)
        verdicts = [part.verdict for part in parts]
        verdict: Verdict = "fails" if "fails" in verdicts else "open" if "open" in verdicts else "holds"
        directions = [part.direction for part in parts]
        direction: Direction = "reversed" if "reversed" in directions else "not resolved" if "not resolved" in directions else "agrees"
        found.append(Answer(claim.text, parts, verdict if converged else None, direction))
    return found


def _part(contrast: Contrast, lookup: Lookup, delta: float) -> Part:
    one = lookup(contrast.variant, contrast.reference)
    if one is None:
        return _twins(contrast)
    if contrast.expect == "equivalent":
        verdict = _equivalence(one, delta)
        return Part(contrast, one, verdict, "agrees" if verdict == "holds" else "reversed" if verdict == "fails" else "not resolved")
    word = one.word or ""
    if word.startswith(contrast.expect):
        return Part(contrast, one, "holds", "agrees")
    if word.startswith(("better", "worse")):
        return Part(contrast, one, "fails", "reversed")
    return Part(contrast, one, "fails" if word == "equivalent" else "open", "not resolved")


def _twins(contrast: Contrast) -> Part:
    """Two variants that build one network: no difference is possible."""
    same = contrast.expect == "equivalent"
    return Part(contrast, None, "holds" if same else "fails", "agrees" if same else "not resolved")


def _equivalence(one: Comparison, delta: float) -> Verdict:
    """Holds where the two are declared equivalent, also if they differ by less than δ; fails where the interval lies outside ±δ."""
    word = one.word or ""
    if word == "equivalent" or word.endswith("negligible"):
        return "holds"
    if one.divergence is not None:
        return "fails" if one.settled else "open"
    low, high = one.all.low, one.all.high
    if one.word is None or low is None or high is None:
        return "open"
    return "fails" if low >= delta or high <= -delta else "open"
