"""A search: designs of a space proposed in batches, trained on held-out images rung by rung, as rounds that a session trains.

The ledger knows which designs there are, the store what their trials gave; each round follows from these two. So a search that was killed
goes on with the same designs, a trial that is stored is not trained again, and the test set is read by nobody: every config has a hold-out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

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
from ablations.search.sampler import DRAWS, Name, Tried, propose
from ablations.search.space import MANY, Design, made, words
from ablations.store import DamagedStore, State, Store
from ablations.study import Search, Study
from ablations.suite import Setting
from senet_core.config import flat
from senet_core.errors import InputError

WAIT_SECONDS = 5.0
"""How often designs that another machine trains are looked at again."""
TOGETHER = 8
"""The designs of a batch where nobody says, and several machines are to find work in it."""
TOLD = 10
"""So many designs that cannot be built are named on a page."""

Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Rules:
    """What a command line asks of a search; None where it says nothing, which is then as it was before. ``storage`` is a database that
    several machines share; None for the workspace's own. At most ``confirm`` designs of the front are to be confirmed, at these seeds."""

    budget: int
    batch: int | None = None
    sampler: Name | None = None
    seed: int | None = None
    rungs: bool = True
    name: str | None = None
    storage: str | None = None
    take_over: bool = False
    confirm: int | None = None
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Holes:
    """What a search lacks: {key: reason} of trials that failed, {key: sentence} of damaged ones, and how many designs of the budget are
    still to be looked at, or to be looked at again."""

    failed: dict[str, str]
    damaged: dict[str, str]
    left: int


