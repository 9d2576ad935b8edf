"""What a network costs, counted without training: parameters, multiply-adds, hidden widths."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from senet_core.build import skeleton
from senet_core.config import Config
from senet_core.dataset import Facts


@dataclass(frozen=True)
class NetworkCost:
    """Trainable parameters; multiply-adds of convolutions and matrix products in one image's forward pass (half of what PyTorch
    calls FLOPs); the hidden widths of the attention blocks as built, one for each distinct width, in the order of the network."""

    parameters: int
    macs: int
    hidden_widths: tuple[int, ...]


def cost(config: Config, facts: Facts) -> NetworkCost:
    """The cost of a resolved config's network on images of the data set's size."""
    network = skeleton(config, facts).eval()
    image = torch.empty(1, facts.channels, facts.size, facts.size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
    widths = (getattr(module, "hidden_width", None) for module in network.modules())
    built = dict.fromkeys(width for width in widths if isinstance(width, int))
    return NetworkCost(parameters, counter.get_total_flops() // 2, tuple(built))
