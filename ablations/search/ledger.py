"""Which designs a search has proposed, who trains them and what they gave: an Optuna study in the workspace's database or a server's.

Optuna only keeps the books. A design is written there in one transaction, whole, before it is trained; what is proposed is worked out
without it (``ablations.search.sampler``). Several drivers, and with a server several machines, share one search: a design belongs to the
first that claims it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.search.sampler import parameters, quiet
from ablations.search.space import Design, Level, Space
from ablations.tracking.place import public_uri, reason
from senet_core.config import canonical, flat
from senet_core.errors import InputError
from senet_core.files import publish_text

if TYPE_CHECKING:
    import optuna

DECLARED, DESIGN, KEY, OWNER, ERRORS = "declared", "design", "key", "owner", "errors"
FAILED, IMPOSSIBLE = "failed", "impossible"
FILE = "searches.db"
SERVERS = ("postgresql", "mysql")
"""Databases that several machines may share: they lock the row of a design while one of them claims it."""
LOST = ""
"""The owner of a design whose driver died between taking it and writing its name there."""
PATIENCE = 10.0
"""Seconds in which another driver that is making the tables, or the search, is waited for."""
DIVERGED = 100.0
"""The error (%) of a training that diverged, for who compares: no design is worse."""


@dataclass(frozen=True)
class Entry:
    """One design of a search.

    ``number`` counts from 0; ``key`` is that of its trial with the whole schedule; ``owner`` is the workspace that trains it, None while
    nobody does, ``LOST`` where nobody knows. Once it is ``over``, ``errors`` are those of the rungs that it reached (%; None where the
    training diverged) and ``cost`` is its other objective; an entry that is over without errors failed, and can be reopened.
    """

    number: int
    design: dict[str, Level]
    key: str
    owner: str | None
    over: bool
    errors: tuple[float | None, ...] = ()
    cost: int = 0

    def values(self, rung: int = -1) -> tuple[float, float] | None:
        """Both objectives as a sampler takes them, the error that of a rung (the last one reached); None where it has none there."""
        if not self.over or not self.errors or rung >= len(self.errors):
            return None
        error = self.errors[rung]
        return (DIVERGED if error is None else error, float(self.cost))


class Trouble(InputError):
    """The database of a search does not answer, or cannot be written."""


class Ledger:
    """The books of one search.

    :raises Trouble: from every method, where the database fails.
    """

    def __init__(self, study: optuna.Study, space: Space, uri: str) -> None:
        self._study, self._space, self._uri = study, space, uri

    def entries(self) -> list[Entry]:
        """All designs in the order of their numbers. One that another driver had proposed a moment before is left out, and what cannot be
        built is no design."""
        with self._books():
            found: dict[str, Entry] = {}
            trials = self._study.get_trials(deepcopy=False)
            ruled_out = [trial.user_attrs[DESIGN] for trial in trials if IMPOSSIBLE in trial.user_attrs]
            for trial in trials:
                if trial.user_attrs[DESIGN] not in ruled_out and trial.user_attrs[KEY] not in found:
                    found[trial.user_attrs[KEY]] = self._entry(trial, len(found))
            return list(found.values())

    def _entry(self, trial: optuna.trial.FrozenTrial, number: int) -> Entry:
        of, over = trial.user_attrs, trial.state.is_finished() or bool(trial.user_attrs.get(FAILED))
        told = (tuple(of.get(ERRORS, ())), int(trial.values[1])) if trial.state.name == "COMPLETE" and trial.values else ((), 0)
        nobody = LOST if trial.state.name == "RUNNING" else None
        return Entry(number, dict(of[DESIGN]), of[KEY], of.get(OWNER, nobody), over, *told)

    def impossible(self) -> list[tuple[dict[str, Level], str]]:
        """What was proposed and cannot be built, with the reasons."""
        with self._books():
            trials = [trial for trial in self._study.get_trials(deepcopy=False) if IMPOSSIBLE in trial.user_attrs]
            found = {canonical(trial.user_attrs[DESIGN]): trial.user_attrs for trial in trials}
            return [(dict(of[DESIGN]), of[IMPOSSIBLE]) for of in found.values()]

    def add(self, design: Design, key: str) -> None:
        """Write a design that nobody trains yet; if another driver has written the same meanwhile, it counts once."""
        with self._books() as optuna:
            self._add(optuna.trial.TrialState.WAITING, design, {KEY: key})

    def rule_out(self, design: Design, fault: str) -> None:
        """Write down that a design cannot be built, and why."""
        with self._books() as optuna:
            self._add(optuna.trial.TrialState.FAIL, design, {IMPOSSIBLE: fault})

    def _add(self, state: optuna.trial.TrialState, design: Design, more: Mapping[str, str]) -> None:
        from optuna.trial import create_trial

        values, distributions = parameters(self._space, design)
        attributes = {DESIGN: dict(design), **more}
        self._study.add_trial(create_trial(state=state, params=values, distributions=distributions, user_attrs=attributes))

    def claim(self, key: str, owner: str) -> bool:
        """Take a design that nobody trains; False where somebody was faster."""
        with self._books() as optuna:
            trial = self._trial(key)
            try:
                if not self._study._storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.RUNNING):
                    return False
                self._study._storage.set_trial_user_attr(trial._trial_id, OWNER, owner)
            except optuna.exceptions.UpdateFinishedTrialError:
                return False
            return True

    def take_over(self, key: str, owner: str) -> None:
        """Train what another workspace has claimed, or what failed there. What is over by now stays as it is."""
        self._note(key, {OWNER: owner, FAILED: False})

    def fail(self, key: str) -> None:
        """Write down that a design came to nothing, until somebody takes it over or reopens it."""
        self._note(key, {FAILED: True})

    def reopen(self, key: str) -> None:
        """Write down that a design that came to nothing is trained again by its owner."""
        self._note(key, {FAILED: False})

    def _note(self, key: str, attributes: Mapping[str, str | bool]) -> None:
        with self._books() as optuna:
            trial = self._trial(key)
            try:
                for name, value in attributes.items():
                    self._study._storage.set_trial_user_attr(trial._trial_id, name, value)
            except optuna.exceptions.UpdateFinishedTrialError:
                return

    def tell(self, key: str, errors: Sequence[float | None], cost: int) -> None:
        """Write down what a design gave on each rung, and its cost. What is over stays as it is."""
        with self._books() as optuna:
            trial, storage = self._trial(key), self._study._storage
            last = DIVERGED if errors[-1] is None else errors[-1]
            try:
                storage.set_trial_user_attr(trial._trial_id, ERRORS, list(errors))
                storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.COMPLETE, (last, float(cost)))
            except optuna.exceptions.UpdateFinishedTrialError:
                return

    def _trial(self, key: str) -> optuna.trial.FrozenTrial:
        return next(trial for trial in self._study.get_trials(deepcopy=False) if trial.user_attrs.get(KEY) == key)

    @contextmanager
    def _books(self) -> Iterator[Any]:
        """Optuna, with what its database raises told as a sentence."""
        from sqlalchemy.exc import SQLAlchemyError

        with quiet() as optuna:
            try:
                yield optuna
            except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
                raise _unusable(error, self._uri) from None


def _unusable(error: BaseException, uri: str) -> Trouble:
    return Trouble(f"The database of the search cannot be used: {public_uri(uri)}, {reason(error, uri).rstrip('.')}.")


def opened(name: str, uri: str, space: Space, declared: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[Ledger, dict[str, Any]]:
    """The ledger of a search, begun if there is none of that name, and what it was declared with. What is None in ``declared`` is as it was
    declared before, else as in ``defaults``.

    :raises InputError: where the search was begun with another space, recipe or rule, where the database cannot be used, or where Optuna is
        not installed.
    """
    with quiet():
        try:
            study, before = _study(name, uri)
            rest = json.loads(before) if before is not None else defaults
            agreed = {what: rest[what] if value is None else value for what, value in declared.items()}
            text = canonical(agreed)
            if before is None:
                study.set_user_attr(DECLARED, text)
        except ImportError as error:
            raise InputError(f"The database of --storage needs a driver that is not installed: {error}.") from None
        except InputError:
            raise
        except Exception as error:
            raise _unusable(error, uri) from None
    if before is not None and before != text:
        raise InputError(_changed(name, json.loads(before), json.loads(text)))
    return Ledger(study, space, uri), json.loads(text)


def _study(name: str, uri: str) -> tuple[optuna.Study, str | None]:
    """The study of that name, and what it was declared with; None for who has just made it and is to declare it."""
    import optuna

    storage = _storage(uri)
    try:
        return optuna.create_study(storage=storage, study_name=name, directions=["minimize", "minimize"]), None
    except optuna.exceptions.DuplicatedStudyError:
        pass
    until = time.monotonic() + PATIENCE
    while True:
        study = optuna.load_study(storage=storage, study_name=name)
        declared = study.user_attrs.get(DECLARED)
        if declared is not None or time.monotonic() > until:  # who made it died before declaring it
            return study, declared
        time.sleep(0.2)


def _storage(uri: str) -> optuna.storages.RDBStorage:
    """The database with Optuna's tables; of several drivers that make them at once all but one fail, and find them made a moment later."""
    import optuna

    until = time.monotonic() + PATIENCE
    own = uri.startswith("sqlite")
    options: dict[str, Any] = {"connect_args": {"timeout": 60}} if own else {"pool_pre_ping": True}  # a server may close idle connections
    uri = uri.replace("{", "{{").replace("}", "}}")  # Optuna formats it
    while True:
        try:
            return optuna.storages.RDBStorage(uri, engine_kwargs=options)
        except Exception as error:
            at_once = type(error).__name__ == "IntegrityError" or "already exists" in str(error)
            if not at_once or time.monotonic() > until:
                raise
            time.sleep(0.5)


