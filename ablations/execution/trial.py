"""One trial from its config and seed to what it gave, in a folder that nobody else writes to."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

from ablations import gates_file
from ablations.execution import own_trial
from ablations.execution.provenance import commit, versions
from ablations.planning import DataSource
from ablations.result import Epoch, Errors, Gates, Line, Provenance, Result, Timing
from ablations.store import CORRECT, GATES, WEIGHTS, Correctness, write_correctness
from ablations.study import Cost, Settings
from senet_core.config import Config, Frozen
from senet_core.files import publish, publish_text, sha256

if TYPE_CHECKING:
    import torch

    from senet_core.dataset import Facts
    from senet_core.training.execution import Machine
    from senet_core.training.loop import EpochRecord, Outcome

OnEpoch = Callable[[Epoch | Line, float], None]


class Trial(Frozen):
    """A config and a seed under their key; it knows no suite, so suites that share it train it once."""

    key: str
    config: Config | Settings
    seed: int | dict[str, int]
    cost: Cost | None


def compute(
    trial: Trial,
    folder: Path,
    source: DataSource,
    machine: Machine,
    *,
    earlier: Sequence[Path] = (),
    on_epoch: OnEpoch,
    should_stop: Callable[[], bool],
    warn: Callable[[str], None],
) -> Result:
    """Train one trial in a folder, or go on with it from the farthest checkpoint there and in the folders ``earlier``.

    Weights, per-image correctness and gates are left in the folder; the result is not stored yet (``Store.adopt`` does that).

    :raises Interrupted: (of ``senet_core.training.loop``) when ``should_stop`` said so; the last epoch's checkpoint is kept.
    :raises Stopped: (of ``ablations.own_loop``) the same, of a user's own training loop.
    """
    if isinstance(trial.config, Settings):
        return own_trial.compute(trial, trial.config, folder, machine, earlier=earlier, on_line=on_epoch, should_stop=should_stop)
    from senet_core.training.checkpoint import Checkpoints
    from senet_core.training.loop import fit

    _, facts = source.opened(trial.config)
    arrays = source.arrays(trial.config)

    def report(record: EpochRecord, seconds: float) -> None:
        on_epoch(Epoch(epoch=record.epoch, loss=record.loss, error=record.error, lr=record.lr), seconds)

    outcome = fit(
        trial.config,
        trial.seed,
        arrays,
        facts,
        device=machine.device,
        execution=machine.execution,
        checkpoints=Checkpoints(folder, warn, earlier),
        on_epoch=report,
        should_stop=should_stop,
    )
    return _result(trial, trial.config, folder, outcome, facts, machine.device)


def save_recipe(trial: Trial, folder: Path) -> None:
    """Write ``config.json``: what is trained, for who looks into the folder."""
    recipe = {"key": trial.key, "seed": trial.seed, "config": trial.config.tree()}
    publish_text(folder / "config.json", json.dumps(recipe, indent=1) + "\n")


def _result(trial: Trial, config: Config, folder: Path, outcome: Outcome, facts: Facts, device: torch.device) -> Result:
    evaluated_on: Literal["holdout", "test"] = "holdout" if config.data.holdout else "test"
    evaluation, history = outcome.evaluation, outcome.progress.history
    errors = evaluation and Errors(
        top1=evaluation.top1_error, top5=evaluation.top5_error, loss=evaluation.loss, images=len(evaluation.labels)
    )
    return Result(
        key=trial.key,
        config=config,
        seed=trial.seed,
        status=outcome.status,
        errors=errors,
        cost=trial.cost,
        evaluated_on=evaluated_on,
        data_label=facts.label,
        history=tuple(Epoch(epoch=e.epoch, loss=e.loss, error=e.error, lr=e.lr) for e in history),
        gates=None if outcome.gates is None else tuple(Gates(**asdict(block)) for block in outcome.gates),
        timing=_timing(outcome),
        provenance=_provenance(outcome, device, _companions(folder, outcome)),
    )


def _companions(folder: Path, outcome: Outcome) -> dict[str, str]:
    """Write weights, per-image correctness and the gates by class, as far as there are any; returns their digests."""
    import torch

    buffer = io.BytesIO()  # of a disk that is full, torch.save itself would not say so
    torch.save(outcome.weights, buffer)
    publish(folder / WEIGHTS, lambda temporary: temporary.write_bytes(buffer.getvalue()))
    digests = {WEIGHTS: sha256(folder / WEIGHTS)}
    if outcome.evaluation is not None:
        evaluation = outcome.evaluation
        digests[CORRECT] = write_correctness(folder / CORRECT, Correctness(evaluation.top1, evaluation.top5, evaluation.labels))
    if outcome.class_gates:
        digests[GATES] = gates_file.write(folder / GATES, outcome.class_gates)
    return digests


def _timing(outcome: Outcome) -> Timing:
    seconds = outcome.progress.seconds
    return Timing(
        epochs=tuple(seconds),
        evaluation=outcome.evaluation_seconds,
        total=sum(seconds) + outcome.evaluation_seconds,
        images_per_second=outcome.images_per_epoch / median(seconds) if seconds else 0.0,
    )


def _provenance(outcome: Outcome, device: torch.device, digests: dict[str, str]) -> Provenance:
    from senet_core.training.execution import device_name

    revision, dirty = commit()
    return Provenance(
        created=datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        commit=revision,
        dirty=dirty,
        versions=versions(),
        device=device_name(device),
        execution=outcome.execution.plain(),
        sittings=outcome.progress.sittings,
        digests=digests,
    )
