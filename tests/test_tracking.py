"""The MLflow mirror: what it shows is what the store holds, however often, however late and however interrupted it was written."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from stored_study import (
    artifact,
    artifacts,
    client,
    experiment_tags,
    history,
    make_result,
    make_study,
    make_trial,
    runs,
    save,
    save_all,
    snapshot,
    train_live,
)

from ablations.result import Epoch
from ablations.store import Failure, Store
from ablations.study import Study
from ablations.tracking import notes as mlflow_notes
from ablations.tracking import runs as mlflow_runs
from ablations.tracking import tracker as tracking
from ablations.tracking import views as mlflow_views
from ablations.tracking.place import need_mlflow, tracking_uri
from ablations.tracking.runs import Runs
from ablations.tracking.tracker import Extras, MlflowTracker, SyncCount, open_tracker, sync
from senet_core.config import Config
from senet_core.errors import InputError

ROOT = Path(__file__).parent.parent


def another(store: Store, warnings: list[str], studies: list[Study] | None = None) -> MlflowTracker:
    """A tracker as the next command opens it."""
    return MlflowTracker(tracking_uri(store.root, None), store, warnings.append, studies or [])


def test_importing_the_modules_imports_no_mlflow() -> None:
    modules = "ablations.tracking.tracker, ablations.tracking.ui, ablations.tracking.reading, ablations.tracking.model"
    code = f"import sys, {modules}; sys.exit('mlflow' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


# -- what sync writes


def test_numbers_in_mlflow_are_the_stores(mirrored: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    save_all(mirrored, study)
    assert sync([study.name], mirrored, tracker) == SyncCount(created=8)
    found = runs(mirrored)
    child, parent = found["none", "1"], found["none", None]
    result = mirrored.result(study.variant("none").keys["1"])
    assert result is not None and result.errors is not None
    assert child.data.metrics["top1_error"] == result.errors.top1 == 12.5
    assert child.data.metrics["seconds"] == 4.0
    assert history(mirrored, child, "train_loss") == [(epoch.epoch, epoch.loss) for epoch in result.history]
    assert history(mirrored, child, "images_per_second") == [(1, 256.0), (2, 204.8), (3, pytest.approx(170.67, abs=0.01))]
    assert child.info.end_time - child.info.start_time == 4000
    assert child.info.run_name == "none seed=001"
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.metrics["top1_error_mean"] == pytest.approx(12.5)
    assert parent.data.metrics["difference_mean"] == pytest.approx((2.0 + 1.5 + 0.5) / 3)
    assert parent.data.tags["ablate.verdict"] == "open"
    assert {run.info.status for run in found.values()} == {"FINISHED"}


def test_the_numbers_of_the_store_of_mlflow_and_of_the_report_are_equal(mirrored: Store, tracker: MlflowTracker) -> None:
    from report.rows import read

    study = make_study()
    save_all(mirrored, study)
    sync([study.name], mirrored, tracker)
    found = runs(mirrored)
    for row in read(study, mirrored).rows():
        metrics = found[row.variant, None].data.metrics
        assert (metrics["top1_error_mean"], metrics["top1_error_low"], metrics["top1_error_high"], metrics["n"]) == (
            row.error.mean, row.error.low, row.error.high, row.error.n,
        )  # fmt: skip
        assert (metrics["parameters"], metrics["macs"]) == (row.parameters, row.macs)
        assert {seed: found[row.variant, seed].data.metrics["top1_error"] for seed in study.seeds} == row.errors
        one = row.comparison
        told = (
            {"difference_mean": one.mean, "difference_low": one.all.low, "difference_high": one.all.high, "p_holm": one.adjusted}
            if one
            else {}
        )
        assert {name: metrics.get(name) for name in ("difference_mean", "difference_low", "difference_high", "p_holm") if one} == told
        assert found[row.variant, None].data.tags["ablate.verdict"] == (one.word if one else "reference")


def test_each_run_carries_its_record_and_its_data_set(mirrored: Store, tracker: MlflowTracker, tmp_path: Path) -> None:
    study = make_study()
    save_all(mirrored, study)
    sync([study.name], mirrored, tracker)
    found = runs(mirrored)
    child, parent = found["r=16", "0"], found["r=16", None]
    key = child.data.tags["ablate.key"]
    for name in ("result.json", "correct.npz"):
        assert artifact(mirrored, child, name, tmp_path / "down") == (mirrored.trial(key) / name).read_bytes()
    assert Config.of(json.loads(artifact(mirrored, child, "config.json", tmp_path / "down"))) == study.variant("r=16").config
    assert artifact(mirrored, child, "curve.svg", tmp_path / "down").startswith(b"<svg")
    assert Study.model_validate_json(artifact(mirrored, parent, "study.json", tmp_path / "down")) == study
    assert (mirrored.root / "mlartifacts").is_dir()
    for run in (child, parent):
        assert run.inputs is not None
        (dataset,) = run.inputs.dataset_inputs
        assert (dataset.dataset.name, dataset.tags[0].value) == ("digits", "training and test")
        assert json.loads(dataset.dataset.profile)["training images"] == 300


def test_a_second_sync_changes_nothing(mirrored: Store, tracker: MlflowTracker, warnings: list[str]) -> None:
    study = make_study()
    save_all(mirrored, study)
    sync([study.name], mirrored, tracker)
    before, tags = snapshot(mirrored), experiment_tags(mirrored)
    assert sync([study.name], mirrored, another(mirrored, warnings)) == SyncCount(unchanged=8)
    assert snapshot(mirrored) == before
    assert experiment_tags(mirrored) == tags


def test_only_what_changed_is_written_again(mirrored: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    mirrored.save_study(study)
    for seed in ("0", "1"):
        save(mirrored, study, "r=16", seed)
        save(mirrored, study, "none", seed)
    sync([study.name], mirrored, tracker)
    assert runs(mirrored)["none", None].info.status == "SCHEDULED"
    save(mirrored, study, "none", "2")
    assert sync([study.name], mirrored, tracker) == SyncCount(created=1, updated=1, unchanged=5)
    parent = runs(mirrored)["none", None]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["n"] == 3
    assert parent.data.metrics["top1_error_mean"] == pytest.approx(12.5)


def test_the_parents_of_all_rows_follow_when_one_row_gets_a_result(mirrored: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    mirrored.save_study(study)
    for seed in study.seeds:
        save(mirrored, study, "none", seed)
    sync([study.name], mirrored, tracker)
    assert runs(mirrored)["none", None].data.tags["ablate.verdict"] == "none yet"
    for seed in study.seeds:
        train_live(tracker, mirrored, study, "r=16", seed)
    parent = runs(mirrored)["none", None]
    assert parent.data.tags["ablate.verdict"] == "open"
    assert parent.data.metrics["difference_mean"] == pytest.approx(4 / 3)


def test_an_upload_cut_short_is_completed_by_the_next(mirrored: Store, warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study()
    save_all(mirrored, study)
    uploads = iter(range(3))

    def dying(*args: Any) -> None:
        if next(uploads, None) is None:
            raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(Runs, "_attach", dying)
        cut = another(mirrored, warnings)
        sync([study.name], mirrored, cut)
    assert cut.off
    assert len(warnings) == 1
    assert "ablate sync" in warnings[0]
    assert sync([study.name], mirrored, another(mirrored, warnings)).updated >= 5
    assert sync([study.name], mirrored, another(mirrored, warnings)) == SyncCount(unchanged=8)
    assert all(len(history(mirrored, run, "train_loss")) == 3 for (_, seed), run in runs(mirrored).items() if seed)
    assert len(warnings) == 1


def test_divergence_is_an_outcome_and_a_failure_a_hole(mirrored: Store, tracker: MlflowTracker, tmp_path: Path) -> None:
    study = make_study()
    mirrored.save_study(study)
    save(mirrored, study, "none", "0", diverged=True)
    save(mirrored, study, "none", "1")
    key = study.variant("none").keys["2"]
    mirrored.save_failure(key, Failure(reason="OutOfMemoryError: no room", created=""))
    (mirrored.trial(key) / "log.txt").write_text("Traceback")
    sync([study.name], mirrored, tracker)
    found = runs(mirrored)
    assert (found["none", "0"].info.status, found["none", "0"].data.tags["ablate.status"]) == ("FINISHED", "diverged")
    assert found["none", "2"].info.status == "FAILED"
    assert found["none", "2"].data.tags["ablate.reason"] == "OutOfMemoryError: no room"
    assert artifact(mirrored, found["none", "2"], "log.txt", tmp_path / "down") == b"Traceback"
    assert found["none", None].info.status == "FAILED"
    (mirrored.trial(key) / "failure.json").unlink()
    save(mirrored, study, "none", "2")
    sync([study.name], mirrored, tracker)
    healed = runs(mirrored)["none", "2"]
    assert healed.info.run_id == found["none", "2"].info.run_id
    assert healed.info.status == "FINISHED"
    assert "ablate.reason" not in healed.data.tags


def test_a_damaged_result_is_shown_as_failed(mirrored: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    save_all(mirrored, study)
    (mirrored.trial(study.variant("none").keys["1"]) / "result.json").write_text("{}")
    sync([study.name], mirrored, tracker)
    run = runs(mirrored)["none", "1"]
    assert (run.info.status, run.data.tags["ablate.status"]) == ("FAILED", "damaged")
    assert "top1_error" not in run.data.metrics
    assert runs(mirrored)["none", None].data.metrics["n"] == 2


def test_a_run_that_contradicts_the_store_is_written_anew(mirrored: Store, tracker: MlflowTracker, warnings: list[str]) -> None:
    study = make_study()
    save_all(mirrored, study)
    sync([study.name], mirrored, tracker)
    wrong, parent = runs(mirrored)["none", "0"], runs(mirrored)["none", None]
    client(mirrored).log_metric(wrong.info.run_id, "train_loss", 99.0, step=2)
    client(mirrored).delete_tag(wrong.info.run_id, mlflow_runs.DIGEST)
    client(mirrored).log_param(parent.info.run_id, "reduction", "8")
    client(mirrored).delete_tag(parent.info.run_id, mlflow_runs.DIGEST)
    sync([study.name], mirrored, another(mirrored, warnings))
    found = runs(mirrored)
    assert history(mirrored, found["none", "0"], "train_loss") == [(1, 2.0), (2, 1.0), (3, 2.0 / 3)]
    assert "reduction" not in found["none", None].data.params
    assert {found["none", seed].data.tags["mlflow.parentRunId"] for seed in study.seeds} == {found["none", None].info.run_id}


def test_a_trial_of_two_studies_stands_in_both_and_says_so(mirrored: Store, tracker: MlflowTracker) -> None:
    first, second = make_study(), make_study("placement-quick-digits", "placement", ("0", "1"))
    save_all(mirrored, first)
    mirrored.save_study(second)
    sync([first.name, second.name], mirrored, tracker)
    here, there = runs(mirrored), runs(mirrored, "placement")
    assert here["none", "0"].data.metrics == there["none", "0"].data.metrics
    places = "placement: none, seed 0; reduction: none, seed 0"
    assert here["none", "0"].data.tags["ablate.shared"] == there["none", "0"].data.tags["ablate.shared"] == places
    assert "ablate.shared" not in here["none", "2"].data.tags


# -- experiments


def test_a_deleted_experiment_is_restored_and_default_stays_empty(mirrored: Store, tracker: MlflowTracker, warnings: list[str]) -> None:
    study = make_study()
    save_all(mirrored, study)
    sync([study.name], mirrored, tracker)
    look = client(mirrored)
    created = look.get_experiment_by_name("reduction")
    assert created is not None
    look.delete_experiment(created.experiment_id)
    sync([study.name], mirrored, another(mirrored, warnings))
    experiment = look.get_experiment_by_name("reduction")
    assert experiment is not None
    assert (experiment.experiment_id, experiment.lifecycle_stage) == (created.experiment_id, "active")
    assert experiment.tags[mlflow_notes.NOTE].startswith("Does it matter?")
    assert len(runs(mirrored)) == 8
    assert look.search_runs(["0"]) == []


def test_a_renamed_experiment_is_found_again(mirrored: Store, tracker: MlflowTracker, warnings: list[str]) -> None:
    study = make_study()
    save_all(mirrored, study)
    sync([study.name], mirrored, tracker)
    look = client(mirrored)
    created = look.get_experiment_by_name("reduction")
    assert created is not None
    look.rename_experiment(created.experiment_id, "what r does")
    assert sync([study.name], mirrored, another(mirrored, warnings)) == SyncCount(unchanged=8)
    assert look.get_experiment_by_name("reduction") is None
    assert len(runs(mirrored, "what r does")) == 8


def test_an_experiment_of_somebody_elses_is_left_alone_and_an_empty_one_is_taken(mirrored: Store, tracker: MlflowTracker) -> None:
    look = client(mirrored)
    theirs, empty = look.create_experiment("reduction"), look.create_experiment("placement")
    other = look.create_run(theirs)
    first, second = make_study(), make_study("placement-quick-digits", "placement", ("0", "1"))
    save_all(mirrored, first)
    mirrored.save_study(second)
    sync([first.name, second.name], mirrored, tracker)
    assert [run.info.run_id for run in look.search_runs([theirs])] == [other.info.run_id]
    assert len(runs(mirrored, "reduction (ablate)")) == 8
    found = look.get_experiment_by_name("placement")
    assert found is not None
    assert found.experiment_id == empty
    assert len(runs(mirrored, "placement")) == 6


def test_a_description_that_a_person_edited_stays(mirrored: Store, tracker: MlflowTracker, warnings: list[str]) -> None:
    study = make_study()
    save_all(mirrored, study)
    sync([study.name], mirrored, tracker)
    experiment = client(mirrored).get_experiment_by_name("reduction")
    assert experiment is not None
    assert "3 seeds" in experiment.tags[mlflow_notes.NOTE]
    client(mirrored).set_experiment_tag(experiment.experiment_id, mlflow_notes.NOTE, "mine")
    sync([study.name], mirrored, another(mirrored, warnings))
    assert experiment_tags(mirrored)[mlflow_notes.NOTE] == "mine"


def test_an_experiment_offers_views_and_links_of_each_study(mirrored: Store, tracker: MlflowTracker) -> None:
    first, second = make_study(), make_study("reduction-smoke-digits", seeds=("0", "1"))
    save_all(mirrored, first)
    mirrored.save_study(second)
    sync([first.name, second.name], mirrored, tracker)
    tags = experiment_tags(mirrored)
    assert {name for name in tags if name.startswith(mlflow_views.TAG)} == {
        mlflow_views.TAG + mlflow_views.view_id(study, kind) for study in (first, second) for kind in ("table", "curves")
    }
    for study in (first, second):
        assert f"**{study.name}**" in tags[mlflow_notes.NOTE]
        assert mlflow_views.view_id(study, "table") in tags[mlflow_notes.NOTE]
    links = Runs(tracking_uri(mirrored.root, None), mirrored.root).suites.links()
    assert list(links) == [first.name, second.name]


def test_a_report_hangs_on_the_newest_parent_and_is_linked(mirrored: Store, tracker: MlflowTracker, tmp_path: Path) -> None:
    study = make_study()
    save_all(mirrored, study)
    sync([study.name], mirrored, tracker)
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "report.md").write_text("# Page")
    tracker.attach_report(study, folder)
    parents = [run for (_, seed), run in runs(mirrored).items() if seed is None]
    carriers = [run for run in parents if "report" in artifacts(mirrored, run)]
    assert len(carriers) == 1
    newest = max(parents, key=lambda run: (run.info.start_time, run.data.tags[mlflow_runs.CLAIMED]))
    assert carriers[0].info.run_id == newest.info.run_id
    assert f"runs/{newest.info.run_id}/artifacts/report/report.md" in experiment_tags(mirrored)[mlflow_notes.NOTE]
    (folder / "report.md").write_text("# Page, changed")
    tracker.attach_report(study, folder)
    assert artifact(mirrored, newest, "report/report.md", tmp_path / "down") == b"# Page, changed"


# -- live


def test_live_runs_end_as_sync_would_write_them(mirrored: Store, tracker: MlflowTracker, warnings: list[str]) -> None:
    study = make_study()
    mirrored.save_study(study)
    for variant, seed, _ in study.trials():
        train_live(tracker, mirrored, study, variant.name, seed)
    before = snapshot(mirrored)
    assert sync([study.name], mirrored, another(mirrored, warnings)) == SyncCount(unchanged=8)
    assert snapshot(mirrored) == before
    assert history(mirrored, runs(mirrored)["none", "0"], "lr") == [(1, 0.1), (2, 0.05), (3, 0.1 / 3)]
    assert runs(mirrored)["none", None].data.metrics["difference_mean"] == pytest.approx(4 / 3)


def test_an_epoch_shows_at_once_by_one_request(mirrored: Store, tracker: MlflowTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    study = make_study()
    mirrored.save_study(study)
    trial = make_trial(study, "none", "0")
    tracker.trial_started(trial)
    called: list[str] = []
    for name in (name for name in dir(MlflowClient) if not name.startswith("_")):
        plain = getattr(MlflowClient, name)
        if callable(plain):

            def counted(*args: Any, _plain: Any = plain, _name: str = name, **words: Any) -> Any:
                called.append(_name)
                return _plain(*args, **words)

            monkeypatch.setattr(MlflowClient, name, counted)
    tracker.trial_epoch(trial, Epoch(epoch=1, loss=2.0, error=50.0, lr=0.1), 1.0)
    assert called == ["log_batch"]
    run = runs(mirrored)["none", "0"]
    assert (run.info.status, run.data.tags["ablate.status"], run.data.metrics["train_loss"]) == ("RUNNING", "running", 2.0)
    assert run.data.metrics["images_per_second"] == 256
    assert runs(mirrored)["none", None].info.status == "RUNNING"


def test_an_interrupted_run_is_killed_and_taken_up_again(mirrored: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    mirrored.save_study(study)
    train_live(tracker, mirrored, study, "none", "0", epochs=2)
    run = runs(mirrored)["none", "0"]
    assert (run.info.status, run.data.tags["ablate.status"]) == ("KILLED", "interrupted")
    assert runs(mirrored)["none", None].info.status == "SCHEDULED"
    train_live(tracker, mirrored, study, "none", "0")
    resumed = runs(mirrored)["none", "0"]
    assert (resumed.info.run_id, resumed.info.status) == (run.info.run_id, "FINISHED")
    assert [step for step, _ in history(mirrored, resumed, "train_loss")] == [1, 2, 3]


def test_an_orphan_is_closed_at_the_next_start_but_not_a_run_that_someone_holds(
    mirrored: Store, tracker: MlflowTracker, warnings: list[str]
) -> None:
    study = make_study()
    mirrored.save_study(study)
    for seed in ("0", "1"):
        mirrored.trial(study.variant("none").keys[seed]).mkdir(parents=True)
        tracker.trial_started(make_trial(study, "none", seed))
    with mirrored.locked(study.variant("none").keys["1"]):
        another(mirrored, warnings, [study])
    assert runs(mirrored)["none", "0"].info.status == "KILLED"
    assert runs(mirrored)["none", "1"].info.status == "RUNNING"
    assert runs(mirrored)["none", None].info.status == "RUNNING"
    another(mirrored, warnings, [study])
    assert runs(mirrored)["none", "1"].info.status == "KILLED"
    assert runs(mirrored)["none", None].info.status == "SCHEDULED"


def test_a_trial_that_ended_unseen_is_finished_at_the_next_start(mirrored: Store, tracker: MlflowTracker, warnings: list[str]) -> None:
    study = make_study()
    mirrored.save_study(study)
    tracker.trial_started(make_trial(study, "none", "0"))
    save(mirrored, study, "none", "0")  # and the driver is killed before it can tell
    another(mirrored, warnings, [study])
    assert runs(mirrored)["none", "0"].info.status == "FINISHED"


def test_a_run_that_is_deleted_while_it_trains_comes_back_whole(mirrored: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    mirrored.save_study(study)
    trial, result = make_trial(study, "none", "0"), make_result(study, "none", "0")
    tracker.trial_started(trial)
    client(mirrored).delete_run(runs(mirrored)["none", "0"].info.run_id)
    for epoch in result.history:
        tracker.trial_epoch(trial, epoch, 1.0)
    tracker.trial_ended(trial, save(mirrored, study, "none", "0"), None)
    run = runs(mirrored)["none", "0"]
    assert run.info.status == "FINISHED"
    assert len(history(mirrored, run, "train_loss")) == 3


def test_an_experiment_that_is_deleted_while_it_trains_comes_back_whole(mirrored: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    mirrored.save_study(study)
    trial = make_trial(study, "none", "0")
    tracker.trial_started(trial)
    experiment = client(mirrored).get_experiment_by_name("reduction")
    assert experiment is not None
    client(mirrored).delete_experiment(experiment.experiment_id)
    tracker.trial_epoch(trial, Epoch(epoch=1, loss=2.0, error=50.0, lr=0.1), 1.0)
    tracker.trial_ended(trial, save(mirrored, study, "none", "0"), None)
    assert runs(mirrored)["none", "0"].info.status == "FINISHED"


def test_system_metrics_are_sampled_on_request_and_no_contradiction(
    mirrored: Store, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    study = make_study()
    mirrored.save_study(study)
    tracker = MlflowTracker(tracking_uri(mirrored.root, None), mirrored, warnings.append, [study], Extras(system_metrics=True))
    tracker.trial_started(make_trial(study, "none", "0"))
    run_id = runs(mirrored)["none", "0"].info.run_id
    deadline = time.monotonic() + 60
    while not any(name.startswith("system/") for name in runs(mirrored)["none", "0"].data.metrics) and time.monotonic() < deadline:
        time.sleep(0.1)
    tracker.trial_ended(make_trial(study, "none", "0"), save(mirrored, study, "none", "0"), None)
    run = runs(mirrored)["none", "0"]
    assert run.info.run_id == run_id
    assert "system/cpu_utilization_percentage" in run.data.metrics
    assert not warnings


def test_system_metrics_need_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install psutil"):
        Extras(system_metrics=True)


# -- outages


def test_an_outage_is_told_once_without_secrets_and_stops_nothing(mirrored: Store, warnings: list[str]) -> None:
    study = make_study()
    mirrored.save_study(study)
    tracker = open_tracker("http://bob:secret@127.0.0.1:9", mirrored, warnings.append, [study])
    for variant, seed, _ in study.trials():
        train_live(tracker, mirrored, study, variant.name, seed)
    assert sync([study.name], mirrored, tracker) == SyncCount()
    assert tracker.off
    assert len(warnings) == 1
    assert "http://127.0.0.1:9 cannot be written (ConnectionRefusedError: " in warnings[0]
    assert "secret" not in warnings[0]
    assert "bob" not in warnings[0]


def test_a_server_that_answers_again_gets_what_it_missed(mirrored: Store, warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(tracking.time, "monotonic", lambda: now[0])
    study = make_study()
    mirrored.save_study(study)
    tracker = another(mirrored, warnings, [study])
    tries: list[int] = []

    def gone(*args: Any) -> None:
        tries.append(1)
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(Runs, "claim", gone)
        train_live(tracker, mirrored, study, "none", "0")
        now[0] += tracking.PAUSE_SECONDS + 1
        train_live(tracker, mirrored, study, "none", "1")
    assert len(tries) == 2  # at most one a pause, however often there was something to write
    assert tracker.off
    now[0] += 2 * tracking.PAUSE_SECONDS + 1
    train_live(tracker, mirrored, study, "none", "2")
    assert not tracker.off
    assert [("cannot be written" in told, "answers again" in told) for told in warnings] == [(True, False), (False, True)]
    assert {runs(mirrored)["none", seed].info.status for seed in study.seeds} == {"FINISHED"}


def test_a_broken_database_stops_nothing(tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "mlflow.db").write_text("no database")
    tracker = open_tracker(tracking_uri(tmp_path, None), Store(tmp_path), warnings.append)
    assert tracker.off
    assert len(warnings) == 1


def test_without_mlflow_training_goes_on_and_sync_is_refused(mirrored: Store, warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    tracker = open_tracker("sqlite://", mirrored, warnings.append)
    assert tracker.off
    assert len(warnings) == 1
    with pytest.raises(InputError, match="MLflow is not installed"):
        need_mlflow()


def test_a_missing_study_is_the_users_mistake(mirrored: Store, tracker: MlflowTracker) -> None:
    with pytest.raises(InputError, match="nothing-quick"):
        sync(["nothing-quick"], mirrored, tracker)


# -- processes

OPEN = (
    "import sys; from ablations.tracking.tracker import *; from ablations.tracking.place import tracking_uri; from pathlib import Path;"
    " from ablations.store import Store\n"
)


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
    ends = [(*process.communicate(timeout=600), process.returncode) for process in processes]
    assert ends == [("", "", 0)] * 4
    assert len(runs(store)) == 8
    assert all(len(history(store, run, "train_loss")) == 3 for (_, seed), run in runs(store).items() if seed)


@pytest.mark.slow
def test_the_page_answers_lists_the_experiments_and_ends_with_all_its_processes(mirrored: Store, tracker: MlflowTracker) -> None:
    save_all(mirrored, make_study())
    sync([make_study().name], mirrored, tracker)
    code = (
        "import sys; from pathlib import Path; from ablations.tracking.ui import ui\n"
        "ui(sys.argv[1], Path(sys.argv[2]), None, lambda line: print(line, flush=True))"
    )
    command = [sys.executable, "-c", code, tracking_uri(mirrored.root, None), str(mirrored.root)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found
        assert process.stdout.readline() == "Variants sorted by error, with intervals and verdicts:\n"
        link = mlflow_views.link("1", make_study(), "table")
        assert process.stdout.readline() == f"  {make_study().name}: {found[0]}/{link}\n"
        with urllib.request.urlopen(found[0], timeout=60) as page:
            assert b"<html" in page.read()
        with urllib.request.urlopen(f"{found[0]}/api/2.0/mlflow/experiments/search?max_results=10", timeout=60) as answer:
            assert "reduction" in {experiment["name"] for experiment in json.load(answer)["experiments"]}
        run = runs(mirrored)["none", "0"]
        with urllib.request.urlopen(f"{found[0]}/get-artifact?path=result.json&run_uuid={run.info.run_id}", timeout=60) as sent:
            assert json.load(sent)["key"] == run.data.tags["ablate.key"]
        (server,) = children(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(server, 0)
    finally:
        process.kill()
        process.communicate()


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def test_a_taken_port_is_the_users_mistake(mirrored: Store) -> None:
    from ablations.tracking.ui import ui

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="--port"):
            ui(tracking_uri(mirrored.root, None), mirrored.root, taken.getsockname()[1], print)


def test_the_page_of_a_server_is_only_named(mirrored: Store) -> None:
    from ablations.tracking.ui import ui

    said: list[str] = []
    ui("http://bob:secret@127.0.0.1:9", mirrored.root, None, said.append)
    assert said == ["MLflow's page is at http://127.0.0.1:9"]
