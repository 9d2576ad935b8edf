"""What is left to train, and the seconds it would take here, from a short probe of each network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ablations.planning import DataSource
from ablations.store import State
from ablations.trial import Trial
from senet_core.config import canonical

if TYPE_CHECKING:
    from senet_core.training.execution import Machine


def is_left(state: State, retry_failed: bool = False) -> bool:
    """Whether a run would train a trial in that state."""
    return state in ("missing", "resumable") or (retry_failed and state == "failed")


def prices(trials: Iterable[Trial], source: DataSource, machine: Machine) -> dict[str, float]:
    """Seconds of each trial by its key; trials of one config share a probe."""
    from senet_core.training.probe import seconds_per_trial

    by_config: dict[str, float] = {}
    found: dict[str, float] = {}
    for trial in trials:
        text = canonical(trial.config.tree())
        if text not in by_config:
            _, facts = source.opened(trial.config)
            by_config[text] = seconds_per_trial(trial.config, facts, machine.device, machine.execution)
        found[trial.key] = by_config[text]
    return found
