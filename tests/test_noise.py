"""Where the noise comes from: random streams apart, seeds and test images apart, and the test's own false alarms."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ablations.statistics.comparison import Arm
from ablations.statistics.noise import alike, deviation_interval, difference_components, error_components, false_alarm_check, noise_sources
from ablations.study import Cost, Study, StudyData, StudyVariant
from senet_core.config import Config, canonical
from senet_core.seeds import STREAMS, normal_seed

Table = NDArray[np.float64]


def moving(stream: str | None, number: int) -> str:
    """A seed as studies name it, in which one stream moves or all do."""
    return canonical(normal_seed(number if stream is None else dict.fromkeys(STREAMS, 0) | {stream: number}))


def make_study(names: str = "ab", seeds: int = 3, vary: str | None = None, held_out: bool = False, **changes: object) -> Study:
    """A study with a variant for each letter, the first its reference; trials of the same variant and seed have the same key."""
    texts = tuple(moving(vary, number) for number in range(seeds))
    data = StudyData(
        label="D",
        fingerprint=None,
        classes=("a", "b"),
        size=8,
        channels=3,
        train=9,
        evaluated=9,
        evaluated_on="holdout" if held_out else "test",
    )
    variants = tuple(
        StudyVariant(name=name, config=Config(), changes={}, cost=Cost(parameters=1, macs=1), keys={seed: name + seed for seed in texts})
        for name in names
    )
    fields: dict[str, object] = dict.fromkeys(("suite", "title", "question", "source", "preset"), "")
    fields |= {"name": f"study-{vary}", "table": None, "factor": (), "reference": names[0], "claims": (), "notes": (), "overrides": {}}
    fields |= {"delta": 0.5, "converged": True, "data": data, "seeds": texts, "variants": variants, "vary": vary}
    return Study.model_validate(fields | changes)


def arms_of(study: Study, values: Mapping[str, list[float]]) -> dict[str, Arm]:
    """Arms that have these values at the study's first seeds."""
    return {name: Arm(dict(zip(study.seeds, found, strict=False))) for name, found in values.items()}


# -- by random stream


def test_the_noise_of_a_source_worked_by_hand() -> None:
    study = make_study("ab", 3)
    (found,) = noise_sources(study, (), lambda each: arms_of(each, {"a": [1.0, 2.0, 3.0], "b": [10.0, 14.0]}))
    # squares 2 with two degrees of freedom, 8 with one: variance 10 / 3 with three
    assert (found.source, found.freedom, found.variants, found.seeds) == ("all", 3, 2, 3)
    assert found.deviation == pytest.approx((10 / 3) ** 0.5)
    assert found.low == pytest.approx((10 / stats.chi2.ppf(0.975, 3)) ** 0.5)
    assert found.high == pytest.approx((10 / stats.chi2.ppf(0.025, 3)) ** 0.5)


def test_every_stream_has_its_own_line_over_the_variants_that_all_have() -> None:
    values = {
        None: {"a": [1.0, 3.0], "b": [1.0, 5.0], "c": [0.0, 9.0]},
        "order": {"a": [1.0, 1.2], "b": [1.0, 1.4], "c": [7.0]},
        "init": {"a": [1.0, 2.0], "b": [1.0, 3.0], "c": [2.0, 2.0]},
        "augment": {"a": [1.0], "b": [], "c": []},
    }
    base, *others = (make_study("abc", 2, vary) for vary in values)
    found = noise_sources(base, others, lambda each: arms_of(each, values[each.vary]))
    assert [one.source for one in found] == ["all", "init", "order"], "the one without a second seed is not there yet"
    assert {one.variants for one in found} == {2}, "c has one seed in one of them"
    assert [one.deviation for one in found] == pytest.approx([5**0.5, 1.25**0.5, 0.05**0.5])
    assert noise_sources(others[0], [base, *others], lambda each: arms_of(each, values[each.vary])) == found


def test_studies_of_another_kind_are_left_alone() -> None:
    base, sibling = make_study(), make_study(vary="init")
    other_keys = make_study(vary="init").model_copy(
        update={"variants": tuple(v.model_copy(update={"keys": {s: f"new{k}" for s, k in v.keys.items()}}) for v in sibling.variants)}
    )
    changed: list[dict[str, object]] = [{"suite": "other"}, {"preset": "full"}, {"overrides": {"train.epochs": 3}}]
    unlike = [sibling.model_copy(update=change) for change in changed] + [make_study("abc", vary="init"), other_keys]
    assert alike(base, unlike) == (base,)
    assert alike(base, [*unlike, sibling, make_study(vary="init", name="later"), make_study(seeds=9)]) == (base, sibling)


def test_a_twin_counts_once_and_nothing_known_is_nothing_told() -> None:
    study = make_study("abc")
    twin = study.variant("c").model_copy(update={"same_as": "a"})
    study = study.model_copy(update={"variants": (*study.variants[:2], twin)})
    values = {"a": [1.0, 2.0], "b": [1.0, 2.0], "c": [1.0, 2.0]}
    assert noise_sources(study, (), lambda each: arms_of(each, values))[0].variants == 2
    assert noise_sources(study, (), lambda each: arms_of(each, {name: values[name][:1] for name in "abc"})) == ()


