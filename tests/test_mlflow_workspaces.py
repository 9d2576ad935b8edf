"""Several workspaces with the same trials write to one place at the same time: none loses, doubles or leaves open what another wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored_study import client, make_study, runs, save, save_all

from ablations.store import Store
from ablations.tracking import runs as mlflow_runs
from ablations.tracking.place import tracking_uri
from ablations.tracking.tracker import MlflowTracker, SyncCount, sync

STUDY = make_study()


@pytest.fixture
def other(mirrored: Store, tmp_path: Path) -> Store:
    """A workspace beside the one whose database is used."""
    store = Store(tmp_path / "other")
    save_all(store, STUDY)
    return store


@pytest.fixture
def filled(mirrored: Store, tracker: MlflowTracker) -> Store:
    """The workspace with the database, all its trials there."""
    save_all(mirrored, STUDY)
    sync([STUDY.name], mirrored, tracker)
    return mirrored


def into(place: Store, store: Store, warnings: list[str]) -> MlflowTracker:
    """A tracker that writes what ``store`` holds into the database of ``place``."""
    return MlflowTracker(tracking_uri(place.root, None), store, warnings.append)


def test_doubles_that_two_workspaces_made_become_one(filled: Store, other: Store, warnings: list[str]) -> None:
    first = runs(filled)["none", None]
    later = {**first.data.tags, mlflow_runs.CLAIMED: "99999999999999999999"}
    double = client(filled).create_run(first.info.experiment_id, tags=later)
    sync([STUDY.name], other, into(filled, other, warnings))
    assert client(filled).get_run(double.info.run_id).info.lifecycle_stage == "deleted"
    assert runs(filled)["none", None].info.run_id == first.info.run_id
    assert not warnings


def test_what_another_workspace_completed_stays(filled: Store, other: Store, warnings: list[str]) -> None:
    before = {identity: run.info.run_id for identity, run in runs(filled).items()}
    for _, _, key in STUDY.trials():
        path = other.trial(key) / "config.json"
        path.write_text(path.read_text() + " ")  # as good, but not the same
    assert sync([STUDY.name], other, into(filled, other, warnings)) == SyncCount(unchanged=2, others=6)
    assert {identity: run.info.run_id for identity, run in runs(filled).items()} == before
    assert not warnings


@pytest.mark.parametrize("ended", [True, False], ids=["after its end", "before its end"])
def test_a_parent_that_another_workspace_left_as_running_is_ended(filled: Store, other: Store, warnings: list[str], ended: bool) -> None:
    """That one began a trial of the row just while this one completed it: "RUNNING" was the last word."""
    parent = runs(filled)["none", None]
    client(filled).update_run(parent.info.run_id, status="RUNNING")
    if not ended:
        client(filled).set_tag(parent.info.run_id, mlflow_runs.DIGEST, "")
    sync([STUDY.name], other, into(filled, other, warnings))
    found = runs(filled)["none", None]
    assert (found.info.run_id, found.info.status) == (parent.info.run_id, "FINISHED")
    assert not warnings


def test_trials_of_another_workspace_follow_a_parent_that_is_written_anew(filled: Store, other: Store, warnings: list[str]) -> None:
    former = runs(filled)["none", None].info.run_id
    client(filled).delete_run(former)
    sync([STUDY.name], other, into(filled, other, warnings))
    found = runs(filled)
    assert found["none", None].info.run_id != former
    assert {found["none", seed].data.tags["mlflow.parentRunId"] for seed in STUDY.seeds} == {found["none", None].info.run_id}
    assert not warnings


def test_fewer_seeds_do_not_replace_more(filled: Store, tmp_path: Path, warnings: list[str]) -> None:
    fewer = Store(tmp_path / "fewer")
    fewer.save_study(STUDY)
    save(fewer, STUDY, "none", "0")
    sync([STUDY.name], fewer, into(filled, fewer, warnings))
    assert runs(filled)["none", None].data.metrics["n"] == 3
    assert not warnings
