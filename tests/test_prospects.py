"""What seeds can resolve: the noise known so far, power by it against simulated studies, and the words of the plan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import StringIO

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from ablations.options import parser
from ablations.statistics.comparison import Arm, Pair
from ablations.statistics.estimation import paired
from ablations.statistics.noise import deviation_interval
from ablations.statistics.power import power_of_difference, power_of_equivalence
from ablations.statistics.prospects import Noise, Spread, pooled, prospects
from ablations.statistics.two_stage_power import TwoStage
from ablations.study import Cost, Metric, Precision, Study, StudyData, StudyVariant
from ablations.suite import Claim, Contrast
from report.console import print_plan
from report.prospects import prospect_lines
from senet_core.config import Config
from senet_core.errors import InputError

DATA = StudyData(label="D", fingerprint=None, classes=("a", "b"), size=8, channels=3, train=9, evaluated=9, evaluated_on="test")
WORSE = Claim(text="B is worse.", contrasts=(Contrast(variant="b", reference="a", expect="worse"),))
EQUAL = Claim(
    text="C and D do as well as A.",
    contrasts=tuple(Contrast(variant=name, reference="a", expect="equivalent") for name in ("c", "d")),
)


def make_study(names: str, seeds: int, claims: Sequence[Claim] = (), same: Mapping[str, str] | None = None, **changes: object) -> Study:
    """A study with a variant for each letter, the first its reference."""
    texts = tuple(str(seed) for seed in range(seeds))
    variants = tuple(
        StudyVariant(
            name=name,
            config=Config(),
            changes={},
            cost=Cost(parameters=1, macs=1),
            keys={seed: f"{name}{seed}" for seed in texts},
            same_as=(same or {}).get(name),
        )
        for name in names
    )
    fields: dict[str, object] = dict.fromkeys(("name", "suite", "title", "question", "source", "preset"), "")
    fields |= {"table": None, "factor": (), "reference": names[0], "claims": tuple(claims), "notes": (), "overrides": {}}
    fields |= {"delta": 0.5, "converged": True, "data": DATA, "seeds": texts, "variants": variants}
    return Study.model_validate(fields | changes)


def arm(*values: float, diverged: Sequence[str] = ()) -> Arm:
    return Arm({str(seed): value for seed, value in enumerate(values)}, frozenset(diverged))


def random_arms(names: str, n: int, deviation: float, generator: np.random.Generator) -> dict[str, Arm]:
    return {name: arm(*generator.normal(20, deviation, n)) for name in names}


# -- the noise known so far


def test_own_pairs_then_the_family_s_then_what_is_stated_then_nothing() -> None:
    study = make_study("abc", 5)
    arms = {"a": arm(10.0, 10.0, 10.0), "b": arm(11.0, 12.0, 13.0), "c": arm(10.0, 13.0)}
    b, c = prospects(study, arms, stated=9.0).found
    assert b.noise is not None and (b.noise.source, b.noise.pairs, b.noise.freedom) == ("own", 3, 2)
    assert b.noise.deviation == pytest.approx(1.0)
    assert c.noise is not None and (c.noise.source, c.noise.pairs) == ("pooled", 3)
    assert c.noise.deviation == pytest.approx(((2 * 1 + 1 * 4.5) / 3) ** 0.5), "weighted by degrees of freedom, 2 and 1"
    nothing = {name: arm(10.0) for name in "abc"}
    stated = prospects(study, nothing, stated=0.3).found[0].noise
    assert stated is not None and (stated.source, stated.interval) == ("stated", None)
    assert stated.deviation == pytest.approx(0.3 * 2**0.5)
    assert prospects(study, nothing).found[0].noise is None


def test_differences_without_a_spread_tell_no_noise() -> None:
    study = make_study("ab", 5)
    equal = {"a": arm(22.9, 23.3, 24.5), "b": arm(23.1, 23.5, 24.7)}  # 0.2 each, but for the last bit
    assert prospects(study, equal).found[0].noise is None
    stated = prospects(study, equal, stated=0.3).found[0].noise
    assert stated is not None and stated.source == "stated"


@pytest.mark.parametrize(("arms", "n"), [(2, 2), (3, 2), (4, 3), (6, 2)])
def test_all_pairs_of_arms_have_the_freedom_of_the_two_way_layout(arms: int, n: int) -> None:
    names = "abcdef"[:arms]
    spreads = {Pair(x, y): Spread(n, 1.0) for i, x in enumerate(names) for y in names[:i]}
    noise = pooled(spreads)
    assert noise is not None and noise.freedom == pytest.approx((arms - 1) * (n - 1))


def test_the_freedom_of_comparisons_that_share_a_reference_is_that_of_their_simulated_spread() -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(size=(40_000, 6, 3))
    differences = values[:, 1:] - values[:, :1]
    variances = differences.var(-1, ddof=1).mean(-1)
    noise = pooled({Pair(name, "a"): Spread(3, 1.0) for name in "bcdef"})
    simulated = 2 * variances.mean() ** 2 / variances.var()  # a variance of f degrees of freedom has the variance 2 mean² / f
    assert noise is not None and noise.freedom is not None and noise.freedom == pytest.approx(simulated, rel=0.03)
    assert noise.freedom < 5.1, "and not the ten that five times two would be"


def test_the_interval_of_a_deviation_covers_it() -> None:
    deviations = np.random.default_rng(2).normal(0, 1, (4000, 4)).std(1, ddof=1)
    intervals = [deviation_interval(float(deviation), 3) for deviation in deviations]
    assert np.mean([low <= 1 <= high for low, high in intervals]) == pytest.approx(0.95, abs=0.01)
    noise = Noise(0.5, "own", 4, 3)
    assert noise.interval == deviation_interval(0.5, 3)


# -- what seeds can tell


def test_the_resolvable_difference_is_seen_in_four_of_five_simulated_studies() -> None:
    outlook = prospects(make_study("abcd", 6), {name: arm() for name in "abcd"}, stated=0.4).found[0].outlook
    assert outlook is not None and outlook.resolvable is not None
    a, b = np.random.default_rng(3).normal(20, 0.4, (2, 20_000, 6))
    seen = paired(b + outlook.resolvable, a).p() <= 0.05 / 3  # the family has three comparisons
    assert seen.mean() == pytest.approx(0.8, abs=0.01)


def test_the_chance_of_equivalence_is_that_of_simulated_studies() -> None:
    outlook = prospects(make_study("ab", 8), {name: arm() for name in "ab"}, stated=0.4).found[0].outlook
    assert outlook is not None and outlook.equivalence is not None and 0.1 < outlook.equivalence < 0.9
    a, b = np.random.default_rng(4).normal(20, 0.4, (2, 20_000, 8))
    shown = paired(b, a).equivalence_p(0.5) <= 0.05
    assert shown.mean() == pytest.approx(outlook.equivalence, abs=0.01)


def test_the_seeds_that_are_needed_are_the_fewest_that_reach_it() -> None:
    study = make_study("abcd", 5)
    outlook = prospects(study, {name: arm() for name in "abcd"}, stated=0.4).found[0].outlook
    assert outlook is not None and outlook.to_resolve is not None and outlook.to_equate is not None
    deviation, n, m = 0.4 * 2**0.5, outlook.to_resolve, outlook.to_equate
    assert power_of_difference(0.5, deviation, n - 1, 0.05 / 3) < 0.8 <= power_of_difference(0.5, deviation, n, 0.05 / 3)
    assert power_of_equivalence(0, deviation, m - 1, 0.5, 0.05) < 0.8 <= power_of_equivalence(0, deviation, m, 0.5, 0.05)


def test_the_worst_outlook_is_that_of_the_noise_at_its_upper_end() -> None:
    one = prospects(make_study("ab", 6), random_arms("ab", 4, 0.4, np.random.default_rng(8))).found[0]
    assert one.noise is not None and one.noise.interval is not None and one.worst is not None and one.outlook is not None
    assert one.worst.resolvable is not None and one.outlook.resolvable is not None
    assert one.worst.resolvable / one.outlook.resolvable == pytest.approx(one.noise.interval[1] / one.noise.deviation, rel=1e-4)


def test_every_declared_look_has_its_part_of_alpha() -> None:
    empty = {name: arm() for name in "ab"}
    one, two = (prospects(make_study("ab", 6, planned_looks=looks), empty, stated=0.3).found[0].outlook for looks in (1, 2))
    assert one is not None and two is not None and one.resolvable is not None and two.resolvable is not None
    assert two.resolvable > one.resolvable
    assert power_of_difference(two.resolvable, 0.3 * 2**0.5, 6, 0.025) == pytest.approx(0.8, abs=1e-4)


def test_below_three_seeds_nothing_is_resolved_but_what_it_takes_is_told() -> None:
    outlook = prospects(make_study("ab", 2), {name: arm() for name in "ab"}, stated=0.3).found[0].outlook
    assert outlook is not None and outlook.resolvable is None and outlook.equivalence is None
    assert outlook.to_resolve is not None and outlook.to_resolve >= 3


def test_seeds_that_diverged_give_no_pair_and_no_equivalence() -> None:
    arms = {"a": arm(10.0, 11.0, 10.5), "b": arm(10.2, 11.4, 10.1, diverged=["3"])}
    one = prospects(make_study("ab", 6), arms).found[0]
    assert (one.n, one.diverged) == (5, 1)
    assert one.outlook is not None and (one.outlook.equivalence, one.outlook.to_equate) == (0.0, None)


def test_an_arm_with_fewer_seeds_has_fewer_pairs() -> None:
    study = make_study("abc", 6)
    fewer = study.variant("c").model_copy(update={"keys": {seed: f"c{seed}" for seed in "012"}})
    study = study.model_copy(update={"variants": (*study.variants[:2], fewer)})
    assert [one.n for one in prospects(study, {name: arm() for name in "abc"}, stated=1.0).found] == [6, 3]


# -- Stein's procedure


@pytest.mark.parametrize(("deviation", "most"), [(0.1, 30), (0.5, 30), (1.0, 30), (4.0, 30)])
def test_the_power_of_two_stages_is_that_of_simulated_ones(deviation: float, most: int) -> None:
    rule, generator, rounds = Precision(half_width=0.5, first=5, most=most), np.random.default_rng(5), 40_000
    procedure = TwoStage(rule, deviation)
    true = procedure.resolvable(0.01)
    first = generator.normal(0, deviation, (rounds, 5))
    seen = first.std(1, ddof=1)
    n = np.clip(np.ceil((stats.t.ppf(0.975, 4) * seen / 0.5) ** 2), 5, most)
    mean = (first.sum(1) + generator.normal(0, deviation, rounds) * np.sqrt(n - 5)) / n
    error = seen / np.sqrt(n)
    assert np.mean(np.abs(mean + true) / error > stats.t.ppf(0.995, 4)) == pytest.approx(0.8, abs=0.01)
    shown = np.mean(np.abs(mean) + stats.t.ppf(0.95, 4) * error <= 1.0)
    assert shown == pytest.approx(procedure.power_of_equivalence(1.0, 0.05), abs=0.01)


def test_a_precision_says_what_can_be_seen_before_any_noise_is_known() -> None:
    rule = Precision(half_width=0.5, first=5, most=30)
    found = prospects(make_study("ab", 5, precision=rule), {name: arm() for name in "ab"})
    outlook = found.found[0].outlook
    t = stats.t(4).ppf
    assert outlook is not None
    assert outlook.resolvable == pytest.approx(0.5 * (t(0.975) + t(0.8)) / t(0.975), rel=0.005)
    assert "half-width of 0.5 points" in prospect_lines(found)[0] and "unknown" not in "".join(prospect_lines(found))
    assert "points on (80 % power, if the 30 seeds suffice)" in prospect_lines(found)[-1]


def test_a_precision_that_asks_for_too_many_seeds_says_so() -> None:
    rule, empty = Precision(half_width=0.3, first=5, most=30), {name: arm() for name in "ab"}
    deviation = 0.5 * 2**0.5
    n = int(np.ceil((stats.t(4).ppf(0.975) * deviation / 0.3) ** 2))
    told = "\n".join(prospect_lines(prospects(make_study("ab", 5, precision=rule), empty, stated=0.5)))
    assert n == 43 and "by that noise about 43, more than 30: the half-width is not reached." in told and "suffice" not in told
    told = "\n".join(prospect_lines(prospects(make_study("ab", 5, precision=rule), empty, stated=0.3)))
    assert "by that noise about 16 in all." in told


def test_what_is_resolved_is_rounded_up() -> None:
    found = prospects(make_study("ab", 5, delta=1.0), {name: arm() for name in "ab"}, stated=0.43)
    resolvable = found.found[0].outlook and found.found[0].outlook.resolvable
    assert resolvable is not None and 1.0 < resolvable < 1.05
    assert "sees differences from 1.1 points on (80 % power); 1 point needs 6 seeds" in prospect_lines(found)[-1]


def test_a_long_claim_stands_in_full_above_its_answer() -> None:
    long = WORSE.model_copy(update={"text": "B is worse than A " + "by what the paper says of it and by more than that " * 2 + "too."})
    lines = prospect_lines(prospects(make_study("ab", 5, [long]), {name: arm() for name in "ab"}, stated=0.3))
    assert lines[-2].strip() == long.text and lines[-1].strip().startswith("sees differences from")


def test_a_metric_of_ones_own_keeps_its_unit_and_its_digits() -> None:
    metric = Metric(name="accuracy", lower_is_better=False)
    arms = {"a": arm(0.901, 0.905, 0.903, 0.906), "b": arm(0.904, 0.905, 0.907, 0.908)}
    told = prospect_lines(prospects(make_study("ab", 5, metric=metric, data=None, delta=0.002), arms))
    assert "paired differences vary by 0.0017 (standard deviation" in told[1] and "point" not in "".join(told)
    assert re.fullmatch(r"  1 comparison  sees differences from 0\.00\d\d \[0\.\d+\] on \(80 % power\); 0.002 needs? \d+ seeds", told[-1])


def test_a_plan_counts_one_seed() -> None:
    console = Console(file=StringIO(), width=200)
    print_plan(console, make_study("ab", 1), {}, {}, diff=False)
    assert "2 variants x 1 seed on D" in " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]


# -- by claim, and in words


def test_a_claim_is_as_good_as_its_weakest_part() -> None:
    study = make_study("abcde", 5, [WORSE, EQUAL])
    arms = {name: arm(10.0, 10.0, 10.0) for name in "a"}
    arms |= {name: arm(10 - spread, 10.0, 10 + spread) for name, spread in {"b": 0.1, "c": 0.2, "d": 0.4, "e": 0.8}.items()}
    found = prospects(study, arms)
    worse, equal = found.claims
    assert worse.difference is not None and worse.equivalence is None and worse.difference.variant == "b"
    assert equal.equivalence is not None and equal.difference is None
    assert (equal.equivalence.variant, equal.equivalences) == ("d", 2)
    assert [one.variant for one in found.unclaimed] == ["e"]


def test_the_lines_tell_noise_claims_and_the_rest() -> None:
    study = make_study("abcde", 5, [WORSE, EQUAL])
    lines = prospect_lines(prospects(study, random_arms("abcde", 2, 0.6, np.random.default_rng(6))))
    assert lines[0] == "What 5 seeds can resolve"
    assert re.search(r"Noise of the 2 seeds stored so far, all .* 95 % interval 0\.\d+ to [\d.]+, from 2.3 degrees of freedom", lines[1])
    worse, equal, rest = lines[-3:]
    assert re.fullmatch(
        r"  B is worse\. +sees differences from [\d.]+ \[[\d.]+\] points on \(80 % power\); 0.5 points need \d+ seeds", worse
    )
    assert re.search(r"would show each of 2 equivalences within ±0.5 points with .* % \[.*\] chance .*; 80 % needs \d+ seeds", equal)
    assert rest.startswith("  1 comparison without a claim")


def test_unknown_noise_is_one_line_that_says_how_to_state_it() -> None:
    study, empty = make_study("ab", 3, [WORSE]), {name: arm() for name in "ab"}
    (line,) = prospect_lines(prospects(study, empty))
    assert "unknown; --noise 0.3" in line
    stated = "\n".join(prospect_lines(prospects(study, empty, stated=0.3)))
    assert "as stated: 0.3 points an arm, so paired differences vary by 0.42 points" in stated and "[" not in stated


def test_a_stated_noise_that_is_not_used_is_said_so() -> None:
    study, arms = make_study("ab", 4, [WORSE]), random_arms("ab", 3, 0.3, np.random.default_rng(7))
    assert "--noise 0.2 is not used" in "\n".join(prospect_lines(prospects(study, arms, stated=0.2)))


def test_one_network_needs_no_seeds_and_a_study_without_comparisons_no_lines() -> None:
    claims = [Claim(text="C is A.", contrasts=(Contrast(variant="c", reference="a", expect="equivalent"),)), WORSE]
    study = make_study("abc", 3, claims, {"c": "a"})
    lines = prospect_lines(prospects(study, {name: arm() for name in "abc"}, stated=0.3))
    assert lines[-2] == "  C is A.      one network: no difference is possible"
    assert prospect_lines(prospects(make_study("a", 3), {"a": arm()}, stated=0.3)) == []


def test_two_seeds_are_too_few_and_a_diverged_arm_is_named() -> None:
    lines = prospect_lines(prospects(make_study("ab", 2, [WORSE]), {name: arm() for name in "ab"}, stated=0.3))
    assert lines[0] == "What 2 seeds can resolve: no verdict, that needs 3" and re.search(r"0.5 points need \d+ seeds", lines[-1])
    arms = {"a": arm(10.0, 11.0), "b": arm(diverged=["0", "1"]), "c": arm(10.1, 11.3, diverged=["2"]), "d": arm(10.5, 11.1)}
    lines = prospect_lines(prospects(make_study("abcd", 5, [WORSE, EQUAL]), arms))
    assert "3 pairs of seeds because 2 diverged" in lines[-2] and "cannot show equivalence, because 1 seed diverged" in lines[-1]


# -- the option


def test_the_noise_is_stated_in_points() -> None:
    commands = parser({"plan": lambda options: 0})
    assert commands.parse_args(["plan", "reduction", "--noise", "0.3"]).noise == 0.3
    assert commands.parse_args(["plan", "reduction"]).noise is None
    for wrong in ("0", "-1", "nan", "101", "much"):
        with pytest.raises(InputError, match="is no number of percentage points above 0"):
            commands.parse_args(["plan", "reduction", f"--noise={wrong}"])
