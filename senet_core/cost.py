"""What a network costs, counted without training: parameters, multiply-adds, hidden widths, and what other countings add to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from senet_core.build import skeleton
from senet_core.config import Config
from senet_core.dataset import Facts


@dataclass(frozen=True)
class NetworkCost:
    """Trainable parameters; multiply-adds of convolutions and matrix products in one image's forward pass (half of what PyTorch
    calls FLOPs); the hidden widths of the attention blocks as built, one for each distinct width, in the order of the network.

    What these leave out and some publications count: ``batch_norm_statistics``, the running means and variances; ``multiplied``, the
    values made by multiplying one tensor with another (the rescaling of a block); ``added``, those made by adding two (the sums of
    identity and branch).
    """

    parameters: int
    macs: int
    hidden_widths: tuple[int, ...]
    batch_norm_statistics: int
    multiplied: int
    added: int


ATEN = torch.ops.aten
IN_PLACE = (ATEN.normal_, ATEN.uniform_, ATEN.relu_)
POINTWISE = (ATEN.relu, ATEN.sigmoid)
NORMS = (ATEN.native_batch_norm, ATEN._native_batch_norm_legit_no_training)


class Operations(TorchDispatchMode):
    """Counts the work of every forward pass inside its ``with``: ``macs``, ``multiplied`` and ``added`` as in ``NetworkCost``.

    For skeletons alone: of random draws and of what keeps a shape it gives the shape, since PyTorch takes longer to find that out than
    for all the rest.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = self.multiplied = self.added = 0

    def __torch_dispatch__(self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        given, packet = dict(kwargs or {}), func._overloadpacket
        if packet in IN_PLACE:
            return args[0]
        if packet in POINTWISE:
            return torch.empty_like(args[0])
        if packet in NORMS:
            nothing = torch.empty(0, device="meta")
            return torch.empty_like(args[0]), nothing, nothing
        out = func(*args, **given)
        formula: Callable[..., int] | None = flop_registry.get(packet)
        if formula is not None:
            self.macs += formula(*args, **given, out_val=out) // 2
        elif len(args) > 1 and isinstance(args[0], Tensor) and isinstance(args[1], Tensor):
            self.multiplied += out.numel() if packet in (ATEN.mul, ATEN.mul_) else 0
            self.added += out.numel() if packet in (ATEN.add, ATEN.add_) else 0
        return out


class Count:
    """What ``NetworkCost`` holds, each part counted when it is asked for first: parameters need no forward pass."""

    def __init__(self, config: Config, facts: Facts) -> None:
        self._network, self._facts = bare(config, facts), facts

    @cached_property
    def parameters(self) -> int:
        """Trainable parameters."""
        return sum(p.numel() for p in self._network.parameters() if p.requires_grad)

    @cached_property
    def hidden_widths(self) -> tuple[int, ...]:
        """One for each distinct width, in the order of the network."""
        widths = (getattr(module, "hidden_width", None) for module in self._network.modules())
        return tuple(dict.fromkeys(width for width in widths if isinstance(width, int)))

    @cached_property
    def batch_norm_statistics(self) -> int:
        """Running means and variances."""
        return sum(b.numel() for name, b in self._network.named_buffers() if name.endswith(("running_mean", "running_var")))

    @cached_property
    def operations(self) -> Operations:
        """The work of one image's forward pass."""
        operations = Operations()
        with operations:
            forward(self._network, self._facts)
        return operations


def cost(config: Config, facts: Facts) -> NetworkCost:
    """The cost of a resolved config's network on images of the data set's size."""
    count = Count(config, facts)
    work = count.operations
    return NetworkCost(count.parameters, work.macs, count.hidden_widths, count.batch_norm_statistics, work.multiplied, work.added)


def bare(config: Config, facts: Facts) -> nn.Module:
    """The network's skeleton in evaluation mode."""
    with Operations():
        return skeleton(config, facts).eval()


@torch.no_grad()
def forward(network: nn.Module, facts: Facts) -> None:
    """Pass one image without content through a skeleton."""
    network(torch.empty(1, facts.channels, facts.size, facts.size, device="meta"))
