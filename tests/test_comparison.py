"""From arms to verdicts: a family worked by hand, what is missing or diverged, looks, Stein's rule, and every word."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from ablations.statistics import estimation
from ablations.statistics.comparison import Arm, Comparison, Divergence, Pair, Rule, compare, declared
from report import seeds_needed

SEEDS = tuple("0123456789")
REFERENCE = [20.0, 20.2, 19.8, 20.1, 19.9]


def arm(values: Sequence[float | None], diverged: str = "") -> Arm:
    """An arm by its values in order of the seeds; None is missing, or diverged where ``diverged`` names that seed."""
    return Arm({seed: value for seed, value in zip(SEEDS, values, strict=False) if value is not None}, frozenset(diverged))


def away(differences: Sequence[float | None], diverged: str = "", base: Sequence[float] = REFERENCE) -> Arm:
    """An arm that lies so far from the reference."""
    values = [None if one is None else value + one for value, one in zip(base, differences, strict=False)]
    return arm(values, diverged)


def alone(variant: Arm, reference: Arm, delta: float | None = 0.3, rule: Rule | None = None, lower_is_better: bool = True) -> Comparison:
    """The only comparison of its family."""
    family = [Pair("v", "r")]
    return compare({"v": variant, "r": reference}, family, delta, rule or Rule(SEEDS), lower_is_better).found[0]


def inside(t: float) -> float:
    """P(-t < T < t) of Student's t with four degrees of freedom, in closed form."""
    return t / math.sqrt(4 + t * t) * (1 + 2 / (4 + t * t))


# -- a family worked by hand


def three() -> dict[str, Arm]:
    """Errors 95 % sure to be lower by 0.5 (t = -15.8), the same (t = 0), and higher by 0.2 (t = 6.3)."""
    return {
        "r": arm(REFERENCE),
        "a": away([-0.5, -0.4, -0.6, -0.5, -0.5]),
        "b": away([0.1, -0.1, 0.2, -0.2, 0.0]),
        "c": away([0.1, 0.3, 0.2, 0.2, 0.2]),
    }


FAMILY = [Pair("a", "r"), Pair("b", "r"), Pair("c", "r")]


def test_three_comparisons_worked_by_hand() -> None:
    """Standard errors: sqrt(0.02 / 4 / 5) = 0.0316228 for a and c, sqrt(0.1 / 4 / 5) = 0.0707107 for b."""
    a, b, c = compare(three(), FAMILY, 0.3, Rule(SEEDS[:5])).found
    error = math.sqrt(0.001)
    assert [one.word for one in (a, b, c)] == ["better", "equivalent", "worse but negligible"]
    assert [one.n for one in (a, b, c)] == [5, 5, 5]
    assert [one.mean for one in (a, b, c)] == pytest.approx([-0.5, 0, 0.2], abs=1e-12)
    p = [1 - inside(math.sqrt(250)), 1.0, 1 - inside(math.sqrt(40))]
    assert [one.p for one in (a, b, c)] == pytest.approx(p, abs=1e-8)
    assert [one.adjusted for one in (a, b, c)] == pytest.approx([3 * p[0], 1.0, 2 * p[2]], abs=1e-8)
    # within 0.3: t = (0.3 - |mean|) / error, one-sided
    within = [(1 + inside(0.2 / error)) / 2, (1 - inside(0.3 / math.sqrt(0.005))) / 2, (1 - inside(0.1 / error)) / 2]
    assert [one.equivalence_p for one in (a, b, c)] == pytest.approx(within, abs=1e-8)
    # 2.131847 is the 95 % point of t with 4 degrees of freedom
    smallest = [0.5 + 2.1318468 * error, 2.1318468 * math.sqrt(0.005), 0.2 + 2.1318468 * error]
    assert [one.smallest_delta for one in (a, b, c)] == pytest.approx(smallest, abs=1e-7)


