"""What MLflow's mirror costs: ``python -m benchmarks.logging_cost [--trials 1000] [--tracking-uri URI] [--threads 2]``.

A trial of the preset `quick` is logged live, with made-up numbers, into a study of which the other trials are there; what that takes is
held against the time of such a trial here, by a probe in the same minute, so that a busy machine slows both. Then a study with as many
trials as asked is brought to MLflow by a sync, and by a second one. Wall seconds and processor seconds of this process are printed:
with other work on the machine only the latter say what the mirror itself takes. A new SQLite file unless another place is named.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ablations.execution.trial import Trial
from ablations.planning import Order, plan_study
from ablations.presets import preset
from ablations.result import Epoch, Errors, Provenance, Result, Timing
from ablations.store import Correctness, Store
from ablations.study import Study, StudyVariant
from ablations.tracking.place import public_uri, tracking_uri
from ablations.tracking.tracker import MlflowTracker, SyncCount
from benchmarks.step_time import FACTS
from senet_core.training.execution import choose, pick_device
from senet_core.training.probe import seconds_per_trial

TRIALS_LOGGED = 6


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock on the wall, and of this process on processors."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{1000 * self.wall:.0f} ms ({1000 * self.processor:.0f} ms of processor time)"


def spent(action: Callable[[], object]) -> Spent:
    """What an action takes."""
    wall, processor = time.perf_counter(), time.process_time()
    action()
    return Spent(time.perf_counter() - wall, time.process_time() - processor)


class _Facts:
    """In place of a data source: images are never looked at."""

    def opened(self, config: object) -> tuple[None, Any]:
        return None, FACTS


def study_of(seeds: int) -> Study:
    """The suite `reduction` at `quick` with so many seeds: six variants."""
    return plan_study("reduction", Order(preset("quick"), {}, list(range(seeds))), _Facts())  # type: ignore[arg-type]


def store_trial(store: Store, variant: StudyVariant, seed: str, rng: np.random.Generator) -> Result:
    """A result as training leaves it, with made-up numbers."""
    config, key = variant.recipe, variant.keys[seed]
    right = rng.random(FACTS.test) < 0.75
    labels = rng.integers(0, 10, FACTS.test).astype(np.uint8)
    digests = {"correct.npz": store.save_correctness(key, Correctness(right, right, labels))}
    (store.trial(key) / "config.json").write_text(config.model_dump_json())
    return store.save_result(
        Result(
            key=key,
            config=config,
            seed=int(seed),
            status="done",
            errors=Errors(top1=100 * float(1 - right.mean()), top5=1.0, loss=0.7, images=FACTS.test),
            cost=variant.cost,
            evaluated_on="test",
            data_label=FACTS.label,
            history=tuple(epochs(config.train.epochs)),
            timing=Timing(epochs=(30.0,) * config.train.epochs, evaluation=5.0, total=155.0, images_per_second=1700.0),
            provenance=Provenance(
                created=datetime.now(UTC).isoformat(timespec="seconds"), commit=None, dirty=None, versions={}, device="none", execution={},
                sittings=1, digests=digests,
            ),
        )
    )  # fmt: skip


def epochs(count: int) -> list[Epoch]:
    """A made-up history."""
    return [Epoch(epoch=number, loss=2.0 / number, error=60.0 / number, lr=0.1) for number in range(1, count + 1)]


def live(uri: str, root: Path, threads: int | None) -> None:
    """Log some trials live and print what each part takes."""
    study, store, rng = study_of(3), Store(root), np.random.default_rng(0)
    store.save_study(study)
    cells = list(study.trials())
    for variant, seed, _ in cells[:-TRIALS_LOGGED]:
        store_trial(store, variant, seed, rng)
    tracker = MlflowTracker(uri, store, print, [study])
    tracker.mirror(study)
    parts: dict[str, list[Spent]] = {"start": [], "epoch": [], "end": []}
    for variant, seed, key in cells[-TRIALS_LOGGED:]:
        trial = Trial(key=key, config=variant.config, seed=int(seed), cost=variant.cost)
        parts["start"].append(spent(partial(tracker.trial_started, trial)))
        for epoch in epochs(variant.recipe.train.epochs):
            parts["epoch"].append(spent(partial(tracker.trial_epoch, trial, epoch, 30.0)))
        result = store_trial(store, variant, seed, rng)
        parts["end"].append(spent(partial(tracker.trial_ended, trial, result, None)))
    middle = {name: Spent(median(one.wall for one in found), median(one.processor for one in found)) for name, found in parts.items()}
    whole = [middle["start"], *[middle["epoch"]] * cells[0][0].recipe.train.epochs, middle["end"]]
    total = Spent(sum(one.wall for one in whole), sum(one.processor for one in whole))
    seconds = seconds_per_trial(cells[-1][0].recipe, FACTS, pick_device("cpu"), choose(threads))
    for name, one in middle.items():
        print(f"  {name}: {one}, the slowest {1000 * max(spent.wall for spent in parts[name]):.0f} ms")
    print(f"  a trial in all: {total}; to train it takes {seconds:.0f} s here, so logging is {100 * total.wall / seconds:.2f} % of it")


def whole(uri: str, root: Path, trials: int) -> None:
    """Sync a study of many trials twice."""
    study, store, rng = study_of(max(1, trials // 6)), Store(root), np.random.default_rng(0)
    store.save_study(study)
    for variant, seed, _ in study.trials():
        store_trial(store, variant, seed, rng)
    count = len(list(study.trials()))
    for words in ("a first sync", "a second sync, with nothing to do"):
        done: list[SyncCount] = []
        tracker = MlflowTracker(uri, store, print)
        one = spent(partial(_into, done, tracker, study))
        print(f"  {words} of {count} trials: {one.wall:.1f} s ({one.processor:.1f} s of processor time): {done[0]}")


def _into(done: list[SyncCount], tracker: MlflowTracker, study: Study) -> None:
    done.append(tracker.mirror(study))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--tracking-uri", metavar="URI")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    for words, measure in (("Live:", partial(live, threads=options.threads)), ("Sync:", partial(whole, trials=options.trials))):
        with tempfile.TemporaryDirectory() as folder:
            uri = options.tracking_uri or tracking_uri(Path(folder), None)
            cores = os.cpu_count()
            print(f"{words} {'SQLite' if uri.startswith('sqlite') else public_uri(uri)}, {cores} cores, load {os.getloadavg()[0]:.1f}")
            measure(uri, Path(folder))


if __name__ == "__main__":
    main()
