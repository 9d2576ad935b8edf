"""Batches on the device from a data set that fits into memory: no loader workers, one draw per image, fixed shapes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from senet_core.augment import sample
from senet_core.config import Config
from senet_core.dataset import Arrays
from senet_core.errors import InputError
from senet_core.seeds import Seed, generator
from senet_core.training.execution import MemoryFormat

PADDING = 4  # the farthest that an augmentation reaches outside an image
EVALUATION_BATCH = 500

Draw = tuple[Tensor, ...]


def split(labels: NDArray[np.int64], holdout: int, seed: Seed) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the training images kept and of those held out: ``holdout`` of them, balanced by class, drawn from ``split``.

    :raises InputError: if a class has too few images for its share.
    """
    rng = generator(seed, "split")
    classes = np.unique(labels)
    shares = [holdout // len(classes) + (place < holdout % len(classes)) for place in range(len(classes))]
    sizes = [int((labels == c).sum()) for c in classes]
    if holdout and any(share >= size for share, size in zip(shares, sizes, strict=True)):
        raise InputError(f"data.holdout = {holdout} takes {max(shares)} images of every class, and the smallest has {min(sizes)}.")
    out = [rng.permutation(np.flatnonzero(labels == c))[:share] for c, share in zip(classes, shares, strict=True)]
    held = np.sort(np.concatenate(out))
    return np.setdiff1d(np.arange(len(labels)), held), held


class Batches:
    """The training and evaluation batches of one trial.

    A *draw* is what the host decides about a batch: which images, which rows and columns of each. ``fetch`` turns it into the batch
    with device work alone, so that it can be captured together with the step. The last partial batch of an epoch is dropped.
    """

    def __init__(
        self, arrays: Arrays, config: Config, seed: Seed, device: torch.device, memory_format: MemoryFormat = "channels_last"
    ) -> None:
        self._config, self._seed, self._device, self._memory_format = config, seed, device, memory_format
        kept, held = split(arrays.train_labels, config.data.holdout, seed)
        images, labels = arrays.train_images[kept], arrays.train_labels[kept]
        self.mean, self.std = _moments(images)
        self._images, self._labels = self._padded(images), torch.from_numpy(labels).to(device)
        if config.data.holdout:
            self._evaluated = arrays.train_images[held], arrays.train_labels[held]
        else:
            self._evaluated = arrays.test_images, arrays.test_labels
        self._batch = config.train.batch
        self._augment = () if config.data.augment == "auto" else config.data.augment
        self.steps = len(labels) // self._batch
        self._size = images.shape[1]
        self._dtype = torch.bfloat16 if config.train.precision == "bf16" else torch.float32

    @property
    def evaluation_labels(self) -> NDArray[np.int64]:
        """The labels of the evaluation images, in the order of ``evaluation``."""
        return self._evaluated[1]

    def draws(self, epoch: int) -> Iterator[Draw]:
        """The draws of one epoch (from 0), each of fixed shapes: images (B,), rows (B, S), columns (B, S), and a mask where one is used."""
        order = generator(self._seed, "order", epoch).permutation(len(self._labels))[: self.steps * self._batch]
        rng = generator(self._seed, "augment", epoch)
        sampling = sample(self._augment, len(self._labels), self._size, rng, self._config.data.shift)
        parts = [order, sampling.rows[order] + PADDING, sampling.columns[order] + PADDING]
        if sampling.keep is not None:
            parts.append(sampling.keep[order])
        on_device = [torch.from_numpy(np.ascontiguousarray(part)).to(self._device) for part in parts]
        for start in range(0, self.steps * self._batch, self._batch):
            yield tuple(part[start : start + self._batch] for part in on_device)

    def fetch(self, images: Tensor, rows: Tensor, columns: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The normalised batch (B, C, S, S), in memory as the execution has it, and its labels (B,)."""
        pixels = self._images[images[:, None, None], rows.long()[:, :, None], columns.long()[:, None, :]]
        x = self._normalised(pixels)
        if keep is not None:
            x = x * keep[:, None]
        return x, self._labels[images]

    def evaluation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All evaluation images in order, as they are, in batches of ``EVALUATION_BATCH``; the last one may be smaller."""
        images, labels = self._evaluated
        for start in range(0, len(labels), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            pixels = torch.from_numpy(images[part]).to(self._device)
            yield self._normalised(pixels), torch.from_numpy(labels[part]).to(self._device)

    def glance(self, count: int) -> Iterator[Tensor]:
        """The first ``count`` training images, not augmented, with the values that training would give them, held in fp32; in batches of
        the training's size."""
        inner = slice(PADDING, -PADDING)
        for start in range(0, min(count, len(self._labels)), self._batch):
            pixels = self._images[start : min(start + self._batch, count), inner, inner]
            yield self._normalised(pixels).float()

    def _normalised(self, pixels: Tensor) -> Tensor:
        scale, shift = self._affine
        x = (pixels * scale + shift).to(self._dtype).permute(0, 3, 1, 2)
        # not contiguous(): one channel is in order already, and would still be taken for channels last by its strides
        return x if self._memory_format == "channels_last" else x.clone(memory_format=torch.contiguous_format)

    @cached_property
    def _affine(self) -> tuple[Tensor, Tensor]:
        std = torch.tensor(self.std, dtype=torch.float32, device=self._device)
        return 1 / std, -torch.tensor(self.mean, dtype=torch.float32, device=self._device) / std

    def _padded(self, images: NDArray[np.uint8]) -> Tensor:
        room = ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0))
        return torch.from_numpy(np.pad(images, room)).to(self._device)


def _moments(images: NDArray[np.uint8]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over all training pixels, in grey levels, from exact integer sums."""
    mean, std = [], []
    for channel in range(images.shape[-1]):
        counts = torch.bincount(torch.from_numpy(images[..., channel]).flatten(), minlength=256).numpy()  # NumPy's makes 64 bits of each
        average = float(counts @ np.arange(256)) / counts.sum()
        mean.append(average)
        std.append(max(float(np.sqrt(counts @ (np.arange(256) - average) ** 2 / counts.sum())), 1.0))
    return mean, std
