"""The file of a network's gates by class (``gates.npz``): for the reference network of `quick` and ten classes some 36 kB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from senet_core.class_gates import ClassGates
from senet_core.files import publish, sha256


def write(path: Path, blocks: Sequence[ClassGates]) -> str:
    """Write the gates of all blocks and return the file's digest; the bytes depend on the content alone.

    Averages are kept in single precision; class means, as distances from them, and deviations with 8 significant bits (``packed``), an
    error of 0.4 % of each at most.
    """
    arrays: dict[str, NDArray[Any]] = {
        "paths": np.array([block.path for block in blocks]),
        "counts": np.stack([block.counts for block in blocks]),
    }
    for place, block in enumerate(blocks):
        own: dict[str, NDArray[Any]] = {
            "average": block.average.astype(np.float32),
            "offset": packed(block.offset),
            "deviation": packed(block.deviation),
            "saturated": np.stack([block.low, block.high]),
            "ends": np.array([block.least, block.greatest]),
        }
        arrays |= {f"{place}.{name}": values for name, values in own.items()}
    path.parent.mkdir(parents=True, exist_ok=True)

    def save(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    publish(path, save)
    return sha256(path)


def read(path: Path) -> tuple[ClassGates, ...]:
    """The gates that ``write`` has written.

    :raises OSError: if there is no such file; ``ValueError`` or ``KeyError`` if it is not one of these.
    """
    with np.load(path, allow_pickle=False) as file:
        return tuple(
            ClassGates(
                path=str(name),
                counts=file["counts"][place],
                average=file[f"{place}.average"].astype(np.float64),
                offset=unpacked(file[f"{place}.offset"]),
                deviation=unpacked(file[f"{place}.deviation"]),
                low=file[f"{place}.saturated"][0],
                high=file[f"{place}.saturated"][1],
                least=float(file[f"{place}.ends"][0]),
                greatest=float(file[f"{place}.ends"][1]),
            )
            for place, name in enumerate(file["paths"])
        )


def packed(values: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Numbers as bfloat16: the upper half of a single-precision number, rounded to the nearest (up where two are); NaN stays NaN."""
    bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + np.uint64(1 << 15)) >> np.uint64(16)).astype(np.uint16)


def unpacked(halves: NDArray[np.uint16]) -> NDArray[np.float64]:
    """What ``packed`` has packed."""
    return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
