"""When to stop adding seeds: Stein's two stages beside stopping at a narrow interval, and declared looks beside undeclared ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from ablations.statistics import estimation, power
from ablations.statistics.estimation import Array
from benchmarks.validity_cells import CHUNK, Cell, against_reference, standard
from benchmarks.validity_page import Check, Means, Scale, Section, percent

ALPHA = 0.05
MOST = 30
FIRST = (3, 5)
HALF_WIDTHS = (0.4, 0.6, 0.8, 1.0, 1.5)
DELTA = 2.0


def sections(scale: Scale) -> Iterator[Section]:
    """Both questions."""
    yield _precision(scale)
    yield _looks(scale)


# -- until the interval is narrow enough


def _precision(scale: Scale) -> Section:
    rows, stein, naive = [], [], []
    settings = product((("normal", 1), ("normal", 4), ("skewed", 1)), FIRST, HALF_WIDTHS)
    for stream, ((errors, contrasts), first, half_width) in enumerate(settings):
        means = Means()
        for differences in _differences(errors, contrasts, scale, stream):
            for name, rule in {"naive": _until_narrow, "stein": _two_stages}.items():
                covered, seeds = rule(differences, first, half_width)
                means.add(covered.mean(-1), "covered", name)
                means.add(seeds, "seeds", name)
        figures = [(percent(means.one("covered", name)), f"{means.one('seeds', name):.1f}") for name in ("naive", "stein")]
        rows.append([errors, str(contrasts), str(first), f"{half_width:g}", *(text for pair in figures for text in pair)])
        if errors == "normal":
            stein.append(means.one("covered", "stein"))
            naive.append(means.one("covered", "naive"))
    return Section(
        "Seeds until the interval is narrow enough",
        f"Coverage (%) of the own 95 % interval of a difference, and seeds used on average, with at most {MOST}. Half-widths are in units "
        "of the differences' standard deviation. Naive: seeds are added one by one until each contrast has the half-width. Stein: the "
        "first seeds alone say how many there will be, and give the variance. "
        "Of four contrasts (correlation 0.3, one reference) the one that asks for most decides.",
        ["errors", "contrasts", "first", "half-width", "naive: coverage", "seeds", "Stein: coverage", "seeds"],
        rows,
        [
            Check("coverage of Stein's procedure, worst normal row", min(stein), scale.covers(looked_at=len(stein)), at_least=True),
            Check("coverage of naive stopping, worst normal row (it must be seen to fall short)", min(naive), 0.93),
        ],
    )


def _differences(errors: str, contrasts: int, scale: Scale, stream: int) -> Iterator[Array]:
    """Arrays (draws, contrasts, seeds) of differences with true mean 0 and deviation 1, in chunks.

    The skewed ones are skewed themselves; differences of two arms that are skewed alike would be symmetric.
    """
    generator = scale.generator(2, stream)
    if contrasts == 1:
        for start in range(0, scale.draws, CHUNK):
            yield standard(errors, (min(CHUNK, scale.draws - start), 1, MOST), generator)
    else:
        for table in Cell(errors, "equal", 0.3, MOST).tables(scale.draws, generator):
            values, reference = against_reference(table)
            yield (values - reference) / np.sqrt(2 * (1 - 0.3))


def _two_stages(differences: Array, first: int, half_width: float) -> tuple[Array, Array]:
    """Whether each of Stein's intervals covers, and how many seeds they took."""
    deviations = estimation.paired(differences[..., :first], np.zeros(first)).error.max(-1) * np.sqrt(first)
    seeds = np.array([min(MOST, power.stein_seeds(float(one), first, half_width)) for one in deviations])
    covered = np.zeros(differences.shape[:-1])
    for n in np.unique(seeds):
        low, high = estimation.two_stage(differences[seeds == n, :, :n], np.zeros(n), first).interval(1 - ALPHA)
        covered[seeds == n] = (low <= 0) & (high >= 0)
    return covered, seeds.astype(float)


