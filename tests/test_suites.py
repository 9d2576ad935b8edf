"""Every suite at every preset: one factor, distinct networks, a paper's table behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from ablations.extension import settled
from ablations.planning import DataSource, Order, base_config, plan_study
from ablations.presets import PRESETS, preset
from ablations.published import published
from ablations.store import Store
from ablations.study import Study
from ablations.suite import SUITES, Contrast, Setting, Suite, Variant
from senet_core.config import Config, canonical, differences
from senet_core.dataset import Facts
from senet_core.errors import InputError
from senet_core.function import first_equal
from senet_core.resolve import resolve
from senet_core.seeds import Seed

FACTS = Facts("CIFAR-10", tuple("0123456789"), 32, 3, 50000, 10000, ("crop", "flip"))


def suite(name: str, budget: str = "quick") -> Suite:
    return SUITES[name].value(Setting(base=PRESETS[budget].config, stages=3, preset=budget))


def test_a_claim_promises_no_size_that_its_contrasts_do_not_ask_for() -> None:
    """ "Worse" holds on any difference that is declared, also on a negligible one."""
    texts = [claim.text for name in SUITES.names() for claim in suite(name).claims]
    assert texts and not [text for text in texts if re.search("dramatic|drastic|strongly|clearly|much (?:better|worse)", text)]


@pytest.mark.parametrize("name", SUITES.names())
def test_a_variant_differs_from_the_reference_in_the_factor_only(name: str) -> None:
    made = suite(name)
    reference = resolve(made.variant(made.reference).config, FACTS)
    changed = {path for v in made.variants for path in differences(reference, resolve(v.config, FACTS))}
    assert changed and all(any(path == factor or path.startswith(f"{factor}.") for factor in made.factor) for path in changed)


@pytest.mark.parametrize("name", SUITES.names())
def test_no_two_variants_build_the_same_network(name: str) -> None:
    configs = [resolve(v.config, FACTS) for v in suite(name).variants]
    assert first_equal(configs, FACTS) == list(range(len(configs)))


@pytest.mark.parametrize("name", SUITES.names())
def test_what_a_suite_says_of_the_paper_is_in_the_table(name: str) -> None:
    made = suite(name)
    table = published(made.table)
    assert made.question.endswith("?") and ("arXiv" in made.source) and made.claims
    rows = [v.published for v in made.variants if v.published]
    if table is None:
        assert not rows
    else:
        assert table.table.removeprefix("T") in made.source
        assert rows and set(rows) <= set(table.names()) and len(set(rows)) == len(rows)


@pytest.mark.parametrize("budget", PRESETS)
def test_the_five_suites_of_the_card_are_fifteen_networks(budget: str) -> None:
    configs = chain.from_iterable(suite(name, budget).variants for name in ("reduction", "squeeze", "excitation", "placement", "stages"))
    resolved = list({canonical(c.tree()): c for c in (resolve(v.config, FACTS) for v in configs)}.values())
    assert len(resolved) == 15
    if budget != "full":  # 164 layers in double precision take a minute; its configs are those of the others
        assert first_equal(resolved, FACTS) == list(range(15))


@pytest.mark.parametrize("budget", PRESETS)
def test_reduction_at_a_preset_is_five_networks_without_a_hidden_width_below_two(budget: str) -> None:
    from senet_core.cost import cost

    costs = [cost(resolve(v.config, FACTS), FACTS) for v in suite("reduction", budget).variants if v.name != "none"]
    assert len({c.parameters for c in costs}) == 5
    assert min(min(c.hidden_widths) for c in costs) >= 2


def test_a_suite_with_a_wrong_reference_or_a_doubled_name_is_refused() -> None:
    plain = {"name": "x", "title": "", "question": "?", "source": "", "factor": ("net.block",)}
    one = Variant(name="a", config=Config())
    with pytest.raises(InputError, match="no variant of the suite 'x' named 'b'"):
        Suite(**plain, reference="b", variants=(one,))
    with pytest.raises(InputError, match="two variants of one name"):
        Suite(**plain, reference="a", variants=(one, one))
    assert Contrast(variant="a", reference="b", expect="worse")


def test_another_data_set_drops_the_arguments_of_the_presets_own() -> None:
    config = base_config(Order(preset("smoke"), {"data.name": "cifar10", "train.epochs": 3}, [0]))
    assert config.data.arguments == {} and config.train.epochs == 3


@pytest.mark.parametrize(
    ("suite_name", "overrides", "sentence"),
    [
        ("reduction", {"net.block": {"name": "se", "reduction": 8}}, "changes net.block.reduction itself"),
        ("reduction", {"net.block.reduction": 8}, "changes net.block.reduction itself"),
        ("squeeze", {"train.milestones": [0.3]}, "--train.milestones changes nothing here"),
    ],
)
def test_an_override_that_would_be_lost_is_refused(tmp_path: Path, suite_name: str, overrides: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        plan_study(suite_name, Order(preset("smoke"), overrides, [0]), DataSource(None, tmp_path))


def test_an_override_reaches_every_variant_of_a_suite_that_does_not_vary_it(tmp_path: Path) -> None:
    study = plan_study("squeeze", Order(preset("smoke"), {"net.block.reduction": 8, "train.lr": 0.2}, [0]), DataSource(None, tmp_path))
    assert all(v.config.net.block.arguments["reduction"] == 8 for v in study.variants if v.config.net.block)


def test_a_study_is_extended_by_seeds_and_set_apart_when_what_it_asks_has_changed(tmp_path: Path) -> None:
    store, source = Store(tmp_path), DataSource(None, None)

    def ask(seeds: list[int], overridden: dict[str, Any] | None = None) -> Study:
        def plan(wanted: Sequence[Seed]) -> Study:
            order = Order(preset("smoke"), overridden or {}, wanted)
            return plan_study("squeeze", order, source).model_copy(update={"name": "same"})

        study = settled(store, plan, seeds)
        store.save_study(study)
        return study

    first = ask([0, 1])
    assert ask([1, 2]).looks == (("0", "1"), ("2",)) and ask([0]).seeds == ("0", "1", "2")
    assert store.study("same").variants[0].keys.items() >= first.variants[0].keys.items()
    other = ask([0], {"train.lr": 0.3})
    assert other.name.startswith("same-") and other.seeds == ("0",) and store.study("same").seeds == ("0", "1", "2")
    assert ask([1], {"train.lr": 0.3}).name == other.name and store.study(other.name).seeds == ("0", "1")


def test_an_unknown_suite_or_preset_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'placement'"):
        SUITES["placment"]
    with pytest.raises(InputError, match="did you mean 'smoke'"):
        preset("smok")
