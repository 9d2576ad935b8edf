"""Gather-Excite, by SE's authors: context gathered over an extent, with or without parameters."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from senet_core.gating import HeLinear, as_image, as_pixels, hidden_width
from senet_core.layers import Conv
from senet_core.registry import BLOCKS


@BLOCKS.add("gather_excite")
class GatherExcite(nn.Module):
    """Gather-Excite (Hu et al., arXiv 1810.12348): y = x * sigma(interp(excite(gather(x)))), x (N, C, H, W).

    ``extent`` e is how far context is gathered, 0 for the whole map ("global"); the result is brought back to (H, W) by nearest
    neighbours. ``form``, in the paper's names:

    - "theta_minus", GE-theta-minus: gather is an average over 2 e - 1 pixels at stride e; no parameters, excite is the identity.
    - "theta", GE-theta: gather is learned: log2(e) depthwise 3x3 convolutions of stride 2, each with BN and a ReLU between them, or
      one depthwise convolution of the size of the map and BN for the global extent.
    - "theta_plus", GE-theta-plus: as "theta", and excite is SE's: 1x1 convolutions C -> C/r -> C with a ReLU between, r = ``reduction``.

    Parameters for the global extent: 0; C (H W + 2); C (H W + 2) + 2 C (C // r). Average pooling leaves out what padding adds, as the
    authors' Caffe models do. The depthwise convolutions start by He over their outputs, the excitation as SE's; the paper leaves it open.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        form: Literal["theta_minus", "theta", "theta_plus"] = "theta_plus",
        extent: Literal[0, 2, 4, 8] = 0,
        reduction: int = 16,
    ) -> None:
        super().__init__()
        if extent > size:
            raise ValueError(f"an extent of {extent} pixels does not fit into {size}; 0 gathers over the whole map")
        if form != "theta_plus" and reduction != 16:
            raise ValueError("only form 'theta_plus' has a reduction ratio")
        self.extent = extent
        self.gather = None if form == "theta_minus" else _gather(channels, size, extent)
        if form == "theta_plus":
            self.hidden_width = hidden_width(channels, reduction)
            self.down = HeLinear(channels, self.hidden_width, bias=False)
            self.up = HeLinear(self.hidden_width, channels, bias=False)
        self.excites = form == "theta_plus"

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gates(x)

    def gates(self, x: Tensor) -> Tensor:
        """The interpolated gate: (N, C, 1, 1) for the global extent, else (N, C, H, W)."""
        context = self._pooled(x) if self.gather is None else self.gather(x)
        if self.excites:
            context = as_image(self.up(relu(self.down(as_pixels(context)))), context)
        s = torch.sigmoid(context)
        return s if self.extent == 0 else interpolate(s, size=x.shape[2:], mode="nearest")

    def _pooled(self, x: Tensor) -> Tensor:
        if self.extent == 0:
            return as_pixels(x).mean(1)[:, :, None, None]
        e = self.extent
        return avg_pool2d(x, 2 * e - 1, e, e - 1, count_include_pad=False)


class _WholeMap(Conv):
    """A depthwise convolution of the size of the map: one weight for each pixel of each channel."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels, channels, size, groups=channels)
        self.padding = (0, 0)


def _gather(channels: int, size: int, extent: int) -> nn.Sequential:
    if extent == 0:
        return nn.Sequential(_WholeMap(channels, size), nn.BatchNorm2d(channels))
    steps = nn.Sequential()
    for _ in range(extent.bit_length() - 1):  # log2 of the extent
        steps.extend([Conv(channels, channels, 3, 2, groups=channels), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)])
    return steps[:-1]  # a ReLU stands between the steps, not after the last one
