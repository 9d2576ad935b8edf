"""Where the noise comes from: seeds against test images, and which random stream moves the error. Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ablations.statistics.measured import arms
from ablations.statistics.noise import ImageNoise, SourceNoise, difference_components, error_components, noise_sources
from ablations.statistics.rounding import number
from ablations.store import Store
from report.numbers import plain
from report.rows import Reading
from report.tables import by_column

SOURCES = {
    "all": "all of them",
    "init": "the start values",
    "order": "the order of the images",
    "augment": "the augmentation",
    "split": "the split into training and held-out images",
    "noise": "noise inside the network",
}


def by_images(reading: Reading, store: Store) -> str | None:
    """Of the reference's error and each difference: what seeds and test images add to its uncertainty; None where none has two seeds."""
    study = reading.study

    @cache
    def right(key: str) -> NDArray[np.bool_]:
        return store.correctness(key).top1

    rows = [one for one in error_components(study, reading.arms, right) if one.variant == study.reference]
    rows += difference_components(study, reading.arms, right)
    if not rows:
        return None
    columns = {
        "Of": [_of(one) for one in rows],
        "Seeds": [str(one.components.seeds) for one in rows],
        "Over seeds, on these images (SD, points)": [number(one.over_seeds, 2) for one in rows],
        "Images alone, the floor (SE, points)": [number(one.components.floor, 2) for one in rows],
        "Seeds and images (SE, points)": [number(one.components.error, 2) for one in rows],
    }
    return by_column(columns, words=("Of",))


def _of(one: ImageNoise) -> str:
    return f"the error of {plain(one.variant)}" if one.reference is None else f"{plain(one.variant)} − {plain(one.reference)}"


def by_source(reading: Reading, store: Store) -> str | None:
    """The deviation over seeds that move one random stream alone, beside that of seeds that move all; None where only these are known."""
    others = [store.study(name) for name in store.studies() if name != reading.study.name]
    found = noise_sources(reading.study, others, lambda each: reading.arms if each is reading.study else arms(each, store))
    return _sources(found) if any(one.source != "all" for one in found) else None


def _sources(found: Sequence[SourceNoise]) -> str:
    columns = {
        "What the seed moves": [SOURCES.get(one.source, plain(one.source)) for one in found],
        "SD over seeds (points)": [f"{number(one.deviation, 2)} [{number(one.low, 2)}, {number(one.high, 2)}]" for one in found],
        "Degrees of freedom": [str(one.freedom) for one in found],
        "Variants": [str(one.variants) for one in found],
    }
    return by_column(columns, words=("What the seed moves",))
