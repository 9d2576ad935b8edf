"""A control: one learned scale a channel that never looks at the input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from senet_core.registry import BLOCKS


@BLOCKS.add("static_scale")
class StaticScale(nn.Module):
    """y[n, c] = a[c] * x[n, c] with a (C) learned: SE without its dependence on the input.

    Between ``constant`` and SE it tells learning which channels matter on the whole from recalibrating them image by image. All entries
    of a begin at ``start``, by default 0.5, where a sigmoid gate begins. C parameters; like BN's scales they are not decayed where only
    weights are (``train.decay``). This project's own control; after a BN it adds nothing that the BN's own scale could not express, so
    there it is a control of the optimiser too.
    """

    def __init__(self, channels: int, size: int, *, start: float = 0.5) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale.to(x.dtype)[:, None, None]
