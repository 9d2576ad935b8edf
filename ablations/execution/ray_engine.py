"""Trials on Ray: several at a time, each in a process of its own with its cores or its share of a GPU, here or on a cluster.

The driver's side; ``ablations.execution.ray_worker`` is the other. A worker streams what happens back to the driver, and writes into its
own attempt (``ablations.execution.attempts``), or into a folder of its machine where it does not see the workspace. Ray itself retries
nothing.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.execution import attempts
from ablations.execution.engines import Broken, Computed, Event, Lost, Raised, Tell
from ablations.execution.provenance import commit
from ablations.execution.ray_worker import Files, Job, work
from ablations.execution.trial import Trial
from ablations.planning import DataSource
from ablations.result import Result
from ablations.store import Store
from senet_core.errors import InputError
from senet_core.files import publish

if TYPE_CHECKING:
    from senet_core.training.execution import MemoryFormat

POLL_SECONDS = 0.5
STOP_SECONDS = 60.0
"""How long workers may take to come to their next step when the run is to stop; then they are killed, which loses nothing either."""
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_OBJECTS = 100_000_000  # bytes of shared memory: what workers send are short messages


@dataclass(frozen=True)
class Workers:
    """What was asked for: how many trials at a time at the most (None: as many as fit), the cluster's address (None: this machine), the
    threads of a trial, its device ("auto", "cpu", "cuda"), its share of a GPU (None: a whole one, or what ``number`` leaves it), the
    user's own file that the workers are to load, and the memory format of a trial's tensors."""

    number: int | None
    address: str | None
    threads: int
    device: str
    gpu_share: float | None = None
    load: Path | None = None
    memory_format: MemoryFormat = "channels_last"


@dataclass
class _Running:
    trial: Trial
    folder: Path


class RayEngine:
    """Trials as Ray tasks.

    :raises InputError: where Ray is not installed, the cluster does not answer, or none of its machines has room for a trial.
    """

    def __init__(self, store: Store, source: DataSource, asked: Workers) -> None:
        need_ray()
        self._store, self._source, self._asked = store, source, asked
        self._running: dict[Any, _Running] = {}
        self._scratch = tempfile.mkdtemp(prefix="ablate-ray-") if asked.address is None else None
        with _signals_kept():
            self._ray = _connected(asked, self._scratch)
        try:
            self._needs = self._resources()
            if not self.slots():
                raise InputError(
                    f"No machine of the cluster has {_words(self._needs)} for a trial; ask for fewer --threads, or other machines."
                )
        except BaseException:
            self.close()
            raise
        self._loaded = None if asked.load is None else (str(asked.load.resolve()), asked.load.read_bytes())
        self._work = self._ray.remote(max_retries=0, num_returns="streaming", **self._needs)(work)

    def _resources(self) -> dict[str, float]:
        """What Ray sets aside for one trial."""
        gpus = self._ray.cluster_resources().get("GPU", 0.0)
        if self._asked.device == "cpu" or (self._asked.device == "auto" and not gpus):
            return {"num_cpus": self._asked.threads}
        number = self._asked.number or 0
        share = self._asked.gpu_share or (1.0 if number <= gpus else gpus / number)
        return {"num_cpus": self._asked.threads, "num_gpus": share}

    def slots(self) -> int:
        """How many trials fit on the machines that are there now, and no more than were asked for."""
        cpus, gpus = self._needs["num_cpus"], self._needs.get("num_gpus")
        fit = 0
        for node in self._ray.nodes():
            if node["Alive"]:
                room = int(node["Resources"].get("CPU", 0) / cpus)
                fit += room if gpus is None else min(room, int(node["Resources"].get("GPU", 0) / gpus + 1e-6))
        return fit if self._asked.number is None else min(fit, self._asked.number)

    def free(self) -> bool:
        """Whether a trial would find room."""
        return len(self._running) < self.slots()

    def begin(self, trial: Trial) -> None:
        """Give the trial a new attempt and Ray the task."""
        own = self._store.trial(trial.key).resolve()
        earlier = [own, *attempts.folders(own)]
        folder = attempts.new(own)
        job = Job(
            trial=trial,
            folder=folder,
            token=(folder / attempts.TOKEN).read_text(encoding="utf-8"),
            earlier=tuple(earlier),
            root=None if self._source.root is None else self._source.root.resolve(),
            cache=None if self._source.cache is None else self._source.cache.resolve(),
            threads=self._asked.threads,
            memory_format=self._asked.memory_format,
            device="cuda" if "num_gpus" in self._needs else "cpu",
            load=self._loaded,
        )
        self._running[self._work.remote(job)] = _Running(trial, folder)

    def advance(self, tell: Tell, should_stop: Callable[[], bool]) -> None:
        """Hear what the workers have to tell within half a second; when asked to stop, have them stop and hear them all out."""
        stopping = should_stop()
        if stopping:
            for task in self._running:
                self._ray.cancel(task)
        until = time.monotonic() + STOP_SECONDS
        while self._running:
            ready, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
            if not ready:
                ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=POLL_SECONDS)
            for task in ready:
                self._hear(task, tell)
            if not stopping or time.monotonic() > until:
                break
        if stopping:
            for task in list(self._running):
                tell(Broken(self._running.pop(task).trial.key))

    def _hear(self, task: Any, tell: Tell) -> None:
        """The next message of one task; its last one ends it."""
        running = self._running[task]
        event = self._message(task, running)
        if isinstance(event, Files):
            event = self._fetched(event, running)
        if isinstance(event, Computed | Raised | Broken | Lost):
            del self._running[task]
        tell(event)

    def _message(self, task: Any, running: _Running) -> Event | Files:
        key, errors = running.trial.key, self._ray.exceptions
        try:
            message: Event | Files = self._ray.get(next(task))
            return message
        except StopIteration:
            return Lost(key, "the worker ended without a word")
        except errors.TaskCancelledError:
            return Broken(key)
        except errors.OutOfMemoryError:
            return Raised(key, "OutOfMemoryError: its machine ran out of memory, and Ray ended it", "")
        except (errors.RayTaskError, errors.RuntimeEnvSetupError) as error:
            return Raised(key, f"the worker failed: {str(error).strip().splitlines()[-1]}", str(error))
        except errors.RayError as error:
            return Lost(key, _lost(error))

    def _fetched(self, files: Files, running: _Running) -> Computed:
        """The files of a machine that does not see the workspace, written into the attempt; the code is this driver's in any case."""
        for name, content in files.contents.items():
            publish(running.folder / name, lambda temporary, content=content: temporary.write_bytes(content))  # type: ignore[misc]
        return Computed(files.key, running.folder, _with_commit(files.result))

    def close(self) -> None:
        """Leave the cluster, which ends this run's workers; one that was started here goes altogether."""
        self._ray.shutdown()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