def test_own_intervals_and_those_of_the_family() -> None:
    a, b, c = compare(three(), FAMILY, 0.3, Rule(SEEDS[:5])).found
    assert (a.own.low, a.own.high) == pytest.approx((-0.5 - 2.7764451 * math.sqrt(0.001), -0.5 + 2.7764451 * math.sqrt(0.001)), abs=1e-7)
    for one, error in ((a, math.sqrt(0.001)), (b, math.sqrt(0.005)), (c, math.sqrt(0.001))):
        assert one.all.half_width is not None
        assert inside(one.all.half_width / error) == pytest.approx(1 - 0.05 / 3, abs=1e-10)
    assert b.all.low is not None and b.all.low < 0 < b.all.high


def test_the_near_end_stands_at_zero_where_holm_alone_rejects() -> None:
    """c has t = 0.32 / sqrt(0.012) = 2.92 and p = 0.043: Bonferroni's interval of two includes 0, but Holm asks 5 % of the second."""
    arms = three() | {"c": away([0.52, -0.08, 0.52, 0.32, 0.32])}
    t, error = 0.32 / math.sqrt(0.012), math.sqrt(0.012)
    a, c = compare(arms, [Pair("a", "r"), Pair("c", "r")], None, Rule(SEEDS[:5])).found
    assert (a.word, c.word) == ("better", "worse")
    assert c.adjusted == pytest.approx(1 - inside(t), abs=1e-8) and 0.025 < 1 - inside(t) < 0.05
    assert c.all.low == 0.0 and c.all.high is not None
    assert inside((c.all.high - 0.32) / error) == pytest.approx(0.975, abs=1e-10)
    alone_in_doubt = compare(
        arms | {"a": away([0.1, -0.1, 0.2, -0.2, 0.0])}, [Pair("a", "r"), Pair("c", "r")], None, Rule(SEEDS[:5])
    ).found[1]
    assert alone_in_doubt.word == "open" and alone_in_doubt.all.low is not None and alone_in_doubt.all.low < 0
    assert alone_in_doubt.all.high == c.all.high


def test_the_spread_behind_an_interval_is_told_with_its_freedom() -> None:
    differences = [0.1, -0.1, 0.3, 0.9, -0.8]
    plain, stein = (alone(away(differences), arm(REFERENCE), rule=Rule(SEEDS[:5], first=first)) for first in (None, 3))
    assert (plain.freedom, stein.freedom) == (4, 2)
    assert (plain.deviation, stein.deviation) == pytest.approx((np.std(differences, ddof=1), 0.2))
    assert seeds_needed.deviation([stein, stein]) == pytest.approx(0.2), "the first stage's, as the seeds that are needed are computed"
    assert seeds_needed.deviation([plain, stein]) == pytest.approx(math.sqrt((4 * np.var(differences, ddof=1) + 2 * 0.04) / 6))


def test_an_open_comparison_names_the_arm_that_diverged() -> None:
    both = [away([0.1, -0.1, 0.2, -0.2], diverged) for diverged in ("", "4")]
    own, other = alone(both[1], both[0]), alone(both[0], both[1])
    assert (own.word, other.word) == ("open", "open")
    assert own.reason.startswith("an arm that diverges is not equivalent")
    assert other.reason.startswith("its reference diverged, and an arm that diverges is not equivalent")
    assert (own.reversed().reason, other.reversed().reason) == (other.reason, own.reason)


def test_higher_may_be_better() -> None:
    words = {one.variant: one.word for one in compare(three(), FAMILY, 0.3, Rule(SEEDS[:5]), lower_is_better=False).found}
    assert words == {"a": "worse", "b": "equivalent", "c": "better but negligible"}


def test_without_a_delta_nothing_is_equivalent() -> None:
    a, b, c = compare(three(), FAMILY, None, Rule(SEEDS[:5])).found
    assert [one.word for one in (a, b, c)] == ["better", "open", "worse"]
    assert b.equivalence_p is None and b.smallest_delta is not None


