"""From a study and the store to the numbers of a report: rows, curves, holes, provenance. Reads the store only.

``read`` loads and verifies every trial once; all numbers of one page come from that one reading, also while a run goes on.
A diverged trial is an outcome: counted, never averaged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from statistics import median

import numpy as np
from numpy.typing import NDArray

from ablations.published import published
from ablations.result import Result
from ablations.statistics.comparison import Arm, Comparison
from ablations.statistics.estimation import Estimate, interval, seed_correlation
from ablations.statistics.verdicts import Verdicts, decide, members
from ablations.store import DamagedStore, State, Store
from ablations.study import Start, Study, StudyVariant

REASONS: Mapping[State, str] = {
    "missing": "not started, or stopped before its first checkpoint",
    "resumable": "stopped; goes on from its checkpoint",
    "failed": "no reason was recorded",
    "diverged": "its loss was no longer finite",
}


@dataclass(frozen=True)
class Cell:
    """One variant at one seed: its trial's key, what is stored of it, and why there is no number where there is none."""

    variant: str
    seed: str
    key: str
    state: State
    result: Result | None
    reason: str


@dataclass(frozen=True)
class Row:
    """One line of an error table. Errors are top-1 in percent, differences in percentage points against the row's own reference.

    ``comparison`` is None for a reference, and for a network that is its reference's; ``minutes`` is what the seeds that it still needs
    would take, by the median time of the trials so far on their machines.
    ``published`` and ``published_difference`` are the paper's own numbers, of its network on its data. ``start`` is how the network stands
    before training, ``dead_gates`` the mean share of dead gates after it (None where nobody looked). ``errors`` is {seed: error} of the
    finished trials, ``states`` counts the seeds by what is stored of them. ``mixed`` names what differs ("commit", "device", a
    package) among the trials of this row and of the reference.
    """

    variant: str
    reference: str
    hidden_widths: tuple[int, ...]
    parameters: int
    macs: int
    errors: Mapping[str, float]
    error: Estimate
    comparison: Comparison | None
    minutes: float | None
    published: Decimal | None
    published_difference: Decimal | None
    same_as: str | None
    start: Start | None
    dead_gates: float | None
    states: Mapping[State, int]
    mixed: tuple[str, ...]

    @property
    def is_reference(self) -> bool:
        """Whether the row is compared with no other."""
        return self.reference == self.variant

    @property
    def named(self) -> str:
        """The variant's name, with a word where it is a reference."""
        return self.variant + (" (reference)" if self.is_reference else "")

    @property
    def count(self) -> str:
        """The number of averaged seeds and what became of the others: "3, 1 diverged"."""
        others = (f"{n} {_IN_WORDS.get(state, state)}" for state, n in self.states.items() if state != "done")
        return ", ".join([str(self.error.n), *others])


_IN_WORDS: Mapping[State, str] = {"resumable": "unfinished"}


def one_reference(rows: Sequence[Row]) -> str | None:
    """The reference that all rows share, or None where there are several."""
    names = {row.reference for row in rows}
    return names.pop() if len(names) == 1 else None


@dataclass(frozen=True)
class Curve:
    """Training top-1 error (%) of one variant after each epoch: mean, least and greatest over its finished seeds, each (epochs,)."""

    variant: str
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """A study and its cells, seed by seed, as they were when they were read."""

    study: Study
    cells: tuple[Cell, ...]

    def errors(self, variant: str) -> dict[str, float]:
        """{seed: top-1 error in percent} of the variant's finished trials."""
        return {c.seed: c.result.errors.top1 for c in self.cells if c.variant == variant and c.result and c.result.errors}

    @cached_property
    def verdicts(self) -> Verdicts:
        """All that the study declares to compare, decided by what is there."""
        return decide(self.study, self.arms)

    @cached_property
    def arms(self) -> dict[str, Arm]:
        """Every variant by its name: the errors of its finished seeds, and those that diverged."""
        return {variant.name: self._arm(variant.name) for variant in self.study.variants}

    def _arm(self, variant: str) -> Arm:
        diverged = frozenset(cell.seed for cell in self.cells if cell.variant == variant and cell.state == "diverged")
        return Arm(self.errors(variant), diverged)

    @property
    def pairs(self) -> int:
        """The pairs of finished seeds that a declared comparison of two variants has by now, the most that one has."""
        arms = self.arms
        return max((len(arms[one.variant].values.keys() & arms[one.reference].values) for one in self.verdicts.of_variants), default=0)

    def minutes(self, comparison: Comparison | None) -> float | None:
        """What the seeds that a comparison still needs would take, all networks of both arms together; None where that is not known."""
        if comparison is None or comparison.needed is None:
            return None
        times = [self._minutes_a_trial(name) for name in members(self.study, comparison.variant, comparison.reference)]
        known = [time for time in times if time is not None]
        return sum(known) * (comparison.needed - comparison.n) if len(known) == len(times) else None

    def _minutes_a_trial(self, variant: str) -> float | None:
        seconds = [c.result.timing.total for c in self.cells if c.variant == variant and c.result and c.state == "done"]
        return median(seconds) / 60 if seconds else None

    def rows(self) -> list[Row]:
        """The table's rows. Those that redraw a row of the paper take the paper's order among themselves; the others keep their place."""
        return list(self._rows)

    @cached_property
    def _rows(self) -> tuple[Row, ...]:
        return tuple(_row(self, variant) for variant in _ordered(self.study))

    def curves(self) -> list[Curve]:
        """A curve for every variant with a finished trial, in the order of the rows; a null ablation has that of its twin."""
        variants = [variant for variant in _ordered(self.study) if variant.same_as is None]
        return [curve for variant in variants if (curve := _curve(self, variant.name)) is not None]

    def holes(self) -> list[Cell]:
        """The cells without an error: missing, unfinished, failed, damaged and diverged, each with its reason."""
        return [cell for cell in self.cells if cell.state != "done"]

    @property
    def finished(self) -> bool:
        """Whether every trial has come to its end, be it by divergence."""
        return all(cell.state in ("done", "diverged") for cell in self.cells)

    def provenance(self) -> dict[str, dict[str, int]]:
        """What the stored trials ran with: {fact: {value: number of trials}}; a trial that variants share counts once."""
        return _provenance({cell.key: cell.result for cell in self.cells}.values())

    def seed_correlation(self) -> float | None:
        """How much of the seeds' effect variants and reference have in common (``ablations.statistics.estimation.seed_correlation``)."""
        reference = self.errors(self.study.reference)
        others = [v for v in self.study.variants if v.same_as is None and v.name != self.study.reference]
        return seed_correlation([self.errors(variant.name) for variant in others], reference)


