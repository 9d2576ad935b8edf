"""A report from MLflow alone: what comes back is what was stored, and nothing there is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored_study import client, make_study, runs, save, save_all

import runner
from ablations.store import DamagedStore, Failure, Store
from ablations.tracking.place import tracking_uri
from ablations.tracking.reading import restored
from ablations.tracking.tracker import MlflowTracker, sync
from senet_core.errors import InputError


def origin(store: Store) -> str:
    """A workspace's database as it is named on the command line."""
    return f"mlflow:{tracking_uri(store.root, None)}"


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder by their path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_comes_back_is_what_was_stored(mirrored: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    mirrored.save_study(study)
    save(mirrored, study, "r=16", "0")
    save(mirrored, study, "r=16", "1", diverged=True)
    failed = study.variant("none").keys["0"]
    mirrored.save_failure(failed, Failure(reason="OutOfMemoryError: no room", created="then"))
    (mirrored.trial(failed) / "log.txt").write_text("Traceback")
    sync([study.name], mirrored, tracker)
    with restored(origin(mirrored), "", []) as store:
        assert store.studies() == [study.name]
        assert store.study(study.name) == study
        assert files(store.root / "trials") == files(mirrored.root / "trials")
        assert {key: store.state(key) for _, _, key in study.trials()} == {key: mirrored.state(key) for _, _, key in study.trials()}
        folder = store.root
    assert not folder.exists()


def test_the_report_from_mlflow_is_the_report(mirrored: Store, tracker: MlflowTracker, tmp_path: Path) -> None:
    study = make_study()
    save_all(mirrored, study)
    sync([study.name], mirrored, tracker)
    assert runner.main(["report", "reduction", "--workspace", str(mirrored.root), "--out", str(tmp_path / "here")]) == 0
    assert runner.main(["report", "reduction", "--from", origin(mirrored), "--out", str(tmp_path / "there")]) == 0
    assert files(tmp_path / "there") == files(tmp_path / "here")
    assert "report.md" in {Path(name).name for name in files(tmp_path / "here")}


def test_a_trial_of_two_studies_comes_once_and_only_what_is_wanted_comes(mirrored: Store, tracker: MlflowTracker) -> None:
    first, second = make_study(), make_study("placement-quick-digits", "placement", ("0", "1"))
    save_all(mirrored, first)
    mirrored.save_study(second)
    sync([first.name, second.name], mirrored, tracker)
    with restored(origin(mirrored), "", ["placement"]) as store:
        assert store.studies() == [second.name]
        assert store.keys() == sorted({key for _, _, key in second.trials()})
    with restored("mlflow:", tracking_uri(mirrored.root, None), []) as store:
        assert store.studies() == [second.name, first.name]


def test_an_artifact_that_was_changed_is_refused(mirrored: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    save_all(mirrored, study)
    sync([study.name], mirrored, tracker)
    run = runs(mirrored)["none", "0"]
    place = mirrored.root / "mlartifacts" / run.info.run_id / "artifacts" / "result.json"
    place.write_text(place.read_text().replace("12.0", "11.0"))
    with pytest.raises(DamagedStore, match=r"result\.json"), restored(origin(mirrored), "", []):
        pass


def test_reading_changes_nothing(mirrored: Store, tracker: MlflowTracker) -> None:
    study = make_study()
    save_all(mirrored, study)
    sync([study.name], mirrored, tracker)
    client(mirrored)  # whatever opening alone does is done
    before = files(mirrored.root)
    with restored(origin(mirrored), "", []):
        pass
    assert files(mirrored.root) == before


@pytest.mark.parametrize(
    ("given", "wanted", "told"),
    [
        ("http://host", (), "mlflow:URI"),
        ("http://bob:secret@host", (), "'http://host' is no place"),
        ("mlflow:http//bob:secret@host", (), "'…host' is no address"),
        ("mlflow:", (), "no address"),
        ("mlflow:sqlite:////nowhere/at/all.db", (), "no file"),
        ("mlflow:http://bob:secret@127.0.0.1:9", (), r"MLflow at http://127\.0\.0\.1:9 cannot be read \(ConnectionRefusedError"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(given: str, wanted: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError, match=told), restored(given, "", wanted):
        pass


def test_an_empty_database_and_an_unknown_suite_are_sentences(mirrored: Store, tracker: MlflowTracker) -> None:
    with pytest.raises(InputError, match="has no studies; `ablate sync`"), restored(origin(mirrored), "", []):
        pass
    save_all(mirrored, make_study())
    sync([make_study().name], mirrored, tracker)
    with pytest.raises(InputError, match="named 'reductoin'; did you mean 'reduction'"), restored(origin(mirrored), "", ["reductoin"]):
        pass