def test_what_a_report_decides_is_what_was_simulated() -> None:
    """``compare`` says of each of 200 random families what the array functions, which the validity benchmark simulates, say of all."""
    generator = np.random.default_rng(11)
    tables = generator.normal(20, 1, (200, 4, 5)) + np.array([0, 0, 1.5, 3])[:, None]
    found = estimation.paired(tables[:, 1:], tables[:, :1])
    adjusted = estimation.holm(found.p())
    low, high = estimation.simultaneous(found, adjusted, 3)
    within = found.equivalence_p(1.6) <= 0.05
    words = set()
    for number, table in enumerate(tables):
        arms = {name: arm(row.tolist()) for name, row in zip("rabc", table, strict=True)}
        for place, one in enumerate(compare(arms, FAMILY, 1.6, Rule(SEEDS[:5])).found):
            different, same = adjusted[number, place] <= 0.05, within[number, place]
            direction = "better" if found.mean[number, place] < 0 else "worse"
            expected = (direction + " but negligible" * int(same)) if different else "equivalent" if same else "open"
            assert one.word == expected
            assert one.adjusted == pytest.approx(adjusted[number, place], abs=1e-12)
            assert (one.all.low, one.all.high) == pytest.approx((low[number, place], high[number, place]), abs=1e-12)
            words.add(one.word)
    assert words >= {"worse", "open", "equivalent", "worse but negligible"}


# -- what is missing


def test_a_comparison_that_is_missing_counts_in_the_family() -> None:
    whole = compare(three(), FAMILY, 0.3, Rule(SEEDS[:5])).found
    part = compare(three() | {"b": arm([20.0])}, FAMILY, 0.3, Rule(SEEDS[:5])).found
    assert [one.adjusted for one in part] == pytest.approx([whole[0].adjusted, None, whole[2].adjusted])
    assert (part[0].all, part[2].all) == (whole[0].all, whole[2].all)
    assert (part[1].word, part[1].p, part[1].n) == (None, None, 1)


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        (0, "no finished pairs of seeds; a verdict needs 3"),
        (1, "1 finished pair of seeds; a verdict needs 3"),
        (2, "2 finished pairs of seeds; a verdict needs 3"),
    ],
)
def test_below_three_pairs_nothing_is_said(pairs: int, reason: str) -> None:
    one = alone(away([-5.0, -5.1][:pairs]), arm(REFERENCE))
    assert (one.word, one.reason, one.n) == (None, reason, pairs)
    assert (one.p, one.adjusted, one.equivalence_p, one.needed) == (None, None, None, None)
    assert (one.mean is None, one.own.low is None, one.smallest_delta is None) == (pairs < 1, pairs < 2, pairs < 2)
    assert not one.settled


@pytest.mark.parametrize("reference", [arm([]), arm([None] * 5 + REFERENCE)])
def test_a_missing_reference_or_none_of_its_seeds(reference: Arm) -> None:
    one = alone(arm(REFERENCE), reference)
    assert (one.word, one.mean, one.n) == (None, None, 0)


def test_unequal_seeds_are_paired_where_both_have_them() -> None:
    one = alone(away([-0.5, None, -0.6, -0.5, -0.4]), arm([20.0, 20.2, 19.8, None, 19.9, 30.0]))
    assert (one.n, one.word) == (3, "better")
    assert one.mean == pytest.approx(-0.5)


def test_values_beyond_the_rules_seeds_do_not_count() -> None:
    one = alone(away([-0.5, -0.4, -0.6, 9.0, 9.0]), arm(REFERENCE), rule=Rule(SEEDS[:3]))
    assert (one.n, one.mean) == (3, pytest.approx(-0.5))


