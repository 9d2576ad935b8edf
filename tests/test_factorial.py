"""Crossed factors: effects worked by hand and against statsmodels, what is missing or diverged, their page, and Optuna's importances."""

from __future__ import annotations

import ast
import json
import logging
import math
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests
from test_figures import shown
from test_report import key, line, make_study, save

from ablations.crossing import Crossed, Levels, all_cells, contrast_fault, effects, fault, sides
from ablations.extension import extended
from ablations.planning import Order, study_of
from ablations.presets import preset
from ablations.search import importance
from ablations.search.importance import importances, importances_over_seeds
from ablations.seed_rules import need
from ablations.statistics.comparison import Arm, Rule
from ablations.statistics.factorial import HIGHER, REST, SEEDS, Decided, decide, parts
from ablations.statistics.measured import arms
from ablations.statistics.prospects import prospects
from ablations.statistics.verdicts import family, members
from ablations.store import Store
from ablations.study import Precision, Study
from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant, cells
from report import factorial, several
from report.captions import Captions
from report.document import Page, markdown_page, summary, write
from report.figures import style
from report.interaction_figure import crossed_panels, interactions_figure
from report.prospects import prospect_lines
from report.raw import tables
from report.rows import read
from senet_core.config import Config
from senet_core.dataset import Facts
from senet_core.errors import InputError

TWO = (Crossed(name="A", levels=("a0", "a1"), reference="a0"), Crossed(name="B", levels=("b0", "b1"), reference="b0"))
THREE = (
    Crossed(name="squeeze", levels=("average", "max"), reference="average"),
    Crossed(name="gate", levels=("sigmoid", "tanh", "relu"), reference="sigmoid"),
    Crossed(name="reduction", levels=("r = 4", "r = 16"), reference="r = 16"),
)
HAND: dict[Levels, list[float | None]] = {
    ("a0", "b0"): [20.0, 21.0, 20.0],
    ("a0", "b1"): [21.0, 22.0, 22.0],
    ("a1", "b0"): [22.0, 24.0, 21.0],
    ("a1", "b1"): [25.0, 28.0, 24.0],
}
"""Errors at three seeds. A: (2 + 4) / 2, (3 + 6) / 2, (1 + 2) / 2 = 3, 4.5, 1.5. B: 2, 2.5, 2.5. Together beyond the sum: 2, 3, 1."""


def arm(values: Sequence[float | None], diverged: str = "") -> Arm:
    """An arm by its values in order of the seeds; None is missing, or diverged where ``diverged`` names that seed."""
    return Arm({str(seed): value for seed, value in enumerate(values) if value is not None}, frozenset(diverged))


def of(table: Mapping[Levels, Sequence[float | None]], **diverged: str) -> dict[Levels, Arm]:
    """Cells by their values; ``diverged`` names seeds by the levels of a cell, joined by "_"."""
    return {levels: arm(values, diverged.get("_".join(levels), "")) for levels, values in table.items()}


def rule(n: int) -> Rule:
    return Rule(tuple(map(str, range(n))))


def by_levels(found: Sequence[Decided]) -> dict[Levels, Decided]:
    return {one.effect.levels: one for one in found}


def planted(n: int, noise: float, crossed: Sequence[Crossed] = THREE, joint: float = 0.0) -> dict[Levels, Arm]:
    """ReLU errs 2 points more and r = 4 half a point less; ``joint`` is added where ReLU meets the maximum."""
    draw = np.random.default_rng(5)
    seeds = draw.normal(0, 0.5, n)
    return {
        levels: arm(
            list(20 + 2 * ("relu" in levels) - 0.5 * ("r = 4" in levels) + joint * ({"relu", "max"} <= {*levels}) + seeds + noise * own)
        )
        for levels, own in zip(all_cells(crossed), draw.normal(0, 1, (len(all_cells(crossed)), n)), strict=True)
    }


# -- effects


def test_effects_worked_by_hand() -> None:
    """Of Student's t with two degrees of freedom p is 1 - t / sqrt(2 + t²) in closed form."""
    a, b, joint = decide(TWO, of(HAND), 0.5, rule(3))
    assert [one.comparison.mean for one in (a, b, joint)] == pytest.approx([3, 7 / 3, 2], abs=1e-12)
    # standard errors 1.5 / sqrt(3), 1 / 6 and 1 / sqrt(3), so t = 2 sqrt(3), 14, 2 sqrt(3)
    p_a, p_b = 1 - math.sqrt(12 / 14), 1 - math.sqrt(196 / 198)
    assert [one.comparison.p for one in (a, b, joint)] == pytest.approx([p_a, p_b, p_a], abs=1e-8)
    assert [one.comparison.adjusted for one in (a, b, joint)] == pytest.approx([2 * p_a, 3 * p_b, 2 * p_a], abs=1e-8)
    assert [one.comparison.word for one in (a, b, joint)] == ["open", "worse", "open"]
    assert b.comparison.own.half_width == pytest.approx(4.302652729911275 / 6, abs=1e-8)
    # alone, A does 2, 3 and 1, and so is 1, 1.5 and 0.5 short of its average; B does 1, 1 and 2, which is as much short of its own
    assert a.apart is not None and b.apart is not None and joint.apart is None
    assert (a.alone.mean, a.alone.n, a.apart.mean, b.apart.mean) == (2.0, 3, -1.0, -1.0)
    assert a.alone.half_width == pytest.approx(4.302652729911275 / 3**0.5)
    assert a.apart.own.half_width == pytest.approx(4.302652729911275 / 12**0.5) == b.apart.own.half_width
    assert a.apart.adjusted == pytest.approx(2 * p_a, abs=1e-8) == b.apart.adjusted, "a family of two, beside the three effects"
    assert joint.alone.n == 0 and joint.effect.is_interaction


