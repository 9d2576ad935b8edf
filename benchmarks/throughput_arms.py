"""The arms of the throughput benchmark: training loops over the same networks."""

from __future__ import annotations

import importlib
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, Protocol
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from ablations.presets import SE, preset
from benchmarks.step_time import FACTS
from benchmarks.throughput_process import LeftOut
from senet_core.build import build
from senet_core.config import Config
from senet_core.dataset import Arrays, Facts
from senet_core.resolve import resolve
from senet_core.training import loop
from senet_core.training.batches import EVALUATION_BATCH, Batches, Draw
from senet_core.training.checkpoint import Checkpoints
from senet_core.training.execution import choose
from senet_core.training.step import Step

CPU = torch.device("cpu")
RATE = 0.01  # a step takes as long at any rate
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
"""Of CIFAR-10, as the popular repositories have them (kuangliu/pytorch-cifar)."""
WORKERS = 2
PREFETCHED = 2 * WORKERS + 1
"""Batches after which nothing is left of what loader workers made before a turn began: a DataLoader prefetches two each."""


@dataclass(frozen=True)
class Arm:
    """One way to train. ``loop`` "plain" is that of the popular CIFAR repositories: NCHW, the loss and the number of right images read in
    every step; "timm" is that of timm's train.py: timm's loader and augmentation, channels last, the loss read in every step."""

    name: str
    title: str
    loop: Literal["plain", "timm", "ours"]
    workers: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    compiled: bool = False
    fused: bool = True


_ALL = (
    Arm("plain-0", "plain loop, loader in the process, fp32", "plain"),
    Arm("plain-2", f"plain loop, {WORKERS} loader workers, fp32", "plain", WORKERS),
    Arm("timm", f"timm's loader, {WORKERS} workers, bf16", "timm", WORKERS, "bf16"),
    Arm("compiled", f"timm's loader, {WORKERS} workers, bf16, compiled", "timm", WORKERS, "bf16", compiled=True),
    Arm("timm-fp32", f"timm's loader, {WORKERS} workers, fp32", "timm", WORKERS),
    Arm("compiled-fp32", f"timm's loader, {WORKERS} workers, fp32, compiled", "timm", WORKERS, compiled=True),
    Arm("unfused", "ours by PyTorch's operators, bf16", "ours", precision="bf16", fused=False),
    Arm("ours", "ours, bf16", "ours", precision="bf16"),
)
ARMS = {arm.name: arm for arm in _ALL}


@dataclass(frozen=True)
class Case:
    """A network with SE, and how long it is measured: a turn takes ``warm`` steps that are not timed and ``steps`` that are.

    Where a step takes seconds, its images are no visible part of it, and ``warm`` may be less than ``PREFETCHED``.
    """

    name: str
    title: str
    config: Config
    steps: int
    warm: int = PREFETCHED

    @property
    def plain(self) -> Config:
        """The same without SE."""
        return self.config.but({"net.block": None})

    @property
    def fit_steps(self) -> int:
        """Of a whole fit's one epoch, which of ``quick`` is nearly one of CIFAR's."""
        return 24 * self.steps


def cifar_config(net: dict[str, Any], batch: int) -> Config:
    """The recipe of the preset ``quick`` with another network and batch."""
    return preset("quick").config.but({"net": net, "train.batch": batch})


def cases(batch: int) -> dict[str, Case]:
    """The networks by name, each with SE. He et al. 2015, Section 4.2; Zagoruyko and Komodakis 2016, Table 1."""
    thin = {"name": "resnet", "unit": "basic", "widths": [16, 32, 64], "stem": 16, "block": SE}
    wide = {"name": "preact_resnet", "unit": "basic", "units": [2, 2, 2], "widths": [128, 256, 512], "stem": 16, "block": SE}
    quick = preset("quick").config.tree()["net"]
    found = (
        Case("resnet20", "SE-ResNet-20", cifar_config({**thin, "units": [3, 3, 3]}, batch), steps=12),
        Case("resnet56", "SE-ResNet-56", cifar_config({**thin, "units": [9, 9, 9]}, batch), steps=6),
        Case("quick", "the network of the preset quick", cifar_config(quick, batch), steps=16),
        Case("wrn16-8", "SE-WRN-16-8", cifar_config(wide, batch), steps=2, warm=2),
    )
    return {case.name: case for case in found}