def test_equal_differences_are_not_tested() -> None:
    for size in (-5.0, 0.0, 0.3):
        one = alone(away([size] * 5), arm(REFERENCE))
        assert (one.word, one.p, one.adjusted, one.needed) == (None, None, None, None)
        assert "no spread" in one.reason
    one = alone(arm([23.4, 23.7, 22.9]), arm([23.1, 23.4, 22.6]))  # equal on paper
    assert one.word is None and "no spread" in one.reason


def test_an_empty_family() -> None:
    found = compare({}, [], 0.3, Rule(()))
    assert (found.found, found.family) == ((), 0)
    assert found.of("a", "b") is None


# -- open, and what would settle it


def test_open_names_the_seeds_that_would_settle_it() -> None:
    # mean 0.2, deviation 0.2, δ = 0.1: power 80 % at 5 % needs 10 seeds in all (G*Power, statsmodels)
    one = alone(away([0.0, 0.2, 0.4, 0.4, 0.0]), arm(REFERENCE), delta=0.1)
    assert (one.word, one.reason) == ("open", "")
    assert one.needed == 10
    assert alone(away([0.001, -1, 1, 0.5, -0.5]), arm(REFERENCE), delta=0.001).needed is None  # more than any study has
    assert alone(away([0.0, 0.2, 0.4, 0.4, 0.0]), arm(REFERENCE), delta=None).needed == 10
    settled = alone(away([-0.5, -0.4, -0.6, -0.5, -0.5]), arm(REFERENCE))
    assert (settled.word, settled.needed) == ("better", None)


def test_a_larger_family_needs_more_seeds() -> None:
    arms = {name: away([0.0, 0.2, 0.4, 0.4, 0.0]) for name in "abcd"} | {"r": arm(REFERENCE)}
    (one, *_) = compare(arms, [Pair(name, "r") for name in "abcd"], 0.1, Rule(SEEDS)).found
    assert one.needed is not None and one.needed > 10


# -- divergence


def test_an_arm_with_divergence_is_not_equivalent_and_not_better() -> None:
    same, better = [0.01, -0.01, 0.02, -0.02, 0.0], [-5.0, -5.1, -5.2, -5.0, -5.1]
    assert alone(away(same), arm(REFERENCE)).word == "equivalent"
    assert alone(away(better), arm(REFERENCE)).word == "better"
    for differences in (same, better):
        one = alone(away([None, *differences[1:]], "0"), arm(REFERENCE))
        assert (one.word, one.divergence) == ("open", Divergence(1, 5, 0, 5, 1.0))
        assert one.reason and one.needed is None and not one.settled
        assert one.n == 4 and one.mean == pytest.approx(np.mean(differences[1:]))


def test_the_same_where_the_reference_diverged() -> None:
    same, worse = [0.01, -0.01, 0.02, -0.02, 0.0], [5.0, 5.1, 5.2, 5.0, 5.1]
    reference = arm([None, *REFERENCE[1:]], "0")
    assert alone(away(same), reference).word == "open"
    assert alone(away(worse), reference).word == "open"  # the reference diverged, so it is not the better one
    assert alone(away([-5.0, -5.1, -5.2, -5.0, -5.1]), reference).word == "better"  # the variant did not


def test_finished_seeds_that_are_worse_make_a_diverging_arm_worse() -> None:
    one = alone(away([None, 5.1, 5.2, 5.0, 5.1], "0"), arm(REFERENCE))
    assert one.word == "worse"
    # both tests share the pair's 5 %, so p counts twice
    assert one.p is not None and one.adjusted == pytest.approx(2 * one.p)
    assert one.own.low is not None and one.all.low is not None and 0 < one.all.low < one.own.low


