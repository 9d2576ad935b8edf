"""The MLflow mirror: what it shows is what the store holds, however often, however late and however interrupted it was written."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ablations import mlflow_runs, tracking
from ablations.mirror import child_record
from ablations.mlflow_runs import Runs
from ablations.result import Epoch, Errors, Provenance, Result, Timing
from ablations.store import Correctness, Failure, Store
from ablations.study import Cost, Study, StudyData, StudyVariant
from ablations.tracking import MlflowTracker, SyncCount, Tracker, open_tracker, public_uri, sync, tracking_uri
from ablations.trial import Trial
from senet_core.config import Config, differences
from senet_core.errors import InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ROOT = Path(__file__).parent.parent
ERRORS = {"r=16": {"0": 10.0, "1": 11.0, "2": 12.5}, "none": {"0": 12.0, "1": 12.5, "2": 13.0}}
"""Top-1 errors (%) by variant and seed."""


# -- a small stored study


def make_study(name: str = "reduction-quick", suite: str = "reduction", seeds: tuple[str, ...] = ("0", "1", "2")) -> Study:
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
    data = StudyData(label="digits", fingerprint=None, classes=("a", "b"), size=32, channels=3, train=100, evaluated=8, evaluated_on="test")
    return Study.model_validate(
        {
            "name": name, "suite": suite, "title": "Reduction", "question": "Does it matter?", "source": "Table 10", "table": None,
            "factor": ("net.block",), "reference": "r=16", "claims": (), "notes": (), "preset": "quick", "overrides": {}, "delta": 0.3,
            "converged": True, "data": data, "seeds": seeds, "variants": variants,
        }
    )  # fmt: skip


def make_result(study: Study, variant: str, seed: str, *, diverged: bool = False) -> Result:
    """Three epochs, one of them with a loss that is no number where the trial diverged."""
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
        timing=Timing(epochs=(1.0,) if diverged else (1.0, 1.25, 1.5), evaluation=0.25, total=4.0, images_per_second=80.0),
        provenance=Provenance(
            created="2026-01-01T00:00:00+00:00", commit="abc", dirty=False, versions={"torch": "2"}, device="CPU", execution={},
            sittings=1, digests={},
        ),
    )  # fmt: skip


def save(store: Store, study: Study, variant: str, seed: str, *, diverged: bool = False) -> Result:
    """Store one trial as training does."""
    result = make_result(study, variant, seed, diverged=diverged)
    right = np.ones(8, dtype=np.bool_)
    digests = {"correct.npz": store.save_correctness(result.key, Correctness(right, right, np.zeros(8, dtype=np.uint8)))}
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


# -- MLflow


@pytest.fixture(autouse=True)
def _no_server_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database; its tables take seconds to make, a copy takes none."""
    folder = tmp_path_factory.mktemp("template")
    Runs(f"sqlite:///{folder}/mlflow.db", folder)
    return folder / "mlflow.db"


@pytest.fixture
def store(tmp_path: Path, template: Path) -> Store:
    """A workspace that has an MLflow database; its name has a space, as users' folders do."""
    root = tmp_path / "my runs"
    root.mkdir()
    shutil.copy(template, root / "mlflow.db")
    return Store(root)


@pytest.fixture
def warnings() -> list[str]:
    """What the tracker told the user."""
    return []


@pytest.fixture
def tracker(store: Store, warnings: list[str]) -> Iterator[MlflowTracker]:
    """A tracker on the workspace's own database, following the usual study; no test that asks for it may see a warning."""
    yield MlflowTracker(tracking_uri(store.root, None), store, warnings.append, [make_study()])
    assert not warnings


def client(store: Store) -> MlflowClient:
    """MLflow's own client, to look with other eyes."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri(store.root, None))


def runs(store: Store, suite: str = "reduction") -> dict[tuple[str, str | None], Run]:
    """All active runs of a suite's experiment by variant and seed."""
    experiment = client(store).get_experiment_by_name(suite)
    assert experiment is not None
    found = client(store).search_runs([experiment.experiment_id])
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


