"""A training loop of a user's own: a function that is given settings and a seed, and the study that its settings make.

Everything around it is the same as for the loop of this project: pairing by seed, the store, resuming, engines, MLflow, the statistics.
What the numbers mean is the loop's own matter, so the study's page is the one that ``ablate judge`` writes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypedDict, TypeVar, Unpack

from ablations.own_source import source_of
from ablations.result import Line
from ablations.study import Metric, Settings, Study, StudyVariant
from ablations.suite import SUITES
from senet_core.config import canonical, flat
from senet_core.errors import InputError, unknown
from senet_core.registry import Registry
from senet_core.seeds import Seed, normal_seed

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Stopped(BaseException):
    """The run is to stop. Not an ``Exception``, so that a loop which goes on after errors does not go on after this one."""


class Report:
    """What a loop calls after each epoch: its number, counted from 1, and what was measured in it.

    :raises Stopped: where the run is to stop. What the loop keeps in ``out`` is there when it is called again.
    """

    def __init__(self, tell: Callable[[Line], None], should_stop: Callable[[], bool]) -> None:
        self._tell, self._should_stop = tell, should_stop
        self.stopped, self._home = False, Path.cwd()

    def __call__(self, epoch: int, **values: float) -> None:
        finite = {name: value for name, value in _numbers(values).items() if math.isfinite(value)}
        there = Path.cwd()
        os.chdir(self._home)  # the workspace may be known by a relative path, and the loop elsewhere by now
        try:
            self._tell(Line(epoch=int(epoch), values=finite))
        finally:
            os.chdir(there)
        self.pause()

    def pause(self) -> None:
        """Between two epochs: nothing to report, but a good moment to stop.

        :raises Stopped: where the run is to stop.
        """
        if self.stopped or self._should_stop():
            self.stopped = True
            raise Stopped


class Train(Protocol):
    """``config`` are the settings, ``out`` is a folder of the trial's own, which outlives interruptions; returns numbers by name."""

    def __call__(self, config: dict[str, Any], seed: int, out: Path, report: Report) -> Mapping[str, float]: ...


F = TypeVar("F", bound=Train)
Values: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Loop:
    """A loop and the study that is made of its settings; ``variants`` is {name: settings}, of which ``reference`` names one.

    ``delta`` is the difference of the metric that does not matter, in its own unit; ``source`` the hash of the code that trains.
    """

    name: str
    train: Train
    source: str
    metric: Metric
    delta: float
    reference: str
    variants: Mapping[str, Values]
    title: str
    question: str


LOOPS: Registry[Loop] = Registry("training loop")


class Words(TypedDict, total=False):
    """Words for the page of a study."""

    title: str
    question: str


class Asked(Words):
    """What a study of a loop asks: the name of the number that decides, and whether "lower" or "higher" is better; the difference of it
    that does not matter, in its own unit; the settings to compare by their names, and the name of the reference."""

    metric: str
    better: str
    delta: float
    reference: str
    variants: Mapping[str, Values]


def loop(name: str, **asked: Unpack[Asked]) -> Callable[[F], F]:
    """Decorator that registers a training function together with what is asked of it (see ``Asked``).

    An edited file trains anew; so a question that is still to change is best declared in a file of its own, which gets the function from
    another one.

    :raises InputError: for a reference that is no variant, a single variant, settings that are not plain values, or another mistake.
    """

    def register(train: F) -> F:
        add(name, train, source_of(train), asked)
        return train

    return register


def study_of(one: Loop, seeds: Sequence[Seed]) -> Study:
    """The study of a loop's variants at some seeds."""
    texts = tuple(canonical(normal_seed(seed)) for seed in seeds)
    reference = flat(one.variants[one.reference])
    variants = []
    for name, values in one.variants.items():
        settings = Settings(loop=one.name, source=one.source, metric=one.metric.name, settings=dict(values))
        own = flat(values)
        paths = sorted(reference.keys() | own.keys())
        changes = {path: (reference.get(path), own.get(path)) for path in paths if reference.get(path) != own.get(path)}
        keys = {text: trial_key(settings, seed) for text, seed in zip(texts, seeds, strict=True)}
        variants.append(StudyVariant(name=name, config=settings, changes=changes, cost=None, keys=keys))
    return Study(
        name=one.name,
        suite=one.name,
        title=one.title,
        question=one.question,
        source="our own",
        table=None,
        factor=tuple(sorted({path for variant in variants for path in variant.changes})),
        reference=one.reference,
        claims=(),
        notes=(),
        preset=PRESET,
        overrides={},
        delta=one.delta,
        converged=False,
        data=None,
        metric=one.metric,
        seeds=texts,
        looks=(texts,),
        variants=tuple(variants),
    )


PRESET = "own"
"""What stands for the preset in a study of a user's own loop, whose settings say all."""


def trial_key(settings: Settings, seed: Seed) -> str:
    """First 12 hex digits of SHA-256 over the canonical JSON of the settings, the loop's source, its metric and the seed."""
    return hashlib.sha256(canonical({**settings.tree(), "seed": normal_seed(seed)}).encode()).hexdigest()[:12]


