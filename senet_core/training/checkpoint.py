"""One checkpoint after each epoch, and the one before it; a damaged one is set aside and the one before is used.

A trial that is taken up in a new folder goes on from the farthest checkpoint of the folders that it was in before.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from senet_core.files import publish

NAMES = ("checkpoint.pt", "checkpoint-before.pt")
_DIGEST = hashlib.sha256().digest_size  # a checkpoint file begins with the digest of the rest


class Checkpoints:
    """The checkpoints of one trial in a folder that nobody else writes to; those in the folders ``earlier`` are only read."""

    def __init__(self, folder: Path, warn: Callable[[str], None] = lambda sentence: None, earlier: Sequence[Path] = ()) -> None:
        self._current, self._before = (folder / name for name in NAMES)
        self._earlier, self._warn = earlier, warn

    def save(self, state: dict[str, Any]) -> None:
        """Publish a state by renames: at every instant there is a complete checkpoint under one of the two names."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        if self._current.exists():
            os.replace(self._current, self._before)
        content = buffer.getvalue()
        publish(self._current, lambda temporary: temporary.write_bytes(hashlib.sha256(content).digest() + content))

    def load(self) -> dict[str, Any] | None:
        """The undamaged state that is farthest, on the CPU, or None. Reads tensors and plain values only."""
        found = [state for state in (self._own(), *self._others()) if state is not None]
        return max(found, key=lambda state: int(state["progress"]["epoch"]), default=None)

    def _own(self) -> dict[str, Any] | None:
        for path in (self._current, self._before):
            if not path.exists():
                continue
            state = _read(path)
            if state is not None:
                return state
            aside = path.with_suffix(".damaged")
            os.replace(path, aside)
            self._warn(f"The checkpoint {path.parent.name}/{path.name} is damaged; it is set aside as {aside.name}.")
        return None

    def _others(self) -> Iterator[dict[str, Any] | None]:
        """Of each earlier folder; a process that was thought lost may still write there, so nothing is moved."""
        for path in (folder / name for folder in self._earlier for name in NAMES):
            with suppress(FileNotFoundError):
                yield _read(path)

    def remove(self) -> None:
        """Delete what a finished trial no longer needs."""
        for path in (self._current, self._before):
            path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    """The state in a file, or None where it is not what was written.

    :raises FileNotFoundError: if there is no such file.
    """
    whole = path.read_bytes()
    digest, content = whole[:_DIGEST], whole[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state
