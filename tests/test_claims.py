"""Claims: holds, fails, open, and directions; conjunctions; what equivalence asks; networks that are one."""

from __future__ import annotations

from typing import Literal

import pytest

from ablations.statistics.claims import Answer, decide
from ablations.statistics.comparison import Arm, Comparison, Comparisons, Divergence, Pair, Rule, Word, compare
from ablations.statistics.estimation import Estimate
from ablations.suite import Claim, Contrast

Expectation = Literal["better", "worse", "equivalent"]
DELTA = 0.3


def told(word: Word | None, low: float | None = -1.0, high: float | None = 1.0, divergence: Divergence | None = None) -> Comparison:
    """A comparison of "v" with "r" with that verdict and that simultaneous interval."""
    mean = None if low is None or high is None else (low + high) / 2
    estimate = Estimate(mean, low, high, 5)
    return Comparison("v", "r", 5, estimate, estimate, word=word, divergence=divergence)


def answer(expect: Expectation, comparison: Comparison | None, converged: bool = True) -> Answer:
    """The answer to a claim of one contrast."""
    (found,) = decide(
        [Claim(text="v", contrasts=(Contrast(variant="v", reference="r", expect=expect),))], lambda *_: comparison, DELTA, converged
    )
    return found


@pytest.mark.parametrize(
    ("expect", "word", "verdict", "direction"),
    [
        ("better", "better", "holds", "agrees"),
        ("better", "better but negligible", "holds", "agrees"),
        ("better", "worse", "fails", "reversed"),
        ("better", "worse but negligible", "fails", "reversed"),
        ("better", "equivalent", "fails", "not resolved"),
        ("better", "open", "open", "not resolved"),
        ("better", None, "open", "not resolved"),
        ("worse", "worse", "holds", "agrees"),
        ("worse", "worse but negligible", "holds", "agrees"),
        ("worse", "better", "fails", "reversed"),
        ("worse", "better but negligible", "fails", "reversed"),
        ("worse", "equivalent", "fails", "not resolved"),
        ("worse", "open", "open", "not resolved"),
        ("equivalent", "equivalent", "holds", "agrees"),
        ("equivalent", "better but negligible", "holds", "agrees"),
        ("equivalent", "worse but negligible", "holds", "agrees"),
        ("equivalent", "open", "open", "not resolved"),
        ("equivalent", "better", "open", "not resolved"),
        ("equivalent", "worse", "open", "not resolved"),
        ("equivalent", None, "open", "not resolved"),
    ],
)
def test_a_claim_of_one_contrast(expect: Expectation, word: Word | None, verdict: str, direction: str) -> None:
    """The interval reaches from -1 to 1, on both sides of δ, so it shows nothing to be outside."""
    found = answer(expect, told(word))
    assert (found.verdict, found.direction) == (verdict, direction)
    assert (found.parts[0].verdict, found.parts[0].direction) == (verdict, direction)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.31, 0.9, "fails"),
        (-0.9, -0.31, "fails"),
        (0.3, 0.9, "fails"),  # the interval's own end is as unlikely as what lies beyond it
        (0.29, 0.9, "open"),
        (-0.9, -0.29, "open"),
        (0.0, 0.9, "open"),
        (-0.9, 0.9, "open"),
    ],
)
@pytest.mark.parametrize("word", ["better", "worse", "open"])
def test_equivalence_fails_where_the_interval_lies_outside_delta(low: float, high: float, verdict: str, word: Word) -> None:
    found = answer("equivalent", told(word, low, high))
    assert (found.verdict, found.direction) == (verdict, "reversed" if verdict == "fails" else "not resolved")


def test_equivalence_without_an_interval_is_open() -> None:
    assert answer("equivalent", told("open", None, None)).verdict == "open"
    assert answer("equivalent", told(None, 0.5, 0.9)).verdict == "open"  # two seeds settle nothing


def test_equivalence_with_divergence() -> None:
    divergence = Divergence(4, 5, 0, 5, 0.01)
    assert answer("equivalent", told("worse", -0.1, 0.1, divergence)).verdict == "fails"
    assert answer("equivalent", told("open", 0.5, 0.9, divergence)).verdict == "open"


