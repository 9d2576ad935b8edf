"""The store: one folder a trial under ``trials/<key>/``, one file a study under ``studies/<name>.json``. It is the truth.

``result.json`` appears last, by an atomic rename: where it is, the trial is done and the folder is valid. It carries a digest of itself
and of its companions; a damaged one is named and refused, never overwritten. Folders can be copied in from another machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ablations import gates_file
from ablations.execution import attempts
from ablations.result import Result
from ablations.study import Study
from senet_core.class_gates import ClassGates
from senet_core.config import Frozen, canonical
from senet_core.errors import InputError, unknown
from senet_core.files import publish, publish_text, sha256

GATES, CORRECT, WEIGHTS = "gates.npz", "correct.npz", "weights.pt"
State = Literal["missing", "resumable", "failed", "done", "diverged", "damaged"]


class DamagedStore(InputError):
    """A stored file that is not what was written: edited, cut short, or without its companion."""


class Failure(Frozen):
    """Why a trial left a hole: an exception, not an outcome. The traceback is in the trial's ``log.txt``."""

    reason: str
    created: str


@dataclass(frozen=True)
class Correctness:
    """Which of the N evaluation images were right: ``top1`` and ``top5`` bool (N,), ``labels`` uint8 or int64 (N,)."""

    top1: NDArray[np.bool_]
    top5: NDArray[np.bool_]
    labels: NDArray[np.integer]


