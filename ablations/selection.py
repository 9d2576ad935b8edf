"""Which stored studies a command means."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress

from ablations.search.looks import confirmations
from ablations.store import Store
from ablations.study import Study
from senet_core.errors import InputError, unknown
from senet_core.seeds import seed_label


def selected(store: Store, wanted: Collection[str], preset: str | None) -> list[Study]:
    """The studies of a workspace by suite or by their own name, at one preset if it is given; all of them if none is named.

    :raises InputError: if the workspace has none, or not those.
    """
    if store.root.is_file():
        raise InputError(f"The workspace '{store.root}' is a file; --workspace must name a folder.")
    studies = [store.study(name) for name in store.studies()]
    if not studies:
        raise InputError(f"There are no studies in the workspace '{store.root}'; run a suite first, or name another --workspace.")
    known = {name for study in studies for name in (study.name, study.suite)}
    for name in wanted:
        if name not in known:
            raise unknown("study or suite in this workspace", name, known)
    chosen = [s for s in studies if not wanted or {s.name, s.suite} & set(wanted)]
    chosen = [s for s in chosen if preset in (None, s.preset)]
    if not chosen:
        raise InputError(f"Nothing of that at the preset '{preset}' is in the workspace '{store.root}'.")
    return chosen


def meant(studies: list[Study], name: str) -> list[Study]:
    """Of several studies those that a command for one of them means by this name: a suite's name stands for its own setting, while what
    tuning made of the suite is called by the study's own name."""
    own = [study for study in studies if study.name == name or (study.candidates is None and study.tuned is None)]
    return own or studies


def places(studies: Iterable[Study]) -> dict[str, list[str]]:
    """For each key, in words, every place where a study uses it: "reduction: r = 8, seed 0", "reduction tuned: r = 8, seed 0"."""
    found: dict[str, list[str]] = {}
    for study in studies:
        suite = study.suite if study.tuned is None else f"{study.suite} tuned"
        for variant, seed, key in study.trials():
            found.setdefault(key, []).append(f"{suite}: {variant.name}, {seed_label(seed)}")
    return found


def companions(study: Study, store: Store) -> list[Study]:
    """The other stored studies that a study's page shows.

    Of a tuned one that at the shared setting first, where it is there. Of it and of a suite's ordinary one all that the suite was tuned to
    (``tunings``). Of a search those that confirm it.
    """
    if study.search is not None:
        return confirmations(study, store)
    shared = [store.study(name) for name in store.studies() if study.tuned is not None and name == study.tuned.shared]
    return shared + tunings(study, store)


def tunings(study: Study, store: Store) -> list[Study]:
    """The other stored studies of the same suite, preset and data whose variants were tuned, from whatever setting and by whatever
    question: who tunes until an answer pleases must not be able to hide it. None for a held-out part, a search and a loop of a user's own.
    """
    if study.candidates is not None or study.search is not None or study.confirms is not None or study.data is None:
        return []
    found = []
    for name in store.studies():
        if name != study.name and name.startswith(f"{study.suite}-tuned-"):  # so a page of other suites reads no study but its own
            with suppress(InputError):  # a damaged one is named by the command that asks for it
                found.append(store.study(name))
    return [other for other in found if other.tuned is not None and _about(other) == _about(study)]


def _about(study: Study) -> tuple[object, ...]:
    """Suite, preset and data."""
    data = study.data
    return (study.suite, study.preset, data.label, data.fingerprint) if data else (study.suite, study.preset)