@pytest.mark.parametrize(
    ("words", "verdict", "direction"),
    [
        (("better", "better but negligible"), "holds", "agrees"),
        (("better", "open"), "open", "not resolved"),
        (("better", None), "open", "not resolved"),
        (("better", "worse"), "fails", "reversed"),
        (("open", "worse"), "fails", "reversed"),
        (("better", "equivalent"), "fails", "not resolved"),
        (("equivalent", "worse"), "fails", "reversed"),
    ],
)
def test_a_conjunction_holds_when_each_part_does(words: tuple[Word | None, ...], verdict: str, direction: str) -> None:
    contrasts = tuple(Contrast(variant=str(number), reference="r", expect="better") for number in range(len(words)))
    for order in (1, -1):
        (found,) = decide([Claim(text="all", contrasts=contrasts[::order])], lambda variant, _: told(words[int(variant)]), DELTA, True)
        assert (found.verdict, found.direction) == (verdict, direction)
        assert len(found.parts) == len(words)


def test_elsewhere_only_the_direction_is_told() -> None:
    for word, direction in (("better", "agrees"), ("worse", "reversed"), ("open", "not resolved"), ("equivalent", "not resolved")):
        found = answer("better", told(word), converged=False)
        assert (found.verdict, found.direction) == (None, direction)


@pytest.mark.parametrize(
    ("expect", "verdict", "direction"),
    [("equivalent", "holds", "agrees"), ("better", "fails", "not resolved"), ("worse", "fails", "not resolved")],
)
def test_two_variants_that_are_one_network(expect: Expectation, verdict: str, direction: str) -> None:
    found = answer(expect, None)
    assert (found.verdict, found.direction, found.parts[0].comparison) == (verdict, direction, None)
    assert answer(expect, None, converged=False).verdict is None


def _found() -> Comparisons:
    arms = {
        "none": Arm({str(seed): 20 + 0.1 * (seed % 2) for seed in range(5)}),
        "se": Arm({str(seed): 19 + 0.12 * (seed % 2) + 0.01 * seed for seed in range(5)}),
    }
    return compare(arms, [Pair("se", "none")], DELTA, Rule(tuple("01234")))


def test_a_claim_may_name_the_pair_the_other_way_round() -> None:
    """The row compares "se" with "none"; the claim says that "none" is worse than "se", of the same comparison."""
    found = _found()
    claims = [
        Claim(text="none is worse", contrasts=(Contrast(variant="none", reference="se", expect="worse"),)),
        Claim(text="none is better", contrasts=(Contrast(variant="none", reference="se", expect="better"),)),
        Claim(text="se is better", contrasts=(Contrast(variant="se", reference="none", expect="better"),)),
        Claim(text="they are alike", contrasts=(Contrast(variant="none", reference="se", expect="equivalent"),)),
    ]
    answers = decide(claims, found.of, DELTA, True)
    assert [one.verdict for one in answers] == ["holds", "fails", "holds", "fails"]
    assert [one.direction for one in answers] == ["agrees", "reversed", "agrees", "reversed"]
    assert [one.text for one in answers] == [claim.text for claim in claims]
    comparison = answers[0].parts[0].comparison
    assert comparison is not None and (comparison.variant, comparison.word) == ("none", "worse")
    assert comparison.mean is not None and comparison.mean > 0.9


def test_each_contrast_has_its_own_reference() -> None:
    asked: list[tuple[str, str]] = []

    def lookup(variant: str, reference: str) -> Comparison:
        asked.append((variant, reference))
        return told("better")

    contrasts = (Contrast(variant="a", reference="r", expect="better"), Contrast(variant="b", reference="a", expect="better"))
    decide([Claim(text="a chain", contrasts=contrasts)], lookup, DELTA, True)
    assert asked == [("a", "r"), ("b", "a")]


def test_a_study_without_claims() -> None:
    assert decide([], lambda *_: None, DELTA, True) == []
