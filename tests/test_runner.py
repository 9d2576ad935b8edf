"""The commands as a user runs them: small real trials from the first command to the report."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Ablate
from rich.console import Console

import runner
from ablations.store import Store

ROOT = Path(__file__).resolve().parent.parent
TINY = ["--preset", "smoke", "--train.epochs", "2", "--data.train", "400", "--data.test", "200", "--threads", "1"]
SHAPE = ["--net.units", "1,1", "--net.widths", "16,32", "--net.stem", "16"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which two suites ran over two seeds, without MLflow."""
    workspace = tmp_path_factory.mktemp("finished")
    words = ["run", "squeeze", "excitation", *TINY, *SHAPE, "--seeds", "2", "--workspace", str(workspace), "--no-mlflow"]
    assert runner.main(words) == 0
    return workspace


def copied(workspace: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(workspace, tmp_path / "copy"))


def command(workspace: Path, *more: str) -> list[str]:
    words = ["run", "squeeze", *TINY, *SHAPE, "--seeds", "1", "--workspace", str(workspace), "--no-mlflow", *more]
    return [sys.executable, str(ROOT / "runner.py"), *words]


def outside(result: Path) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(result.read_text())
    return {name: value for name, value in tree.items() if name not in ("provenance", "timing")}


def test_suites_that_share_a_trial_train_it_once_and_a_second_call_trains_nothing(finished: Path, ablate: Ablate) -> None:
    store = Store(finished)
    assert len(store.keys()) == 2 * 5, "max, average = sigmoid, none, relu, tanh"
    before = {path: path.stat().st_mtime_ns for path in finished.glob("trials/*/result.json")}
    code, out, _ = ablate("run", "squeeze", "excitation", *TINY, *SHAPE, "--seeds", 2, "--workspace", finished, "--no-mlflow")
    assert code == 0 and "0 trained" in out
    assert before == {path: path.stat().st_mtime_ns for path in finished.glob("trials/*/result.json")}
    assert not list(finished.glob("trials/*/checkpoint*"))


def test_the_reports_numbers_are_those_of_the_per_image_correctness(finished: Path) -> None:
    store = Store(finished)
    for study in map(store.study, store.studies()):
        page = next(finished.glob(f"reports/{study.name}/report.md")).read_text()
        for variant in study.variants:
            errors = [100 * (1 - np.mean(store.correctness(key).top1)) for key in variant.keys.values()]
            line = next(line for line in page.splitlines() if re.match(rf"\| (\*\*)?{variant.name}\b", line))
            shown = float(re.findall(r"\d+\.\d+|\d+", line.split("|")[6])[0])
            assert abs(shown - np.mean(errors)) < 0.51, line


def test_results_tell_the_dead_gates_and_the_page_and_the_plan_do_too(finished: Path, ablate: Ablate) -> None:
    results = {key: Store(finished).result(key) for key in Store(finished).keys()}  # noqa: SIM118
    gated = [result for result in results.values() if result and result.config.net.block]
    assert gated and all(result.gates and result.dead_gates is not None for result in gated)
    assert [r.gates for r in results.values() if r and r.config.net.block is None] == [()] * 2
    assert "## Signal and gates" in next(finished.glob("reports/excitation-*/report.md")).read_text(encoding="utf-8")
    _, out, _ = ablate("plan", "excitation", *TINY, *SHAPE, "--seeds", 2, "--workspace", finished)
    assert re.search(r"relu: \d+ % of the gates have the same value", " ".join(out.split()))


def test_every_block_trains_through_a_suite(tmp_path: Path, ablate: Ablate) -> None:
    words = [*TINY[:2], "--train.epochs", "1", "--data.train", "192", "--data.test", "100", "--threads", "1", *SHAPE]
    code, out, _ = ablate("run", "attention", *words, "--seeds", 1, "--workspace", tmp_path, "--no-mlflow")
    assert code == 0 and "13 trained, 0 of them diverged; 0 failed, 0 damaged." in out


def test_more_seeds_extend_the_study_and_train_only_what_is_missing(finished: Path, ablate: Ablate, tmp_path: Path) -> None:
    workspace = copied(finished, tmp_path)
    code, out, _ = ablate("run", "squeeze", *TINY, *SHAPE, "--seed-list", "2", "--workspace", workspace, "--no-mlflow")
    assert code == 0 and "2 trained" in out
    study = next(Store(workspace).study(name) for name in Store(workspace).studies() if name.startswith("squeeze"))
    assert study.seeds == ("0", "1", "2") and set(study.variants[0].keys) == {"0", "1", "2"}


