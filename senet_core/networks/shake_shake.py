"""Shake-Shake (Gastaldi 2017): two residual branches, mixed by chance for each image, and mixed anew for the gradient."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from senet_core.attach import Attach
from senet_core.config import Placement
from senet_core.layers import Conv, ConvNorm
from senet_core.registry import NETWORKS
from senet_core.units import Branch, Shape, Unit, bottleneck, projection, stacked


@NETWORKS.add("shake_shake")
class ShakeShake(nn.Module):
    """A stem, stages of two-branch units, ReLU, global average pooling, a classifier: (N, 3, H, W) -> (N, classes).

    "Shake-Shake regularization" (Gastaldi 2017), which the SE paper trains with Cutout (Tables 4 and 5). With F1 and F2 the branches and
    S the shortcut, the sum of a unit is::

        S(x) + alpha F1(x) + (1 - alpha) F2(x)

    In training, alpha is uniform on [0, 1], one number for each image and unit ("Shake", level "Image"), and the gradient goes back with
    another such number ``backward`` = "shake", or with 1/2 each ("even"). In evaluation alpha is 1/2.

    "26 2x96d" (CIFAR-10) has "basic" units: a branch is ReLU, 3x3 convolution, BN, ReLU, 3x3 convolution, BN, and there is no ReLU after
    the sum but one before the pooling. Where the channels change, S is ReLU, then two 1x1 convolutions of half the width each, one on
    every ``stride``-th pixel and one on those one row up and one column to the left, side by side, then BN. The stem is a 3x3 convolution
    with BN.

    "29 2x4x64d" (CIFAR-100) is a ResNeXt, not pre-activated: "bottleneck" units of two ResNeXt branches, with
    ``cardinality`` groups of ``width_per_group`` * 2^(k - 1) channels in stage k, ReLU after the sum and after the stem, 1x1 projections
    with BN. The author's code has only the former; the rest of the latter is read from ResNeXt, and gives his 34.4 million parameters.

    The block sits on the mixed residual or beside it, so there is one in a unit and it sees what the sum sees; R = alpha F1 + ...::

        standard  S(x) + SE(R(x))     pre  S(x) + R(SE(x))     post  SE(S(x) + R(x))     identity  SE(S(x)) + R(x)

    with "bottleneck" units a ReLU directly after the sum, as in ``senet_core.units.Unit``. The paper leaves open whether SE sits before
    the mixing, one in each branch.
    """

    placements: ClassVar[tuple[Placement, ...]] = ("standard", "pre", "post", "identity")
    why_not: ClassVar[dict[Placement, str]] = {
        "inside": "a unit has two branches with a 3x3 convolution each, and the block sits in one place of a unit"
    }

    def __init__(
        self,
        classes: int,
        channels: int,
        size: int,
        attach: Attach,
        *,
        unit: Literal["basic", "bottleneck"] = "basic",
        units: tuple[int, ...] = (4, 4, 4),
        widths: tuple[int, ...] = (96, 192, 384),
        stem: int = 16,
        cardinality: int = 4,
        width_per_group: int = 64,
        backward: Literal["shake", "even"] = "shake",
    ) -> None:
        super().__init__()
        if min(stem, cardinality, width_per_group) < 1:
            raise ValueError("stem, cardinality and width_per_group must be positive")
        if unit == "basic" and (cardinality, width_per_group) != (4, 64):
            raise ValueError("cardinality and width_per_group are for bottleneck units; basic units have no groups")
        if unit == "basic" and any(width % 2 for width in widths):
            raise ValueError("widths must be even, as a shortcut is made of two halves")
        self.activated = unit == "bottleneck"
        self.stem = ConvNorm(channels, stem, 3)

        def make(shape: Shape) -> nn.Module:
            if unit == "basic":
                return Unit(Mixed(_basic(shape), _basic(shape), backward), _halves(shape), shape, attach, activated=False)
            inner = cardinality * width_per_group * 2 ** (shape.stage - 1)
            one, other = (bottleneck(shape, inner, groups=cardinality) for _ in range(2))
            return Unit(Mixed(one, other, backward), projection(shape), shape, attach)

        self.stages = stacked(units, widths, stem, size, make)
        self.classifier = nn.Linear(widths[-1], classes)

    @staticmethod
    def stage_count(arguments: dict[str, Any]) -> int:
        """How many stages a network of these arguments has, for the check of a stage mask."""
        return len(arguments["units"])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.stages(relu(x)) if self.activated else relu(self.stages(x))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


class Mixed(nn.Module):
    """Two branches, mixed: R(x) = alpha F1(x) + (1 - alpha) F2(x), shapes as the branches have them."""

    def __init__(self, first: nn.Module, second: nn.Module, backward: Literal["shake", "even"]) -> None:
        super().__init__()
        self.first, self.second, self.even = first, second, backward == "even"

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.first(x), self.second(x)
        if not self.training:
            average: Tensor = (first + second) / 2
            return average
        # Both numbers are drawn here, from the generator that the training seeds: a seed fixes them, whatever happens before the gradient.
        alpha = torch.rand(len(x), 1, 1, 1, device=x.device).to(first.dtype)
        beta = torch.full_like(alpha, 0.5) if self.even else torch.rand(len(x), 1, 1, 1, device=x.device).to(first.dtype)
        mixed: Tensor = _Mix.apply(first, second, alpha, beta)
        return mixed


class _Mix(torch.autograd.Function):
    """alpha a + (1 - alpha) b, with the gradient of beta a + (1 - beta) b."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        ctx.save_for_backward(beta)
        return torch.lerp(b, a, alpha)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (beta,) = ctx.saved_tensors
        return beta * gradient, (1 - beta) * gradient, None, None


class Halves(nn.Module):
    """The shortcut of a basic unit: two 1x1 convolutions that see different pixels, side by side, and BN."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.stride = shape.stride
        self.straight = Conv(shape.inputs, shape.outputs // 2, 1)
        self.shifted = Conv(shape.inputs, shape.outputs // 2, 1)
        self.norm = nn.BatchNorm2d(shape.outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = relu(x)
        moved = pad(x, (1, -1, 1, -1))  # one pixel to the right and down, zeros moving in, as in the author's code
        straight, moved = x[:, :, :: self.stride, :: self.stride], moved[:, :, :: self.stride, :: self.stride]
        normed: Tensor = self.norm(torch.cat((self.straight(straight), self.shifted(moved)), 1))
        return normed


def _basic(shape: Shape) -> Branch:
    first, last = ConvNorm(shape.inputs, shape.outputs, 3, shape.stride), ConvNorm(shape.outputs, shape.outputs, 3)
    return Branch(nn.ReLU(), first, nn.ReLU(inplace=True), last, cut=2, inner=shape.outputs)


def _halves(shape: Shape) -> nn.Module | None:
    return None if shape.same else Halves(shape)
