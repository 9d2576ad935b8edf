"""Convolutional Block Attention Module: SE with two squeezes, then a gate over the pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from senet_core.gating import SQUEEZES, HeLinear, as_image, as_pixels, hidden_width
from senet_core.layers import Conv
from senet_core.registry import BLOCKS


@BLOCKS.add("cbam")
class CBAM(nn.Module):
    """CBAM (Woo et al., arXiv 1807.06521): a gate over channels, then one over pixels.

    With F the input (N, C, H, W)::

        Mc = sigma(MLP(mean of F over H, W) + MLP(max of F over H, W))      (N, C)         MLP = W1 ReLU(W0 .), shared
        F' = Mc * F
        Ms = sigma(f([max of F' over C; mean of F' over C]))                (N, 1, H, W)   f = k x k convolution, 2 -> 1 channels
        F'' = Ms * F'

    ``reduction`` = 16 and ``kernel`` = 7 in the paper. As in the authors' code (Jongchan/attention-module, MODELS/cbam.py) the MLP has
    biases (``bias``), f has none and a BN with momentum 0.01 follows it. ``spatial`` False keeps the channel part alone, which is SE with
    squeeze "both". Cost: 2 C (C // r) parameters and the biases, k k 2 + 2 more for the spatial part; 4 C (C // r) + 2 k k H W
    multiply-adds. The MLP starts as SE's layers do here, f by He; the paper leaves it open.
    """

    def __init__(self, channels: int, size: int, *, reduction: int = 16, bias: bool = True, spatial: bool = True, kernel: int = 7) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"the kernel must be odd and at least 1, not {kernel}")
        if not spatial and kernel != 7:
            raise ValueError("without its spatial part CBAM has no kernel to choose")
        self.hidden_width = hidden_width(channels, reduction)
        self.down = HeLinear(channels, self.hidden_width, bias=bias)
        self.up = HeLinear(self.hidden_width, channels, bias=bias)
        self.conv = Conv(2, 1, kernel) if spatial else None
        self.norm = nn.BatchNorm2d(1, momentum=0.01) if spatial else None

    def forward(self, x: Tensor) -> Tensor:
        pixels = as_pixels(x)
        scaled = as_image(pixels * self._channel(pixels)[:, None, :], x)
        return scaled if self.conv is None else scaled * self._spatial(scaled)

    def gates(self, x: Tensor) -> Tensor:
        """The product of both gates, (N, C, H, W); of the channel gate alone, (N, C, 1, 1)."""
        channel = self._channel(as_pixels(x))[:, :, None, None]
        return channel if self.conv is None else channel * self._spatial(x * channel)

    def _channel(self, pixels: Tensor) -> Tensor:
        average, largest = (self.up(relu(self.down(squeeze(pixels)))) for squeeze in SQUEEZES.values())
        return torch.sigmoid(average + largest)

    def _spatial(self, x: Tensor) -> Tensor:
        assert self.conv is not None and self.norm is not None
        return torch.sigmoid(self.norm(self.conv(torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1))))
