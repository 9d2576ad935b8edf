"""How many designs does the sampler need for what chance finds? ``python -m benchmarks.search_efficiency [--seeds 20] [--trials 40]``.

Both samplers go through the 105 networks of ``benchmarks.search_space``, the default first, one design at a time, by the function that a
search uses; what a design's training gave is read from ``search_table.csv``. A search's front is measured by its hypervolume: the area of
errors and parameters that it beats. *Chance's front* is the median hypervolume of random searches of so many trials; the benchmark counts
the trials until a search has one as large. Exit code 0 where the median of the sampler's seeds is at most two thirds, 1 otherwise.

The table was trained, and can be trained again, by ``ablate search se_on_digits --load benchmarks/search_space.py --preset smoke
--data.train 8000 --data.holdout 2000 --train.epochs 3 --no-rungs --sampler random --budget 108 --batch 12 --confirm 0`` (some 17 seconds a
network on one core of 2.5 GHz); ``--write-table WORKSPACE`` takes it from there.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from ablations.planning import DataSource, Order, base_config
from ablations.presets import preset
from ablations.search.designs import Designs
from ablations.search.rungs import hypervolume
from ablations.search.sampler import Name, Tried, propose
from ablations.search.space import Design, made
from ablations.store import Store
from ablations.suite import Setting
from benchmarks.search_space import SPACE
from senet_core.resolve import resolve, stage_count

TABLE = Path(__file__).with_name("search_table.csv")
PARAMETERS, ERROR = "parameters", "held-out error (%)"
GOAL = 2 / 3
CHANCE_SEEDS = 200
"""Random searches that say what chance finds; they take no time."""


@dataclass(frozen=True)
class Table:
    """The two objectives of every network of the space, {identity: (error %, parameters)}; designs of one network share an identity."""

    designs: Designs
    values: Mapping[str, tuple[float, float]]

    @classmethod
    def read(cls, path: Path = TABLE) -> Table:
        """The committed table.

        :raises ValueError: where a network of the space is missing.
        """
        order = Order(preset("smoke"), {})
        _, facts = DataSource(None, None).opened(base_config(order))
        base = resolve(base_config(order), facts)
        space = made(SPACE, Setting(base=base, stages=stage_count(base.net), preset="smoke"))
        designs = Designs(space, facts, base, (base.train.epochs,))
        levels = {factor.name: {str(level): level for level in factor.levels} for factor in space.factors}
        values: dict[str, tuple[float, float]] = {}
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                design = {name: known[row[name]] for name, known in levels.items()}
                values[designs.key(design)] = float(row[ERROR]), float(row[PARAMETERS])
        missing = {designs.key(design) for design in space.designs()} - set(values)
        if missing:
            raise ValueError(f"{path.name} lacks {len(missing)} networks of the space '{SPACE}'.")
        return cls(designs, values)

    @cached_property
    def corner(self) -> tuple[float, float]:
        """A point that every network beats: a thousandth beyond the worst error and the most parameters."""
        worst = np.array(list(self.values.values())).max(0) * 1.001
        return float(worst[0]), float(worst[1])

    @cached_property
    def all_of_it(self) -> float:
        """The hypervolume of the true front."""
        return hypervolume(np.array(list(self.values.values())), self.corner)

    def search(self, sampler: Name, seed: int, trials: int) -> NDArray[np.float64]:
        """The hypervolume after each trial (trials,), as a share of the true front's."""
        space, tried = self.designs.space, [self._tried(self.designs.space.default)]
        while len(tried) < min(trials, len(self.values)):
            design = propose(space, tried, number=len(tried), seed=seed, identity=self.designs.key, sampler=sampler)
            assert design is not None, "there are more networks than trials"
            tried.append(self._tried(design))
        points = np.array([one.values for one in tried])
        return np.array([hypervolume(points[: count + 1], self.corner) for count in range(len(points))]) / self.all_of_it

    def _tried(self, design: Design) -> Tried:
        return Tried(design, self.values[self.designs.key(design)])


def reached(path: NDArray[np.float64], front: float) -> int:
    """Trials until a search (its hypervolume after each) has a front as large as this; one more than it made where it never has."""
    at = np.flatnonzero(path >= front)
    return int(at[0]) + 1 if len(at) else len(path) + 1


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Two order statistics between which the population's median lies, and with what probability: the narrowest pair of at least 95 %,
    whatever the distribution (the sign test turned round); the extremes where there is no such pair. Of two values and more."""
    ordered, n = sorted(values), len(values)
    for rank in range(n // 2, 0, -1):  # from 1, as order statistics are counted
        sure = 1 - 2 * float(binom.cdf(rank - 1, n, 0.5))
        if sure >= 0.95:
            break
    return ordered[rank - 1], ordered[n - rank], sure


def write_table(workspace: Path, out: Path = TABLE) -> int:
    """Write the table from the workspace in which the space was searched whole; how many networks it has."""
    store = Store(workspace)
    (search,) = (one.search for one in map(store.study, store.studies()) if one.search is not None and one.search.space == SPACE)
    rows = sorted(search.designs, key=lambda one: tuple(map(str, one.choices.values())))
    with out.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow([*rows[0].choices, PARAMETERS, ERROR])
        writer.writerows([*one.choices.values(), one.cost, one.errors[-1]] for one in rows)
    return len(rows)


def main(words: Sequence[str] | None = None, show: Callable[[str], None] = print) -> int:
    """Measure, print, and return 0 where the goal is met."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.search_efficiency", description="The sampler of a search against chance.")
    options.add_argument("--seeds", type=int, default=20, help="searches by the sampler (default 20)")
    options.add_argument("--trials", type=int, default=40, help="trials of a random search (default 40, as `ablate search` has)")
    options.add_argument("--write-table", type=Path, metavar="WORKSPACE", help="write the table from a workspace, and stop")
    chosen = options.parse_args(words)
    if chosen.write_table:
        show(f"{write_table(chosen.write_table)} networks written to {TABLE.name}.")
        return 0
    table = Table.read()
    if chosen.seeds < 2:
        options.error("--seeds must be at least 2")
    if not 2 <= chosen.trials <= len(table.values):
        options.error(f"--trials must be from 2 to {len(table.values)}, the networks of the table")
    chance = np.array([table.search("random", seed, len(table.values)) for seed in range(CHANCE_SEEDS)])
    front = float(np.median(chance[:, chosen.trials - 1]))
    show(
        f"{len(table.values)} networks; chance's front: {100 * front:.1f} % of the true front's hypervolume after {chosen.trials} trials "
        f"(median of {CHANCE_SEEDS} random searches)."
    )
    ours = np.array([table.search("tpe", seed, chosen.trials) for seed in range(chosen.seeds)])
    shares = {}
    for sampler, paths in (("random", chance), ("tpe", ours)):
        shares[sampler] = [reached(path, front) / chosen.trials for path in paths]
        low, high, sure = interval(shares[sampler])
        show(
            f"{sampler:6}: {np.median(shares[sampler]):.2f} of its trials [{low:.2f}, {high:.2f}] ({100 * sure:.1f} % interval of the "
            f"median, {len(paths)} seeds); after {chosen.trials} trials {100 * np.median(paths[:, chosen.trials - 1]):.1f} %"
        )
    met = float(np.median(shares["tpe"])) <= GOAL
    show(f"At most two thirds of the trials: {'yes' if met else 'no'}.")
    return int(not met)


if __name__ == "__main__":
    raise SystemExit(main())
