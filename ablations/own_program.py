"""A program as a training loop: a command line with places for the settings, which leaves its numbers in a file."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from ablations.own_loop import Asked, Report, Values, add
from ablations.own_source import digest
from senet_core.config import canonical
from senet_core.errors import InputError

POLL_SECONDS = 0.2
GRACE_SECONDS = 30.0  # that a program has between being asked to stop and being killed


def command(name: str, line: str, *, result: str = "result.json", **asked: Unpack[Asked]) -> None:
    """Register a program as a training loop: a command line in which {seed}, {out} and the names of settings stand for their values.

    It runs in the folder of the file that declares it, without a shell, and leaves its numbers in the file ``result`` of the folder {out},
    as a JSON object. The files that the line names are part of a trial's identity: an edited script trains anew.

    :raises InputError: as ``own_loop.loop`` does, and for a line that names an unknown setting, or not {seed} and {out}.
    """
    home = Path(inspect.stack()[1].filename).resolve().parent
    words = tuple(shlex.split(line))
    for needed in ("{seed}", "{out}"):
        if needed not in line:
            raise InputError(f"The command of the training loop '{name}' does not say {needed}.")
    for variant, settings in asked.get("variants", {}).items():
        if {"seed", "out"} & settings.keys():
            raise InputError(
                f"The command of the training loop '{name}' is given {{seed}} and {{out}}, so no setting can have these names."
            )
        try:
            _filled(words, settings, 0, home)
        except (KeyError, IndexError, ValueError) as error:
            raise InputError(
                f"The command of the training loop '{name}' cannot be filled with the settings of '{variant}': {error}."
            ) from None
    source = hashlib.sha256(canonical([words, result, [digest(home / word) for word in words]]).encode()).hexdigest()[:12]
    add(name, _Program(words, home, result), source, asked)


@dataclass(frozen=True)
class _Program:
    """A program as a training loop."""

    words: tuple[str, ...]
    home: Path
    result: str

    def __call__(self, config: dict[str, Any], seed: int, out: Path, report: Report) -> Mapping[str, float]:
        place = out / self.result
        place.unlink(missing_ok=True)  # of an earlier call that was cut short
        words = _filled(self.words, config, seed, out)
        with (out / "output.txt").open("ab") as log:
            process = subprocess.Popen(words, cwd=self.home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
            try:
                while process.poll() is None:
                    report.pause()
                    time.sleep(POLL_SECONDS)
            finally:
                _end(process)
        if process.returncode:
            raise RuntimeError(f"the command ended with {process.returncode}: {_last_line(out / 'output.txt')}")
        try:
            found = json.loads(place.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise RuntimeError(f"the command left no {self.result} that is JSON in {{out}}") from None
        return {name: value for name, value in found.items() if isinstance(value, int | float)} if isinstance(found, dict) else {}


def _filled(words: Sequence[str], settings: Values, seed: int, out: Path) -> list[str]:
    values = {**settings, "seed": seed, "out": str(out)}
    return [word.format(**values) for word in words]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a program that still runs to stop, with all that it started, and wait for it."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, how)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")[:300]
