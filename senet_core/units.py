"""What the residual families share: a unit's shape, its branch, its shortcut, the places for a block in it, and the stages of units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from senet_core.attach import Attach, Place
from senet_core.layers import ConvNorm


@dataclass(frozen=True)
class Shape:
    """What a unit gets and what it gives: channels, spatial size, and the stride between them."""

    path: str
    stage: int
    inputs: int
    outputs: int
    size: int
    stride: int

    @property
    def same(self) -> bool:
        """Whether the unit's identity can be added as it is."""
        return self.stride == 1 and self.inputs == self.outputs

    @property
    def before(self) -> Place:
        """The unit's input as a place for a block."""
        return Place(self.path, self.stage, self.inputs, self.size)

    @property
    def after(self) -> Place:
        """The unit's output as a place for a block."""
        return self.within(self.outputs)

    def within(self, channels: int) -> Place:
        """A place inside the branch, behind its stride, of so many channels."""
        return Place(self.path, self.stage, channels, -(-self.size // self.stride))


class Branch(nn.Sequential):
    """A residual branch F, which can take a block in: behind its first ``cut`` layers, which is where its 3x3 convolution ends.

    The block is handed in and is no child of the branch, so that the layers' paths are the same with and without it.
    ``inner`` is the number of channels there.
    """

    def __init__(self, *layers: nn.Module, cut: int, inner: int) -> None:
        super().__init__(*layers)
        self.cut, self.inner = cut, inner

    def forward(self, x: Tensor, inside: nn.Module | None = None) -> Tensor:
        for index, layer in enumerate(self, start=1):
            x = layer(x)
            if index == self.cut:
                x = through(inside, x)
        return x


class Unit(nn.Module):
    """One residual unit with a place for an attention block in each of the paper's five ways (Section 6.5, Tables 14 and 15, Figure 5).

    With F the branch and S the shortcut::

        standard  ReLU(S(x) + SE(F(x)))
        pre       ReLU(S(x) + F(SE(x)))     the shortcut leaves before SE, so SE has the unit's *input* channels and size
        post      SE(ReLU(S(x) + F(x)))
        identity  ReLU(SE(S(x)) + F(x))     SE after a projection, so it has the unit's *output* channels and size
        inside    ReLU(S(x) + F'(x))        F' is F with SE directly after its 3x3 convolution ("SE 3x3"), of the branch's inner width

    The paper leaves open what PRE and Identity do where a stage begins; the second column is this project's reading. It also leaves open
    on which side of the 3x3 convolution's BN and ReLU "SE 3x3" sits: here after its BN and before its ReLU, as the standard block, too,
    reads what its convolution's BN gives. A unit of two 3x3 convolutions has it after the first one.

    ``activated`` is whether there is a ReLU after the sum; without it, read the lines above without their outer ReLU.
    """

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None, shape: Shape, attach: Attach, *, activated: bool = True) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.activated = activated
        self.pre = attach("pre", shape.before)
        self.standard = attach("standard", shape.after)
        self.identity = attach("identity", shape.after)
        self.post = attach("post", shape.after)
        self.inside = attach("inside", shape.within(branch.inner)) if isinstance(branch, Branch) else None
        if isinstance(branch, Branch) and self.inside is not None and isinstance(branch[branch.cut], nn.ReLU):
            branch[branch.cut] = nn.ReLU()  # not in place: a block may keep its output for its own gradient

    def forward(self, x: Tensor) -> Tensor:
        start = through(self.pre, x)
        residual = self.branch(start) if self.inside is None else self.branch(start, self.inside)
        residual = through(self.standard, residual)
        identity = through(self.identity, through(self.shortcut, x))
        y = identity + residual
        return through(self.post, relu(y) if self.activated else y)


def through(module: nn.Module | None, x: Tensor) -> Tensor:
    """What a module makes of x; where there is none, x."""
    return x if module is None else module(x)


def basic(shape: Shape) -> Branch:
    """Two 3x3 convolutions with BN, ReLU between them (He et al. 2015, Figure 5 left)."""
    first, last = ConvNorm(shape.inputs, shape.outputs, 3, shape.stride), ConvNorm(shape.outputs, shape.outputs, 3)
    return Branch(first, nn.ReLU(inplace=True), last, cut=1, inner=shape.outputs)


def bottleneck(shape: Shape, inner: int, *, first: int | None = None, groups: int = 1, early: bool = False) -> Branch:
    """1x1, 3x3 and 1x1 convolutions with BN, ReLU between them (He et al. 2015, Figure 5 right).

    ``inner`` is the width of the 3x3 convolution, which has ``groups``, and ``first`` that of the 1x1 before it where it differs. The
    stride sits in the 3x3 convolution, as in He et al.'s own code for CIFAR, or ``early``, in the 1x1, as in their Caffe models.
    """
    first = inner if first is None else first
    strides = (shape.stride, 1) if early else (1, shape.stride)
    reduce, spatial = ConvNorm(shape.inputs, first, 1, strides[0]), ConvNorm(first, inner, 3, strides[1], groups)
    layers = (reduce, nn.ReLU(inplace=True), spatial, nn.ReLU(inplace=True), ConvNorm(inner, shape.outputs, 1))
    return Branch(*layers, cut=3, inner=inner)


def projection(shape: Shape, kernel: int = 1) -> nn.Module | None:
    """Option B of He et al. 2015: a convolution with BN where the shape changes, nothing elsewhere."""
    return None if shape.same else ConvNorm(shape.inputs, shape.outputs, kernel, shape.stride)


def stacked(units: tuple[int, ...], widths: tuple[int, ...], inputs: int, size: int, make: Callable[[Shape], nn.Module]) -> nn.Sequential:
    """Stages of ``units[i]`` units of ``widths[i]`` output channels, "stage1.unit1" and so on; every stage but the first halves the size.

    :raises ValueError: unless there is a positive number of units and a positive width for each stage.
    """
    if not units or len(units) != len(widths) or min(*units, *widths) < 1:
        raise ValueError("units and widths need one positive number for each stage")
    stages = nn.Sequential()
    for stage, (count, width) in enumerate(zip(units, widths, strict=True), start=1):
        row = nn.Sequential()
        for index in range(1, count + 1):
            shape = Shape(f"stage{stage}.unit{index}", stage, inputs, width, size, 2 if stage > 1 and index == 1 else 1)
            row.add_module(f"unit{index}", make(shape))
            inputs, size = width, shape.after.size
        stages.add_module(f"stage{stage}", row)
    return stages


class Stem(ConvNorm):
    """The first convolution with BN and ReLU, and where asked for 3x3 max pooling of stride 2; ``size`` is that of what it gives.

    The pooling is padded by one on all sides, as in the authors' later code; Caffe pads below and on the right only.
    """

    def __init__(self, channels: int, outputs: int, size: int, *, kernel: int = 3, stride: int = 1, pool: bool = False) -> None:
        if min(outputs, stride) < 1:
            raise ValueError("stem and stem_stride must be positive")
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"stem_kernel must be an odd number, not {kernel}")
        super().__init__(channels, outputs, kernel, stride)
        self.pool = pool
        convolved = -(-size // stride)
        self.size = -(-convolved // 2) if pool else convolved

    def forward(self, x: Tensor) -> Tensor:
        for layer in self:
            x = layer(x)
        x = relu(x)
        return max_pool2d(x, 3, 2, padding=1) if self.pool else x
