"""Mistakes in a user's own file, told as sentences with the line of the file; our own keep their traceback."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from senet_core.errors import InputError
from senet_core.registry import Entry

if TYPE_CHECKING:
    from senet_core.dataset import Arrays, Facts


@contextmanager
def mistakes(what: str, *entries: Entry[Any]) -> Iterator[None]:
    """Where one of the entries is of a user's own file, an exception inside the ``with`` is that file's mistake.

    ``what`` begins the sentence: "The network 'mine'". An exception that passed no line of such a file is taken for its mistake, too:
    what it promised was not there.

    :raises InputError: for such a mistake.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        files = {_file(entry) for entry in entries if entry.source is not None}
        if not files:
            raise
        lines = [
            f"line {frame.lineno} of {Path(frame.filename).name}"
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename in files
        ]
        told = _told(error)
        raise InputError(f"{what} fails before anything trains{f', at {lines[-1]}' if lines else ''}: {told}") from error


def _told(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}{f': {said[0]}' if said else ''}"


def _file(entry: Entry[Any]) -> str:
    module = sys.modules.get(f"loaded_{entry.source}")
    return str(getattr(module, "__file__", ""))


def refuse_arrays(name: str, arrays: Arrays, facts: Facts, sides: Sequence[str] = ("train", "test")) -> None:
    """Hold the images of a user's own data set against what its facts say; of ``sides`` alone is anything read.

    :raises InputError: for what does not fit, before it shows as a wrong number.
    """
    for side in sides:
        images, labels, count = getattr(arrays, f"{side}_images"), getattr(arrays, f"{side}_labels"), getattr(facts, side)
        expected = (count, facts.size, facts.size, facts.channels)
        if images.shape != expected or images.dtype != "uint8":
            raise InputError(
                f"The data set '{name}' gives {side} images of shape {images.shape} and type {images.dtype}; by its facts they are "
                f"{expected}, that is (N, H, W, C), and of type uint8."
            )
        if labels.shape != (count,) or labels.dtype.kind not in "iu":
            raise InputError(
                f"The data set '{name}' gives {side} labels of shape {labels.shape} and type {labels.dtype}, not {count} whole numbers."
            )
        if count and (labels.min() < 0 or labels.max() >= len(facts.classes)):
            raise InputError(
                f"The data set '{name}' gives {side} labels from {labels.min()} to {labels.max()}; its {len(facts.classes)} classes are "
                f"counted from 0 to {len(facts.classes) - 1}."
            )
