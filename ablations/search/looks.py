"""The looks of a search at the test set: the studies that confirm it, in their order. Who confirms until an answer pleases must not be able
to hide it, so they are found in the store, and the search's own study names them besides."""

from __future__ import annotations

from contextlib import suppress

from ablations.store import DamagedStore, Store
from ablations.study import Study


def confirmations(search: Study, store: Store) -> list[Study]:
    """The stored studies that confirm a search, in the order in which they were begun: those that the search's study does not name were
    there before it began to, and then those that it names.

    :raises InputError: if one that it names is damaged.
    """
    rule, stored = search.search, store.studies()
    if rule is None:
        return []
    unnamed = []
    for name in stored:
        if name.startswith(f"{rule.space}-confirmed-") and name not in rule.confirmed:
            with suppress(DamagedStore):  # whose it is cannot be told; the command that asks for it names it
                unnamed.append(store.study(name))
    earlier = [one for one in unnamed if _confirms(one, search)]
    return [*sorted(earlier, key=_rank), *(store.study(name) for name in rule.confirmed if name in stored)]


def _confirms(study: Study, search: Study) -> bool:
    of, rule = study.confirms, search.search
    if of is None or rule is None:
        return False
    if of.study is not None:
        return of.study == search.name
    # stored before the search's name was: what that name is made of
    same = study.preset == search.preset and study.overrides == search.overrides and study.images.label == search.images.label
    return same and (of.space, of.name) == (rule.space, rule.name)


def _rank(study: Study) -> tuple[int, int, str]:
    of = study.confirms
    return (0, 0, study.name) if of is None else (len(of.before), of.size, study.name)


def looked_at(study: Study, store: Store) -> bool:
    """Whether a confirmation has shown anything of a design: the default's trials may be there from elsewhere."""
    designs = [key for variant, _, key in study.trials() if variant.name != study.reference]
    return any(store.glance(key)[0] in ("done", "diverged") for key in designs)
