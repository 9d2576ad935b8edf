"""From a resolved config to a network, initialised by counted randomness."""

from __future__ import annotations

import torch
from torch import nn

from senet_core.attach import Attach
from senet_core.config import Config, Net
from senet_core.dataset import Facts
from senet_core.errors import InputError
from senet_core.own_files import mistakes
from senet_core.registry import NETWORKS
from senet_core.seeds import Seed, derive

STARTS_ITSELF = "starts_itself"
"""The attribute of a module whose initial values are those that its constructor drew, which then must not depend on the variant."""


def build(config: Config, facts: Facts, seed: Seed) -> nn.Module:
    """The network of a resolved config, on the CPU, initialised from the seed's ``init`` stream.

    Each module's own initialiser (``reset_parameters``) runs under a generator counted from its path, so parameters of the same path
    and shape start alike in every variant. A module that has ``STARTS_ITSELF`` keeps, with all inside it, what its constructor drew.

    :raises InputError: if the network or its block refuses the sizes.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "init"))
        network = _constructed(config.net, facts, Attach(config.net, seed))
        kept = {inner for module in network.modules() if getattr(module, STARTS_ITSELF, False) for inner in module.modules()}
        for path, module in network.named_modules():
            reset = getattr(module, "reset_parameters", None)
            if reset is not None and module not in kept:
                torch.manual_seed(derive(seed, "init", path))
                reset()
    return network


def skeleton(config: Config, facts: Facts) -> nn.Module:
    """The network without memory or values (on the "meta" device): enough for its shapes and costs."""
    with torch.device("meta"):
        return _constructed(config.net, facts, Attach(config.net, 0))


def _constructed(net: Net, facts: Facts, attach: Attach) -> nn.Module:
    entry = NETWORKS[net.name]
    with mistakes(f"The network '{net.name}'", entry):
        try:
            network: nn.Module = entry.value(len(facts.classes), facts.channels, facts.size, attach, **net.arguments)
        except ValueError as error:
            raise InputError(f"The network '{net.name}' cannot be built: {error}.") from error
    return network
