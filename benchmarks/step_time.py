"""How long a training step takes, variant against variant: ``python -m benchmarks.step_time SUITE [--preset quick] [--threads 2]``.

The arms take their steps in turn, so a machine that slows down slows all of them; quoted are the median of the ratios to the first arm
within each round, and their quartiles. Random images; the numbers of a step do not depend on what is in them.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from ablations.presets import preset
from ablations.suite import SUITES, Setting
from senet_core.dataset import Facts
from senet_core.resolve import resolve, stage_count
from senet_core.training.execution import choose
from senet_core.training.probe import Probe

FACTS = Facts("noise", tuple("0123456789"), 32, 3, 50_000, 10_000, ("crop", "flip"))


def main() -> None:
    """Measure and print one line an arm."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("suite")
    options.add_argument("--preset", default="quick")
    options.add_argument("--threads", type=int)
    options.add_argument("--rounds", type=int, default=60)
    options.add_argument("--widths", action="append", default=[], help="a further arm: the plain network at these widths, e.g. 72,144,288")
    chosen = options.parse_args()
    base = resolve(preset(chosen.preset).config.but({"data": {"name": "digits"}}), FACTS)
    suite = SUITES[chosen.suite].value(Setting(base=base, stages=stage_count(base.net), preset=chosen.preset))
    configs = {variant.name: variant.config for variant in suite.variants}
    plain = base.but({"net.block": None})
    configs |= {f"none at {text}": plain.but({"net.widths": [int(part) for part in text.split(",")]}) for text in chosen.widths}
    execution, device = choose(chosen.threads), torch.device("cpu")
    arms = {name: Probe(resolve(config, FACTS), FACTS, device, execution) for name, config in configs.items()}
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
