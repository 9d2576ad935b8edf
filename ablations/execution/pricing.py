"""What is left to train, and the seconds that it would take here: by what stored trials of the same recipe took, else by a short probe."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from ablations.execution.trial import Trial
from ablations.planning import DataSource
from ablations.store import DamagedStore, State, Store
from senet_core.config import Config, canonical

if TYPE_CHECKING:
    from senet_core.training.execution import Machine


def is_left(state: State, retry_failed: bool = False) -> bool:
    """Whether a run would train a trial in that state."""
    return state in ("missing", "resumable") or (retry_failed and state == "failed")


def prices(left: Iterable[Trial], queue: Iterable[Trial], store: Store, source: DataSource, machine: Machine) -> dict[str, float]:
    """Seconds of each trial that is ``left``, by its key; trials of one config share a price, whatever their rates.

    It is the median over the trials of the ``queue`` that were trained with the same config on such a machine, executed alike; where there
    is none, a probe of the network. A network that fails in the probe has no price; its training will say why. Nor has a loop of a user's
    own that has not been run yet.
    """
    known: dict[str, float | None] = {**_stored(queue, store, machine)}
    found: dict[str, float] = {}
    for trial in left:
        text = _recipe(trial)
        if text not in known:
            known[text] = _probed(trial.config, source, machine) if isinstance(trial.config, Config) else None
        price = known[text]
        if price is not None:
            found[trial.key] = price
    return found


def _probed(config: Config, source: DataSource, machine: Machine) -> float | None:
    from senet_core.training.probe import seconds_per_trial

    _, facts = source.opened(config)
    try:
        return seconds_per_trial(config, facts, machine.device, machine.execution)
    except Exception:  # of a user's block there can be any
        return None


def _stored(queue: Iterable[Trial], store: Store, machine: Machine) -> dict[str, float]:
    """The median seconds of the stored trials of each config that ran on this kind of machine in this way."""
    from senet_core.training.execution import device_name

    device, execution = device_name(machine.device), machine.execution.plain()
    alike = ((device, execution), (device, {"threads": execution["threads"]}))  # of a user's own loop no more is known
    seconds: dict[str, list[float]] = {}
    for trial in queue:
        try:
            result = store.result(trial.key)
        except DamagedStore:
            continue
        if result and result.status == "done" and (result.provenance.device, result.provenance.execution) in alike:
            seconds.setdefault(_recipe(trial), []).append(result.timing.total)
    return {text: median(times) for text, times in seconds.items()}


def _recipe(trial: Trial) -> str:
    """What the time of a trial depends on: of our own training all but the learning rate and the weight decay."""
    tree = trial.config.tree()
    if isinstance(trial.config, Config):
        tree["train"] = {name: value for name, value in tree["train"].items() if name not in ("lr", "weight_decay")}
    return canonical(tree)


def makespan(seconds: Iterable[float], slots: int) -> float:
    """How long so many trials at a time take together: each begins, in its turn, where one has ended."""
    busy = [0.0] * slots
    for one in seconds:
        heapq.heapreplace(busy, busy[0] + one)
    return max(busy)


def keys_in_order(queue: Sequence[Trial], seconds: Mapping[str, float]) -> list[float]:
    """The prices of the trials that have one, in the order in which they are begun."""
    return [seconds[trial.key] for trial in queue if trial.key in seconds]