def test_significantly_more_divergence_is_worse() -> None:
    """7 of 10 against 0 of 10: Fisher's p = 2 C(10, 7) / C(20, 7) = 240 / 77520."""
    base = [20.0 + 0.1 * (number % 3) for number in range(10)]
    one = alone(arm([None] * 7 + [20.02, 20.1, 20.3], "0123456"), arm(base))
    assert one.divergence is not None and one.divergence.p == pytest.approx(240 / 77520)
    assert one.word == "worse" and one.adjusted == pytest.approx(2 * 240 / 77520)
    # the rate decided, so the interval of the means is what it is
    assert one.all.low is not None and one.all.high is not None and one.all.low < 0 < one.all.high
    back = alone(arm(base), arm([None] * 7 + [20.02, 20.1, 20.3], "0123456"))
    assert (back.word, back.adjusted) == ("better", one.adjusted)


def test_rates_are_compared_and_not_counts() -> None:
    """Four of four against five of twenty: the smaller count, and the higher rate."""
    all_gone = Arm({}, frozenset("0123"))
    many = Arm({f"s{number}": 20.0 + 0.1 * number for number in range(15)}, frozenset(f"d{number}" for number in range(5)))
    one = alone(all_gone, many)
    assert one.divergence is not None and one.divergence.p is not None and one.divergence.p < 0.05
    assert (one.word, alone(many, all_gone).word) == ("worse", "better")


def test_the_rate_decides_where_the_finished_seeds_may_not() -> None:
    """Seven of ten diverge and the others err far less: it cannot be better, and its rate alone makes it worse."""
    base = [20.0 + 0.1 * (number % 3) for number in range(10)]
    one = alone(arm([None] * 7 + [10.0, 10.11, 10.21], "0123456"), arm(base))
    assert one.p is not None and one.divergence is not None and one.divergence.p is not None and one.p < one.divergence.p
    assert one.word == "worse"
    few = alone(arm([None] * 2 + [value - 10 + 0.01 * (number % 2) for number, value in enumerate(base[2:])], "01"), arm(base))
    assert (few.word, few.adjusted is not None and few.adjusted <= 0.05) == ("open", True)


def test_an_arm_that_always_diverges() -> None:
    all_gone = arm([], "01234")
    one = alone(all_gone, arm(REFERENCE))
    assert (one.word, one.n, one.mean, one.p, one.smallest_delta) == ("worse", 0, None, None, None)
    assert one.divergence == Divergence(5, 5, 0, 5, pytest.approx(2 / 252))
    assert one.adjusted == pytest.approx(2 / 252)  # there is no second test
    both = alone(all_gone, all_gone)
    assert (both.word, both.adjusted) == ("open", 1.0)
    early = alone(arm([], "01"), arm(REFERENCE[:2]))
    assert (early.word, early.divergence) == (None, Divergence(2, 2, 0, 2, None))
    assert "3 of each arm" in early.reason


def test_a_family_counts_divergence_too() -> None:
    arms = three() | {"b": arm([], "01234")}
    a, b, c = compare(arms, FAMILY, 0.3, Rule(SEEDS[:5])).found
    assert (a.word, b.word, c.word) == ("better", "worse", "worse but negligible")
    # Holm over 0.00009, 2 / 252 = 0.0079 and 0.0032
    assert b.adjusted == pytest.approx(2 / 252) and c.adjusted == pytest.approx(2 * (1 - inside(math.sqrt(40))))


# -- the two ways to look at a pair


def test_reversed_exchanges_the_roles() -> None:
    found = compare(three() | {"d": away([None, 5.1, 5.2, 5.0, 5.1], "0")}, [*FAMILY, Pair("d", "r")], 0.3, Rule(SEEDS[:5]))
    opposite = {"better": "worse", "worse": "better", "equivalent": "equivalent", "worse but negligible": "better but negligible"}
    for one in found.found:
        back = found.of("r", one.variant)
        assert back is not None and (back.variant, back.reference) == ("r", one.variant)
        assert one.mean is not None and back.mean == -one.mean
        assert (back.own.low, back.own.high) == (-one.own.high, -one.own.low)
        assert (back.all.low, back.all.high) == (-one.all.high, -one.all.low)
        assert (back.p, back.adjusted, back.smallest_delta, back.n) == (one.p, one.adjusted, one.smallest_delta, one.n)
        assert one.word is not None and back.word == opposite[one.word]
        assert back.reversed() == one
    worse = found.of("d", "r")
    assert worse is not None and worse.divergence is not None
    assert worse.reversed().divergence == Divergence(0, 5, 1, 5, worse.divergence.p)
    assert found.of("a", "b") is None


