"""Efficient Channel Attention: a short convolution along the channels in place of SE's two layers."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from senet_core.gating import ChannelGate
from senet_core.registry import BLOCKS


@BLOCKS.add("eca")
class ECA(ChannelGate):
    """ECA, "ECA-Net: Efficient Channel Attention for Deep CNNs" (Wang et al., arXiv 1910.03151), equations 8, 9 and 12.

    With x the input (N, C, H, W)::

        z = mean of x over H and W               (N, C)
        s = sigma(C1D_k(z))                      (N, C)    one convolution over the channel axis, k weights, zero padding, no bias
        y[n, c] = s[n, c] * x[n, c]
        k = |log2(C) / gamma + b / gamma|_odd              equation 12, for ``kernel`` "auto"

    ``gamma`` = 2 and ``b`` = 1 in the paper; "odd" as its code has it: cut to a whole number, one more if that is even. So k is 3 for 16
    to 64 channels and 5 for 128 to 1024. k parameters, k C multiply-adds. The convolution starts as PyTorch starts it, as in the
    authors' code (BangguWu/ECANet, models/eca_module.py). The code printed in the paper's Figure 3 leaves out sigma; equation 9 has it.
    """

    def __init__(self, channels: int, size: int, *, kernel: int | Literal["auto"] = "auto", gamma: float = 2.0, b: float = 1.0) -> None:
        super().__init__()
        if gamma <= 0:
            raise ValueError(f"gamma must be above 0, not {gamma}")
        if kernel != "auto" and (gamma, b) != (2.0, 1.0):
            raise ValueError("gamma and b choose the kernel, so they cannot be given beside one")
        width = _adaptive(channels, gamma, b) if kernel == "auto" else kernel
        if width < 1 or width % 2 == 0:
            raise ValueError(f"the kernel must be odd and at least 1, not {width}")
        self.conv = nn.Conv1d(1, 1, width, padding=width // 2, bias=False)

    def excite(self, z: Tensor) -> Tensor:
        """s of equation 9 from z, both (N, C)."""
        return torch.sigmoid(self.conv(z[:, None, :])[:, 0, :])


def _adaptive(channels: int, gamma: float, b: float) -> int:
    cut = int(abs((math.log2(channels) + b) / gamma))
    return cut if cut % 2 else cut + 1
