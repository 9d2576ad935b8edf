"""Verdicts for numbers that somebody already has: from a table of runs to arms, and from those to the comparisons of a study.

A run that is marked failed, crashed, killed or running is a hole, and so is one without a number. A run that came to its end with NaN or
an infinite number diverged: that is an outcome, and is counted (see ``comparison.Arm``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ablations.judging import columns
from ablations.judging.cells import STATES, numbers
from ablations.judging.columns import Column
from ablations.judging.table import Table, read_csv
from ablations.statistics.comparison import Arm, Comparisons, Pair, Rule, compare, declared
from ablations.statistics.estimation import FalseAlarms, false_alarms, seed_correlation
from senet_core.errors import InputError, unknown

SPLITS = 0
"""The seed of the false-alarm check's random splits: the same table gives the same page."""


@dataclass(frozen=True)
class Asked:
    """What the user says of a table. None: by the names of its columns; ``delta`` None: nothing is equivalent.

    ``where`` holds (column, value) pairs that a run must have.
    """

    reference: str
    metric: str | None = None
    variant: str | None = None
    seed: str | None = None
    lower_is_better: bool | None = None
    delta: float | None = None
    where: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Judgement:
    """Arms with the reference first, the comparisons of all others with it, and in sentences how the table was read and what it lacks."""

    source: str
    metric: str
    reference: str
    lower_is_better: bool
    delta: float | None
    arms: Mapping[str, Arm]
    comparisons: Comparisons
    correlation: float | None
    alarms: FalseAlarms | None
    reading: tuple[str, ...]
    holes: tuple[str, ...]


def runs(file: Path | None, origin: str | None, experiment: str | None) -> Table:
    """The runs of a CSV file, or of an MLflow experiment where ``origin`` says "mlflow:URI".

    :raises InputError: unless exactly one of the two is given and can be read.
    """
    if (file is None) == (origin is None):
        raise InputError("Say where the runs are: either a CSV file or --from mlflow:URI.")
    if file is not None:
        if experiment is not None:
            raise InputError("--experiment goes with --from mlflow:URI; a file has no experiments.")
        return read_csv(file)
    from ablations.judging.experiment import read_experiment

    return read_experiment(origin or "", experiment)


def judge(table: Table, asked: Asked) -> Judgement:
    """Read the table, and decide all its variants against the reference together.

    :raises InputError: for what is missing or unclear (a column, the direction, the reference, a second variant), or a run told twice.
    """
    table = _selected(table, asked.where)
    runs = _Runs.of(table, asked)
    lower_is_better, direction = _direction(runs.metric.name, asked.lower_is_better)
    if asked.reference not in runs.arms:
        raise unknown("variant", asked.reference, runs.arms)
    arms = {asked.reference: runs.arms[asked.reference], **runs.arms}
    if len(arms) == 1:
        raise InputError(
            f"'{table.source}' has the variant '{asked.reference}' alone ({runs.variant.name}); a comparison needs another one."
        )
    order = _ordered(seed for arm in arms.values() for seed in (*arm.values, *arm.diverged))
    reference, others = arms[asked.reference], [arm for name, arm in arms.items() if name != asked.reference]
    return Judgement(
        source=table.source,
        metric=columns.TOOLS.sub("", runs.metric.name, count=1),
        reference=asked.reference,
        lower_is_better=lower_is_better,
        delta=asked.delta,
        arms=arms,
        comparisons=compare(arms, declared(Pair(name, asked.reference) for name in arms), asked.delta, Rule(order), lower_is_better),
        correlation=seed_correlation([arm.values for arm in others], reference.values),
        alarms=false_alarms([reference.values[seed] for seed in order if seed in reference.values], np.random.default_rng(SPLITS)),
        reading=(*table.notes, runs.told(), direction),
        holes=(*runs.holes, *_unpaired(arms, asked.reference, order)),
    )


