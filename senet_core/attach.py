"""Where a network's attention blocks sit: the mask over stages, the placement in a unit, and how a block is made there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from senet_core.config import Block, Net, Placement
from senet_core.errors import InputError
from senet_core.registry import BLOCKS
from senet_core.seeds import Seed, derive


@dataclass(frozen=True)
class Place:
    """Where a block could sit: the unit's path in the network ("stage1.unit2"), its stage, and the shape (channels, size, size) there."""

    path: str
    stage: int
    channels: int
    size: int


class Attach:
    """Asked by a network at every place where a block could sit; makes the block where the recipe wants one."""

    def __init__(self, net: Net, seed: Seed) -> None:
        self._block, self._placement, self._stages, self._seed = net.block, net.placement, net.stages, seed
        self._by_stage = net.by_stage

    @property
    def wants_blocks(self) -> bool:
        """Whether the recipe has a block at all."""
        return self._block is not None

    def __call__(self, placement: Placement, place: Place) -> nn.Module | None:
        """The block at one place, or None. What it draws in its constructor is counted from the place's path, so a block with loose
        parameters starts alike wherever the rest of the network differs."""
        wanted = self._stages == "all" or place.stage in self._stages
        if self._block is None or placement != self._placement or not wanted:
            return None
        own = {name: values[place.stage - 1] for name, values in self._by_stage.items()}
        return _made(self._block, {**self._block.arguments, **own}, place, derive(self._seed, "init", place.path, "block"))


def _made(block: Block, arguments: Mapping[str, Any], place: Place, seed: int) -> nn.Module:
    make: Callable[..., nn.Module] = BLOCKS[block.name].value
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return make(place.channels, place.size, **arguments)
        except ValueError as error:
            raise InputError(
                f"The block '{block.name}' cannot be built for {place.channels} channels of size {place.size}: {error}."
            ) from error
        except InputError:
            raise
        except Exception as error:
            if BLOCKS[block.name].source is None:
                raise
            raise InputError(f"The block '{block.name}' cannot be built: {type(error).__name__}: {error}") from error
