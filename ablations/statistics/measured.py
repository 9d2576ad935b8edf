"""What a study's stored trials gave, as the arms that are compared. Reads the store only; no torch, no images."""

from __future__ import annotations

from ablations.statistics.comparison import Arm
from ablations.store import DamagedStore, Store
from ablations.study import Study


def arms(study: Study, store: Store) -> dict[str, Arm]:
    """Every variant by its name: {seed: its number} of its finished trials, and the seeds that diverged. The number is the top-1 error in
    percent, or what a user's own loop is judged by.

    A trial that is missing, unfinished, failed or damaged is a hole: its seed is in neither.
    """
    errors: dict[str, dict[str, float]] = {variant.name: {} for variant in study.variants}
    diverged: dict[str, set[str]] = {variant.name: set() for variant in study.variants}
    for variant, seed, key in study.trials():
        try:
            result = store.result(key)
        except DamagedStore:
            continue
        if result is None:
            continue
        if result.number is None:
            diverged[variant.name].add(seed)
        else:
            errors[variant.name][seed] = result.number
    return {name: Arm(errors[name], frozenset(diverged[name])) for name in errors}
