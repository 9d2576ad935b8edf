"""A suite is run again: it extends the study that is stored under its name, or it is another study and gets another name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from ablations.store import Store
from ablations.study import Study
from senet_core.config import canonical
from senet_core.seeds import Seed

Plan = Callable[[Sequence[Seed]], Study]


def settled(store: Store, plan: Plan, seeds: Sequence[Seed]) -> Study:
    """The study to save when ``plan`` resolves a suite for ``seeds``.

    Where the stored one asks the same of every variant, it is extended by the seeds that are new, and keeps what it declared before
    training: its δ and its claims. Otherwise code, data or recipe has changed since: the new study is named apart, the stored one stays.
    """
    new = plan(seeds)
    if new.name not in store.studies():
        return new
    own = _extended(store.study(new.name), new, plan)
    if own is not None:
        return own
    apart = f"{new.name}-{_fingerprint(plan([0]))}"
    renamed = new.model_copy(update={"name": apart})
    if apart not in store.studies():
        return renamed
    return _extended(store.study(apart), renamed, plan) or renamed


def _extended(old: Study, new: Study, plan: Plan) -> Study | None:
    """The old study with the new one's seeds too; None where they are not the same study."""
    more = tuple(seed for seed in new.seeds if seed not in old.seeds)
    whole = plan([json.loads(seed) for seed in (*old.seeds, *more)])
    if _keys(old, old.seeds) != _keys(whole, old.seeds):
        return None
    looks = (*old.looks, more) if more else old.looks
    return old.model_copy(update={"seeds": whole.seeds, "looks": looks, "variants": whole.variants})


def _keys(study: Study, seeds: Sequence[str]) -> list[tuple[str, list[str]]]:
    return [(variant.name, [variant.keys[seed] for seed in seeds]) for variant in study.variants]


def _fingerprint(study: Study) -> str:
    return hashlib.sha256(canonical(_keys(study, study.seeds)).encode()).hexdigest()[:6]
