"""ShuffleNet, the first version (Zhang et al. 2018): bottleneck units of grouped 1x1 convolutions with a channel shuffle between."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu

from senet_core.attach import Attach, Place
from senet_core.config import Placement
from senet_core.layers import ConvNorm
from senet_core.registry import NETWORKS
from senet_core.sizes import after
from senet_core.units import through


@NETWORKS.add("shufflenet")
class ShuffleNet(nn.Module):
    """A 3x3 stem, stages of shuffle units, global average pooling, a linear classifier: (N, 3, H, W) -> (N, classes).

    ``units[i]`` units of ``widths[i]`` channels make stage i + 1, the paper's stage i + 2; the first unit of *every* stage halves the size.
    The stem is a 3x3 convolution of stride ``stem_stride`` and, with ``stem_pool``, a 3x3 max pooling of stride 2.

    Source: "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices" (arXiv 1707.01083), Table 1 (1x, g = 3) and
    Figure 2. As there, the network's very first 1x1 convolution is not grouped, since it has only the stem's 24 channels; the bottleneck
    has a quarter of a unit's *output* channels.

    Cost at 224: 137.5 M multiply-adds and 1,865,728 parameters, with SE 138.1 M and 2,476,144. Table 1 of the ShuffleNet paper says 137 M
    for g = 3 as well; 140 M is its name for the size class "1x" of all g, which Table 3 of the SE paper repeats. That table's +2 M with SE
    is 0.6 M of the two layers + one operation for each of the 1.6 M rescaled values; its 1.8 M and 2.4 M parameters are cut off, not
    rounded. See ``Unit`` for where the block sits.

    For 32 x 32 images the stem has stride 1 and no pooling: the stages see 16, 8, 4 pixels.
    """

    placements: ClassVar[tuple[Placement, ...]] = ("standard", "pre", "post", "identity", "inside")
    why_not: ClassVar[dict[Placement, str]] = {}

    def __init__(
        self,
        classes: int,
        channels: int,
        size: int,
        attach: Attach,
        *,
        units: tuple[int, ...] = (4, 8, 4),
        widths: tuple[int, ...] = (240, 480, 960),
        groups: int = 3,
        stem: int = 24,
        stem_stride: int = 1,
        stem_pool: bool = False,
    ) -> None:
        super().__init__()
        if not units or len(units) != len(widths) or min(*units, *widths, groups, stem, stem_stride) < 1:
            raise ValueError("units and widths need one positive number for each stage; groups, stem and stem_stride a positive one")
        self.stem = ConvNorm(channels, stem, 3, stem_stride)
        size = after(size, 3, stem_stride, 1, where="the stem")
        self.pool = stem_pool
        if stem_pool:
            size = after(size, 3, 2, 1, where="the stem's pooling")
        self.stages = nn.Sequential()
        inputs = stem
        for stage, (count, width) in enumerate(zip(units, widths, strict=True), start=1):
            row = nn.Sequential()
            for index in range(1, count + 1):
                halved = after(size, 3, 2 if index == 1 else 1, 1, where=f"stage {stage}")
                first = 1 if (stage, index) == (1, 1) else groups
                place = Place(f"stage{stage}.unit{index}", stage, width, halved)
                row.add_module(f"unit{index}", Unit(inputs, size, 2 if index == 1 else 1, (first, groups), place, attach))
                inputs, size = width, halved
            self.stages.add_module(f"stage{stage}", row)
        self.classifier = nn.Linear(inputs, classes)

    @staticmethod
    def stage_count(arguments: dict[str, Any]) -> int:
        """How many stages a network of these arguments has, for the check of a stage mask."""
        return len(arguments["units"])

    def forward(self, x: Tensor) -> Tensor:
        x = relu(self.stem(x))
        x = self.stages(max_pool2d(x, 3, 2, 1) if self.pool else x)
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


class Unit(nn.Module):
    """One shuffle unit: F = grouped 1x1, BN, ReLU, shuffle; depthwise 3x3, BN; grouped 1x1, BN (Figure 2 b and c).

    With stride 1 the identity x is added, with stride 2 the 3x3 average pooling P(x) is joined to F(x) as further channels, so F gives
    outputs - inputs channels there::

                  stride 1                 stride 2
        standard  ReLU(x + SE(F(x)))       ReLU([P(x), SE(F(x))])    SE has F's channels
        pre       ReLU(x + F(SE(x)))       ReLU([P(x), F(SE(x))])    SE has the unit's input channels and size
        post      SE(ReLU(x + F(x)))       SE(ReLU([P(x), F(x)]))
        identity  ReLU(SE(x) + F(x))       ReLU([SE(P(x)), F(x)])    SE has the input channels, at the output's size
        inside    SE in F, after the depthwise 3x3 convolution's BN (no ReLU follows it)

    "standard" sits on the branch before the sum *or* the concatenation. That adds 610,416 parameters to ShuffleNet 1x (g = 3) at r = 16
    (610,632 if the first branch's 216 / 16 = 13.5 were not rounded down), the +0.6 M of the SE paper's Table 3; blocks on the concatenated
    outputs would add 720,000, +0.7 M.
    """

    def __init__(self, inputs: int, size: int, stride: int, groups: tuple[int, int], place: Place, attach: Attach) -> None:
        super().__init__()
        outputs, (first, rest) = place.channels, groups
        inner, branch = outputs // 4, outputs - inputs if stride > 1 else outputs
        if branch < 1:
            raise ValueError(f"a unit of stride 2 joins its {inputs} inputs to its branch, so it needs more than {outputs} outputs")
        if inner < 1 or any(count % rest for count in (inner, branch, inputs if first > 1 else 0)):
            raise ValueError(f"{rest} groups do not divide {inputs} inputs, {inner} inner and {branch} branch channels of {place.path}")
        self.stride, self.groups = stride, rest
        self.reduce = ConvNorm(inputs, inner, 1, groups=first)
        self.depthwise = ConvNorm(inner, inner, 3, stride, groups=inner)
        self.expand = ConvNorm(inner, branch, 1, groups=rest)

        def block(placement: Placement, channels: int, at: int = place.size) -> nn.Module | None:
            return attach(placement, Place(place.path, place.stage, channels, at))

        self.pre = block("pre", inputs, size)
        self.inside = block("inside", inner)
        self.standard = block("standard", branch)
        self.identity = block("identity", inputs)
        self.post = block("post", outputs)

    def forward(self, x: Tensor) -> Tensor:
        f = relu(self.reduce(through(self.pre, x)))
        f = through(self.inside, self.depthwise(shuffled(f, self.groups)))
        f = through(self.standard, self.expand(f))
        identity = through(self.identity, avg_pool2d(x, 3, 2, 1) if self.stride > 1 else x)
        return through(self.post, relu(torch.cat((identity, f), 1) if self.stride > 1 else identity + f))


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Channels (g, n) read as (n, g), so that the next grouped convolution sees some of every group (Figure 1 c)."""
    pixels = x.permute(0, 2, 3, 1)  # over the last axis, so that a tensor with channels last in memory stays so
    return pixels.reshape(*pixels.shape[:3], groups, -1).transpose(3, 4).flatten(3).permute(0, 3, 1, 2)