def test_averages_and_interactions_agree_with_sum_to_zero_contrasts_and_what_stands_alone_with_treatment_contrasts() -> None:
    draw, n = np.random.default_rng(3), 4
    table = {levels: draw.normal(20, 1, n) for levels in all_cells(THREE)}
    frame = pd.DataFrame(
        [{"y": y, "seed": str(seed), "a": a, "b": b, "c": c} for (a, b, c), values in table.items() for seed, y in enumerate(values)]
    )
    found = by_levels(decide(THREE, of({levels: list(values) for levels, values in table.items()}), 0.5, rule(n)))
    names = dict(zip("abc", THREE, strict=True))
    fit = ols("y ~ C(seed) + C(a, Sum) * C(b, Sum) * C(c, Sum)", frame).fit()

    def part(**levels: str) -> float:
        """A component of the model: statsmodels leaves out the last level (by the alphabet), which is less the sum of all others."""
        signed: list[tuple[float, str]] = [(1.0, "")]
        for factor, level in levels.items():
            *kept, last = sorted(names[factor].levels)
            terms = [(1.0, level)] if level != last else [(-1.0, other) for other in kept]
            signed = [(s * t, f"{text}:C({factor}, Sum)[S.{one}]".lstrip(":")) for s, text in signed for t, one in terms]
        return sum(sign * fit.params[text] for sign, text in signed)

    for factor, crossed in names.items():
        for level in crossed.others:
            expected = part(**{factor: level}) - part(**{factor: crossed.reference})
            assert found[(level,)].comparison.mean == pytest.approx(expected, abs=1e-8)
    for one, other in (("a", "b"), ("a", "c"), ("b", "c")):
        for levels in product(names[one].others, names[other].others):
            both = [(levels[0], names[one].reference), (levels[1], names[other].reference)]
            expected = sum(
                (-1) ** (i + j) * part(**{one: first, other: second}) for i, first in enumerate(both[0]) for j, second in enumerate(both[1])
            )
            assert found[levels].comparison.mean == pytest.approx(expected, abs=1e-8)
    treated = ols("y ~ C(seed) + C(a, Treatment('average')) * C(b, Treatment('sigmoid')) * C(c, Treatment('r = 16'))", frame).fit()
    for text, level in (("C(a, Treatment('average'))[T.max]", "max"), ("C(b, Treatment('sigmoid'))[T.tanh]", "tanh")):
        assert found[(level,)].alone.mean == pytest.approx(treated.params[text], abs=1e-8)
    # and the test is the t test of the contrast at each seed
    contrast = np.mean([table["max", b, c] - table["average", b, c] for b in THREE[1].levels for c in THREE[2].levels], axis=0)
    assert found[("max",)].comparison.p == pytest.approx(stats.ttest_1samp(contrast, 0).pvalue, abs=1e-10)


def test_the_variance_is_that_of_statsmodels_analysis() -> None:
    draw, n = np.random.default_rng(4), 3
    table: dict[Levels, list[float | None]] = {levels: list(draw.normal(20, 1, n)) for levels in all_cells(THREE)}
    frame = pd.DataFrame(
        [{"y": y, "s": str(s), "a": a, "b": b, "c": c} for (a, b, c), values in table.items() for s, y in enumerate(values)]
    )
    theirs = anova_lm(ols("y ~ C(s) + C(a) * C(b) * C(c)", frame).fit())
    total = theirs["sum_sq"].sum()
    found = {one.source: one for one in parts(THREE, of(table))}
    names = {"squeeze": "C(a)", "gate × reduction": "C(b):C(c)", HIGHER: "C(a):C(b):C(c)", SEEDS: "C(s)", REST: "Residual"}
    for source, term in names.items():
        assert (found[source].share, found[source].freedom) == pytest.approx(
            (theirs["sum_sq"][term] / total, theirs["df"][term]), abs=1e-10
        )
    assert sum(one.share for one in found.values()) == pytest.approx(1)
    alone = parts(TWO, of({levels: values[:1] for levels, values in HAND.items()}))
    assert [one.source for one in alone] == ["A", "B", "A × B"]
    assert parts(TWO, of({levels: [20.0, 20.0] for levels in HAND})) == () == parts(TWO, of({**HAND, ("a0", "b0"): []}))


def test_planted_effects_are_found_and_what_was_not_planted_adds_up() -> None:
    found = by_levels(decide(THREE, planted(6, 0.05, joint=1.0), 0.3, rule(6)))
    words = {levels: one.comparison.word for levels, one in found.items()}
    assert words[("relu",)] == "worse" and words[("r = 4",)] == "better" and words[("tanh",)] == "equivalent"
    # half of relu's cells have the maximum, and a third of the maximum's have relu
    assert found[("relu",)].comparison.mean == pytest.approx(2.5, abs=0.1) and found[("max",)].comparison.mean == pytest.approx(
        1 / 3, abs=0.1
    )
    assert words[("max", "relu")] == "worse" and found[("max", "relu")].comparison.mean == pytest.approx(1, abs=0.1)
    assert {words[levels] for levels in words if len(levels) == 2} - {words[("max", "relu")]} == {"equivalent"}
    assert found[("relu",)].alone.mean == pytest.approx(2, abs=0.1)
    # alone relu does 2 and on average 2.5; the maximum 0 and 1 / 3, which is not shown to be less than δ
    apart = {level: found[(level,)].apart for level in ("max", "tanh", "relu", "r = 4")}
    assert {level: one.word for level, one in apart.items() if one} == {
        "max": "better", "tanh": "equivalent", "relu": "better", "r = 4": "equivalent"
    }  # fmt: skip


def simulated(count: int, n: int, joint: float) -> Iterator[dict[Levels, Arm]]:
    """The cells of studies in which each varies by 0.3 over seeds; ``joint`` is added where ReLU meets the maximum."""
    draw = np.random.default_rng(7)
    for _ in range(count):
        yield {levels: arm(list(20 + joint * ({"relu", "max"} <= {*levels}) + draw.normal(0, 0.3, n))) for levels in all_cells(THREE)}


MISLEADS = "**One factor at a time would say something else**"