def test_a_deviation_without_noise_has_an_interval_of_width_zero() -> None:
    assert deviation_interval(0.0, 4) == (0.0, 0.0)


# -- by seed and test image


def drawn(seeds: int, images: int, hard: float, shift: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which images (seeds, images) are right, where some are ``hard`` to all seeds and each seed has a ``shift`` of its own."""
    level = generator.normal(1, hard, images) + generator.normal(0, shift, (seeds, 1))
    return level + generator.normal(0, 0.5, (seeds, images)) > 0


def test_components_add_up_to_what_is_seen_from_seed_to_seed() -> None:
    generator, study = np.random.default_rng(0), make_study("ab", 5)
    right = {v.keys[s]: row for v in study.variants for s, row in zip(study.seeds, drawn(5, 4000, 1.0, 0.3, generator), strict=True)}
    arms = {v.name: Arm({seed: 100 * (1 - right[key].mean()) for seed, key in v.keys.items()}) for v in study.variants}
    for one in error_components(study, arms, right.__getitem__):
        errors = list(arms[one.variant].values.values())
        assert one.mean == pytest.approx(np.mean(errors))
        assert one.over_seeds == pytest.approx(np.std(errors, ddof=1))
        table = np.array([100.0 * ~right[key] for key in study.variant(one.variant).keys.values()])
        assert one.components.floor == pytest.approx(table.mean(0).std(ddof=1) / 4000**0.5, rel=0.1)
    (difference,) = difference_components(study, arms, right.__getitem__)
    pairs = [arms["b"].values[seed] - arms["a"].values[seed] for seed in study.seeds]
    assert (difference.variant, difference.reference) == ("b", "a")
    assert difference.mean == pytest.approx(np.mean(pairs)) and difference.over_seeds == pytest.approx(np.std(pairs, ddof=1))


def test_images_that_both_arms_find_hard_cancel_in_their_difference() -> None:
    """The floor of a difference is that of how the arms differ, and far below that of either error."""
    generator, study = np.random.default_rng(1), make_study("ab", 4)
    rows = drawn(8, 4000, 2.0, 0.0, generator)  # one and the same images for both
    right = {f"{name}{seed}": rows[4 * place + number] for place, name in enumerate("ab") for number, seed in enumerate(study.seeds)}
    arms = {name: Arm(dict.fromkeys(study.seeds, 0.0)) for name in "ab"}
    own = error_components(study, arms, right.__getitem__)
    (difference,) = difference_components(study, arms, right.__getitem__)
    assert min(one.components.floor for one in own) > 5 * difference.components.floor
    assert difference.components.rest > 0


def test_only_finished_seeds_are_asked_for_and_two_are_needed() -> None:
    study, asked = make_study("abc", 3), []

    def right(key: str) -> NDArray[np.bool_]:
        asked.append(key)
        return np.random.default_rng(len(asked)).random(50) > 0.5

    arms = arms_of(study, {"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0], "c": [1.0]})
    assert [one.variant for one in error_components(study, arms, right)] == ["a", "b"]
    assert sorted(asked) == ["a0", "a1", "b0", "b1", "b2"]
    (difference,) = difference_components(study, arms, right)
    assert (difference.variant, difference.components.seeds) == ("b", 2)


@pytest.mark.parametrize(("vary", "there"), [(None, False), ("split", False), ("init", True)])
def test_held_out_images_that_move_with_the_seed_have_no_components(vary: str | None, there: bool) -> None:
    study = make_study("ab", 3, vary, held_out=True)
    arms = arms_of(study, {"a": [1.0, 2.0, 3.0], "b": [2.0, 1.0, 3.0]})

    def right(key: str) -> NDArray[np.bool_]:
        return np.random.default_rng(list(key.encode())).random(40) > 0.5

    assert bool(error_components(study, arms, right)) is there
    assert bool(difference_components(study, arms, right)) is there


def test_ten_thousand_images_take_well_under_a_second() -> None:
    generator, study = np.random.default_rng(2), make_study("abcdef", 5)
    right = {key: generator.random(10_000) > 0.2 for _, _, key in study.trials()}
    arms = {v.name: Arm(dict.fromkeys(v.keys, 1.0)) for v in study.variants}
    begun = time.process_time()
    assert len(error_components(study, arms, right.__getitem__)) + len(difference_components(study, arms, right.__getitem__)) == 11
    assert time.process_time() - begun < 1


# -- the test itself


def test_the_reference_against_itself_gives_the_same_alarms_every_time() -> None:
    study = make_study("ab", 10)
    arms = {name: Arm(dict(zip(study.seeds, np.random.default_rng(3).normal(20, 1, 10), strict=True))) for name in "ab"}
    found = false_alarm_check(study, arms)
    assert found is not None and found == false_alarm_check(study, arms)
    assert found.splits == 126 and found.alarms / found.splits < 0.15
    assert false_alarm_check(study, {name: arm.only(study.seeds[:5]) for name, arm in arms.items()}) is None
