"""One trial of a user's own training loop: call it, keep what it reports, and make a result of what it returns.

The loop writes into ``own/out`` of the trial's folder. What it reported lies beside it, a line each, so that the history of a trial that
was interrupted is whole in the end.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ablations.execution.attempts import LINES, OWN
from ablations.execution.provenance import commit, packages_of, versions
from ablations.own_loop import LOOPS, called
from ablations.result import Line, Measured, Provenance, Result, Timing
from ablations.study import Settings

if TYPE_CHECKING:
    from ablations.execution.trial import Trial
    from senet_core.training.execution import Machine


def compute(
    trial: Trial,
    settings: Settings,
    folder: Path,
    machine: Machine,
    *,
    earlier: Sequence[Path],
    on_line: Callable[[Line, float], None],
    should_stop: Callable[[], bool],
) -> Result:
    """Call the loop, with what an interrupted call left in its folder or else in one of the folders ``earlier``.

    :raises InputError: where what it returns is no result.
    :raises Stopped: (of ``ablations.own_loop``) where ``should_stop`` said so.
    """
    import torch

    if torch.get_num_threads() != machine.execution.threads:
        torch.set_num_threads(machine.execution.threads)
    metric = LOOPS[settings.loop].value.metric.name
    out = _out(folder, earlier)
    told = _Told.begun(out.parent / LINES)

    def tell(line: Line) -> None:
        on_line(line, told.add(line))

    assert isinstance(trial.seed, int), "a loop of a user's own has one random stream"
    values = called(settings, trial.seed, out, tell, should_stop)
    ending = told.lap()
    return Result(
        key=trial.key,
        config=settings,
        seed=trial.seed,
        status="done" if math.isfinite(values[metric]) else "diverged",
        errors=None,
        cost=None,
        evaluated_on=None,
        data_label=None,
        history=(),
        timing=Timing(
            epochs=tuple(told.seconds[epoch] for epoch in sorted(told.lines)),
            evaluation=ending,
            total=told.total + ending,
            images_per_second=0.0,
        ),
        provenance=_provenance(settings, machine, told.sittings),
        measured=Measured(metric=metric, values={name: value for name, value in values.items() if math.isfinite(value)}),
        lines=tuple(told.lines[epoch] for epoch in sorted(told.lines)),
    )


def _out(folder: Path, earlier: Sequence[Path]) -> Path:
    """The loop's folder; one that is new gets a copy of what the last try left, which may still be written to by a process thought lost."""
    own = (folder / OWN).absolute()  # a loop may go elsewhere
    if not own.exists():
        left = [path / OWN for path in earlier if (path / OWN / LINES).exists()]
        if left:
            shutil.copytree(max(left, key=lambda path: (path / LINES).stat().st_mtime), own)
    (own / "out").mkdir(parents=True, exist_ok=True)
    return own / "out"


@dataclass
class _Told:
    """What a loop reported, over all sittings: by epoch, for a loop that goes on from its checkpoint may report one again."""

    path: Path
    lines: dict[int, Line]
    seconds: dict[int, float]
    sittings: int
    total: float
    since: float
    fresh: bool = True

    @classmethod
    def begun(cls, path: Path) -> _Told:
        """Begin a sitting, with what the file holds of former ones; a line that was cut short by a crash is left out."""
        told = cls(path, {}, {}, 1, 0.0, 0.0)
        for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                entry = json.loads(text)
            except ValueError:
                continue
            if "sitting" in entry:
                told.sittings, told.fresh = told.sittings + 1, True
            else:
                told._take(Line.model_validate(entry["line"]), entry["seconds"])
        told._write({"sitting": told.sittings}, before="" if _ends_a_line(path) else "\n")
        told.fresh = True
        told.since = time.monotonic()
        return told

    def add(self, line: Line) -> float:
        """Keep a line; returns the seconds since the one before it."""
        seconds = self.lap()
        self._write({"line": line.model_dump(mode="json"), "seconds": seconds})
        self._take(line, seconds)
        return seconds

    def lap(self) -> float:
        """The seconds since it was last asked."""
        now = time.monotonic()
        seconds, self.since = now - self.since, now
        return seconds

    def _take(self, line: Line, seconds: float) -> None:
        if self.fresh:  # the first of a sitting: it went on from a checkpoint, and what came after that comes again
            for later in [epoch for epoch in self.lines if epoch >= line.epoch]:
                del self.lines[later], self.seconds[later]
        self.fresh, before = False, self.lines.get(line.epoch)  # training and validation may report one epoch in turn
        self.lines[line.epoch] = line if before is None else Line(epoch=line.epoch, values={**before.values, **line.values})
        self.seconds[line.epoch] = self.seconds.get(line.epoch, 0.0) + seconds
        self.total += seconds

    def _write(self, entry: dict[str, object], before: str = "") -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{before}{json.dumps(entry)}\n")


def _ends_a_line(path: Path) -> bool:
    """Whether what comes next in a file stands on a line of its own."""
    return not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")


def _provenance(settings: Settings, machine: Machine, sittings: int) -> Provenance:
    from senet_core.training.execution import device_name

    module = sys.modules.get(getattr(LOOPS[settings.loop].value.train, "__module__", ""))
    revision, dirty = commit()
    return Provenance(
        created=datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        commit=revision,
        dirty=dirty,
        versions=versions(*(packages_of(module) if module else ())),
        device=device_name(machine.device),
        execution={"threads": machine.execution.threads},
        sittings=sittings,
        digests={},
    )