def test_a_reversed_family_says_the_same() -> None:
    there = compare(three(), FAMILY, 0.3, Rule(SEEDS[:5]))
    back = compare(three(), [Pair("r", pair.variant) for pair in FAMILY], 0.3, Rule(SEEDS[:5]))
    for one in there.found:
        again = back.of(one.variant, "r")
        assert again is not None and again.word == one.word and again.all == one.all and again.adjusted == one.adjusted


def test_nothing_known_is_nothing_known_from_the_other_side() -> None:
    one = alone(arm([]), arm(REFERENCE)).reversed()
    assert (one.variant, one.word, one.mean, one.own.low) == ("r", None, None, None)


def test_each_comparison_is_declared_once() -> None:
    pairs = [Pair("a", "r"), Pair("r", "a"), Pair("b", "b"), Pair("b", "r"), Pair("a", "r")]
    assert declared(pairs) == (Pair("a", "r"), Pair("b", "r"))


# -- how seeds were decided on


def test_steins_rule_keeps_the_spread_of_the_first_stage() -> None:
    # deviation of the first three is 0.1, of all six 1.2; freedom 2: t = 4.302653
    differences = [0.9, 1.0, 1.1, 3.0, 3.0, 3.0]
    base = [20.0] * 6
    one = alone(away(differences, base=base), arm(base), delta=None, rule=Rule(SEEDS[:6], first=3))
    half = 4.302652729911275 * 0.1 / math.sqrt(6)
    assert one.mean == pytest.approx(2.0)
    assert (one.own.low, one.own.high) == pytest.approx((2 - half, 2 + half))
    assert (one.word, one.n) == ("worse", 6)
    # without the rule, all six give the spread: 2 ± 2.570582 x 1.0978 / sqrt(6)
    plain = alone(away(differences, base=base), arm(base), delta=None)
    assert plain.own.half_width == pytest.approx(2.5705818 * math.sqrt(6.02 / 5) / math.sqrt(6), rel=1e-6)


def test_steins_first_stage_is_by_the_order_of_the_rule() -> None:
    base = [20.0] * 6
    values = away([3.0, 3.0, 3.0, 0.9, 1.0, 1.1], base=base)
    one = alone(values, arm(base), rule=Rule(tuple("345012"), first=3))
    assert one.own.half_width == pytest.approx(4.302652729911275 * 0.1 / math.sqrt(6))


@pytest.mark.parametrize(("lost", "freedom"), [("0", 1), ("01", None), ("5", 2)])
def test_steins_first_stage_with_holes(lost: str, freedom: int | None) -> None:
    base = [20.0] * 6
    differences = [None if str(seed) in lost else one for seed, one in enumerate([0.8, 1.0, 1.1, 3.0, 3.0, 3.0])]
    one = alone(away(differences, base=base), arm(base), rule=Rule(SEEDS[:6], first=3))
    assert one.n == 6 - len(lost)
    if freedom is None:
        assert (one.word, one.own.low) == (None, None)
    else:
        t = {1: 12.706204736432095, 2: 4.302652729911275}[freedom]
        first = [value for value in differences[:3] if value is not None]
        assert one.own.half_width == pytest.approx(t * float(np.std(first, ddof=1)) / math.sqrt(one.n))


LOOKS = (("0", "1", "2"), ("3", "4", "5"))


def _looked(
    differences: Sequence[float | None], diverged: str = "", looks: tuple[tuple[str, ...], ...] = LOOKS, planned: int = 2
) -> Comparison:
    base = [20.0] * 6
    rule = Rule(tuple(seed for look in looks for seed in look), looks=looks, planned=planned)
    return alone(away(differences, diverged, base), arm(base), rule=rule)


