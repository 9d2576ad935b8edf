"""Where the noise comes from: which random stream moves an error, how much of it is the draw of seeds and how much that of test images,
and whether the test sees differences where there are none.

Nothing here opens a file: what trials gave comes as arms (``ablations.statistics.measured``), which images they got right by a function.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablations.statistics.comparison import Arm
from ablations.statistics.estimation import Components, FalseAlarms, components, false_alarms
from ablations.statistics.verdicts import family
from ablations.study import Study
from senet_core.config import Config

Arms = Mapping[str, Arm]
"""Every variant of a study by its name."""
Right = Callable[[str], NDArray[np.bool_]]
"""Which evaluation images a finished trial got right, by its key: ``lambda key: store.correctness(key).top1``."""
ALL = "all"
"""The source of a study whose seeds move every random stream."""


def deviation_interval(deviation: float, freedom: float, confidence: float = 0.95) -> tuple[float, float]:
    """The chi-square interval of a standard deviation of normal values that was found with that many degrees of freedom."""
    from scipy.special import chdtri  # late: SciPy takes a noticeable part of a second to import

    tail = (1 - confidence) / 2
    return deviation * math.sqrt(freedom / float(chdtri(freedom, tail))), deviation * math.sqrt(freedom / float(chdtri(freedom, 1 - tail)))


# -- by random stream


@dataclass(frozen=True)
class SourceNoise:
    """How much one source moves a variant's error from seed to seed: a standard deviation in percentage points with its 95 % interval.

    ``source`` is a random stream ("init", "order", ...) or "all" of them. The deviation is pooled within ``variants`` variants of up to
    ``seeds`` seeds each, with ``freedom`` degrees of freedom in all. The interval takes variants for independent of each other; as far as
    a seed moves all of them alike it is somewhat too narrow.
    """

    source: str
    deviation: float
    low: float
    high: float
    freedom: int
    variants: int
    seeds: int


def alike(study: Study, others: Iterable[Study]) -> tuple[Study, ...]:
    """The study and those of the others that differ from it in nothing but the streams that their seeds move, one for each ``vary``.

    Same suite, preset, overrides, data and recipes; and where both name a seed they mean the same trials, so that nothing that was
    changed in the code stands between them.
    """
    found = {study.vary: study}
    for other in others:
        if _is_alike(study, other):
            found.setdefault(other.vary, other)
    return tuple(found.values())


def _is_alike(one: Study, other: Study) -> bool:
    if any(getattr(one, name) != getattr(other, name) for name in ("suite", "preset", "overrides", "data")):
        return False
    keys = _keys(one)
    return _configs(one) == _configs(other) and all(keys.get(place, key) == key for place, key in _keys(other).items())


def _configs(study: Study) -> dict[str, Config]:
    return {variant.name: variant.recipe for variant in study.variants}


def _keys(study: Study) -> dict[tuple[str, str], str]:
    return {(variant.name, seed): key for variant, seed, key in study.trials()}


def noise_sources(study: Study, others: Iterable[Study], arms: Callable[[Study], Arms]) -> tuple[SourceNoise, ...]:
    """The noise of each source, by the study and those of ``others`` that are ``alike``: "all" first, then by the streams' names.

    ``arms`` gives a study's arms. Every source is pooled over the same variants, those that have two finished seeds in each study that
    has any such; a null ablation counts once. Empty where there is none.
    """
    samples = {each.vary or ALL: _samples(each, arms(each)) for each in alike(study, others)}
    samples = {source: sample for source, sample in samples.items() if sample}
    shared = set.intersection(*map(set, samples.values())) if samples else set()
    if not shared:
        return ()
    ordered = sorted(samples, key=lambda source: (source != ALL, source))
    return tuple(_source_noise(source, [samples[source][name] for name in sorted(shared)]) for source in ordered)


def _samples(study: Study, arms: Arms) -> dict[str, list[float]]:
    """{variant: errors over seeds} of the variants whose spread can be seen."""
    found = {variant.name: list(arms[variant.name].values.values()) for variant in study.variants if variant.same_as is None}
    return {name: values for name, values in found.items() if len(values) >= 2}


def _source_noise(source: str, samples: Sequence[Sequence[float]]) -> SourceNoise:
    freedom = sum(len(sample) - 1 for sample in samples)
    squares = sum(float(np.var(sample, ddof=1)) * (len(sample) - 1) for sample in samples)
    deviation = math.sqrt(squares / freedom)
    return SourceNoise(source, deviation, *deviation_interval(deviation, freedom), freedom, len(samples), max(map(len, samples)))


# -- by seed and test image


@dataclass(frozen=True)
class ImageNoise:
    """Variance components of an error (``reference`` None) or of a difference: of seeds, of test images, and of their rest.

    In percentage points of one seed or one image; ``components.floor`` is the standard error that no number of seeds goes below if the
    test images are taken as a sample too, ``components.error`` the standard error of the mean then. ``mean`` is in percent.
    ``components.seed`` is what a seed moves beyond what its image by image changes sum up to by chance; it can be 0 though seeds differ.
    """

    variant: str
    reference: str | None
    mean: float
    components: Components

    @property
    def over_seeds(self) -> float:
        """The standard deviation from seed to seed on these very images: that of the seeds and of their rest."""
        return math.hypot(self.components.seed, self.components.rest / math.sqrt(self.components.images))


def error_components(study: Study, arms: Arms, right: Right) -> tuple[ImageNoise, ...]:
    """Seed and image components of each variant's error, for those with two finished seeds; a null ablation is left out.

    Empty where seeds were evaluated on different images: on a held-out part that moves with the seed.
    """
    tables = _Tables(study, arms, right)
    names = [variant.name for variant in study.variants if variant.same_as is None]
    return tuple(_image_noise(name, None, tables.of(name, seeds)) for name in names if len(seeds := tables.seeds(name)) >= 2)


def difference_components(study: Study, arms: Arms, right: Right) -> tuple[ImageNoise, ...]:
    """The same of each declared comparison's difference, over the seeds that both arms have finished, in the order of ``family``.

    An image counts as +100 where only the variant errs, as -100 where only its reference does.
    """
    tables, found = _Tables(study, arms, right), []
    for pair in family(study):
        if not arms.keys() >= {*pair}:  # an effect of crossed factors, whose sides are no variants
            continue
        seeds = tables.seeds(*pair)
        if len(seeds) >= 2:
            found.append(_image_noise(*pair, tables.of(pair.variant, seeds) - tables.of(pair.reference, seeds)))
    return tuple(found)


def _image_noise(variant: str, reference: str | None, table: NDArray[np.float64]) -> ImageNoise:
    return ImageNoise(variant, reference, float(table.mean()), components(table))


class _Tables:
    """Errors by seed and image; each trial's images are asked for once."""

    def __init__(self, study: Study, arms: Arms, right: Right) -> None:
        self.study, self.arms, self.right = study, arms, right
        self.wrong: dict[str, NDArray[np.float64]] = {}

    def seeds(self, *names: str) -> list[str]:
        """The seeds that all of these variants have finished; none where each seed had images of its own."""
        if self.study.images.evaluated_on == "holdout" and len({_split(seed) for seed in self.study.seeds}) > 1:
            return []
        return [seed for seed in self.study.seeds if all(seed in self.arms[name].values for name in names)]

    def of(self, name: str, seeds: Sequence[str]) -> NDArray[np.float64]:
        """(seeds, images): 100 where the image was wrong, 0 where it was right."""
        return np.stack([self._of(self.study.variant(name).keys[seed]) for seed in seeds])

    def _of(self, key: str) -> NDArray[np.float64]:
        if key not in self.wrong:
            self.wrong[key] = np.where(self.right(key), 0.0, 100.0)
        return self.wrong[key]


def _split(seed: str) -> int:
    """The number that drew the held-out part, from a seed as studies name it."""
    number = json.loads(seed)
    return int(number["split"] if isinstance(number, dict) else number)


# -- a check of the test itself


def false_alarm_check(study: Study, arms: Arms) -> FalseAlarms | None:
    """The A/A control on the reference's own seeds (``estimation.false_alarms``); the same splits whenever it is asked.

    None below six finished seeds, or where nothing varies.
    """
    values = arms[study.reference].values
    return false_alarms([values[seed] for seed in study.seeds if seed in values], np.random.default_rng(0))