def need_ray() -> None:
    """:raises InputError: where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise InputError("--workers and --address need Ray, which is not installed; install it with: pip install 'senet-ablations[ray]'")


def _with_commit(result: Result) -> Result:
    revision, dirty = commit()
    return result.model_copy(update={"provenance": result.provenance.model_copy(update={"commit": revision, "dirty": dirty})})


def _connected(asked: Workers, scratch: str | None) -> Any:
    """Ray, started here or joined. A cluster gets this very code; its machines need the same Python and libraries.

    :raises InputError: where the cluster does not answer.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray  # late: some 2 s, and an extra that most do not need
    import ray.exceptions

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    common: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if asked.address is not None:
        _reachable(asked.address)
    if asked.address is None:
        cores = (asked.number or 1) * asked.threads
        common |= {"num_cpus": cores, "include_dashboard": False, "object_store_memory": _OBJECTS, "_temp_dir": scratch}
        ray.init(address="local", **common)
        return ray
    home = Path(__file__).resolve().parents[2]
    code = {"py_modules": [str(home / floor) for floor in ("senet_core", "ablations")], "excludes": ["__pycache__"]}
    try:
        ray.init(address=asked.address, runtime_env=code, **common)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        told = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"The Ray cluster at '{asked.address}' does not answer: {told[0][:200]}") from None
    return ray


def _reachable(address: str) -> None:
    """Ray itself would try for minutes.

    :raises InputError: unless there is somebody at ``HOST:PORT``; "auto" is Ray's own word for the cluster that this machine is in.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise InputError(f"--address cannot be '{address}'; it is the HOST:PORT that `ray start --head` tells, or auto.")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"The Ray cluster at '{address}' does not answer: {error}.") from None


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself; the run loop is to hear it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _lost(error: Exception) -> str:
    name = type(error).__name__
    known = {"WorkerCrashedError": "the process that trained it was killed", "NodeDiedError": "the machine that trained it is gone"}
    return known.get(name, f"the process or machine that trained it is gone ({name})")


def _words(needs: dict[str, float]) -> str:
    cores = f"{needs['num_cpus']:g} core{'s' if needs['num_cpus'] != 1 else ''}"
    return cores + (f" and {needs['num_gpus']:g} of a GPU" if "num_gpus" in needs else "")
