"""One checkpoint after each epoch, and the one before it; a damaged one is set aside and the one before is used."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from senet_core.files import publish

_DIGEST = hashlib.sha256().digest_size  # a checkpoint file begins with the digest of the rest


class Checkpoints:
    """The checkpoints of one trial in its folder; the caller holds the trial's lock."""

    def __init__(self, folder: Path, warn: Callable[[str], None] = lambda sentence: None) -> None:
        self._current, self._before = folder / "checkpoint.pt", folder / "checkpoint-before.pt"
        self._warn = warn

    def save(self, state: dict[str, Any]) -> None:
        """Publish a state by renames: at every instant there is a complete checkpoint under one of the two names."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        if self._current.exists():
            os.replace(self._current, self._before)
        content = buffer.getvalue()
        publish(self._current, lambda temporary: temporary.write_bytes(hashlib.sha256(content).digest() + content))

    def load(self) -> dict[str, Any] | None:
        """The newest undamaged state, on the CPU, or None. Reads tensors and plain values only."""
        for path in (self._current, self._before):
            if not path.exists():
                continue
            whole = path.read_bytes()
            digest, content = whole[:_DIGEST], whole[_DIGEST:]
            if hashlib.sha256(content).digest() == digest:
                state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
                return state
            aside = path.with_suffix(".damaged")
            os.replace(path, aside)
            self._warn(f"The checkpoint {path.parent.name}/{path.name} is damaged; it is set aside as {aside.name}.")
        return None

    def remove(self) -> None:
        """Delete what a finished trial no longer needs."""
        for path in (self._current, self._before):
            path.unlink(missing_ok=True)