@dataclass(frozen=True)
class Job:
    """What one process trains: an arm on the network of a config, with so many threads and training images. Compiled code goes to
    ``cache``, which is empty at the start."""

    arm: Arm
    config: Config
    threads: int
    images: int
    cache: Path

    @property
    def facts(self) -> Facts:
        """CIFAR's, but for the number of training images."""
        return replace(FACTS, train=self.images)

    @property
    def recipe(self) -> Config:
        """The config, resolved, in the arm's precision."""
        return resolve(self.config.but({"train.precision": self.arm.precision}), self.facts)

    def start(self, started: float) -> Running:
        """Begin, in a process that was started at that reading of ``perf_counter``."""
        return Running(self, started)


def synthetic(train: int, test: int) -> Arrays:
    """Random images of CIFAR's shape; what is in them changes no step's time."""
    rng = np.random.default_rng(0)
    sides = ((rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8), np.arange(count) % 10) for count in (train, test))
    return Arrays(*next(sides), *next(sides))


# -- The loops


class Loop(Protocol):
    """Trains and loads in turns; nothing of a turn is left to the next one. ``ended`` is when the last turn's last step did."""

    network: nn.Module
    ended: float

    def turn(self, steps: int, warm: int) -> float:
        """Seconds a step, over ``steps`` of them after ``warm`` that are not timed."""

    def load(self, batches: int, warm: int) -> float:
        """Seconds that a batch takes to make, augmented and normalised, with the network left out."""


class _Images(Dataset[tuple[Any, int]]):
    """Keeps and gives images as ``torchvision.datasets.CIFAR10`` does: from an array by way of a PIL image to what ``transform`` makes."""

    def __init__(self, arrays: Arrays, transform: Callable[[Image.Image], Any] | None = None) -> None:
        self._images, self._labels, self.transform = arrays.train_images, arrays.train_labels.tolist(), transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = Image.fromarray(self._images[index])
        return (image if self.transform is None else self.transform(image)), self._labels[index]


