"""How long trials took, and where: times of different machines say nothing of what was trained on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from ablations.result import Result


@dataclass(frozen=True)
class TrainingTime:
    """What finished trials took: the median of their seconds over all sittings (None where there is none), and the devices that they ran
    on, each with its threads."""

    seconds: float | None
    devices: tuple[str, ...]

    @staticmethod
    def of(results: Iterable[Result]) -> TrainingTime:
        """Of these trials."""
        found = list(results)
        machines = {_machine(result) for result in found}
        return TrainingTime(median(result.timing.total for result in found) if found else None, tuple(sorted(machines)))


def _machine(result: Result) -> str:
    threads = result.provenance.execution.get("threads")
    return result.provenance.device + (f", {threads} thread{'' if threads == 1 else 's'}" if threads else "")