class Store:
    """A workspace's stored trials and studies; reading needs neither torch nor the images."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # -- trials

    def trial(self, key: str) -> Path:
        """The folder of a trial."""
        return self.root / "trials" / key

    def keys(self) -> list[str]:
        """All trials that have a folder."""
        folder = self.root / "trials"
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

    def state(self, key: str) -> State:
        """What is stored of a trial; reads and verifies its result, if there is one."""
        return self.glance(key)[0]

    def glance(self, key: str) -> tuple[State, float | None]:
        """What is stored of a trial, and its number if it is done (see ``Result.number``): verified, but not made into a ``Result``."""
        try:
            found = self._verified(key)
        except DamagedStore:
            return "damaged", None
        if found is not None:
            tree, _ = found
            measured = tree.get("measured")
            if measured and tree["status"] == "done":
                return "done", measured["values"][measured["metric"]]
            return tree["status"], tree["errors"] and tree["errors"]["top1"]
        folder = self.trial(key)
        if (folder / "failure.json").exists():
            return "failed", None
        return "resumable" if attempts.resumable(folder) else "missing", None

    def result(self, key: str) -> Result | None:
        """A trial's verified result, or None while it has none.

        :raises DamagedStore: if the file or a companion is not what was written.
        """
        found = self._verified(key)
        if found is None:
            return None
        try:
            return Result.model_validate_json(found[1])
        except ValueError:
            raise _not_a_result(self.trial(key) / "result.json") from None

    def _verified(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """The tree and the text of a trial's result, held against its digests and those of its companions; None while it has none.

        :raises DamagedStore: if the file or a companion is not what was written.
        """
        folder = os.path.join(self.root, "trials", key)
        try:
            with open(os.path.join(folder, "result.json"), "rb") as file:
                text = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DamagedStore(f"The result {key}/result.json cannot be read: {error}.") from None
        try:
            tree = json.loads(text)
            own, digests = digest(tree), tree["provenance"]["digests"]
            status, named = tree["status"], tree["key"]
        except (ValueError, KeyError, TypeError):
            raise _not_a_result(self.trial(key) / "result.json") from None
        if not tree.keys() <= _FIELDS:
            raise _not_a_result(self.trial(key) / "result.json")
        if named != key or digests.get("result.json") != own:
            short = _short(self.trial(key) / "result.json")
            raise DamagedStore(f"The result {short} was edited or damaged: its content does not match its digest.{_MEND}")
        if status == "done" and tree.get("measured") is None:
            _verify(folder, CORRECT, digests)
        if GATES in digests and os.path.exists(os.path.join(folder, GATES)):  # it may be left out of a copy, as the weights may
            _verify(folder, GATES, digests)
        return tree, text

    def correctness(self, key: str) -> Correctness:
        """Which images a finished trial got right (see ``Correctness``)."""
        with np.load(self.trial(key) / CORRECT) as file:
            images = len(file["labels"])
            top1, top5 = (np.unpackbits(file[name], count=images).astype(bool) for name in ("top1", "top5"))
            return Correctness(top1, top5, file["labels"])

    def save_correctness(self, key: str, correctness: Correctness) -> str:
        """Write ``correct.npz`` (bits packed) and return its digest; the bytes depend on the content alone."""
        return write_correctness(self.trial(key) / CORRECT, correctness)

    def class_gates(self, key: str) -> tuple[ClassGates, ...] | None:
        """What the gates of a finished trial do by class on its evaluation images; None where that was not kept.

        :raises DamagedStore: if the file is not what the result was written for.
        """
        result = self.result(key)
        if result is None or GATES not in result.provenance.digests or not (self.trial(key) / GATES).exists():
            return None
        return gates_file.read(self.trial(key) / GATES)

    def save_result(self, result: Result) -> Result:
        """Seal a result with its own digest and publish it; a stored result is never overwritten.

        :raises DamagedStore: if the trial has a result already.
        """
        path = self.trial(result.key) / "result.json"
        if path.exists():
            raise DamagedStore(f"There is a result already at {_short(path)}; it is not overwritten.")
        path.parent.mkdir(parents=True, exist_ok=True)
        sealed = _with_digest(result, digest(json.loads(result.model_dump_json())))
        publish_text(path, sealed.model_dump_json(indent=1) + "\n")
        (path.parent / "failure.json").unlink(missing_ok=True)
        return sealed

    def adopt(self, folder: Path, result: Result) -> Result:
        """Publish what was computed into one of the trial's folders: the result's companions by renames, then the result.

        :raises DamagedStore: if the trial has a result already, or a companion is not what the result was made with.
        """
        own = self.trial(result.key)
        for name, expected in result.provenance.digests.items():
            if sha256(folder / name) != expected:
                raise DamagedStore(f"The file {_short(folder / name)} is not what was computed.")
            if folder != own:
                os.replace(folder / name, own / name)
        attempts.keep_own(folder, own)
        sealed = self.save_result(result)
        attempts.clear(own)
        return sealed

    def failure(self, key: str) -> Failure | None:
        """Why the trial's last attempt ended without a result, if it raised."""
        try:
            return Failure.model_validate_json((self.trial(key) / "failure.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            return Failure(reason="unknown (failure.json is damaged)", created="")

    def save_failure(self, key: str, failure: Failure) -> None:
        """Record why a trial ended without a result."""
        self.trial(key).mkdir(parents=True, exist_ok=True)
        publish_text(self.trial(key) / "failure.json", failure.model_dump_json(indent=1) + "\n")

    @contextmanager
    def locked(self, key: str) -> Iterator[bool]:
        """Hold the trial's OS lock; yields False where another process holds it. The kernel frees it at death.

        :raises InputError: where the file system has no locks.
        """
        folder = self.trial(key)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("a") as file:
            yield _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    # -- studies

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Hold the workspace's study lock: two commands that extend one study at once would lose each other's seeds."""
        with (self.root / "lock").open("a") as file:
            _lock(file, fcntl.LOCK_EX)
            yield

    def study_path(self, name: str) -> Path:
        """The file of a study.

        :raises InputError: for a name that could lead out of the folder, or is none on some file system.
        """
        if not re.fullmatch(r"\w[\w.+-]*", name):
            raise InputError(f"A study cannot be named '{name}': its name is a file's, of letters, digits, '_', '-', '.' and '+'.")
        return self.root / "studies" / f"{name}.json"

    def studies(self) -> list[str]:
        """The names of all stored studies."""
        return sorted(path.stem for path in (self.root / "studies").glob("*.json"))

    def study(self, name: str) -> Study:
        """A stored study.

        :raises InputError: if there is none of that name, or its file is damaged.
        """
        path = self.study_path(name)
        try:
            study = Study.model_validate_json(path.read_text(encoding="utf-8"))
            if study.name != name:
                raise ValueError("the file bears another study's name")
            return study
        except FileNotFoundError:
            raise unknown("study in this workspace", name, self.studies()) from None
        except (OSError, ValueError):
            raise DamagedStore(f"The study file {_short(path)} is damaged; move it away and run the suite again.") from None

    def save_study(self, study: Study) -> None:
        """Write a study, replacing the file of that name."""
        path = self.study_path(study.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        publish_text(path, study.model_dump_json(indent=1) + "\n")

    def usable(self) -> None:
        """Make the workspace and prove that it can be written, and that its file system has locks that keep others out.

        :raises InputError: if it is a file, read-only, full, or without locks.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".writable.{os.getpid()}"
            probe.write_text("probe")
            with probe.open("a") as one, probe.open("a") as other:
                whole = _lock(one, fcntl.LOCK_EX | fcntl.LOCK_NB) and not _lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileExistsError:
            raise InputError(f"The workspace '{self.root}' is a file; --workspace must name a folder.") from None
        except OSError as error:
            raise InputError(f"Cannot write into the workspace '{self.root}': {error.strerror}.") from None
        with suppress(OSError):
            probe.unlink()
        if not whole:
            raise InputError(
                "The file system of the workspace grants one lock twice: two commands would clash; choose another --workspace."
            )


def write_correctness(path: Path, correctness: Correctness) -> str:
    """Write a ``correct.npz`` and return its digest; the bytes depend on the content alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    top1, top5 = np.packbits(correctness.top1), np.packbits(correctness.top5)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, top1=top1, top5=top5, labels=correctness.labels)

    publish(path, write)
    return sha256(path)


def _lock(file: IO[str], how: int) -> bool:
    """Take an OS lock; False where somebody else holds it.

    :raises InputError: where the file system has none.
    """
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        return False
    except OSError as error:
        raise InputError(f"The file system of the workspace has no locks ({error.strerror}); choose another --workspace.") from None
    return True


_FIELDS = set(Result.model_fields)


def _not_a_result(path: Path) -> DamagedStore:
    return DamagedStore(f"The result {_short(path)} is damaged: it is not the JSON of a result.{_MEND}")


def _verify(folder: str, name: str, digests: dict[str, str]) -> None:
    path = os.path.join(folder, name)
    try:
        with open(path, "rb") as file:
            whole = hashlib.sha256(file.read()).hexdigest() == digests.get(name)
    except OSError:
        whole = False
    if not whole:
        raise DamagedStore(f"The file {_short(Path(path))} is missing or not what its result.json was written for.{_MEND}")


_MEND = " Move the trial's folder away to train it anew, or restore it from a copy."


def digest(tree: dict[str, Any]) -> str:
    """SHA-256 of a result's JSON without its own entry in ``provenance.digests``.

    Of the JSON as it is stored, not of the model: a field that results get later must not make the older ones look edited.
    """
    provenance = tree["provenance"]
    others = {name: value for name, value in provenance["digests"].items() if name != "result.json"}
    return hashlib.sha256(canonical({**tree, "provenance": {**provenance, "digests": others}}).encode()).hexdigest()


def _with_digest(result: Result, own: str) -> Result:
    digests = {**result.provenance.digests, "result.json": own}
    return result.model_copy(update={"provenance": result.provenance.model_copy(update={"digests": digests})})


def _short(path: Path) -> str:
    return str(Path(*path.parts[-3:]))
