"""SimAM: a gate for every single value, without parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from senet_core.registry import BLOCKS


@BLOCKS.add("simam")
class SimAM(nn.Module):
    """SimAM, "A Simple, Parameter-Free Attention Module" (Yang et al., ICML 2021): values far from their channel's mean count more.

    With x the input (N, C, H, W) and mu, v the mean and the variance of x[n, c] over its H W pixels (divided by H W - 1)::

        E = (x - mu)^2 / (4 (v + lambda)) + 0.5        (N, C, H, W)
        y = x * sigma(E)

    ``lambda_`` = 1e-4 (ZjjConan/SimAM, networks/attentions/simam_module.py). No parameters. The authors put it before the BN of a
    unit's second convolution; here it sits where the recipe says, by default after the last BN. E is computed in fp32 also under bf16.
    """

    def __init__(self, channels: int, size: int, *, lambda_: float = 1e-4) -> None:
        super().__init__()
        if size < 2:
            raise ValueError("one pixel has no variance")
        if lambda_ <= 0:
            raise ValueError(f"lambda_ must be above 0, not {lambda_}")
        self.lambda_ = lambda_

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gates(x)

    def gates(self, x: Tensor) -> Tensor:
        """sigma(E), (N, C, H, W)."""
        values = x if x.dtype == torch.float64 else x.float()
        far = (values - values.mean((2, 3), keepdim=True)).square()
        variance = far.sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3] - 1)
        return torch.sigmoid(far / (4 * (variance + self.lambda_)) + 0.5).to(x.dtype)
