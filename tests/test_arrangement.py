"""How a machine's cores are used: what is tried, what wins, what is refused, and that the trials are then executed so."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import runner
from ablations import asked
from ablations.execution.ray_engine import RayEngine
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
from senet_core.training.probe import Probe

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
    monkeypatch.setattr(arrangement, "cores", lambda: 2)
    found = tried(_unchecked(facts, "tried_own"), facts, own)
    first, other, *more = found.speeds
    assert (first, other) == (Arrangement(1, choose(2)), Arrangement(1, choose(2, "contiguous"))) and found.best in found.speeds
    assert [(one.trials, one.execution.threads) for one in more] == [(2, 1)] and all(speed > 0 for speed in found.speeds.values())
    assert "1 at a time with 2 threads, NCHW" in str(found) and f"Training {found.best}." in str(found)
    assert torch.get_num_threads() == before and "tried_own" not in BLOCKS.names(), "nothing of it happened here"


def test_steps_that_cannot_be_made_are_told_with_their_reason(facts: Facts, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(BLOCK.format(name="tried_broken", body="raise ValueError('no such gate')"))
    with pytest.raises(InputError, match=r"cannot be tried: ValueError: no such gate"):
        tried(_unchecked(facts, "tried_broken"), facts, own)


def test_a_process_that_is_gone_is_told(facts: Facts, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(BLOCK.format(name="tried_dying", body="import os; os._exit(9)"))
    with pytest.raises(InputError, match="was ended"):
        tried(_unchecked(facts, "tried_dying"), facts, own)


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
    return argparse.Namespace(**{**usual, "suites": ["squeeze"], "workers": "auto", **given})


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
        ({"threads": 2}, "leave --threads and --address out"),
        ({"address": "10.0.0.1:6379"}, "leave --threads and --address out"),
        ({"device": "cuda"}, "this machine has|tries CPU cores"),
    ],
)
def test_what_leaves_nothing_to_try_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        asked.arrange(options(**given))


def test_the_presets_network_is_tried_with_its_overrides(found: dict[str, Any]) -> None:
    given = options(recipe={"train.batch": 16}, load=Path("own.py"))
    asked.arrange(given)
    assert found["config"].train.batch == 16 and found["config"].net.name == "resnet" and found["load"] == Path("own.py")
    assert (given.workers, given.threads, given.memory_format) == (None, 1, "contiguous")
    found["best"] = Arrangement(4, Execution(2))
    given = options()
    asked.arrange(given)
    assert (given.workers, given.threads, given.memory_format) == (4, 2, "channels_last")


def test_trials_are_executed_as_trying_found_and_their_results_say_so(
    found: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "squeeze", "--preset", "smoke", "--seeds", "1", "--workers", "auto", "--no-mlflow", "--workspace", str(tmp_path)]
    tiny = {"data.train": 200, "data.test": 50, "train.epochs": 1, "net.units": "1,1", "net.widths": "8,16", "net.stem": 8}
    assert runner.main([*words, *(word for name, value in tiny.items() for word in (f"--{name}", str(value)))]) == 0
    assert "Images a second, tried for 5 s: 1 at a time with 1 thread, NCHW 123. Training 1 at a time" in capsys.readouterr().out
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
    asked.arrange(given)
    asked.engine(given, Store(tmp_path), asked.source(given))
    assert [(one.number, one.threads, one.memory_format) for one in seen] == [(2, 1, "contiguous")]


# -- What an execution does


def test_the_memory_format_reaches_every_tensor_and_changes_last_bits_at_most(arrays: Arrays, facts: Facts) -> None:
    config, seen = recipe(facts), dict[str, list[bool]]()

    def trained(form: Any) -> Any:
        seen[form] = []
        real = torch.nn.Conv2d.forward

        def spy(self: torch.nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
            y = real(self, x)
            seen[form] += [t.is_contiguous(memory_format=torch.channels_last) for t in (x, y) if min(t.shape[1:]) > 1]
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

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(2**21).add(1)  # 2048 pages each, twice
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

without = faults()
Execution(1).apply()
faults()
print(without, faults())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    without, kept = map(int, done.stdout.split())
    assert kept < 100 and (without > 20_000 or without < 100), "large pages or another C library may have none from the start"


def test_where_the_c_library_is_another_one_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed() is False


def test_a_probe_goes_on_after_its_images_are_used_up(facts: Facts) -> None:
    probe = Probe(recipe(facts), facts, CPU, choose(1))
    assert all(probe.seconds() > 0 for _ in range(9))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0
