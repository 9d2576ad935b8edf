"""ResNeXt (Xie et al. 2017): bottleneck units whose 3x3 convolution runs in many groups."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from senet_core.attach import Attach
from senet_core.config import Placement
from senet_core.registry import NETWORKS
from senet_core.units import Shape, Stem, Unit, bottleneck, projection, stacked


@NETWORKS.add("resnext")
class ResNeXt(nn.Module):
    """A stem, stages of grouped bottleneck units, global average pooling, a classifier: (N, 3, H, W) -> (N, classes).

    "Aggregated Residual Transformations for Deep Neural Networks" (Xie et al. 2017, Figure 3c). ``units[i]`` units of ``widths[i]``
    output channels make stage i + 1; every stage after the first halves the size. The 3x3 convolution of stage k has ``cardinality``
    groups of ``width_per_group`` * 2^(k - 1) channels each, and the 1x1 convolution before it as many channels as it.
    "32x4d" is a cardinality of 32 and a width of 4 per group, as is "8x64d" of CIFAR's ResNeXt-29 one of 8 and 64.
    The stride sits in the 3x3 convolution and the shortcuts are projections where the shape changes, both as in Xie et al.'s code; the
    SE paper's ResNeXt has that layout, too (4.24 billion multiply-adds in Table 2).
    For small images the stem is a 3x3 convolution, for 224x224 ones 7x7 with stride 2 and max pooling (``stem_...``, as in ``resnet``).
    The unit and its five placements: ``senet_core.units.Unit``; "inside" is as wide as the grouped convolution.
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
        units: tuple[int, ...] = (3, 3, 3),
        widths: tuple[int, ...] = (256, 512, 1024),
        cardinality: int = 8,
        width_per_group: int = 64,
        stem: int = 64,
        stem_kernel: int = 3,
        stem_stride: int = 1,
        stem_pool: bool = False,
    ) -> None:
        super().__init__()
        if min(cardinality, width_per_group) < 1:
            raise ValueError("cardinality and width_per_group must be positive")
        self.stem = Stem(channels, stem, size, kernel=stem_kernel, stride=stem_stride, pool=stem_pool)

        def make(shape: Shape) -> nn.Module:
            inner = cardinality * width_per_group * 2 ** (shape.stage - 1)
            return Unit(bottleneck(shape, inner, groups=cardinality), projection(shape), shape, attach)

        self.stages = stacked(units, widths, stem, self.stem.size, make)
        self.classifier = nn.Linear(widths[-1], classes)

    @staticmethod
    def stage_count(arguments: dict[str, Any]) -> int:
        """How many stages a network of these arguments has, for the check of a stage mask."""
        return len(arguments["units"])

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.stages(self.stem(x)).mean((2, 3)))
        return logits
