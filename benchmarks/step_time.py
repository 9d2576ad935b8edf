"""How long a training step takes, variant against variant: ``python -m benchmarks.step_time SUITE [--preset quick] [--threads 2]``.

The arms take their steps in turn, so a machine that slows down slows all of them; quoted are the median of the ratios to the first arm
within each round, and their quartiles. Random images; the numbers of a step do not depend on what is in them.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from ablations.presets import preset
from ablations.suite import SUITES, Setting
from senet_core.build import build
from senet_core.config import Config
from senet_core.dataset import Arrays, Facts
from senet_core.resolve import resolve, stage_count
from senet_core.training.batches import Batches
from senet_core.training.execution import choose
from senet_core.training.step import Step

FACTS = Facts("noise", tuple("0123456789"), 32, 3, 50_000, 10_000, ("crop", "flip"))


class Arm:
    """One variant's training step on random images."""

    def __init__(self, config: Config) -> None:
        images = np.random.default_rng(0).integers(0, 256, (config.train.batch, 32, 32, 3), dtype=np.uint8)
        labels = np.arange(len(images)) % 10
        self._batches = Batches(Arrays(images, labels, images[:1], labels[:1]), config, 0, torch.device("cpu"))
        network = build(config, FACTS, 0).to(memory_format=torch.channels_last)
        self._step = Step(network.train(), self._batches, config.train, torch.device("cpu"), choose().kernels)

    def seconds(self) -> float:
        """Of one step."""
        (draw,) = self._batches.draws(0)
        start = time.perf_counter()
        self._step(draw, 0.01)
        self._step.read()
        return time.perf_counter() - start


def main() -> None:
    """Measure and print one line an arm."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("suite")
    options.add_argument("--preset", default="quick")
    options.add_argument("--threads", type=int)
    options.add_argument("--rounds", type=int, default=60)
    options.add_argument("--widths", action="append", default=[], help="a further arm: the plain network at these widths, e.g. 72,144,288")
    chosen = options.parse_args()
    choose(chosen.threads).apply()
    base = resolve(preset(chosen.preset).config.but({"data": {"name": "digits"}}), FACTS)
    suite = SUITES[chosen.suite].value(Setting(base=base, stages=stage_count(base.net), preset=chosen.preset))
    configs = {variant.name: variant.config for variant in suite.variants}
    plain = base.but({"net.block": None})
    configs |= {f"none at {text}": plain.but({"net.widths": [int(part) for part in text.split(",")]}) for text in chosen.widths}
    arms = {name: Arm(resolve(config, FACTS)) for name, config in configs.items()}
    for arm in arms.values():
        arm.seconds(), arm.seconds()
    rounds = np.array([[arm.seconds() for arm in arms.values()] for _ in range(chosen.rounds)])
    first = list(arms).index(suite.reference)
    ratios = rounds / rounds[:, [first]]
    print(f"{suite.name} at {chosen.preset}: {chosen.rounds} rounds, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for column, name in enumerate(arms):
        low, middle, high = np.quantile(ratios[:, column], (0.25, 0.5, 0.75))
        images = base.train.batch / np.median(rounds[:, column])
        print(f"{name:28} {middle:6.3f} of '{suite.reference}' [{low:.3f}, {high:.3f}]   {images:7.0f} images/s")


if __name__ == "__main__":
    main()
