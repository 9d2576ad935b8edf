"""Gated Channel Transformation: channels compete by their norms; it starts as the identity."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from senet_core.gating import as_pixels
from senet_core.registry import BLOCKS


@BLOCKS.add("gct")
class GCT(nn.Module):
    """GCT, "Gated Channel Transformation for Visual Recognition" (Yang et al., arXiv 1909.11519), with the l2 norm.

    With x the input (N, C, H, W)::

        e[n, c] = alpha[c] * sqrt(sum of x[n, c]^2 over H and W + eps)             global context embedding
        h[n, c] = e[n, c] / sqrt(mean of e[n, :]^2 over C + eps)                   channel normalisation
        y[n, c] = x[n, c] * (1 + tanh(gamma[c] * h[n, c] + beta[c]))               gating adaptation

    3 C parameters; alpha starts at 1, gamma and beta at 0, so the block starts as the identity; ``eps`` = 1e-5 (z-x-yang/GCT,
    PyTorch/GCT.py). The authors do not decay beta; here no parameter of it is decayed where only weights are (``train.decay``). They
    put it before convolutions; here it sits where the recipe says. Norms are taken in fp32 also under bf16. Another GCT, the Gaussian
    context transformer, is not meant.
    """

    def __init__(self, channels: int, size: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        if eps <= 0:
            raise ValueError(f"eps must be above 0, not {eps}")
        self.eps = eps
        self.alpha = nn.Parameter(torch.ones(channels))
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gates(x)

    def gates(self, x: Tensor) -> Tensor:
        """1 + tanh(...) as (N, C, 1, 1)."""
        pixels = as_pixels(x)
        pixels = pixels if pixels.dtype == torch.float64 else pixels.float()
        embedded = self.alpha * (pixels.square().sum(1) + self.eps).sqrt()
        normalised = embedded / (embedded.square().mean(1, keepdim=True) + self.eps).sqrt()
        return (1 + torch.tanh(self.gamma * normalised + self.beta)).to(x.dtype)[:, :, None, None]