def history(store: Store, run: Run, name: str) -> list[tuple[int, float]]:
    """(step, value) of one metric, in the order of steps."""
    return sorted((point.step, point.value) for point in client(store).get_metric_history(run.info.run_id, name))


# -- addresses


def test_the_option_wins_over_the_environment_and_that_over_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking_uri(tmp_path, None) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert tracking_uri(tmp_path, None) == "http://server:5000"
    assert tracking_uri(tmp_path, "sqlite:////data/m.db") == "sqlite:////data/m.db"


@pytest.mark.parametrize("folder", ["./mlruns", "file:///tmp/mlruns"])
def test_a_folder_is_refused_as_mlflow_would(tmp_path: Path, folder: str) -> None:
    with pytest.raises(InputError, match="sqlite:///FILE"):
        tracking_uri(tmp_path, folder)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://host:5000/path", "http://host:5000/path"),
        ("https://bob:secret@host:5000", "https://host:5000"),
        ("postgresql+psycopg2://bob:se@cret@host/db?password=secret", "postgresql+psycopg2://host/db"),
        ("http://host/?token=secret#secret", "http://host/"),
        ("http://bob:secret/x@host/", "http://…"),
        ("http://bob:secret?x@host/", "http://…"),
        ("http://host/?token=a@secret", "http://…"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("sqlite:////home/a@b/m.db", "sqlite:////home/a@b/m.db"),
        ("databricks", "databricks"),
    ],
)
def test_a_shown_address_bears_no_secret(uri: str, shown: str) -> None:
    assert public_uri(uri) == shown


# -- what sync writes


def test_importing_the_module_imports_no_mlflow() -> None:
    code = "import sys, ablations.tracking, ablations.mlflow_ui; sys.exit('mlflow' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_numbers_in_mlflow_are_the_stores(store: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    save_all(store, study)
    assert sync([study.name], store, tracker) == SyncCount(created=8)
    found = runs(store)
    child, parent = found["none", "1"], found["none", None]
    result = store.result(study.variant("none").keys["1"])
    assert result is not None and result.errors is not None
    assert child.data.metrics["top1_error"] == result.errors.top1 == 12.5
    assert child.data.metrics["parameters"] == 1001
    assert child.data.metrics["seconds"] == 4.0
    assert history(store, child, "train_loss") == [(epoch.epoch, epoch.loss) for epoch in result.history]
    assert history(store, child, "epoch_seconds") == [(1, 1.0), (2, 1.25), (3, 1.5)]
    assert child.info.end_time - child.info.start_time == 4000
    assert child.info.run_name == "none seed=001"
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.metrics["top1_error_mean"] == pytest.approx(12.5)
    assert parent.data.metrics["difference_mean"] == pytest.approx((2.0 + 1.5 + 0.5) / 3)
    half = 4.302652729911275 * np.std([2.0, 1.5, 0.5], ddof=1) / 3**0.5  # Student's t, two degrees of freedom
    assert parent.data.metrics["difference_low"] == pytest.approx((2.0 + 1.5 + 0.5) / 3 - half)
    assert parent.data.metrics["n"] == 3
    assert "difference_mean" not in found["r=16", None].data.metrics
    assert {run.info.status for run in found.values()} == {"FINISHED"}


