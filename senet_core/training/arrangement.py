"""How many trials at a time, each with how many threads, train the most images a second on this machine's cores: found by trying."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Self

import torch

from senet_core.config import Config
from senet_core.dataset import Facts
from senet_core.errors import InputError
from senet_core.registry import load_file
from senet_core.training.batches import PADDING
from senet_core.training.execution import Execution, choose, cores
from senet_core.training.probe import Probe

SECONDS = 2.0
"""How long a turn of steps takes at least."""
TURNS = 3
BETTER = 1.05
"""How many times as fast an arrangement must be to take another's place: less may be noise, and the first is the one that is used
untried."""
ROOM = 0.8
"""The part of the free memory that trials may fill together."""
_GONE = EOFError, BrokenPipeError, ConnectionResetError  # what a pipe says when its other side has ended


@dataclass(frozen=True)
class Arrangement:
    """So many trials at a time, each in a process of its own, all executed alike."""

    trials: int
    execution: Execution

    def __str__(self) -> str:
        threads = self.execution.threads
        form = "" if self.execution.memory_format == "channels_last" else ", NCHW"
        return f"{self.trials} at a time with {threads} thread{'' if threads == 1 else 's'}{' each' if self.trials > 1 else ''}{form}"


@dataclass(frozen=True)
class Tried:
    """The arrangements that were tried with the images a second that all their trials together were trained on, the one that is to be
    used, and how long it took to find out."""

    speeds: dict[Arrangement, float]
    best: Arrangement
    seconds: float

    def __str__(self) -> str:
        found = "; ".join(f"{arrangement} {speed:.0f}" for arrangement, speed in self.speeds.items())
        return f"Images a second, tried for {self.seconds:.0f} s: {found}. Training {self.best}."


def tried(config: Config, facts: Facts, load: Path | None = None) -> Tried:
    """Try a resolved config: the memory formats with all cores, then ever more trials with ever fewer threads, for as long as that is
    faster and they find room. ``load`` is the user's own file that the config needs.

    :raises InputError: where its steps cannot be made.
    """
    start, threads = time.monotonic(), cores()
    speeds: dict[Arrangement, float] = {}
    with ExitStack() as stack:

        def team(trials: int, execution: Execution) -> _Team:
            return stack.enter_context(_Team(Arrangement(trials, execution), config, facts, load))

        best = _faster(team(1, choose(threads)), team(1, choose(threads, "contiguous")), speeds)
        while (threads := threads // 2) and (trials := cores() // threads) * best.each <= ROOM * _free():
            before, best = best, _faster(best, team(trials, replace(best.arrangement.execution, threads=threads)), speeds)
            if best is before:
                break
    return Tried(speeds, best.arrangement, time.monotonic() - start)


def _faster(one: _Team, other: _Team, speeds: dict[Arrangement, float]) -> _Team:
    """The team that wins, which goes on; both take their turns by turns, so a machine that slows down slows both."""
    turns = [(one.speed(), other.speed()) for _ in range(TURNS)]
    speeds |= {team.arrangement: median(found) for team, found in zip((one, other), zip(*turns, strict=True), strict=True)}
    won = median(second / first for first, second in turns) >= BETTER
    (one if won else other).close()
    return other if won else one


class _Team:
    """The processes of one arrangement, from ``with`` to ``close``; they sleep between their turns. ``each`` is what a trial of them
    holds, in bytes."""

    def __init__(self, arrangement: Arrangement, config: Config, facts: Facts, load: Path | None) -> None:
        self.arrangement = arrangement
        self.each = 2 * (facts.train + facts.test) * (facts.size + 2 * PADDING) ** 2 * facts.channels  # images as they are, and padded
        self._job = config, facts, arrangement.execution, load
        self._members: list[tuple[Connection, BaseProcess]] = []

    def __enter__(self) -> Self:
        context = get_context("spawn")
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # Ctrl-C is for the parent, which hangs up
        try:
            for _ in range(self.arrangement.trials):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, *self._job), daemon=True)
                process.start()
                theirs.close()
                self._members.append((ours, process))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        try:
            self.each += int(max(self._heard()))
        except BaseException:
            self.close()
            raise
        return self

    def speed(self) -> float:
        """Images a second of all processes together."""
        return sum(self._heard(SECONDS))

    def _heard(self, *told: float) -> list[float]:
        """An answer from each process, to what it is told before."""
        try:
            for pipe, _ in self._members:
                for word in told:
                    pipe.send(word)
            answers = [pipe.recv() for pipe, _ in self._members]
        except _GONE:
            raise InputError("A process that tried the network's steps was ended; say how many trials are to run at a time.") from None
        for answer in answers:
            if isinstance(answer, str):
                raise InputError(f"The network's steps cannot be tried: {answer}")
        return answers

    def close(self) -> None:
        """Hang up, which ends the processes, and wait until their memory is free."""
        for pipe, _ in self._members:
            pipe.close()
        for _, process in self._members:
            process.join(10 + SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
        self._members.clear()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self.close()


def _serve(pipe: Connection, config: Config, facts: Facts, execution: Execution, load: Path | None) -> None:
    """A process's side: tell its peak memory in bytes, then its images a second for as many seconds as it is asked for."""
    try:
        try:
            if load is not None:
                load_file(load)
            probe = Probe(config, facts, torch.device("cpu"), execution)
            for _ in range(2):
                probe.seconds()
            pipe.send(_kilobytes("/proc/self/status", "VmHWM") * 1024)
            while True:
                seconds = pipe.recv()
                steps, start = 0, time.perf_counter()
                while (passed := time.perf_counter() - start) < seconds:
                    probe.seconds()
                    steps += 1
                pipe.send(steps * config.train.batch / passed)
        except InputError as error:
            pipe.send(str(error))
        except _GONE:
            raise
        except Exception as error:
            pipe.send(f"{type(error).__name__}: {error}")
    except _GONE:
        return  # the parent has hung up


def _free() -> int:
    """Bytes of memory that could be had now: of the machine, and of the container where it has a limit."""
    free = _kilobytes("/proc/meminfo", "MemAvailable") * 1024
    limits = Path("/sys/fs/cgroup")
    try:
        left = int((limits / "memory.max").read_text()) - int((limits / "memory.current").read_text())
    except (OSError, ValueError):  # no such files, or "max"
        return free
    return min(free, left)


def _kilobytes(path: str, what: str) -> int:
    with open(path, encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(what))
