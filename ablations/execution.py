"""The run loop: which trials are still to train, one after the other, each under its lock; what each gave or why it left a hole."""

from __future__ import annotations

import json
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from ablations.planning import DataSource
from ablations.provenance import commit
from ablations.result import Epoch, Result
from ablations.store import DamagedStore, Failure, State, Store
from ablations.trial import Trial, train

if TYPE_CHECKING:
    from ablations.seed_rules import Share
    from senet_core.training.execution import Machine

POLL_SECONDS = 1.0  # how often trials that another process holds are looked at again


class Observer(Protocol):
    """Who wants to know what happens: the progress view and the tracker."""

    def trial_started(self, trial: Trial) -> None:
        """A trial begins, or goes on from its checkpoint."""

    def trial_epoch(self, trial: Trial, epoch: Epoch, seconds: float) -> None:
        """An epoch is over and its checkpoint is about to be written."""

    def trial_ended(self, trial: Trial, result: Result | None, reason: str | None) -> None:
        """A trial is over: with a result, or for a reason (a failure's, or "interrupted")."""


class Stop:
    """Set by the first Ctrl-C or SIGTERM, asked at every step; a second one leaves at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take over both signals for a while."""
        before = {number: signal.signal(number, self._heard) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number


@dataclass
class Summary:
    """How a run ended: keys by what became of them in this run, and the signal that cut it short, if one did."""

    trained: list[str] = field(default_factory=list)
    diverged: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    signal: int | None = None

    @property
    def holes(self) -> int:
        """Trials without a usable result after this run, an interruption aside."""
        return len(self.failed) + len(self.damaged)

    def __add__(self, later: Summary) -> Summary:
        return Summary(
            self.trained + later.trained,
            self.diverged + later.diverged,
            self.failed | later.failed,
            self.damaged | later.damaged,
            later.signal,
        )


def trials(shares: Sequence[Share]) -> list[Trial]:
    """All trials of some studies at their seeds, each once, seed by seed over all of them."""
    found: dict[str, Trial] = {}
    turns = range(max((len(one.seeds) for one in shares), default=0))
    for variant, seed, key in (cell for turn in turns for one in shares for cell in one.study.trials(one.seeds[turn : turn + 1])):
        if key not in found:
            found[key] = Trial.model_validate({"key": key, "config": variant.config, "seed": json.loads(seed), "cost": variant.cost})
    return list(found.values())


def run(
    queue: Sequence[Trial],
    store: Store,
    source: DataSource,
    machine: Machine | None,
    observers: Sequence[Observer],
    *,
    stop: Stop,
    retry_failed: bool = False,
    warn: Callable[[str], None] = lambda sentence: None,
) -> Summary:
    """Train every trial of the queue that has no result yet; trials that another process holds are waited for.

    ``machine`` may be None only if nothing is left to train.
    """
    commit()  # of the code that is loaded now
    summary = Summary()
    attempt = _Attempt(store, source, machine, observers, stop, warn, summary)
    waiting = list(queue)
    while waiting and not stop():
        held = [trial for trial in waiting if not stop() and not attempt(trial, retry_failed)]
        if len(held) == len(waiting):
            time.sleep(POLL_SECONDS)
        waiting = held
    summary.signal = stop.signal
    return summary


@dataclass
class _Attempt:
    """One try at a trial; False where another process is at it."""

    store: Store
    source: DataSource
    machine: Machine | None
    observers: Sequence[Observer]
    stop: Stop
    warn: Callable[[str], None]
    summary: Summary

    def __call__(self, trial: Trial, retry_failed: bool) -> bool:
        if self._settled(trial, self.store.state(trial.key), retry_failed):
            return True
        with self.store.locked(trial.key) as mine:
            if not mine:
                return False
            if not self._settled(trial, self.store.state(trial.key), retry_failed):
                self._train(trial)
        return True

    def _settled(self, trial: Trial, state: State, retry_failed: bool) -> bool:
        if state == "damaged":
            self.summary.damaged[trial.key] = _damage(self.store, trial.key)
        if state == "failed" and not retry_failed:
            failure = self.store.failure(trial.key)
            self.summary.failed[trial.key] = failure.reason if failure else "unknown"
            return True
        return state in ("done", "diverged", "damaged")

    def _train(self, trial: Trial) -> None:
        from senet_core.training.loop import Interrupted

        assert self.machine is not None, "a trial is to be trained, and no machine was chosen"
        for observer in self.observers:
            observer.trial_started(trial)
        result, reason = None, None
        try:
            result = train(
                trial,
                self.store,
                self.source,
                self.machine,
                on_epoch=lambda epoch, seconds: self._epoch(trial, epoch, seconds),
                should_stop=self.stop,
                warn=self.warn,
            )
            self.summary.trained.append(trial.key)
            if result.status == "diverged":
                self.summary.diverged += 1
                self._log(trial, f"diverged: the loss was not finite in epoch {len(result.history) + 1}, or at the evaluation")
        except Interrupted:
            reason = "interrupted"
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".strip()
            self._failed(trial, reason)
        for observer in self.observers:
            observer.trial_ended(trial, result, reason)

    def _epoch(self, trial: Trial, epoch: Epoch, seconds: float) -> None:
        self._log(trial, f"epoch {epoch.epoch}: loss {epoch.loss:.4f}, training error {epoch.error:.2f} %, {seconds:.1f} s")
        for observer in self.observers:
            observer.trial_epoch(trial, epoch, seconds)

    def _failed(self, trial: Trial, reason: str) -> None:
        self._log(trial, traceback.format_exc())
        with suppress(OSError):
            self.store.save_failure(trial.key, Failure(reason=reason, created=_now()))
        self.summary.failed[trial.key] = reason

    def _log(self, trial: Trial, text: str) -> None:
        with suppress(OSError), (self.store.trial(trial.key) / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"{_now()} {text.rstrip()}\n")  # a full disk must not turn one hole into the end of the run


def _damage(store: Store, key: str) -> str:
    try:
        store.result(key)
    except DamagedStore as error:
        return str(error)
    return "damaged"


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")