def test_where_everything_adds_up_a_page_hardly_ever_says_that_one_factor_at_a_time_misleads(monkeypatch: pytest.MonkeyPatch) -> None:
    """An uncorrected 95 % interval for each level would say so in more than one study of ten."""
    monkeypatch.setattr("ablations.statistics.comparison.seeds_to_settle", lambda *_, **__: None)  # takes most of the time, decides nothing
    interact, declared, said, uncorrected = 0, 0, 0, 0
    for table in simulated(300, 5, joint=0.0):
        found = decide(THREE, table, 1e-6, rule(5))
        apart = [one.apart for one in found if one.apart]
        told = factorial.notes(found)
        said += any(text.startswith(MISLEADS) for text in told)
        interact += any(one.effect.is_interaction and one.comparison.word in ("better", "worse") for one in found)
        assert bool(told) == any(one.effect.is_interaction and one.comparison.word in ("better", "worse") for one in found)
        declared += any(one.adjusted is not None and one.adjusted <= 0.05 for one in apart)
        uncorrected += any(one.own.low is not None and one.own.high is not None and not one.own.low <= 0 <= one.own.high for one in apart)
    allowed = 300 * 0.05 + 2 * math.sqrt(300 * 0.05 * 0.95)
    assert said <= 300 * 0.02 and interact <= allowed and declared <= allowed and uncorrected >= 300 * 0.1


def test_a_page_says_that_one_factor_at_a_time_misleads_where_it_does_and_it_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablations.statistics.comparison.seeds_to_settle", lambda *_, **__: None)
    found = [decide(THREE, table, 0.2, rule(8)) for table in simulated(20, 8, joint=2.0)]
    notes = [" ".join(factorial.notes(one)) for one in found]
    assert sum(MISLEADS in text and "relu − sigmoid by −" in text.partition(MISLEADS)[2] for text in notes) >= 18
    assert sum("tanh" in text for text in notes) <= 3, "by chance in one of twenty"
    matters_not = [decide(THREE, table, 3.0, rule(8)) for table in simulated(20, 8, joint=2.0)]
    words = {one.comparison.word for found in matters_not for one in found if one.effect.levels == ("max", "relu")}
    assert words == {"worse but negligible"} and not any(factorial.notes(one) for one in matters_not)
    without = [one for one in found[0] if one.effect.levels != ("max", "relu")]
    assert any(one.apart and one.apart.word == "better" for one in without) and not factorial.notes(without), "no interaction was found"


def test_a_level_is_told_apart_by_holm_and_beyond_delta_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablations.statistics.comparison.seeds_to_settle", lambda *_, **__: None)
    told, silent = 0, 0
    for table in simulated(60, 5, joint=1.2):
        found = decide(THREE, table, 0.2, rule(5))
        text = " ".join(factorial.notes(found))
        for one in found:
            if one.apart is None or factorial.name(one) not in text:
                continue
            if f"{factorial.name(one)} by " in text:
                told += 1
                assert one.apart.adjusted is not None and one.apart.adjusted <= 0.05
                assert one.apart.smallest_delta is not None and one.apart.smallest_delta > 0.2
            elif one.apart.own.low is not None and one.apart.own.high is not None:
                silent += not one.apart.own.low <= 0 <= one.apart.own.high
    assert told >= 10 and silent >= 5, "of levels that interact: what an interval of their own would have told, too"
    inside = decide(THREE, planted(6, 0.02, joint=1.0), 0.7, rule(6))
    assert {one.apart.word for one in inside if one.effect.levels in (("relu",), ("max",)) and one.apart} == {"better but negligible"}
    (depending,) = factorial.notes(inside)
    assert "because they interact: max − average, relu − sigmoid" in depending


def test_all_effects_are_one_family_and_their_intervals_agree_with_holm() -> None:
    for seed in range(6):
        draw = np.random.default_rng(seed)
        table = {levels: arm(list(draw.normal(20 + 0.5 * ("relu" in levels), 0.3, 5))) for levels in all_cells(THREE)}
        found = [one.comparison for one in decide(THREE, table, 0.3, rule(5))]
        theirs = multipletests([one.p for one in found], method="holm")[1]
        assert [one.adjusted for one in found] == pytest.approx(list(theirs), abs=1e-10) and len(found) == 9
        for one in found:
            assert one.adjusted is not None and one.all.low is not None and one.all.high is not None
            assert (one.adjusted <= 0.05) == (not one.all.low < 0 < one.all.high)


def test_one_seed_has_effects_and_two_have_no_verdict() -> None:
    for n in (1, 2):
        found = decide(TWO, of({levels: values[:n] for levels, values in HAND.items()}), 0.5, rule(n))
        assert [one.comparison.word for one in found] == [None] * 3 and [one.comparison.p for one in found] == [None] * 3
        assert (found[0].comparison.mean, found[0].comparison.n) == ((3.0, 1) if n == 1 else (3.75, 2))
    none = decide(TWO, of({**HAND, ("a1", "b1"): []}), 0.5, rule(3))
    assert [(one.comparison.mean, one.comparison.n) for one in none] == [(None, 0)] * 3 and none[0].alone.mean == 2.0


def test_equal_effects_at_all_seeds_are_no_spread_and_no_test() -> None:
    """On paper each effect is the same at every seed; a computer's thirds and tenths are not."""
    table = {
        levels: arm([base + 0.1 * ("max" in levels) + 0.7 * ("tanh" in levels) for base in (23.1, 22.9, 20.7)])
        for levels in all_cells(THREE)
    }
    found = decide(THREE, table, 0.5, rule(3))
    assert {one.comparison.word for one in found} == {None} and {one.comparison.p for one in found} == {None}
    assert all(one.comparison.own.low == one.comparison.own.high for one in found)
    assert by_levels(found)[("max",)].comparison.mean == pytest.approx(0.1)


