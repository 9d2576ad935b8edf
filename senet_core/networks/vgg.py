"""VGG with batch normalisation (Simonyan and Zisserman 2015): 3x3 convolutions in a row, max pooling between, no identity branch."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from senet_core.attach import Attach, Place
from senet_core.config import Placement
from senet_core.layers import ConvNorm
from senet_core.registry import NETWORKS
from senet_core.sizes import after
from senet_core.units import through


@NETWORKS.add("vgg")
class VGG(nn.Module):
    """Stages of 3x3 convolutions, each stage closed by 2x2 max pooling, then linear layers: (N, 3, H, W) -> (N, classes).

    ``units[i]`` convolutions of ``widths[i]`` channels make stage i + 1. Each is Conv-BN-ReLU, then the block: "after the non-linearity
    following each convolution" (Hu et al. v4, Section 3.3), so the squeeze reads what the next convolution or the pooling would read.

    Source: "Very Deep Convolutional Networks for Large-Scale Image Recognition" (arXiv 1409.1556), Table 1, column D for VGG-16. Batch
    normalisation is the SE paper's (Section 5.1); a convolution before it has no bias (torchvision's vgg16_bn keeps 4,224 of them, which
    change nothing).

    Head: ``hidden`` are the fully connected widths before the classifier, each with ReLU and ``dropout``. They read every pixel that the
    last pooling leaves, so their first layer is made for this image size (7 x 7 x 512 of a 224 x 224 image: 25,088 inputs). Without
    them, the usual form for CIFAR, the pixels are averaged.

    For 32 x 32 images all five poolings stay, the last one too: the stages see 32, 16, 8, 4, 2 pixels and the classifier 1 x 1 x 512,
    where the average is the identity. A smaller image is refused.

    Cost of VGG-16 at 224: 15.47 G multiply-adds, as printed in the SE paper's Table 2. Its 15.48 G with SE counts, beside the 0.2 M of the
    two layers, one operation for each of the 13.5 M values that are rescaled; ``senet_core.cost`` counts layers only and says 15.47 G.
    """

    placements: ClassVar[tuple[Placement, ...]] = ("standard",)
    why_not: ClassVar[dict[Placement, str]] = {
        "pre": "without an identity connection, a block before a convolution is the block after the previous one",
        "post": "there is no sum with an identity connection for a block to follow",
        "identity": "there is no identity connection",
        "inside": "every unit is a single 3x3 convolution, so the standard block sits directly after it already",
    }

    def __init__(
        self,
        classes: int,
        channels: int,
        size: int,
        attach: Attach,
        *,
        units: tuple[int, ...] = (2, 2, 3, 3, 3),
        widths: tuple[int, ...] = (64, 128, 256, 512, 512),
        hidden: tuple[int, ...] = (),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not units or len(units) != len(widths) or min(*units, *widths, *hidden) < 1:
            raise ValueError("units and widths need one positive number for each stage, and hidden positive numbers")
        if not 0 <= dropout < 1 or (dropout and not hidden):
            raise ValueError("dropout follows the hidden layers: it must be from 0 to below 1, and 0 where there are none")
        self.stages = nn.ModuleDict()
        inputs = channels
        for stage, (count, width) in enumerate(zip(units, widths, strict=True), start=1):
            row = nn.Sequential()
            for index in range(1, count + 1):
                row.add_module(f"unit{index}", Layer(inputs, Place(f"stage{stage}.unit{index}", stage, width, size), attach))
                inputs = width
            self.stages[f"stage{stage}"] = row
            size = after(size, 2, 2, where=f"the pooling after stage {stage}")
        self.flat = bool(hidden)
        inputs *= size * size if hidden else 1
        self.hidden = nn.Sequential()
        for index, width in enumerate(hidden, start=1):
            self.hidden.add_module(f"layer{index}", nn.Sequential(_He(inputs, width), nn.ReLU(inplace=True), nn.Dropout(dropout)))
            inputs = width
        self.classifier = nn.Linear(inputs, classes)

    @staticmethod
    def stage_count(arguments: dict[str, Any]) -> int:
        """How many stages a network of these arguments has, for the check of a stage mask."""
        return len(arguments["units"])

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages.values():
            x = max_pool2d(stage(x), 2)
        logits: Tensor = self.classifier(self.hidden(x.flatten(1) if self.flat else x.mean((2, 3))))
        return logits


class Layer(nn.Module):
    """Convolution, batch normalisation, ReLU and, where the recipe wants it, the block."""

    def __init__(self, inputs: int, place: Place, attach: Attach) -> None:
        super().__init__()
        self.conv = ConvNorm(inputs, place.channels, 3)
        self.standard = attach("standard", place)

    def forward(self, x: Tensor) -> Tensor:
        return through(self.standard, relu(self.conv(x)))


class _He(nn.Linear):
    """A hidden layer, He (MSRA) normal over its inputs, bias 0: PyTorch's own start shrinks the signal at each layer without BN."""

    def reset_parameters(self) -> None:
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        nn.init.zeros_(self.bias)