def called(settings: Settings, seed: int, out: Path, tell: Callable[[Line], None], should_stop: Callable[[], bool]) -> dict[str, float]:
    """Train by the loop that the settings name; returns all its numbers, that of the metric among them.

    :raises InputError: where the loop is not the one that the trial was planned for, or returns no such number.
    :raises Stopped: where ``should_stop`` said so.
    """
    one = LOOPS[settings.loop].value
    if one.source != settings.source:
        raise InputError(f"The training loop '{settings.loop}' was edited since this trial was planned.")
    report = Report(tell, should_stop)
    found = _trained(one.train, json.loads(canonical(settings.settings)), seed, out, report)
    if not isinstance(found, Mapping) or one.metric.name not in found:
        told = f"the numbers {', '.join(map(str, found))}" if isinstance(found, Mapping) else type(found).__name__
        raise InputError(f"The training loop '{one.name}' returned {told or 'nothing'} and no '{one.metric.name}'.")
    return _numbers(found)


# -- the parts


def _trained(train: Train, config: dict[str, Any], seed: int, out: Path, report: Report) -> Any:
    """What the function returns. Whatever it raises is this trial's end and not the run's, and a stop is one whatever became of it."""
    home = Path.cwd()
    try:
        found = train(config, seed, out, report)
    except (Stopped, KeyboardInterrupt):
        raise
    except BaseException as error:
        if report.stopped:
            raise Stopped from error
        if isinstance(error, OSError) and error.errno in FULL:
            raise  # of a disk that is full no trial is to blame
        if isinstance(error, OSError) or not isinstance(error, Exception):
            told = f"sys.exit({error.code!r})" if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
            raise RuntimeError(told) from error
        raise
    finally:
        os.chdir(home)
    if report.stopped:  # a framework caught it and returned what it had: the numbers of an unfinished training
        raise Stopped
    return found


def add(name: str, train: Train, source: str, asked: Asked) -> None:
    """Register a loop whose code has that hash.

    :raises InputError: as ``loop`` does.
    """
    what, given = f"The training loop '{name}'", dict(asked)
    for wrong in given.keys() - (Asked.__required_keys__ | Asked.__optional_keys__):
        raise unknown(f"argument of the training loop '{name}'", wrong, [*Asked.__required_keys__, *Asked.__optional_keys__])
    for needed in sorted(Asked.__required_keys__ - given.keys()):
        raise InputError(f"{what} does not say '{needed}'.")
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z]\w{0,79}", name, re.ASCII)):
        raise InputError(f"A training loop cannot be named {name!r}: its name is a file's, of letters, digits and '_'.")
    if name in SUITES.names():
        raise InputError(f"There is a suite '{name}'; give the training loop another name.")
    for word in sorted(given.keys() - {"variants", "delta"}):
        if not isinstance(given[word], str):
            raise InputError(f"{what}: {word} is a text, not {given[word]!r}.")
    reference, variants, delta, better = asked["reference"], asked["variants"], asked["delta"], asked["better"]
    if reference not in variants:
        raise unknown(f"variant of the training loop '{name}'", reference, variants)
    if better not in ("lower", "higher"):
        raise InputError(f"{what}: better is 'lower' or 'higher', not {better!r}.")
    if not (isinstance(delta, int | float) and 0 < delta < math.inf):
        raise InputError(f"{what}: delta is the difference of '{asked['metric']}' that does not matter, a number above 0, not {delta!r}.")
    _refuse_unclear(what, variants)
    metric = Metric(name=asked["metric"], lower_is_better=better == "lower")
    words = asked.get("title", name), asked.get("question", f"Which settings of {name} matter for {metric.name}?")
    LOOPS.add(name)(Loop(name, train, source, metric, float(delta), reference, dict(variants), *words))


def _refuse_unclear(what: str, variants: Mapping[str, Values]) -> None:
    """:raises InputError: for settings that are no plain values, or that do not tell the variants apart."""
    if len(variants) < 2:
        raise InputError(f"{what} has one variant; a comparison needs another one.")
    seen: dict[str, str] = {}
    for variant, values in variants.items():
        if not isinstance(variant, str) or not variant.strip() or not _has_words_as_names(values):
            raise InputError(f"{what}: variants and settings have texts as names, and not all of {variant!r} have.")
        if "seed" in values:
            raise InputError(f"{what}: no setting can be called 'seed'; each trial is given its own.")
        try:
            text = canonical(dict(values))
        except (TypeError, ValueError):
            raise InputError(f"{what}: the settings of '{variant}' must be numbers, words, lists and dictionaries of these.") from None
        if text in seen:
            raise InputError(f"{what}: '{variant}' and '{seen[text]}' have the same settings.")
        seen[text] = variant


def _has_words_as_names(values: object) -> bool:
    if isinstance(values, Mapping):
        return all(isinstance(name, str) and name and _has_words_as_names(value) for name, value in values.items())
    return all(map(_has_words_as_names, values)) if isinstance(values, list | tuple) else True


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    try:
        return {str(name): float(value) for name, value in values.items()}
    except (TypeError, ValueError):
        raise InputError(f"A training loop reports and returns numbers, not {dict(values)!r:.200}.") from None
