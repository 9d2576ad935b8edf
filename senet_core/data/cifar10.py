"""CIFAR-10 in its original Python format, read and checked by torchvision's own reader; nothing is ever downloaded here.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from senet_core.dataset import Arrays, Facts
from senet_core.errors import InputError
from senet_core.registry import DATASETS

DEFAULT_ROOT = Path("data")


class Cifar:
    """What the two CIFAR sets share: 50,000 training and 10,000 test images, 32x32 RGB, under ``root`` (default: ``data``).

    ``root`` holds the extracted folder or the .tar.gz archive; the archive is checked and extracted beside itself on first use.
    """

    label: ClassVar[str]
    classes: ClassVar[tuple[str, ...]]
    reader: ClassVar[str]
    """The name of the class in ``torchvision.datasets``."""
    folder: ClassVar[str]
    archive: ClassVar[str]

    def __init__(self, root: Path | None, cache: Path | None) -> None:
        self._root = root or DEFAULT_ROOT

    def facts(self) -> Facts:
        """The stated facts, after a look that the files are there.

        :raises InputError: if neither the extracted folder nor the archive is in ``root``.
        """
        if not (self._root / self.folder).is_dir() and not (self._root / self.archive).is_file():
            raise InputError(
                f"{self.label} is not in '{self._root}': neither the folder '{self.folder}' nor the archive '{self.archive}'. "
                f"Put one of them there (from https://www.cs.toronto.edu/~kriz/{self.archive}; that host is slow, and a run never "
                "downloads), or say by --data-root where it is."
            )
        return Facts(self.label, self.classes, 32, 3, 50_000, 10_000, ("crop", "flip"))

    def arrays(self) -> Arrays:
        """Both sides, in the order of the original batches.

        :raises InputError: if the archive or a file of the folder is missing or has a wrong checksum.
        """
        from torchvision import datasets  # imports torch

        self.facts()
        reader = getattr(datasets, self.reader)
        if not (self._root / self.folder).is_dir():
            self._extract(reader)
        self._check(reader)
        return Arrays(*self._side(reader, train=True), *self._side(reader, train=False))

    def _check(self, reader: Any) -> None:
        """The reader's own checksums, file by file, so that the error can name the file; no pickle is opened before."""
        from torchvision.datasets.utils import check_integrity

        for name, checksum in [*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])]:
            path = self._root / self.folder / name
            if not check_integrity(path, checksum):
                state = "does not have the checksum of the original" if path.exists() else "is missing"
                raise InputError(f"'{path}' {state}. Delete the folder '{path.parent}' and put it, or '{self.archive}', there anew.")

    def _extract(self, reader: Any) -> None:
        """Extract beside the archive and rename at the end, so that a kill or a second process leaves no half folder."""
        from torchvision.datasets.utils import check_integrity, extract_archive

        archive, folder = self._root / self.archive, self._root / self.folder
        if not check_integrity(archive, reader.tgz_md5):
            raise InputError(f"'{archive}' does not have the checksum of the original, perhaps its download broke off. Fetch it anew.")
        try:
            with tempfile.TemporaryDirectory(prefix=".extracting-", dir=self._root) as place:
                extract_archive(archive, place)
                (Path(place) / self.folder).rename(folder)
        except OSError as error:
            if not folder.is_dir():  # else another process was faster
                raise InputError(f"Cannot extract '{archive}' beside itself: {error.strerror}. Extract it by hand.") from None

    def _side(self, reader: Any, train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        with warnings.catch_warnings():
            # The pickles were written by an old NumPy, in a form that NumPy 2.4 deprecates.
            warnings.filterwarnings("ignore", message=r"dtype\(\): align")
            read = reader(self._root, train=train)
        return np.ascontiguousarray(read.data), np.array(read.targets, dtype=np.int64)


@DATASETS.add("cifar10")
class Cifar10(Cifar):
    """Ten classes, 6,000 images each."""

    label = "CIFAR-10"
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    reader, folder, archive = "CIFAR10", "cifar-10-batches-py", "cifar-10-python.tar.gz"
