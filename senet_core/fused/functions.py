"""Batch normalisation, gate, sum and ReLU behind a convolution, as functions with a gradient: ``senet_core.fused.passes`` for tensors.

PyTorch's operators go through memory one after the other, forward and backward. Here whatever stands between two convolutions takes two
passes each way: one for the sums that batch normalisation needs, one for all the rest. The squeeze of an SE block behind a BN needs none,
because it follows from these sums: with BN(y) = a y + b it is a mean(y) + b.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from senet_core.fused import passes

LANES = 64
"""What a row of a pass has at least, where there are pixels enough to fold."""


class Map:
    """A feature map (N, C, H, W) in bf16 or fp32 as the passes take it; a copy only where it is not channels last in memory."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.detach().contiguous(memory_format=torch.channels_last)
        images, self.channels, height, width = tensor.shape
        self.pixels = height * width
        fold = 1
        while self.channels * fold < LANES and self.pixels % (2 * fold) == 0:
            fold *= 2
        folded = self.tensor.permute(0, 2, 3, 1).reshape(images, self.pixels // fold, self.channels * fold)
        self.values: NDArray[Any] = (folded.view(torch.uint16) if folded.dtype == torch.bfloat16 else folded).numpy()

    def new(self) -> Map:
        """Another one like it, to be written."""
        return Map(torch.empty_like(self.tensor))

    def table(self, rows: int | None = None) -> NDArray[np.float32]:
        """(N, C), or of so many rows, to be written."""
        return np.empty((len(self.tensor) if rows is None else rows, self.channels), np.float32)


class Normalised(Function):
    """(y, weight, bias, norm, relu) -> BN(y) or ReLU(BN(y)) in training."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, weight: Tensor, bias: Tensor, norm: nn.BatchNorm2d, relu: bool) -> Tensor:
        source = Map(y)
        z, ctx.state, ctx.relu = source.new(), source.table(4), relu
        passes.normalised(source.values, *_settings(norm), relu, ctx.state, z.values)
        ctx.save_for_backward(source.tensor)
        return z.tensor

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dz: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        source = Map(y)
        dy, dweight, dbias = source.new(), *_of_channels(source)
        passes.normalised_backward(Map(dz).values, source.values, ctx.state, ctx.relu, dy.values, dweight.numpy(), dbias.numpy())
        return dy.tensor, dweight, dbias, None, None


@dataclass
class Visit:
    """What squeeze and sum of one map know of each other: the map goes into the first and comes out of the second, its gradient the other
    way. ``gradient``, ``total`` and ``product`` are there between their backward passes, where anything came back to the sum."""

    y: Map
    state: NDArray[np.float32] | None
    means: NDArray[np.float32]
    gate: NDArray[np.float32]
    gradient: Map | None = None
    total: NDArray[np.float32] | None = None
    product: NDArray[np.float32] | None = None


class Squeezed(Function):
    """(y, weight, bias, norm, visit) -> the mean of BN(y) over its pixels, (N, C) in fp32, or of y where there is no BN.

    Its backward pass gives the whole gradient of y, also what comes by way of ``Joined`` or ``Scaled``, which is why these depend on it.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, weight: Tensor | None, bias: Tensor | None, norm: nn.BatchNorm2d | None, visit: Visit) -> Tensor:
        ctx.visit, ctx.normed = visit, norm is not None
        ctx.save_for_backward(visit.y.tensor)  # for PyTorch to see whether somebody has written into it since
        z = visit.y.table()
        if norm is None:
            passes.averaged(visit.y.values, z)
        else:
            passes.squeezed(visit.y.values, *_settings(norm), visit.state, visit.means, z)
        return torch.from_numpy(z)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dz: Tensor) -> tuple[Tensor | None, ...]:
        visit: Visit = ctx.visit
        (_,), y, wanted = ctx.saved_tensors, visit.y, dz.numpy()
        if visit.gradient is None:
            visit.gradient, visit.total, visit.product = Map(torch.zeros_like(y.tensor)), *np.zeros((2, *visit.means.shape), np.float32)
        g, dy, visit.gradient = visit.gradient, y.new(), None
        if not ctx.normed:
            passes.averaged_backward(wanted, g.values, visit.gate, dy.values)
            return dy.tensor, None, None, None, None
        dweight, dbias = _of_channels(y)
        gradients = dy.values, dweight.numpy(), dbias.numpy()
        sums = visit.total, visit.product
        passes.squeezed_backward(wanted, g.values, y.values, visit.means, visit.state, visit.gate, *sums, *gradients)
        return dy.tensor, dweight, dbias, None, None


