"""MLflow as a mirror of the store: live while training, or afterwards by ``sync``. Its outage loses nothing and stops nothing."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ablations.mirror import Outcome, RunRecord, child_record, epoch_metrics, outcome, parent_record, shared_keys
from ablations.mlflow_runs import Identity, Known, Runs, alone
from ablations.result import Epoch, Result
from ablations.store import Store
from ablations.study import Study, StudyVariant
from senet_core.errors import InputError

if TYPE_CHECKING:
    from ablations.trial import Trial

T = TypeVar("T")


@dataclass(frozen=True)
class SyncCount:
    """How many runs were created, brought up to date, or found to be so."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: SyncCount) -> SyncCount:
        return SyncCount(self.created + other.created, self.updated + other.updated, self.unchanged + other.unchanged)


def tracking_uri(workspace: Path, given: str | None) -> str:
    """Where MLflow's data goes: the option, else ``MLFLOW_TRACKING_URI``, else a SQLite file in the workspace.

    :raises InputError: for a folder, which current MLflow no longer writes to.
    """
    uri = given or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workspace.absolute() / 'mlflow.db'}"
    if ("://" not in uri and not uri.startswith("databricks")) or uri.startswith("file:"):
        raise InputError(
            f"MLflow no longer writes to a folder such as '{uri}'; give a database (sqlite:///FILE) or a server (http://HOST:PORT)."
        )
    return uri


def public_uri(uri: str) -> str:
    """The URI as it may be printed or logged: without user, password, query or fragment. What cannot be told apart is left out."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.startswith("sqlite"):
        return uri.partition("?")[0]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    shown = re.split(r"[?#]", rest[authority.rfind("@") + 1 :], maxsplit=1)[0]
    ambiguous = "@" in shown or ("@" in rest and "@" not in authority)
    return f"{scheme}://{'…' if ambiguous else shown}"


class Tracker:
    """An observer of a run that mirrors nothing: what ``--no-mlflow`` means."""

    off = True
    """Whether the mirror is not written, by wish or after an error."""

    def trial_started(self, trial: Trial) -> None:
        """A trial begins, or goes on."""

    def trial_epoch(self, trial: Trial, epoch: Epoch, seconds: float) -> None:
        """An epoch is over."""

    def trial_ended(self, trial: Trial, result: Result | None, reason: str | None) -> None:
        """A trial is over; what came of it is read from the store."""

    def mirror(self, study: Study) -> SyncCount:
        """Bring all runs of a study in line with the store."""
        return SyncCount()


class MlflowTracker(Tracker):
    """Mirrors the trials of ``studies`` while they train, and any study on demand.

    Whatever the server, the database or MLflow itself raises is told once, as a sentence, through ``warn``; from then on it is off.
    """

    def __init__(self, uri: str, store: Store, warn: Callable[[str], None], studies: Sequence[Study] = ()) -> None:
        self.off = False
        self._uri, self._store, self._warn, self._studies = uri, store, warn, studies
        self._live: dict[str, _Live] = {}
        self._kept: dict[str, Outcome] = {}
        self._runs: Runs | None = None
        self._attempt(lambda runs: None, None)

    def trial_started(self, trial: Trial) -> None:
        """Show the trial as running, in the first study that has it; an interrupted run of it is taken up again."""
        self._kept.pop(trial.key, None)
        self._attempt(lambda runs: self._start(runs, trial.key), None)

    def trial_epoch(self, trial: Trial, epoch: Epoch, seconds: float) -> None:
        """Add the epoch to the run's history; its seconds come with the result, for a repeated epoch takes others."""
        live = self._live.get(trial.key)
        if live is not None and epoch.epoch not in live.epochs:
            self._attempt(lambda runs: runs.log_epoch(live.run_id, epoch.epoch, epoch_metrics(epoch)), None)

    def trial_ended(self, trial: Trial, result: Result | None, reason: str | None) -> None:
        """Complete the trial's run, and the means and differences of all studies of this run that it belongs to."""
        live = self._live.pop(trial.key, None)
        if live is not None and reason == "interrupted":
            self._attempt(lambda runs: runs.kill(live.run_id), None)
        for study in self._studies:
            if any(key == trial.key for _, _, key in study.trials()):
                self.mirror(study)

    def mirror(self, study: Study) -> SyncCount:
        """Bring all runs of a study in line with the store; runs that say RUNNING though nobody trains them are closed as KILLED."""
        return self._attempt(lambda runs: self._mirror(runs, study), SyncCount())

    def _attempt(self, action: Callable[[Runs], T], otherwise: T) -> T:
        """The one place where an outage is caught. Any exception: servers, databases and their drivers have no common one; bad input is
        told as such only at the opening, before anything trains."""
        if self.off:
            return otherwise
        try:
            self._runs = self._runs or Runs(self._uri, self._store.root)
            return action(self._runs)
        except Exception as error:
            if isinstance(error, InputError) and self._runs is None:
                raise
            self.off = True
            self._warn(
                f"MLflow at {public_uri(self._uri)} cannot be written ({self._reason(error)}). Nothing is lost: its mirror is off"
                " for the rest of this run, and `ablate sync` completes it later."
            )
            return otherwise

    def _reason(self, error: Exception) -> str:
        """The first line of the error behind it all, without the secrets of the URI, which MLflow puts into its messages."""
        cause: BaseException = error
        while cause.__cause__ or cause.__context__:
            cause = cause.__cause__ or cause.__context__ or cause
        text = str(cause).partition("\n")[0].replace(self._uri, public_uri(self._uri))
        text = re.sub(r"://\S*@", "://", text)
        text = re.sub(r"\?\S*", "", text)
        return f"{type(cause).__name__}: {text}"[:200]

    def _start(self, runs: Runs, key: str) -> None:
        places = [(study, variant, seed) for study in self._studies for variant, seed, one in study.trials() if one == key]
        for study, variant, seed in places[:1]:
            child = child_record(study, variant, seed, None, shared=False)
            parent = parent_record(study, variant, self._outcomes(study), running=True)
            with alone(self._store.root):
                known = runs.claim(study, [parent, child])
                parent_id = runs.fill(study, known[variant.name, None].run_id, parent, None)
                run_id = runs.fill(study, known[variant.name, key].run_id, child, parent_id)
            self._live[key] = _Live(run_id, runs.epochs(run_id))

    def _mirror(self, runs: Runs, study: Study) -> SyncCount:
        outcomes, shared = self._outcomes(study), shared_keys(self._store)
        families = [(self._parent(study, variant, outcomes), _children(study, variant, outcomes, shared)) for variant in study.variants]
        count = SyncCount()
        with alone(self._store.root):
            known = runs.claim(study, [record for parent, children in families for record in (parent, *children)])
            for parent, children in families:
                parent_id, step = _upsert(runs, study, parent, known, None)
                count = sum((_upsert(runs, study, child, known, parent_id)[1] for child in children), count + step)
            for run in self._orphans(known, outcomes):
                runs.kill(run.run_id)
        return count

    def _orphans(self, known: dict[Identity, Known], outcomes: dict[str, Outcome]) -> list[Known]:
        """Runs that a killed driver left as RUNNING."""
        running = [(key, run) for (_, key), run in known.items() if key and run.status == "RUNNING"]
        return [run for key, run in running if key not in outcomes and key not in self._live and not _held(self._store, key)]

    def _parent(self, study: Study, variant: StudyVariant, outcomes: dict[str, Outcome]) -> RunRecord:
        return parent_record(study, variant, outcomes, running=not self._live.keys().isdisjoint(variant.keys.values()))

    def _outcomes(self, study: Study) -> dict[str, Outcome]:
        """How the study's trials ended; a verified result is read once, for a stored one never changes."""
        found = {key: self._kept.get(key) or outcome(self._store, key) for _, _, key in study.trials()}
        ended = {key: one for key, one in found.items() if one is not None}
        self._kept |= {key: one for key, one in ended.items() if one.result is not None}
        return ended