def test_plan_tells_what_is_stored_what_it_costs_and_what_changes(finished: Path, ablate: Ablate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "console", Console(width=200, height=50))
    code, out, _ = ablate("plan", "squeeze", "placement", *TINY, *SHAPE, "--seeds", 2, "--workspace", finished, "--diff")
    assert code == 0
    assert re.search(r"average \(reference\) +1/2 .* 2 stored", out) and re.search(r"post .* 2 to run +\d", out)
    assert "net.placement: standard -> post" in out and "10 trials in all, 6 left" in out


def test_status_show_and_report_need_neither_torch_nor_suite_nor_images(finished: Path, tmp_path: Path) -> None:
    for words in (["status"], ["show", Store(finished).keys()[0][:8]], ["report", "squeeze", "--out", str(tmp_path)]):
        code = f"import sys, runner; rc = runner.main({[*words, '--workspace', str(finished)]!r}); sys.exit(rc or 'torch' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.strip()
    assert list(tmp_path.glob("*/report.md")) and list(tmp_path.glob("*/errors.svg"))


@pytest.mark.parametrize("wait", ["config.json", "checkpoint.pt"])
def test_a_trial_killed_before_or_after_its_first_checkpoint_ends_as_if_it_had_not_been(tmp_path: Path, wait: str) -> None:
    words = command(tmp_path / "killed")
    words[words.index("--train.epochs") + 1] = "12"
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list((tmp_path / "killed").glob(f"trials/*/{wait}")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not list((tmp_path / "killed").glob("trials/*/result.json"))
    for name in ("killed", "whole"):
        words[words.index("--workspace") + 1] = str(tmp_path / name)
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    results = sorted((tmp_path / "whole").glob("trials/*/result.json"))
    assert len(results) == 2
    for result in results:
        twin = tmp_path / "killed" / result.relative_to(tmp_path / "whole")
        assert outside(result) == outside(twin)
        assert (result.parent / "correct.npz").read_bytes() == (twin.parent / "correct.npz").read_bytes()
    sittings = [json.loads(file.read_text())["provenance"]["sittings"] for file in (tmp_path / "killed").glob("trials/*/result.json")]
    assert sorted(sittings) == ([1, 2] if wait == "checkpoint.pt" else [1, 1]), "the killed trial went on, or began again"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path, number: signal.Signals, code: int) -> None:
    words = command(tmp_path)
    words[words.index("--train.epochs") + 1] = "500"
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("trials/*/checkpoint.pt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=300)
    assert process.returncode == code and "run the same command again" in err and "Traceback" not in err
    assert not list(tmp_path.glob("trials/*/failure.json"))


def test_a_trial_that_raises_is_a_hole_with_a_reason_and_the_others_go_on(ablate: Ablate, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\nfrom torch import nn\nfrom senet_core.registry import BLOCKS\n"
        "@BLOCKS.add('fragile')\n"
        "class Fragile(nn.Module):\n"
        "    def __init__(self, channels, size, *, squeeze: str = 'average'):\n"
        "        super().__init__(); self.scale = nn.Parameter(torch.ones(channels, 1, 1)); self.mode = squeeze\n"
        "    def forward(self, x):\n"
        "        if self.mode == 'max' and self.training and x.dtype == torch.bfloat16: raise RuntimeError('no | max | here')\n"
        "        return x * self.scale * (1 if self.mode == 'max' else 2)\n"
    )
    words = ["run", "squeeze", *TINY, *SHAPE, "--seeds", "1", "--workspace", tmp_path / "w", "--no-mlflow", "--load", file]
    code, out, err = ablate(*words, "--net.block", "fragile")
    assert code == 1 and "1 trained" in out and "1 failed" in out and "no | max | here" in err
    log = next((tmp_path / "w").glob("trials/*/failure.json")).with_name("log.txt").read_text()
    assert "Traceback" in log and "RuntimeError" in log
    code, out, _ = ablate(*words, "--net.block", "fragile")
    assert code == 1 and "0 trained" in out, "a failed trial is tried again only when asked"
    code, out, _ = ablate(*words, "--net.block", "fragile", "--retry-failed")
    assert code == 1 and "0 trained" in out and "1 failed" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run"], "Name one or more suites"),
        (["run", "reducton"], "did you mean 'reduction'"),
        (["run", "reduction", "--preset", "quik"], "did you mean 'quick'"),
        (["run", "reduction", "--sedes", "3"], "no option '--sedes'; did you mean '--seeds'"),
        (["run", "reduction", "--seeds", "0"], "'0' is no count"),
        (["run", "reduction", "--seeds", "2", "--seeds", "3"], "--seeds is given twice"),
        (["run", "reduction", "--seeds", "2", "--seed-list", "3"], "not allowed with"),
        (["run", "reduction", "--seed-list", "0,0"], "no list of different whole numbers"),
        (["run", "reduction", "--seed-list", "a"], "no list of different whole numbers"),
        (["run", "reduction", "--train.epoch", "3"], "did you mean 'epochs'"),
        (["run", "reduction", "--train.epochs", "3", "--train.epochs", "4"], "--train.epochs is given twice"),
        (["run", "reduction", "--train.epochs"], "--train.epochs needs a value"),
        (["run", "reduction", "--preset", "smoke", "--net.block.reduction", "4"], "changes net.block.reduction itself"),
        (["run", "reduction", "--preset", "smoke", "--data-root", "x"], "embedded"),
        (["run", "reduction", "--dataset", "imags"], "did you mean 'images'"),
        (["run", "reduction", "--dataset", "images"], "--data-root"),
        (["run", "reduction", "--dataset", "images", "--data-root", "/nowhere"], "does not exist"),
        (["run", "reduction", "--device", "gpu"], "'gpu' is no device"),
        (["run", "reduction", "--load", "absent.py"], "absent.py"),
        (["rnu", "reduction"], "no command named 'rnu'; did you mean 'run'"),
        (["show", "zzz"], "no trial named 'zzz'"),
        (["report"], "no studies in the workspace"),
        (["status", "--train.epochs", "3"], "only plan, run, tune, search, describe and check take recipe fields"),
    ],
)
def test_a_users_mistake_is_a_sentence_and_exit_code_2(words: list[str], sentence: str, tmp_path: Path, ablate: Ablate) -> None:
    workspace = tmp_path / "w"
    code, _, err = ablate(*words, "--workspace", workspace)
    assert code == 2 and sentence in err and "Traceback" not in err and len(err) < 500
    assert not (workspace / "trials").exists() and not (workspace / "studies").exists()


