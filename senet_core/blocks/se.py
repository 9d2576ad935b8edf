"""Squeeze-and-Excitation with the parts that the paper ablates: reduction ratio, squeeze operator, gate."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import relu

from senet_core.gating import SQUEEZES, ChannelGate, Gate, HeLinear, Init, gate_of, hidden_width
from senet_core.registry import BLOCKS


@BLOCKS.add("se")
class SE(ChannelGate):
    """Squeeze-and-Excitation, "Squeeze-and-Excitation Networks" (Hu et al., arXiv 1709.01507 v4), equations 2 to 4.

    With x the input (N, C, H, W), U in the paper::

        z = mean of x over H and W        (N, C)    equation 2; "max" takes the maximum instead (Table 11)
        s = sigma(W2 delta(W1 z))         (N, C)    equation 3; delta = ReLU, sigma = ``gate`` (Table 12)
        y[n, c] = s[n, c] * x[n, c]                 equation 4

    W1 is (C/r, C) and W2 (C, C/r) with r = ``reduction`` (Table 10). The hidden width C/r is ``max(1, C // r)`` and never rounded to a
    multiple of anything, so each ratio is a network of its own. The layers have no bias by default: Section 6 removes them.
    Cost: 2 C (C // r) parameters and as many multiply-adds (twice as many with squeeze "both").

    Beyond the paper: squeeze "both" adds W2 delta(W1 z) of the average and of the maximum before sigma, as CBAM's channel part does;
    gate "hard_sigmoid" is ReLU6(t + 3) / 6; ``init`` "matched" doubles or shifts sigma so that its mean is 1 when training starts
    (``senet_core.gating.gate_of``). Initialisation is left open by the paper; here He normal, biases 0.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        reduction: int = 16,
        squeeze: Literal["average", "max", "both"] = "average",
        gate: Gate = "sigmoid",
        bias: bool = False,
        init: Init = "published",
    ) -> None:
        super().__init__()
        self.hidden_width = hidden_width(channels, reduction)
        self.down = HeLinear(channels, self.hidden_width, bias=bias)
        self.up = HeLinear(self.hidden_width, channels, bias=bias)
        self.squeezes = [SQUEEZES[name] for name in (("average", "max") if squeeze == "both" else (squeeze,))]
        self.gate = gate_of(gate, init)

    @property
    def reads_means(self) -> bool:
        """Whether the squeeze is the average alone."""
        return self.squeezes == [SQUEEZES["average"]]

    def excite(self, z: Tensor) -> Tensor:
        """s of equation 3 from z of equation 2, both (N, C)."""
        return self.gate(self._excited(z))

    def _excited(self, z: Tensor) -> Tensor:
        excited: Tensor = self.up(relu(self.down(z)))
        return excited

    def _s(self, pixels: Tensor) -> Tensor:
        if self.reads_means:
            return super()._s(pixels)
        excited = [self._excited(squeeze(pixels)) for squeeze in self.squeezes]
        return self.gate(excited[0] if len(excited) == 1 else excited[0] + excited[1])