def read(study: Study, store: Store) -> Reading:
    """Load and verify every trial of the study; a damaged one becomes a cell that says so."""
    return Reading(study, tuple(_cell(store, variant.name, seed, key) for variant, seed, key in study.trials()))


def rows(study: Study, store: Store) -> list[Row]:
    """The rows of a study's error table, read now."""
    return read(study, store).rows()


def _cell(store: Store, variant: str, seed: str, key: str) -> Cell:
    try:
        result = store.result(key)
    except DamagedStore as error:
        return Cell(variant, seed, key, "damaged", None, str(error))
    if result is not None:
        return Cell(variant, seed, key, result.status, result, REASONS.get(result.status, ""))
    state, failure = store.state(key), store.failure(key)
    return Cell(variant, seed, key, state, None, failure.reason if failure else REASONS.get(state, ""))


def _ordered(study: Study) -> list[StudyVariant]:
    table = published(study.table)
    if table is None:
        return list(study.variants)
    place = {name: index for index, name in enumerate(table.names())}
    redrawn = iter(sorted((v for v in study.variants if v.published in place), key=lambda v: place[v.published or ""]))
    return [next(redrawn) if variant.published in place else variant for variant in study.variants]


def _row(reading: Reading, variant: StudyVariant) -> Row:
    reference = reading.study.reference_of(variant)
    errors = reading.errors(variant.name)
    error, difference = _published(reading.study, variant)
    comparison = reading.verdicts.row(variant)
    return Row(
        variant=variant.name,
        reference=reference,
        hidden_widths=variant.price.hidden_widths,
        parameters=variant.price.parameters,
        macs=variant.price.macs,
        errors=errors,
        error=interval(errors.values()),
        comparison=comparison,
        minutes=reading.minutes(comparison),
        published=error,
        published_difference=difference,
        same_as=variant.same_as,
        start=variant.start,
        dead_gates=_dead_gates(reading, variant.name),
        states=Counter(cell.state for cell in reading.cells if cell.variant == variant.name),
        mixed=_mixed(cell.result for cell in reading.cells if cell.variant in (variant.name, reference)),
    )


def _dead_gates(reading: Reading, variant: str) -> float | None:
    """The mean over the finished trials, or None where nobody looked or there is no gated block."""
    shares = [c.result.dead_gates for c in reading.cells if c.variant == variant and c.result and c.result.dead_gates is not None]
    return sum(shares) / len(shares) if shares else None


def _published(study: Study, variant: StudyVariant) -> tuple[Decimal | None, Decimal | None]:
    """The paper's error for the variant, and its difference to the paper's row of the variant's reference."""
    own = study.reference_of(variant)
    table, reference = published(study.table), study.variant(own).published
    if table is None or variant.published is None:
        return None, None
    error = table.row(variant.published).error
    if reference is None or variant.name == own:
        return error, None
    return error, table.difference(variant.published, reference)


def _curve(reading: Reading, variant: str) -> Curve | None:
    results = [cell.result for cell in reading.cells if cell.variant == variant and cell.result and cell.state == "done"]
    if not results:
        return None
    errors = np.array([[epoch.error for epoch in result.history] for result in results])
    return Curve(variant, errors.mean(axis=0), errors.min(axis=0), errors.max(axis=0))


def _facts(result: Result) -> dict[str, str]:
    """What a row must not mix, by name: commit, device and package versions."""
    ran = result.provenance
    commit = (ran.commit or "unknown") + (" with uncommitted changes" if ran.dirty else "")
    return {"commit": commit, "device": ran.device, **dict(sorted(ran.versions.items()))}


def _mixed(results: Iterable[Result | None]) -> tuple[str, ...]:
    facts = [_facts(result) for result in results if result]
    names = dict.fromkeys(name for fact in facts for name in fact)
    return tuple(name for name in names if len({fact.get(name) for fact in facts}) > 1)


def _provenance(results: Iterable[Result | None]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for result in results:
        if result is None:
            continue
        execution = {name: str(value) for name, value in sorted(result.provenance.execution.items())}
        for name, value in (_facts(result) | execution).items():
            counts.setdefault(name, Counter())[value] += 1
    return {name: dict(sorted(values.items())) for name, values in counts.items()}
