"""Does the ``noise`` stream move a network at all? Only one that draws random numbers while it trains: Shake-Shake, dropout."""

from __future__ import annotations

import torch

from senet_core.build import build
from senet_core.config import Config
from senet_core.dataset import Facts
from senet_core.function import redraw
from senet_core.seeds import generator

IMAGES = 4


def draws_noise(config: Config, facts: Facts) -> bool:
    """Whether a resolved config's network answers the same images otherwise when its random numbers are others.

    All its parameters are redrawn first: a branch that starts at zero would hide what is drawn in it.
    """
    network = build(config, facts, 0).train()
    redraw(network)
    shape = (IMAGES, facts.channels, facts.size, facts.size)
    images = torch.from_numpy(generator(0, "noise", "drawn").standard_normal(shape, dtype="float32"))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        answers = []
        for number in (0, 1):
            torch.manual_seed(number)
            answers.append(network(images))
    return not torch.equal(*answers)
