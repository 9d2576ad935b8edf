"""Dead gates are counted exactly, and the start of a network shows what its gates do to the signal."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ablations.presets import PRESETS
from senet_core.blocks.se import SE
from senet_core.config import Config
from senet_core.dataset import Facts
from senet_core.gates import BlockGates, block_gates, dead_share
from senet_core.registry import BLOCKS
from senet_core.resolve import resolve
from senet_core.start import Start, start

C = 4


class Given(nn.Module):
    """Stands for a gated block: its gates are what they were made from."""

    def __init__(self, gate: Any) -> None:
        super().__init__()
        self.gate = gate

    def gates(self, x: Tensor) -> Tensor:
        made: Tensor = self.gate(x)
        return made

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gates(x)


def image(seed: int = 0, n: int = 3) -> Tensor:
    return torch.randn(n, C, 5, 5, generator=torch.Generator().manual_seed(seed))


def only(module: nn.Module, *batches: Tensor) -> BlockGates:
    (found,) = block_gates(nn.Sequential(module), batches or [image()])
    return found


def se(down: float, up: list[float], **arguments: Any) -> SE:
    """One hidden unit: ``down`` times the sum of the squeezed channels; ``up`` of it goes to each channel."""
    made = SE(C, 5, reduction=C, **arguments)
    with torch.no_grad():
        made.down.weight.fill_(down)
        made.up.weight.copy_(torch.tensor(up)[:, None])
    return made


def test_hidden_units_that_are_off_leave_every_gate_dead_at_a_half() -> None:
    assert only(se(-1.0, [1.0, -1.0, 2.0, 3.0]), image().abs()) == BlockGates("0", C, C, 0.5)


def test_hidden_units_that_are_on_leave_no_gate_dead() -> None:
    found = only(se(1.0, [1.0, -1.0, 2.0, 3.0]), image().abs())
    assert (found.channels, found.dead) == (C, 0)


def test_a_saturated_gate_is_dead() -> None:
    found = only(se(1.0, [1e4, -1e4, 1e4, 0.1]), image().abs())
    assert found.dead == 3


def test_a_relu_gate_is_dead_in_just_the_channels_where_it_is_0() -> None:
    made, x = se(1.0, [-1.0, 1.0, -2.0, 3.0], gate="relu"), image().abs()
    found = only(made, x)
    assert found.dead == 2
    assert found.mean == pytest.approx(made.gates(x).mean().item(), rel=1e-6)


def test_a_gate_is_dead_only_if_it_is_one_value_over_all_batches() -> None:
    """Each of the two batches alone would show a gate that never moves."""
    made = Given(lambda x: x[:, :, :1, :1])
    low, high = torch.zeros(2, C, 5, 5), torch.ones(2, C, 5, 5)
    high[:, 0] = 0
    assert only(made, low).dead == only(made, high).dead == C
    assert only(made, low, high) == BlockGates("0", C, 1, pytest.approx(3 / 8))


def test_the_mean_weighs_every_image_alike_whatever_the_size_of_its_batch() -> None:
    made = Given(lambda x: x[:, :, :1, :1])
    assert only(made, torch.zeros(3, C, 5, 5), torch.ones(1, C, 5, 5)).mean == pytest.approx(1 / 4)


def test_a_gate_over_pixels_is_alive_if_it_moves_between_the_pixels_of_one_image() -> None:
    found = only(Given(lambda x: x.mean(1, keepdim=True)), image(n=1))  # (N, 1, H, W): one gate for all channels
    assert (found.channels, found.dead) == (C, 0)


@pytest.mark.parametrize(("spread", "dead"), [(9e-7, C), (3e-6, 0)])
def test_a_gate_within_a_millionth_is_dead(spread: float, dead: int) -> None:
    made = Given(lambda x: spread * torch.linspace(0, 1, x.shape[0])[:, None, None, None].expand(-1, C, 1, 1))
    assert only(made).dead == dead


def test_a_gate_that_is_no_number_is_not_called_dead_and_shows_in_the_mean() -> None:
    found = only(Given(lambda x: torch.full((len(x), C, 1, 1), float("nan"))))
    assert found.dead == 0 and found.mean != found.mean


def test_gates_in_bf16_are_counted_too() -> None:
    assert only(se(-1.0, [1.0] * C).bfloat16(), image().abs().bfloat16()) == BlockGates("0", C, C, 0.5)


def test_blocks_are_listed_by_path_in_the_order_of_the_network_and_controls_are_not() -> None:
    controls = [BLOCKS[name].value(C, 5) for name in ("constant", "static_scale")]
    network = nn.Sequential(SE(C, 5), controls[0], nn.Sequential(nn.ReLU(), SE(C, 5)), controls[1], nn.BatchNorm2d(C))
    assert [found.path for found in block_gates(network, [image()])] == ["0", "2.1"]
    assert block_gates(nn.Sequential(*controls), [image()]) == []


def test_a_block_that_no_image_reached_is_not_listed() -> None:
    assert block_gates(nn.Sequential(SE(C, 5)), []) == []


@pytest.mark.parametrize("training", [True, False])
def test_the_network_runs_in_evaluation_and_is_left_as_it_was(training: bool) -> None:
    modes: list[bool] = []
    block = Given(lambda x: torch.ones(len(x), C, 1, 1))
    block.gate = lambda x: modes.append(block.training) or torch.ones(len(x), C, 1, 1)
    network = nn.Sequential(nn.BatchNorm2d(C), block).train(training)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    block_gates(network, [image()])
    assert modes and not any(modes)
    assert all(module.training is training for module in network.modules())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not block._forward_pre_hooks


def test_the_network_is_left_as_it_was_when_it_fails() -> None:
    network = nn.Sequential(SE(C, 5)).train()
    with pytest.raises(RuntimeError):
        block_gates(network, [torch.zeros(1, C + 1, 5, 5)])
    assert network.training and not network[0]._forward_pre_hooks


def test_the_dead_share_counts_channels_over_all_blocks() -> None:
    assert dead_share([BlockGates("a", 4, 4, 0.5), BlockGates("b", 12, 0, 0.5)]) == 0.25
    assert dead_share([]) is None


# -- how a network stands when training starts

FACTS = Facts("CIFAR-10", tuple("0123456789"), 32, 3, 50000, 10000, ("crop", "flip"))


def resnet(name: str, **net: Any) -> Start:
    return start(resolve(Config.of({"net": {"name": name, **net}}), FACTS), FACTS)


def quick(**block: Any) -> Start:
    recipe = PRESETS["quick"].config
    net = {**recipe.net.model_dump(), "block": block or None}
    return start(resolve(Config.of({**recipe.tree(), "net": net}), FACTS), FACTS)


def test_the_start_is_the_same_every_time_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    assert quick(name="se") == quick(name="se")
    assert torch.equal(torch.rand(1), expected)


def test_a_network_without_gates_has_no_share_of_dead_ones() -> None:
    assert quick().dead_gates is None
    assert quick(name="constant").dead_gates is None


def test_relu_gates_have_dead_ones_at_the_start_and_sigmoid_gates_have_none() -> None:
    relu, sigmoid = quick(name="se", gate="relu").dead_gates, quick(name="se").dead_gates
    assert relu is not None and 0.01 < relu < 0.9
    assert sigmoid == 0


def test_gates_that_start_as_the_identity_are_not_called_dead_and_leave_the_plain_networks_gradient() -> None:
    found = quick(name="gct")
    assert found.dead_gates is None
    assert found.stem_gradient == pytest.approx(quick().stem_gradient, rel=1e-5)


@pytest.fixture(scope="module")
def plain() -> float:
    return resnet("resnet-56").stem_gradient


def test_published_gates_change_the_stems_gradient_and_matched_ones_bring_it_back(plain: float) -> None:
    published = resnet("resnet-56", block="se").stem_gradient
    matched = resnet("resnet-56", block={"name": "se", "init": "matched"}).stem_gradient
    assert published < plain / 3
    assert matched == pytest.approx(plain, rel=0.1)


@pytest.mark.parametrize("placement", ["post", "identity"])
def test_gates_on_the_way_of_the_identity_put_the_stems_gradient_far_off_in_a_deep_network(placement: str, plain: float) -> None:
    """Some 27 of them in a row multiply the whole signal, about 0.5 each; nothing normalises it again."""
    published = resnet("resnet-56", block="se", placement=placement).stem_gradient
    matched = resnet("resnet-56", block={"name": "se", "init": "matched"}, placement=placement).stem_gradient
    assert published > 5 * plain
    assert matched < published / 2


def test_one_block_stuck_at_1_among_others_is_counted_as_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    config = resolve(PRESETS["smoke"].config, FACTS)
    stuck, alive = BlockGates("a", 4, 4, 1.0), BlockGates("b", 4, 0, 0.9)
    for found, dead in (([stuck, alive], 0.5), ([stuck, stuck], None)):
        monkeypatch.setattr("senet_core.start.block_gates", lambda *_, found=found: found)
        assert start(config, FACTS).dead_gates == dead


def test_a_submodule_that_is_called_gates_is_no_gate() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gates = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return x

    assert block_gates(Named(), [torch.ones(2, 3, 4, 4)]) == []
