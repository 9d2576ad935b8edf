"""A workspace, the drivers that work in it, the MLflow server that they write to, and what can strike them.

Drivers are forked from this process, which has imported what they need, so that they are at work in an instant; this process itself
trains nothing and opens no database.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import mlflow  # noqa: F401  # for the drivers
import torch  # noqa: F401

import runner
from ablations.tracking.client import opened

T = TypeVar("T")
KINDS = ("SIGKILL", "SIGTERM", "full disk", "server", "second driver")
SUITES = ("squeeze", "excitation")
TINY = ["--preset", "smoke", "--train.epochs", "3", "--data.train", "256", "--data.test", "100", "--threads", "1", "--seeds", "2"]
SHAPE = ["--net.units", "1,1", "--net.widths", "16,32", "--net.stem", "16"]
MEGABYTES = 64
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Disk:
    """A folder for workspaces; ``small`` if it is a file system of its own that can be filled."""

    folder: Path
    small: bool


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """A tmpfs of some megabytes where this process may mount one."""
    folder.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    mounted = subprocess.run(words, capture_output=True).returncode == 0
    try:
        yield Disk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=False)


def call(function: Callable[..., T], *arguments: Any) -> T:
    """What a function returns in a forked process."""
    here, there = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=lambda: there.send(function(*arguments)))
    process.start()
    there.close()
    try:
        value: T = here.recv()
    finally:
        process.join()
    return value


@dataclass(frozen=True)
class Told:
    """How a command ended and what it said."""

    code: int
    text: str


class Driver:
    """`ablate run` (or another command) in a process of its own."""

    def __init__(self, world: World, *words: str) -> None:
        self._log = world.log()
        command = [*words] if words else ["run", *SUITES, *TINY, *SHAPE]
        self._process = _FORK.Process(target=_main, args=([*command, *world.place], self._log))
        self._process.start()
        self.expected = {0}

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid or 0

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.is_alive()

    def wait(self, seconds: float = 600.0) -> Told:
        """Let it end."""
        self._process.join(seconds)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            self._process.join()
        return Told(-1 if code is None else code, self._log.read_text(errors="replace"))


def _main(words: list[str], log: Path) -> None:
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(out, stream)
    try:
        code = runner.main(words)
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _make(file: str) -> None:
    opened(f"sqlite:///{file}")


class Server:
    """`mlflow server` on this machine; it takes seconds to come up, and meanwhile the drivers find nobody."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._empty = folder / "empty.db"
        if not self._empty.exists():
            call(_make, str(self._empty))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._folder, self._process = folder, subprocess.Popen[bytes](["true"])

    def start(self, store: str) -> None:
        """Begin to come up on the database of that name; making its tables is MLflow's own and not what is tried here."""
        if not (self._folder / f"{store}.db").exists():
            shutil.copy(self._empty, self._folder / f"{store}.db")
        places = ["--backend-store-uri", f"sqlite:///{self._folder}/{store}.db", "--artifacts-destination", str(self._folder / store)]
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port), "--workers", "1", *places]
        with (self._folder / f"{store}.log").open("ab") as log:
            settings = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
            self._process = subprocess.Popen(command, env=settings, stdout=log, stderr=log, start_new_session=True)

    def kill(self) -> None:
        """End it with all its processes at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def answers(self, seconds: float = 300.0) -> bool:
        """Wait until it does."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                return True
            time.sleep(0.2)
        return False


class World:
    """One workspace and everything around it."""

    def __init__(self, logs: Path, disk: Path, rng: random.Random, server: Server | None) -> None:
        self.name, self.workspace, self.rng = logs.name, disk / logs.name, rng
        self._logs, self._server, self._disk = logs, server, disk
        self.complaints: list[str] = []
        self.drivers: list[Driver] = []
        self.done = False
        logs.mkdir()
        self.uri = server.uri if server else f"sqlite:///{self.workspace}/mlflow.db"
        self.place = ["--workspace", str(self.workspace), *(["--tracking-uri", server.uri] if server else [])]
        if server:
            server.start(self.name)

    def log(self) -> Path:
        """A new file for what a command says."""
        return self._logs / f"{len(list(self._logs.iterdir()))}.txt"

    def start(self) -> None:
        """One more driver."""
        self.drivers.append(Driver(self))

    def let_pass(self, seconds: float) -> None:
        """Wait, but no longer than drivers run; whoever has ended is judged."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(driver.alive() for driver in self.drivers):
            time.sleep(0.01)
        for driver in [one for one in self.drivers if not one.alive()]:
            self._reap(driver)

    def _reap(self, driver: Driver) -> None:
        told = driver.wait()
        self.drivers.remove(driver)
        self.done = told.code == 0
        if told.code not in driver.expected:
            self.complaints.append(f"a driver ended with {told.code} instead of one of {sorted(driver.expected)}: {told.text[-400:]}")
        if "Traceback" in told.text:
            self.complaints.append(f"a driver told a traceback: {told.text[-2000:]}")

    # -- faults

    def open_to(self, kind: str) -> bool:
        """Whether that can strike here and now."""
        return {"server": self._server is not None, "second driver": len(self.drivers) == 1}.get(kind, True)

    def strike(self, kind: str) -> bool:
        """Do it to a driver that runs; False where it was too late."""
        driver = self.rng.choice(self.drivers)
        if not driver.alive():
            return False
        if kind == "SIGKILL":
            driver.expected = {-signal.SIGKILL}
            os.kill(driver.pid, signal.SIGKILL)
        elif kind == "SIGTERM":
            driver.expected |= {128 + signal.SIGTERM, -signal.SIGTERM}  # the latter before it listens
            os.kill(driver.pid, signal.SIGTERM)
        elif kind == "full disk":
            self._fill()
        elif kind == "server":
            assert self._server is not None
            self._server.kill()
            self._server.start(self.name)
        else:
            self.start()
        return True

    def _fill(self) -> None:
        """Take all space for up to some seconds, then give it back."""
        for driver in self.drivers:
            driver.expected |= {1, 2}  # 2 where it found no room to begin
        filler = self._disk / "filler"
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(b"x" * size):
                        pass
        self.let_pass(self.rng.uniform(0.2, 4.0))
        filler.unlink()

    # -- the end of a round

    def finish(self) -> None:
        """Let all drivers end, run what is missing, and bring MLflow up to it."""
        while self.drivers:
            self.let_pass(600.0)
        for words in ([], ["sync"]):
            if self._server and words and not self._server.answers():
                self.complaints.append("the MLflow server did not come up again")
            told = Driver(self, *words).wait()
            if told.code != 0:
                self.complaints.append(f"{' '.join(words) or 'the last run'} ended with {told.code}: {told.text[-1500:]}")

    def close(self) -> None:
        """End the server."""
        if self._server:
            self._server.kill()