def plain_loader(arrays: Arrays, batch: int, workers: int, transforms: Any) -> DataLoader[tuple[Any, int]]:
    """kuangliu/pytorch-cifar's, but for the last partial batch, which would count as a whole one here."""
    augment = (transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip())
    transform = transforms.Compose([*augment, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    return DataLoader(_Images(arrays, transform), batch_size=batch, shuffle=True, num_workers=workers, drop_last=True)


def timm_loader(arrays: Arrays, batch: int, workers: int, data: Any) -> DataLoader[tuple[Any, int]]:
    """timm's without its prefetcher, which is for GPUs. The crop mode "rkrr" resizes at random about the image's own size, pads and crops;
    colour jitter, which its train.py has and CIFAR recipes have not, is left out in its favour. Its workers end with their iterator,
    as other arms take their turn then."""
    loader: DataLoader[tuple[Any, int]] = data.create_loader(
        _Images(arrays),
        input_size=(3, 32, 32),
        batch_size=batch,
        is_training=True,
        train_crop_mode="rkrr",
        color_jitter=None,
        mean=MEAN,
        std=STD,
        num_workers=workers,
        use_prefetcher=False,
        persistent_workers=False,
    )
    return loader


class LoaderLoop:
    """A network, a loader, and an optimiser between them."""

    def __init__(self, arm: Arm, network: nn.Module, loader: DataLoader[tuple[Any, int]]) -> None:
        self._arm, self._loader = arm, loader
        self.network = network.train()
        nesterov = arm.loop == "timm"  # as "sgd" means in timm
        self._optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9, nesterov=nesterov, weight_decay=5e-4)
        self._take = self._plain if arm.loop == "plain" else self._timm
        if arm.loop == "timm":
            self.network = network.to(memory_format=torch.channels_last)
        self._forward: Callable[[Tensor], Tensor] = torch.compile(self.network) if arm.compiled else self.network
        self.loss = self.right = self.seen = self.ended = 0.0

    def turn(self, steps: int, warm: int) -> float:
        """A new iterator, whose workers end with the turn: what they would prefetch in other arms' turns would be a gift."""
        return self._timed(self._take, steps, warm)

    def load(self, batches: int, warm: int) -> float:
        """The same iterator, its batches thrown away."""
        return self._timed(lambda x, y: None, batches, warm)

    def _timed(self, use: Callable[[Tensor, Tensor], None], count: int, warm: int) -> float:
        batches = self._batches()
        for x, y in islice(batches, warm):
            use(x, y)
        start = time.perf_counter()
        for x, y in islice(batches, count):
            use(x, y)
        self.ended = time.perf_counter()
        batches.close()
        return (self.ended - start) / count

    def _batches(self) -> Generator[Any]:
        while True:
            yield from self._loader

    def _plain(self, x: Tensor, y: Tensor) -> None:
        self._optimizer.zero_grad()
        logits = self._forward(x)
        loss = cross_entropy(logits, y)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self.loss += loss.item()
        self.right += logits.max(1).indices.eq(y).sum().item()
        self.seen += len(y)

    def _timm(self, x: Tensor, y: Tensor) -> None:
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16) if self._arm.precision == "bf16" else nullcontext():
            loss = cross_entropy(self._forward(x), y)
        self.loss += loss.item()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self.seen += len(y)


class OurLoop:
    """``Batches`` and ``Step`` as ``senet_core.training.loop`` uses them."""

    def __init__(self, config: Config, facts: Facts, arrays: Arrays, threads: int, fused: bool = True) -> None:
        execution = replace(choose(threads), fused=fused)
        execution.apply()
        self.network = execution.formatted(build(config, facts, 0))
        self._batches = Batches(arrays, config, 0, CPU)
        self._step = Step(self.network.train(), self._batches, config.train, CPU, execution.kernels)
        self._epoch, self.ended = 0, 0.0

    def turn(self, steps: int, warm: int) -> float:
        """The sums are read once, as at the end of an epoch."""
        return self._timed(lambda draw: self._step(draw, RATE), steps, warm, self._step.read)

    def load(self, batches: int, warm: int) -> float:
        """The batch fetched, and its share of the draws."""
        return self._timed(lambda draw: self._batches.fetch(*draw), batches, warm)

    def _timed(self, use: Callable[[Draw], object], count: int, warm: int, end: Callable[[], object] = lambda: None) -> float:
        """An epoch's draws are made at its beginning, for all of its steps; each timed step is charged its share of them."""
        if warm + count > self._batches.steps:
            raise ValueError(f"a turn of {warm + count} steps is longer than an epoch of {self._batches.steps}")
        start = time.perf_counter()
        draws = self._batches.draws(self._epoch)
        first = next(draws)
        making = time.perf_counter() - start
        self._epoch += 1
        rest = chain([first], draws)
        for draw in islice(rest, warm):
            use(draw)
        start = time.perf_counter()
        for draw in islice(rest, count):
            use(draw)
        end()
        self.ended = time.perf_counter()
        return (self.ended - start) / count + making / self._batches.steps


# -- What a process does


@dataclass(frozen=True)
class Start:
    """Seconds from the start of an arm's process until its libraries were imported, and until the end of its first step: images and network
    made, code compiled where it is."""

    imported: float
    first_step: float


