"""What one trial gave. Everything outside ``provenance`` and ``timing`` is the same whenever the trial is run again."""

from __future__ import annotations

from typing import Literal

from ablations.study import Cost
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
    """The content of ``result.json``. A diverged trial is an outcome: it has a history and no errors."""

    key: str
    config: Config
    seed: int | dict[str, int]
    status: Status
    errors: Errors | None
    cost: Cost
    evaluated_on: Literal["test", "holdout"]
    data_label: str
    history: tuple[Epoch, ...]
    gates: tuple[Gates, ...] | None = None
    """None for a diverged trial, and for one that was stored before gates were looked at."""
    timing: Timing
    provenance: Provenance

    @property
    def dead_gates(self) -> float | None:
        """The share of dead gates over all gated blocks; None where there is no such block, or nobody looked."""
        channels = sum(block.channels for block in self.gates or ())
        return sum(block.dead for block in self.gates or ()) / channels if channels else None
