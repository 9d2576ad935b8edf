"""What a tuning would train and how long that would take, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ablations.execution.loop import trials
from ablations.execution.pricing import is_left, keys_in_order, makespan, prices
from ablations.execution.trial import Trial
from ablations.planning import DataSource
from ablations.seed_rules import Share
from ablations.store import Store
from ablations.tuning.choice import NotChosen
from ablations.tuning.course import Tuning, finals, held_out

if TYPE_CHECKING:
    from senet_core.training.execution import Machine


def forecast(all_: Sequence[Tuning], store: Store, source: DataSource, machine: Callable[[], Machine], slots: int) -> list[str]:
    """Sentences on the trials of both parts and their minutes; ``machine`` is asked only where something is left, ``slots`` of them are
    trained at a time. What is tuned to is not known before the held-out part has ended: until then it is as much as the shared setting.
    """
    first = held_out(all_)
    held, shared, tuned = trials(first), trials([one.at_shared() for one in all_]), _tuned(all_)
    queues = {"on held-out images": held, "at the shared setting": shared, "at the tuned setting": shared if tuned is None else tuned}
    seen: set[str] = set()
    told, work = [share.said[0] for share in first], []
    for where, queue in queues.items():
        unknown = tuned is None and where == "at the tuned setting"
        left = [trial for trial in queue if unknown or (trial.key not in seen and is_left(store.state(trial.key)))]
        seen |= {trial.key for trial in left}
        work += left
        told.append(f"{len(queue)} trials {where}, {'at most ' if unknown else ''}{len(left)} left to train.")
    seconds = prices(work, [*held, *shared], store, source, machine()) if work else {}
    if len(seconds) == len({trial.key for trial in work}):
        told.append(f"Together about {makespan(keys_in_order(work, seconds), slots) / 60:.0f} minutes here.")
    return told


def _tuned(all_: Sequence[Tuning]) -> list[Trial] | None:
    """The trials at each variant's own best, None while that is not known."""
    try:
        found: list[Share] = finals(all_)
    except NotChosen:
        return None
    return trials([share for share in found if share.study.tuned is not None])