@dataclass(frozen=True)
class Looked:
    """A design of the ledger, and how far it has come."""

    entry: Entry
    standing: Standing


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
    _exhausted: bool = False
    _glances: dict[str, tuple[State, float | None]] = field(default_factory=dict)

    def rounds(self, engine: Callable[[], Engine], stop: Stop, retry_failed: bool, say: Say) -> Iterator[Round]:
        """What to train, one round after the other, until the budget is used or the space is exhausted.

        :raises Trouble: where the database of the ledger fails.
        """
        told, retried = False, self._retried if retry_failed else None
        while not stop():
            with self.store.exclusively():
                self._glances.clear()
                designs = self._proposed(retried, say)
                if self._claimed(designs, engine, retried):
                    designs = self._looked(retried)
                study = self._study(designs)
                following = [(one.entry.design, one.standing.following) for one in designs]
                queue = [self.designs.trial(design, epochs) for design, epochs in following if epochs is not None]
                self._retried |= {trial.key for trial in queue}
                turn = ready([study], [study], queue, engine, self.store, self.source, retry_failed)
            if queue:
                yield turn
            elif all(one.standing.over for one in designs):
                if self._exhausted:
                    say(self._end(len(designs)))
                return
            else:
                if not told:
                    say("Other machines train what is left; waiting for them (--take-over trains here what a dead machine left).")
                told = True
                time.sleep(WAIT_SECONDS)

    def confirmed(self, by: str | None) -> Study:
        """Store the search as it stands, with the name of a study that confirms it, and return it.

        :raises Trouble: where the database of the ledger fails.
        """
        with self.store.exclusively():
            self._glances.clear()
            study = self._study(self._looked(None), by)
            self.store.save_study(study)
        return study

    def holes(self) -> Holes:
        """What has no result now.

        :raises Trouble: where the database of the ledger fails.
        """
        self._glances.clear()
        found, designs = Holes({}, {}, 0), self._looked(None)
        for entry, standing in ((one.entry, one.standing) for one in designs if one.standing.failed):
            key, _ = self.designs.rung(entry.design, self.designs.epochs[len(standing.errors)])
            try:
                failure = self.store.failure(key) if self._own(entry) and self.store.result(key) is None else None
                found.failed[key] = failure.reason if failure else "failed on another machine"
            except DamagedStore as error:
                found.damaged[key] = str(error)
        wanted = 0 if self._exhausted else int(min(self.rules.budget, self.designs.space.size()))
        return replace(found, left=max(wanted, len(designs)) - sum(one.standing.over for one in designs))

    def _end(self, count: int) -> str:
        if self.designs.space.size() < MANY:
            some = " that can be built" if self.ledger.impossible() else ""
            return f"All {count} designs of the space '{self.rule.space}'{some} have been looked at."
        return (
            f"The search ends after {count} designs: {DRAWS} proposals in a row were among them. The space '{self.rule.space}' has no end, "
            "so there may be others."
        )

    def _study(self, designs: Sequence[Looked], by: str | None = None) -> Study:
        """The study of the search, confirmed by what confirmed it before and by that one."""
        before = self.store.study(self.name).search if self.name in self.store.studies() else None
        confirmed = dict.fromkeys([*(before.confirmed if before else ()), *([by] if by else [])])
        rule = self.rule.model_copy(update={"budget": max(self.rules.budget, len(designs)), "confirmed": tuple(confirmed)})
        study = recorded(self.designs, self.order, self.name, rule, [(one.entry.design, one.standing) for one in designs])
        faults = [fault for _, fault in self.ledger.impossible()]
        rest = [f"{len(faults) - TOLD} more designs cannot be built."] if len(faults) > TOLD else []
        return study.model_copy(update={"notes": (*study.notes, *faults[:TOLD], *rest)})

    # -- what the ledger and the store say together

    def _own(self, entry: Entry) -> bool:
        """Whether this workspace trains a design, or has: of its own ledger all, whoever has claimed them."""
        return self.rules.storage is None or entry.owner == self.owner

    def _looked(self, retried: Set[str] | None) -> list[Looked]:
        """All designs and how far they have come; what has come to an end in this workspace is written down.

        A failed design is over for now: in the workspace's own ledger, which does not know of it, until ``--retry-failed``; in one that is
        shared until some machine tries it again. ``retried`` are the trials that this command has tried; None where it retries nothing.
        """
        found: list[Looked] = []
        for entry in self.ledger.entries():
            before = [one.entry for one in found[: self._begun(entry.number)]]
            standing = self._standing(entry, before, retried)
            if standing.over and not standing.failed and not entry.over:
                cost = self.designs.cost(entry.design)
                self.ledger.tell(entry.key, standing.errors, cost)
                entry = replace(entry, over=True, errors=standing.errors, cost=cost)
            elif self.rules.storage is not None and self._own(entry):
                if standing.failed and not entry.over:
                    self.ledger.fail(entry.key)
                if entry.over and not entry.errors and not standing.over:
                    self.ledger.reopen(entry.key)
            found.append(Looked(entry, standing))
        return found

    def _standing(self, entry: Entry, before: Sequence[Entry], retried: Set[str] | None) -> Standing:
        """How far a design has come, by the store where this workspace trains it, and by what the designs of earlier batches gave.

        What the ledger was told decides how many rungs it has; but where the store lacks one of those, it is trained again.
        """
        if entry.over and not self._own(entry):
            return Standing(entry.errors, over=True, failed=not entry.errors)
        errors: list[float | None] = []
        for place, epochs in enumerate(self.designs.epochs):
            key, _ = self.designs.rung(entry.design, epochs)
            state, error = self._glance(key)
            if state not in ("done", "diverged"):
                again = state == "failed" and retried is not None and key not in retried
                if not self._own(entry):
                    return Standing(tuple(errors), over=False)
                if state in ("failed", "damaged") and not again:
                    return Standing(tuple(errors), over=True, failed=True)
                return Standing(tuple(errors), over=False, following=epochs)
            errors.append(error)
            if len(errors) == len(entry.errors) or not (entry.errors or self._goes_on(entry, place, error, before)):
                break
        return Standing(tuple(errors), over=True)

    def _glance(self, key: str) -> tuple[State, float | None]:
        """What is stored of a trial, looked at once a round."""
        if key not in self._glances:
            self._glances[key] = self.store.glance(key)
        return self._glances[key]

    def _goes_on(self, entry: Entry, place: int, error: float | None, before: Sequence[Entry]) -> bool:
        """Whether a design with that error on a rung is trained on the next one; the default always is."""
        if error is None:
            return False
        others = [values for one in before if (values := one.values(place)) is not None]
        return entry.number == 0 or goes_on((error, float(self.designs.cost(entry.design))), others)

    def _begun(self, number: int) -> int:
        """The number of the first design of the same batch."""
        return number - number % self.rule.batch

    # -- new designs

    def _proposed(self, retried: Set[str] | None, say: Say) -> list[Looked]:
        """All designs, with the whole batch that is to be looked at now."""
        designs = self._looked(retried)
        while len(designs) < self.rules.budget:
            begun = self._begun(len(designs))
            if not all(one.standing.over for one in designs[:begun]):
                break
            design = self._next([one.entry for one in designs], begun, say)
            self._exhausted = design is None
            if design is None:
                break
            self.ledger.add(design, self.designs.key(design))
            designs = self._looked(retried)
        return designs

    def _next(self, entries: Sequence[Entry], begun: int, say: Say) -> Design | None:
        """The default first; then what the sampler makes of the batches before, knowing of its own batch which designs it has. What cannot
        be built is written down, told, and not proposed again."""
        if not entries:
            return self.designs.space.default
        tried = [Tried(one.design, one.values() if one.number < begun else None) for one in entries]
        how: dict[str, Any] = {"number": len(entries), "seed": self.rule.seed, "sampler": self.rule.sampler}
        while True:
            without = [design for design, _ in self.ledger.impossible()]
            design = propose(self.designs.space, tried, identity=self.designs.identity, without=without, **how)
            fault = None if design is None else self.designs.fault(design)
            if design is None or fault is None:
                return design
            self.ledger.rule_out(design, fault)
            say(f"{fault} The search goes on without it.")

    def _claimed(self, designs: Sequence[Looked], engine: Callable[[], Engine], retried: Set[str] | None) -> bool:
        """Take designs to train here: of the workspace's own ledger all, of a shared one as many as are trained at a time, so that other
        machines find some. Whether any was taken.

        Of a shared one first what nobody has; then, with ``--retry-failed``, what failed elsewhere; and only where there is nothing else,
        with ``--take-over``, what another workspace has.
        """
        shared = self.rules.storage is not None
        free = [one.entry for one in designs if not one.entry.over and one.entry.owner is None]
        others = [one.entry for one in designs if not self._own(one.entry) and one.entry.owner is not None]
        failed = [entry for entry in others if entry.over and not entry.errors and retried is not None and not self._tried(entry, retried)]
        left = [entry for entry in others if not entry.over and self.rules.take_over]
        wanted = free + failed or left
        room, taken = len(wanted), 0
        if shared and wanted:
            room = engine().slots() - sum(self._own(one.entry) and not one.standing.over for one in designs)
        for entry in wanted:
            if taken >= room:
                break
            if entry.owner is None:
                taken += self.ledger.claim(entry.key, self.owner)
            else:
                self.ledger.take_over(entry.key, self.owner)
                taken += 1
        return taken > 0

    def _tried(self, entry: Entry, retried: Set[str]) -> bool:
        """Whether this command has trained something of a design."""
        return any(self.designs.rung(entry.design, epochs)[0] in retried for epochs in self.designs.epochs)


