"""The run loop and the engine of one process: what a fault costs, what stops a run, what it says."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stored_study import make_result, make_study, make_trial

import runner
from ablations.execution import attempts, engines, pricing
from ablations.execution import loop as execution
from ablations.execution.engines import Advanced, Broken, Computed, Engine, Inline, Lost, Raised, Tell
from ablations.execution.loop import Summary
from ablations.execution.stopping import Patience, Stop, cause
from ablations.execution.trial import Trial
from ablations.planning import DataSource
from ablations.result import Epoch, Result
from ablations.store import Correctness, Store, write_correctness
from senet_core.training.loop import Interrupted

STUDY = make_study()
TRIALS = [make_trial(STUDY, variant.name, seed) for variant, seed, _ in STUDY.trials()]
CELLS = {key: (variant.name, seed) for variant, seed, key in STUDY.trials()}
Compute = Callable[..., Result]


def made(trial: Trial, folder: Path) -> Result:
    """What training would leave behind."""
    result = make_result(STUDY, *CELLS[trial.key])
    right = Correctness(*[__import__("numpy").ones(8, bool)] * 2, __import__("numpy").zeros(8, "uint8"))
    digests = {"correct.npz": write_correctness(folder / "correct.npz", right)}
    return result.model_copy(update={"provenance": result.provenance.model_copy(update={"digests": digests})})


class Told:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def trial_started(self, trial: Trial) -> None:
        self.lines.append(f"{trial.key[:1]}{trial.seed} starts")

    def trial_epoch(self, trial: Trial, epoch: Epoch, seconds: float) -> None:
        self.lines.append(f"{trial.key[:1]}{trial.seed} epoch {epoch.epoch}")

    def trial_ended(self, trial: Trial, result: Result | None, reason: str | None) -> None:
        self.lines.append(f"{trial.key[:1]}{trial.seed} {'done' if result else reason}")


def run(store: Store, compute: Compute, monkeypatch: pytest.MonkeyPatch, **how: Any) -> tuple[Summary, list[str]]:
    """The loop with one process and a training of our own; how it ended, and what an observer saw."""
    store.root.mkdir(exist_ok=True)
    monkeypatch.setattr(engines, "compute", compute)
    told, stop = Told(), how.pop("stop", Stop())
    engine = Inline(store, DataSource(None, None), object())  # type: ignore[arg-type]
    return execution.run(TRIALS, store, engine, [told], stop=stop, **how), told.lines


def fails_on(*keys: str, error: Callable[[], BaseException]) -> Compute:
    def compute(trial: Trial, folder: Path, *rest: object, **others: object) -> Result:
        if trial.key in keys:
            raise error()
        return made(trial, folder)

    return compute


def test_one_failure_stops_nothing_but_fail_fast_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = TRIALS[2].key
    compute = fails_on(bad, error=lambda: ValueError("no such thing"))
    summary, _ = run(Store(tmp_path / "a"), compute, monkeypatch)
    assert list(summary.failed) == [bad] and len(summary.trained) == 5 and summary.holes == 1 and summary.stopped is None
    summary, _ = run(Store(tmp_path / "b"), compute, monkeypatch, patience=Patience(fail_fast=True))
    assert list(summary.failed) == [bad] and len(summary.trained) == 2 and summary.left == 3
    assert "--fail-fast" in (summary.stopped or "")


def test_so_many_failures_of_one_cause_stop_the_run_and_of_different_ones_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, count = [trial.key for trial in TRIALS], iter(range(100))
    same = fails_on(*keys, error=lambda: RuntimeError(f"no room for {next(count)} bytes at 0x{next(count):x}"))
    summary, _ = run(Store(tmp_path / "a"), same, monkeypatch, patience=Patience(failures=3))
    assert len(summary.failed) == 3 and summary.left == 3 and "3 failures of one cause" in (summary.stopped or "")
    words = iter("abcdefghij")
    others = fails_on(*keys, error=lambda: RuntimeError(next(words)))
    summary, _ = run(Store(tmp_path / "b"), others, monkeypatch, patience=Patience(failures=3))
    assert len(summary.failed) == 6 and summary.left == 0


def test_a_cause_is_a_reason_without_numbers_addresses_and_keys() -> None:
    assert cause("OSError: no 'a.png' at 0x7f3a, 12.5 MB of 0123456789ab") == cause("OSError: no 'b.png' at 0x11, 3 MB of ba9876543210")
    assert cause("OSError: full") != cause("ValueError: full")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EROFS, "Read-only file system")])
def test_a_workspace_that_cannot_be_written_stops_the_run_and_is_no_failure_of_the_trial(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)

    def compute(trial: Trial, folder: Path, *rest: object, **others: object) -> Result:
        if trial.key == TRIALS[1].key:
            raise error
        return made(trial, folder)

    summary, lines = run(store, compute, monkeypatch)
    assert summary.refused and not summary.failed and summary.left == 5
    assert (error.strerror or "-") in (summary.stopped or "") and "Nothing stored is lost" in (summary.stopped or "")
    assert store.state(TRIALS[0].key) == "done" and store.failure(TRIALS[1].key) is None
    assert lines[-1].endswith("interrupted")
    summary, _ = run(store, lambda trial, folder, *rest, **others: made(trial, folder), monkeypatch)
    assert len(summary.trained) == 5 and summary.holes == 0


def test_a_result_that_finds_no_room_stops_the_run_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(store, "save_result", lambda result: (_ for _ in ()).throw(full))
    summary, _ = run(store, lambda trial, folder, *rest, **others: made(trial, folder), monkeypatch)
    assert summary.refused and not summary.trained and not summary.failed


def test_an_error_of_the_users_own_files_is_a_failure_of_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = FileNotFoundError(errno.ENOENT, "No such file", "/data/a.png")
    summary, _ = run(Store(tmp_path), fails_on(TRIALS[0].key, error=lambda: missing), monkeypatch)
    assert not summary.refused and list(summary.failed) == [TRIALS[0].key] and len(summary.trained) == 5


def test_time_that_is_up_stops_at_the_next_step_and_leaves_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(float(second) for second in range(1000))
    monkeypatch.setattr("ablations.execution.stopping.time.monotonic", lambda: next(now))

    def compute(trial: Trial, folder: Path, *rest: object, should_stop: Callable[[], bool], **others: object) -> Result:
        for _ in range(10):
            if should_stop():
                raise Interrupted
        return made(trial, folder)

    summary, _ = run(Store(tmp_path), compute, monkeypatch, stop=Stop(minutes=0.5))
    assert summary.stopped == "Time is up: --max-minutes 0.5 have passed." and summary.signal is None
    assert 0 < len(summary.trained) < 4 and summary.left == 6 - len(summary.trained) and summary.holes == summary.left


def test_a_trial_that_takes_its_process_down_again_and_again_becomes_a_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill is an exception that no handler sees, and that closes nothing."""
    store, begun = Store(tmp_path), []

    class Killed(BaseException):
        pass

    def compute(trial: Trial, folder: Path, *rest: object, **others: object) -> Result:
        begun.append(trial.key)
        if trial.key == TRIALS[0].key:
            raise Killed
        return made(trial, folder)

    for _ in range(attempts.KILLED_AT_MOST):
        with pytest.raises(Killed):
            run(store, compute, monkeypatch)
    summary, _ = run(store, compute, monkeypatch)
    assert list(summary.failed) == [TRIALS[0].key] and "killed 5 times" in summary.failed[TRIALS[0].key] and len(summary.trained) == 5
    with pytest.raises(Killed):
        run(store, compute, monkeypatch, retry_failed=True)
    assert begun.count(TRIALS[0].key) == attempts.KILLED_AT_MOST + 1


