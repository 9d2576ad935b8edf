"""A few faults of each kind, struck at a real suite: the short form of `python -m benchmarks.chaos --faults 100`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ablations.tracking import client as mlflow_client
from ablations.tracking.client import opened

ROOT = Path(__file__).resolve().parent.parent


def test_five_faults_lose_double_and_change_nothing(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "benchmarks.chaos", "--faults", "5", "--folder", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    last = done.stdout.strip().splitlines()[-1]
    assert re.match(r"5 faults; every result equal, none lost, none doubled\.", last), last
    assert not list(tmp_path.iterdir()), "what is equal is cleared away"


def test_the_judge_of_the_faults_finds_what_is_wrong(tmp_path: Path) -> None:
    """A judge that never finds anything would pass every fault."""
    from stored_study import make_study, save_all

    from ablations.store import Store
    from ablations.tracking.place import tracking_uri
    from ablations.tracking.tracker import MlflowTracker, sync
    from benchmarks.chaos_check import differences, outcomes

    store, study = Store(tmp_path), make_study()
    save_all(store, study)
    uri = tracking_uri(tmp_path, None)
    sync([study.name], store, MlflowTracker(uri, store, lambda sentence: None))
    expected = outcomes(tmp_path)
    assert differences(tmp_path, expected, uri) == []

    lost = next(iter(expected))
    other = {key: [value[0] | {"status": "diverged"}, value[1]] for key, value in expected.items() if key != lost}
    told = differences(tmp_path, other, uri)
    assert f"trial {lost} should not be there" in told and sum("another result" in line for line in told) == 5
    (store.trial(lost) / "result.json").unlink()
    (store.trial(lost) / ".result.json.123").write_text("half")
    told = differences(tmp_path, expected, uri)
    assert f"trial {lost} is lost" in told and any("was left behind" in line for line in told)

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(study.suite)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    twin = client.create_run(experiment.experiment_id, tags={k: v for k, v in runs[0].data.tags.items() if k.startswith("ablate.")})
    client.delete_run(runs[1].info.run_id)
    told = differences(tmp_path, expected, uri)
    assert any("2 times" in line for line in told) and any("MLflow lacks" in line for line in told)
    assert any("as RUNNING" in line for line in told), twin.info.run_id


def test_a_database_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow cannot go on with a database in whose making it was killed."""

    def killed(*paths: object) -> None:
        raise KeyboardInterrupt

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with monkeypatch.context() as patch:
        patch.setattr(mlflow_client.os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            opened(uri)
    assert not (tmp_path / "mlflow.db").exists()
    assert opened(uri).search_experiments() and [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
