"""MLflow as a mirror of the store: live while training, or afterwards by ``sync``. Its outage loses nothing and stops nothing."""

from __future__ import annotations

import hashlib
import importlib.util
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ablations.result import Epoch, Line, Result
from ablations.store import Store
from ablations.study import Study, StudyVariant
from ablations.tracking.client import alone, is_server, scratch
from ablations.tracking.mirror import Outcome, Picture, RunRecord, child_record, epoch_metrics, outcome, parent_record, shared_places
from ablations.tracking.place import need_mlflow, public_uri, reason
from ablations.tracking.runs import MODEL, REPORT, Identity, Known, Runs, Vanished, is_conflict
from senet_core.errors import InputError
from senet_core.files import sha256

if TYPE_CHECKING:
    from ablations.execution.trial import Trial
    from ablations.planning import DataSource

T = TypeVar("T")
PAUSE_SECONDS = 60.0
"""How long MLflow is left alone after an error; each further one doubles it, up to ten minutes."""
LONGEST_PAUSE_SECONDS = 600.0
TRIES = 5
AT_A_TIME = 8
"""Runs that are written to a server at a time: what takes time there is the way. A SQLite file takes one writer."""


@dataclass(frozen=True)
class SyncCount:
    """How many runs were created, brought up to date, found to be so, or left to the other workspace that they are from."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    others: int = 0

    def __add__(self, other: SyncCount) -> SyncCount:
        return SyncCount(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def __str__(self) -> str:
        others = f", {self.others} left as another workspace wrote them" if self.others else ""
        return f"{self.created} runs created, {self.updated} updated, {self.unchanged} unchanged{others}"


@dataclass(frozen=True)
class Extras:
    """What is mirrored on request only: the trained models (``models`` is where their data lies), and the machine's load while training."""

    models: DataSource | None = None
    system_metrics: bool = False

    def __post_init__(self) -> None:
        if self.system_metrics and importlib.util.find_spec("psutil") is None:
            raise InputError("--system-metrics needs psutil, which is not installed; install it with: pip install psutil")


class Tracker:
    """An observer of a run that mirrors nothing: what ``--no-mlflow`` means."""

    @property
    def off(self) -> bool:
        """Whether the mirror is not written, by wish or because MLflow does not answer at the moment."""
        return True

    def trial_started(self, trial: Trial) -> None:
        """A trial begins, or goes on."""

    def trial_epoch(self, trial: Trial, epoch: Epoch | Line, seconds: float) -> None:
        """An epoch is over."""

    def trial_ended(self, trial: Trial, result: Result | None, reason: str | None) -> None:
        """A trial is over; what came of it is read from the store."""

    def mirror(self, study: Study) -> SyncCount:
        """Bring all runs of a study in line with the store."""
        return SyncCount()

    def attach_report(self, study: Study, folder: Path) -> None:
        """Show a study's report beside its runs."""


