"""Arrays kept on disk between commands; a cache that cannot be written costs time and nothing else."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from senet_core.dataset import Arrays
from senet_core.files import publish


def kept(place: Path | None, make: Callable[[], Arrays]) -> Arrays:
    """The arrays stored at ``place`` (.npz), or else made, and stored there; ``None`` keeps nothing.

    The file appears whole by a rename, so processes may race and be killed; a damaged one is made anew.
    """
    if place is None:
        return make()
    damages = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
    with contextlib.suppress(*damages), place.open("rb") as file, np.load(file) as stored:
        return Arrays(**{name: stored[name] for name in Arrays.__dataclass_fields__})
    arrays = make()
    with contextlib.suppress(OSError):
        publish(place, lambda temporary: _save(temporary, arrays))
    return arrays


def _save(path: Path, arrays: Arrays) -> None:
    with path.open("wb") as file:
        np.savez(file, **vars(arrays))
