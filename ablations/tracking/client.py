"""How MLflow is opened here: in silence, one process at a time, and with a place for artifacts where a database is written directly."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from senet_core.files import publish_text

if TYPE_CHECKING:
    from mlflow import MlflowClient

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""Environment for MLflow, unless the user says otherwise: nothing is sent home or printed, and a dead server is given up soon."""
PARENT = "mlflow.parentRunId"
BOOK = "mlflow.ablate."
"""Begins the tags that are for the mirror alone: MLflow's page hides what begins with "mlflow."."""


@contextmanager
def alone(workspace: Path) -> Iterator[None]:
    """Hold the workspace's MLflow lock: processes that create one database or write one run at the same time would clash or double it."""
    workspace.mkdir(parents=True, exist_ok=True)
    with (workspace / "mlflow.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def workspace_id(workspace: Path) -> str:
    """The workspace's own name on servers that several workspaces write to: random, made once, and copied along with its files."""
    place = workspace / "mlflow.id"
    with alone(workspace):
        if not place.exists():
            publish_text(place, secrets.token_hex(6))
        return place.read_text(encoding="utf-8")


def opened(uri: str) -> MlflowClient:
    """MLflow's client; opening a new database creates its tables, so hold the lock of whoever else may open it."""
    loud = "MLFLOW_LOGGING_LEVEL" in os.environ and os.environ["MLFLOW_LOGGING_LEVEL"] != QUIET["MLFLOW_LOGGING_LEVEL"]
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient  # late: 1.5 s

    if not loud:
        logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # it logs what it raises, traceback and all; who catches that tells it

    file = Path(uri.removeprefix("sqlite:///").partition("?")[0])
    if uri.startswith("sqlite:///") and not file.exists():
        _create(file)
    return MlflowClient(tracking_uri=uri)


def _create(file: Path) -> None:
    """Make the tables in another file and rename it: MLflow cannot open a database again in whose making it was killed."""
    from mlflow import MlflowClient

    file.parent.mkdir(parents=True, exist_ok=True)
    for left in file.parent.glob(f".{file.name}.*"):
        left.unlink(missing_ok=True)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")  # never one that MLflow has open already
    MlflowClient(tracking_uri=f"sqlite:///{temporary}").search_experiments(max_results=1)
    os.replace(temporary, file)


def artifacts_of(uri: str, workspace: Path) -> str | None:
    """Where the artifacts of new experiments go: into the workspace, unless a server decides it.

    Left to itself MLflow puts those of a database into ``mlruns`` of whatever folder the command runs in.
    """
    return None if is_server(uri) else (workspace.absolute() / "mlartifacts").as_uri()


def is_server(uri: str) -> bool:
    """Whether there is a tracking server behind the URI, and not a database that is written directly."""
    return uri.startswith(("http:", "https:", "databricks", "uc:"))


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for files on their way to or from a server."""
    with tempfile.TemporaryDirectory(prefix="ablate-") as folder:
        yield Path(folder)
