"""Every registered block, in each of its forms, keeps the contract of a block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from senet_core.blocks.se import SE
from senet_core.gating import is_gated
from senet_core.registry import BLOCKS

CHANNELS = (1, 3, 16, 64)

Arguments = Mapping[str, Any]
FORMS: Mapping[str, tuple[Arguments, ...]] = {
    "cbam": ({"spatial": False}, {"bias": False}, {"kernel": 3}, {"reduction": 4}),
    "constant": ({"value": 1.0},),
    "eca": ({"kernel": 5}, {"kernel": 1}),
    "gather_excite": (
        {"form": "theta_minus"},
        {"form": "theta_minus", "extent": 2},
        {"form": "theta_minus", "extent": 8},
        {"form": "theta"},
        {"form": "theta", "extent": 4},
        {"extent": 2},
        {"extent": 8, "reduction": 4},
    ),
    "no_squeeze": ({"bias": True}, {"reduction": 4}),
    "se": (
        {"squeeze": "max"},
        {"squeeze": "both", "bias": True},
        {"gate": "tanh"},
        {"gate": "relu"},
        {"gate": "hard_sigmoid"},
        {"gate": "sigmoid", "init": "matched"},
        {"gate": "tanh", "init": "matched"},
        {"gate": "relu", "init": "matched"},
        {"gate": "hard_sigmoid", "init": "matched"},
        {"reduction": 2},
        {"bias": True},
    ),
}
"""What a suite can change in a block, beside its defaults: one form for each argument that is more than a number."""

EVERY = [(name, arguments) for name in BLOCKS.names() for arguments in ({}, *FORMS.get(name, ()))]


def label(value: Any) -> str | None:
    return ",".join(f"{k}={v}" for k, v in value.items()) or "defaults" if isinstance(value, Mapping) else None


every_form = pytest.mark.parametrize(("name", "arguments"), EVERY, ids=label)


def block(name: str, channels: int, arguments: Arguments, size: int = 8) -> nn.Module:
    torch.manual_seed(0)
    made: nn.Module = BLOCKS[name].value(channels, size, **arguments)
    return made


def image(channels: int, size: int = 8) -> Tensor:
    return torch.randn(4, channels, size, size, generator=torch.Generator().manual_seed(1))


def test_the_forms_are_those_of_registered_blocks() -> None:
    assert set(FORMS) <= set(BLOCKS.names())


@pytest.mark.parametrize("channels", CHANNELS)
@every_form
def test_a_block_keeps_shape_and_type_and_every_parameter_gets_a_finite_gradient(name: str, arguments: Arguments, channels: int) -> None:
    made, x = block(name, channels, arguments).train(), image(channels).requires_grad_()
    y = made(x)
    assert y.shape == x.shape and y.dtype == x.dtype
    (y**2).sum().backward()
    for parameter in [x, *made.parameters()]:
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("size", [4, 5, 9])
@every_form
def test_a_block_fits_small_and_odd_sizes(name: str, arguments: Arguments, size: int) -> None:
    if arguments.get("extent", 0) > size:
        with pytest.raises(ValueError, match="does not fit"):
            block(name, 16, arguments, size)
        return
    x = image(16, size)
    y = block(name, 16, arguments, size)(x)
    assert y.shape == x.shape and torch.isfinite(y).all()


@every_form
def test_a_block_leaves_its_input_as_it_was(name: str, arguments: Arguments) -> None:
    x = image(16)
    block(name, 16, arguments)(x)
    assert torch.equal(x, image(16))


@every_form
def test_a_block_in_evaluation_is_deterministic_and_independent_across_the_batch(name: str, arguments: Arguments) -> None:
    made, x = block(name, 16, arguments).eval(), image(16)
    whole = made(x)
    assert torch.equal(whole, made(x))
    assert torch.allclose(whole[:1], made(x[:1]), atol=1e-6)


@every_form
def test_a_block_starts_from_the_random_generator_alone(name: str, arguments: Arguments) -> None:
    one, other = block(name, 16, arguments).state_dict(), block(name, 16, arguments).state_dict()
    assert all(torch.equal(value, other[key]) for key, value in one.items())


@every_form
def test_a_block_comes_back_from_its_state(name: str, arguments: Arguments) -> None:
    one, other = block(name, 16, arguments).train(), BLOCKS[name].value(16, 8, **arguments)
    one(image(16))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.eval()(image(16)), other.eval()(image(16)))


@every_form
def test_a_block_gives_the_same_in_both_memory_formats_and_keeps_each(name: str, arguments: Arguments) -> None:
    made, x = block(name, 16, arguments).eval(), image(16)
    last = x.to(memory_format=torch.channels_last)
    assert torch.allclose(made(x), made(last), atol=1e-6)
    assert made(x).is_contiguous()
    assert made(last).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("way", ["autocast", "autocast of fp32", "all in bf16"])
@every_form
def test_a_block_keeps_its_type_in_bf16_and_is_near_fp32(name: str, arguments: Arguments, way: str) -> None:
    made, x = block(name, 16, arguments).eval(), image(16).to(memory_format=torch.channels_last)
    x = x if way == "autocast of fp32" else x.bfloat16()
    expected = made(x.float())
    if way == "all in bf16":
        made = made.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=way != "all in bf16"):
        y = made(x)
    assert y.dtype == x.dtype and y.is_contiguous(memory_format=torch.channels_last)
    assert (y.float() - expected).abs().max() <= 0.02 * expected.abs().max()


@every_form
def test_a_gated_block_multiplies_its_input_by_the_gates_that_it_shows(name: str, arguments: Arguments) -> None:
    made, x = block(name, 16, arguments).eval(), image(16)
    if not is_gated(made):
        assert name in ("constant", "static_scale"), "a block that computes its gate from its input should show it"
        return
    gate = made.gates(x)
    assert gate.dim() == 4 and all(g in (1, n) for g, n in zip(gate.shape, x.shape, strict=True))
    assert torch.allclose(made(x), x * gate, atol=1e-6)


@pytest.mark.parametrize(("channels", "reduction", "hidden"), [(64, 16, 4), (256, 32, 8), (16, 32, 1), (3, 16, 1), (20, 8, 2)])
@pytest.mark.parametrize("name", ["cbam", "gather_excite", "no_squeeze", "se"])
def test_a_hidden_width_is_channels_over_reduction_and_never_rounded_up(name: str, channels: int, reduction: int, hidden: int) -> None:
    made: Any = block(name, channels, {"reduction": reduction})
    assert made.hidden_width == made.down.out_features == made.up.in_features == hidden


def test_the_layers_of_the_excitation_start_by_he_over_their_inputs_with_bias_0() -> None:
    torch.manual_seed(0)
    made = SE(512, 1, reduction=2, bias=True)
    assert made.down.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert made.up.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.02)
    assert not made.down.bias.count_nonzero() and not made.up.bias.count_nonzero()