def begun(name: str, order: Order, rules: Rules, store: Store, source: DataSource, workers: int | None = 1) -> Searching:
    """The search of a space, new or as it was left; every level of every factor is built once before anything is written.

    ``workers`` is how many trials are trained at a time, None where a cluster decides. By it follows the size of the batches of a new
    search that does not say; where a cluster or several machines share the work, it is at least ``TOGETHER``.

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
    batch = max(workers or TOGETHER, TOGETHER if rules.storage else 1)
    with store.exclusively():
        place = books.place(store.root)
        ledger, agreed = books.opened(own, uri, space, declared, {"sampler": "tpe", "seed": 0, "batch": batch})
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
        confirm=rules.confirm,
        seeds=rules.seeds,
        storage=rules.storage is not None,
    )
    return Searching(own, order, designs, rules, rule, ledger, store, source, place)


def _refuse_lost(order: Order, designs: Designs) -> None:
    """:raises InputError: for an option of the command line that the space sets itself, for every design."""
    default, base = (flat(config.tree()) for config in (designs.config(designs.space.default), designs.base))
    for path in (inner for given, value in order.overrides.items() for inner in flat({given: value})):
        if default.get(path) != base.get(path):
            raise InputError(f"The space '{designs.space.name}' changes {path} itself, so it cannot be set from the command line.")


def _refuse_other_meaning(name: str, designs: Designs, ledger: Ledger) -> None:
    """What was proposed and not trained, and cannot be built, is ruled out.

    :raises InputError: where a design of the ledger is none of the space, or would be another trial now.
    """
    for entry in ledger.entries():
        wrong = designs.space.mistake(entry.design)
        if wrong or designs.identity(entry.design) != entry.key:
            raise InputError(
                f"The search '{name}' cannot go on: its design {entry.number} ({words(entry.design)}) does not mean what it meant, for "
                f"{wrong or 'its network, its data or the code of its block is another one now'}. Begin another search with --name."
            )
        if (fault := designs.fault(entry.design)) is not None:
            if entry.over:
                raise InputError(f"{fault} The search '{name}' has trained it, so it cannot go on. Begin another search with --name.")
            ledger.rule_out(entry.design, fault)
