"""The gates of a network by class, taken in while images pass through it for another reason.

A gate is looked at where it is one number for each channel of an image. Blocks whose gate is another one at every pixel (``no_squeeze``,
``cbam`` with its spatial part, ``gather_excite`` of a limited extent, ``simam``) are left out, and so are blocks without a gate.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from senet_core.class_gates import HIGH, LOW, ClassGates
from senet_core.gates import RANGE
from senet_core.gating import is_gated


class Watch:
    """The gates of all blocks by class, added up while batches pass through a network in evaluation mode.

    As a context it puts its hooks on; ``expect`` must be told the labels of each batch before it passes. What passes is left as it is.
    """

    def __init__(self, network: nn.Module, classes: int, paths: Collection[str] | None = None) -> None:
        """Of all gated blocks, or of those at some ``paths``."""
        self._network = network
        gated = [path for path, module in network.named_modules() if is_gated(module)]
        self._sums = {path: _Sums(classes) for path in gated if paths is None or path in paths}
        self._labels = torch.zeros(0, dtype=torch.int64)
        self._hooks: list[Any] = []

    def __enter__(self) -> Watch:
        for path, own in self._sums.items():
            block = self._network.get_submodule(path)
            self._hooks.append(block.register_forward_pre_hook(lambda block, inputs, own=own: own.add(block, inputs[0], self._labels)))
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def expect(self, labels: Tensor) -> None:
        """The labels (B,) of the batch that comes next."""
        self._labels = labels.cpu()
        for own in self._sums.values():
            own.seen = False

    def found(self) -> tuple[ClassGates, ...]:
        """What was seen, block by block in the order of the network."""
        return tuple(own.summary(path) for path, own in self._sums.items() if own.usable and own.images)


class _Sums:
    """Counts, sums and sums of squares of one block's gates by class; in double precision, where their rounding does not matter.

    A block that turns out not to have one gate for each image and channel stops being looked at: its gate is another one at each pixel,
    it is called twice for a batch, or its gates are no finite numbers.
    """

    def __init__(self, classes: int) -> None:
        self.usable, self.seen = True, False
        self._counts = torch.zeros(classes, dtype=torch.int64)
        self._sum: Tensor | None = None
        self._squares = self._low = self._high = self._least = self._greatest = torch.zeros(0)

    @property
    def images(self) -> int:
        return int(self._counts.sum())

    def add(self, block: Any, x: Tensor, labels: Tensor) -> None:
        """Take in the gates of one batch."""
        if not self.usable:
            return
        found = None if self.seen else by_channel(block, x)
        if found is None or len(found) != len(labels) or not found.isfinite().all():
            self.usable = False
            return
        gates, self.seen = found.detach().to("cpu", torch.float64), True
        if self._sum is None:
            self._sum, self._squares = (torch.zeros(len(self._counts), gates.shape[1], dtype=torch.float64) for _ in range(2))
            self._low, self._high = (torch.zeros(gates.shape[1], dtype=torch.int64) for _ in range(2))
            self._least = self._greatest = gates[0]
        self._counts += torch.bincount(labels, minlength=len(self._counts))
        self._sum.index_add_(0, labels, gates)
        self._squares.index_add_(0, labels, gates.square())
        self._low += (gates < LOW).sum(0)
        self._high += (gates > HIGH).sum(0)
        least, greatest = gates.aminmax(dim=0)
        self._least, self._greatest = torch.minimum(self._least, least), torch.maximum(self._greatest, greatest)

    def summary(self, path: str) -> ClassGates:
        """The record of one block."""
        assert self._sum is not None
        counts, total, squares = self._counts.numpy(), self._sum.numpy(), self._squares.numpy()
        n, average = counts[:, None], total.sum(0) / counts.sum()
        dead = (self._greatest - self._least <= RANGE).numpy()  # what rounding leaves of such a gate is no variance
        with np.errstate(divide="ignore", invalid="ignore"):  # a class without images has no mean, one of one image no deviation
            mean = np.where(n > 0, total / n, np.nan)
            variance = np.where(n > 1, np.maximum(squares - n * mean**2, 0.0) / (n - 1), np.nan)
        return ClassGates(
            path=path,
            counts=counts.astype(np.int64),
            average=average,
            offset=np.where(dead & (n > 0), 0.0, mean - average),
            deviation=np.where(dead & (n > 1), 0.0, np.sqrt(variance)),
            low=self._low.numpy().astype(np.int64),
            high=self._high.numpy().astype(np.int64),
            least=float(self._least.min()),
            greatest=float(self._greatest.max()),
        )


def by_channel(block: Any, x: Tensor) -> Tensor | None:
    """The gates of a batch as (B, C), or None where there is not just one for each image and channel."""
    gate: Tensor = block.gates(x)
    if gate.dim() != 4 or gate.shape[0] != len(x) or gate.shape[2:] != (1, 1):
        return None
    return gate.expand(-1, x.shape[1], -1, -1)[:, :, 0, 0]
