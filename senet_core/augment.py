"""Augmentation as index arithmetic: each image's crop, flip and hole are drawn on the CPU, and applied on the device by one gather.

An augmentation changes the rows and columns that are read from an image (an index outside the image reads zero, as padding the raw
image with black would give), or the pixels that are blanked. Draws are counted by image, not by its place in a batch: the order of
the images can change without changing what happens to each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from senet_core.registry import Registry


@dataclass
class Sampling:
    """For each of n images the source row and column of every target pixel, (n, size) each, and a mask of kept pixels or None; ``shift``
    is how far a crop may move an image, in pixels."""

    rows: NDArray[np.int16]
    columns: NDArray[np.int16]
    keep: NDArray[np.bool_] | None = None
    shift: int = 4

    @classmethod
    def identity(cls, images: int, size: int, shift: int = 4) -> Sampling:
        """Every pixel from its own place."""
        line = np.broadcast_to(np.arange(size, dtype=np.int16), (images, size))
        return cls(line, line, shift=shift)


Augmentation = Callable[[Sampling, np.random.Generator], Sampling]

AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation")


def sample(names: tuple[str, ...], images: int, size: int, rng: np.random.Generator, shift: int = 4) -> Sampling:
    """One epoch's draws for all images, the named augmentations one after the other."""
    sampling = Sampling.identity(images, size, shift)
    for name in names:
        sampling = replace(AUGMENTATIONS[name].value(sampling, rng), shift=shift)
    return sampling


@AUGMENTATIONS.add("crop")
def crop(sampling: Sampling, rng: np.random.Generator) -> Sampling:
    """Zero-pad by ``shift`` pixels on each side, 4 in the SE paper (Section 5.1, CIFAR), and crop the original size at random."""
    far = sampling.shift
    shift = rng.integers(-far, far + 1, size=(2, len(sampling.rows), 1), dtype=np.int16)
    return replace(sampling, rows=sampling.rows + shift[0], columns=sampling.columns + shift[1])


@AUGMENTATIONS.add("flip")
def flip(sampling: Sampling, rng: np.random.Generator) -> Sampling:
    """Mirror left and right with probability one half."""
    mirrored = rng.random((len(sampling.columns), 1)) < 0.5
    return replace(sampling, columns=np.where(mirrored, sampling.columns[:, ::-1], sampling.columns))


@AUGMENTATIONS.add("cutout")
def cutout(sampling: Sampling, rng: np.random.Generator) -> Sampling:
    """Blank one square of half the image's side at a random centre, cut at the border (DeVries and Taylor 2017; 16 pixels of 32)."""
    images, size = sampling.rows.shape
    centre = rng.integers(0, size, size=(2, images, 1))
    line = np.arange(size)
    inside = [(line >= c - size // 4) & (line < c + size // 4) for c in centre]
    hole = inside[0][:, :, None] & inside[1][:, None, :]
    return replace(sampling, keep=~hole if sampling.keep is None else sampling.keep & ~hole)
