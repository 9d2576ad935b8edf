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

from senet_core.dataset import Arrays, Facts
from senet_core.errors import InputError
from senet_core.registry import DATASETS
from senet_core.seeds import derive

Side = Literal["train", "test"]
Floats = NDArray[np.float32]

SIZE = 32
CLASSES = tuple("0123456789")
LARGEST = 200_000
_CHUNK = 200
_CELLS = 10
"""Width of a glyph with its empty border of one cell."""
_LATTICE = 5
"""Points per side of the coarse lattice from which the colour clouds are interpolated."""
_HEIGHT = (16, 24)
_FRAGMENTS, _FRAGMENT_HEIGHT = 2, (12, 18)
_CONTRAST, _CLOUDS, _STRIPES, _NOISE = (35, 90), 30, 15, 0.12
"""In grey levels, but the noise: its share of the difference of two uniform bytes."""


@DATASETS.add("digits")
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

    def facts(self) -> Facts:
        """The stated facts; they cost nothing."""
        return Facts("Digits (embedded)", CLASSES, SIZE, 3, self._counts["train"], self._counts["test"], ("crop",))

    def arrays(self) -> Arrays:
        """Generate both sides, about a second for the default numbers; so nothing is cached."""
        sides: dict[Side, Bank] = banks()
        images = {side: compose(bank, side, self._counts[side]) for side, bank in sides.items()}
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
    fragments = [_fragment(bank, bits) for _ in range(_FRAGMENTS)]
    for ink in [*fragments, _digit(bank, bits)]:
        colour = _contrasting(base, bits)
        canvas += ink * (colour[..., None, None] - canvas)
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
    return base + np.where(lighter, contrast, -contrast) + bits.uniform(-20, 20, 3, _CHUNK)


def _background(base: Floats, bits: _Bits) -> Floats:
    """Flat colours (3, chunk) under coloured clouds and faint stripes: (3, chunk, 32, 32)."""
    clouds = _stretched(_stretched(bits.uniform(-_CLOUDS, _CLOUDS, 3, _CHUNK, _LATTICE, _LATTICE), 2), 3)
    across, along = bits.uniform(-0.25, 0.25, 2, _CHUNK, 1, 1)
    steps = np.arange(SIZE, dtype=np.float32)
    phase = across * steps + along * steps[:, None]
    wave = np.abs(phase - np.floor(phase) - np.float32(0.5)) * 4 - 1
    strength = bits.uniform(-_STRIPES, _STRIPES, 3, _CHUNK, 1, 1)
    return base[..., None, None] + clouds + strength * wave


def _stretched(lattice: Floats, axis: int) -> Floats:
    """One axis interpolated linearly from ``_LATTICE`` points to ``SIZE``."""
    place = np.linspace(0, _LATTICE - 1, SIZE, endpoint=False, dtype=np.float32)
    left = place.astype(np.intp)
    weight = (place - left).reshape(-1, *[1] * (lattice.ndim - 1 - axis))
    a, b = lattice.take(left, axis), lattice.take(left + 1, axis)
    return a + weight * (b - a)


def _digit(bank: Bank, bits: _Bits) -> Floats:
    """The ink of the digit that gives an image its label, wholly inside the canvas."""
    digit = np.arange(_CHUNK) % len(CLASSES)
    height = bits.uniform(*_HEIGHT, _CHUNK)
    reach = (SIZE - height) / 2
    centre = SIZE / 2 + reach * bits.uniform(-1, 1, 2, _CHUNK)
    return _ink(bank, digit, height, centre, bits)


def _fragment(bank: Bank, bits: _Bits) -> Floats:
    """The ink of a smaller glyph of any class that is centred near the rim, so the canvas cuts it."""
    digit = bits.below(np.full(_CHUNK, len(CLASSES)))
    height = bits.uniform(*_FRAGMENT_HEIGHT, _CHUNK)
    along = bits.uniform(0, SIZE, _CHUNK)
    rim = np.where(bits.uniform(-1, 1, _CHUNK) < 0, np.float32(0), np.float32(SIZE)) + bits.uniform(-2, 2, _CHUNK)
    upright = bits.uniform(-1, 1, _CHUNK) < 0
    centre = np.where(upright, np.stack([rim, along]), np.stack([along, rim]))
    return _ink(bank, digit, height, centre, bits)


def _ink(bank: Bank, digit: NDArray[np.int64], height: Floats, centre: Floats, bits: _Bits) -> Floats:
    """One random glyph per image under a small affine map, 0 ... 1, (chunk, 32, 32); ``height`` and ``centre`` (y, x) in pixels."""
    glyph = bank.start[digit] + bits.below(bank.count[digit])
    scale = (_CELLS - 2) / height[:, None, None]
    turn, slant = bits.uniform(-0.25, 0.25, 2, _CHUNK, 1, 1)
    stretch = bits.uniform(0.85, 1.2, _CHUNK, 1, 1)
    steps = np.arange(SIZE, dtype=np.float32) + np.float32(0.5)
    y = steps[:, None] - centre[0, :, None, None]
    x = steps - centre[1, :, None, None]
    row = y * scale - x * (turn * scale)
    column = (x * scale + y * ((turn + slant) * scale)) * stretch
    return np.clip(_sampled(bank, glyph, row, column) * np.float32(1.7) - np.float32(0.35), 0, 1)


def _sampled(bank: Bank, glyph: NDArray[np.int64], row: Floats, column: Floats) -> Floats:
    """The glyphs' ink, interpolated bilinearly at places (chunk, 32, 32) in cells from their centre; 0 outside."""
    middle, last = np.float32((_CELLS - 1) / 2), np.float32(_CELLS - 1.001)
    row, column = (np.clip(place + middle, 0, last) for place in (row, column))
    top, left = row.astype(np.int32), column.astype(np.int32)
    down, right = row - top, column - left
    at = glyph.astype(np.int32)[:, None, None] * _CELLS**2 + top * _CELLS + left
    ink = bank.ink.reshape(-1)
    upper, lower = (a + right * (ink.take(at + here + 1) - a) for here in (0, _CELLS) for a in [ink.take(at + here)])
    return upper + down * (lower - upper)
