"""How a machine's cores are used: what is tried, what wins, what is refused, and that the trials are then executed so."""

from __future__ import annotations

import argparse
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import runner
from ablations import asked
from ablations.execution import ray_engine, ray_worker
from ablations.execution.ray_engine import RayEngine
from ablations.option_types import workers
from ablations.own_loop import LOOPS
from ablations.search import course
from ablations.store import Store
from senet_core.config import Config
from senet_core.dataset import Arrays, Facts
from senet_core.errors import InputError
from senet_core.registry import BLOCKS
from senet_core.resolve import resolve
from senet_core.training import arrangement, memory
from senet_core.training.arrangement import Arrangement, Tried, tried
from senet_core.training.execution import Execution, choose
from senet_core.training.loop import fit
from senet_core.training.probe import STEPS, Probe

CPU = torch.device("cpu")
NET = {"units": [1, 1], "widths": [8, 16], "stem": 8, "block": {"name": "se", "reduction": 2}}
TRAIN = {"epochs": 1, "batch": 32, "lr": 0.2, "weight_decay": 5e-4}
BLOCK = """
from torch import nn
from senet_core.registry import BLOCKS

@BLOCKS.add("{name}")
class Own(nn.Module):
    def __init__(self, channels, size, **options):
        super().__init__()

    def forward(self, x):
        {body}
"""


def recipe(facts: Facts, **changes: Any) -> Config:
    return resolve(Config.of({"net": NET, "data": {"name": "digits"}, "train": TRAIN}).but(changes), facts)


class FakeTeam:
    """Steps as fast as a table says: images a second by the number of trials and the memory format."""

    speeds: dict[tuple[int, str], float]
    each = 1
    closed: list[Arrangement]

    def __init__(self, arrangement: Arrangement, *rest: object) -> None:
        self.arrangement = arrangement

    def speed(self) -> float:
        return self.speeds[self.arrangement.trials, self.arrangement.execution.memory_format]

    def close(self) -> None:
        self.closed.append(self.arrangement)

    def __enter__(self) -> FakeTeam:
        return self

    def __exit__(self, *error: object) -> None:
        return


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeTeam]:
    """A machine of eight cores."""
    monkeypatch.setattr(arrangement, "_Team", FakeTeam)
    monkeypatch.setattr(arrangement, "cores", lambda: 8)
    monkeypatch.setattr(arrangement, "_free", lambda: 100)
    monkeypatch.setattr(FakeTeam, "closed", [], raising=False)
    monkeypatch.setattr(FakeTeam, "each", 1)
    return FakeTeam


@pytest.mark.parametrize(
    ("speeds", "best", "last"),
    [
        ({(1, "contiguous"): 90, (2, "channels_last"): 150, (4, "channels_last"): 200, (8, "channels_last"): 205}, (4, 2), 8),
        ({(1, "contiguous"): 90, (2, "channels_last"): 150, (4, "channels_last"): 200, (8, "channels_last"): 240}, (8, 1), 8),
        ({(1, "contiguous"): 104, (2, "channels_last"): 104}, (1, 8), 2),
        ({(1, "contiguous"): 110, (2, "contiguous"): 120, (4, "contiguous"): 121}, (2, 4), 4),
    ],
)
def test_what_is_clearly_faster_wins_and_the_first_that_is_not_ends_it(
    fake: type[FakeTeam],
    facts: Facts,
    monkeypatch: pytest.MonkeyPatch,
    speeds: dict[tuple[int, str], float],
    best: tuple[int, int],
    last: int,
) -> None:
    monkeypatch.setattr(fake, "speeds", {(1, "channels_last"): 100.0, **speeds}, raising=False)
    found = tried(recipe(facts), facts)
    assert (found.best.trials, found.best.execution.threads) == best
    assert found.best.execution.memory_format == ("contiguous" if (2, "contiguous") in speeds else "channels_last")
    assert max(one.trials for one in found.speeds) == last and found.best not in fake.closed
    assert {(one.trials, one.execution.memory_format): speed for one, speed in found.speeds.items()} == fake.speeds


