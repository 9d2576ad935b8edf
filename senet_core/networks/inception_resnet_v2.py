"""Inception-ResNet-v2 (Szegedy et al. 2017): Inception modules as residual branches, for 299 x 299 images."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from senet_core.attach import Attach, Place
from senet_core.config import Placement
from senet_core.registry import NETWORKS
from senet_core.sizes import after
from senet_core.units import through


@NETWORKS.add("inception_resnet_v2")
class InceptionResNetV2(nn.Module):
    """A stem, three stages of residual Inception units with a reduction between, 1x1 to 1536, average, classifier.

    (N, 3, 299, 299) -> (N, classes); the stages see 35, 17 and 8 pixels with 320, 1088 and 2080 channels. Most convolutions and poolings of
    stride 2 are unpadded, so an image needs 75 pixels at least.

    Source: "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning" (arXiv 1602.07261), in the form that its
    authors published and everybody uses (TF-slim; timm's ``inception_resnet_v2`` has the same parameters and outputs): the stem of
    Inception-v3, one plain module, ``units`` = 10, 20, 10 with residual scales 0.17, 0.10, 0.20, no scale and no ReLU in the last unit,
    BN with epsilon 0.001 and ReLU after every convolution but a unit's last, which has a bias instead. The paper's Figure 15 has another
    stem and 5, 10, 5 units, whose concatenations do not add up to the widths that the figures print (1154, 2048).

    Where the block sits: see ``Unit``. The plain module and the two reductions have none, though the authors' SE-BN-Inception has: they
    have no identity connection, and every placement is to have the same blocks.

    Cost at 299: 13.16 G multiply-adds and 55.8 M parameters. Table 2 of the SE paper says 11.75 G, and the authors published no definition
    to compare with. It is no other way of counting: the plain VGG-16 and BN-Inception of that table come out here to the last digit.
    Figure 15 would be 9.3 G, or 11.3 G if every layer were padded. With SE we add 8.5 M multiply-adds in layers and rescale 11.5 M values,
    +0.02 G together; the paper prints +0.01 G, as fewer units would give.
    """

    placements: ClassVar[tuple[Placement, ...]] = ("standard", "pre", "post", "identity")
    why_not: ClassVar[dict[Placement, str]] = {
        "inside": "a unit's branches have up to three 3x3 convolutions, or none, so there is no one place after 'the' 3x3 convolution"
    }

    def __init__(
        self,
        classes: int,
        channels: int,
        size: int,
        attach: Attach,
        *,
        units: tuple[int, ...] = (10, 20, 10),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if len(units) != 3 or min(units) < 1 or not 0 <= dropout < 1:
            raise ValueError("units needs three positive numbers, and dropout must be from 0 to below 1")
        self.stem = _stem(channels)
        for layer, (kernel, stride) in enumerate(((3, 2), (3, 1), (3, 2), (3, 1), (3, 2)), start=1):  # those that are not padded
            size = after(size, kernel, stride, where=f"unpadded layer {layer} of the stem")
        self.mixed = _Branches(
            _Conv(192, 96, 1),
            nn.Sequential(_Conv(192, 48, 1), _Conv(48, 64, 5, padding=2)),
            nn.Sequential(_Conv(192, 64, 1), _Conv(64, 96, 3, padding=1), _Conv(96, 96, 3, padding=1)),
            nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), _Conv(192, 64, 1)),
        )
        self.stages = nn.Sequential()
        self.reductions = nn.ModuleList([_reduction_a(), _reduction_b()])
        for stage, (count, make) in enumerate(zip(units, (_unit_a, _unit_b, _unit_c), strict=True), start=1):
            if stage > 1:
                size = after(size, 3, 2, where=f"the reduction before stage {stage}")
            row = nn.Sequential()
            for index in range(1, count + 1):
                branches, inner, width, scale = make()
                place = Place(f"stage{stage}.unit{index}", stage, width, size)
                row.add_module(f"unit{index}", Unit(branches, inner, scale, (stage, index) == (3, count), place, attach))
            self.stages.add_module(f"stage{stage}", row)
        self.last = _Conv(2080, 1536, 1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(1536, classes)

    @staticmethod
    def stage_count(arguments: dict[str, Any]) -> int:
        """How many stages a network of these arguments has, for the check of a stage mask."""
        return len(arguments["units"])

    def forward(self, x: Tensor) -> Tensor:
        x = self.mixed(self.stem(x))
        for stage, reduction in zip(self.stages, (*self.reductions, self.last), strict=True):
            x = reduction(stage(x))
        logits: Tensor = self.classifier(self.dropout(x.mean((2, 3))))
        return logits


class _Conv(nn.Sequential):
    """Convolution without bias, BN, ReLU; kernels may be oblong. He (MSRA) normal over the outputs, as all networks here."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, padding: int | tuple[int, int] = 0
    ) -> None:
        conv = _HeConv(inputs, outputs, kernel, stride, padding, bias=False)
        super().__init__(conv, nn.BatchNorm2d(outputs, eps=1e-3), nn.ReLU(inplace=True))


