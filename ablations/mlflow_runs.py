"""MLflow runs, found by their tags and brought in line with a record; every call may raise what the server or the database raises.

``MlflowClient`` with explicit run ids throughout: the fluent functions keep global state. Parameters and metric points cannot be
rewritten in MLflow, so a run that contradicts its record is deleted (MLflow keeps it in its bin) and written anew.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablations.mirror import NOTE, RunRecord
from ablations.study import Study

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

Identity = tuple[str, str | None]
"""(variant, key) within one study; the key of a parent is None."""

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""Environment for MLflow, unless the user says otherwise: nothing is sent home or printed, and a dead server is given up soon."""

POINTS_A_BATCH = 1000  # the most metrics that a server takes in one request
DIGEST = "ablate.digest"
PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class Known:
    """A run that MLflow has: ``digest`` is that of the record it was last brought in line with, None while it is being written."""

    run_id: str
    status: str
    digest: str | None
    new: bool = False


@contextmanager
def alone(workspace: Path) -> Iterator[None]:
    """Hold the workspace's MLflow lock: processes that create one database or write one run at the same time would clash or double it."""
    workspace.mkdir(parents=True, exist_ok=True)
    with (workspace / "mlflow.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Runs:
    """The runs of one tracking server or database; opening a new database creates its tables."""

    def __init__(self, uri: str, workspace: Path) -> None:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient  # late: 1.5 s

        self._artifacts = (workspace.absolute() / "mlartifacts").as_uri() if uri.startswith("sqlite:") else None
        with alone(workspace):
            self._client = MlflowClient(tracking_uri=uri)
        self._experiments: dict[str, str] = {}

    def claim(self, study: Study, records: Iterable[RunRecord]) -> dict[Identity, Known]:
        """The runs of a study by identity; those of ``records`` that are not there yet are created, as RUNNING and empty."""
        known = self._known(study)
        for record in records:
            if (record.variant, record.key) not in known:
                run = self._create(study, record)
                known[record.variant, record.key] = Known(run.info.run_id, run.info.status, None, new=True)
        return known

    def fill(self, study: Study, run_id: str, record: RunRecord, parent: str | None) -> str:
        """Bring a run in line with its record; returns the id of the run, another one where it had to be written anew."""
        run = self._client.get_run(run_id)
        metrics = self._missing(run, record)
        if metrics is None:
            self._client.delete_run(run_id)
            run = self._create(study, record)
            metrics = self._missing(run, record) or []
        self._tidy(run, record)
        self._log(run, record, record.tags | ({PARENT: parent} if parent else {}), metrics)
        self._attach(run.info.run_id, record)
        self._set_status(run.info.run_id, record.status, record.end)
        if record.status != "RUNNING":
            self._client.set_tag(run.info.run_id, DIGEST, record.digest(parent))
        return str(run.info.run_id)

    def log_epoch(self, run_id: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Add one line of history, now."""
        from mlflow.entities import Metric

        self._client.log_batch(run_id, metrics=[Metric(name, value, _now(), epoch) for name, value in metrics.items()])

    def epochs(self, run_id: str) -> set[int]:
        """The epochs whose history a run has already."""
        return {point.step for point in self._client.get_metric_history(run_id, "train_loss")}

    def kill(self, run_id: str) -> None:
        """Say that a run was interrupted."""
        self._client.set_tag(run_id, "ablate.status", "interrupted")
        self._set_status(run_id, "KILLED", None)

    # -- the parts

    def _experiment(self, study: Study) -> str:
        """The id of the suite's experiment; a deleted one is restored with its runs, for its name stays taken."""
        if study.suite not in self._experiments:
            note = f"{study.question}\n\n{study.source}"
            found = self._client.get_experiment_by_name(study.suite)
            if found is None:
                identity = self._client.create_experiment(study.suite, artifact_location=self._artifacts, tags={NOTE: note})
            else:
                identity = found.experiment_id
                if found.lifecycle_stage == "deleted":
                    self._client.restore_experiment(identity)
                if found.tags.get(NOTE) != note:
                    self._client.set_experiment_tag(identity, NOTE, note)
            self._experiments[study.suite] = str(identity)
        return self._experiments[study.suite]

    def _known(self, study: Study) -> dict[Identity, Known]:
        known: dict[Identity, Known] = {}
        token: str | None = None
        while token != "":
            page = self._client.search_runs(
                [self._experiment(study)], f"tags.`ablate.study` = '{study.name}'", max_results=1000, page_token=token
            )
            for run in page:
                tags = run.data.tags
                identity = (tags.get("ablate.variant", ""), tags.get("ablate.key"))
                known[identity] = Known(run.info.run_id, run.info.status, tags.get(DIGEST))
            token = page.token or ""
        return known

    def _create(self, study: Study, record: RunRecord) -> Run:
        return self._client.create_run(self._experiment(study), record.start or _now(), record.tags, record.name)

    def _missing(self, run: Run, record: RunRecord) -> list[Metric] | None:
        """The metric points that the run lacks; None where it has a parameter or a point that the record contradicts."""
        from mlflow.entities import Metric

        if any(record.params.get(name) != value for name, value in run.data.params.items()):
            return None
        if not record.final:
            return []
        if run.data.metrics.keys() - record.metrics.keys() - record.history.keys():
            return None
        missing = [Metric(name, value, _now(), 0) for name, value in record.metrics.items() if run.data.metrics.get(name) != value]
        for name, points in record.history.items():
            stored = self._client.get_metric_history(run.info.run_id, name) if name in run.data.metrics else []
            there = {point.step: point.value for point in stored}
            if len(there) < len(stored) or any(points.get(step) != value for step, value in there.items()):
                return None
            missing += [Metric(name, value, record.times.get(step, _now()), step) for step, value in points.items() if step not in there]
        return missing

    def _tidy(self, run: Run, record: RunRecord) -> None:
        """Take away what a former state left: its tags, its digest first of all, and its name."""
        for name in sorted(run.data.tags, key=lambda name: name != DIGEST):
            if name.startswith("ablate.") and name not in record.tags:
                self._client.delete_tag(run.info.run_id, name)
        if run.info.run_name != record.name:
            self._client.update_run(run.info.run_id, name=record.name)

    def _log(self, run: Run, record: RunRecord, tags: Mapping[str, str], metrics: list[Metric]) -> None:
        from mlflow.entities import Param, RunTag

        params = [Param(name, value) for name, value in record.params.items() if name not in run.data.params]
        changed = [RunTag(name, value) for name, value in tags.items() if run.data.tags.get(name) != value]
        room = POINTS_A_BATCH - len(params) - len(changed)
        self._client.log_batch(run.info.run_id, metrics[:room], params, changed)
        for start in range(room, len(metrics), POINTS_A_BATCH):
            self._client.log_batch(run.info.run_id, metrics[start : start + POINTS_A_BATCH])

    def _attach(self, run_id: str, record: RunRecord) -> None:
        """The data set, for MLflow's own column, and the artifacts."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        if record.dataset is not None:
            label, digest = record.dataset
            dataset = Dataset(name=label, digest=digest, source_type="code", source=label)
            self._client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "evaluated")])])
        for name, text in record.artifacts.items():
            self._client.log_text(run_id, text, name)

    def _set_status(self, run_id: str, status: str, end: int | None) -> None:
        if status in ("RUNNING", "SCHEDULED"):
            self._client.update_run(run_id, status=status)
        else:
            self._client.set_terminated(run_id, status, end)


def _now() -> int:
    return int(1000 * time.time())
