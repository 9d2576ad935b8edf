"""SENet-154, the network of the paper's ImageNet entry (Table 8 and appendix)."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.functional import dropout as drop
from torch.nn.functional import max_pool2d, relu

from senet_core.attach import Attach
from senet_core.config import Placement
from senet_core.layers import ConvNorm
from senet_core.registry import NETWORKS
from senet_core.units import Shape, Unit, bottleneck, projection, stacked


@NETWORKS.add("senet")
class SENet(nn.Module):
    """The paper's modified 64x4d ResNeXt-152: (N, 3, H, W) -> (N, classes); SENet-154 is this with SE of r = 16 in place "standard".

    The appendix changes a ResNeXt of (3, 8, 36, 3) units at 256/512/1024/2048 so:

    - the first 1x1 convolution of each unit has half the channels of the grouped 3x3 convolution after it;
    - three 3x3 convolutions (64, 64, 128; the first of stride 2) instead of one 7x7, then 3x3 max pooling of stride 2;
    - a 3x3 convolution of stride 2 as the projection where a stage begins; the first stage, which has stride 1, keeps 1x1;
    - ``dropout`` 0.2 before the classifier.

    Label smoothing belongs to its training (``train.label_smoothing``); that BN was frozen in the last epochs is left out.
    The released model is Caffe's: its max pooling has no padding, and a last window that may reach over the edge.

    ``cardinality`` and ``width_per_group`` are those of ResNeXt: stage k's 3x3 convolution has cardinality * width_per_group * 2^(k - 1)
    channels. ``stem`` is the width of the first two convolutions, the third has twice as many. The unit and its five placements:
    ``senet_core.units.Unit``. The released model's SE layers have biases (50,864 of its parameters); ``net.block.bias`` gives them.
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
        units: tuple[int, ...] = (3, 8, 36, 3),
        widths: tuple[int, ...] = (256, 512, 1024, 2048),
        cardinality: int = 64,
        width_per_group: int = 4,
        stem: int = 64,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if min(stem, cardinality, width_per_group) < 1:
            raise ValueError("stem, cardinality and width_per_group must be positive")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {dropout}")
        if size < 5:
            raise ValueError(f"images of {size}x{size} are too small for the stem, which needs 5x5")
        self.dropout = dropout
        self.stem = nn.Sequential(ConvNorm(channels, stem, 3, 2), ConvNorm(stem, stem, 3), ConvNorm(stem, 2 * stem, 3))

        def make(shape: Shape) -> nn.Module:
            inner = cardinality * width_per_group * 2 ** (shape.stage - 1)
            branch = bottleneck(shape, inner, first=max(1, inner // 2), groups=cardinality)
            return Unit(branch, projection(shape, kernel=1 if shape.stride == 1 else 3), shape, attach)

        convolved = -(-size // 2)
        self.stages = stacked(units, widths, 2 * stem, -(-(convolved - 3) // 2) + 1, make)
        self.classifier = nn.Linear(widths[-1], classes)

    @staticmethod
    def stage_count(arguments: dict[str, Any]) -> int:
        """How many stages a network of these arguments has, for the check of a stage mask."""
        return len(arguments["units"])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.stem:
            x = relu(layer(x))
        features = self.stages(max_pool2d(x, 3, 2, ceil_mode=True)).mean((2, 3))
        logits: Tensor = self.classifier(drop(features, self.dropout, self.training))
        return logits
