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


def places(studies: Iterable[Study]) -> dict[str, list[str]]:
    """For each key, in words, every place where a study uses it: "reduction: r = 8, seed 0"."""
    found: dict[str, list[str]] = {}
    for study in studies:
        for variant, seed, key in study.trials():
            found.setdefault(key, []).append(f"{study.suite}: {variant.name}, {seed_label(seed)}")
    return found