def test_parameters_say_what_the_variants_differ_in(store: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    save_all(store, study)
    sync([study.name], store, tracker)
    found = runs(store)
    assert found["r=16", None].data.params == {"block": "se", "preset": "quick"}
    assert found["none", None].data.params == {"block": "none", "preset": "quick"}
    budget = {"epochs": "3", "lr": "0.1", "batch": "128", "network": "resnet", "seed": "2"}
    assert found["none", "2"].data.params == {"block": "none", "preset": "quick"} | budget


def test_each_run_carries_its_record_and_its_data_set(store: Store, tracker: MlflowTracker) -> None:
    import mlflow.artifacts

    study = make_study()
    save_all(store, study)
    sync([study.name], store, tracker)
    uri, found = tracking_uri(store.root, None), runs(store)

    def text(run: Run, name: str) -> str:
        local = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=name, tracking_uri=uri)
        return Path(local).read_text(encoding="utf-8")

    child = found["r=16", "0"]
    assert text(child, "result.json") == (store.trial(child.data.tags["ablate.key"]) / "result.json").read_text()
    assert Config.of(json.loads(text(child, "config.json"))) == study.variant("r=16").config
    assert Study.model_validate_json(text(found["r=16", None], "study.json")) == study
    assert (store.root / "mlartifacts").is_dir()
    assert child.inputs is not None
    (dataset,) = child.inputs.dataset_inputs
    assert dataset.dataset.name == "digits"
    assert dataset.tags[0].value == "evaluated"


def test_a_second_sync_changes_nothing(store: Store, tracker: MlflowTracker, warnings: list[str]) -> None:
    study = make_study()
    save_all(store, study)
    sync([study.name], store, tracker)
    before = snapshot(store)
    other = MlflowTracker(tracking_uri(store.root, None), store, warnings.append)
    assert sync([study.name], store, other) == SyncCount(unchanged=8)
    assert snapshot(store) == before


