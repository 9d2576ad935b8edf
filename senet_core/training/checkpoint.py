"""One checkpoint after each epoch, and the one before it; a damaged one is set aside and the one before is used."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class Checkpoints:
    """The checkpoints of one trial in its folder; the caller holds the trial's lock."""

    def __init__(self, folder: Path, warn: Callable[[str], None] = lambda sentence: None) -> None:
        self._current, self._before = folder / "checkpoint.pt", folder / "checkpoint-before.pt"
        self._warn = warn

    def save(self, state: dict[str, Any]) -> None:
        """Publish a state by renames: at every instant there is a complete checkpoint under one of the two names."""
        temporary = self._current.with_name(f".checkpoint.pt.{os.getpid()}")
        try:
            torch.save(state, temporary)
            if self._current.exists():
                os.replace(self._current, self._before)
            os.replace(temporary, self._current)
        finally:
            temporary.unlink(missing_ok=True)

    def load(self) -> dict[str, Any] | None:
        """The newest readable state, on the CPU, or None. Reads tensors and plain values only."""
        for path in (self._current, self._before):
            if not path.exists():
                continue
            try:
                state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
                return state
            except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, zipfile.BadZipFile, KeyError, ValueError) as error:
                aside = path.with_suffix(".damaged")
                os.replace(path, aside)
                self._warn(f"The checkpoint {path.parent.name}/{path.name} is damaged ({type(error).__name__}); set aside as {aside.name}.")
        return None

    def remove(self) -> None:
        """Delete what a finished trial no longer needs."""
        for path in (self._current, self._before):
            path.unlink(missing_ok=True)
