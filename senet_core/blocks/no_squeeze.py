"""SE without its squeeze: the excitation runs at every pixel (Table 16 of the paper)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from senet_core.gating import HeLinear, as_image, as_pixels, hidden_width
from senet_core.registry import BLOCKS


@BLOCKS.add("no_squeeze")
class NoSqueeze(nn.Module):
    """The row "NoSqueeze" of Section 7.1 and Table 16 (Hu et al., arXiv 1709.01507 v4): what global information adds to SE.

    The pooling is removed and the two fully connected layers become 1x1 convolutions of the same channel sizes, so the gate keeps the
    spatial extent::

        s[n, :, i, j] = sigma(W2 delta(W1 x[n, :, i, j]))    (N, C, H, W)
        y = s * x

    W1 is (C/r, C) and W2 (C, C/r) with r = ``reduction``; delta = ReLU, sigma = sigmoid. Parameters as SE: 2 C (C // r). Multiply-adds
    H W times SE's, 411 million in ResNet-50 at r = 16, which is the table's step from 3.86 to 4.27 GFLOPs. A 1x1 convolution is a linear
    layer on the last axis of (N, H W, C). Initialisation as SE's.
    """

    def __init__(self, channels: int, size: int, *, reduction: int = 16, bias: bool = False) -> None:
        super().__init__()
        self.hidden_width = hidden_width(channels, reduction)
        self.down = HeLinear(channels, self.hidden_width, bias=bias)
        self.up = HeLinear(self.hidden_width, channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        pixels = as_pixels(x)
        return as_image(pixels * self._s(pixels), x)

    def gates(self, x: Tensor) -> Tensor:
        """s as (N, C, H, W)."""
        return as_image(self._s(as_pixels(x)), x)

    def _s(self, pixels: Tensor) -> Tensor:
        return torch.sigmoid(self.up(relu(self.down(pixels))))
