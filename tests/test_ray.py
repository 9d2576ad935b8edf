"""Trials on Ray: a cluster of two machines inside this one is brought up and taken down, and loses a machine in the middle."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
TINY = ["--preset", "smoke", "--data.train", "400", "--data.test", "200", "--threads", "1", "--no-mlflow"]
SHAPE = ["--net.units", "1,1", "--net.widths", "16,32", "--net.stem", "16"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (pip install 'senet-ablations[ray]')"),
]


def command(workspace: Path, *more: str, epochs: int = 3, seeds: int = 1) -> list[str]:
    words = ["run", "squeeze", *TINY, *SHAPE, "--train.epochs", str(epochs), "--seeds", str(seeds), "--workspace", str(workspace), *more]
    return [sys.executable, str(ROOT / "runner.py"), *words]


def start(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def outcomes(workspace: Path) -> dict[str, Any]:
    """All that two runs of the same trials must have in common: errors, history, and the digests of weights and of what was right."""
    found = {}
    for path in workspace.glob("trials/*/result.json"):
        tree = json.loads(path.read_text())
        digests = {name: value for name, value in tree["provenance"]["digests"].items() if name != "result.json"}
        found[path.parent.name] = [{name: value for name, value in tree.items() if name not in ("provenance", "timing")}, digests]
    return found


def until(what: Callable[[], object], process: subprocess.Popen[str], seconds: float = 400) -> None:
    """Wait for it; a process that ends or takes too long is ended, and the test with it."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline or process.poll() is not None:
            process.kill()
            pytest.fail(f"it did not happen: {process.communicate()}")
        time.sleep(0.05)


def checkpoints(workspace: Path, attempt: int = 1) -> list[Path]:
    return list(workspace.glob(f"trials/*/attempts/{attempt}/checkpoint.pt"))


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """What the same suite gives in one process, by its number of epochs."""
    found = {}
    for epochs in (3, 40):
        workspace = tmp_path_factory.mktemp("inline")
        done = subprocess.run(command(workspace, epochs=epochs), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found[epochs] = outcomes(workspace)
    return found


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two machines of one core each."""
    from ray.cluster_utils import Cluster

    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False})
    machines.add_node(num_cpus=1, object_store_memory=100_000_000)
    machines.wait_for_nodes()
    yield machines
    machines.shutdown()


def test_a_machine_that_is_lost_in_the_middle_costs_no_result(cluster: Any, inline: dict[int, dict[str, Any]], tmp_path: Path) -> None:
    process = start(command(tmp_path, "--address", cluster.address, epochs=40))
    until(lambda: len(checkpoints(tmp_path)) == 2, process)
    cluster.remove_node(next(iter(cluster.worker_nodes)))
    out, err = process.communicate()
    assert process.returncode == 0, (out, err)
    assert outcomes(tmp_path) == inline[40]
    assert "goes on from its last checkpoint" in err
    sittings = sorted(json.loads(path.read_text())["provenance"]["sittings"] for path in tmp_path.glob("trials/*/result.json"))
    assert sittings == [1, 2], "one trial went on elsewhere, the other was not disturbed"
    assert not list(tmp_path.glob("trials/*/attempts")) and not list(tmp_path.glob("trials/*/checkpoint*"))


def test_a_machine_without_the_workspace_gives_the_same_results(
    cluster: Any, inline: dict[int, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that nobody can find makes every worker one that does not see the workspace."""
    hidden = (
        "import sys; from ablations.execution import attempts; attempts.TOKEN = 'elsewhere'; "
        "import runner; sys.exit(runner.main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", hidden, *command(tmp_path, "--address", cluster.address)[2:]]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert outcomes(tmp_path) == inline[3]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_its_checkpoints_and_inline_goes_on_from_them(
    number: signal.Signals, code: int, inline: dict[int, dict[str, Any]], tmp_path: Path
) -> None:
    process = start(command(tmp_path, "--workers", "2", epochs=40))
    until(lambda: checkpoints(tmp_path), process)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == code and "run the same command again" in err and "Traceback" not in err, err
    assert not list(tmp_path.glob("trials/*/failure.json")) and not list(tmp_path.glob("trials/*/begun"))
    done = subprocess.run(command(tmp_path, epochs=40), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert outcomes(tmp_path) == inline[40]
    sittings = [json.loads(path.read_text())["provenance"]["sittings"] for path in tmp_path.glob("trials/*/result.json")]
    assert max(sittings) == 2


def test_killed_workers_and_a_killed_driver_lose_nothing(inline: dict[int, dict[str, Any]], tmp_path: Path) -> None:
    process = start(command(tmp_path, "--workers", "2", epochs=40))
    until(lambda: checkpoints(tmp_path), process)
    for worker in _descendants(process.pid, "ray::work"):
        os.kill(worker, signal.SIGKILL)
    until(lambda: checkpoints(tmp_path, 2), process)
    process.kill()
    process.communicate()
    done = subprocess.run(command(tmp_path, "--workers", "2", epochs=40), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert outcomes(tmp_path) == inline[40]


def test_a_failure_and_the_users_own_file_are_as_they_are_inline(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\nfrom torch import nn\nfrom senet_core.registry import BLOCKS\n"
        "@BLOCKS.add('fragile')\n"
        "class Fragile(nn.Module):\n"
        "    def __init__(self, channels, size, *, squeeze: str = 'average'):\n"
        "        super().__init__(); self.scale = nn.Parameter(torch.ones(channels, 1, 1)); self.mode = squeeze\n"
        "    def forward(self, x):\n"
        "        if self.mode == 'max' and self.training and x.dtype == torch.bfloat16: raise RuntimeError('not | here')\n"
        "        return x * self.scale * (1 if self.mode == 'max' else 2)\n"
    )
    workspace = tmp_path / "w"
    words = command(workspace, "--workers", "2", "--load", str(file), "--net.block", "fragile")
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1 and "1 trained" in done.stdout and "1 failed" in done.stdout and "not | here" in done.stderr, done.stderr
    log = next(workspace.glob("trials/*/failure.json")).with_name("log.txt").read_text()
    assert "Traceback" in log and "RuntimeError: not | here" in log


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--address", "127.0.0.1:1"], "does not answer"),
        (["--address", "ray://127.0.0.1:1"], "--address cannot be"),
        (["--workers", "2", "--device", "cuda:0"], "Ray chooses the GPU"),
        (["--gpu-share", "0.5"], "--gpu-share is for --workers or --address"),
        (["--workers", "0"], "'0' is no number of trials"),
    ],
)
def test_what_cannot_be_is_a_sentence_before_anything_is_stored(more: list[str], sentence: str, tmp_path: Path) -> None:
    done = subprocess.run(command(tmp_path / "w", *more), capture_output=True, text=True)
    assert done.returncode == 2 and sentence in re.sub(r"\s+", " ", done.stderr) and "Traceback" not in done.stderr, done.stderr
    assert not (tmp_path / "w" / "studies").exists()


def _descendants(pid: int, name: str) -> list[int]:
    """The processes below one whose title begins with a name."""
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True) if child.cmdline() and child.cmdline()[0].startswith(name)]
