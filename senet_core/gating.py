"""What gated blocks are made of: a tensor seen as pixels, the squeezes, the gates, the linear layer of the excitation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.functional import hardsigmoid, relu

Operator = Callable[[Tensor], Tensor]
Gate = Literal["sigmoid", "tanh", "relu", "hard_sigmoid"]
Init = Literal["published", "matched"]

SQUEEZES: Mapping[str, Operator] = {"average": lambda pixels: pixels.mean(1), "max": lambda pixels: pixels.amax(1)}
"""(N, H W, C) -> (N, C)."""

_PUBLISHED: Mapping[Gate, Operator] = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": relu, "hard_sigmoid": hardsigmoid}
_MATCHED: Mapping[Gate, Operator] = {
    "sigmoid": lambda t: 2 * torch.sigmoid(t),
    "tanh": lambda t: 1 + torch.tanh(t),
    "relu": lambda t: relu(1 + t),
    "hard_sigmoid": lambda t: 2 * hardsigmoid(t),
}


def gate_of(gate: Gate, init: Init) -> Operator:
    """sigma, as the paper has it, or *init-matched*: the same curve doubled or shifted so that a gate of input 0 is 1.

    A sigmoid starts near 0.5, tanh near 0 and ReLU half at exactly 0, so as published they also differ in the scale that they give the
    signal when training starts. Matched, all of them start at a mean near 1 (the excitation's output is symmetric about 0 when its
    weights are drawn), and what is left between them is the shape of the curve. The matched ReLU keeps its mean only while the
    excitation's output stays below 1, so not behind a maximum squeeze.
    """
    return (_PUBLISHED if init == "published" else _MATCHED)[gate]


class Gated(Protocol):
    """A block that multiplies its input by a gate which it computes from that input; ``senet_core.gates`` looks at it."""

    def gates(self, x: Tensor) -> Tensor:
        """The factor of ``x`` (N, C, H, W), of the same four dimensions, each as large or 1."""


def is_gated(block: object) -> TypeGuard[Gated]:
    """Whether its class has that method; a submodule or a buffer that somebody calls ``gates`` is none."""
    return callable(getattr(type(block), "gates", None))


class HeLinear(nn.Linear):
    """A linear layer that starts as the paper's authors start it: He (MSRA) normal over the inputs, bias 0."""

    def reset_parameters(self) -> None:
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def hidden_width(channels: int, reduction: int) -> int:
    """``max(1, C // r)``: never rounded to a multiple of anything, so each ratio is a network of its own.

    :raises ValueError: for a ratio below 1.
    """
    if reduction < 1:
        raise ValueError(f"the reduction ratio must be at least 1, not {reduction}")
    return max(1, channels // reduction)


def as_pixels(x: Tensor) -> Tensor:
    """(N, C, H, W) seen as (N, H W, C).

    With channels last in memory this is a view, and reductions over it are two to four times as fast on a CPU as over (2, 3).
    """
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def as_image(pixels: Tensor, like: Tensor) -> Tensor:
    """The way back from ``as_pixels``: (N, H W, C) in the shape of ``like``, channels last in memory."""
    return pixels.view(like.shape[0], *like.shape[2:], like.shape[1]).permute(0, 3, 1, 2)


class ChannelGate(nn.Module):
    """A block that multiplies each channel of an image by a gate that ``excite`` makes of the channels' means: y[n, c] = s[n, c] * x[n, c].

    Where ``reads_means`` is false, the gate reads something else by an own ``_s``. Where training is fused (``senet_core.fused``) it is
    ``excite`` that runs, and not ``forward``.
    """

    @property
    def reads_means(self) -> bool:
        """Whether ``excite`` is all that the gate is."""
        return True

    def excite(self, z: Tensor) -> Tensor:
        """The gate s (N, C) from z, the mean of x over H and W (N, C)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        pixels = as_pixels(x)
        return as_image(pixels * self._s(pixels)[:, None, :], x)

    def gates(self, x: Tensor) -> Tensor:
        """s as (N, C, 1, 1)."""
        return self._s(as_pixels(x))[:, :, None, None]

    def _s(self, pixels: Tensor) -> Tensor:
        return self.excite(SQUEEZES["average"](pixels))
