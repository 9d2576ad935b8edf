"""Do our fast steps train what plain ones train? ``python -m benchmarks.same_numbers [--steps 200] [--seeds 20] [--threads 2]``.

Plain is what a reader of the papers would write: fp32, NCHW, Squeeze-and-Excitation by global average pooling and broadcasting, PyTorch's
SGD parameter by parameter. The recipe is that of the preset ``smoke``, on the embedded digits, and two questions are asked of it.

*Steps.* A plain training goes through so many steps. From its weights, momentum and batch statistics before each of them the same step is
taken by others too: by the plain code in fp64, which is called exact here, and by ours. So a difference shows in the step that makes it,
and not as the chaos that a training makes of any rounding. Told is how far a step's change of the weights is from the exact one, in parts
of it. The plain step in fp32 has such a distance itself: where an activation is 0 but for its last digits, rounding decides whether ReLU
lets its gradient through, and one of them in a step makes a thousandth. In bf16 our kernels are held against PyTorch's own autocast, whose
distance is what bf16 costs. Ours are fused everywhere here, also where training leaves small maps to PyTorch's operators.

*Final errors.* So many seeds are trained plainly, and by ``fit`` in the recipe's own bf16; the mean difference of their errors on the test
images is equivalent to none by two one-sided tests at ``BOUND``. They train twice as long as the preset, on half of its units: after six
epochs the errors of two seeds differ by three points and more, and twenty of them could not tell one point from none.

The page goes to standard output, progress to standard error; the exit code is 0 where everything holds.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import median
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy

from ablations.option_types import count
from ablations.planning import DataSource
from ablations.presets import preset
from ablations.statistics.estimation import paired
from ablations.statistics.rounding import number
from senet_core.blocks.se import SE
from senet_core.build import build
from senet_core.config import Config
from senet_core.dataset import Arrays, Facts
from senet_core.fused import units
from senet_core.resolve import resolve
from senet_core.training.batches import Batches, Draw
from senet_core.training.execution import Execution, choose, device_name
from senet_core.training.kernels import Kernels
from senet_core.training.loop import fit
from senet_core.training.schedule import learning_rate
from senet_core.training.step import Step

CPU = torch.device("cpu")
TYPICAL, LARGEST = 2e-3, 2e-2
"""The farthest that our step in fp32 may be from the exact one, in the median of the steps and in each of them."""
EXCESS = 1.1
"""How many times as far as a step in bf16 by PyTorch's own kernels and operators one of ours in bf16 may be, in the median."""
BOUND = 1.0
"""The difference of mean errors (percentage points) that does not matter here: half of the preset's own δ."""
SETTLED = {"train.epochs": 12, "net.units": [1, 1, 1]}
"""What the seeds of the final errors train in the place of the preset's."""
PLAIN, OURS, AUTOCAST = "plain, fp32", "ours, fp32", "PyTorch's operators, bf16"
NATIVE, ROUNDED = "ours, bf16, native kernels", "ours, bf16, rounded kernels"


@dataclass(frozen=True)
class Problem:
    """What is trained: a resolved config, and its data."""

    config: Config
    facts: Facts
    arrays: Arrays

    def at(self, precision: str) -> Config:
        """The config in a precision."""
        return self.config.but({"train.precision": precision})


def digits() -> Problem:
    """The preset ``smoke``."""
    wanted = preset("smoke").config
    dataset, facts = DataSource(None, None).opened(wanted)
    return Problem(resolve(wanted, facts), facts, dataset.arrays())


# -- The plain training


