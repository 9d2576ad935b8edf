"""What a step's speed is held against: the work of a network, counted, and what the cores can do, measured beside the arms."""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from senet_core.config import Config
from senet_core.cost import ATEN, NORMS, Operations, bare, forward
from senet_core.dataset import Facts

# -- Counted


@dataclass(frozen=True)
class Work:
    """One image's forward pass: multiply-adds, and the values that operators of each kind give. ``rescaled`` is what SE multiplies."""

    macs: int
    convolved: int
    normed: int
    activated: int
    added: int
    rescaled: int

    @property
    def flops(self) -> int:
        """Floating-point operations of one image's training: two for a multiply-add, and backward costs twice what forward does."""
        return 6 * self.macs


@dataclass(frozen=True)
class Traffic:
    """Passes over memory in one training step, for each value that an operator of a kind gives; forward and backward together.

    Each operator reads what it needs and writes what it makes once, at full size. Weights, optimiser, the loader and changes of format
    are left out, so no implementation that runs the operators one by one moves less through the core; what a cache holds does not come
    from memory, so a share of the bandwidth is one of the passes counted here, not of what a memory controller saw.
    """

    name: str
    convolved: int
    normed: int
    activated: int
    added: int
    rescaled: int

    def bytes(self, work: Work, width: int) -> int:
        """Of one image's training, with values of so many bytes."""
        passes = self.convolved * work.convolved + self.normed * work.normed + self.activated * work.activated
        return width * (passes + self.added * work.added + self.rescaled * work.rescaled)


EAGER = Traffic("eager", convolved=5, normed=8, activated=6, added=6, rescaled=13)
"""Convolution 2 forward and 3 backward, BN 3 and 5, ReLU 2 and 4: 19 where one follows the other; a residual sum 6, an SE block 13."""
COMPILED = Traffic("compiled", convolved=5, normed=8, activated=1, added=2, rescaled=3)
"""With all fused that is no convolution: 14 for convolution, BN and ReLU, a residual sum 2, an SE block 3."""
PASSES = Traffic("our passes", convolved=5, normed=8, activated=0, added=4, rescaled=0)
"""``senet_core.fused``: ReLU is part of BN's passes, and so are the gate and, but for its two tensors each way, the residual sum."""


class _Values(Operations):  # type: ignore[no-untyped-call]
    """Counts the values given as well, of every forward pass inside its ``with``."""

    def __init__(self) -> None:
        super().__init__()
        self.convolved = self.normed = self.activated = 0

    def __torch_dispatch__(self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        out, packet = super().__torch_dispatch__(func, types, args, kwargs), func._overloadpacket
        if packet == ATEN.convolution:
            self.convolved += out.numel()
        elif packet in NORMS:
            self.normed += out[0].numel()
        elif packet in (ATEN.relu, ATEN.relu_):
            self.activated += out.numel()
        return out


def work(config: Config, facts: Facts) -> Work:
    """Of a resolved config's network."""
    network = bare(config, facts)
    with _Values() as counted:
        forward(network, facts)
    values = counted.convolved, counted.normed, counted.activated
    return Work(counted.macs, *values, added=counted.added, rescaled=counted.multiplied)


# -- Measured

SIDE = 2048
"""Of the square matrices that are multiplied."""
VALUES = 2**26
"""Of each fp32 array that is streamed: 256 MiB, far beyond the caches."""
SECONDS = 0.5
"""How long each of the four is repeated; the fastest repetition counts, because a machine's other work only ever adds time."""


@dataclass(frozen=True)
class Peaks:
    """Matrix products in floating-point operations a second; a = b + 3c and a = b in bytes a second, a write counted as one pass."""

    fp32: float
    bf16: float
    triad: float
    copy: float

    @property
    def bandwidth(self) -> float:
        """The faster of the two streams."""
        return max(self.triad, self.copy)


class Prober:
    """Measures the peaks, in a process of its own that is asked in every round."""

    def __init__(self, threads: int, started: float) -> None:
        torch.set_num_threads(threads)
        for name in ("torchvision", "timm"):  # so that no arm is the first to read them from the disk
            if importlib.util.find_spec(name):
                importlib.import_module(name)

    def peaks(self) -> Peaks:
        """Now, by the threads that the arms have."""
        return measured_peaks(SIDE, VALUES, SECONDS)


def measured_peaks(side: int, values: int, seconds: float) -> Peaks:
    """The peaks with matrices of that side and arrays of so many values, each repeated for so many seconds."""

    def product(dtype: torch.dtype) -> float:
        a, b, c = (torch.rand(side, side).to(dtype) for _ in range(3))
        return 2 * side**3 / _fastest(lambda: torch.mm(a, b, out=c), seconds)

    x, y, z = (torch.rand(values) for _ in range(3))
    triad = 3 * 4 * values / _fastest(lambda: torch.add(x, y, alpha=3, out=z), seconds)
    copy = 2 * 4 * values / _fastest(lambda: z.copy_(x), seconds)
    return Peaks(product(torch.float32), product(torch.bfloat16), triad, copy)


def _fastest(action: Callable[[], object], seconds: float) -> float:
    """Seconds of the fastest repetition after a first one that is not counted; at least two are."""
    action()
    found: list[float] = []
    while len(found) < 2 or sum(found) < seconds:
        start = time.perf_counter()
        action()
        found.append(time.perf_counter() - start)
    return min(found)
