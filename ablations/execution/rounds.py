"""A run in one round or two: where a precision decides on the number of seeds, the second round follows from the results of the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ablations.execution.engines import Engine
from ablations.execution.loop import trials
from ablations.execution.pricing import is_left
from ablations.execution.trial import Trial
from ablations.planning import DataSource
from ablations.seed_rules import Share
from ablations.store import Store
from ablations.study import Study
from senet_core.config import Config


@dataclass(frozen=True)
class Round:
    """What is trained in one go.

    All studies of the run, as they were saved; the trials of this round, and which of those are ``left`` to train; by which engine (None
    where none is left); and what there is to be told before.
    """

    studies: list[Study]
    queue: list[Trial]
    left: list[Trial]
    engine: Engine | None
    said: tuple[str, ...]


@dataclass(frozen=True)
class Rounds:
    """The rounds of a run, made ready one after the other: a second one is looked for when the first has been trained.

    ``ask`` says what the run is about as the store then is; ``engine`` makes ready what trains. What is wrong with either, or with the
    data, shows before a study is saved.
    """

    ask: Callable[[], list[Share]]
    engine: Callable[[], Engine]
    store: Store
    source: DataSource
    retry_failed: bool

    def __iter__(self) -> Iterator[Round]:
        with self.store.exclusively():
            first = self.ask()
            begun = self._ready(first, first)
        yield begun
        if any(one.first_stage for one in first):
            with self.store.exclusively():
                second = self.ask()
                grown = [now for before, now in zip(first, second, strict=True) if before.first_stage and not now.first_stage]
                following = self._ready(second, grown)
            yield following

    def _ready(self, shares: Sequence[Share], new: Sequence[Share]) -> Round:
        said = [sentence for share in new for sentence in share.said]
        said += [
            f"{one.study.name}: no second stage while trials of the first have no result."
            for one in shares
            if one.first_stage and one not in new
        ]
        studies, saved = [share.study for share in shares], [share.study for share in new]
        return ready(studies, saved, trials(new), self.engine, self.store, self.source, self.retry_failed, said)


def ready(
    studies: list[Study],
    new: Sequence[Study],
    queue: list[Trial],
    engine: Callable[[], Engine],
    store: Store,
    source: DataSource,
    retry_failed: bool,
    said: Sequence[str] = (),
) -> Round:
    """A round of these trials, its data looked at and its engine made ready before the ``new`` studies are saved.

    :raises InputError: for what is wrong with the data or the device.
    """
    left = [trial for trial in queue if is_left(store.state(trial.key), retry_failed)]
    trained_here = [trial.config for trial in left if isinstance(trial.config, Config)]
    for config in {config.data.model_dump_json(): config for config in trained_here}.values():
        source.prepare(config)
    chosen = engine() if left else None
    for study in new:
        store.save_study(study)
    return Round(studies, queue, left, chosen, tuple(said))