def _selected(table: Table, where: Sequence[tuple[str, str]]) -> Table:
    """The runs that have the asked values, without those that other runs are nested under."""
    notes = list(table.notes)
    for name, value in where:
        cells = columns.asked(table, name, "--where").cells
        kept = tuple(run for run, cell in zip(table.runs, cells, strict=True) if cell == value)
        if not kept:
            raise unknown(f"run with {name}", value, {cell for cell in cells if cell})
        notes.append(f"Of {len(table.runs)} runs, the {len(kept)} with {name} = {value}.")
        table = replace(table, runs=kept)
    parents = columns.parents(table)
    kept = tuple(run for run, identity in zip(table.runs, columns.identities(table), strict=True) if identity not in parents)
    if len(kept) < len(table.runs):
        notes.append(f"Runs that others are nested under summarise them, and are left out: {len(table.runs) - len(kept)}.")
    return replace(table, runs=kept, notes=tuple(notes))


def _direction(metric: str, asked: bool | None) -> tuple[bool, str]:
    """Whether lower is better, and a sentence that says where this comes from."""
    if asked is not None:
        return asked, f"{'Lower' if asked else 'Higher'} is better, as asked."
    found = columns.lower_is_better(metric)
    if found is None:
        raise InputError(f"The name '{metric}' does not say which way is better; say it by --lower-is-better or --higher-is-better.")
    other = "--higher-is-better" if found else "--lower-is-better"
    return found, f"{'Lower' if found else 'Higher'} is better: assumed from the name '{metric}' ({other} says otherwise)."


def _ordered(seeds: Iterable[str]) -> tuple[str, ...]:
    """Each seed once, by its number where all are numbers."""
    found = list(dict.fromkeys(seeds))
    return tuple(sorted(found, key=int) if all(seed.removeprefix("-").isdecimal() for seed in found) else found)


def _unpaired(arms: Mapping[str, Arm], reference: str, order: Sequence[str]) -> list[str]:
    """A sentence on the seeds that one of two arms has alone; diverged ones are counted, and so not among them."""
    base, told = arms[reference], []
    for name, arm in arms.items():
        known = arm.diverged | base.diverged
        alone = [seed for seed in order if (seed in arm.values) != (seed in base.values) and seed not in known]
        if alone:
            told.append(f"'{name}' at {_seeds(alone)}")
    return [f"One of the two runs is missing, so there is no difference: {_some(told)}."] if told else []


def _seeds(seeds: Sequence[str], most: int = 10) -> str:
    more = f" and {len(seeds) - most} more" if len(seeds) > most else ""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds[:most])}{more}"


# -- runs


@dataclass(frozen=True)
class _Runs:
    """What the runs of a table gave: the columns that were read, the arms in the table's order, and sentences on what is left out."""

    variant: Column
    seed: Column
    metric: Column
    arms: Mapping[str, Arm]
    holes: tuple[str, ...]
    count: int

    @classmethod
    def of(cls, table: Table, asked: Asked) -> _Runs:
        """Read all runs.

        :raises InputError: for an unknown column or state, a cell that is no number, or a variant and seed with two ended runs.
        """
        ends = columns.states(table)
        seed = columns.seeds(table, asked.seed)
        taken = [seed.name, *(column.name for column in ends)]
        named = None if asked.metric is None else columns.metric(table, asked.metric, taken)
        variant = columns.variants(table, asked.variant, asked.reference, taken if named is None else [*taken, named.name])
        metric = named or columns.metric(table, None, [*taken, variant.name])
        found = _Sorted(table)
        outcomes = _outcomes(table, metric, ends)
        for run, name, number, outcome in zip(table.runs, variant.cells, seed.cells, outcomes, strict=True):
            found.add(run.place, name, number, outcome)
        if not found.values:
            raise InputError(f"No run of '{table.source}' has both a variant ({variant.name}) and a seed ({seed.name}).")
        return cls(variant, seed, metric, found.arms(), tuple(found.sentences()), len(table.runs))

    def told(self) -> str:
        """Which columns were read."""
        return f"{self.count} runs; variant: {self.variant.name}; seed: {self.seed.name}; number: {self.metric.name}."


