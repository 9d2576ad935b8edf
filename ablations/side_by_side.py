"""Two variants, two studies or two workspaces beside each other: what differs in them, and what came of it. Reads stores only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ablations.matching import Match, matched
from ablations.result import Result
from ablations.selection import meant, selected
from ablations.statistics.estimation import Estimate, interval, paired_difference
from ablations.store import DamagedStore, Store
from ablations.study import Study, StudyVariant
from ablations.training_time import TrainingTime
from senet_core.config import differences
from senet_core.errors import InputError, unknown


@dataclass(frozen=True)
class Place:
    """What one side names: a workspace, perhaps one study of it, perhaps one variant of that."""

    text: str
    store: Store
    study: Study | None = None
    variant: StudyVariant | None = None


def place(text: str, workspace: Path) -> Place:
    """One side as it is named on the command line: a workspace's folder, SUITE or STUDY of ``workspace``, or SUITE:VARIANT.

    A study of another workspace has its folder before it: FOLDER/STUDY:VARIANT.

    :raises InputError: for what is not there, or names several studies.
    """
    if (Path(text) / "studies").is_dir():
        return Place(text, Store(Path(text)))
    name, colon, variant = text.partition(":")
    folder, slash, name = name.rpartition("/")
    store = Store(Path(folder) if slash else workspace)
    found = meant(selected(store, [name], None), name)
    if len(found) > 1:
        raise InputError(f"'{name}' is several studies of that workspace; name one of: {', '.join(study.name for study in found)}.")
    (study,) = found
    names = [each.name for each in study.variants]
    if colon and variant not in names:
        raise unknown(f"variant of the study '{study.name}'", variant, names)
    return Place(text, store, study, study.variant(variant) if colon else None)


def finished(study: Study, store: Store) -> dict[str, dict[str, Result]]:
    """{variant: {seed: result}} of the trials that ended with an error; those that are damaged are left out like those that are missing."""
    found: dict[str, dict[str, Result]] = {variant.name: {} for variant in study.variants}
    for variant, seed, key in study.trials():
        result = _result(store, key)
        if result is not None and result.errors is not None:
            found[variant.name][seed] = result
    return found


def _result(store: Store, key: str) -> Result | None:
    try:
        return store.result(key)
    except DamagedStore:
        return None


def _errors(results: Mapping[str, Result]) -> dict[str, float]:
    return {seed: result.errors.top1 for seed, result in results.items() if result.errors}


# -- two variants


@dataclass(frozen=True)
class SeedPair:
    """One seed in both: errors in percent, and how many evaluation images only A has right (``won``) or only B has (``lost``)."""

    seed: str
    a: float
    b: float
    won: int
    lost: int


@dataclass(frozen=True)
class ClassErrors:
    """One class: its mean error (%) in A and B over the seeds of both, and the paired difference A - B with its 95 % interval."""

    name: str
    images: int
    a: float
    b: float
    difference: Estimate


@dataclass(frozen=True)
class VariantPair:
    """Two variants: what differs in their configs ({path: (A, B)}), what training took, errors over all their seeds, and the seeds that
    both have finished; ``same_trials`` of those are the very same trials.

    ``seeds`` is empty where the two were not evaluated on the same images.
    """

    a: Place
    b: Place
    changes: Mapping[str, tuple[Any, Any]]
    times: tuple[TrainingTime, TrainingTime]
    errors: tuple[Estimate, Estimate]
    difference: Estimate
    same_trials: int
    seeds: tuple[SeedPair, ...]
    classes: tuple[ClassErrors, ...]


def variants(a: Place, b: Place) -> VariantPair:
    """Compare two variants over the seeds that both have finished."""
    one, other = _Side(a), _Side(b)
    shared = [seed for seed in one.errors if seed in other.errors]
    same_images = shared and all(np.array_equal(one.labels(seed), other.labels(seed)) for seed in shared)
    pairs = tuple(_seed_pair(seed, one, other) for seed in shared) if same_images else ()
    return VariantPair(
        a,
        b,
        differences(one.variant.recipe, other.variant.recipe),
        (one.time, other.time),
        (interval(one.errors.values()), interval(other.errors.values())),
        paired_difference(one.errors, other.errors),
        sum(one.variant.keys[seed] == other.variant.keys[seed] for seed in shared),
        pairs,
        tuple(_classes(one, other, [pair.seed for pair in pairs])) if pairs else (),
    )


class _Side:
    """One variant's finished trials, by seed."""

    def __init__(self, named: Place) -> None:
        assert named.study is not None and named.variant is not None
        self.store, self.study, self.variant = named.store, named.study, named.variant
        results = finished(self.study, self.store)[self.variant.name]
        self.errors, self.time = _errors(results), TrainingTime.of(results.values())

    def right(self, seed: str) -> NDArray[np.bool_]:
        return self.store.correctness(self.variant.keys[seed]).top1

    def labels(self, seed: str) -> NDArray[np.integer]:
        return self.store.correctness(self.variant.keys[seed]).labels


def _seed_pair(seed: str, one: _Side, other: _Side) -> SeedPair:
    a, b = one.right(seed), other.right(seed)
    return SeedPair(seed, one.errors[seed], other.errors[seed], int((a & ~b).sum()), int((b & ~a).sum()))


