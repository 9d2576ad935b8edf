"""How fast steps are here: a few real ones on random images, timed."""

from __future__ import annotations

import time
from itertools import count

import numpy as np
import torch

from senet_core.build import build
from senet_core.config import Config
from senet_core.dataset import Arrays, Facts
from senet_core.training.batches import Batches
from senet_core.training.execution import Execution
from senet_core.training.step import Step

STEPS = 4


class Probe:
    """Trains a resolved config's network on noise, with an execution that it sets for the whole process."""

    def __init__(self, config: Config, facts: Facts, device: torch.device, execution: Execution) -> None:
        execution.apply()
        network = execution.formatted(build(config, facts, 0).to(device))
        batches = Batches(_noise(config, facts), config.but({"data.holdout": 0}), 0, device, execution.memory_format)
        self._step = Step(network.train(), batches, config.train, device, execution.kernels)
        self._draws = (draw for epoch in count() for draw in batches.draws(epoch))

    def seconds(self) -> float:
        """Of one step."""
        draw = next(self._draws)
        start = time.perf_counter()
        self._step(draw, 0.0)
        self._step.read()
        return time.perf_counter() - start


def seconds_per_trial(config: Config, facts: Facts, device: torch.device, execution: Execution) -> float:
    """Expected seconds of a whole trial: its training steps, and the evaluation at a third of a training image's time each.

    The fastest of a few steps counts, because a machine's other work only ever adds time.
    """
    probe = Probe(config, facts, device, execution)
    seconds = [probe.seconds() for _ in range(STEPS)]
    trained = (facts.train - config.data.holdout) // config.train.batch * config.train.batch * config.train.epochs
    evaluated = config.data.holdout or facts.test
    return min(seconds[1:]) / config.train.batch * (trained + evaluated / 3)


def _noise(config: Config, facts: Facts) -> Arrays:
    images = config.train.batch * STEPS
    pixels = np.random.default_rng(0).integers(0, 256, (images, facts.size, facts.size, facts.channels), dtype=np.uint8)
    labels = np.arange(images, dtype=np.int64) % len(facts.classes)
    return Arrays(pixels, labels, pixels[:1], labels[:1])