Outcome = float | str
"""What became of a run: its number, NaN where it diverged, or in a word why there is none."""


def _outcomes(table: Table, metric: Column, ends: Sequence[Column]) -> list[Outcome]:
    """The outcome of each run; the numbers of runs that did not come to an end are not looked at."""
    marks = [_mark(run.place, [(column.name, column.cells[index]) for column in ends]) for index, run in enumerate(table.runs)]
    ended = [index for index, mark in enumerate(marks) if mark is None]
    cells, places = [metric.cells[index] for index in ended], [table.runs[index].place for index in ended]
    values = dict(zip(ended, numbers(cells, places, metric.name, table.comma), strict=True))
    return [NUMBERLESS if (value := values.get(index, mark)) is None else value for index, mark in enumerate(marks)]


def _mark(place: str, cells: Sequence[tuple[str, str]]) -> Outcome | None:
    """NaN for a run that is marked as diverged, the word for one that is marked as not finished, None for one that ended."""
    words = [word for _, cell in cells if (word := cell.casefold())]
    for column, cell in cells:
        if cell and cell.casefold() not in STATES:
            raise InputError(
                f"'{cell}' (column '{column}', {place}) is no state of a run that is known here: {', '.join(sorted(STATES))}. "
                "Write one of these, or give the column another name."
            )
    if any(STATES[word] == "diverged" for word in words):
        return math.nan
    return next((word for word in words if STATES[word] == "unfinished"), None)


NUMBERLESS = "no number"


@dataclass
class _Sorted:
    """Runs by variant and seed, as they are read."""

    table: Table
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    places: dict[tuple[str, str], str] = field(default_factory=dict)
    unfinished: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    nameless: list[str] = field(default_factory=list)
    seedless: list[str] = field(default_factory=list)

    def add(self, place: str, variant: str, seed: str, outcome: Outcome) -> None:
        """Take one run.

        :raises InputError: if another one of the same variant and seed came to its end as well.
        """
        if not variant or not seed:
            (self.seedless if variant else self.nameless).append(place)
            return
        values = self.values.setdefault(variant, {})
        if isinstance(outcome, str):
            self.unfinished[variant, seed] = (outcome, place)
            return
        if (variant, seed) in self.places:
            raise InputError(
                f"'{variant}' has two runs at seed {seed} in '{self.table.source}': {self.places[variant, seed]} and {place}. "
                "Leave one of them, or say which runs are meant by --where COLUMN=VALUE."
            )
        self.places[variant, seed] = place
        values[seed] = outcome

    def arms(self) -> dict[str, Arm]:
        """Finished and diverged seeds of each variant."""
        return {
            name: Arm(
                {seed: value for seed, value in values.items() if not math.isnan(value)},
                frozenset(seed for seed, value in values.items() if math.isnan(value)),
            )
            for name, values in self.values.items()
        }

    def sentences(self) -> list[str]:
        """What is left out, and why; a run that was done again is not missing."""
        told, by_reason = [], dict[str, list[str]]()
        for (variant, seed), (reason, place) in self.unfinished.items():
            if (variant, seed) not in self.places:
                by_reason.setdefault(reason, []).append(f"'{variant}' seed {seed} ({place})")
        for reason, runs in by_reason.items():
            if reason == NUMBERLESS:
                told.append(f"Ended without a number: {_some(runs)}. If such a run diverged, write NaN in its cell, so that it counts.")
            else:
                told.append(f"Left out, as they are marked {reason}: {_some(runs)}.")
        if self.nameless:
            told.append(f"Left out, as no variant is told: {_some(self.nameless)}.")
        if self.seedless:
            told.append(f"Left out, as no seed is told: {_some(self.seedless)}.")
        return told


def _some(texts: Sequence[str], most: int = 8) -> str:
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")
