"""Any folder of images in ImageFolder layout, identified by its content and decoded once into a cached array.

Layout: ``root/train/<class>/*`` and ``root/test/<class>/*``, at least two classes, the same on both sides. Images lie directly in
their class folder. Hidden entries are passed over, and so is anything beside the class folders; any other file in a class folder
that is no image by its suffix is an error, for leaving it out in silence would change the data.

``root/val`` is not read: ``data.holdout`` takes its evaluation images from the training side. The folder is never written to.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from senet_core.cache import kept
from senet_core.dataset import Arrays, Facts
from senet_core.errors import InputError
from senet_core.files import publish_text
from senet_core.registry import DATASETS

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".webp", ".gif", ".tif", ".tiff")
SIDES = ("train", "test")
SIZES = (8, 512)
KNOWN = {"78086fc20c1b": "CIFAR-10 (JPEG)"}
"""Labels of contents that tables should call by a name rather than by their folder."""


@dataclass(frozen=True)
class _File:
    """One image file: its path below the root, as "side/class/name", its size in bytes, and in ns the time its content was changed
    and the time the file system last touched its entry (which a copy that keeps the first cannot keep)."""

    path: str
    size: int
    changed: int
    moved: int

    @property
    def side(self) -> str:
        return self.path.split("/", 1)[0]

    @property
    def label(self) -> str:
        return self.path.split("/", 2)[1]


@DATASETS.add("images")
class Images:
    """A user's folder as a data set of ``size`` x ``size`` RGB images.

    An image of another size has its shorter side scaled to ``size`` (bilinear, antialiased) and is cropped at its centre. Greyscale and
    palette images become RGB, transparency is dropped, an animation gives its first frame, and pixels are taken as stored (an
    EXIF rotation is not applied). More than 8 bits per channel is an error.

    :raises InputError: if ``size`` is out of range (8 ... 512).
    """

    def __init__(self, root: Path | None, cache: Path | None, *, size: int = 32) -> None:
        if not SIZES[0] <= size <= SIZES[1]:
            raise InputError(f"data set 'images': size cannot be {size}; it is a number of pixels from {SIZES[0]} to {SIZES[1]}.")
        self._given, self._cache, self._size = root, cache, size

    def facts(self) -> Facts:
        """The stated facts, from names and contents of the files, without decoding any.

        :raises InputError: if the folder is missing or not in the layout.
        """
        label = KNOWN.get(self._fingerprint, self._root.resolve().name)
        train, test = (sum(file.side == side for file in self._files) for side in SIDES)
        return Facts(label, self._classes, self._size, 3, train, test, ("crop", "flip"), self._fingerprint)

    def arrays(self) -> Arrays:
        """All images, each side sorted by path.

        :raises InputError: if an image is broken, naming it.
        """
        place = self._cache / f"images-{self._fingerprint}-{self._size}.npz" if self._cache else None
        return kept(place, self._decode)

    @property
    def _root(self) -> Path:
        if self._given is None:
            raise InputError("The data set 'images' reads a folder with 'train' and 'test' in it; say which by --data-root.")
        return self._given

    @cached_property
    def _files(self) -> list[_File]:
        return _listing(self._root)

    @property
    def _classes(self) -> tuple[str, ...]:
        return tuple(sorted({file.label for file in self._files}))

    @cached_property
    def _fingerprint(self) -> str:
        """12 hex digits of the SHA-256 over all paths and contents; looked up by the root, and the files' names, sizes and times."""
        if self._cache is None:
            return _fingerprint(self._root, self._files)
        seen = hashlib.sha256(os.fsencode(self._root.resolve()))
        for file in self._files:
            seen.update(os.fsencode(f"{file.path}\0{file.size}\0{file.changed}\0{file.moved}\n"))
        note = self._cache / f"images-{seen.hexdigest()[:32]}.fingerprint"
        with contextlib.suppress(OSError):
            if re.fullmatch(rb"[0-9a-f]{12}", known := note.read_bytes()):
                return known.decode()
        fingerprint = _fingerprint(self._root, self._files)
        with contextlib.suppress(OSError):
            publish_text(note, fingerprint)
        return fingerprint

    def _decode(self) -> Arrays:
        return Arrays(*self._side("train"), *self._side("test"))

    def _side(self, side: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        files = [file for file in self._files if file.side == side]
        images = np.empty((len(files), self._size, self._size, 3), np.uint8)
        for image, file in zip(images, files, strict=True):
            image[:] = _pixels(self._root / file.path, self._size)
        number = {name: place for place, name in enumerate(self._classes)}
        return images, np.array([number[file.label] for file in files], dtype=np.int64)


def _listing(root: Path) -> list[_File]:
    """All image files, both sides, sorted by path; the layout is checked on the way."""
    _check_root(root)
    files = [file for side in SIDES for label in _folders(root / side) for file in _class_files(root, f"{side}/{label}")]
    train, test = ({file.label for file in files if file.side == side} for side in SIDES)
    for here, there, missing in (("train", "test", train - test), ("test", "train", test - train)):
        if missing:
            raise InputError(
                f"In '{root}', '{here}' has classes that '{there}' lacks: {', '.join(sorted(missing))}. Both need the same ones."
            )
    if len(train) < 2:
        raise InputError(f"'{root / 'train'}' has {len(train)} class folder{'s' * (not train)}; a data set needs two or more.")
    return sorted(files, key=lambda file: os.fsencode(file.path))


def _check_root(root: Path) -> None:
    if not root.exists():
        raise InputError(f"The folder '{root}' given to --data-root does not exist.")
    if not root.is_dir():
        raise InputError(f"'{root}' given to --data-root is no folder; it takes one with 'train/<class>/' and 'test/<class>/' in it.")
    for side in SIDES:
        if (root / side).is_dir():
            continue
        there = ", ".join(_folders(root)) or "none"
        val = (
            " The folder 'val' is not taken for it: rename it if it is the test set." if side == "test" and (root / "val").is_dir() else ""
        )
        raise InputError(
            f"'{root}' has no folder '{side}'; the layout is 'train/<class>/' and 'test/<class>/'. Folders there: {there}.{val}"
        )


def _folders(place: Path) -> list[str]:
    with os.scandir(place) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())


