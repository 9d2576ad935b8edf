"""The paper's tables as package data: complete, in order, with the printed digits."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ablations.presets import PRESETS
from ablations.published import PublishedTable, published
from ablations.suite import SUITES, Setting
from senet_core.errors import InputError


def table(name: str) -> PublishedTable:
    """The table, which must be there."""
    found = published(name)
    assert found is not None
    return found


def test_the_rows_stand_in_the_papers_order() -> None:
    orders = {
        "T10": ["r=2", "r=4", "r=8", "r=16", "r=32", "original"],
        "T11": ["Max", "Avg"],
        "T12": ["ReLU", "Tanh", "Sigmoid"],
        "T13": ["ResNet-50", "SE Stage 2", "SE Stage 3", "SE Stage 4", "SE All"],
        "T14": ["SE", "SE-PRE", "SE-POST", "SE-Identity"],
        "T15": ["SE", "SE 3x3"],
        "T16": ["ResNet-50", "NoSqueeze", "SE"],
    }
    assert {name: table(name).names() for name in orders} == orders


def test_numbers_keep_their_printed_digits() -> None:
    reduction = table("T10")
    assert reduction.row("original").values == {"top1_err": "23.30", "top5_err": "6.55", "params_m": "25.6"}
    assert str(reduction.row("original").error) == "23.30"
    assert (reduction.data, reduction.network) == ("ImageNet-1k val", "SE-ResNet-50")


def test_differences_are_exact() -> None:
    assert table("T10").difference("original", "r=16") == Decimal("1.02")
    assert table("T14").difference("SE-Identity", "SE") == Decimal("-0.08")


def test_the_cifar_tables_name_a_network_in_each_row() -> None:
    cifar = table("T4")
    assert (cifar.data, cifar.network, len(cifar.rows)) == ("CIFAR-10", "several networks", 8)
    assert cifar.row("SE-ResNet-164").error == Decimal("4.39")
    assert cifar.row("SE-ResNet-164").network == "SE-ResNet-164 (pre-activation)"
    assert table("T5").row("SE-WRN-16-8").error == Decimal("19.14")


def test_one_standard_network_has_one_error_in_all_ablation_tables() -> None:
    rows = [("T10", "r=16"), ("T11", "Avg"), ("T12", "Sigmoid"), ("T13", "SE All"), ("T14", "SE"), ("T15", "SE"), ("T16", "SE")]
    assert {table(name).row(row).values["top1_err"] for name, row in rows} == {"22.28"}


def test_unknown_tables_and_rows_are_named_with_the_nearest() -> None:
    assert published(None) is None
    with pytest.raises(InputError, match=r"published table named 'T17'.*Known: T10"):
        published("T17")
    with pytest.raises(InputError, match=r"T14 named 'SE-PRR'; did you mean 'SE-PRE'\?"):
        table("T14").row("SE-PRR")


@pytest.mark.parametrize("name", SUITES.names())
def test_every_suite_names_rows_that_its_table_has(name: str) -> None:
    config = PRESETS["smoke"].config
    suite = SUITES[name].value(Setting(base=config, stages=3, preset="smoke"))
    if suite.table is not None:
        rows = [variant.published for variant in suite.variants if variant.published is not None]
        assert rows and set(rows) <= set(table(suite.table).names())
