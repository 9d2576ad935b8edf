"""What one trial gave. Everything outside ``provenance`` and ``timing`` is the same whenever the trial is run again."""

from __future__ import annotations

from typing import Literal

from ablations.study import Cost, Settings, ours
from senet_core.config import Config, Frozen

Status = Literal["done", "diverged"]


class Errors(Frozen):
    """Errors in percent on the evaluation images after the last epoch, the loss in nats; of ``images`` images."""

    top1: float
    top5: float
    loss: float
    images: int


class Epoch(Frozen):
    """One line of history: training loss (nats, label smoothing included), training top-1 error (%), learning rate at its end."""

    epoch: int
    loss: float
    error: float
    lr: float


class Line(Frozen):
    """One line of history of a user's own training loop: the numbers that it reported after an epoch, counted from 1."""

    epoch: int
    values: dict[str, float]


class Measured(Frozen):
    """What a user's own training loop returned: its numbers, and which of them it is judged by."""

    metric: str
    values: dict[str, float]


class Gates(Frozen):
    """One block's gates after training, by its path in the network: of ``channels`` channels, in how many the gate is ``dead`` (the same
    value whatever it is shown), and the ``mean`` of all its gates."""

    path: str
    channels: int
    dead: int
    mean: float


class Timing(Frozen):
    """Seconds: of each epoch's training, of the final evaluation, and of the whole trial over all its sittings."""

    epochs: tuple[float, ...]
    evaluation: float
    total: float
    images_per_second: float
    """Median over epochs."""


class Provenance(Frozen):
    """Where and with what the trial ran; no path, host or user name."""

    created: str
    """UTC, ISO 8601."""
    commit: str | None
    dirty: bool | None
    versions: dict[str, str]
    device: str
    """The processor's or accelerator's model name."""
    execution: dict[str, str | int | bool]
    """Threads, memory format, kernels: what a resume repeats."""
    sittings: int
    """1, and one more for each resume."""
    digests: dict[str, str]
    """SHA-256 of ``correct.npz``, ``weights.pt`` and ``gates.npz``, as far as they were written, and of this result without this field,
    under "result.json"."""


class Result(Frozen):
    """The content of ``result.json``. A diverged trial is an outcome: it has a history and no errors.

    Of a user's own training loop there is what it measured and reported; its cost, its data and its errors are not known.
    """

    key: str
    config: Config | Settings
    seed: int | dict[str, int]
    status: Status
    errors: Errors | None
    cost: Cost | None
    evaluated_on: Literal["test", "holdout"] | None
    data_label: str | None
    history: tuple[Epoch, ...]
    gates: tuple[Gates, ...] | None = None
    """None for a diverged trial, and for one that was stored before gates were looked at."""
    timing: Timing
    provenance: Provenance
    measured: Measured | None = None
    lines: tuple[Line, ...] = ()
    """The history of a user's own loop."""

    @property
    def recipe(self) -> Config:
        """Network, data and training.

        :raises Foreign: where a user's own loop trained it.
        """
        return ours(self.config)

    @property
    def number(self) -> float | None:
        """What statistics are made of: the top-1 error (%), or what a user's own loop is judged by; None where it diverged."""
        if self.measured is not None:
            return self.measured.values[self.measured.metric] if self.status == "done" else None
        return self.errors.top1 if self.errors else None

    @property
    def dead_gates(self) -> float | None:
        """The share of dead gates over all gated blocks; None where there is no such block, or nobody looked."""
        channels = sum(block.channels for block in self.gates or ())
        return sum(block.dead for block in self.gates or ()) / channels if channels else None