def test_a_seed_counts_where_all_cells_that_the_effect_needs_have_it() -> None:
    table = planted(4, 0.1)
    hole = ("max", "tanh", "r = 4")
    table[hole] = Arm({seed: value for seed, value in table[hole].values.items() if seed != "2"})
    found = {levels: one.comparison.n for levels, one in by_levels(decide(THREE, table, 0.3, rule(4))).items()}
    assert found == {
        ("max",): 3, ("tanh",): 3, ("relu",): 4, ("r = 4",): 3, ("max", "tanh"): 3, ("max", "relu"): 4, ("max", "r = 4"): 3,
        ("tanh", "r = 4"): 3, ("relu", "r = 4"): 4,
    }  # fmt: skip


def test_a_level_that_diverges_is_neither_equivalent_nor_does_it_add_up() -> None:
    table = planted(6, 0.02)
    hole = ("max", "relu", "r = 4")
    table[hole] = Arm({seed: value for seed, value in table[hole].values.items() if seed not in "12"}, frozenset("12"))
    found = by_levels(decide(THREE, table, 0.3, rule(6)))
    assert found[("relu",)].comparison.word == "worse" and found[("tanh",)].comparison.word == "equivalent"
    one = found[("max",)].comparison
    assert one.word == "open" and one.divergence is not None and (one.divergence.variant, one.divergence.reference) == (2, 0)
    assert one.n == 4 and found[("tanh",)].comparison.n == 6
    gone = {levels: Arm({}, frozenset(one.values)) if "relu" in levels else one for levels, one in table.items()}
    relu = by_levels(decide(THREE, gone, 0.3, rule(6)))[("relu",)].comparison
    assert (relu.mean, relu.word) == (None, "worse"), "by the rates alone"
    joint = found[("max", "relu")]
    assert joint.comparison.word == "open" and joint.comparison.needed is None and joint.comparison.smallest_delta is None
    assert found[("max", "tanh")].comparison.word == "equivalent"
    apart = found[("relu",)].apart
    assert apart is not None and apart.word == "open" and apart.divergence is not None, "which cell diverged says nothing of this either"


# -- crossings


def test_the_names_of_effects_and_their_scale() -> None:
    found = effects(THREE)
    assert sides(THREE)[:4] == ("max overall", "average overall", "tanh overall", "sigmoid overall")
    assert (found[-1].plus.name, found[-1].minus.name) == ("relu and r = 4 together", "relu and r = 4 added up")
    assert sides(()) == () == effects(())
    for one in found:  # by the weights of the cells: the variance of a difference of two cells is 2
        weights = [one.plus.weight] * len(one.plus.cells) + [-one.minus.weight] * len(one.minus.cells)
        assert one.scale == pytest.approx(math.sqrt(sum(weight**2 for weight in weights) / 2)) and sum(weights) == pytest.approx(0)


def whole(**changes: Levels) -> dict[str, Levels]:
    return {", ".join(levels): levels for levels in all_cells(TWO)} | changes


@pytest.mark.parametrize(
    ("crossed", "variants", "sentence"),
    [
        (TWO, whole(), None),
        (TWO, whole(none=()), None),
        ((), {"x": ()}, None),
        ((), {"x": ("a0",)}, "'x' has levels, and no factors are crossed"),
        (TWO[:1], {"a0": ("a0",)}, "it crosses 'A' with nothing"),
        ((TWO[0], TWO[0]), {}, "two of its factors are called 'A'"),
        ((TWO[0], TWO[1].model_copy(update={"levels": ("a0", "b1")})), {}, "the level 'a0' is there twice"),
        ((TWO[0], TWO[1].model_copy(update={"levels": ("b0",)})), {}, "'B' has fewer than two levels"),
        ((TWO[0], TWO[1].model_copy(update={"reference": "b9"})), {}, "'b9' is no level of its factor 'B' (b0, b1)"),
        (TWO, whole(x=("a0",)), "'x' has 1 levels, and 2 factors are crossed"),
        (TWO, whole(x=("a0", "b9")), "'b9' is no level of 'B' (b0, b1)"),
        (TWO, whole(x=("a0", "b1")), "2 variants have the levels a0, b1"),
        (TWO, {name: levels for name, levels in whole().items() if name != "a1, b1"}, "no variant has the levels a1, b1"),
        (TWO, whole(**{"a1 overall": ()}), "a variant cannot be called 'a1 overall'"),
        (tuple(one.model_copy(update={"reference": one.levels[1]}) for one in TWO), whole(), "with the reference of every factor (a1, b1)"),
    ],
)
def test_a_crossing_has_every_cell_once_and_knows_its_levels(
    crossed: tuple[Crossed, ...], variants: dict[str, Levels], sentence: str | None
) -> None:
    found = fault(crossed, variants, "a0, b0")
    assert (found is None) if sentence is None else sentence in str(found)


TINY = {"name": "resnet", "units": [1, 1, 1], "widths": [8, 16, 32], "stem": 8, "block": {"name": "se", "reduction": 4}}
FACTORS = {
    "squeeze": {"average": {"net.block.squeeze": "average"}, "max": {"net.block.squeeze": "max"}},
    "rate": {"lr": {}, "half lr": {"train.lr": 0.05}},
}


def own_suite(**changes: Any) -> Suite:
    """Squeeze by learning rate, two levels each."""
    crossed, variants = cells(Config.of({"net": TINY, "train": {"epochs": 1, "lr": 0.1}}), FACTORS, reference=("average", "lr"))
    words = {"name": "own", "title": "", "question": "?", "source": "", "factor": ("net.block", "train.lr")}
    fields: dict[str, Any] = {**words, "reference": "average, lr", "variants": variants, "crossed": crossed}
    return Suite(**(fields | changes))


def test_the_helper_makes_every_combination() -> None:
    suite = own_suite()
    assert [variant.name for variant in suite.variants] == ["average, lr", "average, half lr", "max, lr", "max, half lr"]
    both = suite.variant("max, half lr")
    assert both.config.train.lr == 0.05 and both.config.net.block is not None and both.config.net.block.arguments["squeeze"] == "max"
    assert both.levels == ("max", "half lr") and both.against is None
    assert [(factor.name, factor.reference) for factor in suite.crossed] == [("squeeze", "average"), ("rate", "lr")]


