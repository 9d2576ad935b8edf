"""One command's training: the engine, the live view and the mirror of its rounds, and when all of it is to stop."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from functools import cached_property
from pathlib import Path

from rich.console import Console

from ablations import asked
from ablations.execution.engines import Engine
from ablations.execution.loop import Observer, Summary, run
from ablations.execution.pricing import keys_in_order, makespan, prices
from ablations.execution.progress import Progress
from ablations.execution.rounds import Round
from ablations.execution.stopping import Patience, Stop
from ablations.execution.trial import Trial
from ablations.made import remember, remembered
from ablations.planning import DataSource
from ablations.selection import places
from ablations.store import Store
from ablations.study import Study
from ablations.tracking import tracker as tracking

Say = Callable[[str], None]


class Session:
    """Trains rounds of trials as a command line asks for it; one engine serves all of them, and is given back when the ``with`` is left."""

    def __init__(self, options: argparse.Namespace, store: Store, source: DataSource, console: Console, say: Say, warn: Say) -> None:
        self._options, self._store, self._source = options, store, source
        self._console, self._say, self._warn = console, say, warn
        self._engines = ExitStack()
        self.stop, self._patience = Stop(options.max_minutes), Patience(options.fail_fast, options.max_failures)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *details: object) -> None:
        self._engines.close()

    @cached_property
    def _engine(self) -> Engine:
        asked.arrange(self._options, self._source, self._say)
        return self._engines.enter_context(closing(asked.engine(self._options, self._store, self._source)))

    def engine(self) -> Engine:
        """Where the trials are computed; made at the first call."""
        return self._engine

    def train(self, turn: Round) -> Summary:
        """Train what is left of a round, with the live view and the mirror; afterwards hold its price against what it took."""
        options, store = self._options, self._store
        slots = turn.engine.slots() if turn.engine else 1
        priced = self._priced(turn, slots)
        tracker = self._tracker(turn.studies, turn.left)
        settled = len(turn.queue) - len(turn.left)
        with self.stop.listening(), Progress(self._console, places(turn.studies), turn.left, settled, slots) as progress:
            observers: list[Observer] = [progress, tracker]
            begun = time.monotonic()
            summary = run(
                turn.queue,
                store,
                turn.engine,
                observers,
                stop=self.stop,
                retry_failed=options.retry_failed,
                patience=self._patience,
                warn=self._warn,
            )
        worked = [priced[key] * share for key, share in summary.shares.items() if key in priced]
        if worked and len(worked) == len(summary.trained) and not summary.holes:
            self._say(f"It took {(time.monotonic() - begun) / 60:.1f} minutes, where {makespan(worked, slots) / 60:.1f} were predicted.")
        if summary.signal is None and not summary.refused:
            self._mirrored(tracker, turn.studies)
        return summary

    def train_all(self, turns: Iterable[Round]) -> tuple[Summary, dict[str, Study]]:
        """Train round after round, until there is none left or training is to stop; how that ended, and the studies by name as they were
        last."""
        summary, studies = Summary(), dict[str, Study]()
        for turn in turns:
            for sentence in turn.said:
                self._say(sentence)
            summary += self.train(turn)
            studies |= {study.name: study for study in turn.studies}
            if summary.signal is not None or summary.refused or summary.stopped is not None:
                break
        return summary, studies

    def mirror(self, study: Study) -> None:
        """Bring the mirror up to a study that has changed since it was trained."""
        self._mirrored(self._tracker([study], ()), [study])

    def _mirrored(self, tracker: tracking.Tracker, studies: Sequence[Study]) -> None:
        for study in studies:
            tracker.mirror(study)
        if not tracker.off:
            remember(self._store, asked.mirrored(self._options), studies)

    def _tracker(self, studies: Sequence[Study], left: Sequence[Trial]) -> tracking.Tracker:
        """No tracker where none is wanted, or where nothing will train and the mirror shows everything already."""
        options = self._options
        if options.no_mlflow:
            return tracking.Tracker()
        uri = asked.uri(options)
        gone = uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists()
        if not left and not gone and remembered(self._store, asked.mirrored(options), studies):
            return tracking.Tracker()
        extras = tracking.Extras(self._source if options.model else None, options.system_metrics)
        return tracking.open_tracker(uri, self._store, self._warn, studies, extras)

    def _priced(self, turn: Round, slots: int) -> dict[str, float]:
        """What each trial of a round is to take, told in one sentence; the machines of a cluster are not here to be probed."""
        if not turn.left or self._options.address is not None:
            return {}
        found = prices(turn.left, turn.queue, self._store, self._source, asked.machine(self._options))
        if len(found) == len(turn.left):
            minutes = makespan(keys_in_order(turn.left, found), slots) / 60
            count = f"{len(turn.left)} trial{'s' if len(turn.left) > 1 else ''}"
            self._say(f"{count} to train{f', {slots} at a time' if slots > 1 else ''}: about {minutes:.1f} minutes.")
        return found