class _HeConv(nn.Conv2d):
    """A convolution that starts He normal over its outputs, and its bias at 0."""

    def reset_parameters(self) -> None:
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class _Branches(nn.ModuleList):
    """Branches side by side on one input, their outputs concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], 1)


class Unit(nn.Module):
    """One residual unit: F = the branches, concatenated, and a linear 1x1 convolution to the input's channels; a = the residual scale.

    ::

        standard  ReLU(x + a SE(F(x)))     SE before the scale: F is the residual branch, the scale belongs to the sum
        pre       ReLU(x + a F(SE(x)))
        post      SE(ReLU(x + a F(x)))
        identity  ReLU(SE(x) + a F(x))

    The network's last unit has a = 1 and no ReLU.
    """

    def __init__(self, branches: _Branches, inner: int, scale: float, last: bool, place: Place, attach: Attach) -> None:
        super().__init__()
        self.branches = branches
        self.expand = _HeConv(inner, place.channels, 1)
        self.scale, self.last = 1.0 if last else scale, last
        self.pre = attach("pre", place)
        self.standard = attach("standard", place)
        self.identity = attach("identity", place)
        self.post = attach("post", place)

    def forward(self, x: Tensor) -> Tensor:
        f = through(self.standard, self.expand(self.branches(through(self.pre, x))))
        y = through(self.identity, x) + self.scale * f
        return through(self.post, y if self.last else relu(y))


def _stem(channels: int) -> nn.Sequential:
    """To 192 channels at an eighth of the size; all but the third convolution unpadded."""
    first = (_Conv(channels, 32, 3, 2), _Conv(32, 32, 3), _Conv(32, 64, 3, padding=1), nn.MaxPool2d(3, 2))
    return nn.Sequential(*first, _Conv(64, 80, 1), _Conv(80, 192, 3), nn.MaxPool2d(3, 2))


def _unit_a() -> tuple[_Branches, int, int, float]:
    two = nn.Sequential(_Conv(320, 32, 1), _Conv(32, 32, 3, padding=1))
    three = nn.Sequential(_Conv(320, 32, 1), _Conv(32, 48, 3, padding=1), _Conv(48, 64, 3, padding=1))
    return _Branches(_Conv(320, 32, 1), two, three), 128, 320, 0.17


def _unit_b() -> tuple[_Branches, int, int, float]:
    oblong = nn.Sequential(_Conv(1088, 128, 1), _Conv(128, 160, (1, 7), padding=(0, 3)), _Conv(160, 192, (7, 1), padding=(3, 0)))
    return _Branches(_Conv(1088, 192, 1), oblong), 384, 1088, 0.10


def _unit_c() -> tuple[_Branches, int, int, float]:
    oblong = nn.Sequential(_Conv(2080, 192, 1), _Conv(192, 224, (1, 3), padding=(0, 1)), _Conv(224, 256, (3, 1), padding=(1, 0)))
    return _Branches(_Conv(2080, 192, 1), oblong), 448, 2080, 0.20


def _reduction_a() -> _Branches:
    double = nn.Sequential(_Conv(320, 256, 1), _Conv(256, 256, 3, padding=1), _Conv(256, 384, 3, 2))
    return _Branches(_Conv(320, 384, 3, 2), double, nn.MaxPool2d(3, 2))


def _reduction_b() -> _Branches:
    wide, narrow = (nn.Sequential(_Conv(1088, 256, 1), _Conv(256, outputs, 3, 2)) for outputs in (384, 288))
    double = nn.Sequential(_Conv(1088, 256, 1), _Conv(256, 288, 3, padding=1), _Conv(288, 320, 3, 2))
    return _Branches(wide, narrow, double, nn.MaxPool2d(3, 2))
