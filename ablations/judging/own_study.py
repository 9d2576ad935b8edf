"""The verdicts on a study of a user's own training loop: its numbers have a unit of their own, so they are judged as a table of runs is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ablations.judging.judge import SPLITS, Judgement
from ablations.statistics.comparison import Arm
from ablations.statistics.estimation import false_alarms, seed_correlation
from ablations.statistics.measured import arms
from ablations.statistics.verdicts import decide
from ablations.store import Store
from ablations.study import Study
from senet_core.seeds import seed_label


def judged(study: Study, store: Store) -> Judgement:
    """All variants against the reference by what is stored, complete or not."""
    assert study.metric is not None, "only a training loop of a user's own has a metric of its own"
    found = arms(study, store)
    ordered = {study.reference: found[study.reference], **found}
    reference, others = ordered[study.reference], [arm for name, arm in ordered.items() if name != study.reference]
    return Judgement(
        source=study.title,
        metric=study.metric.name,
        reference=study.reference,
        lower_is_better=study.metric.lower_is_better,
        delta=study.delta,
        arms=ordered,
        comparisons=decide(study, ordered).comparisons,
        correlation=seed_correlation([arm.values for arm in others], reference.values),
        alarms=false_alarms([reference.values[seed] for seed in study.seeds if seed in reference.values], np.random.default_rng(SPLITS)),
        reading=(),
        holes=tuple(_holes(study, ordered, store)),
    )


def _holes(study: Study, found: Mapping[str, Arm], store: Store) -> list[str]:
    """A sentence on each trial that has not ended, and why."""
    told = []
    for variant, seed, key in study.trials():
        if seed in found[variant.name].values or seed in found[variant.name].diverged:
            continue
        state, failure = store.state(key), store.failure(key)
        reason = f"failed: {failure.reason}" if state == "failed" and failure else "damaged" if state == "damaged" else "not trained yet"
        told.append(f"{variant.name}, {seed_label(seed)}, {reason}")
    return told
