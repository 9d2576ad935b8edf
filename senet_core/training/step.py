"""One optimisation step, with fixed shapes and nothing asked of the host, so that a GPU could replay it as a captured graph."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from senet_core.config import Train
from senet_core.training.batches import Batches, Draw
from senet_core.training.kernels import Kernels, autocast


class Step:
    """Fetch, forward, loss, backward, update; sums of loss and of wrong images stay on the device until they are read."""

    def __init__(self, network: nn.Module, batches: Batches, train: Train, device: torch.device, kernels: Kernels = "native") -> None:
        self._kernels = kernels
        self._network, self._batches, self._train, self._device = network, batches, train, device
        self._rate = torch.zeros((), device=device)
        self.optimizer = torch.optim.SGD(
            parameter_groups(network, train), lr=self._rate, momentum=train.momentum, nesterov=train.nesterov, fused=True
        )
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)

    def __call__(self, draw: Draw, rate: float) -> None:
        """Train on one batch at one learning rate."""
        self._rate.fill_(rate)
        x, y = self._batches.fetch(*draw)
        with self.autocast():
            logits = self._network(x)
        logits = logits.float()
        loss = cross_entropy(logits, y, label_smoothing=self._train.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        with torch.no_grad():
            self._sums += torch.stack([loss.detach().double() * len(y), (logits.argmax(1) != y).sum().double()])

    def autocast(self) -> ExitStack:
        """bf16 where the recipe says so; the parameters stay fp32."""
        return autocast(self._device.type, self._train.precision == "bf16", self._kernels)

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a saved optimizer; its learning rate stays this step's own tensor."""
        self.optimizer.load_state_dict(state)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate

    def read(self) -> tuple[float, float]:
        """Sums of loss and of wrong images since the last reading; the one moment that waits for the device."""
        loss, wrong = self._sums.tolist()
        self._sums.zero_()
        return loss, wrong


def parameter_groups(network: nn.Module, train: Train) -> list[dict[str, object]]:
    """Parameters with and without weight decay, told apart by the type of their module, never by their shape."""
    weights = {id(m.weight) for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear)}
    every = train.decay == "all"
    decayed = [p for p in network.parameters() if every or id(p) in weights]
    free = [p for p in network.parameters() if not every and id(p) not in weights]
    groups: list[dict[str, object]] = [{"params": decayed, "weight_decay": train.weight_decay}]
    return [*groups, {"params": free, "weight_decay": 0.0}] if free else groups
