"""A control: a gate that is one fixed number."""

from __future__ import annotations

from torch import Tensor, nn

from senet_core.registry import BLOCKS


@BLOCKS.add("constant")
class Constant(nn.Module):
    """y = ``value`` * x: what a gate does to the scale of the signal, and nothing else.

    A sigmoid gate starts near 0.5, so beside SE this control at 0.5 shows how much of a difference is one of scale at initialisation; it
    matters most where nothing normalises the scale away again (placements POST and Identity). At ``value`` 1 the network is the plain
    one, and is found to be. No parameters; this project's own control, not part of any paper.
    """

    def __init__(self, channels: int, size: int, *, value: float = 0.5) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return x * self.value
