"""The run loop: which trials are still to train, each under its lock; what each gave, or why it left a hole.

It alone publishes results, writes logs and tells the observers, wherever the trials are computed (``ablations.execution.engines``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from ablations.execution import attempts
from ablations.execution.engines import Advanced, Broken, Computed, Engine, Event, Lost, Raised, Warned, refuses, words
from ablations.execution.provenance import commit
from ablations.execution.stopping import Patience, Stop
from ablations.execution.trial import Trial, save_recipe
from ablations.result import Epoch, Line, Result
from ablations.store import DamagedStore, Failure, State, Store
from ablations.study import Settings, ours

if TYPE_CHECKING:
    from ablations.seed_rules import Share

POLL_SECONDS = 1.0  # how often trials that another process holds are looked at again


class Observer(Protocol):
    """Who wants to know what happens: the progress view and the tracker."""

    def trial_started(self, trial: Trial) -> None:
        """A trial begins, or goes on from its checkpoint."""

    def trial_epoch(self, trial: Trial, epoch: Epoch | Line, seconds: float) -> None:
        """An epoch is over, and its checkpoint is written or about to be."""

    def trial_ended(self, trial: Trial, result: Result | None, reason: str | None) -> None:
        """A trial is over: with a result, or for a reason (a failure's, or "interrupted")."""


@dataclass
class Summary:
    """How a run ended: keys by what became of them in this run, the signal that cut it short, or why it stopped before its work was done.

    ``refused`` says that the workspace cannot be written; ``shares`` is the part of its epochs that each trial was trained here, by key.
    """

    trained: list[str] = field(default_factory=list)
    diverged: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    signal: int | None = None
    stopped: str | None = None
    refused: bool = False
    left: int = 0
    shares: dict[str, float] = field(default_factory=dict)

    @property
    def holes(self) -> int:
        """Trials without a usable result after this run; what a signal interrupted is told by the signal."""
        return len(self.failed) + len(self.damaged) + self.left

    def __add__(self, later: Summary) -> Summary:
        return Summary(
            self.trained + later.trained,
            self.diverged + later.diverged,
            self.failed | later.failed,
            self.damaged | later.damaged,
            later.signal,
            later.stopped,
            later.refused,
            later.left,
            self.shares | later.shares,
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
    engine: Engine | None,
    observers: Sequence[Observer],
    *,
    stop: Stop,
    retry_failed: bool = False,
    patience: Patience | None = None,
    warn: Callable[[str], None] = lambda sentence: None,
) -> Summary:
    """Train every trial of the queue that has no result yet; trials that another process holds are waited for.

    ``engine`` may be None only if nothing is left to train.
    """
    commit()  # of the code that is loaded now
    driver = _Driver(store, engine, observers, stop, patience or Patience(), retry_failed, warn)
    try:
        driver.drive(list(queue))
    except OSError as error:
        if not refuses(error, store.root):
            raise
        driver.refuse(words(error))
        driver.give_up()
    finally:
        for held in driver.held.values():
            held.lock.close()
    driver.summary.signal, driver.summary.stopped = stop.signal, stop.reason
    return driver.summary


@dataclass
class _Held:
    """A trial that is being computed, under its lock."""

    trial: Trial
    lock: ExitStack
    epochs: int = 0


@dataclass
class _Driver:
    """The trials of a run between the queue, the engine and the store."""

    store: Store
    engine: Engine | None
    observers: Sequence[Observer]
    stop: Stop
    patience: Patience
    retry_failed: bool
    warn: Callable[[str], None]
    summary: Summary = field(default_factory=Summary)
    held: dict[str, _Held] = field(default_factory=dict)
    returned: list[Trial] = field(default_factory=list)  # lost by the engine, to be begun again

    def drive(self, waiting: list[Trial]) -> None:
        """Begin what can be begun and hear what becomes of it, until nothing is left or the run is to stop."""
        while (waiting and not self.stop()) or self.held:
            before = len(waiting)
            waiting = self._begun(waiting)
            if self.held:
                assert self.engine is not None
                self.engine.advance(self._hear, self.stop)
            elif len(waiting) == before and waiting and not self.stop():
                time.sleep(POLL_SECONDS)  # all are with other processes
            waiting, self.returned = [*self.returned, *waiting], []
        self.summary.left += sum(not self._settled(trial) for trial in waiting)

    def _begun(self, waiting: list[Trial]) -> list[Trial]:
        """Begin as many trials as the engine takes; returns the others, as far as they are not settled."""
        left: list[Trial] = []
        for place, trial in enumerate(waiting):
            if self.stop() or not (self.engine is None or self.engine.free()):
                return [*left, *waiting[place:]]
            if not (self._settled(trial) or self._begin(trial)):
                left.append(trial)
        return left

    def _settled(self, trial: Trial) -> bool:
        state: State = self.store.state(trial.key)
        if state == "damaged":
            self.summary.damaged[trial.key] = _damage(self.store, trial.key)
        if state == "failed" and not (self.retry_failed and trial.key not in self.summary.failed):
            failure = self.store.failure(trial.key)
            self.summary.failed.setdefault(trial.key, failure.reason if failure else "unknown")
            return True
        return state in ("done", "diverged", "damaged")

    def _begin(self, trial: Trial) -> bool:
        """Take the trial's lock and hand it to the engine; False where another process holds it."""
        with ExitStack() as lock:
            if not lock.enter_context(self.store.locked(trial.key)):
                return False
            if self._settled(trial):
                return True
            assert self.engine is not None, "a trial is to be trained, and no engine was chosen"
            folder = self.store.trial(trial.key)
            save_recipe(trial, folder)
            self.held[trial.key] = _Held(trial, lock.pop_all())
            for observer in self.observers:
                observer.trial_started(trial)
            if attempts.begin(folder):
                self.engine.begin(trial)
            else:
                reason = f"killed {attempts.KILLED_AT_MOST} times before an epoch was over; did it need more memory than there is?"
                self._failed(trial, Raised(trial.key, reason, ""))
        return True

    # -- what the engine tells

    def _hear(self, event: Event) -> None:
        trial = self.held[event.key].trial
        match event:
            case Advanced():
                self._advanced(trial, event)
            case Warned():
                self._log(trial, event.sentence)
                self.warn(event.sentence)
            case Computed():
                self._computed(trial, event)
            case Raised():
                self._failed(trial, event)
            case Broken():
                self._ended(trial, None, "interrupted")
            case Lost():
                self._lost(trial, event)

    def _advanced(self, trial: Trial, event: Advanced) -> None:
        epoch = event.epoch
        self.held[trial.key].epochs += 1
        attempts.progressed(self.store.trial(trial.key))
        self._log(trial, f"epoch {epoch.epoch}: {_told(epoch)}, {event.seconds:.1f} s")
        for observer in self.observers:
            observer.trial_epoch(trial, epoch, event.seconds)

    def _computed(self, trial: Trial, event: Computed) -> None:
        result = self.store.adopt(event.folder, event.result)
        self.summary.trained.append(trial.key)
        own = isinstance(trial.config, Settings)  # of which nobody knows how many epochs it has
        self.summary.shares[trial.key] = 1.0 if own else self.held[trial.key].epochs / ours(trial.config).train.epochs
        if result.status == "diverged":
            self.summary.diverged += 1
            self._log(trial, f"diverged: the loss was not finite in epoch {len(result.history) + 1}, or at the evaluation")
        self._ended(trial, result, None)

    def _failed(self, trial: Trial, event: Raised) -> None:
        if event.halts:
            self.refuse(event.reason)
            self._ended(trial, None, "interrupted")
            return
        self._log(trial, f"{event.reason}\n{event.trace}")
        with suppress(OSError):
            self.store.save_failure(trial.key, Failure(reason=event.reason, created=_now()))
        self.summary.failed[trial.key] = event.reason
        self._ended(trial, None, event.reason)
        enough = self.patience.lost(event.reason)
        if enough is not None:
            self.stop.because(enough)

    def _lost(self, trial: Trial, event: Lost) -> None:
        sentence = f"{event.reason}; the trial {trial.key} goes on from its last checkpoint"
        self._log(trial, sentence)
        self.warn(f"{sentence}.")
        self.returned.append(trial)
        self._ended(trial, None, "lost")

    def _ended(self, trial: Trial, result: Result | None, reason: str | None) -> None:
        """Tell that a trial is over, and free its lock. Only a process that was killed or lost leaves it marked as begun."""
        if reason == "lost":
            reason = "interrupted"
        else:
            self.summary.left += reason == "interrupted"
            with suppress(OSError):
                attempts.progressed(self.store.trial(trial.key))
        for observer in self.observers:
            observer.trial_ended(trial, result, reason)
        self.held.pop(trial.key).lock.close()

    # -- the end

    def refuse(self, reason: str) -> None:
        """Stop because the workspace cannot be written."""
        self.summary.refused = True
        self.stop.because(f"The workspace cannot be written: {reason}. Nothing stored is lost.")

    def give_up(self) -> None:
        """Tell the observers that what is being computed was interrupted."""
        for held in list(self.held.values()):
            self._ended(held.trial, None, "interrupted")

    def _log(self, trial: Trial, text: str) -> None:
        with suppress(OSError), (self.store.trial(trial.key) / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"{_now()} {text.rstrip()}\n")  # a full disk must not turn one hole into the end of the run


def _told(epoch: Epoch | Line) -> str:
    if isinstance(epoch, Line):
        return ", ".join(f"{name} {value:.5g}" for name, value in epoch.values.items()) or "nothing reported"
    return f"loss {epoch.loss:.4f}, training error {epoch.error:.2f} %"


def _damage(store: Store, key: str) -> str:
    try:
        store.result(key)
    except DamagedStore as error:
        return str(error)
    return "damaged"


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")
