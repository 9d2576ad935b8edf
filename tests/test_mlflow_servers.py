"""The mirror on a real MLflow server with an artifact proxy, and several drivers on it at once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from stored_study import artifact, client, history, make_study, runs, save_all

import runner
from ablations.store import Store
from ablations.tracking.client import QUIET
from ablations.tracking.place import tracking_uri
from ablations.tracking.tracker import MlflowTracker, SyncCount, sync

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent

DRIVER = """
import random, sys
from pathlib import Path
sys.path[:0] = [sys.argv[3], sys.argv[4]]
import stored_study
from stored_study import make_study, train_live
from ablations.store import Store
from ablations.tracking.tracker import MlflowTracker
stored_study.LAPS = tuple(random.random() for _ in range(3))  # as on machines of different speed
store, study, told = Store(Path(sys.argv[2])), make_study(), []
store.save_study(study)
tracker = MlflowTracker(sys.argv[1], store, told.append, [study])
for variant, seed, key in study.trials():
    with store.locked(key) as mine:
        if mine and store.result(key) is None:
            train_live(tracker, store, study, variant.name, seed)
tracker.mirror(study)
print(told, tracker.off)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a fresh server that stores artifacts itself."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    database = os.environ.get("ABLATE_TEST_DATABASE", f"sqlite:///{folder}/server.db")  # an empty one, for all tests of this file
    places = ["--backend-store-uri", database, "--artifacts-destination", str(folder / "artifacts")]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *places]

    environment = QUIET | dict(os.environ) | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + 300
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.5)
            else:
                pytest.fail((folder / "log.txt").read_text()[-2000:])
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 15)
            process.wait(60)


def four_drivers(uri: str, workspaces: list[Path]) -> None:
    """Start one in each of these workspaces at once, and wait until all have ended without a word."""
    command = [sys.executable, "-c", DRIVER, uri]
    drivers = [
        subprocess.Popen(
            [*command, str(workspace), str(HERE.parent), str(HERE)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for workspace in workspaces
    ]
    assert [driver.communicate(timeout=900)[0] for driver in drivers] == ["[] False\n"] * 4


def complete(uri: str) -> None:
    """Every run of the study is there once and whole, and none in `Default`."""
    found = runs(uri)  # which checks that no cell has two runs
    steps = {(variant, seed): [step for step, _ in history(uri, run, "train_loss")] for (variant, seed), run in found.items() if seed}
    assert len(found) == 8
    assert {identity: run.info.status for identity, run in found.items() if run.info.status != "FINISHED"} == {}
    assert {identity: there for identity, there in steps.items() if there != [1, 2, 3]} == {}
    assert client(uri).search_runs(["0"]) == []


def test_four_drivers_on_one_fresh_server_lose_nothing_and_double_nothing(server: str, tmp_path: Path) -> None:
    """Each in a workspace of its own, with the same trials: the worst case."""
    four_drivers(server, [tmp_path / str(number) for number in range(4)])
    complete(server)


def test_four_drivers_in_one_fresh_workspace_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    uri = tracking_uri(tmp_path, None)
    four_drivers(uri, [tmp_path] * 4)
    complete(uri)


def test_a_report_is_made_from_the_server_alone(server: str, tmp_path: Path, warnings: list[str]) -> None:
    store, study = Store(tmp_path / "workspace"), make_study("placement-quick-digits", "placement")
    save_all(store, study)
    assert sync([study.name], store, MlflowTracker(server, store, warnings.append)) == SyncCount(created=8)
    assert sync([study.name], store, MlflowTracker(server, store, warnings.append)) == SyncCount(unchanged=8)
    assert not (store.root / "mlartifacts").exists()
    run = runs(server, "placement")["none", "0"]
    assert (
        artifact(server, run, "result.json", tmp_path / "down") == (store.trial(run.data.tags["ablate.key"]) / "result.json").read_bytes()
    )
    outs = [str(tmp_path / name) for name in ("here", "there")]
    assert runner.main(["report", "placement", "--workspace", str(store.root), "--out", outs[0]]) == 0
    assert runner.main(["report", "placement", "--from", f"mlflow:{server}", "--out", outs[1]]) == 0
    pages = [{path.name: path.read_bytes() for path in Path(out).rglob("*") if path.is_file()} for out in outs]
    assert pages[0] == pages[1]
    assert not warnings