class PlainSE(nn.Module):
    """Equations 2 to 4 of "Squeeze-and-Excitation Networks" as one reads them there, with the layers of a block of ours."""

    def __init__(self, block: SE) -> None:
        super().__init__()
        self.down, self.up = block.down, block.up

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in and out."""
        z = adaptive_avg_pool2d(x, 1).flatten(1)
        s = torch.sigmoid(self.up(torch.relu(self.down(z))))
        return x * s[:, :, None, None]


class Plain:
    """A network in NCHW, and PyTorch's SGD."""

    def __init__(self, problem: Problem, seed: int, dtype: torch.dtype = torch.float32) -> None:
        config = problem.at("fp32")
        self.network, self._dtype = build(config, problem.facts, seed), dtype
        for path, module in list(self.network.named_modules()):
            if isinstance(module, SE):
                self.network.set_submodule(path, PlainSE(module))
        self.network.to(dtype)
        self.batches = Batches(problem.arrays, config, seed, CPU)
        self._train = config.train
        weights = [p for p in self.network.parameters() if p.ndim > 1]
        rest = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": weights, "weight_decay": config.train.weight_decay}, {"params": rest, "weight_decay": 0.0}]
        self.optimizer = torch.optim.SGD(
            groups, lr=0.0, momentum=config.train.momentum, nesterov=config.train.nesterov, foreach=False, fused=False
        )

    def step(self, draw: Draw, rate: float) -> None:
        """Train on one batch."""
        x, y = self.batches.fetch(*draw)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        self.optimizer.zero_grad()
        loss = cross_entropy(self.network(x.to(self._dtype).contiguous()), y, label_smoothing=self._train.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    def schedule(self) -> Iterator[tuple[Draw, float]]:
        """Every step of the whole schedule: its draw and its learning rate."""
        for epoch in range(self._train.epochs):
            for index, draw in enumerate(self.batches.draws(epoch)):
                yield draw, learning_rate(self._train, epoch * self.batches.steps + index, self.batches.steps)

    @torch.no_grad()
    def error(self) -> float:
        """On the evaluation images, in percent."""
        self.network.eval()
        wrong = [self.network(x.contiguous()).argmax(1) != y for x, y in self.batches.evaluation()]
        return 100 * float(torch.cat(wrong).double().mean())


# -- Steps


class Taker:
    """A network and its optimiser, which take single steps of somebody else's training."""

    def __init__(self, network: nn.Module, optimizer: torch.optim.Optimizer, step: Callable[[Draw, float], None]) -> None:
        self.network, self._optimizer, self._step = network, optimizer, step

    def change(self, start: Mapping[str, Tensor], plain: Plain, draw: Draw, rate: float) -> dict[str, Tensor]:
        """What one step from ``start``, a state of the plain network, and from the plain momentum does to each weight."""
        self.network.load_state_dict(start)
        for own, other in zip(_parameters(self._optimizer), _parameters(plain.optimizer), strict=True):
            buffer = plain.optimizer.state[other].get("momentum_buffer")
            if buffer is not None:  # in the own memory format, which a fused kernel takes for granted
                self._optimizer.state[own]["momentum_buffer"] = torch.empty_like(own).copy_(buffer)
        self._step(draw, rate)
        return {name: value.detach().double() - start[name] for name, value in self.network.named_parameters()}


def ours(problem: Problem, precision: str, kernels: Kernels, *, fused: bool = True) -> Taker:
    """``Step`` as the training loop uses it, channels last in memory."""
    config = problem.at(precision)
    network = Execution(torch.get_num_threads(), kernels=kernels, fused=fused).formatted(build(config, problem.facts, 0)).train()
    step = Step(network, Batches(problem.arrays, config, 0, CPU), config.train, CPU, kernels)
    return Taker(network, step.optimizer, step)


def plainly(problem: Problem, dtype: torch.dtype) -> Taker:
    """The plain step in a precision."""
    plain = Plain(problem, 0, dtype)
    return Taker(plain.network, plain.optimizer, plain.step)


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


@dataclass(frozen=True)
class Distance:
    """Of one step's change of the weights from the exact one, in parts of the exact one's norm: over all weights together, and of the
    tensor that is farthest from its own."""

    whole: float
    worst: float


def distances(problem: Problem, steps: int, arms: Mapping[str, Taker]) -> dict[str, list[Distance]]:
    """Of every arm's every step from the exact one, along one plain training of seed 0."""
    plain, exact = Plain(problem, 0), plainly(problem, torch.float64)
    found: dict[str, list[Distance]] = {name: [] for name in arms}
    for draw, rate in islice(plain.schedule(), steps):
        start = {name: value.clone() for name, value in plain.network.state_dict().items()}
        true = exact.change(start, plain, draw, rate)
        for name, arm in arms.items():
            found[name].append(distance(arm.change(start, plain, draw, rate), true))
        plain.step(draw, rate)
    return found


def distance(own: Mapping[str, Tensor], true: Mapping[str, Tensor]) -> Distance:
    """Of two changes of the same weights."""
    apart = [float((own[name] - value).norm()) for name, value in true.items()]
    norms = [float(value.norm()) for value in true.values()]
    return Distance(math.hypot(*apart) / math.hypot(*norms), max(one / norm for one, norm in zip(apart, norms, strict=True)))


def worst(found: Sequence[Distance]) -> float:
    """The largest distance over all weights."""
    return max(one.whole for one in found)


def typical(found: Sequence[Distance]) -> float:
    """The median distance over all weights."""
    return median(one.whole for one in found)


# -- Final errors


def settled(problem: Problem) -> Problem:
    """The problem whose final errors seeds agree on."""
    return replace(problem, config=resolve(problem.config.but(SETTLED), problem.facts))


def final_errors(problem: Problem, seeds: int, threads: int) -> tuple[list[float], list[float]]:
    """Of plain trainings and of ours, seed by seed, in percent; ours nan where it diverged."""
    plain, own = [], []
    for seed in range(seeds):
        training = Plain(problem, seed)
        for draw, rate in training.schedule():
            training.step(draw, rate)
        plain.append(training.error())
        outcome = fit(problem.config, seed, problem.arrays, problem.facts, device=CPU, execution=choose(threads))
        own.append(outcome.evaluation.top1_error if outcome.evaluation else math.nan)
        print(f"seed {seed}: plain {plain[-1]:.2f} %, ours {own[-1]:.2f} %", file=sys.stderr, flush=True)
    return plain, own


# -- The page


def steps_section(found: Mapping[str, Sequence[Distance]]) -> tuple[list[str], bool]:
    """The distances of every arm as lines, and whether they are as small as they should be."""
    lines = [
        f"Distance of a step's change of the weights from the exact one, over {len(found[PLAIN])} steps:",
        "",
        "| step | all weights, median | largest | worst tensor, median | largest |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, arm in found.items():
        tensors = [one.worst for one in arm]
        lines.append(f"| {name} | {typical(arm):.1e} | {worst(arm):.1e} | {median(tensors):.1e} | {max(tensors):.1e} |")
    excess = {name: typical(found[name]) / typical(found[AUTOCAST]) for name in (NATIVE, ROUNDED)}
    holds = typical(found[OURS]) <= TYPICAL and worst(found[OURS]) <= LARGEST and max(excess.values()) <= EXCESS
    return [
        *lines,
        "",
        f"Ours in fp32 at most {TYPICAL:g} in the median and {LARGEST:g} in each step, and ours in bf16 at most {EXCESS:g} times as far as"
        f" PyTorch's operators ({excess[NATIVE]:.2f} and {excess[ROUNDED]:.2f} times): {'yes' if holds else 'no'}.",
    ], holds


def errors_section(plain: Sequence[float], own: Sequence[float]) -> tuple[list[str], bool]:
    """Both arms' mean errors and their paired difference as lines, and whether that is equivalent to none."""
    difference = paired(np.array(own), np.array(plain))
    low, high = difference.interval(0.90)
    holds = bool(difference.equivalence_p(BOUND) <= 0.05)
    spread = " and ".join(f"{np.std(errors, ddof=1):.2f}" for errors in (plain, own))
    return [
        f"Error on the test images over {len(plain)} seeds: plain fp32 {np.mean(plain):.2f} %, ours in bf16 {np.mean(own):.2f} % (standard"
        f" deviations over seeds {spread}). Difference {number(float(difference.mean), 2, sign=True)} points, 90 % interval"
        f" [{number(float(low), 2, sign=True)}, {number(float(high), 2, sign=True)}].",
        "",
        f"Equivalent within {BOUND:g} points (two one-sided tests at 5 %): {'yes' if holds else 'no'}.",
    ], holds


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the page; 0 where everything holds."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=count, default=200)
    options.add_argument("--seeds", type=count, default=20)
    options.add_argument("--threads", type=count)
    chosen = options.parse_args(words)
    execution = choose(chosen.threads)
    execution.apply()
    problem = digits()
    arms = {
        PLAIN: plainly(problem, torch.float32),
        OURS: ours(problem, "fp32", "native"),
        AUTOCAST: ours(problem, "bf16", "native", fused=False),
        NATIVE: ours(problem, "bf16", "native"),
        ROUNDED: ours(problem, "bf16", "rounded"),
    }
    with patch.object(units, "LEAST", 0):
        steps, near = steps_section(distances(problem, chosen.steps, arms))
    errors, equivalent = errors_section(*final_errors(settled(problem), chosen.seeds, execution.threads))
    print(f"{device_name(CPU)}, {execution.threads} threads, {execution.kernels} bf16 kernels, torch {torch.__version__}\n")
    print("\n".join([*steps, "", *errors]))
    return 0 if near and equivalent else 1


if __name__ == "__main__":
    sys.exit(main())