@dataclass(frozen=True)
class _Live:
    run_id: str
    epochs: set[int]


def _upsert(runs: Runs, study: Study, record: RunRecord, known: dict[Identity, Known], parent: str | None) -> tuple[str, SyncCount]:
    run = known[record.variant, record.key]
    if run.digest == record.digest(parent):
        return run.run_id, SyncCount(unchanged=1)
    run_id = runs.fill(study, run.run_id, record, parent)
    return run_id, SyncCount(created=1) if run.new else SyncCount(updated=1)


def _children(study: Study, variant: StudyVariant, outcomes: dict[str, Outcome], shared: set[str]) -> list[RunRecord]:
    ended = ((seed, key) for seed, key in variant.keys.items() if key in outcomes)
    return [child_record(study, variant, seed, outcomes[key], key in shared) for seed, key in ended]


def _held(store: Store, key: str) -> bool:
    """Whether some driver trains it. A trial without a folder is not one of this workspace: of it nothing is known here."""
    if not store.trial(key).is_dir():
        return True
    with store.locked(key) as mine:
        return not mine


def need_mlflow() -> None:
    """:raises InputError: where MLflow is not installed."""
    if importlib.util.find_spec("mlflow") is None:
        raise InputError("MLflow is not installed, so there is nothing to write to or to show; install it with: pip install mlflow")


def open_tracker(uri: str, store: Store, warn: Callable[[str], None], studies: Sequence[Study] = ()) -> Tracker:
    """The tracker of a run over ``studies``; without MLflow, or without an answer, a warning and a tracker that does nothing."""
    try:
        need_mlflow()
    except InputError:
        warn("MLflow is not installed: this run is stored, not mirrored. Install it and run `ablate sync`, or say --no-mlflow.")
        return Tracker()
    return MlflowTracker(uri, store, warn, studies)


def sync(names: Iterable[str], store: Store, tracker: Tracker) -> SyncCount:
    """Bring the MLflow runs of some stored studies in line with the store; a second time changes nothing.

    :raises InputError: for a study that is not there or is damaged.
    """
    studies = [store.study(name) for name in names]
    return sum((tracker.mirror(study) for study in studies), SyncCount())