@dataclass(frozen=True)
class OwnTime:
    """Of one whole ``fit``: the wall clock's seconds, those inside its steps (fetch, forward, loss, backward, update), those of its epochs,
    and those of its evaluation."""

    wall: float
    steps: float
    epochs: float
    evaluation: float

    def share(self, epochs: int = 1, longer: float = 1.0, more_evaluation: float = 1.0) -> float:
        """What is neither a step nor evaluation: network and padded images made, the epochs' draws, the reading of the sums, a checkpoint
        after each epoch, and at the end the gates' statistics and a copy of the weights. Of this fit, or derived for a trial of so many
        epochs, each so many times as long, with so many times the evaluation: most of it comes once."""
        once = self.wall - self.epochs - self.evaluation
        own = once + epochs * longer * (self.epochs - self.steps)
        return own / (once + epochs * longer * self.epochs + more_evaluation * self.evaluation)


class Running:
    """An arm that has taken its first step."""

    def __init__(self, job: Job, started: float) -> None:
        self._job = job
        make = _with_libraries(job)
        imported = time.perf_counter() - started
        self.loop = make()
        try:
            self.loop.turn(1, 0)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            raise LeftOut(f"torch.compile failed: {str(error).strip().splitlines()[0]}") from error
        self._start = Start(imported, self.loop.ended - started)

    def start(self) -> Start:
        """How it began."""
        return self._start

    def turn(self, steps: int, warm: int) -> float:
        """``Loop.turn``."""
        return self.loop.turn(steps, warm)

    def load(self, batches: int, warm: int) -> float:
        """``Loop.load``."""
        return self.loop.load(batches, warm)

    def memory(self) -> int:
        """The most bytes that this process has had in memory (VmHWM; the rusage of a started process begins at what its parent had).
        Loader workers and compilers are processes of their own and not in it."""
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))

    def fit(self, steps: int) -> OwnTime:
        """A real one-epoch training of so many steps in this process, with a checkpoint on disk and one batch of evaluation images."""
        facts = replace(FACTS, train=steps * self._job.config.train.batch, test=EVALUATION_BATCH)
        config = resolve(self._job.recipe.but({"train.epochs": 1}), facts)
        return timed_fit(config, facts, self._job.threads)


def timed_fit(config: Config, facts: Facts, threads: int) -> OwnTime:
    """Where the seconds of a fit go."""
    arrays, inside = synthetic(facts.train, facts.test), 0.0

    class Timed(Step):
        """A step that adds up its seconds."""

        def __call__(self, draw: Draw, rate: float) -> None:
            nonlocal inside
            start = time.perf_counter()
            super().__call__(draw, rate)
            inside += time.perf_counter() - start

    with tempfile.TemporaryDirectory() as folder, patch.object(loop, "Step", Timed):
        start = time.perf_counter()
        outcome = loop.fit(config, 0, arrays, facts, device=CPU, execution=choose(threads), checkpoints=Checkpoints(Path(folder)))
        wall = time.perf_counter() - start
    return OwnTime(wall, inside, sum(outcome.progress.seconds), outcome.evaluation_seconds)


def _with_libraries(job: Job) -> Callable[[], Loop]:
    """Import what the arm needs; what comes back makes its loop.

    :raises LeftOut: where a library or a compiler is missing.
    """
    torch.set_num_threads(job.threads)
    importlib.import_module("torch._dynamo")  # which every optimiser of PyTorch imports when it is made
    if job.arm.loop == "ours":
        return lambda: OurLoop(job.recipe, job.facts, synthetic(job.images, 1), job.threads, job.arm.fused)
    if job.arm.compiled:
        compiler = shlex.split(os.environ.get("CXX", "g++"))[0]  # what torch.compile looks for on Linux
        if shutil.which(compiler) is None:
            raise LeftOut(f"there is no C++ compiler '{compiler}'")
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(job.cache)
    name, make = ("torchvision.transforms", plain_loader) if job.arm.loop == "plain" else ("timm.data", timm_loader)
    try:
        library = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise LeftOut(f"there is no module '{error.name}'") from error

    def made() -> Loop:
        loader = make(synthetic(job.images, 1), job.config.train.batch, job.arm.workers, library)
        return LoaderLoop(job.arm, build(job.recipe, job.facts, 0), loader)

    return made