# -- an engine of several, without processes


class Several:
    """Computes two trials at a time, an epoch of each in turn; the first attempt at ``unlucky`` is lost after its first epoch."""

    def __init__(self, store: Store, unlucky: str) -> None:
        self._store, self._unlucky, self._tried = store, unlucky, dict[str, int]()
        self._running: dict[str, tuple[Trial, Path, int]] = {}

    def free(self) -> bool:
        return len(self._running) < 2

    def slots(self) -> int:
        return 2

    def begin(self, trial: Trial) -> None:
        self._tried[trial.key] = self._tried.get(trial.key, 0) + 1
        self._running[trial.key] = trial, attempts.new(self._store.trial(trial.key)), 0

    def advance(self, tell: Tell, should_stop: Callable[[], bool]) -> None:
        for key, (trial, folder, epochs) in list(self._running.items()):
            if should_stop():
                del self._running[key]
                tell(Broken(key))
            elif key == self._unlucky and self._tried[key] == 1 and epochs == 1:
                del self._running[key]
                tell(Lost(key, "the machine that trained it is gone"))
            elif epochs == 3:
                del self._running[key]
                tell(Computed(key, folder, made(trial, folder)))
            else:
                (folder / "checkpoint.pt").write_bytes(b"x")
                self._running[key] = trial, folder, epochs + 1
                tell(Advanced(key, Epoch(epoch=epochs + 1, loss=1.0, error=1.0, lr=1.0), 1.0))

    def close(self) -> None:
        pass


def test_a_lost_machine_costs_an_attempt_and_nothing_else(tmp_path: Path) -> None:
    store, told, warned = Store(tmp_path), Told(), []
    engine: Engine = Several(store, TRIALS[1].key)
    summary = execution.run(TRIALS, store, engine, [told], stop=Stop(), warn=warned.append)
    assert sorted(summary.trained) == sorted(CELLS) and summary.holes == 0 and len(warned) == 1 and "goes on from its last" in warned[0]
    assert {store.state(key) for key in CELLS} == {"done"}
    assert not list(tmp_path.glob("trials/*/attempts")) and not list(tmp_path.glob("trials/*/begun"))
    again = told.lines.index("10 interrupted")
    assert told.lines[again + 1] == "10 starts", "what was lost is begun again before anything new"
    first = [line for line in told.lines if line.endswith("starts")][:4]
    assert first == ["00 starts", "10 starts", "10 starts", "01 starts"], "seed by seed over the variants"


