"""What a data set is to the rest: stated facts without reading images, and arrays when training starts.

A data set is one class in ``senet_core/data/<name>.py``, registered by ``@DATASETS.add(name)`` and built from where its files lie
(``root``, ``cache``) and from its own keyword-only arguments, which are recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Facts:
    """What is known of a data set before its images are decoded.

    ``label`` is its name in tables ("CIFAR-10 (JPEG)"); ``fingerprint`` identifies the content where the recipe alone does not
    (a user's folder), and enters the trial's key; ``augment`` is what ``data.augment = "auto"`` means.
    """

    label: str
    classes: tuple[str, ...]
    size: int
    channels: int
    train: int
    test: int
    augment: tuple[str, ...]
    fingerprint: str | None = None


@dataclass(frozen=True)
class Arrays:
    """All images in memory, undecorated: uint8 (N, H, W, C) and their labels as int64 (N,), for both sides."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]

    def without_test(self) -> Arrays:
        """The training side alone, for what must not know the other one."""
        return Arrays(self.train_images, self.train_labels, np.empty((0, *self.train_images.shape[1:]), np.uint8), np.empty(0, np.int64))


class Dataset(Protocol):
    """What a registered data set class offers; its constructor takes ``root``, ``cache`` and keyword-only recipe arguments."""

    def __init__(self, root: Path | None, cache: Path | None) -> None:
        """Remember where the files are (``root``, from ``--data-root``) and where decoded arrays may be kept (``cache``)."""

    def facts(self) -> Facts:
        """The stated facts; cheap enough for every command.

        :raises InputError: if ``root`` is missing, empty, or not in the layout that this data set reads.
        """

    def arrays(self) -> Arrays:
        """Read (or generate) everything; from the cache where it is valid.

        :raises InputError: if a file is broken, naming it.
        """
