"""The control suites: equal parameters are equal, rows stand beside their own reference, and what shows before training is said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import runner
from ablations.planning import DataSource, Order, base_config, plan_study
from ablations.presets import PRESETS, preset
from ablations.start_warnings import start_warnings
from ablations.study import Start, Study
from ablations.suite import SUITES, Setting, Suite
from ablations.suites.capacity import same_parameters
from senet_core.build import skeleton
from senet_core.config import Config
from senet_core.cost import cost
from senet_core.dataset import Facts
from senet_core.errors import InputError
from senet_core.resolve import resolve

FACTS = Facts("CIFAR-10", tuple("0123456789"), 32, 3, 50000, 10000, ("crop", "flip"))


def setting(budget: str = "quick", **changes: Any) -> Setting:
    base = resolve(PRESETS[budget].config.but({path.replace("__", "."): value for path, value in changes.items()}), FACTS)
    return Setting(base=base, stages=3, preset=budget)


def suite(name: str, budget: str = "quick", **changes: Any) -> Suite:
    return SUITES[name].value(setting(budget, **changes))


def parameters(config: Config) -> int:
    return cost(resolve(config, FACTS), FACTS).parameters


@pytest.mark.parametrize(
    ("budget", "changes"),
    [
        ("smoke", {}),
        ("quick", {}),
        ("full", {}),
        ("quick", {"net__block__reduction": 4}),
        ("quick", {"net__block__bias": True}),
        ("quick", {"net__unit": "basic", "net__block__reduction": 2}),
    ],
)
def test_the_widened_network_has_the_parameters_of_the_one_with_se(budget: str, changes: dict[str, Any]) -> None:
    made = suite("capacity", budget, **changes)
    se, wide, plain = (parameters(made.variant(name).config) for name in ("SE", "none, same parameters", "none"))
    assert abs(wide - se) / se < 0.02 and abs(wide - se) < abs(plain - se)
    widths = made.variant("none, same parameters").config.net.arguments["widths"]
    for step in (-1, 1):  # the next narrower and the next wider network are no nearer
        last = widths[-1] + step
        own = setting(budget, **changes).base.net.arguments["widths"]
        other = made.variant("none").config.but({"net.widths": [round(width * last / own[-1]) for width in own]})
        assert abs(parameters(other) - se) >= abs(wide - se)


def test_capacity_has_a_row_of_equal_time_for_the_networks_of_the_small_presets_alone() -> None:
    assert "none, same time" in [v.name for v in suite("capacity").variants]
    others = ({"net__stem_stride": 1}, {"net__block__reduction": 4}, {"net__placement": "post"})
    for other in (suite("capacity", "full"), *(suite("capacity", **changes) for changes in others)):
        assert "none, same time" not in [v.name for v in other.variants]


@pytest.mark.parametrize("budget", PRESETS)
def test_stages_at_equal_parameters_are_equal(budget: str) -> None:
    made = suite("stages_matched", budget)
    plain = parameters(made.variant("none").config)
    added = [parameters(v.config) - plain for v in made.variants if v.name != "none"]
    assert len(added) == 4 and len(set(added[:3])) == 1 and abs(added[3] - added[0]) / added[0] < 0.02


def test_a_matched_row_stands_beside_the_matched_reference_and_a_constant_beside_none() -> None:
    against = {v.name: v.against or "standard" for v in suite("placement_matched").variants}
    assert against["post, matched"] == "standard, matched" and against["standard, matched"] == "standard"
    assert against["post, constant"] == "none" and against["post"] == against["none"] == "standard"
    families = suite("architectures", "smoke").variants
    assert {v.against for v in families if v.name.startswith("SE-")} == {v.name for v in families if not v.name.startswith("SE-")}


def test_attention_takes_another_block_as_its_reference() -> None:
    assert suite("attention").reference == "SE"
    made = suite("attention", net__block={"name": "no_squeeze", "reduction": 8})
    assert made.reference == "no_squeeze" and {"SE", "ECA", "none"} <= {v.name for v in made.variants}
    assert made.variant("no_squeeze").config.net.block.arguments["reduction"] == 8  # type: ignore[union-attr]
    assert made.variant("SE").config.net.block.arguments == {}  # type: ignore[union-attr]
    channels = suite("attention", net__block={"name": "cbam", "spatial": False, "reduction": 8})
    assert channels.reference == "CBAM, channels only" and channels.variant("CBAM").config.net.block.arguments == {}  # type: ignore[union-attr]
    assert suite("attention", net__block={"name": "gather_excite", "form": "theta"}).reference == "GE-theta"
    assert suite("attention", net__block__reduction=8).variant("SE").config.net.block.arguments["reduction"] == 8  # type: ignore[union-attr]


def test_rows_are_named_after_the_block_and_the_papers_numbers_stand_beside_se_alone() -> None:
    for name, row in {"architectures": "eca-ResNet-110", "depth": "18+18+18 units with eca", "inside": "eca 3x3"}.items():
        made = suite(name, "full", net__block="eca")
        assert row in [v.name for v in made.variants] and made.table is None
        assert not [v for v in made.variants if v.published]


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("capacity", {"net__block": {"name": "eca"}}, "about SE itself, so it cannot be made for the block 'eca'"),
        ("capacity", {"net__shortcut": "padding"}, "projection shortcuts"),
        ("capacity", {"net__stages": (1,)}, "SE has to be in all of them"),
        ("capacity", {"net__placement": "inside"}, "cannot be made for the network 'resnet' with placement 'inside'"),
        ("capacity", {"net": {"name": "resnet-20", "block": "se"}}, "SE adds 2,016 parameters here, and no network widened"),
        ("stages_matched", {"net": {"name": "resnet-50", "block": "se"}}, "No whole ratios make SE add as much in every stage"),
        ("stages_matched", {"net": {"name": "mobilenet-32", "block": "se"}}, "cannot be made for the network 'mobilenet'"),
        ("stages_matched", {"net__placement": "pre"}, "with placement 'pre'"),
        ("architectures", {"net__stages": (3,)}, "net.stages is not 'all'"),
        ("architectures", {"net__block": None}, "needs a network with a block"),
        ("depth", {"net__block": None}, "needs a network with a block"),
        ("inside", {"net__block": None}, "needs a network with a block"),
        ("placement", {"net__block": None}, "needs a network with a block"),
        ("stages_matched", {"net__block": None}, "needs a network with a block"),
        ("depth", {"net": {"name": "inception", "block": "se"}}, "units and widths for each stage, and 'inception' has none"),
    ],
)
def test_a_suite_that_a_setting_does_not_suit_is_refused(name: str, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        suite(name, **changes)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--net.name", "vgg-16"], "The network 'vgg' has no placement 'inside': "),
        (["--net.name", "shake-shake-26-2x32d"], "no placement 'inside': a unit has two branches"),
        (["--net.block", '{"name":"gather_excite","form":"theta","extent":8}'], "The block 'gather_excite' cannot be built for"),
        (["--net.stages", "4"], "stage 4, but this network has stages 1 to 3"),
        (["--net.block.reduction", "0"], "the reduction ratio must be at least 1, not 0"),
        (["--net.name", "resnext", "--net.cardinality", "7", "--net.width_per_group", "0"], "The network 'resnext' cannot be built"),
        (["--net.name", "shufflenet-32", "--net.groups", "7"], "The network 'shufflenet' cannot be built"),
        (["--net.name", "resnet-57"], "no network named 'resnet-57'; did you mean 'resnet-56'?"),
    ],
)
def test_a_block_or_network_that_does_not_fit_is_refused_at_plan_by_name(
    words: list[str], sentence: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner.main(["plan", "inside", "--preset", "smoke", "--workspace", str(tmp_path), *words]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_a_block_of_ones_own_that_fails_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = "from torch import nn\nfrom senet_core.registry import BLOCKS\n"
    bodies = {
        "built_wrong": "self.fc = nn.Linear(channels, 'x')",
        "runs_wrong": "self.fc = nn.Linear(channels + 1, 1)",
    }
    for name, body in bodies.items():
        file = tmp_path / f"{name}.py"
        block = f"class Mine(nn.Module):\n    def __init__(self, channels, size):\n        super().__init__()\n        {body}\n"
        forward = "    def forward(self, x):\n        return x * self.fc(x.mean((2, 3)))[:, :, None, None]\n"
        file.write_text(f"{head}@BLOCKS.add('{name}')\n{block}{forward}")
        words = ["plan", "inside", "--preset", "smoke", "--workspace", str(tmp_path / "w"), "--load", str(file), "--net.block", name]
        assert runner.main(words) == 2
        told = capsys.readouterr().err
        assert re.search(rf"The block '{name}' breaks the contract of a block: shape and type: it fails with \w+Error", told)


def test_an_override_of_the_block_that_the_reference_keeps_is_no_lost_one(tmp_path: Path) -> None:
    source = DataSource(None, tmp_path)
    block = {"name": "gather_excite", "form": "theta"}
    study = plan_study("attention", Order(preset("smoke"), {"net.block": block}, [0]), source)
    assert study.reference == "GE-theta"
    with pytest.raises(InputError, match=r"changes net\.block\.reduction itself"):
        plan_study("reduction", Order(preset("smoke"), {"net.block.reduction": 8}, [0]), source)


def test_another_network_keeps_the_block_and_drops_the_arguments_that_were_the_presets_own() -> None:
    order = Order(preset("smoke"), {"net.name": "resnet-20", "net.block.reduction": 4}, [0])
    net = base_config(order).net
    assert net.name == "resnet" and net.arguments["units"] == (3, 3, 3) and "stem_stride" not in net.arguments
    assert net.block is not None and net.block.arguments["reduction"] == 4
    written_out = Config.of({"net": {"name": "resnet", "unit": "basic", "units": [3, 3, 3], "widths": [16, 32, 64], "stem": 16}})
    assert resolve(Config.of({"net": {"name": "resnet-20"}}), FACTS) == resolve(written_out, FACTS)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Study:
    source = DataSource(None, tmp_path_factory.mktemp("cache"))
    return plan_study("excitation", Order(preset("smoke"), {}, [0]), source)


def test_a_plan_looks_at_every_network_before_it_trains(planned: Study) -> None:
    starts = {variant.name: variant.start for variant in planned.variants}
    assert all(start and start.stem_gradient > 0 for start in starts.values())
    assert starts["none"].dead_gates is None and starts["relu"].dead_gates > 0.01  # type: ignore[union-attr, operator]
    assert any(sentence.startswith("relu: ") and "same value for every image" in sentence for sentence in start_warnings(planned))
    assert not [sentence for sentence in start_warnings(planned) if sentence.startswith("sigmoid: ")]


@pytest.mark.parametrize(("gradient", "warned"), [(1.0, False), (9.0, False), (11.0, True), (0.12, False), (0.09, True)])
def test_a_stem_gradient_far_from_the_references_is_worth_a_sentence(planned: Study, gradient: float, warned: bool) -> None:
    starts = {"sigmoid": 1.0, "tanh": gradient}
    variants = tuple(
        variant.model_copy(update={"start": Start(stem_gradient=starts.get(variant.name, 1.0), dead_gates=None)})
        for variant in planned.variants
    )
    found = start_warnings(planned.model_copy(update={"variants": variants}))
    assert [sentence.partition(":")[0] for sentence in found] == (["tanh"] if warned else [])


def test_same_parameters_is_the_arithmetic_of_the_network_as_built() -> None:
    from ablations.suites.capacity import _parameters

    arguments = setting("quick").base.net.arguments
    for widths in (same_parameters(setting("quick")), (64, 128, 256)):
        network = skeleton(resolve(setting("quick").base.but({"net.block": None, "net.widths": widths}), FACTS), FACTS)
        counted = sum(p.numel() for name, p in network.named_parameters() if not name.startswith("stem"))
        assert _parameters(arguments, (2, 2, 2), widths) == counted - 10  # the classifier's bias