def images(root: Path, classes: int = 2) -> Path:
    """A small folder of images that `--dataset images` reads."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for side, count in (("train", 64), ("test", 8)):
        for label in range(classes):
            folder = root / side / f"class{label}"
            folder.mkdir(parents=True)
            for place in range(count):
                Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{place}.png")
    return root


@pytest.mark.parametrize("fault", ["missing", "empty", "one class", "broken image", "hold-out"])
def test_a_wrong_data_folder_is_a_sentence_before_anything_is_stored(fault: str, tmp_path: Path, ablate: Ablate) -> None:
    root, more = tmp_path / "data", []
    if fault == "empty":
        root.mkdir()
    elif fault != "missing":
        images(root, classes=1 if fault == "one class" else 2)
    if fault == "broken image":
        (root / "train" / "class1" / "5.png").write_bytes(b"no image")
    if fault == "hold-out":
        shutil.rmtree(root / "train" / "class1")
        shutil.copytree(root / "test" / "class1", root / "train" / "class1")
        more = ["--data.holdout", "32"]
    words = ["run", "squeeze", "--preset", "smoke", "--train.batch", "16", "--workspace", tmp_path / "w", "--no-mlflow"]
    code, out, err = ablate(*words, "--dataset", "images", "--data-root", root, *more)
    assert code == 2 and len(err.strip()) > 20 and "Traceback" not in err and not out
    assert not (tmp_path / "w" / "trials").exists() and not (tmp_path / "w" / "studies").exists()


def test_a_variant_that_diverges_is_an_outcome_and_the_report_says_so(tmp_path: Path, ablate: Ablate) -> None:
    words = ["run", "squeeze", *TINY, *SHAPE, "--seeds", "1", "--workspace", tmp_path, "--no-mlflow", "--train.lr", "1e30"]
    code, out, _ = ablate(*words)
    assert code == 0 and "2 of them diverged" in out
    page = next(tmp_path.glob("reports/*/report.md")).read_text()
    assert "0, 1 diverged" in page and "nothing was measured" not in page
    assert "diverged" in next(tmp_path.glob("trials/*/log.txt")).read_text()


def test_two_commands_at_once_share_the_work_and_keep_all_seeds(tmp_path: Path) -> None:
    both = []
    for seed in ("0", "1"):
        words = command(tmp_path)
        words[words.index("--seeds") : words.index("--seeds") + 2] = ["--seed-list", f"2,{seed}"]
        both.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    ended = [(process.communicate(timeout=120), process.returncode) for process in both]
    assert [code for _, code in ended] == [0, 0], ended
    trained = [int(re.findall(r"(\d+) trained", out)[0]) for (out, _), _ in ended]
    store = Store(tmp_path)
    assert sum(trained) == len(store.keys()) == 6
    study = store.study(store.studies()[0])
    assert set(study.seeds) == {"0", "1", "2"} and all(store.state(key) == "done" for _, _, key in study.trials())


def test_light_commands_answer_in_under_a_second_of_work() -> None:
    """Processor time, not the clock: the machine may be busy."""
    for words in (["list"], ["--help"]):
        code = f"import runner, resource, sys\ntry: runner.main({words!r})\nexcept SystemExit: pass\n"
        code += "used = resource.getrusage(resource.RUSAGE_SELF); sys.exit(used.ru_utime + used.ru_stime > 1)"
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 0, words


def test_a_workspace_that_is_a_file_or_read_only_is_a_sentence(tmp_path: Path, ablate: Ablate) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for name in ("run", "status", "report"):
        suites = ["squeeze", *TINY] if name == "run" else []
        code, _, err = ablate(name, *suites, "--workspace", file)
        assert code == 2 and "is a file" in err and file.read_text() == "mine"
    code, _, err = ablate("run", "squeeze", *TINY, "--workspace", "/proc/nowhere")
    assert code == 2 and "annot write" in err


def test_a_damaged_result_is_named_and_nothing_stored_is_touched(finished: Path, tmp_path: Path, ablate: Ablate) -> None:
    workspace = copied(finished, tmp_path)
    path = next(workspace.glob("trials/*/result.json"))
    path.write_text(path.read_text().replace('"top1"', '"top2"', 1))
    before = {p: p.read_bytes() for p in workspace.glob("trials/*/*")}
    words = ["squeeze", "excitation", *TINY, *SHAPE, "--seeds", 2, "--workspace", workspace, "--no-mlflow"]
    code, out, err = ablate("run", *words)
    assert code == 1 and "1 damaged" in out and path.parent.name in err and "Traceback" not in err
    assert {p: p.read_bytes() for p in workspace.glob("trials/*/*")} == before
    code, out, _ = ablate("status", "--workspace", workspace)
    assert code == 1 and "damaged" in out


def test_the_store_mlflow_and_the_report_agree(finished: Path, tmp_path: Path, ablate: Ablate) -> None:
    from mlflow import MlflowClient

    workspace = copied(finished, tmp_path)
    code, out, err = ablate("sync", "--workspace", workspace)
    assert code == 0 and "0 updated" in out, err
    client = MlflowClient(tracking_uri=f"sqlite:///{workspace / 'mlflow.db'}")
    store, study = Store(workspace), next(Store(workspace).study(n) for n in Store(workspace).studies() if n.startswith("excitation"))
    runs = client.search_runs([client.get_experiment_by_name("excitation").experiment_id])
    for variant in study.variants:
        errors = [100 * (1 - np.mean(store.correctness(key).top1)) for key in variant.keys.values()]
        parent = next(r for r in runs if r.data.tags["ablate.variant"] == variant.name and r.data.tags["ablate.kind"] == "parent")
        assert parent.data.metrics["top1_error_mean"] == pytest.approx(np.mean(errors), abs=1e-9)
    code, out, _ = ablate("sync", "--workspace", workspace)
    assert code == 0 and "0 runs created, 0 updated" in out


def test_without_mlflow_installed_a_run_says_so_and_trains_all_the_same(tmp_path: Path) -> None:
    """A module of that name that cannot be imported stands for one that is not there."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'mlflow' else real(name, *a)\n"
        f"sys.modules['mlflow'] = None; import runner; sys.exit(runner.main({command(tmp_path / 'w')[2:]!r}[:-1]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0 and "2 trained" in done.stdout, done.stderr
    assert "MLflow is not installed" in done.stderr