def test_what_a_look_decides_stays() -> None:
    """-1 with t = -17 after three; the later seeds would take it back."""
    one = _looked([-0.9, -1.0, -1.1, 5.0, 5.0, 5.1])
    assert (one.word, one.look, one.n) == ("better", 1, 3)
    assert one.mean == pytest.approx(-1.0)
    assert _looked([-0.9, -1.0, -1.1, 5.0, 5.0, 5.1], planned=1).word != "better"


def test_each_declared_look_decides_at_its_share_of_alpha() -> None:
    # t = -5.2 with 2 degrees: p = 0.035, enough at 5 % and not at 2.5 %
    three_seeds = [-0.8, -1.4, -0.8]
    p = float(estimation.paired(np.array(three_seeds), np.zeros(3)).p())
    assert 0.025 < p < 0.05
    assert _looked([*three_seeds, None, None, None], looks=LOOKS[:1], planned=1).word == "better"
    first = _looked([*three_seeds, None, None, None], looks=LOOKS[:1])
    assert (first.word, first.look) == ("open", None)
    second = _looked([*three_seeds, -1.0, -1.1, -0.9])
    assert (second.word, second.look, second.n) == ("better", 2, 6)


def test_the_intervals_of_a_look_share_alpha_and_the_own_one_does_not() -> None:
    differences = np.array([-0.8, -1.4, -0.8])
    one = _looked([*differences, None, None, None], looks=LOOKS[:1])
    found = estimation.paired(differences, np.zeros(3))
    assert (one.own.low, one.all.low) == pytest.approx((float(found.interval(0.95)[0]), float(found.interval(0.975)[0])))
    assert one.smallest_delta == pytest.approx(float(found.smallest_delta(0.025)))


def test_a_look_too_many_decides_nothing_earlier() -> None:
    """Three looks where two were declared: all seeds together, at the level of a look."""
    one = _looked([-0.9, -1.0, -1.1, 5.0, 5.0, 5.1], looks=(("0", "1"), ("2", "3"), ("4", "5")))
    assert (one.n, one.look) == (6, None)


def test_later_divergence_takes_back_what_a_look_had_settled() -> None:
    same = [0.01, -0.01, 0.02]
    assert _looked([*same, None, None, None]).word == "equivalent"
    one = _looked([*same, None, 0.0, 0.01], diverged="3")
    assert one.word == "open" and one.divergence == Divergence(1, 6, 0, 6, 1.0)
    better = _looked([-0.9, -1.0, -1.1, None, -1.0, -1.1], diverged="3")
    assert better.word == "open"


def test_looks_agree_with_the_simulated_procedure() -> None:
    """The words of ``compare`` over three looks are those of the array code that the validity benchmark runs."""
    from benchmarks.validity_stopping import Procedure, _settled

    looks = (("0", "1", "2"), ("3", "4", "5"), ("6", "7", "8", "9"))
    tables = np.random.default_rng(7).normal(0, 1, (40, 5, 10)) + np.array([0, 0, 1.0, 2.0, 3.0])[:, None]
    different, equivalent = _settled(tables, Procedure("", (3, 6, 10), 0.05 / 3), 2.0)
    family = [Pair(name, "r") for name in "abcd"]
    counts = {True: 0, False: 0}
    for table, apart, same in zip(tables, different, equivalent, strict=True):
        arms = {name: arm(row.tolist()) for name, row in zip("rabcd", table, strict=True)}
        for place, one in enumerate(compare(arms, family, 2.0, Rule(SEEDS, looks=looks, planned=3)).found):
            assert one.word is not None
            assert one.word.startswith(("better", "worse")) == apart[place]
            assert (one.word == "equivalent") == same[place]
            assert (one.look is None) == (one.word == "open")
            counts[one.settled] += 1
    assert min(counts.values()) > 20
