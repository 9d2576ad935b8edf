"""The networks: exact sizes, every placement, masks, initialisation, and what counts as the same network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import relu

from senet_core.build import build
from senet_core.config import Config
from senet_core.cost import cost
from senet_core.dataset import Facts
from senet_core.errors import InputError
from senet_core.function import first_equal
from senet_core.networks.resnet import Unit
from senet_core.resolve import resolve

FACTS = Facts("CIFAR-10", tuple("0123456789"), 32, 3, 50000, 10000, ("crop", "flip"))
SMALL = {"units": [1, 1], "widths": [8, 16], "stem": 8}


def resolved(**net: Any) -> Config:
    return resolve(Config.of({"net": net}), FACTS)


def basic(n: int, **more: Any) -> Config:
    return resolved(**{"unit": "basic", "units": [n, n, n], "widths": [16, 32, 64], "stem": 16} | more)


@pytest.mark.parametrize(
    ("n", "padding", "projection", "macs"),
    [(3, 269_722, 272_474, 40.55), (5, 464_154, 466_906, 68.86), (9, 853_018, 855_770, 125.49), (18, 1_727_962, 1_730_714, 252.89)],
)
def test_basic_resnets_have_the_published_parameters_and_multiply_adds(n: int, padding: int, projection: int, macs: float) -> None:
    assert cost(basic(n, shortcut="padding"), FACTS).parameters == padding
    assert cost(basic(n), FACTS).parameters == projection
    assert cost(basic(n, shortcut="padding"), FACTS).macs / 1e6 == pytest.approx(macs, abs=0.005)


@pytest.mark.parametrize(
    ("n", "arguments", "added"),
    [(3, {}, 2_016), (3, {"bias": True}, 2_373), (3, {"reduction": 8}, 4_032), (9, {"reduction": 4}, 24_192), (18, {"bias": True}, 14_238)],
)
def test_se_adds_the_parameters_of_equation_5(n: int, arguments: dict[str, Any], added: int) -> None:
    with_se = cost(basic(n, block={"name": "se", **arguments}), FACTS).parameters
    assert with_se - cost(basic(n), FACTS).parameters == added


def test_resnet_164_is_that_of_the_literature() -> None:
    deep = {"units": [18, 18, 18], "stem": 16}
    plain, se = cost(resolved(**deep), FACTS), cost(resolved(**deep, block="se"), FACTS)
    assert (plain.parameters, se.parameters - plain.parameters) == (1_704_154, 193_536)
    assert plain.macs / 1e6 == pytest.approx(247.65, abs=0.005)
    assert se.hidden_widths == (4, 8, 16)


class Marked(nn.Module):
    """Stands for SE: multiplies by 3."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 3 * x


@pytest.mark.parametrize("placement", ["standard", "pre", "post", "identity"])
@pytest.mark.parametrize("stage", [1, 2])
def test_a_unit_computes_what_its_placement_says(placement: str, stage: int) -> None:
    network = build(resolved(**SMALL), FACTS, 0).eval()
    unit = network.get_submodule(f"stages.stage{stage}.unit1")
    assert isinstance(unit, Unit)
    setattr(unit, placement, Marked())
    x = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    f, s = unit.branch, unit.shortcut or nn.Identity()
    expected = {
        "standard": lambda: relu(s(x) + 3 * f(x)),
        "pre": lambda: relu(s(x) + f(3 * x)),
        "post": lambda: 3 * relu(s(x) + f(x)),
        "identity": lambda: relu(3 * s(x) + f(x)),
    }[placement]()
    assert torch.allclose(unit(x), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("placement", "sizes"),
    [("pre", [(8, 32), (8, 32)]), ("standard", [(8, 32), (16, 16)]), ("identity", [(8, 32), (16, 16)]), ("post", [(8, 32), (16, 16)])],
)
def test_blocks_are_built_from_the_channels_and_size_that_pass_their_place(placement: str, sizes: list[tuple[int, int]]) -> None:
    network = build(resolved(**SMALL, block={"name": "se", "reduction": 2}, placement=placement), FACTS, 0)
    seen: list[tuple[int, int]] = []
    for module in network.modules():
        if hasattr(module, "hidden_width"):
            module.register_forward_hook(
                lambda m, args, y: seen.append((y.shape[1], y.shape[2])) if y.shape[1] == m.down.in_features else None
            )
    network(torch.zeros(2, 3, 32, 32))
    assert seen == sizes


@pytest.mark.parametrize("stages", [[1], [2], [3], [1, 3]])
def test_a_mask_puts_blocks_into_its_stages_only(stages: list[int]) -> None:
    network = build(resolved(block="se", stages=stages), FACTS, 0)
    found = {path.split(".")[1] for path, module in network.named_modules() if hasattr(module, "hidden_width")}
    assert found == {f"stage{k}" for k in stages}


def test_parameters_of_the_same_path_and_shape_start_alike_in_all_variants() -> None:
    plain = dict(build(resolved(), FACTS, 5).named_parameters())
    for net in ({"block": "se"}, {"block": "se", "placement": "post", "stages": [2]}, {"block": {"name": "se", "reduction": 2}}):
        other = dict(build(resolved(**net), FACTS, 5).named_parameters())
        assert all(torch.equal(value, other[name]) for name, value in plain.items())
    assert not torch.equal(plain["stem.0.weight"], dict(build(resolved(), FACTS, 6).named_parameters())["stem.0.weight"])


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    build(resolved(block="se"), FACTS, 1)
    assert torch.equal(torch.rand(1), expected)


def test_one_network_trained_differently_is_not_one_trial() -> None:
    config = resolved(**SMALL, block="se")
    others = [config.but({"train.lr": 0.3}), config.but({"train.label_smoothing": 0.1}), config.but({"data.augment": ["crop"]})]
    assert first_equal([config, *others, config], FACTS) == [0, 1, 2, 3, 0]


def test_two_configs_that_build_one_function_are_found_and_others_are_not() -> None:
    ratios = [
        resolved(**SMALL, block={"name": "se", "reduction": r}) for r in (16, 32, 4)
    ]  # 8 and 16 channels: r = 16 and 32 give hidden width 1
    assert first_equal(ratios, FACTS) == [0, 0, 2]
    alike_in_shape = [resolved(**SMALL, block={"name": "se", "gate": gate}) for gate in ("sigmoid", "tanh", "relu")]
    alike_in_shape.append(resolved(**SMALL, block={"name": "se", "squeeze": "max"}))
    alike_in_shape += [resolved(**SMALL, block="se", placement=p) for p in ("post", "identity")]
    assert first_equal(alike_in_shape, FACTS) == list(range(6))


@pytest.mark.parametrize(
    "net", [{"units": [1, 1], "widths": [8]}, {"units": [0, 1, 1]}, {"stem": 0}, {"block": {"name": "se", "reduction": 0}}]
)
def test_what_cannot_be_built_is_a_sentence(net: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="cannot be built"):
        build(resolved(**net), FACTS, 0)
