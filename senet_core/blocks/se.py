"""Squeeze-and-Excitation with the parts that the paper ablates: reduction ratio, squeeze operator, gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from senet_core.registry import BLOCKS

Operator = Callable[[Tensor], Tensor]

SQUEEZES: dict[str, Operator] = {"average": lambda pixels: pixels.mean(1), "max": lambda pixels: pixels.amax(1)}  # (N, H W, C) -> (N, C)
GATES: dict[str, Operator] = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": relu}


class _He(nn.Linear):
    """A linear layer that starts as the paper's authors start it: He (MSRA) normal over the inputs, bias 0."""

    def reset_parameters(self) -> None:
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        if self.bias is not None:
            nn.init.zeros_(self.bias)


@BLOCKS.add("se")
class SE(nn.Module):
    """Squeeze-and-Excitation, "Squeeze-and-Excitation Networks" (Hu et al., arXiv 1709.01507 v4), equations 2 to 4.

    With x the input (N, C, H, W), U in the paper::

        z = mean of x over H and W        (N, C)    equation 2; "max" takes the maximum instead (Table 11)
        s = sigma(W2 delta(W1 z))         (N, C)    equation 3; delta = ReLU, sigma = ``gate`` (Table 12)
        y[n, c] = s[n, c] * x[n, c]                 equation 4

    W1 is (C/r, C) and W2 (C, C/r) with r = ``reduction`` (Table 10). The hidden width C/r is ``max(1, C // r)`` and never rounded to a
    multiple of anything, so each ratio is a network of its own. The layers have no bias by default: Section 6 removes them.
    Cost: 2 C (C // r) parameters and as many multiply-adds. Initialisation is left open by the paper; here He normal, biases 0.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        reduction: int = 16,
        squeeze: Literal["average", "max"] = "average",
        gate: Literal["sigmoid", "tanh", "relu"] = "sigmoid",
        bias: bool = False,
    ) -> None:
        super().__init__()
        if reduction < 1:
            raise ValueError(f"the reduction ratio must be at least 1, not {reduction}")
        self.hidden_width = max(1, channels // reduction)
        self.down = _He(channels, self.hidden_width, bias=bias)
        self.up = _He(self.hidden_width, channels, bias=bias)
        self.squeeze = SQUEEZES[squeeze]
        self.gate = GATES[gate]

    def forward(self, x: Tensor) -> Tensor:
        # With channels last in memory this is a view, and reductions over it are two to four times as fast on a CPU as over (2, 3).
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)
        s = self.gate(self.up(relu(self.down(self.squeeze(pixels)))))
        scaled = pixels * s[:, None, :]
        return scaled.view(x.shape[0], *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)
