"""MLflow's own web page on this machine, started and stopped with all its processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from ablations.tracking.client import QUIET, is_server
from ablations.tracking.place import need_mlflow, public_uri, reason
from ablations.tracking.runs import Runs
from senet_core.errors import InputError

HOST = "127.0.0.1"
START_SECONDS = 120.0
STOP_SECONDS = 5.0


def ui(uri: str, workspace: Path, port: int | None, say: Callable[[str], None]) -> None:
    """Serve the tracking data at ``uri`` on this machine only, until Ctrl-C; of a remote server just say the addresses.

    :raises InputError: where MLflow is not installed, the port is taken, or the page does not come up.
    """
    if is_server(uri):
        say(f"MLflow's page is at {public_uri(uri)}")
        with suppress(Exception):  # whoever only wants the address needs no answer from there
            _say_links(public_uri(uri), Runs(uri, workspace), say)
        return
    need_mlflow()
    port = _free_port(port)
    try:
        runs = Runs(uri, workspace)  # creates the tables under the workspace's lock, so that no driver does so at the same time
    except Exception as error:  # databases and their drivers have no common one
        raise InputError(f"MLflow at {public_uri(uri)} cannot be opened ({reason(error, uri)}).") from None
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a request to end stops the page as Ctrl-C does
    with tempfile.TemporaryFile("w+") as log:
        process = _start(uri, workspace, port, log)
        try:
            _wait(process, port, log)
            say(f"MLflow's page is at http://{HOST}:{port} (Ctrl-C stops it)")
            _say_links(f"http://{HOST}:{port}", runs, say)
            process.wait()
        except KeyboardInterrupt:
            pass
        finally:
            _stop(process)


def _say_links(page: str, runs: Runs, say: Callable[[str], None]) -> None:
    """The way to the answers: MLflow's page itself opens on something else."""
    links = runs.suites.links()
    if links:
        say("Variants sorted by error, with intervals and verdicts:")
    for study, address in links.items():
        say(f"  {study}: {page.rstrip('/')}/{address}")


def _free_port(port: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port or 0))
        except (OSError, OverflowError):
            raise InputError(f"The port {port} cannot be used on this machine; choose another --port, or none for a free one.") from None
        return int(probe.getsockname()[1])


def _start(uri: str, workspace: Path, port: int, log: IO[str]) -> subprocess.Popen[bytes]:
    """A group of its own, to be stopped as a whole. The URI goes by the environment: a command line is there for all to read."""
    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port), "--workers", "1"]
    settings = {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    settings["MLFLOW_ARTIFACTS_DESTINATION"] = str(workspace.absolute() / "mlartifacts")
    return subprocess.Popen(
        command, env=QUIET | dict(os.environ) | settings, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


def _wait(process: subprocess.Popen[bytes], port: int, log: IO[str]) -> None:
    """Until the page answers."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    log.seek(0)
    lines = log.read().strip().splitlines() or ["it said nothing"]
    raise InputError(f"MLflow's page did not come up: {lines[-1].strip()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to end, then end it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(STOP_SECONDS)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
