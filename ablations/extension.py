"""A suite is run again: it extends the study that is stored under its name, or it is another study and gets another name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ablations.store import Store
from ablations.study import Study, StudyVariant
from senet_core.config import canonical
from senet_core.seeds import Seed

Plan = Callable[[Sequence[Seed]], Study]


def settled(store: Store, plan: Plan, seeds: Sequence[Seed]) -> Study:
    """The study to save when ``plan`` resolves a suite for ``seeds``; for no seeds, the stored one as it is, or a new one without any.

    Where the stored one asks the same of every variant, it is extended by the seeds that are new, and keeps what it declared before
    training: its δ, its claims, how its seeds are decided on. Otherwise code, data or recipe has changed since: the new study is named
    apart, the stored one stays.
    """
    new = plan(seeds)
    if new.name not in store.studies():
        return new
    own = extended(store.study(new.name), plan, new.seeds)
    if own is not None:
        return own
    apart = f"{new.name}-{_fingerprint(plan([0]))}"
    renamed = new.model_copy(update={"name": apart})
    if apart not in store.studies():
        return renamed
    return extended(store.study(apart), plan, new.seeds) or renamed


def extended(old: Study, plan: Plan, seeds: Sequence[str], only: Collection[str] | None = None) -> Study | None:
    """The old study with these seeds too, as another look where any of them is new; None where ``plan`` makes another study of it.

    All variants get keys for these seeds, or ``only`` the networks of these names; for other seeds each keeps those that it has.
    """
    more = tuple(seed for seed in seeds if seed not in old.seeds)
    whole = plan([json.loads(seed) for seed in (*old.seeds, *more)])
    if _asked(old) != _asked(whole):
        return None
    if [variant.name for variant in old.variants] != [variant.name for variant in whole.variants]:
        return None
    variants = []
    for before, now in zip(old.variants, whole.variants, strict=True):
        if not before.keys.items() <= now.keys.items():
            return None
        asked = set(seeds) if only is None or whole.network(now.name) in only else set()
        variants.append(_with_keys(now, asked | before.keys.keys()))
    stages = (*old.looks, ()) if old.precision and len(old.looks) == 1 else old.looks  # the second is for what the precision asks for
    looks = (*stages, more) if more else old.looks
    return old.model_copy(update={"seeds": whole.seeds, "looks": looks, "variants": tuple(variants)})


def _with_keys(variant: StudyVariant, seeds: Collection[str]) -> StudyVariant:
    return variant.model_copy(update={"keys": {seed: key for seed, key in variant.keys.items() if seed in seeds}})


def _fingerprint(study: Study) -> str:
    keys: list[Any] = [(variant.name, [variant.keys[seed] for seed in study.seeds]) for variant in study.variants]
    return hashlib.sha256(canonical([*keys, *_asked(study)]).encode()).hexdigest()[:6]


def _asked(study: Study) -> list[Any]:
    """What a user's own training loop is asked, beside its settings; of our suites the code says it, but for which factors are crossed:
    that decides what is one family."""
    own = [] if study.metric is None else [study.reference, study.metric.lower_is_better]
    return [*own, *(factor.model_dump(mode="json") for factor in study.crossed)]
