"""Does a run lose nothing, whatever strikes it? ``python -m benchmarks.chaos --faults 100 [--seed 0] [--folder DIR]``.

Two suites of very short trials are run again and again, each time in a new workspace, and struck at random instants: by SIGKILL and
SIGTERM, by a full disk, by an MLflow server that is killed and comes back, by a second driver on the same workspace. The same command is
then given again until it ends in order. Every workspace is held against one that was left alone: errors, history, the digests of weights
and of the images that were right, bit for bit; no trial lost or there twice, neither in the store nor in MLflow; no traceback told.

A full disk needs a file system of its own, a tmpfs of some megabytes, and so the right to mount one; without it that fault is left out,
and the last line says so. Exit code 0 if everything was equal, 1 if not. The same ``--seed`` draws the same faults; at what they strike
depends on the machine.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "MPLBACKEND": "agg"}

from benchmarks.chaos_check import differences, outcomes
from benchmarks.chaos_world import KINDS, Driver, Server, World, call, small_disk

AT_MOST = 12
"""Faults in one workspace; then the next one."""


class Deck:
    """Kinds of faults in random order, each as often as the others."""

    def __init__(self, rng: random.Random, kinds: list[str]) -> None:
        self._rng, self._kinds, self._left = rng, kinds, list[str]()

    def draw(self, possible: list[str]) -> str:
        """The next kind that is possible now; the others stay for later."""
        while not set(self._left) & set(possible):
            self._left += self._rng.sample(self._kinds, len(self._kinds))
        kind = next(kind for kind in self._left if kind in possible)
        self._left.remove(kind)
        return kind


def main(words: list[str] | None = None) -> int:
    """Strike until the faults are used up; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder); kept if something differs")
    options = parser.parse_args(words)
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="ablate-chaos-", dir=options.folder))
    rng, struck, faults = random.Random(options.seed), Counter[str](), list[str]()
    with small_disk(folder / "disk") as disk:
        kinds = [kind for kind in KINDS if disk.small or kind != "full disk"]
        deck, whole = Deck(rng, kinds), World(folder / "whole", disk.folder, rng, None)
        begun = time.monotonic()
        told = Driver(whole).wait()
        if told.code != 0:
            print(told.text)
            return 1
        span, expected = time.monotonic() - begun, outcomes(whole.workspace)
        print(f"Undisturbed: {len(expected)} trials in {span:.1f} s.", flush=True)
        for number in itertools.count():
            if struck.total() >= options.faults or faults:
                break
            server = None if number % 2 else Server(folder / "server")  # else MLflow's database lies in the workspace
            world = World(folder / f"round-{number}", disk.folder, rng, server)
            here = _round(world, deck, kinds, min(options.faults - struck.total(), AT_MOST), span)
            faults += [f"{world.name}: {fault}" for fault in _judged(world, expected)]
            world.close()
            struck += here
            span /= 1 if here else 2  # the machine was busier when nothing was struck
            listed = ", ".join(f"{count} x {kind}" for kind, count in sorted(here.items())) or "nothing struck"
            print(f"{world.name}: {listed}; {struck.total()} in all", flush=True)
            if not faults:
                shutil.rmtree(world.workspace)
    for fault in faults:
        print(fault)
    left_out = "" if disk.small else " No full disk: a tmpfs could not be mounted here."
    print(f"{struck.total()} faults; {'every result equal, none lost, none doubled' if not faults else 'NOT EQUAL'}.{left_out}")
    if not faults:
        shutil.rmtree(folder)
    return 1 if faults else 0


def _round(world: World, deck: Deck, kinds: list[str], most: int, span: float) -> Counter[str]:
    """Run in a new workspace and strike until all is trained or enough has struck; then let it end undisturbed."""
    struck: Counter[str] = Counter()
    world.start()
    while struck.total() < most:
        world.let_pass(world.rng.uniform(0.0, span / 4))
        if not world.drivers:
            if world.done:
                break
            world.start()
            continue
        kind = deck.draw([kind for kind in kinds if world.open_to(kind)])
        if world.strike(kind):
            struck[kind] += 1
    world.finish()
    return struck


def _judged(world: World, expected: dict[str, object]) -> list[str]:
    """What is wrong in a workspace after its round; looked at in a process of its own, as everything that opens MLflow is."""
    return world.complaints + call(differences, world.workspace, expected, world.uri)


if __name__ == "__main__":
    sys.exit(main())