def _until_narrow(differences: Array, first: int, half_width: float) -> tuple[Array, Array]:
    """The same for the rule that stops as soon as the intervals look narrow enough."""
    covered, seeds = np.zeros(differences.shape[:-1]), np.zeros(len(differences))
    going = np.arange(len(differences))
    for n in range(first, MOST + 1):
        low, high = estimation.paired(differences[going, :, :n], np.zeros(n)).interval(1 - ALPHA)
        stops = ((high - low) / 2 <= half_width).all(-1) | (n == MOST)
        covered[going[stops]], seeds[going[stops]] = ((low <= 0) & (high >= 0))[stops], n
        going = going[~stops]
        if not len(going):
            break
    return covered, seeds


# -- several looks at a family


@dataclass(frozen=True)
class Procedure:
    """When a family is looked at, and the level of each look."""

    name: str
    looks: tuple[int, ...]
    level: float


DECLARED = Procedure("three declared looks, at 3, 6 and 10 seeds", (3, 6, 10), ALPHA / 3)
UNDECLARED = Procedure("the same three looks, each at 5 %", (3, 6, 10), ALPHA)
PROCEDURES = (
    Procedure("one look, at 10 seeds", (10,), ALPHA),
    DECLARED,
    UNDECLARED,
    Procedure("a look after every seed from 3 to 10", tuple(range(3, 11)), ALPHA),
    Procedure(f"a look after every seed from 3 to {MOST}", tuple(range(3, MOST + 1)), ALPHA),
)
TRUTHS: Mapping[str, tuple[tuple[float, ...], float]] = {
    "all 0": ((0, 0, 0, 0), 0),
    "one 0": ((1000, -1000, 1000, 0), 0),
    "δ": ((DELTA,) * 4, DELTA),
}
"""True differences, and the δ that is declared; 0 for none, so that nothing ends as equivalent."""


def _looks(scale: Scale) -> Section:
    means = Means()
    for table in Cell("normal", "equal", 0.3, MOST).tables(scale.draws, scale.generator(3)):
        for procedure, (name, (true, delta)) in product(PROCEDURES, TRUTHS.items()):
            difference, inside = _settled(table + np.array([0, *true])[:, None], procedure, delta)
            zero = np.array(true) == 0
            means.add((difference & zero).any(-1), "false", procedure.name, name)
            means.add(inside.mean(-1), "equivalent", procedure.name, name)
            means.add(difference.mean(-1), "found", procedure.name, name)
    rows = [
        [
            procedure.name,
            percent(means.one("false", procedure.name, "all 0"), means.one("false", procedure.name, "one 0")),
            percent(means.one("equivalent", procedure.name, "δ")),
            percent(means.one("found", procedure.name, "δ")),
        ]
        for procedure in PROCEDURES
    ]
    most = scale.at_most(ALPHA, looked_at=3)
    return Section(
        "Several looks at a family",
        "Four contrasts on normal errors with correlation 0.3; at each look Holm and two one-sided tests at that look's level, and what is "
        'decided stays decided. False: a difference is declared that is none (%; "all 0" / "one 0", as above; no δ). At a true difference '
        f"of δ = {DELTA:g} times the seed noise: how often one is called equivalent, which is false, and how often different.",
        ["procedure", "false", "at δ: equivalent", "at δ: different"],
        rows,
        [
            *(
                Check(f'false decisions of declared looks ("{name}")', means.one("false", DECLARED.name, name), most)
                for name in ("all 0", "one 0")
            ),
            Check("false equivalence of declared looks", means.one("equivalent", DECLARED.name, "δ"), most),
            Check(
                'false decisions of undeclared looks ("all 0"; they must be seen to be too many)',
                means.one("false", UNDECLARED.name, "all 0"),
                0.075,
                at_least=True,
            ),
        ],
    )


def _settled(table: Array, procedure: Procedure, delta: float) -> tuple[Array, Array]:
    """Which contrasts end as different and which as equivalent, where the first word that is said of one stays."""
    different = np.zeros((len(table), 4), dtype=bool)
    equivalent = np.zeros_like(different)
    for n in procedure.looks:
        found = estimation.paired(*against_reference(table[..., :n]))
        open_still = ~(different | equivalent)
        declared = estimation.holm(found.p()) <= procedure.level
        different |= open_still & declared
        equivalent |= open_still & ~declared & (found.equivalence_p(delta) <= procedure.level)
    return different, equivalent