def _classes(one: _Side, other: _Side, seeds: list[str]) -> list[ClassErrors]:
    found = []
    for index, name in enumerate(one.study.images.classes):
        a, b = ({seed: _class_error(side, seed, index) for seed in seeds} for side in (one, other))
        images = int((one.labels(seeds[0]) == index).sum())
        means = sum(a.values()) / len(seeds), sum(b.values()) / len(seeds)
        found.append(ClassErrors(name, images, *means, paired_difference(a, b)))
    return found


def _class_error(side: _Side, seed: str, index: int) -> float:
    return 100 * (1 - float(side.right(seed)[side.labels(seed) == index].mean()))


# -- two studies


@dataclass(frozen=True)
class StudyPair:
    """Two studies: settings that differ ({what: (A, B)}), and the variants that are one in both, with A's difference to B."""

    a: Place
    b: Place
    settings: Mapping[str, tuple[Any, Any]]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    shared: tuple[SharedVariant, ...]


@dataclass(frozen=True)
class SharedVariant:
    """A variant of both studies: how it was matched, errors in each, the paired difference A - B, how many of the common seeds are the
    very same trials, and what training took."""

    match: Match
    a: Estimate
    b: Estimate
    difference: Estimate
    same_trials: int
    seeds: int
    times: tuple[TrainingTime, TrainingTime]


def studies(a: Place, b: Place) -> StudyPair:
    """Compare two studies variant by variant."""
    assert a.study is not None and b.study is not None
    one, other = a.study, b.study
    found = finished(one, a.store), finished(other, b.store)
    matches = matched(one, other)
    names = {match.a.name for match in matches}, {match.b.name for match in matches}
    return StudyPair(
        a,
        b,
        _settings(one, other),
        tuple(variant.name for variant in one.variants if variant.name not in names[0]),
        tuple(variant.name for variant in other.variants if variant.name not in names[1]),
        tuple(_shared(match, found[0][match.a.name], found[1][match.b.name]) for match in matches),
    )


def _settings(one: Study, other: Study) -> dict[str, tuple[Any, Any]]:
    fields = ("suite", "preset", "overrides", "delta", "reference", "seeds", "planned_looks", "precision", "vary")
    found = {name: (getattr(one, name), getattr(other, name)) for name in fields if getattr(one, name) != getattr(other, name)}
    if one.data != other.data:
        found["data"] = (_data(one), _data(other))
    recipes = differences(one.variant(one.reference).recipe, other.variant(other.reference).recipe)
    return found | {f"{path} (of the references)": values for path, values in recipes.items()}


def _data(study: Study) -> str:
    data = study.images
    content = f", fingerprint {data.fingerprint}" if data.fingerprint else ""
    return f"{data.label}, {data.train:,} training images, {data.evaluated:,} {data.evaluated_on} images{content}"


def _shared(match: Match, one: Mapping[str, Result], other: Mapping[str, Result]) -> SharedVariant:
    keys, errors = (match.a.keys, match.b.keys), (_errors(one), _errors(other))
    common = [seed for seed in keys[0] if seed in keys[1]]
    return SharedVariant(
        match,
        interval(errors[0].values()),
        interval(errors[1].values()),
        paired_difference(*errors),
        sum(keys[0][seed] == keys[1][seed] for seed in common),
        len(common),
        (TrainingTime.of(one.values()), TrainingTime.of(other.values())),
    )


# -- two workspaces


@dataclass(frozen=True)
class WorkspacePair:
    """Two workspaces: studies and ended trials in each, of the trials in both those that did not give the same ({key: (A, B)}), and what
    those of both took."""

    a: Place
    b: Place
    studies: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    """In both, in A alone, in B alone."""
    trials: tuple[int, int, int]
    differing: Mapping[str, tuple[str, str]]
    times: tuple[TrainingTime, TrainingTime]


def workspaces(a: Place, b: Place) -> WorkspacePair:
    """Compare what two workspaces hold; the same trial should have given the same wherever it ran."""
    names = [set(side.store.studies()) for side in (a, b)]
    ended = [_outcomes(side.store) for side in (a, b)]
    both = sorted(ended[0].keys() & ended[1].keys())
    results = [(_result(a.store, key), _result(b.store, key)) for key in both]
    done = [(one, other) for one, other in results if one is not None and other is not None]
    return WorkspacePair(
        a,
        b,
        (tuple(sorted(names[0] & names[1])), tuple(sorted(names[0] - names[1])), tuple(sorted(names[1] - names[0]))),
        (len(both), len(ended[0].keys() - ended[1].keys()), len(ended[1].keys() - ended[0].keys())),
        {key: (ended[0][key], ended[1][key]) for key in both if ended[0][key] != ended[1][key]},
        (TrainingTime.of(one for one, _ in done), TrainingTime.of(other for _, other in done)),
    )


def _outcomes(store: Store) -> dict[str, str]:
    keys = store.keys()
    told = [(key, _outcome(store, key)) for key in keys]
    return {key: outcome for key, outcome in told if outcome is not None}


def _outcome(store: Store, key: str) -> str | None:
    """What a trial gave, in words that are equal where the numbers are; None where it has not ended."""
    try:
        result = store.result(key)
    except DamagedStore:
        return "damaged"
    if result is None:
        return None
    return result.status if result.errors is None else f"{result.errors.top1} % top-1, loss {result.errors.loss}"
