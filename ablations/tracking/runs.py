"""MLflow runs, found by their tags and brought in line with a record; every call may raise what the server or the database raises.

``MlflowClient`` with explicit run ids throughout: the fluent functions keep global state. Parameters and metric points cannot be
rewritten in MLflow, so a run that contradicts its record is deleted (MLflow keeps it in its bin) and written anew.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablations.study import Study
from ablations.tracking.client import BOOK, PARENT, alone, artifacts_of, opened, scratch, workspace_id
from ablations.tracking.mirror import RunRecord
from ablations.tracking.suites import Suites

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

Identity = tuple[str, str | None]
"""(variant, key) within one study; the key of a parent is None."""

POINTS_A_BATCH = 1000  # the most metrics, and of all things together, that a server takes in one request
RUNS_A_PAGE = 1000
DIGEST, ARTIFACTS, CLAIMED, WORKSPACE = (f"{BOOK}{name}" for name in ("digest", "artifacts", "claimed", "workspace"))
MODEL, REPORT = f"{BOOK}model", f"{BOOK}report"
"""Tags that the mirror keeps for itself: what the run was last brought in line with, the digests of its artifacts, when it was made, by
which workspace, and of which weights and report it carries a copy."""
SYSTEM = "system/"
"""Begins the metrics that MLflow samples on request; they are in no record."""


@dataclass(frozen=True)
class Known:
    """A run that MLflow has, as it was when it was read; ``new`` if it was made just now."""

    run: Run
    new: bool = False

    @property
    def run_id(self) -> str:
        """MLflow's id of it."""
        return str(self.run.info.run_id)

    @property
    def status(self) -> str:
        """MLflow's word for how it stands."""
        return str(self.run.info.status)

    @property
    def digest(self) -> str | None:
        """That of the record it was last brought in line with, None while it is being written. One that says RUNNING is in line with
        nothing: of two drivers that write one run at the same time, the one that ends it may do so between two calls of the other."""
        return None if self.status == "RUNNING" else self.run.data.tags.get(DIGEST) or None

    @property
    def pairs(self) -> float:
        """Of a parent: over how many seeds its mean is; -1 where it has none yet."""
        return float(self.run.data.metrics.get("n", -1.0))


def is_conflict(error: Exception) -> bool:
    """Whether two drivers have just written the same thing, so that it is worth to do it again: databases tell so in words only."""
    return bool(
        re.search(r"UniqueViolation|IntegrityError|duplicate key|UNIQUE constraint|deadlock|serializ|database is locked", str(error))
    )


class Vanished(Exception):
    """A run is there no more: a person, or a driver of another workspace, deleted it."""


