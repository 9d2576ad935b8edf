"""BN-Inception (Ioffe and Szegedy 2015): modules of parallel branches whose outputs are concatenated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from senet_core.attach import Attach, Place
from senet_core.config import Placement
from senet_core.layers import ConvNorm
from senet_core.registry import NETWORKS
from senet_core.sizes import after
from senet_core.units import through


@dataclass(frozen=True)
class Row:
    """One module's widths: 1x1; 3x3 (reduced, output); double 3x3 (reduced, output); what pools, and the projection after it.

    Without 1x1 and projection it is a module that halves the size.
    """

    name: str
    single: int
    three: tuple[int, int]
    double: tuple[int, int]
    pool: Literal["average", "max"]
    projection: int

    def scaled(self, width: float) -> Row:
        """The row at another width, rounded down."""

        def of(count: int) -> int:
            return int(count * width)

        three, double = (of(self.three[0]), of(self.three[1])), (of(self.double[0]), of(self.double[1]))
        return Row(self.name, of(self.single), three, double, self.pool, of(self.projection))


STAGES = (
    (Row("3a", 64, (64, 64), (64, 96), "average", 32), Row("3b", 64, (64, 96), (64, 96), "average", 64)),
    (
        Row("3c", 0, (128, 160), (64, 96), "max", 0),
        Row("4a", 224, (64, 96), (96, 128), "average", 128),
        Row("4b", 192, (96, 128), (96, 128), "average", 128),
        Row("4c", 160, (128, 160), (128, 160), "average", 128),
        Row("4d", 96, (128, 192), (160, 192), "average", 128),
    ),
    (
        Row("4e", 0, (128, 192), (192, 256), "max", 0),
        Row("5a", 352, (192, 320), (160, 224), "average", 128),
        Row("5b", 352, (192, 320), (192, 224), "max", 128),
    ),
)
"""Stages by the size that a module *gives*: 28, 14 and 7 pixels of a 224 x 224 image."""


@NETWORKS.add("inception")
class BNInception(nn.Module):
    """A stem, ten Inception modules in three stages, global average pooling, a linear classifier: (N, 3, H, W) -> (N, classes).

    Source: "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift" (arXiv 1502.03167), Figure 5,
    in the widths that the SE paper's authors trained (their published SE-BN-Inception, hujie-frank/SENet). It differs from the figure in
    two modules: 4c and 4d project their pooling to 128 channels (the figure: 96), so they give 608 (576).

    ``stem`` "7x7" is that of the paper: 7x7 stride 2, pooling, 1x1, 3x3, pooling; an eighth of the image's size is left. "3x3" is for
    32 x 32 images: one 3x3 convolution to the same 192 channels, the size kept; the stages then see 32, 16, 8 pixels. ``width`` scales
    every convolution, rounded down. Poolings of stride 2 are 3x3, unpadded and rounded up, as in Caffe.

    Where the block sits: F is an entire module (Hu et al. v4, Section 3.3 and Figure 2), so on its concatenated output, one for each of
    the ten modules, also 3c and 4e, which halve the size; their published network has it so.

    Cost at 224: 2.0326 G multiply-adds (Table 2: 2.03 G) and 11.29 M parameters. With SE it is 2.0332 G, or 2.0344 G with one operation
    for each rescaled value, which is how the printed figures of VGG-16, MobileNet and ShuffleNet come out. Table 2 prints 2.04 G, one more
    in its last digit than either rounds to; two operations a value (squeeze and scale) would give it, but would miss VGG-16's.
    """

    placements: ClassVar[tuple[Placement, ...]] = ("standard",)
    why_not: ClassVar[dict[Placement, str]] = {
        "pre": "without an identity connection, a block before a module is the block after the previous one",
        "post": "there is no sum with an identity connection for a block to follow",
        "identity": "there is no identity connection",
        "inside": "a module has three 3x3 convolutions in two branches, so there is no one place after 'the' 3x3 convolution",
    }

    def __init__(
        self,
        classes: int,
        channels: int,
        size: int,
        attach: Attach,
        *,
        stem: Literal["7x7", "3x3"] = "3x3",
        width: float = 0.25,
    ) -> None:
        super().__init__()
        if not 1 / 32 <= width < math.inf:  # 32 is the narrowest convolution's width
            raise ValueError(f"the width factor must be a number from 1 / 32, where the narrowest branch has one channel, not {width}")
        narrow, inputs = int(64 * width), int(192 * width)
        stages = [[row.scaled(width) for row in rows] for rows in STAGES]
        self.stem = nn.Sequential()
        if stem == "7x7":
            size = _halved(after(size, 7, 2, 3, where="the stem"), "the stem's pooling")
            size = _halved(size, "the stem's second pooling")
            self.stem.add_module("conv1", _conv(channels, narrow, 7, 2))
            self.stem.add_module("pool1", nn.MaxPool2d(3, 2, ceil_mode=True))
            self.stem.add_module("reduce", _conv(narrow, narrow, 1))
            self.stem.add_module("conv2", _conv(narrow, inputs, 3))
            self.stem.add_module("pool2", nn.MaxPool2d(3, 2, ceil_mode=True))
        else:
            self.stem.add_module("conv", _conv(channels, inputs, 3))
        self.stages = nn.Sequential()
        for stage, rows in enumerate(stages, start=1):
            modules = nn.Sequential()
            for row in rows:
                size = size if row.projection else _even(size, row.name)
                module = Inception(inputs, row, stage, size, attach)
                modules.add_module(row.name, module)
                inputs = module.outputs
            self.stages.add_module(f"stage{stage}", modules)
        self.classifier = nn.Linear(inputs, classes)

    @staticmethod
    def stage_count(arguments: dict[str, Any]) -> int:
        """How many stages a network of these arguments has, for the check of a stage mask."""
        return len(STAGES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.stem(x))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


class Inception(nn.Module):
    """One module: the branches side by side, their outputs concatenated in the order of ``Row``, then the block."""

    def __init__(self, inputs: int, row: Row, stage: int, size: int, attach: Attach) -> None:
        super().__init__()
        stride = 1 if row.projection else 2
        (reduced, three), (squeezed, double) = row.three, row.double
        self.branches = nn.ModuleDict()
        if row.single:
            self.branches["1x1"] = _conv(inputs, row.single, 1)
        self.branches["3x3"] = nn.Sequential(_conv(inputs, reduced, 1), _conv(reduced, three, 3, stride))
        self.branches["double3x3"] = nn.Sequential(_conv(inputs, squeezed, 1), _conv(squeezed, double, 3), _conv(double, double, 3, stride))
        if row.projection:
            pool = nn.AvgPool2d(3, 1, 1) if row.pool == "average" else nn.MaxPool2d(3, 1, 1)
            self.branches["pool"] = nn.Sequential(pool, _conv(inputs, row.projection, 1))
        else:
            self.branches["pool"] = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.outputs = row.single + three + double + (row.projection or inputs)
        self.standard = attach("standard", Place(f"stage{stage}.{row.name}", stage, self.outputs, size))

    def forward(self, x: Tensor) -> Tensor:
        return through(self.standard, torch.cat([branch(x) for branch in self.branches.values()], 1))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(ConvNorm(inputs, outputs, kernel, stride), nn.ReLU(inplace=True))


def _halved(size: int, where: str) -> int:
    return after(size, 2, 2, where=where)  # a 3x3 window rounded up gives what a 2x2 window rounded down gives


def _even(size: int, name: str) -> int:
    """The size behind a module of stride 2, whose pooling (rounded up, no padding) and convolutions agree for even sizes alone."""
    if size % 2:
        raise ValueError(f"the module {name} halves its input, so it needs an even size, not {size} x {size}")
    return size // 2
