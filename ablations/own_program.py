"""A program as a training loop: a command line with places for the settings, which leaves its numbers in a file."""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import IO, Any, Unpack

from ablations.own_loop import Asked, Report, Values, add
from ablations.own_source import code_of, digest
from senet_core.config import canonical
from senet_core.errors import InputError

POLL_SECONDS = 0.2
GRACE_SECONDS = 30.0  # that a program has between being asked to stop and being killed


def command(name: str, line: str, *, result: str = "result.json", **asked: Unpack[Asked]) -> None:
    """Register a program as a training loop: a command line in which {seed}, {out} and the names of settings stand for their values.

    It runs in the folder of the file that declares it, without a shell, and leaves its numbers in the file ``result`` of the folder {out},
    as a JSON object. The files that the line names are part of a trial's identity, and what a script of them imports from beside it: an
    edited one trains anew.

    :raises InputError: as ``own_loop.loop`` does, and for a line that does not name {seed}, {out} and all settings, or names another one.
    """
    home = Path(inspect.stack()[1].filename).resolve().parent
    words = tuple(shlex.split(line))
    what, seen = f"The command of the training loop '{name}'", set[Path]()
    for variant, settings in asked.get("variants", {}).items():
        _refuse_unclear(what, line, variant, settings)
        seen |= set(_files(_filled(words, settings, 0, home / "{out}"), home))
    said = (Path(words[0]).name, *words[1:]) if Path(words[0]).is_absolute() else words  # on another machine it lies elsewhere
    code = [[path.relative_to(home).as_posix() if path.is_relative_to(home) else path.name, _hash(path)] for path in sorted(seen)]
    source = hashlib.sha256(canonical([said, result, code]).encode()).hexdigest()[:12]
    add(name, _Program(words, home, result), source, asked)


def _refuse_unclear(what: str, line: str, variant: str, settings: Values) -> None:
    """:raises InputError: unless the line names the seed, the folder, each setting of the variant, and nothing else."""
    try:
        named = {field.partition(".")[0].partition("[")[0] for _, field, _, _ in Formatter().parse(line) if field is not None}
        for needed in ("seed", "out"):
            if needed not in named:
                raise InputError(f"{what} does not say {{{needed}}}.")
        for unused in sorted(settings.keys() - named):
            raise InputError(f"{what} does not say {{{unused}}}, which '{variant}' sets: it would change nothing.")
        if "out" in settings:
            raise InputError(f"{what} is given {{out}}, so no setting can have this name.")
        _filled(shlex.split(line), settings, 0, Path())
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise InputError(f"{what} cannot be filled with the settings of '{variant}': {error}.") from None


def _files(words: Sequence[str], home: Path) -> Iterator[Path]:
    """The files that a command line names: as a word, after "=", or as a module after "-m"; not the program itself where its whole path is
    stated, as an interpreter's is."""
    for before, word in zip(("", *words), words, strict=False):
        if not before and Path(word).is_absolute():
            continue
        named = [word, word.partition("=")[2], *([f"{word.replace('.', '/')}.py"] if before == "-m" else [])]
        yield from (path for path in (home / one for one in named if one) if path.is_file())


def _hash(path: Path) -> str | None:
    return code_of(path) if path.suffix == ".py" else digest(path)


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
        with _alone(out.parent / "program") as held, (out / "output.txt").open("ab") as log:
            fds = (held.fileno(),)
            process = subprocess.Popen(words, cwd=self.home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, pass_fds=fds)
            held.write(str(process.pid))
            held.flush()
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
        if not isinstance(found, dict):
            raise RuntimeError(f"the command left {self.result} without a JSON object in it")
        return {name: value for name, value in found.items() if isinstance(value, int | float)}


@contextmanager
def _alone(path: Path) -> Iterator[IO[str]]:
    """A file under a lock that the program holds as well: one whose driver was killed still runs, and is ended before another begins."""
    with path.open("a+", encoding="utf-8") as file:
        for how in (None, signal.SIGTERM, signal.SIGKILL):
            file.seek(0)
            pid = file.read().strip()
            if how is not None and pid.isdecimal():
                with suppress(ProcessLookupError):
                    os.killpg(int(pid), how)
            if _locked(file, 0.0 if how is None else GRACE_SECONDS):
                break
        else:
            raise RuntimeError("the program of an earlier run is still at this trial, and cannot be ended")
        file.truncate(0)
        yield file


def _locked(file: IO[str], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)


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