def test_only_what_changed_is_written_again(store: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    store.save_study(study)
    for seed in ("0", "1"):
        save(store, study, "r=16", seed)
        save(store, study, "none", seed)
    sync([study.name], store, tracker)
    assert runs(store)["none", None].info.status == "SCHEDULED"
    save(store, study, "none", "2")
    assert sync([study.name], store, tracker) == SyncCount(created=1, updated=1, unchanged=5)
    parent = runs(store)["none", None]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["n"] == 3
    assert parent.data.metrics["top1_error_mean"] == pytest.approx(12.5)


def test_an_upload_cut_short_is_completed_by_the_next(store: Store, warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    study, uri = make_study(), tracking_uri(store.root, None)
    save_all(store, study)
    uploads = iter(range(3))

    def dying(*args: Any) -> None:
        if next(uploads, None) is None:
            raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(Runs, "_attach", dying)
        cut = MlflowTracker(uri, store, warnings.append)
        sync([study.name], store, cut)
    assert cut.off
    assert len(warnings) == 1
    assert "ablate sync" in warnings[0]
    again = MlflowTracker(uri, store, warnings.append)
    assert sync([study.name], store, again).updated >= 5
    assert sync([study.name], store, again) == SyncCount(unchanged=8)
    assert all(len(history(store, run, "train_loss")) == 3 for (_, seed), run in runs(store).items() if seed)
    assert len(warnings) == 1


def test_divergence_is_an_outcome_and_a_failure_a_hole(store: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    store.save_study(study)
    save(store, study, "none", "0", diverged=True)
    save(store, study, "none", "1")
    store.save_failure(study.variant("none").keys["2"], Failure(reason="OutOfMemoryError: no room", created=""))
    sync([study.name], store, tracker)
    found = runs(store)
    assert (found["none", "0"].info.status, found["none", "0"].data.tags["ablate.status"]) == ("FINISHED", "diverged")
    assert found["none", "2"].info.status == "FAILED"
    assert found["none", "2"].data.tags["ablate.reason"] == "OutOfMemoryError: no room"
    parent = found["none", None]
    assert parent.info.status == "FAILED"
    assert {name: parent.data.metrics[name] for name in ("n", "diverged", "failed")} == {"n": 1, "diverged": 1, "failed": 1}
    (store.trial(study.variant("none").keys["2"]) / "failure.json").unlink()
    save(store, study, "none", "2")
    sync([study.name], store, tracker)
    healed = runs(store)["none", "2"]
    assert healed.info.run_id == found["none", "2"].info.run_id
    assert healed.info.status == "FINISHED"
    assert "ablate.reason" not in healed.data.tags


def test_a_damaged_result_is_shown_as_failed(store: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    save_all(store, study)
    (store.trial(study.variant("none").keys["1"]) / "result.json").write_text("{}")
    sync([study.name], store, tracker)
    run = runs(store)["none", "1"]
    assert (run.info.status, run.data.tags["ablate.status"]) == ("FAILED", "damaged")
    assert "top1_error" not in run.data.metrics
    assert runs(store)["none", None].data.metrics["n"] == 2


def test_a_run_that_contradicts_the_store_is_written_anew(store: Store, tracker: MlflowTracker, warnings: list[str]) -> None:
    study = make_study()
    save_all(store, study)
    sync([study.name], store, tracker)
    wrong, parent = runs(store)["none", "0"], runs(store)["none", None]
    client(store).log_metric(wrong.info.run_id, "train_loss", 99.0, step=2)
    client(store).delete_tag(wrong.info.run_id, mlflow_runs.DIGEST)
    client(store).log_param(parent.info.run_id, "reduction", "8")
    client(store).delete_tag(parent.info.run_id, mlflow_runs.DIGEST)
    sync([study.name], store, MlflowTracker(tracking_uri(store.root, None), store, warnings.append))
    found = runs(store)
    assert history(store, found["none", "0"], "train_loss") == [(1, 2.0), (2, 1.0), (3, 2.0 / 3)]
    assert "reduction" not in found["none", None].data.params
    assert {found["none", seed].data.tags["mlflow.parentRunId"] for seed in study.seeds} == {found["none", None].info.run_id}


def test_a_deleted_experiment_is_restored_and_default_stays_empty(store: Store, tracker: MlflowTracker, warnings: list[str]) -> None:
    study = make_study()
    save_all(store, study)
    sync([study.name], store, tracker)
    look = client(store)
    created = look.get_experiment_by_name("reduction")
    assert created is not None
    identity = created.experiment_id
    look.delete_experiment(identity)
    sync([study.name], store, MlflowTracker(tracking_uri(store.root, None), store, warnings.append))
    experiment = look.get_experiment_by_name("reduction")
    assert experiment is not None
    assert (experiment.experiment_id, experiment.lifecycle_stage) == (identity, "active")
    assert experiment.tags["mlflow.note.content"].startswith("Does it matter?")
    assert len(runs(store)) == 8
    assert look.search_runs(["0"]) == []


def test_a_trial_of_two_studies_stands_in_both_and_says_so(store: Store, tracker: MlflowTracker) -> None:
    first, second = make_study(), make_study("placement-quick", "placement", ("0", "1"))
    save_all(store, first)
    store.save_study(second)
    sync([first.name, second.name], store, tracker)
    here, there = runs(store), runs(store, "placement")
    assert here["none", "0"].data.metrics == there["none", "0"].data.metrics
    assert here["none", "0"].data.tags["ablate.shared"] == there["none", "0"].data.tags["ablate.shared"] == "true"
    assert "ablate.shared" not in here["none", "2"].data.tags


def test_a_second_network_of_the_same_kind_does_not_rename_parameters(store: Store) -> None:
    study = make_study()
    own = study.variant("none")
    other = own.model_copy(update={"name": "wide", "changes": {"net.name": ("resnet", "wide"), "net.block.name": ("se", "eca")}})
    record = child_record(study.model_copy(update={"variants": (*study.variants, other)}), own, "0", None, shared=False)
    assert {"block": "none", "net": "resnet"}.items() <= record.params.items()


# -- live


def train_live(tracker: Tracker, store: Store, study: Study, variant: str, seed: str, epochs: int = 3) -> None:
    """What the run loop tells an observer; fewer epochs than three are an interruption."""
    trial, result = make_trial(study, variant, seed), make_result(study, variant, seed)
    tracker.trial_started(trial)
    for epoch in result.history[:epochs]:
        tracker.trial_epoch(trial, epoch, 1.0)
    if epochs < 3:
        tracker.trial_ended(trial, None, "interrupted")
    else:
        tracker.trial_ended(trial, save(store, study, variant, seed), None)


def test_live_runs_end_as_sync_would_write_them(store: Store, tracker: MlflowTracker, warnings: list[str]) -> None:
    study = make_study()
    store.save_study(study)
    for variant, seed, _ in study.trials():
        train_live(tracker, store, study, variant.name, seed)
    before = snapshot(store)
    assert sync([study.name], store, MlflowTracker(tracking_uri(store.root, None), store, warnings.append)) == SyncCount(unchanged=8)
    assert snapshot(store) == before
    assert history(store, runs(store)["none", "0"], "lr") == [(1, 0.1), (2, 0.05), (3, 0.1 / 3)]
    assert runs(store)["none", None].data.metrics["difference_mean"] == pytest.approx(4 / 3)


def test_an_epoch_shows_at_once(store: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    store.save_study(study)
    trial = make_trial(study, "none", "0")
    tracker.trial_started(trial)
    tracker.trial_epoch(trial, Epoch(epoch=1, loss=2.0, error=50.0, lr=0.1), 1.0)
    run = runs(store)["none", "0"]
    assert (run.info.status, run.data.tags["ablate.status"], run.data.metrics["train_loss"]) == ("RUNNING", "running", 2.0)
    assert runs(store)["none", None].info.status == "RUNNING"


def test_an_interrupted_run_is_killed_and_taken_up_again(store: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    store.save_study(study)
    train_live(tracker, store, study, "none", "0", epochs=2)
    run = runs(store)["none", "0"]
    assert (run.info.status, run.data.tags["ablate.status"]) == ("KILLED", "interrupted")
    train_live(tracker, store, study, "none", "0")
    resumed = runs(store)["none", "0"]
    assert (resumed.info.run_id, resumed.info.status) == (run.info.run_id, "FINISHED")
    assert [step for step, _ in history(store, resumed, "train_loss")] == [1, 2, 3]


def test_an_orphan_is_closed_but_not_a_run_that_someone_holds(store: Store, tracker: MlflowTracker, warnings: list[str]) -> None:
    study = make_study()
    store.save_study(study)
    for seed in ("0", "1"):
        store.trial(study.variant("none").keys[seed]).mkdir(parents=True)
        tracker.trial_started(make_trial(study, "none", seed))
    with store.locked(study.variant("none").keys["1"]):
        sync([study.name], store, MlflowTracker(tracking_uri(store.root, None), store, warnings.append))
    assert runs(store)["none", "0"].info.status == "KILLED"
    assert runs(store)["none", "1"].info.status == "RUNNING"


def test_logging_an_epoch_is_cheap(store: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    store.save_study(study)
    trial = make_trial(study, "none", "0")
    tracker.trial_started(trial)
    seconds = []
    for epoch in range(1, 12):
        start = time.perf_counter()
        tracker.trial_epoch(trial, Epoch(epoch=epoch, loss=2.0, error=50.0, lr=0.1), 1.0)
        seconds.append(time.perf_counter() - start)
    assert sorted(seconds)[5] < 0.05


# -- outages


def test_an_outage_is_told_once_without_secrets_and_stops_nothing(store: Store, warnings: list[str]) -> None:
    study = make_study()
    store.save_study(study)
    start = time.monotonic()
    tracker = open_tracker("http://bob:secret@127.0.0.1:9", store, warnings.append, [study])
    for variant, seed, _ in study.trials():
        train_live(tracker, store, study, variant.name, seed)
    assert sync([study.name], store, tracker) == SyncCount()
    assert tracker.off
    assert len(warnings) == 1
    assert "http://127.0.0.1:9 cannot be written (ConnectionRefusedError: " in warnings[0]
    assert "secret" not in warnings[0]
    assert "bob" not in warnings[0]
    assert time.monotonic() - start < 10


def test_a_broken_database_stops_nothing(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "mlflow.db").write_text("no database")
    tracker = open_tracker(tracking_uri(tmp_path, None), Store(tmp_path), warnings.append)
    assert tracker.off
    assert len(warnings) == 1


def test_without_mlflow_training_goes_on_and_sync_is_refused(store: Store, warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    tracker = open_tracker("sqlite://", store, warnings.append)
    assert tracker.off
    assert len(warnings) == 1
    with pytest.raises(InputError, match="MLflow is not installed"):
        tracking.need_mlflow()


def test_a_missing_study_is_the_users_mistake(store: Store, tracker: MlflowTracker) -> None:
    with pytest.raises(InputError, match="nothing-quick"):
        sync(["nothing-quick"], store, tracker)


# -- processes

OPEN = "import sys; from ablations.tracking import *; from pathlib import Path; from ablations.store import Store\n"


@pytest.mark.slow
def test_processes_that_open_a_new_database_at_once_all_succeed_in_silence(tmp_path: Path) -> None:
    study = make_study()
    store = Store(tmp_path)
    save_all(store, study)
    code = (
        OPEN
        + "s = Store(Path(sys.argv[1])); t = open_tracker(tracking_uri(s.root, None), s, print); sync(s.studies(), s, t); sys.exit(t.off)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True) for _ in range(4)]
    ends = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    assert ends == [("", "", 0)] * 4
    assert len(runs(store)) == 8
    assert all(len(history(store, run, "train_loss")) == 3 for (_, seed), run in runs(store).items() if seed)


@pytest.mark.slow
def test_the_page_answers_lists_the_experiments_and_ends_with_all_its_processes(store: Store, tracker: MlflowTracker) -> None:
    save_all(store, make_study())
    sync([make_study().name], store, tracker)
    code = (
        "import sys; from pathlib import Path; from ablations.mlflow_ui import ui\n"
        "ui(sys.argv[1], Path(sys.argv[2]), None, lambda line: print(line, flush=True))"
    )
    command = [sys.executable, "-c", code, tracking_uri(store.root, None), str(store.root)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found
        with urllib.request.urlopen(found[0], timeout=10) as page:
            assert b"<html" in page.read()
        with urllib.request.urlopen(f"{found[0]}/api/2.0/mlflow/experiments/search?max_results=10", timeout=10) as answer:
            assert "reduction" in {experiment["name"] for experiment in json.load(answer)["experiments"]}
        run = runs(store)["none", "0"]
        with urllib.request.urlopen(f"{found[0]}/get-artifact?path=result.json&run_uuid={run.info.run_id}", timeout=10) as artifact:
            assert json.load(artifact)["key"] == run.data.tags["ablate.key"]
        (server,) = children(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(server, 0)
    finally:
        process.kill()
        process.communicate()


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def test_a_taken_port_is_the_users_mistake(store: Store) -> None:
    from ablations.mlflow_ui import ui

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="--port"):
            ui(tracking_uri(store.root, None), store.root, taken.getsockname()[1], print)


def test_the_page_of_a_server_is_only_named(store: Store) -> None:
    from ablations.mlflow_ui import ui

    said: list[str] = []
    ui("https://bob:secret@host", store.root, None, said.append)
    assert said == ["MLflow's page is at https://host"]


def test_mlflow_still_has_the_methods_that_we_call() -> None:
    from mlflow import MlflowClient

    called = set(re.findall(r"self\._client\.(\w+)\(", Path(mlflow_runs.__file__).read_text(encoding="utf-8")))
    assert called == {
        "create_experiment", "create_run", "delete_run", "delete_tag", "get_experiment_by_name", "get_metric_history", "get_run",
        "log_batch", "log_inputs", "log_text", "restore_experiment", "search_runs", "set_experiment_tag", "set_tag", "set_terminated",
        "update_run",
    }  # fmt: skip
    assert all(callable(getattr(MlflowClient, name)) for name in called)