@pytest.mark.parametrize(
    ("factors", "reference", "sentence"),
    [
        ({"a": {"x": {"net.block": None}, "y": {}}, "b": {"z": {"net.block.gate": "tanh"}, "w": {}}}, ("x", "z"), "both change net.block,"),
        ({"a": {"x": {"train.lr": 1.0}, "y": {}}, "b": {"z": {"train.lr": 2.0}, "w": {}}}, ("x", "z"), "'a' and 'b' both change train.lr"),
        (FACTORS, ("average",), "2 factors are crossed, and 1 references are given"),
    ],
)
def test_factors_that_change_one_field_cannot_be_crossed(factors: Any, reference: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        cells(Config(), factors, reference)


def test_a_suite_that_does_not_hold_together_is_refused() -> None:
    variants = own_suite().variants
    with pytest.raises(InputError, match="2 variants have the levels max, lr"):
        own_suite(variants=(*variants, Variant(name="again", config=Config(), levels=("max", "lr"))))
    with pytest.raises(InputError, match="is a cell, compared by its effects"):
        own_suite(variants=(variants[0], variants[1].model_copy(update={"against": "average, lr"}), *variants[2:]))
    with pytest.raises(InputError, match="did you mean 'max overall'"):
        own_suite(claims=(Claim(text="", contrasts=(Contrast(variant="max overal", reference="average overall", expect="worse"),)),))
    with pytest.raises(InputError, match="no variant of the suite 'own' named 'max overall'"):
        own_suite(variants=(*variants, Variant(name="none", config=Config(), against="max overall")))


@pytest.mark.parametrize(
    ("variant", "reference", "goes_with"),
    [
        ("max and half lr together", "average overall", "'max and half lr together' can be compared with 'max and half lr added up'"),
        ("max overall", "half lr overall", "'max overall' can be compared with 'average overall'"),
        ("max overall", "max overall", "'max overall' can be compared with 'average overall'"),
        ("max overall", "average, lr", "'max overall' can be compared with 'average overall'"),
        ("average, lr", "lr overall", "'lr overall' can be compared with 'half lr overall'"),
        ("max overall", "average overall", None),
        ("average overall", "max overall", None),
        ("max and half lr added up", "max and half lr together", None),
        ("max, lr", "average, half lr", None),
    ],
)
def test_a_claim_compares_the_two_sides_of_one_effect_or_two_variants(variant: str, reference: str, goes_with: str | None) -> None:
    claims = (Claim(text="", contrasts=(Contrast(variant=variant, reference=reference, expect="worse"),)),)
    if goes_with is None:
        assert own_suite(claims=claims).claims == claims
        return
    with pytest.raises(InputError, match=re.escape(goes_with)) as refused:
        own_suite(claims=claims)
    assert "are not the two sides of one effect" in str(refused.value)


def test_a_level_that_is_the_reference_of_several_effects_names_them_all() -> None:
    found = contrast_fault(THREE, "sigmoid overall", "max overall")
    assert found is not None and found.endswith("'sigmoid overall' can be compared with 'tanh overall' or 'relu overall'")
    assert contrast_fault((), "a", "b") is None


def test_a_study_is_made_of_a_crossing_and_another_crossing_is_another_study() -> None:
    facts = Facts("Tiny", ("a", "b"), 8, 3, 256, 32, ("crop",))
    suite = own_suite()
    study = study_of(suite, Order(preset("smoke"), {}, [0, 1]), facts)
    assert study.crossed == suite.crossed and study.variant("max, half lr").levels == ("max", "half lr")
    assert study.variant("max, half lr").changes.keys() == {"net.block.squeeze", "train.lr"}
    again = Study.model_validate_json(study.model_dump_json())
    assert again == study and family(again)[0] == ("max overall", "average overall") and len(family(again)) == 3
    plain = study.model_copy(update={"crossed": (), "variants": tuple(v.model_copy(update={"levels": ()}) for v in study.variants)})
    assert extended(plain, lambda seeds: study, ["2"]) is None
    broken = json.loads(study.model_dump_json()) | {"crossed": []}
    with pytest.raises(ValueError, match="has levels, and no factors are crossed"):
        Study.model_validate(broken)


def test_a_study_that_was_stored_before_there_were_crossings_loads() -> None:
    stored = json.loads(make_study(["r=16", "r=8"], 2).model_dump_json())
    del stored["crossed"]
    for variant in stored["variants"]:
        del variant["levels"]
    study = Study.model_validate(stored)
    assert study.crossed == () and family(study) == (("r=8", "r=16"),)


def test_the_shipped_suite_crosses_the_papers_three_choices() -> None:
    suite = SUITES["interactions"].value(Setting(base=preset("quick").config, stages=3, preset="quick"))
    assert len(suite.variants) == 12 and suite.crossed == THREE and suite.reference == "average, sigmoid, r = 16"
    assert suite.variant(suite.reference).config.net == preset("quick").config.net
    claimed = {(one.variant, one.reference) for claim in suite.claims for one in claim.contrasts}
    assert claimed == {(one.plus.name, one.minus.name) for one in effects(THREE)}, "every effect is claimed, and nothing else"
    with pytest.raises(InputError, match="about SE itself"):
        SUITES["interactions"].value(Setting(base=preset("quick").config.but({"net.block": {"name": "eca"}}), stages=3, preset="quick"))


# -- seeds that are asked for, and what they can tell


def test_the_rules_for_seeds_know_effects(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, planted(3, 0.3))
    tanh = members(study, "tanh overall", "sigmoid overall")
    assert len(tanh) == 8 and not any("relu" in name for name in tanh)
    assert members(study, "max and tanh together", "max and tanh added up") == tanh and members(study, tanh[0]) == [tanh[0]]
    found = need(study.model_copy(update={"precision": Precision(half_width=0.2, first=3, most=50)}), arms(study, store))
    assert found is not None and set(found.by_pair) == set(family(study)) and found.wanted > 3


def test_a_plan_says_what_effects_can_be_resolved(tmp_path: Path) -> None:
    claim = Claim(
        text="They add up.", contrasts=(Contrast(variant="max and tanh together", reference="max and tanh added up", expect="equivalent"),)
    )
    store, study = make_store(tmp_path, {levels: Arm({}) for levels in all_cells(THREE)}, claims=(claim,), seeds=5)
    found = prospects(study, arms(study, store), stated=0.3)
    noise = {(one.variant, one.reference): one.noise for one in found.found}
    squeeze, joint = noise["max overall", "average overall"], noise["max and tanh together", "max and tanh added up"]
    # six cells a side: 0.3 sqrt(2 / 6); four cells, of which two are averaged: 0.3 sqrt(4 / 2)
    assert squeeze and squeeze.deviation == pytest.approx(0.3 * math.sqrt(1 / 3))
    assert joint and joint.deviation == pytest.approx(0.3 * math.sqrt(2))
    lines = prospect_lines(found)
    assert any(text.startswith("  They add up.") for text in lines) and any("8 comparisons without a claim" in text for text in lines)
    assert "vary by 0.17 to 0.42 points" in lines[1]


# -- the page


def make_store(root: Path, table: Mapping[Levels, Arm], crossed: tuple[Crossed, ...] = THREE, **changes: Any) -> tuple[Store, Study]:
    """A store with one study of these cells, errors rounded to whole images of a thousand."""
    store, count = Store(root), changes.pop("seeds", None) or max(one.n for one in table.values())
    base = make_study([", ".join(levels) for levels in table], count)
    variants = [one.model_copy(update={"levels": levels, "published": None}) for one, levels in zip(base.variants, table, strict=True)]
    variants += changes.pop("more", [])
    reference = ", ".join(factor.reference for factor in crossed)
    update = {"table": None, "reference": reference, "crossed": crossed, "variants": tuple(variants), **changes}
    store.save_study(base.model_copy(update=update))
    for place, one in enumerate(table.values()):
        for seed, value in one.values.items():
            save(store, key(place, int(seed)), round(10 * value))
        for seed in one.diverged:
            save(store, key(place, int(seed)), None)
    return store, store.study(base.name)


FORMATS = ("md", "html", "pdf", "tex", "csv")


def page(store: Store, out: Path, formats: Sequence[str] = ("md",)) -> str:
    (done,) = write(["reduction-quick"], store, out, formats)
    return next(file for file in done.files if file.suffix == ".md").read_text(encoding="utf-8")


def words(store: Store) -> str:
    """The page without its figures, which take most of the time."""
    return markdown_page(Page(read(store.study("reduction-quick"), store), store, {}), Captions())


def row(text: str, start: str) -> list[str]:
    return [cell.strip() for cell in line(text, start).strip("|").split("|")]


def test_a_page_worked_by_hand(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, of(HAND), TWO)
    text = page(store, tmp_path, FORMATS)
    # B: 7/3, standard error 1/6; of three together 7/3 -+ 7.6488 / 6; smallest delta 7/3 + 2.92 / 6; alone 1, 1, 2; apart, of two
    # together, -1 -+ 6.2053 * 0.5 / sqrt(3)
    assert row(text, "| B ") == [
        "B", "b1 − b0", "3", "+2.3 [+1.1, +3.6]", "0.005", "0.015", "2.82", "worse", "+1.3 [−0.1, +2.8]", "−1.0 [−2.8, +0.8]"
    ]  # fmt: skip
    assert row(text, "| A × B ")[:6] == ["A × B", "a1 and b1", "3", "+2.0 [−2.4, +6.4]", "0.074", "0.15"]
    assert row(text, "| Variant")[-1] == "Top-1 error (%)" and "reference |" not in text
    assert "**worse**: b1 − b0 (+2.3 [+1.1, +3.6]); **open**: a1 − a0 (+3.0 [" in text and "Interactions: **open**: a1 and b1 (" in text
    assert "(a family of 2 main effects and 1 interaction)" in text and "One factor at a time" not in text
    assert "Cells are not compared one by one: what is decided\nare the effects of their factors, below." in text
    assert "All 4 combinations of A (a0, a1), B (b0, b1) were trained." in text and "## Comparisons" not in text
    # sums of squares: A 27, B 49 / 3, A x B 3, seeds 9.5, of 61 in all
    table = text.partition("where the variance of 4 cells at 3 complete seeds lies")[2]
    assert row(table, "| A ")[1:3] == ["1", "44.3"] and row(table, "| A × B ")[1:3] == ["1", "4.9"]
    folder = tmp_path / study.name
    assert {"interactions.png", "interactions.svg", "differences.png", "effects.csv"} <= {file.name for file in folder.iterdir()}
    assert not (folder / "comparisons.csv").exists() and not (folder / "seeds.png").exists()
    lines = pd.read_csv(folder / "effects.csv")
    assert list(lines["levels"]) == ["a1", "b1", "a1, b1"] and lines["difference_mean"][1] == pytest.approx(7 / 3)
    assert list(lines["apart_mean"][:2]) == pytest.approx([-1, -1]) and math.isnan(lines["apart_mean"][2])
    half = 6.205346816570649 * 0.5 / math.sqrt(3)
    assert list(lines["apart_simultaneous_low"][:2]) == pytest.approx([-1 - half] * 2)
    assert list(lines["apart_simultaneous_high"][:2]) == pytest.approx([-1 + half] * 2)
    variance = pd.read_csv(folder / "variance.csv")
    assert list(variance["source"]) == ["A", "B", "A × B", SEEDS, REST] and list(variance["degrees_of_freedom"]) == [1, 1, 1, 2, 6]
    assert list(variance["share"][:4]) == pytest.approx([27 / 61, 49 / 183, 3 / 61, 9.5 / 61])
    assert list(variance["importance_answers"][:2]) == [3, 3] and variance["importance_mean"].sum() == pytest.approx(1)
    assert variance["importance_sd"].notna().tolist() == [True, True, False, False, False]
    assert "y(a, b) − y(a, b0)" in (folder / "report.html").read_text(encoding="utf-8")
    told = summary(study, store)
    assert told.splitlines()[0].endswith("Top-1 error (%)") and line(told, "b1 − b0").split("  ")[-1].strip() == "worse"


def test_a_page_tells_where_one_factor_at_a_time_misleads_and_claims_of_effects(tmp_path: Path) -> None:
    claim = Claim(
        text="They add up.",
        contrasts=(
            Contrast(variant="max and relu together", reference="max and relu added up", expect="equivalent"),
            Contrast(variant="relu overall", reference="sigmoid overall", expect="worse"),
        ),
    )
    store, _ = make_store(tmp_path, planted(5, 0.05, joint=1.0), claims=(claim,))
    text = words(store)
    assert (
        "**One factor at a time would say something else**" in text
        and "relu − sigmoid by −0.5" in text
        and "because they interact: max − average, relu − sigmoid." in text
    )
    joint = {cells_[1]: cells_[-1] for cells_ in (row(each, "|") for each in text.splitlines() if each.startswith("| squeeze × gate"))}
    assert joint["max and relu"] == "interact" and joint["max and tanh"] == "add up"
    assert "max and relu together against max and relu added up, expected to add up: **interact**; +1.0" in text
    assert "relu overall errs 2.5" in text and "(a family of 4 main effects and 5 interactions)" in text
    assert "over 5 seeds, one random forest on each" in text


def test_an_interaction_is_nowhere_better_or_worse(tmp_path: Path) -> None:
    def claim(variant: str, reference: str, expect: str) -> Claim:
        return Claim(text=f"Of {variant}.", contrasts=(Contrast(variant=variant, reference=reference, expect=expect),))  # type: ignore[arg-type]

    both, summed = "max and relu together", "max and relu added up"
    claims = (
        claim(both, summed, "equivalent"),
        claim(summed, both, "equivalent"),
        claim(both, summed, "worse"),
        claim(summed, both, "better"),
        claim(both, summed, "better"),
        claim("max and tanh added up", "max and tanh together", "equivalent"),
    )
    store, study = make_store(tmp_path, planted(5, 0.05, joint=1.0), claims=claims)
    text = words(store).partition("## Claims")[2].partition("## Recipe")[0]
    assert not re.search(
        "better|worse|equivalent|errs", text.replace("fails when one is reversed or, where a difference is claimed, equivalent", "")
    )
    told = [each.strip(" -") for each in text.splitlines() if each.startswith("  - ")]
    starts = [
        f"{both} against {summed}, expected to add up: **interact**; +1.0",
        f"{summed} against {both}, expected to add up: **interact**; −1.0",
        f"{both} against {summed}, expected to interact, more errors together than added up: **interact**; +1.0",
        f"{summed} against {both}, expected to interact, more errors together than added up: **interact**; −1.0",
        f"{both} against {summed}, expected to interact, fewer errors together than added up: **interact**; +1.0",
        "max and tanh added up against max and tanh together, expected to add up: **add up**; ",
    ]
    assert len(told) == 6 and all(one.startswith(start) for one, start in zip(told, starts, strict=True))
    quotes = [each for each in text.splitlines() if each.startswith("  > ")]
    assert len(quotes) == 6 and all("the interaction of max and relu is +1.0" in each for each in quotes[:5]), "whichever side comes first"
    assert all("; interact" in each for each in quotes[:5]) and "; add up within ±" in quotes[5]
    assert all("an interaction is what two levels do together less what each of them does" in each for each in quotes)
    lines = pd.read_csv(StringIO(tables(read(study, store))["effects.csv"]))
    assert set(lines.loc[lines["kind"] == "interaction", "verdict"]) == {"interact", "interact but negligible", "add up"}
    assert set(lines.loc[lines["kind"] == "main effect", "verdict"]) == {"better", "worse", "worse but negligible", "equivalent"}
    summed_up = several.opening([read(study, store)], Captions(), "## One\n", None)
    verdicts = row(summed_up, "| [")[3]
    assert {*verdicts.split(", ")} == {
        "1 worse", "1 better", "1 worse but negligible", "1 equivalent", "3 add up", "1 interact", "1 interact but negligible"
    }  # fmt: skip
    assert (
        row(summed_up, "| [")[2].startswith("relu overall − sigmoid overall: +2.")
        and "Of crossed factors the largest main effect" in summed_up
    )
    assert "Of crossed factors" not in several.opening(
        [read(make_study(["r=16", "r=8"], 2), Store(tmp_path / "plain"))], Captions(), "## One\n", None
    )


def test_the_largest_difference_of_a_suite_is_no_interaction(tmp_path: Path) -> None:
    """Each level does nothing on average, and the two together change everything."""
    crossing = {("a0", "b0"): 2.0, ("a0", "b1"): 0.0, ("a1", "b0"): 0.0, ("a1", "b1"): 2.1}
    store, study = make_store(tmp_path, of({levels: [20 + more, 21 + more, 20.5 + more] for levels, more in crossing.items()}), TWO)
    assert row(several.opening([read(study, store)], Captions(), "## One\n", None), "| [")[2].startswith("a1 overall − a0 overall: +0.05")


def test_seeds_that_diverge_are_told_of_an_interaction_as_a_whole(tmp_path: Path) -> None:
    table = planted(4, 0.05)
    gone = {levels: Arm({}, frozenset(one.values)) if {"relu", "max"} <= {*levels} else one for levels, one in table.items()}
    store, _ = make_store(tmp_path, gone, seeds=4)
    text = words(store)
    cell = {cells_[1]: cells_[-1] for cells_ in (row(each, "|") for each in text.splitlines() if each.startswith("| squeeze × gate"))}
    assert cell["max and relu"] == "open (4 of 4 seeds diverged)" and "max and relu (4 of 4 seeds diverged)" in text
    assert "max and relu (4 of 4 diverged, 4 of 4 of the reference" not in text


def test_where_the_variance_lies_is_in_the_csv_also_without_optuna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = make_store(tmp_path, of(HAND), TWO)
    monkeypatch.setattr(factorial, "installed", lambda: False)
    lines = pd.read_csv(StringIO(tables(read(study, store))["variance.csv"]))
    assert lines["share"].sum() == pytest.approx(1) and lines["importance_mean"].isna().all()
    assert "variance.csv" not in tables(read(make_study(["r=16", "r=8"], 2), store))


def test_few_seeds_holes_and_no_results_are_said(tmp_path: Path) -> None:
    two, _ = make_store(tmp_path / "two", of({levels: values[:2] for levels, values in HAND.items()}), TWO)
    text = words(two)
    assert "With fewer than 3 seeds at which all cells" in text and "**fewer than 3 seeds**: a1 − a0 (+3.75)" in text
    assert row(text, "| A ")[3:8] == ["+3.75", "–", "–", "–", "–"]
    one, _ = make_store(tmp_path / "one", of({levels: values[:1] for levels, values in HAND.items()}), TWO)
    assert "over 5 random forests on the one seed" in words(one)
    hole, _ = make_store(tmp_path / "hole", of({**HAND, ("a1", "b1"): [None] * 3}), TWO)
    text = page(hole, tmp_path / "hole")
    assert "No seed has all cells of an effect yet." in text and "## Effects" not in text and "interactions" not in text
    none, _ = make_store(tmp_path / "none", {levels: Arm({}) for levels in HAND}, TWO, seeds=1)
    assert "There are no results yet." in words(none)


def test_an_uncrossed_variant_is_compared_with_the_reference_in_the_same_family(tmp_path: Path) -> None:
    more = [make_study(["x", "x", "x", "x", "none"], 3).variants[-1].model_copy(update={"published": None})]
    store, _ = make_store(tmp_path, of(HAND), TWO, more=more)
    for seed, wrong in enumerate((250, 262, 251)):
        save(store, key(4, seed), wrong)
    text = words(store)
    assert "2 main effects, 1 interaction and 1 comparison of variants" in text and "## Comparisons" in text
    assert row(text, "| none − a0, b0")[2].startswith("+5.1") and row(text, "| a1, b1 ")[-1] == "–"


def test_the_same_store_gives_the_same_bytes_and_says_how_to_get_importances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = make_store(tmp_path, of(HAND), TWO)
    first = words(store)
    importance._forest.cache_clear()
    assert first == words(store)
    monkeypatch.setattr(factorial, "installed", lambda: False)
    text = words(store)
    assert "they need `pip install 'senet-ablations[search]'`" in text and "fANOVA importance" not in text


def test_nothing_is_cut_off_in_the_interaction_plot(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, planted(2, 0.1))
    panels = crossed_panels(read(study, store))
    assert [(panel.across, panel.by) for panel in panels] == [("gate", "squeeze"), ("reduction", "squeeze"), ("gate", "reduction")]
    with style():
        figure = interactions_figure(panels, "Top-1 error (%)")
        written = shown(figure)
        width, height = figure.get_size_inches() * figure.dpi
    assert all(box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1 for _, box in written)
    assert not [
        (one, other)
        for place, (one, box) in enumerate(written)
        for other, another in written[:place]
        if box.shrunk(0.98, 0.9).overlaps(another.shrunk(0.98, 0.9))
    ]


# -- importances


def designs(n: int = 1) -> list[list[tuple[dict[str, str], float]]]:
    """The planted table, seed by seed: the gate matters most, the squeeze not at all."""
    names = [factor.name for factor in THREE]
    return [
        [(dict(zip(names, levels, strict=True)), one.values[str(seed)]) for levels, one in planted(n, 0.05).items()] for seed in range(n)
    ]


LEVELS = {factor.name: factor.levels for factor in THREE}


def test_importances_rank_what_was_planted_and_come_with_their_spread() -> None:
    logger = logging.getLogger("optuna")
    before = logger.level
    found = importances_over_seeds(LEVELS, designs(3))
    assert [one.name for one in found] == list(LEVELS) and {one.count for one in found} == {3}
    squeeze, gate, reduction = (one.mean for one in found)
    assert gate > reduction > squeeze and gate > 0.7 and squeeze + gate + reduction == pytest.approx(1)
    assert all(one.deviation is not None and 0 <= one.deviation < 0.1 for one in found)
    forests = importances(LEVELS, designs()[0], forests=2)
    importance._forest.cache_clear()
    assert forests == importances(LEVELS, designs()[0], forests=2) and {one.count for one in forests} == {2}
    assert logger.level in (before, logging.INFO)


def test_importances_of_what_is_missing_or_does_not_vary() -> None:
    table = [({"a": 1}, 1.0), ({"a": 1}, 1.1), ({"a": 1, "b": "x"}, 3.0), ({"a": 2, "b": "y"}, 3.0)]
    a, b = importances({"a": [1, 2], "b": ["x", "y"]}, table, forests=1)
    assert b.mean > a.mean and a.deviation is None
    assert importances({"a": [1, 2]}, [({"a": 1}, 2.0), ({"a": 2}, 2.0)]) == [] == importances({"a": [1, 2]}, [])


def test_optuna_is_imported_for_searches_alone_and_late() -> None:
    root = Path(__file__).resolve().parent.parent
    for file in [root / "runner.py", *(file for floor in ("senet_core", "ablations", "report") for file in (root / floor).rglob("*.py"))]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        names += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        if any(name.split(".")[0] == "optuna" for name in names):
            assert file.parent == root / "ablations" / "search", file
    code = (
        "import sys, report.document, ablations.search.importance; raise SystemExit(bool({'torch', 'mlflow', 'optuna'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
