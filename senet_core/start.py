"""How a network stands when training starts: what shows before a step is made, from noise in place of images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from senet_core.build import build
from senet_core.config import Config
from senet_core.dataset import Facts
from senet_core.gates import block_gates, dead_share
from senet_core.seeds import generator

IMAGES = 16


@dataclass(frozen=True)
class Start:
    """At the first step of seed 0, in fp32: the norm of the loss's gradient at the stem's weights, and the share of dead gates
    (None where no block is gated, or all of them start as the identity, as GCT does)."""

    stem_gradient: float
    dead_gates: float | None


def start(config: Config, facts: Facts) -> Start:
    """Build a resolved config's network from seed 0 and look at it with a batch of standard normal noise.

    The stem is the network's first weight. Its gradient tells what a placement or a gate does to the scale of the signal on its way
    through all the others: compare it with the reference's.
    """
    network = build(config, facts, 0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # so that the statistics which the gates are then seen under are those of this very batch
    rng = generator(0, "noise", "start")
    x = torch.from_numpy(rng.standard_normal((IMAGES, facts.channels, facts.size, facts.size), dtype="float32"))
    y = torch.arange(IMAGES) % len(facts.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        gradient = _stem_gradient(network, x, y, len(facts.classes))
        found = block_gates(network.train(), [x])
    identity = all(block.dead == block.channels and block.mean == 1 for block in found)
    return Start(gradient, None if identity else dead_share(found))  # one such block among others is a dead one, not an identity


def _stem_gradient(network: nn.Module, x: torch.Tensor, y: torch.Tensor, classes: int) -> float:
    stem = next(parameter for parameter in network.parameters() if parameter.dim() > 1)
    logits = network.train()(x)
    if logits.shape != (len(x), classes):
        raise ValueError(
            f"of {len(x)} images it gives the shape {tuple(logits.shape)}, not ({len(x)}, {classes}), one number for each class"
        )
    loss = cross_entropy(logits, y)
    (gradient,) = torch.autograd.grad(loss, [stem])
    return float(gradient.norm())
