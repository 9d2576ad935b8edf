"""What a Ray worker does with a trial: compute it, and stream to the driver what happens.

The training has a thread of its own, because the task itself must be there to yield. Ray's cancelling reaches the main thread as SIGINT;
here it only asks the training to stop at its next step.
"""

from __future__ import annotations

import queue
import signal
import tempfile
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ablations.execution import attempts
from ablations.execution.engines import Broken, Computed, Event, Raised, computed
from ablations.execution.trial import Trial
from ablations.planning import DataSource
from ablations.result import Result

if TYPE_CHECKING:
    from senet_core.training.execution import MemoryFormat

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Job:
    """A trial and all that a worker needs for it. ``token`` tells whether it sees the attempt's ``folder``; ``load`` is the user's own
    file, by path and content."""

    trial: Trial
    folder: Path
    token: str
    earlier: tuple[Path, ...]
    root: Path | None
    cache: Path | None
    threads: int
    memory_format: MemoryFormat
    device: str
    load: tuple[str, bytes] | None


@dataclass(frozen=True)
class Files:
    """A trial is over; the content of its files by name, empty where they lie in the attempt's folder already."""

    key: str
    result: Result
    contents: dict[str, bytes]


def work(job: Job) -> Iterator[Event | Files]:
    """Compute the job's trial; the last thing that is yielded says how it ended."""
    asked_to_stop = threading.Event()
    heard: queue.Queue[Event] = queue.Queue()

    def stop(number: int, frame: FrameType | None) -> None:
        asked_to_stop.set()

    before = signal.signal(signal.SIGINT, stop)
    shared = attempts.sees(job.folder, job.token)
    with tempfile.TemporaryDirectory(prefix="ablate-trial-") as scratch:
        folder = job.folder if shared else Path(scratch)
        thread = threading.Thread(target=_train, args=(job, folder, shared, heard, asked_to_stop), daemon=True)
        thread.start()
        try:
            yield from _told(heard, thread, folder, shared)
        finally:
            asked_to_stop.set()
            thread.join()
            signal.signal(signal.SIGINT, before)


def _told(heard: queue.Queue[Event], thread: threading.Thread, folder: Path, shared: bool) -> Iterator[Event | Files]:
    while True:
        try:
            event = heard.get(timeout=POLL_SECONDS)  # no longer: a cancelling does not wake a lock
        except queue.Empty:
            if thread.is_alive():
                continue
            return
        if isinstance(event, Computed):
            names = () if shared else event.result.provenance.digests
            yield Files(event.key, event.result, {name: (folder / name).read_bytes() for name in names})
        else:
            yield event
        if isinstance(event, Computed | Raised | Broken):
            return


def _train(job: Job, folder: Path, shared: bool, heard: queue.Queue[Event], asked_to_stop: threading.Event) -> None:
    try:
        _load(job.load)
        from senet_core.training.execution import Machine, choose, pick_device

        device = pick_device(job.device)
        machine = Machine(device, choose(job.threads, job.memory_format, device))
        source, earlier = _source(job.root, job.cache if shared else None), list(job.earlier) if shared else []
        workspace = job.folder.parents[3] if shared else None
        computed(job.trial, folder, earlier, source, machine, heard.put, asked_to_stop.is_set, workspace)
    except Exception as error:
        heard.put(Raised(job.trial.key, f"{type(error).__name__}: {error}", traceback.format_exc()))


@cache
def _source(root: Path | None, kept: Path | None) -> DataSource:
    """The data that this process has opened; a worker process computes one trial after another."""
    return DataSource(root, kept)


def _load(given: tuple[str, bytes] | None) -> None:
    """Import the user's own file: where it is the same here, else from its content."""
    if given is None:
        return
    from senet_core.registry import load_file

    path, content = Path(given[0]), given[1]
    try:
        same = path.read_bytes() == content
    except OSError:
        same = False
    if same:
        load_file(path)
        return
    with tempfile.TemporaryDirectory(prefix="ablate-load-") as scratch:
        copy = Path(scratch) / path.name
        copy.write_bytes(content)
        load_file(copy)
