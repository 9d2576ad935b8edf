"""A search: designs of a space proposed in batches, trained on held-out images rung by rung, as rounds that a session trains.

The ledger knows which designs there are, the store what their trials gave; each round follows from these two. So a search that was killed
goes on with the same designs, a trial that is stored is not trained again, and the test set is read by nobody: every config has a hold-out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from ablations.execution.engines import Engine
from ablations.execution.rounds import Round, ready
from ablations.execution.stopping import Stop
from ablations.planning import DataSource, Order, base_config, study_name
from ablations.search import ledger as books
from ablations.search.designs import Designs
from ablations.search.holdout import with_holdout
from ablations.search.ledger import Entry, Ledger
from ablations.search.record import Standing
from ablations.search.record import study as recorded
from ablations.search.rungs import goes_on, schedules
from ablations.search.sampler import Name, Tried, propose
from ablations.search.space import Design, made, words
from ablations.store import Store
from ablations.study import Search, Study
from ablations.suite import Setting
from senet_core.config import flat
from senet_core.errors import InputError

WAIT_SECONDS = 5.0
"""How often designs that another machine trains are looked at again."""


@dataclass(frozen=True)
class Rules:
    """What a command line asks of a search; None where it says nothing, which is then as it was before. ``storage`` is a database that
    several machines share; None for the workspace's own."""

    budget: int
    batch: int | None = None
    sampler: Name | None = None
    seed: int | None = None
    rungs: bool = True
    name: str | None = None
    storage: str | None = None
    take_over: bool = False


@dataclass
class Searching:
    """A search as far as it has come; ``rule`` is what it was begun with, ``owner`` the name under which this workspace claims designs."""

    name: str
    order: Order
    designs: Designs
    rules: Rules
    rule: Search
    ledger: Ledger
    store: Store
    source: DataSource
    owner: str
    _retried: set[str] = field(default_factory=set)

    def rounds(self, engine: Callable[[], Engine], stop: Stop, retry_failed: bool, say: Callable[[str], None]) -> Iterator[Round]:
        """What to train, one round after the other, until the budget is used or the space is exhausted."""
        told, retried = False, self._retried if retry_failed else None
        while not stop():
            with self.store.exclusively():
                entries, exhausted = self._proposed(retried)
                if self._claimed(entries):
                    entries = self._settled(retried)
                study = self._study(entries)
                mine = [entry for entry in entries if not entry.over and entry.owner == self.owner]
                following = [(one.design, self._standing(one, entries, retried).following) for one in mine]
                queue = [self.designs.trial(design, epochs) for design, epochs in following if epochs is not None]
                self._retried |= {trial.key for trial in queue}
                turn = ready([study], [study], queue, engine, self.store, self.source, retry_failed)
            if queue:
                yield turn
            elif all(entry.over for entry in entries):
                if exhausted:
                    say(f"All {len(entries)} designs of the space '{self.rule.space}' have been looked at.")
                return
            else:
                if not told:
                    say("Other machines train what is left; waiting for them (--take-over trains it here).")
                told = True
                time.sleep(WAIT_SECONDS)

    def confirmed(self, by: str | None) -> Study:
        """Store the search with the name of the study that confirms it, and return it."""
        study = self._study(self._settled(None))
        assert study.search is not None, "a search's study tells what it is"
        study = study.model_copy(update={"search": study.search.model_copy(update={"confirmed": by})})
        self.store.save_study(study)
        return study

    def _study(self, entries: Sequence[Entry]) -> Study:
        stood = [(entry.design, self._standing(entry, entries)) for entry in entries]
        return recorded(self.designs, self.order, self.name, self.rule.model_copy(update={"budget": self.rules.budget}), stood)

    # -- what the ledger and the store say together

    def _settled(self, retried: Set[str] | None) -> list[Entry]:
        """All designs, those that have come to an end in this workspace written down. A failed one is over for now: on a server for good,
        in the workspace's own ledger until ``--retry-failed`` (``retried`` are the trials that this has tried; None without it)."""
        entries, failed, told = self.ledger.entries(), set(), False
        for entry in entries:
            if entry.over or entry.owner != self.owner:
                continue
            standing = self._standing(entry, entries, retried)
            if standing.failed:
                failed.add(entry.key)
            if standing.over and (not standing.failed or self.rules.storage is not None):
                told = True
                self.ledger.tell(entry.key, () if standing.failed else standing.errors, self.designs.cost(entry.design))
        entries = self.ledger.entries() if told else entries
        return [replace(entry, over=True) if entry.key in failed else entry for entry in entries]

    def _standing(self, entry: Entry, entries: Sequence[Entry], retried: Set[str] | None = None) -> Standing:
        """How far a design has come, by the store and by what the designs of earlier batches gave."""
        if entry.over and entry.errors:
            return Standing(entry.errors, over=True)
        errors: list[float | None] = []
        before = entries[: self._begun(entry.number)]
        for place, epochs in enumerate(self.designs.epochs):
            key, _ = self.designs.rung(entry.design, epochs)
            state, error = self.store.glance(key)
            if state == "failed" and retried is not None and key not in retried:
                return Standing(tuple(errors), over=False, following=epochs)
            if state in ("failed", "damaged"):
                return Standing(tuple(errors), over=True, failed=True)
            if state not in ("done", "diverged"):
                return Standing(tuple(errors), over=False, following=epochs)
            errors.append(error)
            others = [values for one in before if (values := one.values(place)) is not None]
            if error is None or (entry.number > 0 and not goes_on((error, float(self.designs.cost(entry.design))), others)):
                break
        return Standing(tuple(errors), over=True)

    def _begun(self, number: int) -> int:
        """The number of the first design of the same batch."""
        return number - number % self.rule.batch

    # -- new designs

    def _proposed(self, retried: Set[str] | None) -> tuple[list[Entry], bool]:
        """All designs, with the whole batch that is to be looked at now; and whether the space has no more."""
        entries = self._settled(retried)
        while len(entries) < self.rules.budget:
            begun = self._begun(len(entries))
            if not all(entry.over for entry in entries[:begun]):
                break
            design = self._next(entries, begun)
            if design is None:
                return entries, True
            self.ledger.add(design, self.designs.key(design))
            entries = self._settled(retried)
        return entries, False

    def _next(self, entries: Sequence[Entry], begun: int) -> Design | None:
        """The default first; then what the sampler makes of the batches before, knowing of its own batch which designs it has."""
        if not entries:
            return self.designs.space.default
        tried = [Tried(one.design, one.values() if one.number < begun else None) for one in entries]
        how: dict[str, Any] = {"number": len(entries), "seed": self.rule.seed, "sampler": self.rule.sampler}
        return propose(self.designs.space, tried, identity=self.designs.key, **how)

    def _claimed(self, entries: Sequence[Entry]) -> bool:
        """Take designs that nobody trains: of the workspace's own ledger all, of a server's one, so that other machines find some. Whether
        any was taken."""
        shared, taken = self.rules.storage is not None, False
        if shared and any(entry.owner == self.owner and not entry.over for entry in entries):
            return False
        for entry in entries:
            if entry.over or entry.owner == self.owner:
                continue
            if entry.owner is None:
                taken |= self.ledger.claim(entry.key, self.owner)
            elif self.rules.take_over or not shared:  # a workspace's own ledger has no other machine that could train it
                self.ledger.take_over(entry.key, self.owner)
                taken = True
            if taken and shared:
                break
        return taken


