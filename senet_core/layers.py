"""The layers that all networks are made of, each with the initialiser that the networks' papers use."""

from __future__ import annotations

import torch
from torch import nn


class Conv(nn.Conv2d):
    """A convolution without bias, padded to keep the size at stride 1, He (MSRA) normal over its outputs (He et al. 2015)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)

    def reset_parameters(self) -> None:
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        if self.groups > 1:  # PyTorch counts the outputs of all groups; an input reaches those of its own alone
            with torch.no_grad():
                self.weight.mul_(self.groups**0.5)


class ConvNorm(nn.Sequential):
    """Convolution and batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(Conv(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs))
