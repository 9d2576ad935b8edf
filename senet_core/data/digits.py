"""The embedded data set: real handwritten digits, composed onto coloured, textured 32x32 canvases; nothing to download.

The 1797 glyphs (8x8, 13 writers; E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998) come with
scikit-learn. They are split into a training and a test part first, so no test image shows a glyph that was trained on.

Every number below is an elementwise operation on counted raw bits (no sums, no matrix products, no transcendental functions), so the
images are the same bytes on every machine and under every NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from senet_core.cache import kept
from senet_core.dataset import Arrays, Facts
from senet_core.errors import InputError
from senet_core.registry import DATASETS
from senet_core.seeds import derive

Side = Literal["train", "test"]
Floats = NDArray[np.float32]

VERSION = 1
"""Raised whenever an image changes: it enters a trial's key and the name of the cached file."""
SIZE = 32
CLASSES = tuple("0123456789")
LARGEST = 200_000
_CHUNK = 100
_CELLS = 10
"""Width of a glyph with its empty border of one cell."""
_LATTICE = 5
"""Points per side of the coarse lattice from which the colour clouds are interpolated."""
_HEIGHT = (17, 25)
_CONTRAST, _CLOUDS, _STRIPES, _NOISE = (80, 150), 20, 10, 0.08
"""In grey levels, but the noise: its share of the difference of two uniform bytes."""


@DATASETS.add("digits", version=VERSION)
class Digits:
    """Ten classes, ``train`` and ``test`` composed images (10 ... 200,000 each); label i % 10 at place i.

    An image depends on its place alone: asking for more leaves the first ones as they were. Digits are no mirror images of
    digits, so the stated augmentation is the crop without the flip.

    :raises InputError: if a ``root`` is given, or for a number of images out of range.
    """

    def __init__(self, root: Path | None, cache: Path | None, *, train: int = 10_000, test: int = 4_000) -> None:
        if root is not None:
            raise InputError(f"The data set 'digits' is embedded and reads no files, so it takes no --data-root (given: '{root}').")
        for side, count in {"train": train, "test": test}.items():
            if not len(CLASSES) <= count <= LARGEST:
                raise InputError(f"data set 'digits': {side} cannot be {count}; it is a number of images from {len(CLASSES)} to {LARGEST}.")
        self._counts: dict[Side, int] = {"train": train, "test": test}
        self._place = cache / f"digits-{VERSION}-{train}-{test}.npz" if cache else None

    def facts(self) -> Facts:
        """The stated facts; they cost nothing."""
        return Facts("Digits (embedded)", CLASSES, SIZE, 3, self._counts["train"], self._counts["test"], ("crop",))

    def arrays(self) -> Arrays:
        """Both sides; generating the default numbers takes one to two seconds, so they are cached."""
        return kept(self._place, self._generate)

    def _generate(self) -> Arrays:
        images = {side: compose(bank, side, self._counts[side]) for side, bank in banks().items()}
        labels = {side: np.arange(count, dtype=np.int64) % len(CLASSES) for side, count in self._counts.items()}
        return Arrays(images["train"], labels["train"], images["test"], labels["test"])


@dataclass(frozen=True)
class Bank:
    """Glyphs of one side, sorted by class: ink in 0 ... 1 with an empty border (G, 10, 10), first index and number per class (10,)."""

    ink: Floats
    start: NDArray[np.int64]
    count: NDArray[np.int64]


def banks() -> dict[Side, Bank]:
    """The glyphs of both sides: of each class, a fixed random 30 % are for testing."""
    from sklearn.datasets import load_digits  # slow to import

    source = load_digits()
    parts: dict[Side, list[NDArray[np.int64]]] = {"train": [], "test": []}
    for digit in range(len(CLASSES)):
        glyphs = np.flatnonzero(source.target == digit)
        glyphs = glyphs[np.argsort(_Bits("split", digit).raw(len(glyphs)), kind="stable")]
        cut = len(glyphs) * 3 // 10
        parts["test"].append(np.sort(glyphs[:cut]))
        parts["train"].append(np.sort(glyphs[cut:]))
    return {side: _bank(source.images, classes) for side, classes in parts.items()}


