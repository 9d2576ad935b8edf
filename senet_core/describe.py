"""A network layer by layer, from its skeleton: no values, no images, no memory."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from torch import Tensor, nn

from senet_core.config import Config
from senet_core.cost import NetworkCost, Operations, bare, cost, forward
from senet_core.dataset import Facts
from senet_core.layers import ConvNorm
from senet_core.registry import BLOCKS


@dataclass(frozen=True)
class Line:
    """One layer, block or unit: its path in the network, what it is, the shape that it gives for one image ((C, H, W) or (C,), empty
    where there is none to tell), its parameters, and its multiply-adds as ``senet_core.cost`` counts them.

    ``hidden_width`` is that of a block which has one; ``block`` tells the blocks' lines from the others.
    """

    path: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    macs: int
    block: bool = False
    hidden_width: int | None = None


@dataclass(frozen=True)
class Description:
    """The lines in the order of the forward pass, and the cost of the whole, which they add up to."""

    lines: tuple[Line, ...]
    cost: NetworkCost


def describe(config: Config, facts: Facts) -> Description:
    """A resolved config's network: a line for each layer with parameters and for each block.

    A convolution and the BN behind it are one line, and so is a block with all that is inside it. What has no parameters (ReLU, pooling,
    sums) has no line. A last line holds whatever parameters and products belong to none of these.
    """
    network = bare(config, facts)
    turns = count()
    rows = {path: _Row(path, module, _is_block(path, module, config), turns) for path, module in _rows("", network, config)}
    operations = Operations()
    with operations:
        hooks = [hook for row in rows.values() for hook in row.watch(operations)]
        forward(network, facts)
        for hook in hooks:
            hook.remove()
    whole, lines = cost(config, facts), [row.line(config) for row in sorted(rows.values(), key=lambda row: row.turn)]
    parameters, macs = sum(line.parameters for line in lines), sum(line.macs for line in lines)
    rest = Line("(elsewhere)", "other", (), whole.parameters - parameters, whole.macs - macs)
    return Description((*lines, *([rest] if rest.parameters or rest.macs else [])), whole)


def by_unit(lines: Iterable[Line]) -> list[Line]:
    """One line for each unit of a stage with the block in it; what is in no unit stays as it is."""
    grouped: dict[str, list[Line]] = {}
    for line in lines:
        unit = re.match(r"(.*\.)?stage\d+\.[^.]+", line.path)
        grouped.setdefault(unit[0] if unit else line.path, []).append(line)
    return [_together(path, own) if path != own[0].path else own[0] for path, own in grouped.items()]


def _together(path: str, lines: list[Line]) -> Line:
    block = next((line for line in lines if line.block), None)
    layers = [line for line in lines if not line.block]
    return Line(
        path=path,
        kind="unit" if block is None else f"unit with {block.kind}",
        shape=(layers or lines)[-1].shape,
        parameters=sum(line.parameters for line in lines),
        macs=sum(line.macs for line in lines),
        block=block is not None,
        hidden_width=block.hidden_width if block else None,
    )


def _rows(path: str, module: nn.Module, config: Config) -> Iterator[tuple[str, nn.Module]]:
    """The modules that get a line: none lies inside another."""
    if _is_block(path, module, config) or isinstance(module, ConvNorm):
        yield path, module
        return
    children = list(module.named_children())
    if not children and any(True for _ in module.parameters()):
        yield path, module
    for name, child in children:
        yield from _rows(f"{path}.{name}" if path else name, child, config)


def _is_block(path: str, module: nn.Module, config: Config) -> bool:
    """Whether a module is one of the network's blocks: of the registered class, or, for a registered function, at a place of that name."""
    if config.net.block is None:
        return False
    made = BLOCKS[config.net.block.name].value
    return isinstance(module, made) if inspect.isclass(made) else path.rpartition(".")[2] == config.net.placement


class _Row:
    """What is seen of one line's module while an image passes; ``turn`` is its place in that pass, infinite for what is not called."""

    def __init__(self, path: str, module: nn.Module, block: bool, turns: Iterator[int]) -> None:
        self.path, self.module, self.block = path, module, block
        self.shape: tuple[int, ...] = ()
        self.macs = self._before = 0
        self.turn, self._turns = math.inf, turns

    def watch(self, operations: Operations) -> list[Any]:
        def enter(module: nn.Module, inputs: Any) -> None:
            self._before = operations.macs
            self.turn = min(self.turn, next(self._turns))

        def leave(module: nn.Module, inputs: Any, output: Any) -> None:
            self.macs += operations.macs - self._before
            self.shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()

        # First of all hooks: one of the network's own may run a block behind this module, which has a line of its own.
        return [self.module.register_forward_pre_hook(enter), self.module.register_forward_hook(leave, prepend=True)]

    def line(self, config: Config) -> Line:
        block = config.net.block.name if self.block and config.net.block else None
        kind = f"block {block}, {config.net.placement}" if block else _kind(self.module)
        parameters = sum(p.numel() for p in self.module.parameters() if p.requires_grad)
        width = getattr(self.module, "hidden_width", None)
        return Line(self.path, kind, self.shape, parameters, self.macs, self.block, width if isinstance(width, int) else None)


def _kind(module: nn.Module) -> str:
    if isinstance(module, ConvNorm):
        return f"{_kind(module[0])} + BN"
    if isinstance(module, nn.Conv2d):
        height, width = module.kernel_size
        stride = f" / {module.stride[0]}" if module.stride[0] != 1 else ""
        groups = {1: "", module.in_channels: ", depthwise"}.get(module.groups, f", {module.groups} groups")
        return f"conv {height}x{width}{stride}{groups}"
    if isinstance(module, nn.BatchNorm2d):
        return "BN"
    return "linear" if isinstance(module, nn.Linear) else type(module).__name__
