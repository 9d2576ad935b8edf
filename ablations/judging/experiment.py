"""The runs of an existing MLflow experiment as a table. What is there is only read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.judging.table import Run, Table
from ablations.tracking.client import PARENT, opened
from ablations.tracking.place import need_mlflow, public_uri, reason, unchanged
from senet_core.errors import InputError, unknown

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

SCHEME = "mlflow:"
FOLDERS = "MLFLOW_ALLOW_FILE_STORE"
"""Without it MLflow refuses folders of runs, which it no longer writes."""


def read_experiment(origin: str, experiment: str | None) -> Table:
    """All runs of the experiment of that name, or of the only one that has runs; ``origin`` is "mlflow:URI".

    Columns are named as in MLflow's own tables: params.NAME, metrics.NAME (the last value), tags.NAME.

    :raises InputError: if there is no such place or experiment, if several could be meant, or if MLflow cannot read it.
    """
    uri = origin.removeprefix(SCHEME)
    if not origin.startswith(SCHEME) or not uri:
        raise InputError(f"'{public_uri(origin)}' is no place that is known here; it takes mlflow:URI, e.g. mlflow:sqlite:///mlflow.db.")
    need_mlflow()
    with _readable(uri) as place:
        try:
            return _table(place, uri, experiment)
        except InputError:
            raise
        except Exception as error:  # servers, databases and their drivers have no common one
            raise InputError(f"MLflow at {public_uri(uri)} cannot be read ({reason(error, uri)}).") from None


@contextmanager
def _readable(uri: str) -> Iterator[str]:
    """The URI of something that may be opened without a change to what is at ``uri``."""
    if uri.startswith(("http://", "https://", "sqlite:///")):
        with unchanged(uri) as place:
            yield place
    elif "://" not in uri or uri.startswith("file:"):
        folder = Path(uri.removeprefix("file://").removeprefix("file:"))
        if not any(folder.glob("*/meta.yaml")):
            raise InputError(f"'{public_uri(str(folder))}' is no folder of MLflow runs; for a database say mlflow:sqlite:///FILE.")
        yield folder.absolute().as_uri()
    else:
        raise InputError(
            "MLflow is read from a SQLite file (mlflow:sqlite:///FILE), a folder of runs (mlflow:FOLDER) or a server "
            f"(mlflow:http://HOST:PORT), not from {public_uri(uri)}."
        )


@contextmanager
def _client(place: str) -> Iterator[MlflowClient]:
    """A client; folders of runs are allowed while it is used."""
    before = os.environ.get(FOLDERS)
    os.environ[FOLDERS] = "true"
    try:
        yield opened(place)
    finally:
        if before is None:
            del os.environ[FOLDERS]
        else:
            os.environ[FOLDERS] = before


def _table(place: str, uri: str, name: str | None) -> Table:
    with _client(place) as client:
        known = {experiment.name: experiment.experiment_id for experiment in client.search_experiments()}
        if name is not None and name not in known:
            raise unknown("experiment", name, known)
        used = [one for one, identity in known.items() if name in (None, one) and client.search_runs([identity], max_results=1)]
        if not used:
            raise InputError(f"MLflow at {public_uri(uri)} has no runs{f' in {name}' if name else ''}.")
        if len(used) > 1:
            raise InputError(f"Say which experiment is meant by --experiment: {', '.join(sorted(used))}.")
        return _as_table(f"MLflow experiment {used[0]}", _runs(client, known[used[0]]))


def _runs(client: MlflowClient, experiment: str) -> list[MlflowRun]:
    """All runs that were not deleted, the first first."""
    runs: list[MlflowRun] = []
    token: str | None = None
    while token != "":
        page = client.search_runs([experiment], max_results=1000, order_by=["attributes.start_time ASC"], page_token=token)
        runs += page
        token = page.token or ""
    return runs


def _as_table(source: str, runs: Sequence[MlflowRun]) -> Table:
    records = [_record(run) for run in runs]
    names = tuple(dict.fromkeys(name for record in records for name in record))
    lines = tuple(Run(f"run {record['run_id'][:8]}", tuple(" ".join(record.get(name, "").split()) for name in names)) for record in records)
    return Table(source, names, lines)


def _record(run: MlflowRun) -> dict[str, str]:
    """A run as {column: text}; MLflow's own tags say nothing here but whose child it is."""
    data: Any = run.data
    tags = {name: value for name, value in data.tags.items() if not name.startswith("mlflow.") or name == PARENT}
    return {
        "run_id": run.info.run_id,
        "name": run.info.run_name or "",
        "status": run.info.status,
        **{f"params.{name}": value for name, value in data.params.items()},
        **{f"metrics.{name}": repr(value) for name, value in data.metrics.items()},
        **{f"tags.{name}": value for name, value in tags.items()},
    }
