"""Is it the same network? Two configs that build one function are a null ablation, however different they read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from senet_core.build import build, skeleton
from senet_core.config import Config
from senet_core.dataset import Facts

IMAGES = 2


@dataclass(frozen=True)
class _Response:
    """What a network starts from, and what it does on fixed images with redrawn parameters: outputs in both modes, and gradients."""

    start: tuple[Tensor, ...]
    values: tuple[Tensor, ...]


def first_equal(configs: Sequence[Config], facts: Facts) -> list[int]:
    """For each resolved config the index of the first one that trains the same network alike (its own where there is none before).

    Data and training must be equal, and the networks must start from the same values and be one function: all parameters and buffers
    are redrawn at random, alike for alike shapes in order, so what an initialisation hides (a gate that starts at 0) cannot make two
    networks look equal. Outputs in training and evaluation mode and all gradients are compared in double precision.
    """
    shapes = [(config.data.model_dump_json(), config.train.model_dump_json(), _shapes(config, facts)) for config in configs]
    responses: dict[int, _Response] = {}
    found: list[int] = []
    for index, own in enumerate(shapes):
        rivals = [other for other in range(index) if found[other] == other and shapes[other] == own]
        for place in [*rivals, index] if rivals else []:
            if place not in responses:
                responses[place] = _response(configs[place], facts)
        found.append(next((r for r in rivals if _alike(responses[r], responses[index])), index))
    return found


def _shapes(config: Config, facts: Facts) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(parameter.shape) for parameter in skeleton(config, facts).parameters())


def _response(config: Config, facts: Facts) -> _Response:
    network = build(config, facts, 0).double()
    start = tuple(parameter.detach().clone() for parameter in network.parameters())
    redraw(network)
    rng = np.random.Generator(np.random.Philox(key=1))
    x = torch.from_numpy(rng.standard_normal((IMAGES, facts.channels, facts.size, facts.size)))
    weights = torch.from_numpy(rng.standard_normal((IMAGES, len(facts.classes))))
    with torch.no_grad():
        evaluated = network.eval()(x)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trained = network.train()(x)
    parameters = list(network.parameters())
    gradients = torch.autograd.grad((trained * weights).sum(), parameters, allow_unused=True)
    filled = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)]
    return _Response(start, (evaluated, trained.detach(), *filled))


@torch.no_grad()
def redraw(network: nn.Module) -> None:
    """Draw every parameter and buffer anew, counted by its place: weights scaled by their fan-in, variances positive."""
    for place, (_, value) in enumerate([*network.named_parameters(), *network.named_buffers()]):
        if not value.is_floating_point():
            continue
        rng = np.random.Generator(np.random.Philox(key=[place, 2]))
        drawn = torch.from_numpy(rng.uniform(0.5, 1.5, tuple(value.shape)))
        if value.dim() > 1:
            drawn = torch.from_numpy(rng.standard_normal(tuple(value.shape))) / value[0].numel() ** 0.5
        value.copy_(drawn)


def _alike(a: _Response, b: _Response) -> bool:
    if not all(torch.equal(u, v) for u, v in zip(a.start, b.start, strict=True)):
        return False
    return all(torch.allclose(u, v, rtol=1e-7, atol=1e-9) for u, v in zip(a.values, b.values, strict=True))
