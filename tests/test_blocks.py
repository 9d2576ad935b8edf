"""Every registered block keeps the contract, and SE equals the paper's equations written a second time in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from senet_core.blocks.se import SE
from senet_core.registry import BLOCKS

CHANNELS = (1, 3, 16, 64)


def block(name: str, channels: int, size: int = 8) -> nn.Module:
    torch.manual_seed(0)
    made: nn.Module = BLOCKS[name].value(channels, size)
    return made


def image(channels: int, size: int = 8, **options: Any) -> Tensor:
    return torch.randn(4, channels, size, size, generator=torch.Generator().manual_seed(1), **options)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", BLOCKS.names())
def test_a_block_keeps_shape_and_type_and_every_parameter_gets_a_finite_gradient(name: str, channels: int) -> None:
    made, x = block(name, channels), image(channels).requires_grad_()
    y = made(x)
    assert y.shape == x.shape and y.dtype == x.dtype
    (y**2).sum().backward()
    for parameter in [x, *made.parameters()]:
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("name", BLOCKS.names())
def test_a_block_in_evaluation_is_deterministic_and_independent_across_the_batch(name: str) -> None:
    made, x = block(name, 16).eval(), image(16)
    whole = made(x)
    assert torch.equal(whole, made(x))
    assert torch.allclose(whole[:1], made(x[:1]), atol=1e-6)


@pytest.mark.parametrize("name", BLOCKS.names())
def test_a_block_comes_back_from_its_state(name: str) -> None:
    one, other = block(name, 16), BLOCKS[name].value(16, 8)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.eval()(image(16)), other.eval()(image(16)))


@pytest.mark.parametrize("name", BLOCKS.names())
def test_a_block_gives_the_same_in_both_memory_formats_and_keeps_bf16(name: str) -> None:
    made, x = block(name, 16), image(16)
    last = x.to(memory_format=torch.channels_last)
    assert torch.allclose(made(x), made(last), atol=1e-6)
    assert made(last).is_contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = made(x.bfloat16())
    assert y.dtype == torch.bfloat16 and torch.allclose(y.float(), made(x), atol=0.05)


# -- the paper's equations, written again

SQUEEZE = {"average": lambda x: x.mean((2, 3)), "max": lambda x: x.max((2, 3))}
GATE = {"sigmoid": lambda t: 1 / (1 + np.exp(-t)), "tanh": np.tanh, "relu": lambda t: np.maximum(t, 0)}


def equations(x: np.ndarray, w1: np.ndarray, w2: np.ndarray, squeeze: str, gate: str) -> np.ndarray:
    z = SQUEEZE[squeeze](x)  # equation 2
    s = GATE[gate](np.maximum(z @ w1.T, 0) @ w2.T)  # equation 3
    return s[:, :, None, None] * x  # equation 4


@pytest.mark.parametrize("gate", GATE)
@pytest.mark.parametrize("squeeze", SQUEEZE)
def test_se_equals_equations_2_to_4_in_value_and_gradient(squeeze: Any, gate: Any) -> None:
    torch.manual_seed(3)
    made = SE(8, 5, reduction=2, squeeze=squeeze, gate=gate).double()
    x = image(8, 5, dtype=torch.float64).requires_grad_()
    weights = [made.down.weight.detach().numpy(), made.up.weight.detach().numpy()]
    assert np.allclose(made(x).detach().numpy(), equations(x.detach().numpy(), *weights, squeeze, gate), atol=1e-12)

    cotangent = np.random.default_rng(0).standard_normal(tuple(x.shape))
    (made(x) * torch.from_numpy(cotangent)).sum().backward()
    places = {"x": (x, None), "W1": (made.down.weight, 0), "W2": (made.up.weight, 1)}
    for name, (tensor, place) in places.items():
        expected = numeric_gradient(x.detach().numpy(), weights, place, cotangent, squeeze, gate)
        assert tensor.grad is not None
        assert np.allclose(tensor.grad.numpy().ravel()[: len(expected)], expected, atol=1e-5), name


def numeric_gradient(
    x: np.ndarray, weights: list[np.ndarray], place: int | None, cotangent: np.ndarray, squeeze: str, gate: str
) -> list[float]:
    """Central differences of the equations for the first twelve entries of one argument."""
    found, step = [], 1e-6
    for index in range(12):
        values = []
        for sign in (1, -1):
            args = [x.copy(), weights[0].copy(), weights[1].copy()]
            args[0 if place is None else place + 1].ravel()[index] += sign * step
            values.append((equations(*args, squeeze, gate) * cotangent).sum())
        found.append((values[0] - values[1]) / (2 * step))
    return found


@pytest.mark.parametrize(("channels", "reduction", "hidden"), [(64, 16, 4), (256, 32, 8), (16, 32, 1), (3, 16, 1), (20, 8, 2)])
def test_se_hidden_width_is_channels_over_reduction_and_never_rounded_up(channels: int, reduction: int, hidden: int) -> None:
    made = SE(channels, 8, reduction=reduction)
    assert made.hidden_width == made.down.out_features == hidden
    assert sum(p.numel() for p in made.parameters()) == 2 * channels * hidden


def test_se_refuses_a_ratio_below_one() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SE(16, 8, reduction=0)


def test_se_golden_output() -> None:
    """Pins the behaviour of version 1: if this moves, raise the block's version."""
    made = SE(4, 2, reduction=2)
    with torch.no_grad():
        for p in made.parameters():
            p.copy_(torch.arange(p.numel()).reshape(p.shape) / 4 - 0.5)
        y = made(torch.arange(16.0).reshape(1, 4, 2, 2) / 8)
    assert torch.allclose(y[0, :, 1, 1], torch.tensor([0.09687, 0.63558, 1.31031, 1.86290]), atol=1e-4)