def _changed(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    told = [_difference(what, before.get(what), now[what]) for what in now if before.get(what) != now[what]]
    return (
        f"The search '{name}' was begun with something else: {'; '.join(told)}. Put it back to go on with that search, or begin another "
        "one with --name."
    )


def _difference(what: str, before: Any, now: Any) -> str:
    if what == "factors" and isinstance(before, list):
        old, new = ({factor["name"]: factor for factor in factors} for factors in (before, now))
        for factor in [*old, *new]:
            if factor not in new or factor not in old:
                return f"the factor '{factor}' is {'new' if factor in new else 'gone'}"
            if old[factor] != new[factor]:
                field = next(field for field in new[factor] if old[factor].get(field) != new[factor][field])
                return f"the factor '{factor}' had {field} {canonical(old[factor].get(field))} and has {canonical(new[factor][field])}"
        return "the factors stand in another order"
    if isinstance(before, dict) and isinstance(now, dict):
        old, new = flat(before), flat(now)
        path = next(path for path in [*new, *old] if old.get(path) != new.get(path))
        return f"{what}: {path} was {canonical(old.get(path))} and is {canonical(new.get(path))}"
    return f"{what} was {canonical(before)} and is {canonical(now)}"


def place(root: Path) -> str:
    """The name under which a workspace claims designs: a random one, the same for all drivers of the workspace. Called by who holds the
    workspace's lock, for two that make it at once would go by different ones."""
    file = root / "place"
    if not file.exists():
        publish_text(file, uuid.uuid4().hex[:12])
    return file.read_text(encoding="utf-8").strip()


def default_uri(root: Path) -> str:
    """The workspace's own database, whatever signs are in its path.

    :raises InputError: where Optuna is not installed, which brings the library that knows how to write such an address.
    """
    with quiet():
        from sqlalchemy import URL

        return URL.create("sqlite", database=str((root / FILE).resolve())).render_as_string(hide_password=False)


def refuse_unsafe(uri: str) -> None:
    """:raises InputError: for a database in which two machines could claim one design."""
    kind = uri.partition(":")[0].partition("+")[0]
    if kind not in SERVERS:
        why = " Several machines do not share a SQLite file safely." if kind == "sqlite" else ""
        raise InputError(
            f"--storage takes the address of a PostgreSQL or MySQL database (postgresql+psycopg2://USER@HOST/NAME), and "
            f"'{public_uri(uri)}' is none.{why}"
        )
