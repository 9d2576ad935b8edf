"""Effective SE: one full layer in place of SE's bottleneck of two."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import hardsigmoid

from senet_core.gating import ChannelGate, HeLinear
from senet_core.registry import BLOCKS


@BLOCKS.add("ese")
class ESE(ChannelGate):
    """eSE of VoVNetV2, "CenterMask" (Lee and Park, arXiv 1911.06667): no reduction, so nothing is lost in a bottleneck.

    With x the input (N, C, H, W)::

        z = mean of x over H and W          (N, C)
        s = hard_sigmoid(W z + b)           (N, C)    W (C, C); hard_sigmoid(t) = ReLU6(t + 3) / 6
        y[n, c] = s[n, c] * x[n, c]

    C C + C parameters, C C multiply-adds: r / 2 times SE's. The bias and the hard sigmoid are those of the authors' code
    (youngwanLEE/centermask2, vovnet.py). W starts as SE's layers do here, b at 0.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.full = HeLinear(channels, channels)

    def excite(self, z: Tensor) -> Tensor:
        """s from z, both (N, C)."""
        return hardsigmoid(self.full(z))
