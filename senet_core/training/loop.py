"""The training of one trial from its config and seed: a complete schedule, then one reading of the evaluation images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from senet_core.build import build
from senet_core.class_gates import ClassGates
from senet_core.config import Config
from senet_core.dataset import Arrays, Facts
from senet_core.gates import BlockGates, block_gates
from senet_core.seeds import Seed, derive
from senet_core.training.batches import Batches
from senet_core.training.checkpoint import Checkpoints
from senet_core.training.execution import Execution
from senet_core.training.schedule import learning_rate
from senet_core.training.step import Step
from senet_core.watch import Watch

GLANCE = 256  # training images that show which gates are dead


class Interrupted(Exception):
    """Training stopped at a step because it was asked to; the last epoch's checkpoint is kept."""


@dataclass(frozen=True)
class EpochRecord:
    """Training side of one epoch: mean loss (nats, label smoothing included), top-1 error (%), the last step's learning rate."""

    epoch: int
    loss: float
    error: float
    lr: float


@dataclass
class Progress:
    """What a trial has so far; with the weights it is all that a checkpoint holds."""

    epoch: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    sittings: int = 0


@dataclass(frozen=True)
class Evaluation:
    """Errors in percent, loss in nats, and for each image whether it was right."""

    top1_error: float
    top5_error: float
    loss: float
    top1: NDArray[np.bool_]
    top5: NDArray[np.bool_]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """What training gave. A loss that is not finite ends a trial as "diverged", without an evaluation and without ``gates``: what the
    trained network's gates do on the first ``GLANCE`` training images. ``class_gates`` is what they do by class on the evaluation images,
    as the one reading of them showed it; of a diverged trial, and of a network without such gates, nothing."""

    status: Literal["done", "diverged"]
    progress: Progress
    evaluation: Evaluation | None
    evaluation_seconds: float
    execution: Execution
    weights: dict[str, torch.Tensor]
    images_per_epoch: int
    gates: tuple[BlockGates, ...] | None
    class_gates: tuple[ClassGates, ...] = ()


def fit(
    config: Config,
    seed: Seed,
    arrays: Arrays,
    facts: Facts,
    *,
    device: torch.device,
    execution: Execution,
    checkpoints: Checkpoints | None = None,
    on_epoch: Callable[[EpochRecord, float], None] = lambda record, seconds: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train a resolved config from one seed, going on from the last checkpoint if there is one.

    A resume repeats the execution that the checkpoint states; on a CPU it then ends bit for bit as an uninterrupted run.
    ``on_epoch`` gets each epoch's record and its seconds; ``should_stop`` is asked before each step.

    :raises Interrupted: when ``should_stop`` said so.
    """
    saved = checkpoints.load() if checkpoints else None
    if saved and saved["device"] == device.type:
        execution = Execution(**saved["execution"])
    execution.apply()
    trainer = _Trainer(config, seed, arrays, facts, device, execution)
    if saved:
        trainer.restore(saved)
    trainer.progress.sittings += 1
    while trainer.progress.epoch < config.train.epochs:
        finite = trainer.epoch(should_stop)
        if not finite:
            return trainer.outcome("diverged", None, 0.0)
        on_epoch(trainer.progress.history[-1], trainer.progress.seconds[-1])
        if checkpoints:
            checkpoints.save(trainer.state())
    start = time.perf_counter()
    with Watch(trainer.network, len(facts.classes)) as watch:
        evaluation = evaluate(trainer.network, trainer.batches, trainer.step, watch.expect)
    seconds = time.perf_counter() - start
    if not math.isfinite(evaluation.loss):
        return trainer.outcome("diverged", None, seconds)
    return replace(trainer.outcome("done", evaluation, seconds), class_gates=watch.found())


class _Trainer:
    """Network, batches, step and progress of one trial, and how they become a checkpoint."""

    def __init__(self, config: Config, seed: Seed, arrays: Arrays, facts: Facts, device: torch.device, execution: Execution) -> None:
        self.config, self.seed, self.device, self.execution = config, seed, device, execution
        self.network = execution.formatted(build(config, facts, seed).to(device))
        self.batches = Batches(arrays, config, seed, device, execution.memory_format)
        self.step = Step(self.network, self.batches, config.train, device, execution.kernels)
        self.progress = Progress()

    def epoch(self, should_stop: Callable[[], bool]) -> bool:
        """Train one epoch; False if the loss stopped being finite, in which case the epoch has no record."""
        start, number, steps = time.perf_counter(), self.progress.epoch, self.batches.steps
        self.network.train()
        torch.manual_seed(derive(self.seed, "noise", number))
        rate = 0.0
        for index, draw in enumerate(self.batches.draws(number)):
            if should_stop():
                raise Interrupted
            rate = learning_rate(self.config.train, number * steps + index, steps)
            self.step(draw, rate)
        images = steps * self.config.train.batch
        loss, wrong = self.step.read()
        self.progress.seconds.append(time.perf_counter() - start)
        if not math.isfinite(loss):
            return False
        self.progress.history.append(EpochRecord(number + 1, loss / images, 100 * wrong / images, rate))
        self.progress.epoch += 1
        return True

    def state(self) -> dict[str, Any]:
        """All that a resume needs, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.step.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "execution": self.execution.plain(),
            "device": self.device.type,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The reverse of ``state``."""
        self.network.load_state_dict(state["network"])
        self.step.restore(state["optimizer"])
        saved = state["progress"]
        history = [EpochRecord(**record) for record in saved["history"]]
        self.progress = Progress(saved["epoch"], history, list(saved["seconds"]), saved["sittings"])

    def outcome(self, status: Literal["done", "diverged"], evaluation: Evaluation | None, seconds: float) -> Outcome:
        """The trial's end."""
        weights = {name: value.detach().cpu() for name, value in self.network.state_dict().items()}
        images = self.batches.steps * self.config.train.batch
        gates = None if evaluation is None else tuple(block_gates(self.network, self.batches.glance(GLANCE)))
        return Outcome(status, self.progress, evaluation, seconds, self.execution, weights, images, gates)


@torch.no_grad()
def evaluate(network: nn.Module, batches: Batches, step: Step, expect: Callable[[torch.Tensor], None] = lambda labels: None) -> Evaluation:
    """Read the evaluation images once, in order, with the network in evaluation mode; ``expect`` is told the labels of each batch before
    it passes."""
    network.eval()
    top1, top5, total = [], [], torch.zeros((), dtype=torch.float64)
    for x, y in batches.evaluation():
        expect(y)
        with step.autocast():
            logits = network(x)
        logits = logits.float()
        best = logits.topk(min(5, logits.shape[1]), dim=1).indices == y[:, None]
        top1.append(best[:, 0].cpu())
        top5.append(best.any(1).cpu())
        total += cross_entropy(logits, y, reduction="sum").double().cpu()
    right1, right5 = torch.cat(top1).numpy(), torch.cat(top5).numpy()
    images = len(right1)
    return Evaluation(
        top1_error=100 * (images - int(right1.sum())) / images,
        top5_error=100 * (images - int(right5.sum())) / images,
        loss=float(total) / images,
        top1=right1,
        top5=right5,
        labels=batches.evaluation_labels,
    )