def test_trials_that_would_not_find_room_are_not_tried(fake: type[FakeTeam], facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = {(trials, "channels_last"): 100.0 * trials for trials in (1, 2, 4, 8)}
    monkeypatch.setattr(fake, "speeds", {**speeds, (1, "contiguous"): 1.0}, raising=False)
    monkeypatch.setattr(fake, "each", 20)
    assert tried(recipe(facts), facts).best.trials == 4, "eight would hold 160 of 80 bytes, four hold them all"


def test_real_steps_are_timed_in_processes_of_their_own(facts: Facts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(BLOCK.format(name="tried_own", body="return x"))
    before = torch.get_num_threads()
    monkeypatch.setattr(arrangement, "SECONDS", 0.05)
    monkeypatch.setattr(arrangement, "cores", lambda: 1)
    monkeypatch.setattr(arrangement, "_free", lambda: 2**40)
    found = tried(_unchecked(facts, "tried_own"), facts, own)
    assert list(found.speeds) == [Arrangement(1, choose(1)), Arrangement(1, choose(1, "contiguous"))]
    assert all(speed > 0 for speed in found.speeds.values())
    assert "1 at a time with 1 thread, NCHW" in str(found) and f"Training {found.best}." in str(found)
    assert torch.get_num_threads() == before and "tried_own" not in BLOCKS.names(), "nothing of it happened here"


def test_steps_that_cannot_be_made_are_told_with_their_reason(facts: Facts, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(BLOCK.format(name="tried_broken", body="raise ValueError('no such gate')"))
    with pytest.raises(InputError, match=r"cannot be tried: ValueError: no such gate"):
        tried(_unchecked(facts, "tried_broken"), facts, own)


def test_a_process_that_is_killed_in_its_sleep_is_told_and_no_other_is_left(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrangement, "SECONDS", 0.05)
    with arrangement._Team(Arrangement(2, choose(1)), recipe(facts), facts, None) as team:
        assert team.each > 2**20 and team.speed() > 0
        first, other = (process for _, process in team._members)
        first.kill()
        first.join()
        with pytest.raises(InputError, match="was ended"):
            team.speed()
        assert other.is_alive()
    assert not other.is_alive()


def test_memory_is_what_the_container_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = arrangement._free()
    assert 0 < whole < 2**50
    files = {"memory.max": "1000", "memory.current": "400"}
    monkeypatch.setattr(Path, "read_text", lambda path: files[path.name])
    assert arrangement._free() == 600
    files["memory.max"] = "max"
    assert arrangement._free() == pytest.approx(whole, rel=0.5)


def _unchecked(facts: Facts, block: str) -> Config:
    """A resolved config with a block that only the processes know."""
    config = recipe(facts)
    return config.model_copy(update={"net": config.net.model_copy(update={"block": config.net.block.model_copy(update={"name": block})})})


# -- The command line


def options(**given: Any) -> argparse.Namespace:
    usual = {
        "threads": None,
        "device": "cpu",
        "preset": "smoke",
        "recipe": {},
        "dataset": None,
        "data_root": None,
        "workspace": Path("w"),
        "tracking_uri": None,
    }
    return argparse.Namespace(**{**usual, "suites": ["squeeze"], "workers": "auto", "load": None, **given})


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What trying finds, and what it was asked to try."""
    told: dict[str, Any] = {"best": Arrangement(1, Execution(1, "contiguous"))}

    def fake(config: Config, facts: Facts, load: Path | None) -> Tried:
        told.update(config=config, load=load)
        return Tried({told["best"]: 123.4}, told["best"], 5.0)

    monkeypatch.setattr(arrangement, "tried", fake)
    yield told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"threads": 2}, "leave --threads out"),
        ({"address": "10.0.0.1:6379"}, "leave --address out"),
        ({"gpu_share": 0.5}, "leave --gpu-share out"),
        ({"device": "cuda"}, "this machine has|tries CPU cores"),
        ({"suites": ["my_loop"]}, "cannot try 'my_loop', a training loop of your own"),
    ],
)
def test_what_leaves_nothing_to_try_is_refused(given: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "need_ray", lambda: None)
    monkeypatch.setattr(LOOPS, "names", lambda: ["my_loop"])
    with pytest.raises(InputError, match=said):
        asked.refuse_auto(options(**given))
    asked.refuse_auto(options(**{**given, "workers": 2}))


def test_without_ray_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="need Ray, which is not installed"):
        asked.refuse_auto(options())


def test_a_number_is_no_word() -> None:
    for word in ("0", "many", "-1"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"'{word}' is no number of trials from 1 to 1000, and not auto"):
            workers(word)
    assert (workers("3"), workers("auto")) == (3, "auto")


def test_the_presets_network_is_tried_with_its_overrides(found: dict[str, Any]) -> None:
    given, said = options(recipe={"train.batch": 16}, load=Path("own.py")), list[str]()
    asked.arrange(given, asked.source(given), said.append)
    assert found["config"].train.batch == 16 and found["config"].net.name == "resnet" and found["load"] == Path("own.py")
    assert (given.workers, given.threads, given.memory_format) == (None, 1, "contiguous") and len(said) == 2
    asked.arrange(given, asked.source(given), said.append)
    assert len(said) == 2, "it is settled"
    found["best"] = Arrangement(4, Execution(2))
    given = options()
    asked.arrange(given, asked.source(given), said.append)
    assert (given.workers, given.threads, given.memory_format) == (4, 2, "channels_last")


def test_trials_are_executed_as_trying_found_and_their_results_say_so(
    found: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "need_ray", lambda: None)
    tiny = {"data.train": 200, "data.test": 50, "train.epochs": 1, "net.units": "1,1", "net.widths": "8,16", "net.stem": 8}
    common = ["squeeze", "--preset", "smoke", "--seeds", "1", "--workers", "auto", "--workspace", str(tmp_path)]
    common += [word for name, value in tiny.items() for word in (f"--{name}", str(value))]
    told = "Images a second, tried for 5 s: 1 at a time with 1 thread, NCHW 123. Training 1 at a time"
    assert runner.main(["plan", *common]) == 0 and told in capsys.readouterr().out
    assert runner.main(["run", *common, "--no-mlflow"]) == 0 and told in capsys.readouterr().out
    for command in (["plan"], ["run", "--no-mlflow"]):
        assert runner.main([*command, *common]) == 0 and "Trying" not in capsys.readouterr().out, "nothing is left to train"
    store = Store(tmp_path)
    keys = store.keys()
    executions = [store.result(key).provenance.execution for key in keys]
    assert len(executions) == 2 and all((one["threads"], one["memory_format"]) == (1, "contiguous") for one in executions)


def test_several_at_a_time_go_to_ray_with_their_memory_format(
    found: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(RayEngine, "__init__", lambda self, store, source, workers: seen.append(workers))
    found["best"] = Arrangement(2, Execution(1, "contiguous"))
    given = options(workspace=tmp_path, address=None, gpu_share=None)
    asked.arrange(given, asked.source(given), lambda line: None)
    asked.engine(given, Store(tmp_path), asked.source(given))
    assert [(one.number, one.threads, one.memory_format) for one in seen] == [(2, 1, "contiguous")]


def test_a_worker_executes_a_trial_as_its_job_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(ray_worker, "computed", lambda trial, folder, earlier, source, machine, *rest: seen.append(machine.execution))
    job = ray_worker.Job(None, tmp_path / "a/b/c/d/e", "", (), None, None, 1, "contiguous", "cpu", None)  # type: ignore[arg-type]
    ray_worker._train(job, tmp_path, True, queue.Queue(), threading.Event())
    assert seen == [choose(1, "contiguous")]


def test_a_new_search_takes_its_batch_from_what_was_found(found: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def begun(*given: Any) -> None:
        seen.append(given[-1])
        raise InputError("enough")

    monkeypatch.setattr(course, "begun", begun)
    monkeypatch.setattr(asked, "rules", lambda options: None)
    found["best"] = Arrangement(2, Execution(1))
    given = options(space="se_design", address=None)
    with pytest.raises(InputError, match="enough"):
        course.course(given, None, asked.source(given), None, lambda line: None)  # type: ignore[arg-type]
    assert seen == [2]


# -- What an execution does


@pytest.mark.parametrize("channels", [3, 1])
def test_the_memory_format_reaches_every_tensor_and_changes_last_bits_at_most(arrays: Arrays, facts: Facts, channels: int) -> None:
    facts = replace(facts, channels=channels)
    arrays = replace(arrays, train_images=arrays.train_images[..., :channels].copy(), test_images=arrays.test_images[..., :channels].copy())
    config, seen = recipe(facts), dict[str, list[bool]]()

    def trained(form: Any) -> Any:
        seen[form] = []
        real = torch.nn.Conv2d.forward

        def spy(self: torch.nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
            y = real(self, x)
            seen[form].append(y.is_contiguous(memory_format=torch.channels_last))
            return y

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.nn.Conv2d, "forward", spy)
            return fit(config, 0, arrays, facts, device=CPU, execution=Execution(1, form))

    last, first = trained("channels_last"), trained("contiguous")
    assert seen["channels_last"] and all(seen["channels_last"]) and seen["contiguous"] and not any(seen["contiguous"])
    assert first.execution.memory_format == "contiguous"
    assert first.progress.history[0].loss == pytest.approx(last.progress.history[0].loss, rel=1e-4)


def test_freed_memory_is_kept_and_costs_no_page_faults() -> None:
    """In a process of its own, for what is set there cannot be taken back."""
    program = """
import resource, torch
from senet_core.training.execution import Execution
from senet_core.training.memory import keep_freed

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(2**21).add(1)  # 2048 small pages each, twice
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

without = faults()
Execution(1).apply()
faults()
print(keep_freed(), without, faults())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    able, without, kept = done.stdout.split()
    if able != "True":
        pytest.skip("the C library is not glibc")
    assert int(kept) < 100
    if "[always]" not in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text():  # large pages cost few faults in any case
        assert int(without) > 5_000


def test_what_the_c_library_refuses_is_tried_smaller_and_then_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def library(most: int) -> Any:
        asked_for: list[tuple[int, int]] = []

        def mallopt(what: int, value: int) -> int:
            asked_for.append((what, value))
            return int(what != -3 or value <= most)

        monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: argparse.Namespace(mallopt=mallopt))
        return asked_for

    new = library(2**31)
    assert memory.keep_freed() and new == [(-3, 2**31 - 1), (-1, 2**31 - 1)]
    old = library(2**25)
    assert memory.keep_freed() and old == [(-3, 2**31 - 1), (-3, 2**25), (-1, 2**31 - 1)]
    library(0)
    assert not memory.keep_freed()
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert not memory.keep_freed()


def test_a_probe_goes_on_after_its_images_are_used_up(facts: Facts) -> None:
    probe = Probe(recipe(facts), facts, CPU, choose(1))
    assert all(probe.seconds() > 0 for _ in range(2 * STEPS + 1))