def _class_files(root: Path, folder: str) -> list[_File]:
    """The image files of one class of one side, unsorted; ``folder`` is "side/class"."""
    with os.scandir(root / folder) as entries:
        files = [_file(folder, entry) for entry in entries if not entry.name.startswith(".")]
    if not files:
        raise InputError(f"The class folder '{root / folder}' has no images in it.")
    return files


def _file(folder: str, entry: os.DirEntry[str]) -> _File:
    if entry.is_dir():
        raise InputError(f"'{entry.path}' is a folder inside a class folder; images lie directly in their class folder.")
    if not entry.name.lower().endswith(SUFFIXES):
        raise InputError(f"'{entry.path}' is no image by its name; move it out of the class folder. Images end in {', '.join(SUFFIXES)}.")
    try:
        stat = entry.stat()
    except OSError as error:
        raise _unreadable(entry.path, error) from None
    return _File(f"{folder}/{entry.name}", stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _fingerprint(root: Path, files: list[_File]) -> str:
    content = hashlib.sha256()
    for file in files:
        try:
            digest = hashlib.sha256((root / file.path).read_bytes()).hexdigest()
        except OSError as error:
            raise _unreadable(root / file.path, error) from None
        content.update(os.fsencode(f"{file.path}\0{digest}\n"))
    return content.hexdigest()[:12]


def _unreadable(path: Path | str, error: OSError) -> InputError:
    return InputError(f"Cannot read the image '{path}': {error.strerror}.")


def _pixels(path: Path, size: int) -> NDArray[np.uint8]:
    """One image as (size, size, 3).

    :raises InputError: if it cannot be decoded.
    """
    from PIL import Image  # late, since facts need no decoder

    try:
        with Image.open(path) as image:
            return np.asarray(_fitted(_rgb(image), size))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        reason = "it is no image that Pillow knows" if type(error).__name__ == "UnidentifiedImageError" else str(error).rstrip(".")
        raise InputError(f"The image '{path}' cannot be decoded: {reason}.") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"it has more than 8 bits per channel (mode {image.mode})")
    # By way of RGBA, because Pillow warns where it turns a palette with transparency straight into RGB.
    return image.convert("RGBA").convert("RGB") if image.mode == "P" else image.convert("RGB")


def _fitted(image: Image.Image, size: int) -> Image.Image:
    """The shorter side scaled to ``size``, then the centre."""
    from PIL.Image import Resampling

    if image.size == (size, size):
        return image
    short = min(image.size)
    width, height = (round(side * size / short) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    return image.resize((width, height), Resampling.BILINEAR).crop((left, top, left + size, top + size))