class MlflowTracker(Tracker):
    """Mirrors the trials of ``studies`` while they train, and any study on demand.

    Whatever the server, the database or MLflow itself raises is told once, as a sentence, through ``warn``; then MLflow is left alone for
    a while and tried again. What was missed meanwhile is written with the next trial that ends.
    """

    def __init__(
        self, uri: str, store: Store, warn: Callable[[str], None], studies: Sequence[Study] = (), extras: Extras | None = None
    ) -> None:
        self._uri, self._store, self._warn, self._studies, self._extras = uri, store, warn, studies, extras or Extras()
        self._live: dict[str, _Live] = {}
        self._kept: dict[str, Outcome] = {}
        self._refused: set[str] = set()  # trials that have no model to give
        self._runs: Runs | None = None
        self._pause = PAUSE_SECONDS
        self._again: float | None = None  # when to try again after an error, None without one
        self._attempt(self._close_orphans, None)

    @property
    def off(self) -> bool:
        """Whether MLflow does not answer at the moment."""
        return self._again is not None

    def trial_started(self, trial: Trial) -> None:
        """Show the trial as running, in the first study that has it; an interrupted run of it is taken up again."""
        self._kept.pop(trial.key, None)
        self._attempt(lambda runs: self._start(runs, trial.key), None)

    def trial_epoch(self, trial: Trial, epoch: Epoch | Line, seconds: float) -> None:
        """Add the epoch to the run's history."""
        live = self._live.get(trial.key)
        if live is None or epoch.epoch in live.epochs:
            return
        metrics = epoch_metrics(live.study, live.variant, epoch, seconds)
        if not self._attempt(lambda runs: runs.log_epoch(live.run_id, epoch.epoch, metrics), True):
            self._forget(trial.key)

    def trial_ended(self, trial: Trial, result: Result | None, reason: str | None) -> None:
        """Complete the trial's run, and the means and verdicts of all studies of this run that it belongs to."""
        live = self._forget(trial.key)
        if live is not None and reason == "interrupted":
            self._attempt(lambda runs: runs.kill(live.run_id), None)
        for study in self._studies:
            if any(key == trial.key for _, _, key in study.trials()):
                self.mirror(study)

    def mirror(self, study: Study) -> SyncCount:
        """Bring all runs of a study in line with the store; runs that say RUNNING though nobody trains them are closed as KILLED."""
        return self._attempt(lambda runs: self._mirror(runs, study), SyncCount())

    def attach_report(self, study: Study, folder: Path) -> None:
        """Put a study's report among the artifacts of its newest parent, and its link into the description of the experiment."""
        self._attempt(lambda runs: _report(runs, study, folder), None)

    # -- outages

    def _attempt(self, action: Callable[[Runs], T], otherwise: T) -> T:
        """The one place where an outage is caught. Any exception: servers, databases and their drivers have no common one; bad input is
        told as such only at the opening, before anything trains."""
        if self._again is not None and time.monotonic() < self._again:
            return otherwise
        try:
            self._runs = self._runs or Runs(self._uri, self._store.root)
            done = _persistently(action, self._runs)
        except Exception as error:
            if isinstance(error, InputError) and self._runs is None:
                raise
            self._rest(error)
            return otherwise
        if self._again is not None:
            self._pause, self._again = PAUSE_SECONDS, None
            self._warn(f"MLflow at {public_uri(self._uri)} answers again; what it missed is written with the next trial that ends.")
        return done

    def _rest(self, error: Exception) -> None:
        if self._again is None:
            self._warn(
                f"MLflow at {public_uri(self._uri)} cannot be written ({reason(error, self._uri)}). Nothing is lost: it is tried again"
                " from time to time, and `ablate sync` completes it later."
            )
        self._again = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    # -- one trial, live

    def _start(self, runs: Runs, key: str) -> None:
        places = [(study, variant, seed) for study in self._studies for variant, seed, one in study.trials() if one == key]
        for study, variant, seed in places[:1]:
            child = child_record(study, variant, seed, None, shared=None)
            parent = parent_record(Picture(study, self._outcomes(study)), variant, running=True)
            with alone(self._store.root):
                known = runs.claim(study, [parent, child])
                above, own = known[variant.name, None], known[variant.name, key]
                parent_id = above.run_id if runs.stays(above, parent) else runs.fill(above, parent, None)
                if not own.new and not runs.is_ours(own) and own.status in ("RUNNING", "FINISHED"):
                    return  # another workspace trains the same trial, or has done so; what comes of this one is seen at its end
                run_id = runs.fill(own, child, parent_id)
                runs.settle(study)
            monitor = _monitor(run_id, self._uri) if self._extras.system_metrics else None
            self._live[key] = _Live(study, variant, run_id, runs.epochs(run_id), monitor)

    def _forget(self, key: str) -> _Live | None:
        live = self._live.pop(key, None)
        if live is not None and live.monitor is not None:
            live.monitor.finish()
        return live

    # -- a whole study

    def _mirror(self, runs: Runs, study: Study) -> SyncCount:
        picture, shared = Picture(study, self._outcomes(study)), shared_places(self._store)
        families = [(parent_record(picture, variant, False), _children(picture, variant, shared)) for variant in study.variants]
        count = SyncCount()
        with alone(self._store.root):
            known = runs.claim(study, [record for parent, children in families for record in (parent, *children)])
            training, orphans = self._running(runs, known, picture)
            work: list[tuple[RunRecord, str]] = []
            for parent, children in families:
                busy = any(one.variant == parent.variant for one in training)
                parent_id, step = _upsert(runs, replace(parent, status="RUNNING") if busy else parent, known, None)
                count, work = count + step, [*work, *((child, parent_id) for child in children)]
            with ThreadPoolExecutor(AT_A_TIME if is_server(self._uri) else 1) as pool:
                written = list(pool.map(lambda one: _upsert(runs, one[0], known, one[1]), work))
            for (child, _), (run_id, step) in zip(work, written, strict=True):
                self._model(runs, known[child.variant, child.key], run_id, child)
                count = count + step
            for orphan in orphans:
                runs.kill(orphan.run_id)
            runs.settle(study)
            runs.suites.describe(study, runs.suites.of(study))
        return count

    def _running(self, runs: Runs, known: dict[Identity, Known], picture: Picture) -> tuple[list[_Place], list[_Place]]:
        """Of the runs that say RUNNING without a stored end: those that somebody trains, and those that a killed driver left."""
        training: list[_Place] = []
        orphans: list[_Place] = []
        for (variant, key), run in known.items():
            if key is None or run.status != "RUNNING" or key in picture.outcomes:
                continue
            busy = key in self._live or not runs.is_ours(run) or _held(self._store, key)
            (training if busy else orphans).append(_Place(variant, key, run.run_id))
        return training, orphans

    def _close_orphans(self, runs: Runs) -> None:
        """At the start of a run: mirror the studies of this workspace that have runs that a killed driver left as RUNNING."""
        if not self._studies:
            return
        left = {run.run.data.tags["ablate.study"] for run in runs.running() if not _held(self._store, run.run.data.tags["ablate.key"])}
        for name in sorted(left & set(self._store.studies())):
            self._mirror(runs, self._store.study(name))

    def _model(self, runs: Runs, known: Known, run_id: str, record: RunRecord) -> None:
        """The trained network, where it is asked for and there."""
        result = self._kept[record.key].result if record.key in self._kept else None
        if self._extras.models is None or result is None or result.status != "done" or result.key in self._refused:
            return
        weights = self._store.trial(result.key) / "weights.pt"
        digest = result.provenance.digests.get("weights.pt", "")
        rewritten = run_id != known.run_id
        if not weights.exists() or (known.run.data.tags.get(MODEL) == digest and not rewritten):
            return
        if sha256(weights) != digest:
            self._refused.add(result.key)
            self._warn(f"The weights of {record.name} ({result.key}) are not what its result was written for; MLflow gets no model of it.")
            return
        from ablations.tracking.model import PLACE, save

        with scratch() as folder:
            try:
                save(folder / PLACE, result, weights, self._extras.models)
            except Exception as error:  # of a network that PyTorch cannot export there are many kinds
                self._refused.add(result.key)
                self._warn(
                    f"The network of {record.name} cannot be exported as a model ({reason(error, self._uri)}); MLflow gets none of it."
                )
                return
            runs.attach(run_id, None if rewritten else known, MODEL, digest, folder / PLACE, PLACE)

    def _outcomes(self, study: Study) -> dict[str, Outcome]:
        """How the study's trials ended; a verified result is read once, for a stored one never changes."""
        found = {key: self._kept.get(key) or outcome(self._store, key) for _, _, key in study.trials()}
        ended = {key: one for key, one in found.items() if one is not None}
        self._kept |= {key: one for key, one in ended.items() if one.result is not None}
        return ended


