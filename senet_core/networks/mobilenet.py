"""MobileNet, the first version (Howard et al. 2017): depthwise separable convolutions in a row, no identity branch."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.functional import relu

from senet_core.attach import Attach, Place
from senet_core.config import Placement
from senet_core.layers import ConvNorm
from senet_core.registry import NETWORKS
from senet_core.sizes import after
from senet_core.units import through


@NETWORKS.add("mobilenet")
class MobileNet(nn.Module):
    """A 3x3 stem, stages of separable units, global average pooling, a linear classifier: (N, 3, H, W) -> (N, classes).

    ``units[i]`` units of ``widths[i]`` channels make stage i + 1; every stage after the first halves the size in its first unit's
    depthwise convolution. ``multiplier`` is the paper's width multiplier: it scales ``stem`` and ``widths``, rounded down.

    Source: "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications" (arXiv 1704.04861), Table 1 and Figure 3.
    ReLU as in the text (timm has ReLU6, as Google's later code). Table 1 gives the last unit stride 2 at 7 x 7 and keeps 7 x 7: read, as
    everywhere, as stride 1.

    Where the block sits: after the pointwise convolution's BN and ReLU, one block for each of the 13 units. The SE paper says nothing of
    MobileNet's place; this is its rule for networks without an identity branch (after the non-linearity, Section 3.3), and the 479,744
    parameters that it adds at r = 16 are the printed 4.2 M -> 4.7 M of Table 3. "inside" is the paper's "SE 3x3": after the depthwise
    3x3 convolution's BN and before its ReLU, as in the residual families.

    Cost at 224: 568.7 M multiply-adds and 4.23 M parameters (Table 3: 569 M, 4.2 M). The printed 572 M with SE is 568.7 M + 0.5 M of the
    two layers + one operation for each of the 2.7 M rescaled values; ``senet_core.cost`` counts layers only and says 569.2 M.

    For 32 x 32 images the stem has stride 1, so that four strides of the five are left: 32, 16, 8, 4, 2 pixels.
    """

    placements: ClassVar[tuple[Placement, ...]] = ("standard", "inside")
    why_not: ClassVar[dict[Placement, str]] = {
        "pre": "without an identity connection, a block before a unit is the block after the previous one",
        "post": "there is no sum with an identity connection for a block to follow",
        "identity": "there is no identity connection",
    }

    def __init__(
        self,
        classes: int,
        channels: int,
        size: int,
        attach: Attach,
        *,
        units: tuple[int, ...] = (1, 2, 2, 6, 2),
        widths: tuple[int, ...] = (64, 128, 256, 512, 1024),
        stem: int = 32,
        stem_stride: int = 1,
        multiplier: float = 1.0,
    ) -> None:
        super().__init__()
        if not units or len(units) != len(widths) or min(*units, *widths, stem, stem_stride) < 1:
            raise ValueError("units and widths need one positive number for each stage; stem and stem_stride a positive one")
        if not 0 < multiplier < math.inf or min(stem, *widths) * multiplier < 1:
            raise ValueError(f"the width multiplier must be a positive number that leaves every layer a channel, not {multiplier}")
        inputs, *scaled = (int(width * multiplier) for width in (stem, *widths))
        self.stem = ConvNorm(channels, inputs, 3, stem_stride)
        size = after(size, 3, stem_stride, 1, where="the stem")
        self.stages = nn.Sequential()
        for stage, (count, width) in enumerate(zip(units, scaled, strict=True), start=1):
            row = nn.Sequential()
            for index in range(1, count + 1):
                stride = 2 if stage > 1 and index == 1 else 1
                size = after(size, 3, stride, 1, where=f"stage {stage}")
                place = Place(f"stage{stage}.unit{index}", stage, width, size)
                row.add_module(f"unit{index}", Separable(inputs, stride, place, attach))
                inputs = width
            self.stages.add_module(f"stage{stage}", row)
        self.classifier = nn.Linear(inputs, classes)

    @staticmethod
    def stage_count(arguments: dict[str, Any]) -> int:
        """How many stages a network of these arguments has, for the check of a stage mask."""
        return len(arguments["units"])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(relu(self.stem(x)))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


class Separable(nn.Module):
    """A 3x3 convolution of each channel by itself, then a 1x1 convolution across channels, each with BN and ReLU (Figure 3, right)."""

    def __init__(self, inputs: int, stride: int, place: Place, attach: Attach) -> None:
        super().__init__()
        self.depthwise = ConvNorm(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = ConvNorm(inputs, place.channels, 1)
        self.inside = attach("inside", Place(place.path, place.stage, inputs, place.size))
        self.standard = attach("standard", place)

    def forward(self, x: Tensor) -> Tensor:
        x = relu(through(self.inside, self.depthwise(x)))
        return through(self.standard, relu(self.pointwise(x)))
