"""The tries at one trial that are computed by processes other than the driver, and how often it was begun in vain.

Each gets a numbered folder ``attempts/<n>/`` in the trial's own and writes nowhere else: a process that was thought lost and is not can
overwrite nothing. Only the driver that holds the trial's lock makes them and publishes from them.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

ATTEMPTS, TOKEN, BEGUN = "attempts", "token", "begun"
OWN, LINES = "own", "lines.jsonl"
"""The folder of a user's own training loop, and in it what the loop has reported."""
CHECKPOINTS = ("checkpoint.pt", "checkpoint-before.pt")
KILLED_AT_MOST = 5
"""So often a trial may be begun without an epoch to show for it, before it is called failed: else one that needs more memory than there
is would take down every run that comes to it."""


def folders(trial: Path) -> list[Path]:
    """The attempts that there are, oldest first."""
    place = trial / ATTEMPTS
    found = [path for path in place.iterdir() if path.name.isdecimal()] if place.is_dir() else []
    return sorted(found, key=lambda path: int(path.name))


def new(trial: Path) -> Path:
    """A new attempt's folder, with a token in it by which another machine can tell that it sees this very folder."""
    last = folders(trial)
    folder = trial / ATTEMPTS / str(int(last[-1].name) + 1 if last else 1)
    folder.mkdir(parents=True)
    (folder / TOKEN).write_text(secrets.token_hex(16), encoding="utf-8")
    return folder


def sees(folder: Path, token: str) -> bool:
    """Whether the folder is here and the one that the token was written into."""
    try:
        return (folder / TOKEN).read_text(encoding="utf-8") == token
    except OSError:
        return False


def resumable(trial: Path) -> bool:
    """Whether there is something to go on from, in the trial's folder or in an attempt: a checkpoint, or what an own loop left."""
    return any((folder / name).exists() for folder in (trial, *folders(trial)) for name in (*CHECKPOINTS, f"{OWN}/{LINES}"))


def keep_own(folder: Path, trial: Path) -> None:
    """Take what a user's own loop wrote in an attempt's folder into the trial's own."""
    if folder != trial and (folder / OWN).is_dir():
        shutil.rmtree(trial / OWN, ignore_errors=True)
        os.replace(folder / OWN, trial / OWN)


def clear(trial: Path) -> None:
    """Remove all attempts and checkpoints of a trial that has its result, and what a killed process left half written."""
    shutil.rmtree(trial / ATTEMPTS, ignore_errors=True)
    for path in [*(trial / name for name in (*CHECKPOINTS, BEGUN)), *trial.glob(".*")]:
        path.unlink(missing_ok=True)


def begin(trial: Path) -> bool:
    """Note that the trial is begun; False where it was begun too often without an epoch to show for it."""
    with (trial / BEGUN).open("a", encoding="utf-8") as file:
        file.write("x")
        file.flush()
        return os.fstat(file.fileno()).st_size <= KILLED_AT_MOST


def progressed(trial: Path) -> None:
    """Note that an epoch is over, or that it ended in order."""
    (trial / BEGUN).unlink(missing_ok=True)
