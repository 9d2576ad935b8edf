"""Which stored studies a command means."""

from __future__ import annotations

from collections.abc import Collection, Iterable

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
    """For each key, in words, every place where a study uses it: "reduction: r = 8, seed 0"."""
    found: dict[str, list[str]] = {}
    for study in studies:
        for variant, seed, key in study.trials():
            found.setdefault(key, []).append(f"{study.suite}: {variant.name}, {seed_label(seed)}")
    return found


def companions(study: Study, store: Store) -> list[Study]:
    """The other stored studies that a study's page shows.

    Of a tuned one that at the shared setting first, where it is there, and what else the same suite was tuned to, for who tunes until an
    answer pleases must not be able to hide it. Of a search the one that confirms it.
    """
    if study.search is not None:
        return [store.study(name) for name in store.studies() if name == study.search.confirmed]
    if study.tuned is None:
        return []
    others = [store.study(name) for name in store.studies() if name != study.name]
    shared = [other for other in others if other.name == study.tuned.shared]
    return shared + [other for other in others if other.tuned is not None and other.tuned.shared == study.tuned.shared]
