"""How many designs does the sampler need for what chance finds? ``python -m benchmarks.search_efficiency [--seeds 20] [--trials 40]``.

Both samplers go through the 105 networks of ``benchmarks.search_space``, the default first, one design at a time, by the function that a
search uses; what a design's training gave is read from ``search_table.csv``. A search's front is measured by its hypervolume: the area of
errors and parameters that it beats. *Chance's front* is the median hypervolume of random searches of so many trials; the benchmark counts
the trials until a search has one as large. Exit code 0 where the median of the sampler's seeds is at most two thirds on each table.

There are two tables, because what was tuned on one proves little on it: the sampler's settings were chosen on ``search_table.csv``, and
``search_table_unseen.csv`` was trained after that, with fewer images and at a quarter of the learning rate. They were trained, and can be
trained again, by ``ablate search se_on_digits --load benchmarks/search_space.py --preset smoke --data.train 8000 --data.holdout 2000
--train.epochs 3 --no-rungs --sampler random --budget 108 --batch 36 --confirm 0``, the second with ``--data.train 6000 --train.lr 0.05``
(some 15 seconds a network on one core of 2.5 GHz); ``--write-table WORKSPACE FILE.csv`` takes a table from there.
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
from ablations.search.space import SPACES, Design, made
from ablations.store import Store
from ablations.suite import Setting
from senet_core.resolve import resolve, stage_count

CHOSEN_ON, UNSEEN = (Path(__file__).with_name(name) for name in ("search_table.csv", "search_table_unseen.csv"))
SPACE = "se_on_digits"
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
    def read(cls, path: Path) -> Table:
        """A committed table.

        :raises ValueError: where a network of the space is missing.
        """
        order = Order(preset("smoke"), {})
        _, facts = DataSource(None, None).opened(base_config(order))
        base = resolve(base_config(order), facts)
        _registered()
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


def _registered() -> None:
    """Make the space known; late, because who imports this module need not have it among the shipped ones."""
    from benchmarks.search_space import se_on_digits

    if SPACE not in SPACES.names():
        SPACES.add(SPACE)(se_on_digits)


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


def write_table(workspace: Path, out: Path) -> int:
    """Write the table from the workspace in which the space was searched whole; how many networks it has."""
    store = Store(workspace)
    (search,) = (one.search for one in map(store.study, store.studies()) if one.search is not None and one.search.space == SPACE)
    rows = sorted(search.designs, key=lambda one: tuple(map(str, one.choices.values())))
    with out.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow([*rows[0].choices, PARAMETERS, ERROR])
        writer.writerows([*one.choices.values(), one.cost, one.errors[-1]] for one in rows)
    return len(rows)


def measure(path: Path, trials: int, seeds: int, show: Callable[[str], None]) -> bool:
    """Let both samplers go through a table and show what they needed; whether the goal is met there.

    :raises ValueError: for more trials than the table has networks.
    """
    table = Table.read(path)
    if trials > len(table.values):
        raise ValueError(f"{path.name} has {len(table.values)} networks, fewer than {trials} trials.")
    chance = np.array([table.search("random", seed, len(table.values)) for seed in range(CHANCE_SEEDS)])
    front = float(np.median(chance[:, trials - 1]))
    show(
        f"{path.name}: {len(table.values)} networks; chance's front: {100 * front:.1f} % of the true front's hypervolume after {trials} "
        f"trials (median of {CHANCE_SEEDS} random searches)."
    )
    ours = np.array([table.search("tpe", seed, trials) for seed in range(seeds)])
    shares: list[float] = []
    for sampler, paths in (("random", chance), ("tpe", ours)):
        shares = [reached(path, front) / trials for path in paths]
        low, high, sure = interval(shares)
        show(
            f"{sampler:6}: {np.median(shares):.2f} of its trials [{low:.2f}, {high:.2f}] ({100 * sure:.1f} % interval of the median, "
            f"{len(paths)} seeds); after {trials} trials {100 * np.median(paths[:, trials - 1]):.1f} %"
        )
    return float(np.median(shares)) <= GOAL


def main(words: Sequence[str] | None = None, show: Callable[[str], None] = print) -> int:
    """Measure on both tables, print, and return 0 where the goal is met on each."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.search_efficiency", description="The sampler of a search against chance.")
    options.add_argument("--seeds", type=int, default=20, help="searches by the sampler (default 20)")
    options.add_argument("--trials", type=int, default=40, help="trials of a random search (default 40, as `ablate search` has)")
    options.add_argument("--write-table", type=Path, nargs=2, metavar=("WORKSPACE", "FILE.csv"), help="write a table, and stop")
    chosen = options.parse_args(words)
    if chosen.write_table:
        workspace, out = chosen.write_table
        show(f"{write_table(workspace, out)} networks written to {out.name}.")
        return 0
    if min(chosen.seeds, chosen.trials) < 2:
        options.error("--seeds and --trials must be at least 2")
    met = [measure(path, chosen.trials, chosen.seeds, show) for path in (CHOSEN_ON, UNSEEN)]
    show(f"At most two thirds of the trials on each table: {'yes' if all(met) else 'no'}.")
    return int(not all(met))


if __name__ == "__main__":
    raise SystemExit(main())