def test_an_interrupted_run_of_several_frees_all_locks_and_keeps_the_checkpoints(tmp_path: Path) -> None:
    store, stop = Store(tmp_path), Stop()

    class Hears(Told):
        def trial_epoch(self, trial: Trial, epoch: Epoch, seconds: float) -> None:
            super().trial_epoch(trial, epoch, seconds)
            stop.signal = 15

    told = Hears()
    summary = execution.run(TRIALS, store, Several(store, ""), [told], stop=stop)
    assert summary.signal == 15 and not summary.trained and not summary.failed
    assert store.state(TRIALS[0].key) == "resumable"
    for key in CELLS:
        with store.locked(key) as mine:
            assert mine


def test_attempts_are_numbered_and_never_shared(tmp_path: Path) -> None:
    one, two = attempts.new(tmp_path), attempts.new(tmp_path)
    (tmp_path / "attempts" / "notes").mkdir()
    assert [path.name for path in attempts.folders(tmp_path)] == ["1", "2"] and one != two
    token = (two / attempts.TOKEN).read_text()
    assert attempts.sees(two, token) and not attempts.sees(one, token) and not attempts.sees(tmp_path / "nowhere", token)


# -- prices


def test_the_makespan_is_that_of_trials_begun_in_turn() -> None:
    assert pricing.makespan([3, 3, 2, 2, 2], 1) == 12
    assert pricing.makespan([3, 3, 2, 2, 2], 2) == 7
    assert pricing.makespan([5, 1, 1], 4) == 5 and pricing.makespan([], 2) == 0


def test_stored_trials_of_the_same_recipe_are_the_price_and_a_network_that_fails_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from senet_core.training import probe
    from senet_core.training.execution import Machine, choose, device_name, pick_device

    machine, store = Machine(pick_device("cpu"), choose(1)), Store(tmp_path)
    source = DataSource(None, None)
    monkeypatch.setattr(source, "opened", lambda config: (None, None))

    def fail(*arguments: object) -> float:
        raise RuntimeError("not with this block")

    monkeypatch.setattr(probe, "seconds_per_trial", fail)
    result = made(TRIALS[0], store.trial(TRIALS[0].key))
    origin = result.provenance.model_copy(update={"device": device_name(machine.device), "execution": machine.execution.plain()})
    store.save_result(result.model_copy(update={"provenance": origin}))
    found = pricing.prices(TRIALS[1:], TRIALS, store, source, machine)
    same = [trial.key for trial in TRIALS[1:] if trial.config == TRIALS[0].config]
    assert found == dict.fromkeys(same, 4.0) and len(same) == 2


# -- as a user gives it


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--max-minutes", "0"], "no number of minutes above 0"),
        (["--max-failures", "0"], "'0' is no count"),
        (["--gpu-share", "2"], "no part of a GPU"),
        (["--workers", "2", "--workers", "3"], "--workers is given twice"),
    ],
)
def test_a_wrong_limit_is_a_sentence(words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["run", "squeeze", "--workspace", str(tmp_path / "w"), *words]) == 2
    assert sentence in capsys.readouterr().err


def test_without_ray_a_sentence_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ablations.execution.ray_engine import RayEngine, Workers
    from senet_core.errors import InputError

    monkeypatch.setattr("ablations.execution.ray_engine.importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=re.escape("pip install 'senet-ablations[ray]'")):
        RayEngine(Store(tmp_path), DataSource(None, None), Workers(2, None, 1, "cpu"))


def test_what_an_engine_raises_in_words_is_kept_with_its_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    summary, lines = run(store, fails_on(TRIALS[0].key, error=lambda: MemoryError("too big")), monkeypatch)
    assert summary.failed == {TRIALS[0].key: "MemoryError: too big"} and lines[1] == "00 MemoryError: too big"
    log = (store.trial(TRIALS[0].key) / "log.txt").read_text()
    assert "Traceback" in log and "MemoryError: too big" in log
    assert Raised(TRIALS[0].key, "x", "").halts is False


def test_a_password_never_goes_to_a_cluster(tmp_path: Path) -> None:
    from argparse import Namespace

    from ablations import asked
    from senet_core.errors import InputError

    options = Namespace(
        workers=None, address="127.0.0.1:1", device="cpu", threads=1, gpu_share=None, load=None, tracking_uri="http://me:pw@host"
    )
    with pytest.raises(InputError, match="MLFLOW_TRACKING_URI") as refused:
        asked.engine(options, Store(tmp_path), DataSource(None, None))
    assert "pw" not in str(refused.value).replace("password", "")
