"""Where trials are computed. An engine takes trials that the run loop holds under their locks, and tells what becomes of each.

``Inline`` computes one at a time in this process; ``ablations.execution.ray_engine`` has the form that computes several at a time in
processes of their own, here or on a cluster. Nothing else differs: the run loop alone publishes results, writes logs and tells MLflow.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ablations.execution import attempts
from ablations.execution.trial import Trial, compute
from ablations.own_loop import Stopped
from ablations.planning import DataSource
from ablations.result import Epoch, Line, Result
from ablations.store import Store

if TYPE_CHECKING:
    from senet_core.training.execution import Machine


@dataclass(frozen=True)
class Advanced:
    """An epoch of a trial is over, after so many seconds."""

    key: str
    epoch: Epoch | Line
    seconds: float


@dataclass(frozen=True)
class Warned:
    """Something that the user is to be told."""

    key: str
    sentence: str


@dataclass(frozen=True)
class Computed:
    """A trial is over; its files lie in ``folder`` and are to be published together with the result."""

    key: str
    folder: Path
    result: Result


@dataclass(frozen=True)
class Raised:
    """A trial ended in an exception. ``halts``: the workspace itself cannot be written, so that no other trial would end better."""

    key: str
    reason: str
    trace: str
    halts: bool = False


@dataclass(frozen=True)
class Broken:
    """A trial was broken off because the run was asked to stop; its last epoch's checkpoint is kept."""

    key: str


@dataclass(frozen=True)
class Lost:
    """The process or the machine that computed a trial is gone; another can go on from its last checkpoint."""

    key: str
    reason: str


Event: TypeAlias = Advanced | Warned | Computed | Raised | Broken | Lost
Tell: TypeAlias = Callable[[Event], None]


class Engine(Protocol):
    """Where trials are computed."""

    def free(self) -> bool:
        """Whether another trial can be begun now."""

    def begin(self, trial: Trial) -> None:
        """Take on a trial whose lock is held by the caller until one of ``Computed``, ``Raised``, ``Broken`` or ``Lost`` is told of it."""

    def advance(self, tell: Tell, should_stop: Callable[[], bool]) -> None:
        """Let the trials that were begun go on for a while, telling what happens; once ``should_stop`` says so, until all are over."""

    def slots(self) -> int:
        """How many trials are computed at a time."""

    def close(self) -> None:
        """Give back all processes."""


class Inline:
    """One trial at a time in this process, in the trial's own folder."""

    def __init__(self, store: Store, source: DataSource, machine: Machine) -> None:
        self._store, self._source, self._machine = store, source, machine
        self._trial: Trial | None = None

    def free(self) -> bool:
        """Between two trials."""
        return self._trial is None

    def begin(self, trial: Trial) -> None:
        """Keep the trial for ``advance``."""
        self._trial = trial

    def advance(self, tell: Tell, should_stop: Callable[[], bool]) -> None:
        """Compute the trial to its end."""
        trial, self._trial = self._trial, None
        if trial is not None:
            folder = self._store.trial(trial.key)
            computed(trial, folder, attempts.folders(folder), self._source, self._machine, tell, should_stop, self._store.root)

    def slots(self) -> int:
        """One."""
        return 1

    def close(self) -> None:
        """There is nothing to give back."""


def computed(
    trial: Trial,
    folder: Path,
    earlier: list[Path],
    source: DataSource,
    machine: Machine,
    tell: Tell,
    should_stop: Callable[[], bool],
    workspace: Path | None,
) -> None:
    """Compute one trial and tell how it went; every exception becomes an event. ``workspace`` is None where the folder lies outside it."""
    from senet_core.training.loop import Interrupted

    try:
        result = compute(
            trial,
            folder,
            source,
            machine,
            earlier=earlier,
            on_epoch=lambda epoch, seconds: tell(Advanced(trial.key, epoch, seconds)),
            should_stop=should_stop,
            warn=lambda sentence: tell(Warned(trial.key, sentence)),
        )
        tell(Computed(trial.key, folder, result))
    except (Interrupted, Stopped):
        tell(Broken(trial.key))
    except Exception as error:
        halts = workspace is not None and refuses(error, workspace)
        reason = words(error) if halts else f"{type(error).__name__}: {error}".strip()
        tell(Raised(trial.key, reason, traceback.format_exc(), halts))


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def words(error: BaseException) -> str:
    """What the operating system says, and of which file."""
    told = getattr(error, "strerror", None) or str(error)
    file = getattr(error, "filename", None)
    return f"{told} ({file})" if file else told


def refuses(error: BaseException, workspace: Path) -> bool:
    """Whether the error is the workspace's file system: full, read-only, without permission, or gone."""
    if not isinstance(error, OSError):
        return False
    return error.errno in _FULL or (error.filename is not None and Path(error.filename).is_relative_to(workspace))