class Joined(Function):
    """(z of ``Squeezed``, gate (N, C) or None, identity, visit, relu) -> identity + gate BN(y), or ReLU of it, twice.

    ``z`` is there so that its gradient is asked for when this one's has been, also where no gate reads it. What comes back twice is one
    map in memory, for two readers, the next unit's branch and its shortcut: so their gradients come back apart, and are added in the
    pass that goes through them anyway.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, gate: Tensor | None, identity: Tensor, visit: Visit, relu: bool) -> tuple[Tensor, Tensor]:
        out = visit.y.new()
        if gate is not None:
            visit.gate = gate.detach().float().numpy()
        passes.joined(visit.y.values, visit.state, visit.gate, Map(identity).values, relu, out.values)
        ctx.visit, ctx.gate_dtype = visit, None if gate is None else gate.dtype
        ctx.save_for_backward(*((out.tensor,) if relu else ()))
        ctx.set_materialize_grads(False)
        return out.tensor, out.tensor.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        visit: Visit = ctx.visit
        given, saved = [Map(gradient) for gradient in gradients if gradient is not None], ctx.saved_tensors
        y, relu, twice, first, last = visit.y, bool(saved), len(given) > 1, given[0], given[-1]
        out = Map(saved[0]) if relu else first
        visit.gradient = y.new() if relu or twice else first
        visit.total, visit.product, dgate = y.table(), y.table(), y.table(0 if ctx.gate_dtype is None else None)
        before = first.values, last.values, twice, out.values, relu, y.values, visit.state, visit.gate
        passes.joined_backward(*before, visit.gradient.values, dgate, visit.total, visit.product)
        back = None if ctx.gate_dtype is None else torch.from_numpy(dgate).to(ctx.gate_dtype)
        return torch.zeros(visit.means.shape), back, visit.gradient.tensor, None, None


class Scaled(Function):
    """(z of ``Squeezed``, gate (N, C), visit) -> gate y; ``z`` as for ``Joined``."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, gate: Tensor, visit: Visit) -> Tensor:
        out, visit.gate = visit.y.new(), gate.detach().float().numpy()
        passes.scaled(visit.y.values, visit.gate, out.values)
        ctx.visit, ctx.gate_dtype = visit, gate.dtype
        return out.tensor

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        visit: Visit = ctx.visit
        visit.gradient, dgate = Map(dout), visit.y.table()
        passes.scaled_backward(visit.gradient.values, visit.y.values, dgate)
        return torch.zeros(dgate.shape), torch.from_numpy(dgate).to(ctx.gate_dtype), None


def _of_channels(y: Map) -> tuple[Tensor, Tensor]:
    """Two of (C,), to be written."""
    return torch.empty(y.channels, dtype=torch.float32), torch.empty(y.channels, dtype=torch.float32)


def _settings(norm: nn.BatchNorm2d) -> tuple[Any, ...]:
    """What the passes need of a BN; they write its running statistics."""
    assert norm.num_batches_tracked is not None and norm.running_mean is not None and norm.running_var is not None
    norm.num_batches_tracked.add_(1)
    weight, bias = norm.weight.detach().numpy(), norm.bias.detach().numpy()
    return weight, bias, norm.eps, norm.running_mean.numpy(), norm.running_var.numpy(), norm.momentum


def normalised(norm: nn.BatchNorm2d, y: Tensor, *, relu: bool) -> Tensor:
    """BN in training, or ReLU of it; the running statistics go on as PyTorch's do."""
    z: Tensor = Normalised.apply(y, norm.weight, norm.bias, norm, relu)
    return z


def joined(
    norm: nn.BatchNorm2d | None, y: Tensor, gate: Callable[[Tensor], Tensor] | None, identity: Tensor, *, relu: bool
) -> tuple[Tensor, Tensor]:
    """identity + s BN(y), or ReLU of it, with s = ``gate`` of the channels' means (N, C) of BN(y); where that is None, s is 1. Twice, as
    ``Joined`` has it; who has one reader takes the first."""
    assert identity.shape == y.shape and identity.dtype == y.dtype and (norm is not None or gate is not None)
    source = Map(y)
    state = source.table(4)
    if norm is None:
        state[:] = np.array([0, 1, 1, 0], np.float32)[:, None]
    visit = Visit(source, state, source.table(), np.ones((1, source.channels), np.float32))
    z = _squeezed(norm, y, visit)
    outputs: tuple[Tensor, Tensor] = Joined.apply(z, None if gate is None else gate(z), identity, visit, relu)
    return outputs


def scaled(y: Tensor, gate: Callable[[Tensor], Tensor]) -> Tensor:
    """s y, with s = ``gate`` of the channels' means (N, C)."""
    source = Map(y)
    visit = Visit(source, None, source.table(0), np.ones((1, 1), np.float32))
    z = _squeezed(None, y, visit)
    out: Tensor = Scaled.apply(z, gate(z), visit)
    return out


def _squeezed(norm: nn.BatchNorm2d | None, y: Tensor, visit: Visit) -> Tensor:
    weight, bias = (None, None) if norm is None else (norm.weight, norm.bias)
    z: Tensor = Squeezed.apply(y, weight, bias, norm, visit)
    return z
