"""A small stored study for the tests of MLflow's mirror, and MLflow's own client to look at what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ablations.execution.trial import Trial
from ablations.result import Epoch, Errors, Provenance, Result, Timing
from ablations.store import Correctness, Store
from ablations.study import Cost, Study, StudyData, StudyVariant
from ablations.tracking.place import tracking_uri
from ablations.tracking.tracker import Tracker
from senet_core.config import Config, differences

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ERRORS = {"r=16": {"0": 10.0, "1": 11.0, "2": 12.5}, "none": {"0": 12.0, "1": 12.5, "2": 13.0}}
"""Top-1 errors (%) by variant and seed; the differences of "none" are 2, 1.5 and 0.5."""
LAPS = (1.0, 1.25, 1.5)
"""Seconds of the epochs."""


def make_study(name: str = "reduction-quick-digits", suite: str = "reduction", seeds: tuple[str, ...] = ("0", "1", "2")) -> Study:
    """Two variants, of which SE is the reference; keys tell the variant and the seed."""
    reference = Config.of({"net": {"name": "resnet", "block": {"name": "se", "reduction": 16}}, "train": {"epochs": 3}})
    configs = {"r=16": reference, "none": reference.but({"net.block": None})}
    variants = tuple(
        StudyVariant(
            name=variant,
            config=config,
            changes=differences(reference, config),
            cost=Cost(parameters=1000 + place, macs=2000 + place),
            keys={seed: f"{place}{int(seed):011x}" for seed in seeds},
        )
        for place, (variant, config) in enumerate(configs.items())
    )
    data = StudyData(label="digits", fingerprint=None, classes=("a", "b"), size=32, channels=3, train=300, evaluated=8, evaluated_on="test")
    return Study.model_validate(
        {
            "name": name, "suite": suite, "title": "Reduction", "question": "Does it matter?", "source": "Table 10", "table": None,
            "factor": ("net.block",), "reference": "r=16", "claims": (), "notes": (), "preset": "quick", "overrides": {}, "delta": 0.3,
            "converged": True, "data": data, "seeds": seeds, "variants": variants,
        }
    )  # fmt: skip


def make_result(study: Study, variant: str, seed: str, *, diverged: bool = False) -> Result:
    """Three epochs; one where the trial diverged."""
    own = study.variant(variant)
    history = tuple(Epoch(epoch=e, loss=2.0 / e, error=50.0 / e, lr=0.1 / e) for e in (1, 2, 3))
    return Result(
        key=own.keys[seed],
        config=own.config,
        seed=int(seed),
        status="diverged" if diverged else "done",
        errors=None if diverged else Errors(top1=ERRORS[variant][seed], top5=1.5, loss=0.4, images=8),
        cost=own.cost,
        evaluated_on="test",
        data_label="digits",
        history=history[:1] if diverged else history,
        timing=Timing(epochs=LAPS[:1] if diverged else LAPS, evaluation=0.25, total=4.0, images_per_second=204.8),
        provenance=Provenance(
            created="2026-01-01T00:00:00+00:00", commit="abc", dirty=False, versions={"torch": "2"}, device="CPU", execution={},
            sittings=1, digests={},
        ),
    )  # fmt: skip


def save(store: Store, study: Study, variant: str, seed: str, *, diverged: bool = False) -> Result:
    """Store one trial as training does."""
    result = make_result(study, variant, seed, diverged=diverged)
    right = np.ones(8, dtype=np.bool_)
    correct = store.save_correctness(result.key, Correctness(right, right, np.zeros(8, dtype=np.uint8)))
    digests = result.provenance.digests | {"correct.npz": correct}
    (store.trial(result.key) / "config.json").write_text(json.dumps(result.config.tree()))
    return store.save_result(result.model_copy(update={"provenance": result.provenance.model_copy(update={"digests": digests})}))


def save_all(store: Store, study: Study) -> None:
    """Store a study with all its trials."""
    store.save_study(study)
    for variant, seed, _ in study.trials():
        save(store, study, variant.name, seed)


def make_trial(study: Study, variant: str, seed: str) -> Trial:
    """The trial of a cell, as an observer is told of it."""
    own = study.variant(variant)
    return Trial(key=own.keys[seed], config=own.config, seed=int(seed), cost=own.cost)


def train_live(tracker: Tracker, store: Store, study: Study, variant: str, seed: str, epochs: int = 3) -> None:
    """What the run loop tells an observer; fewer epochs than three are an interruption."""
    trial, result = make_trial(study, variant, seed), make_result(study, variant, seed)
    tracker.trial_started(trial)
    for epoch, seconds in zip(result.history[:epochs], LAPS, strict=False):
        tracker.trial_epoch(trial, epoch, seconds)
    if epochs < 3:
        tracker.trial_ended(trial, None, "interrupted")
    else:
        tracker.trial_ended(trial, save(store, study, variant, seed), None)


# -- MLflow, looked at with other eyes


def client(place: Store | str) -> MlflowClient:
    """MLflow's own client, of a workspace's database or of a URI."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=place if isinstance(place, str) else tracking_uri(place.root, None))


def runs(place: Store | str, suite: str = "reduction") -> dict[tuple[str, str | None], Run]:
    """All active runs of a suite's experiment by variant and seed."""
    experiment = client(place).get_experiment_by_name(suite)
    assert experiment is not None
    found = client(place).search_runs([experiment.experiment_id])
    by_identity = {(run.data.tags["ablate.variant"], run.data.tags.get("ablate.seed")): run for run in found}
    assert len(by_identity) == len(found), "one cell has two runs"
    return by_identity


def snapshot(store: Store) -> Any:
    """Everything that a second sync could double or change."""
    look = client(store)
    return sorted(
        (
            run.info.run_id, run.info.status, run.info.end_time, sorted(run.data.tags.items()), sorted(run.data.params.items()),
            [(name, [(p.step, p.value, p.timestamp) for p in look.get_metric_history(run.info.run_id, name)]) for name in run.data.metrics],
            run.inputs and len(run.inputs.dataset_inputs),
        )
        for run in runs(store).values()
    )  # fmt: skip


def history(place: Store | str, run: Run, name: str) -> list[tuple[int, float]]:
    """(step, value) of one metric, in the order of steps."""
    return sorted((point.step, point.value) for point in client(place).get_metric_history(run.info.run_id, name))


def artifact(place: Store | str, run: Run, name: str, folder: Path) -> bytes:
    """The content of one artifact."""
    folder.mkdir(exist_ok=True)
    return Path(client(place).download_artifacts(run.info.run_id, name, str(folder))).read_bytes()


def artifacts(place: Store | str, run: Run, folder: str | None = None) -> set[str]:
    """The names of a run's artifacts at its root or in a folder."""
    return {one.path for one in client(place).list_artifacts(run.info.run_id, folder)}


def experiment_tags(place: Store | str, suite: str = "reduction") -> Mapping[str, str]:
    """The tags of a suite's experiment."""
    found = client(place).get_experiment_by_name(suite)
    assert found is not None
    tags: Mapping[str, str] = found.tags
    return tags