class Runs:
    """The runs of one tracking server or database; opening a new database creates its tables."""

    def __init__(self, uri: str, workspace: Path) -> None:
        self._workspace = workspace_id(workspace)
        with alone(workspace):
            self._client = opened(uri)
        self.suites = Suites(self._client, artifacts_of(uri, workspace))
        self._experiment = ""
        self._anew: set[str] = set()  # runs that were written anew since the last claim

    def claim(self, study: Study, records: Iterable[RunRecord]) -> dict[Identity, Known]:
        """The runs of a study by identity; those of ``records`` that are not there yet are created, as RUNNING and empty.

        Drivers of other workspaces may do the same at the same time. So after creating, all look again, take the run that was claimed
        first, and delete their own others.

        :raises Vanished: where one of them is gone at that second look: another driver held it for the double of one that went as well.
        """
        records = list(records)
        self._experiment, self._anew = self.suites.of(study), set()
        known = self._known(study)
        mine: set[str] = set()
        for record in records:
            if (record.variant, record.key) not in known:
                created = Known(self._create(record), new=True)
                known[record.variant, record.key] = created
                mine.add(created.run_id)
        if mine:
            known = {identity: Known(one.run, one.run_id in mine) for identity, one in self._known(study, mine).items()}
        if not known.keys() >= {(record.variant, record.key) for record in records}:
            raise Vanished("Another driver deleted runs that were just made.")
        return known

    def settle(self, study: Study) -> None:
        """After writing: where a run had to be written anew, look whether another driver did so too at the same time.

        :raises Vanished: where this one's runs had to give way.
        """
        if self._anew:
            first = {one.run_id for one in self._known(study, self._anew).values()}
            if not self._anew <= first:
                raise Vanished("Another driver wrote the same runs anew.")

    def is_ours(self, known: Known) -> bool:
        """Whether a run was made from this workspace."""
        return bool(known.run.data.tags.get(WORKSPACE, self._workspace) == self._workspace)

    def stays(self, known: Known, record: RunRecord) -> bool:
        """Whether another workspace's run is left as it is: a trial that is complete (this one trained the same again), and a parent
        over more seeds than here, or complete over as many. So of several workspaces on one server none undoes what another did, and
        none leaves a run behind that nobody ends."""
        if known.new or self.is_ours(known):
            return False
        complete, pairs = known.digest is not None, record.metrics.get("n", 0.0)
        return complete if record.key is not None else known.pairs > pairs or (complete and known.pairs == pairs)

    def nest(self, known: Known, parent: str | None) -> None:
        """Show a run that is left as it is under the parent that there is now: its former one may have been written anew.

        :raises Vanished: where somebody deletes it meanwhile.
        """
        if parent and known.run.data.tags.get(PARENT) != parent:
            with self._still_there(known.run_id):
                self._client.set_tag(known.run_id, PARENT, parent)

    def fill(self, known: Known, record: RunRecord, parent: str | None) -> str:
        """Bring a run in line with its record; returns the id of the run, another one where it had to be written anew.

        :raises Vanished: where somebody deletes it meanwhile.
        """
        run, metrics = known.run, self._missing(known.run, record)
        theirs = record.key is not None and not known.new and not self.is_ours(known)
        if metrics is None or theirs:  # a trial that another workspace is still at may get points from there at any moment
            self._client.delete_run(known.run_id)
            run = self._create(record)
            self._anew.add(str(run.info.run_id))
            metrics = self._missing(run, record) or []
        with self._still_there(str(run.info.run_id)):
            return self._fill(run, record, parent, metrics)

    def _fill(self, run: Run, record: RunRecord, parent: str | None, metrics: list[Metric]) -> str:
        run_id = str(run.info.run_id)
        self._tidy(run, record)
        unfinished = {DIGEST: ""} if run.data.tags.get(DIGEST) else {}
        tags = record.tags | unfinished | {WORKSPACE: self._workspace} | ({PARENT: parent} if parent else {})
        self._log(run, record, tags, metrics)
        self._attach(run, record)
        self._set_status(run, record.status, record.end)
        books = {ARTIFACTS: json.dumps(record.digests)} if digests(run) != record.digests else {}
        if record.status != "RUNNING":
            books[DIGEST] = record.digest(parent)
        self._book(run_id, books)
        return run_id

    def log_epoch(self, run_id: str, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Add one line of history, now; False where the run is there no more, because somebody deleted it or its experiment."""
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        try:
            self._client.log_batch(run_id, metrics=[Metric(name, value, _now(), epoch) for name, value in metrics.items()])
        except MlflowException:
            if self._is_active(run_id):
                raise
            return False
        return True

    def epochs(self, run_id: str) -> set[int]:
        """The epochs whose history a run has already."""
        every = ("train_loss", "epoch_seconds")  # a loop of a user's own has only the latter
        return {point.step for name in every for point in self._client.get_metric_history(run_id, name)}

    def kill(self, run_id: str) -> None:
        """Say that a run was interrupted."""
        self._client.set_tag(run_id, "ablate.status", "interrupted")
        self._client.set_terminated(run_id, "KILLED")

    def running(self) -> list[Known]:
        """All trials of this workspace that say RUNNING, of all suites."""
        places = [one.experiment_id for one in self.suites.all()]
        found = self._search(places, "attributes.status = 'RUNNING' AND tags.`ablate.kind` = 'child'") if places else ()
        return [one for one in found if self.is_ours(one)]

    def newest_parent(self, study: Study) -> Known | None:
        """The run of the variant that was begun last: it stands on top of MLflow's own table."""
        parents = self._search([self.suites.of(study)], f"tags.`ablate.study` = '{study.name}' AND tags.`ablate.kind` = 'parent'")
        return max(parents, key=lambda one: (one.run.info.start_time, one.run.data.tags.get(CLAIMED, ""), one.run_id), default=None)

    def attach(self, run_id: str, known: Known | None, book: str, digest: str, folder: Path, place: str) -> None:
        """Upload a folder to a place among a run's artifacts, unless its ``book`` says that it is there already.

        ``known`` is the run as it was read; None for one that was written anew since, and so carries nothing yet.
        """
        if known is None or known.run.data.tags.get(book) != digest:
            self._client.log_artifacts(run_id, str(folder), place)
            self._client.set_tag(run_id, book, digest)

    # -- the parts

    def _known(self, study: Study, mine: Iterable[str] = ()) -> dict[Identity, Known]:
        """The runs by identity, of doubles the one that was claimed first. Doubles go where they are this driver's own, or where the
        first one is complete, and so lacks nothing that they could have."""
        found: dict[Identity, list[Known]] = {}
        for one in self._search([self._experiment], f"tags.`ablate.study` = '{study.name}'"):
            tags = one.run.data.tags
            found.setdefault((tags.get("ablate.variant", ""), tags.get("ablate.key")), []).append(one)
        known, own = {}, set(mine)
        for identity, doubles in found.items():
            first, *others = sorted(doubles, key=lambda one: (one.run.data.tags.get(CLAIMED, ""), one.run_id))
            known[identity] = first
            for one in others:
                if one.run_id in own or first.digest is not None:
                    self._client.delete_run(one.run_id)
        return known

    def _search(self, experiments: list[str], condition: str) -> Iterator[Known]:
        token: str | None = None
        while token != "":
            page = self._client.search_runs(experiments, condition, max_results=RUNS_A_PAGE, page_token=token)
            yield from map(Known, page)
            token = page.token or ""

    def _create(self, record: RunRecord) -> Run:
        tags = record.tags | {CLAIMED: f"{time.time_ns():020d}", WORKSPACE: self._workspace}
        return self._client.create_run(self._experiment, record.start or _now(), tags, record.name)

    @contextmanager
    def _still_there(self, run_id: str) -> Iterator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            if self._is_active(run_id):
                raise
            raise Vanished(f"The run {run_id} was deleted while it was written.") from error

    def _is_active(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            return bool(self._client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise

    def _missing(self, run: Run, record: RunRecord) -> list[Metric] | None:
        """The metric points that the run lacks; None where it has a parameter or a point that the record contradicts."""
        from mlflow.entities import Metric

        if any(record.params.get(name) != value for name, value in run.data.params.items()):
            return None
        if not record.final:
            return []
        there = {name: value for name, value in run.data.metrics.items() if not name.startswith(SYSTEM)}
        if there.keys() - record.metrics.keys() - record.history.keys():
            return None
        missing = [Metric(name, value, _now(), 0) for name, value in record.metrics.items() if there.get(name) != value]
        for name, points in record.history.items():
            stored = self._client.get_metric_history(run.info.run_id, name) if name in there else []
            values = {point.step: point.value for point in stored}
            if len(values) < len(stored) or any(points.get(step) != value for step, value in values.items()):
                return None
            missing += [Metric(name, value, record.times.get(step, _now()), step) for step, value in points.items() if step not in values]
        return missing

    def _tidy(self, run: Run, record: RunRecord) -> None:
        """Take away what a former state left: its tags, and its name."""
        from mlflow.exceptions import MlflowException

        for name in [name for name in run.data.tags if name.startswith("ablate.") and name not in record.tags]:
            try:
                self._client.delete_tag(run.info.run_id, name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # else another driver was first
                    raise
        if run.info.run_name != record.name:
            self._client.update_run(run.info.run_id, name=record.name)

    def _log(self, run: Run, record: RunRecord, tags: Mapping[str, str], metrics: list[Metric]) -> None:
        from mlflow.entities import Param, RunTag

        params = [Param(name, value) for name, value in record.params.items() if name not in run.data.params]
        changed = [RunTag(name, value) for name, value in tags.items() if run.data.tags.get(name) != value]
        room = POINTS_A_BATCH - len(params) - len(changed)
        if params or changed or metrics:
            self._client.log_batch(run.info.run_id, metrics[:room], params, changed)
        for start in range(room, len(metrics), POINTS_A_BATCH):
            self._client.log_batch(run.info.run_id, metrics[start : start + POINTS_A_BATCH])

    def _attach(self, run: Run, record: RunRecord) -> None:
        """The data set, for MLflow's own column, and those artifacts that are not there yet."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        run_id, data = run.info.run_id, record.data
        inputs = run.inputs.dataset_inputs if run.inputs else []
        if data is not None and not any(one.dataset.digest == data.digest for one in inputs):
            dataset = Dataset(name=data.name, digest=data.digest, source_type="code", source=data.name, profile=data.profile)
            self._client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", data.context)])])
        there = digests(run)
        changed = {name: content for name, content in record.artifacts.items() if there.get(name) != record.digests[name]}
        if changed:
            with scratch() as folder:
                for name, content in changed.items():
                    (folder / name).write_bytes(content)
                self._client.log_artifacts(run_id, str(folder))

    def _book(self, run_id: str, books: Mapping[str, str]) -> None:
        """Last of all, so that what was cut short is not taken for whole."""
        from mlflow.entities import RunTag

        if books:
            self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in books.items()])

    def _set_status(self, run: Run, status: str, end: int | None) -> None:
        if status not in ("RUNNING", "SCHEDULED"):
            self._client.set_terminated(run.info.run_id, status, end)
        elif run.info.status != status:
            self._client.update_run(run.info.run_id, status=status)


def digests(run: Run) -> dict[str, str]:
    """SHA-256 of a run's artifacts by name, as they were when they were uploaded."""
    try:
        found = json.loads(run.data.tags.get(ARTIFACTS, "{}"))
        return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
    except ValueError:
        return {}


def _now() -> int:
    return int(1000 * time.time())
