"""The blocks give what independent implementations give with the same weights; where definitions differ, the difference is pinned."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.layers import EcaModule, EffectiveSEModule, SEModule
from timm.layers.cbam import CbamModule, ChannelAttn, SpatialAttn
from timm.layers.create_conv2d import create_conv2d
from timm.layers.gather_excite import GatherExcite as TimmGatherExcite
from timm.layers.mlp import ConvMlp
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from senet_core.registry import BLOCKS

C, SIZE = 32, 8


def ours(name: str, channels: int = C, size: int = SIZE, **arguments: Any) -> Any:
    """A block in evaluation mode, every parameter and running statistic drawn anew."""
    made = BLOCKS[name].value(channels, size, **arguments).eval()
    randomise(made)
    return made


def randomise(made: nn.Module) -> None:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for key, value in made.state_dict().items():
            if value.is_floating_point():
                drawn = torch.randn(value.shape, generator=generator) * 0.5
                value.copy_(drawn.abs() + 0.5 if key.endswith("running_var") else drawn)


def image(channels: int = C, size: int = SIZE) -> Tensor:
    return torch.randn(3, channels, size, size, generator=torch.Generator().manual_seed(1))


def give(source: nn.Linear, target: nn.Conv2d) -> None:
    """A linear layer's weights to a 1x1 convolution, of which a missing bias becomes 0."""
    with torch.no_grad():
        target.weight.copy_(source.weight[:, :, None, None])
        if target.bias is not None:
            target.bias.copy_(torch.zeros_like(target.bias) if source.bias is None else source.bias)


def excitation(block: Any, theirs: Any) -> None:
    give(block.down, theirs.fc1)
    give(block.up, theirs.fc2)


def assert_same(a: nn.Module, b: nn.Module, x: Tensor) -> None:
    assert torch.allclose(a.eval()(x), b.eval()(x), atol=1e-5)


def assert_different(a: nn.Module, b: nn.Module, x: Tensor) -> None:
    assert (a.eval()(x) - b.eval()(x)).abs().max() > 1e-2


