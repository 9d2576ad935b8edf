"""Pre-activation ResNet (He et al. 2016) and, with wider units, Wide ResNet (Zagoruyko and Komodakis 2016)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from torch import Tensor, nn
from torch.nn.functional import relu

from senet_core.attach import Attach
from senet_core.config import Placement
from senet_core.layers import Conv
from senet_core.registry import NETWORKS
from senet_core.units import Branch, Shape, stacked, through


@NETWORKS.add("preact_resnet")
class PreActResNet(nn.Module):
    """A 3x3 convolution, stages of pre-activation units, BN and ReLU, global average pooling, a classifier: (N, 3, H, W) -> (N, classes).

    "Identity Mappings in Deep Residual Networks" (He et al. 2016): BN and ReLU stand before each convolution and none after the sum.
    The SE paper's ResNet-110 and ResNet-164 of Tables 4 and 5 are these (its "original" column is He et al.'s Table 3), and so is
    WRN-16-8: "Wide Residual Networks" (Zagoruyko and Komodakis 2016) have basic units, depth 6n + 4, widths 16k/32k/64k, stem 16.

    ``units[i]`` units of ``widths[i]`` output channels make stage i + 1; every stage after the first halves the size. The branch of a
    "bottleneck" unit is ``squash`` times as narrow inside. The stride of a bottleneck sits in its 3x3 convolution.
    Where the shape changes, the shortcut is a 1x1 convolution without BN on the activated input; He et al. pad with zeros in their
    basic nets (option A), which costs 2,560 parameters less at widths 16/32/64.
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
        stem: int = 16,
        stem_stride: int = 1,
        squash: int = 4,
    ) -> None:
        super().__init__()
        if min(stem, stem_stride, squash) < 1:
            raise ValueError("stem, stem_stride and squash must be positive")
        if unit == "basic" and squash != 4:
            raise ValueError(f"squash = {squash} is for bottleneck units; basic units have no narrower inside")
        self.stem = Conv(channels, stem, 3, stem_stride)

        def make(shape: Shape) -> nn.Module:
            return PreActUnit(_basic(shape) if unit == "basic" else _bottleneck(shape, max(1, shape.outputs // squash)), shape, attach)

        self.stages = stacked(units, widths, stem, -(-size // stem_stride), make)
        self.norm = nn.BatchNorm2d(widths[-1])
        self.classifier = nn.Linear(widths[-1], classes)

    @staticmethod
    def stage_count(arguments: dict[str, Any]) -> int:
        """How many stages a network of these arguments has, for the check of a stage mask."""
        return len(arguments["units"])

    def forward(self, x: Tensor) -> Tensor:
        x = relu(self.norm(self.stages(self.stem(x))))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


class PreActUnit(nn.Module):
    """One pre-activation unit with its places for an attention block.

    With A the first BN and ReLU, G the rest of the branch and F = G(A) all of it::

        standard  x + SE(F(x))
        pre       x + F(SE(x))
        post      SE(x + F(x))
        identity  SE(x) + F(x)
        inside    x + F'(x)         F' is F with SE directly after its 3x3 convolution, so before the next BN and ReLU

    Where the shape changes, the shortcut leaves after A, which both ways share (He et al. 2016, Section 4.1), and is a projection P::

        standard  P(A(x)) + SE(G(A(x)))
        pre       P(A(x)) + G(SE(A(x)))
        post      SE(P(A(x)) + G(A(x)))
        identity  SE(P(A(x))) + G(A(x))

    The paper says nothing of pre-activation nets. All of this is one reading of its Figure 5: PRE sits on the branch's side where the
    shortcut leaves, identity on the shortcut, standard at the branch's end, post after the sum, which no ReLU follows here. In the
    ResNet, a block reads what a BN gives; here each convolution's BN belongs to the next one, so standard and inside read convolutions.
    """

    def __init__(self, branch: Branch, shape: Shape, attach: Attach) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(shape.inputs)
        self.branch = branch
        self.shortcut = None if shape.same else Conv(shape.inputs, shape.outputs, 1, shape.stride)
        self.pre = attach("pre", shape.before)
        self.standard = attach("standard", shape.after)
        self.identity = attach("identity", shape.after)
        self.post = attach("post", shape.after)
        self.inside = attach("inside", shape.within(branch.inner))

    def forward(self, x: Tensor) -> Tensor:
        if self.shortcut is None:
            identity = x
            start = relu(self.norm(through(self.pre, x)))
        else:
            start = relu(self.norm(x))
            identity = self.shortcut(start)
            start = through(self.pre, start)
        residual = through(self.standard, self.branch(start, self.inside))
        return through(self.post, through(self.identity, identity) + residual)


def _basic(shape: Shape) -> Branch:
    first, last = Conv(shape.inputs, shape.outputs, 3, shape.stride), Conv(shape.outputs, shape.outputs, 3)
    return Branch(first, *_activation(shape.outputs), last, cut=1, inner=shape.outputs)


def _bottleneck(shape: Shape, inner: int) -> Branch:
    first, spatial, last = Conv(shape.inputs, inner, 1), Conv(inner, inner, 3, shape.stride), Conv(inner, shape.outputs, 1)
    return Branch(first, *_activation(inner), spatial, *_activation(inner), last, cut=4, inner=inner)


def _activation(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