def begun(name: str, order: Order, rules: Rules, store: Store, source: DataSource, workers: int = 1) -> Searching:
    """The search of a space, new or as it was left; every level of every factor is built once before anything is written.

    ``workers`` is the size of the batches of a new one that does not say.

    :raises InputError: for an unknown, empty or contradictory space, an impossible level, or what the search was not begun with.
    """
    from senet_core.resolve import resolve, stage_count

    _, facts = source.opened(base_config(order))
    base = resolve(with_holdout(base_config(order), facts), facts)
    space = made(name, Setting(base=base, stages=stage_count(base.net), preset=order.preset.name))
    own = study_name(f"{space.name}-search", order, facts) + (f"-{rules.name}" if rules.name else "")
    store.study_path(own)  # a name that no file can have is refused
    epochs = schedules(base.train.epochs) if rules.rungs else (base.train.epochs,)
    designs = Designs(space, facts, base, epochs)
    designs.try_on()
    _refuse_lost(order, designs)
    declared: dict[str, Any] = {**space.declared(), "recipe": base.tree(), "rungs": list(epochs)}
    declared |= {"sampler": rules.sampler, "seed": rules.seed, "batch": rules.batch}
    uri = rules.storage or books.default_uri(store.root)
    ledger, agreed = books.opened(own, uri, space, declared, {"sampler": "tpe", "seed": 0, "batch": workers})
    _refuse_other_meaning(own, designs, ledger)
    rule = Search(
        space=space.name,
        factors=tuple((factor.name, factor.text()) for factor in space.factors),
        cost=space.cost,
        sampler=agreed["sampler"],
        seed=agreed["seed"],
        batch=agreed["batch"],
        budget=rules.budget,
        epochs=epochs,
        name=rules.name,
    )
    return Searching(own, order, designs, rules, rule, ledger, store, source, books.place(store.root))


def _refuse_lost(order: Order, designs: Designs) -> None:
    """:raises InputError: for an option of the command line that the space sets itself, for every design."""
    default, base = (flat(config.tree()) for config in (designs.config(designs.space.default), designs.base))
    for path in (inner for given, value in order.overrides.items() for inner in flat({given: value})):
        if default.get(path) != base.get(path):
            raise InputError(f"The space '{designs.space.name}' changes {path} itself, so it cannot be set from the command line.")


def _refuse_other_meaning(name: str, designs: Designs, ledger: Ledger) -> None:
    """:raises InputError: where a design of the ledger is none of the space, or would be another trial now."""
    for entry in ledger.entries():
        wrong = designs.space.mistake(entry.design)
        if wrong or designs.key(entry.design) != entry.key:
            raise InputError(
                f"The search '{name}' cannot go on: its design {entry.number} ({words(entry.design)}) does not mean what it meant, for "
                f"{wrong or 'its network, its data or the code of its block is another one now'}. Begin another search with --name."
            )
