"""ResNet for small images (He et al. 2015), post-activation, basic or bottleneck units, any depth and width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn
from torch.nn.functional import pad, relu

from senet_core.attach import Attach, Place
from senet_core.config import Placement
from senet_core.layers import ConvNorm
from senet_core.registry import NETWORKS


@NETWORKS.add("resnet")
class ResNet(nn.Module):
    """A stem, stages of residual units, global average pooling, a linear classifier: (N, 3, H, W) -> (N, classes).

    ``units[i]`` units of ``widths[i]`` output channels make stage i + 1; every stage after the first halves the size. ``stem`` is the
    width of the first 3x3 convolution and ``stem_stride`` its stride. He et al.'s networks: depth 6n + 2 has basic units (n, n, n) at
    16/32/64, stem 16; ResNet-164 has bottleneck units (18, 18, 18) at 64/128/256, stem 16.
    ``shortcut`` is what a unit's identity becomes where its shape changes: "projection" (1x1 convolution and BN, option B) or "padding"
    (every second pixel, zeros for the new channels, option A).
    """

    placements: ClassVar[tuple[Placement, ...]] = ("standard", "pre", "post", "identity")

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
    ) -> None:
        super().__init__()
        if not units or len(units) != len(widths) or min(*units, *widths, stem, stem_stride, squash) < 1:
            raise ValueError("units and widths need one positive number for each stage; stem, stem_stride and squash a positive one")
        self.stem = ConvNorm(channels, stem, 3, stem_stride)
        self.stages = nn.Sequential()
        inputs, size = stem, -(-size // stem_stride)
        for stage, (count, width) in enumerate(zip(units, widths, strict=True), start=1):
            row = nn.Sequential()
            for index in range(1, count + 1):
                stride = 2 if stage > 1 and index == 1 else 1
                branch = _basic(inputs, width, stride) if unit == "basic" else _bottleneck(inputs, width, stride, squash)
                shape = _Shape(f"stage{stage}.unit{index}", stage, inputs, width, size, stride)
                row.add_module(f"unit{index}", Unit(branch, _shortcut(shape, shortcut), shape, attach))
                inputs, size = width, shape.after.size
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


@dataclass(frozen=True)
class _Shape:
    """What a unit gets and what it gives: channels, spatial size, and the stride between them."""

    path: str
    stage: int
    inputs: int
    outputs: int
    size: int
    stride: int

    @property
    def before(self) -> Place:
        """The unit's input as a place for a block."""
        return Place(self.path, self.stage, self.inputs, self.size)

    @property
    def after(self) -> Place:
        """The unit's output as a place for a block."""
        return Place(self.path, self.stage, self.outputs, -(-self.size // self.stride))


class Unit(nn.Module):
    """One residual unit with a place for an attention block in each of the paper's four ways (Section 6.5, Table 14, Figure 5).

    With F the branch and S the shortcut::

        standard  ReLU(S(x) + SE(F(x)))
        pre       ReLU(S(x) + F(SE(x)))     the shortcut leaves before SE, so SE has the unit's *input* channels and size
        post      SE(ReLU(S(x) + F(x)))
        identity  ReLU(SE(S(x)) + F(x))     SE after a projection, so it has the unit's *output* channels and size

    The paper leaves open what PRE and Identity do where a stage begins; the second column is this project's reading.
    """

    def __init__(self, branch: nn.Sequential, shortcut: nn.Module | None, shape: _Shape, attach: Attach) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.pre = attach("pre", shape.before)
        self.standard = attach("standard", shape.after)
        self.identity = attach("identity", shape.after)
        self.post = attach("post", shape.after)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.branch(x if self.pre is None else self.pre(x))
        if self.standard is not None:
            residual = self.standard(residual)
        identity = x if self.shortcut is None else self.shortcut(x)
        if self.identity is not None:
            identity = self.identity(identity)
        y = relu(identity + residual)
        return y if self.post is None else self.post(y)


def _basic(inputs: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(ConvNorm(inputs, width, 3, stride), nn.ReLU(inplace=True), ConvNorm(width, width, 3))


def _bottleneck(inputs: int, width: int, stride: int, squash: int) -> nn.Sequential:
    inner = max(1, width // squash)  # the stride sits in the 3x3 convolution, as in He et al.'s own code for CIFAR
    first, last = ConvNorm(inputs, inner, 1), ConvNorm(inner, width, 1)
    return nn.Sequential(first, nn.ReLU(inplace=True), ConvNorm(inner, inner, 3, stride), nn.ReLU(inplace=True), last)


def _shortcut(shape: _Shape, kind: str) -> nn.Module | None:
    if shape.stride == 1 and shape.inputs == shape.outputs:
        return None
    if kind == "projection":
        return ConvNorm(shape.inputs, shape.outputs, 1, shape.stride)
    return Padding(shape.outputs - shape.inputs, shape.stride)


class Padding(nn.Module):
    """Option A: every ``stride``-th pixel, and zeros for the channels that are new."""

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = extra, stride

    def forward(self, x: Tensor) -> Tensor:
        return pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))
