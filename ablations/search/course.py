"""The course of a search, as a command line asks for it: its rounds, then the confirmation of the best designs on the test set."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ablations import asked
from ablations.execution.loop import Summary
from ablations.execution.rounds import Round, Rounds
from ablations.execution.session import Session
from ablations.planning import DataSource
from ablations.search.confirm import confirmation
from ablations.search.ledger import Trouble
from ablations.search.search import Holes, Searching, begun
from ablations.seed_rules import Share
from ablations.store import Store
from ablations.study import Study


def course(
    options: argparse.Namespace, store: Store, source: DataSource, session: Session, say: Callable[[str], None]
) -> tuple[Summary, list[Study]]:
    """Train a search as far as it goes, then what confirms it; how that ended, and the studies that there are of it.

    :raises InputError: for what is wrong with the command line, before anything is trained.
    """
    rules = asked.rules(options)
    asked.arrange(options, source, say)  # now, for a new search takes its batch from it
    workers = None if options.workers is None and options.address else options.workers or 1
    searching = begun(options.space, asked.order(options), rules, store, source, workers)
    going = _Course(searching, session, options.retry_failed, say)
    try:
        going.search()
        if rules.confirm and going.may_confirm():
            going.confirm(rules.seeds, rules.confirm)
    except Trouble as trouble:
        going.summary.refused, going.summary.stopped = True, f"{trouble} What was trained is stored."
    return going.summary, list(going.studies.values())


@dataclass
class _Course:
    """A search on its way: what became of its trials so far, and its studies by name."""

    searching: Searching
    session: Session
    retry_failed: bool
    say: Callable[[str], None]
    summary: Summary = field(default_factory=Summary)
    studies: dict[str, Study] = field(default_factory=dict)
    holes: Holes = field(default_factory=lambda: Holes({}, {}, 0))

    def search(self) -> None:
        """Train the designs. What the search lacks then, from this command or an earlier one, counts as this command's holes."""
        self._train(self.searching.rounds(self.session.engine, self.session.stop, self.retry_failed, self.say))
        self.holes = self.searching.holes()
        self._stored(None)
        summary, holes, stop = self.summary, self.holes, self.session.stop
        summary.failed = {**holes.failed, **summary.failed}
        summary.damaged = {**holes.damaged, **summary.damaged}
        summary.signal, summary.stopped = stop.signal, stop.reason  # it may have been while others were waited for
        summary.left = holes.left
        if holes.left:
            self.say(f"{holes.left} design{'s' if holes.left > 1 else ''} of the budget left to be looked at.")

    def may_confirm(self) -> bool:
        """Whether the search has come to its end: not while a design has no result that could have one."""
        if self._over():
            return False
        if self.holes.damaged:
            self.say("Nothing is confirmed while trials of the search are damaged.")
        elif self.holes.failed and not self.retry_failed:
            self.say(
                "Nothing is confirmed while designs have failed. Run the same command again with --retry-failed; what fails then too is "
                "left out."
            )
        return not self.holes.damaged and (not self.holes.failed or self.retry_failed)

    def confirm(self, numbers: Sequence[int], most: int) -> None:
        """Train the best designs anew, on all training images and at these seeds."""
        found = self.studies[self.searching.name]

        def share() -> list[Share]:
            one = confirmation(self.searching, found, numbers, most)
            return [] if one is None else [one]

        first = share()
        if not first:
            self.say("No design but the default lies on the front, so there is nothing to confirm.")
            return
        self._stored(first[0].study.name)
        self._train(Rounds(share, self.session.engine, self.searching.store, self.searching.source, self.retry_failed))

    def _train(self, turns: Iterable[Round]) -> None:
        found, studies = self.session.train_all(turns)
        self.summary, self.studies = self.summary + found, self.studies | studies

    def _over(self) -> bool:
        return self.session.stop.signal is not None or self.session.stop.reason is not None

    def _stored(self, by: str | None) -> None:
        """Store the search as it is now, with the study that confirms it, and show it in the mirror."""
        study = self.searching.confirmed(by)
        self.studies[study.name] = study
        if self.session.stop.signal is None and not self.summary.refused:
            self.session.mirror(study)