@dataclass(frozen=True)
class _Live:
    """A trial that this driver trains: where its run stands, which epochs that has, and what samples the machine's load."""

    study: Study
    variant: StudyVariant
    run_id: str
    epochs: set[int]
    monitor: Any = field(default=None)


@dataclass(frozen=True)
class _Place:
    """A run of a trial."""

    variant: str
    key: str
    run_id: str


def _persistently(action: Callable[[Runs], T], runs: Runs) -> T:
    """The action, begun again where other drivers came in its way; what it wrote already it finds done."""
    for left in reversed(range(TRIES)):
        try:
            return action(runs)
        except Exception as error:
            if not left or not (isinstance(error, Vanished) or is_conflict(error)):
                raise
            time.sleep(random.uniform(0.0, 0.5))  # so that two do not meet again and again
    raise AssertionError("the last try returns or raises")


def _upsert(runs: Runs, record: RunRecord, known: dict[Identity, Known], parent: str | None) -> tuple[str, SyncCount]:
    run = known[record.variant, record.key]
    if run.digest == record.digest(parent):
        return run.run_id, SyncCount(unchanged=1)
    if runs.stays(run, record):
        runs.nest(run, parent)
        return run.run_id, SyncCount(others=1)
    run_id = runs.fill(run, record, parent)
    return run_id, SyncCount(created=1) if run.new else SyncCount(updated=1)


def _children(picture: Picture, variant: StudyVariant, shared: dict[str, str]) -> list[RunRecord]:
    ended = ((seed, key) for seed, key in variant.keys.items() if key in picture.outcomes)
    return [child_record(picture.study, variant, seed, picture.outcomes[key], shared.get(key)) for seed, key in ended]


def _held(store: Store, key: str) -> bool:
    """Whether some driver of this workspace trains it."""
    if not store.trial(key).is_dir():
        return False
    with store.locked(key) as mine:
        return not mine


def _report(runs: Runs, study: Study, folder: Path) -> None:
    newest = runs.newest_parent(study)
    if newest is None:
        return
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    content = "".join(f"{path.relative_to(folder)} {sha256(path)}\n" for path in files)
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    runs.attach(newest.run_id, newest, REPORT, digest, folder, "report")
    runs.suites.describe(study, runs.suites.of(study), report=newest.run_id)


def _monitor(run_id: str, uri: str) -> Any:
    """MLflow's own sampler of processor, memory, disk, network and GPUs, as a thread."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor: Any = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=uri)  # type: ignore[no-untyped-call]
    monitor.start()
    return monitor


def open_tracker(
    uri: str, store: Store, warn: Callable[[str], None], studies: Sequence[Study] = (), extras: Extras | None = None
) -> Tracker:
    """The tracker of a run over ``studies``; without MLflow, or without an answer, a warning and a tracker that does nothing."""
    try:
        need_mlflow()
    except InputError:
        warn("MLflow is not installed: this run is stored, not mirrored. Install it and run `ablate sync`, or say --no-mlflow.")
        return Tracker()
    return MlflowTracker(uri, store, warn, studies, extras)


def sync(names: Iterable[str], store: Store, tracker: Tracker) -> SyncCount:
    """Bring the MLflow runs of some stored studies in line with the store; a second time changes nothing.

    :raises InputError: for a study that is not there or is damaged.
    """
    studies = [store.study(name) for name in names]
    return sum((tracker.mirror(study) for study in studies), SyncCount())