def _bank(glyphs: NDArray[np.float64], classes: list[NDArray[np.int64]]) -> Bank:
    count = np.array([len(members) for members in classes])
    ink = np.zeros((count.sum(), _CELLS, _CELLS), np.float32)
    ink[:, 1:-1, 1:-1] = glyphs[np.concatenate(classes)] / 16
    return Bank(ink, np.cumsum(count) - count, count)


class _Bits:
    """Counted random bits for one place; only raw bits are drawn, the part of NumPy's generators that never changes."""

    def __init__(self, *place: int | str) -> None:
        self._source = np.random.Philox(key=derive(0, "noise", "digits", *place))

    def raw(self, count: int) -> NDArray[np.uint64]:
        """64 bits each, shape (count,)."""
        return self._source.random_raw(count)

    def bytes(self, *shape: int) -> NDArray[np.uint8]:
        """Uniform in 0 ... 255."""
        count = int(np.prod(shape))
        return self.raw(-(-count // 8)).astype("<u8").view(np.uint8)[:count].reshape(shape)

    def uniform(self, low: float, high: float, *shape: int) -> Floats:
        """Uniform in [low, high), 24 bits fine."""
        unit = (self.raw(int(np.prod(shape))) >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)
        return (np.float32(low) + unit * np.float32(high - low)).reshape(shape)

    def below(self, bounds: NDArray[np.int64]) -> NDArray[np.int64]:
        """One whole number in 0 ... bound - 1 for each bound."""
        return (self.raw(bounds.size) >> np.uint64(33)).astype(np.int64).reshape(bounds.shape) * bounds >> 31


def compose(bank: Bank, side: Side, count: int) -> NDArray[np.uint8]:
    """The first ``count`` images of a side, uint8 (count, 32, 32, 3)."""
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    for chunk, first in enumerate(range(0, count, _CHUNK)):
        images[first : first + _CHUNK] = _chunk(bank, _Bits(side, chunk))[: count - first]
    return images


def _chunk(bank: Bank, bits: _Bits) -> NDArray[np.uint8]:
    """One chunk of images, (chunk, 32, 32, 3): background, fragments of other glyphs, the digit on top, pixel noise."""
    base = _colours(bits)
    canvas = _background(base, bits)
    digits = _digits(bank, bits)
    for ink in (_fragments(digits, bits), digits):
        colour = _contrasting(base, bits)
        canvas += (colour[..., None, None] - canvas) * ink
    noise = bits.bytes(2, 3, _CHUNK, SIZE, SIZE).astype(np.int16)
    canvas += (noise[0] - noise[1]).astype(np.float32) * np.float32(_NOISE)
    return np.clip(np.floor(canvas), 0, 255).astype(np.uint8).transpose(1, 2, 3, 0)


def _colours(bits: _Bits) -> Floats:
    """Background colours (3, chunk): a middle grey, tinted, so that ink may be lighter or darker."""
    return bits.uniform(85, 170, 1, _CHUNK) + bits.uniform(-35, 35, 3, _CHUNK)


def _contrasting(base: Floats, bits: _Bits) -> Floats:
    """Ink colours (3, chunk): lighter or darker than the background by a limited contrast, and tinted."""
    contrast = bits.uniform(*_CONTRAST, 1, _CHUNK)
    lighter = bits.uniform(-1, 1, 1, _CHUNK) < 0
    return base + np.where(lighter, contrast, -contrast) + bits.uniform(-12, 12, 3, _CHUNK)


def _background(base: Floats, bits: _Bits) -> Floats:
    """Flat colours (3, chunk) under coloured clouds and faint stripes: (3, chunk, 32, 32)."""
    clouds = _stretched(_stretched(bits.uniform(-_CLOUDS, _CLOUDS, 3, _CHUNK, _LATTICE, _LATTICE), 2), 3)
    across, along = bits.uniform(-0.25, 0.25, 2, _CHUNK, 1, 1)
    steps = np.arange(SIZE, dtype=np.float32)
    phase = across * steps + along * steps[:, None]
    wave: Floats = np.abs(phase - np.floor(phase) - np.float32(0.5)) * 4 - 1
    strength = bits.uniform(-_STRIPES, _STRIPES, 3, _CHUNK, 1, 1)
    return base[..., None, None] + clouds + strength * wave


def _stretched(lattice: Floats, axis: int) -> Floats:
    """One axis interpolated linearly from ``_LATTICE`` points to ``SIZE``."""
    place = np.linspace(0, _LATTICE - 1, SIZE, endpoint=False, dtype=np.float32)
    left = place.astype(np.intp)
    weight = (place - left.astype(np.float32)).reshape(-1, *[1] * (lattice.ndim - 1 - axis))
    a, b = lattice.take(left, axis), lattice.take(left + 1, axis)
    stretched: Floats = a + weight * (b - a)
    return stretched


def _fragments(digits: Floats, bits: _Bits) -> Floats:
    """The ink of another image's digit, moved by half a canvas around the rim: its pieces lie in the corners, cut.

    Two pixels around the digit itself stay free, so a piece never joins it into another digit.
    """
    others = np.argsort(bits.raw(_CHUNK), kind="stable")
    pieces = np.roll(digits[others], (SIZE // 2, SIZE // 2), (1, 2))
    halo = digits
    for axis in (1, 2):
        halo = np.maximum(halo, np.maximum(np.roll(halo, 2, axis), np.roll(halo, -2, axis)))
    return pieces * (1 - halo)


def _digits(bank: Bank, bits: _Bits) -> Floats:
    """The ink of the digits that give the images their labels, each inside its canvas: 0 ... 1, (chunk, 32, 32).

    One random glyph of the class per image under a small affine map: size, place, turn, slant and stretch.
    """
    digit = np.arange(_CHUNK) % len(CLASSES)
    glyph = bank.start[digit] + bits.below(bank.count[digit])
    height = bits.uniform(*_HEIGHT, _CHUNK, 1, 1)
    turn, slant = bits.uniform(-0.2, 0.2, 2, _CHUNK, 1, 1)
    stretch = bits.uniform(0.85, 1.2, _CHUNK, 1, 1)
    steps = np.arange(SIZE, dtype=np.float32) - np.float32((SIZE - 1) / 2)
    shift = bits.uniform(-0.5, 0.5, 2, _CHUNK, 1, 1) * (SIZE - height)
    y, x = steps[:, None] - shift[0], steps - shift[1]
    cells = (_CELLS - 2) / height
    ink = _sampled(bank, glyph, (y - x * turn) * cells, (x + y * (turn + slant)) * (stretch * cells))
    crisp: Floats = np.clip(ink * np.float32(2) - np.float32(0.6), 0, 1)
    return crisp


def _sampled(bank: Bank, glyph: NDArray[np.int64], row: Floats, column: Floats) -> Floats:
    """The glyphs' ink, interpolated bilinearly at places (chunk, 32, 32) in cells from their centre; 0 outside."""
    middle, last = np.float32((_CELLS - 1) / 2), np.float32(_CELLS - 1.001)
    row, column = (np.clip(place + middle, 0, last) for place in (row, column))
    top, left = row.astype(np.intp), column.astype(np.intp)
    down, right = row - top.astype(np.float32), column - left.astype(np.float32)
    at = top * _CELLS + left + glyph[:, None, None] * _CELLS**2
    corners = [bank.ink.reshape(-1)[offset:].take(at, mode="clip") for offset in (0, 1, _CELLS, _CELLS + 1)]
    upper = corners[0] + right * (corners[1] - corners[0])
    lower = corners[2] + right * (corners[3] - corners[2])
    return upper + down * (lower - upper)
