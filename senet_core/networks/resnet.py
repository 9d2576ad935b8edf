"""ResNet (He et al. 2015), post-activation, basic or bottleneck units, any depth and width, for small images and for large ones."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from torch import Tensor, nn
from torch.nn.functional import pad

from senet_core.attach import Attach
from senet_core.config import Placement
from senet_core.registry import NETWORKS
from senet_core.units import Shape, Stem, Unit, basic, bottleneck, projection, stacked


@NETWORKS.add("resnet")
class ResNet(nn.Module):
    """A stem, stages of residual units, global average pooling, a linear classifier: (N, 3, H, W) -> (N, classes).

    ``units[i]`` units of ``widths[i]`` output channels make stage i + 1; every stage after the first halves the size. ``stem`` is the
    width of the first convolution, ``stem_kernel`` its kernel and ``stem_stride`` its stride, and ``stem_pool`` puts 3x3 max pooling of
    stride 2 behind it. He et al.'s networks for CIFAR: depth 6n + 2 has basic units (n, n, n) at 16/32/64, stem 16; ResNet-164 has
    bottleneck units (18, 18, 18) at 64/128/256, stem 16. For ImageNet: a stem of 64 with kernel 7, stride 2 and pooling, bottleneck units
    at 256/512/1024/2048.
    ``stride_in`` is the convolution of a bottleneck unit that carries the stride where a stage begins: its "3x3", or its first "1x1",
    which is the layout of the Caffe models that the paper's authors train (3.86 instead of 4.09 billion multiply-adds for ResNet-50).
    ``shortcut`` is what a unit's identity becomes where its shape changes: "projection" (1x1 convolution and BN, option B) or "padding"
    (every second pixel, zeros for the new channels, option A).
    The unit and its five placements: ``senet_core.units.Unit``.
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
        unit: Literal["basic", "bottleneck"] = "bottleneck",
        units: tuple[int, ...] = (2, 2, 2),
        widths: tuple[int, ...] = (64, 128, 256),
        stem: int = 64,
        stem_stride: int = 1,
        squash: int = 4,
        shortcut: Literal["projection", "padding"] = "projection",
        stride_in: Literal["3x3", "1x1"] = "3x3",
        stem_kernel: int = 3,
        stem_pool: bool = False,
    ) -> None:
        super().__init__()
        if squash < 1:
            raise ValueError("squash must be positive")
        if unit == "basic" and stride_in == "1x1":
            raise ValueError("stride_in = '1x1' is for bottleneck units; basic units have no 1x1 convolution in their branch")
        self.stem = Stem(channels, stem, size, kernel=stem_kernel, stride=stem_stride, pool=stem_pool)

        def make(shape: Shape) -> nn.Module:
            inner = max(1, shape.outputs // squash)
            branch = basic(shape) if unit == "basic" else bottleneck(shape, inner, early=stride_in == "1x1")
            return Unit(branch, projection(shape) if shortcut == "projection" else _padding(shape), shape, attach)

        self.stages = stacked(units, widths, stem, self.stem.size, make)
        self.classifier = nn.Linear(widths[-1], classes)

    @staticmethod
    def stage_count(arguments: dict[str, Any]) -> int:
        """How many stages a network of these arguments has, for the check of a stage mask."""
        return len(arguments["units"])

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.stages(self.stem(x)).mean((2, 3)))
        return logits


class Padding(nn.Module):
    """Option A: every ``stride``-th pixel, and zeros for the channels that are new."""

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = extra, stride

    def forward(self, x: Tensor) -> Tensor:
        return pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


def _padding(shape: Shape) -> nn.Module | None:
    return None if shape.same else Padding(shape.outputs - shape.inputs, shape.stride)