# -- SE


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("gate", "layer"), [("sigmoid", nn.Sigmoid), ("hard_sigmoid", nn.Hardsigmoid), ("tanh", nn.Tanh), ("relu", nn.ReLU)]
)
def test_se_is_torchvisions(gate: Any, layer: type[nn.Module], bias: bool) -> None:
    block = ours("se", reduction=4, gate=gate, bias=bias)
    theirs = SqueezeExcitation(C, C // 4, scale_activation=layer)
    excitation(block, theirs)
    assert_same(block, theirs, image())


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid", "tanh"])
def test_se_is_timms_when_timm_is_told_the_hidden_width(gate: Any, bias: bool) -> None:
    block = ours("se", reduction=16, gate=gate, bias=bias)
    theirs = SEModule(C, rd_channels=C // 16, bias=bias, gate_layer=gate)
    excitation(block, theirs)
    assert_same(block, theirs, image())


def test_se_without_its_squeeze_is_torchvisions_without_its_pooling() -> None:
    block = ours("no_squeeze", reduction=4)
    theirs = SqueezeExcitation(C, C // 4)
    excitation(block, theirs)
    theirs.avgpool = nn.Identity()
    assert_same(block, theirs, image())


@pytest.mark.parametrize("channels", [16, 32, 64])
def test_timm_rounds_the_hidden_width_up_to_8_so_that_its_ratios_are_one_network_here(channels: int) -> None:
    """Its default divisor is 8: r = 8, 16 and 32 at 16, 32 and 64 channels all have 8 hidden units. Ours are C / r, each its own."""
    theirs = {SEModule(channels, rd_ratio=1 / r).fc1.out_channels for r in (8, 16, 32)}
    assert theirs == {8}
    assert [BLOCKS["se"].value(channels, 8, reduction=r).hidden_width for r in (8, 16, 32)] == [max(1, channels // r) for r in (8, 16, 32)]


def test_timms_max_pooling_averages_the_squeezes_before_the_excitation_and_ours_adds_after_it() -> None:
    block = ours("se", reduction=4, squeeze="both", bias=True)
    theirs = SEModule(C, rd_channels=C // 4, add_maxpool=True)
    excitation(block, theirs)
    assert_different(block, theirs, image())


# -- ECA, eSE


@pytest.mark.parametrize("channels", [16, 64, 128, 256, 2048])
def test_eca_is_timms_with_its_adaptive_kernel(channels: int) -> None:
    block, theirs = ours("eca", channels), EcaModule(channels)
    theirs.load_state_dict(block.state_dict())
    assert_same(block, theirs, image(channels))


def test_eca_is_timms_with_a_given_kernel() -> None:
    block, theirs = ours("eca", kernel=7), EcaModule(kernel_size=7)
    theirs.load_state_dict(block.state_dict())
    assert_same(block, theirs, image())


@pytest.mark.parametrize("channels", [1, 3])
def test_timm_holds_the_adaptive_kernel_at_3_at_least_where_equation_12_gives_1(channels: int) -> None:
    """Only below 8 channels, which no network here has."""
    assert EcaModule(channels).conv.kernel_size == (3,)
    assert BLOCKS["eca"].value(channels, 8).conv.kernel_size == (1,)
    assert BLOCKS["eca"].value(8, 8).conv.kernel_size == EcaModule(8).conv.kernel_size == (3,)


def test_ese_is_timms() -> None:
    block, theirs = ours("ese"), EffectiveSEModule(C)
    give(block.full, theirs.fc)
    assert_same(block, theirs, image())


# -- CBAM


@pytest.mark.parametrize("bias", [False, True])
def test_the_channel_part_of_cbam_is_timms(bias: bool) -> None:
    block, theirs = ours("cbam", reduction=4, bias=bias, spatial=False), ChannelAttn(C, rd_channels=C // 4, mlp_bias=bias)
    excitation(block, theirs)
    assert_same(block, theirs, image())


@pytest.mark.parametrize("bias", [False, True])
def test_the_channel_part_of_cbam_is_se_with_both_squeezes(bias: bool) -> None:
    one, other = ours("cbam", spatial=False, bias=bias), BLOCKS["se"].value(C, SIZE, squeeze="both", bias=bias)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(image()), other.eval()(image()))


def spatial(block: Any, theirs: SpatialAttn, order: list[int]) -> None:
    with torch.no_grad():
        theirs.conv.conv.weight.copy_(block.conv.weight[:, order])
    theirs.conv.bn.load_state_dict(block.norm.state_dict())


@pytest.mark.parametrize("kernel", [3, 7])
@pytest.mark.parametrize("bias", [False, True])
def test_cbam_is_timms_once_the_two_planes_of_its_spatial_part_are_swapped(bias: bool, kernel: int) -> None:
    """timm stacks mean and maximum, the paper's authors (and this project) maximum and mean: one family of functions, other weights."""
    block = ours("cbam", reduction=4, bias=bias, kernel=kernel)
    theirs = CbamModule(C, rd_channels=C // 4, spatial_kernel_size=kernel, mlp_bias=bias)
    excitation(block, theirs.channel)
    spatial(block, theirs.spatial, [1, 0])
    assert_same(block, theirs, image())
    spatial(block, theirs.spatial, [0, 1])
    assert_different(block, theirs, image())


def test_timms_cbam_has_no_bias_in_its_mlp_by_default_and_batch_normalisation_of_the_usual_momentum() -> None:
    """The authors' code has biases, and 0.01."""
    theirs, block = CbamModule(C), BLOCKS["cbam"].value(C, SIZE)
    assert theirs.channel.fc1.bias is None and block.down.bias is not None
    assert (theirs.spatial.conv.bn.momentum, block.norm.momentum) == (0.1, 0.01)


# -- Gather-Excite


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("extent", [0, 2, 4, 8])
def test_gather_excite_without_parameters_is_timms(extent: Any, size: int) -> None:
    block = ours("gather_excite", size=size, form="theta_minus", extent=extent)
    assert_same(block, TimmGatherExcite(C, extent=extent, use_mlp=False), image(size=size))


def timms_gather_excite(block: Any, extent: int, whole_map: dict[str, Any]) -> nn.Module:
    """timm's module put together from timm's layers, whose own constructor cannot build these forms, with our block's weights."""
    theirs = TimmGatherExcite(C, extent=extent, use_mlp=False)
    theirs.gather = nn.Sequential()
    for layer in block.gather:
        if isinstance(layer, nn.Conv2d):
            shape = {"kernel_size": layer.kernel_size[0], "stride": layer.stride[0]} | (whole_map if extent == 0 else {})
            theirs.gather.append(create_conv2d(C, C, depthwise=True, **shape))
        else:
            theirs.gather.append(nn.BatchNorm2d(C) if isinstance(layer, nn.BatchNorm2d) else nn.ReLU())
    theirs.gather.load_state_dict(block.gather.state_dict())
    if block.excites:
        theirs.mlp = ConvMlp(C, block.hidden_width, act_layer=nn.ReLU, bias=False)
        excitation(block, theirs.mlp)
    return theirs


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("extent", [2, 4, 8])
@pytest.mark.parametrize("form", ["theta", "theta_plus"])
def test_gather_excite_with_parameters_is_timms(form: Any, extent: Any, size: int) -> None:
    block = ours("gather_excite", size=size, form=form, extent=extent)
    assert_same(block, timms_gather_excite(block, extent, {}), image(size=size))


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("form", ["theta", "theta_plus"])
def test_gather_excite_over_the_whole_map_is_timms_without_its_padding(form: Any, size: int) -> None:
    """timm pads the depthwise convolution of the size of the map, which so gives a map again; the paper's gives one value a channel."""
    block = ours("gather_excite", size=size, form=form)
    assert_same(block, timms_gather_excite(block, 0, {"padding": 0}), image(size=size))
    assert_different(block, timms_gather_excite(block, 0, {}), image(size=size))


def test_timms_gather_excite_without_parameters_keeps_its_excitation_which_makes_it_se() -> None:
    """Its ``extra_params`` False takes the parameters out of the gathering alone; the paper's GE-theta-minus has none at all."""
    block, theirs = ours("se", bias=True), TimmGatherExcite(C, use_mlp=False)
    theirs.mlp = ConvMlp(C, block.hidden_width, act_layer=nn.ReLU)
    excitation(block, theirs.mlp)
    assert_same(block, theirs, image())
