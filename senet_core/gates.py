"""What the gates of a network do: how many of them are dead, when training starts and when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from senet_core.gating import is_gated

RANGE = 1e-6


@dataclass(frozen=True)
class BlockGates:
    """One block's gates by its path in the network: of ``channels`` channels, in how many the gate is dead, and the mean of all gates.

    A gate is dead when it has the same value for every image and pixel that is shown (its range is at most 1e-6): its hidden units are
    all off, or its curve is saturated. It then is a constant, whatever the block was meant to compute.
    """

    path: str
    channels: int
    dead: int
    mean: float


@torch.no_grad()
def block_gates(network: nn.Module, batches: Iterable[Tensor]) -> list[BlockGates]:
    """The gates of every gated block, in the order of the network, over some batches of images (N, C, H, W).

    The network runs in evaluation mode and is left in the mode it was in. Blocks that offer no ``gates`` (controls that never look at
    their input, blocks that do not multiply) are not listed.
    """
    seen = {path: _Seen() for path, module in network.named_modules() if is_gated(module)}
    hooks = [
        network.get_submodule(path).register_forward_pre_hook(lambda block, inputs, own=own: own.add(block.gates(inputs[0]), inputs[0]))
        for path, own in seen.items()
    ]
    training = network.training
    try:
        network.eval()
        for x in batches:
            network(x)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return [own.summary(path) for path, own in seen.items() if own.values]


def dead_share(found: Iterable[BlockGates]) -> float | None:
    """The share of dead gates over all blocks, or None where there is no gated block."""
    blocks = list(found)
    channels = sum(block.channels for block in blocks)
    return sum(block.dead for block in blocks) / channels if channels else None


class _Seen:
    """Least, greatest and mean gate of each channel so far."""

    def __init__(self) -> None:
        self.values = 0
        self._low: Tensor | None = None
        self._high: Tensor | None = None
        self._sum: float = 0.0

    def add(self, gate: Tensor, x: Tensor) -> None:
        """Take in the gates of one batch."""
        by_channel = gate.detach().float().expand(-1, x.shape[1], -1, -1).transpose(0, 1).flatten(1)
        low, high = by_channel.aminmax(dim=1)
        self._low = low if self._low is None else torch.minimum(self._low, low)
        self._high = high if self._high is None else torch.maximum(self._high, high)
        self._sum += float(by_channel.double().sum())
        self.values += by_channel.numel()

    def summary(self, path: str) -> BlockGates:
        """The record of one block."""
        assert self._low is not None and self._high is not None
        dead = int((self._high - self._low <= RANGE).sum())
        return BlockGates(path, len(self._low), dead, self._sum / self.values)
