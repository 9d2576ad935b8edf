"""What several test files share: a tiny data set, and the real images where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from senet_core.dataset import Arrays, Facts

IMAGES = Path(__file__).resolve().parent.parent / "data" / "cifar10-jpeg"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small tensors gain nothing from more, and machines that run tests are often busy."""
    torch.set_num_threads(1)


@pytest.fixture
def real_images() -> Path:
    """The folder of real images; the test is skipped, saying so, where it is absent."""
    if not IMAGES.is_dir():
        pytest.skip(f"the real images are not in {IMAGES.relative_to(IMAGES.parent.parent)}")
    return IMAGES


@pytest.fixture(scope="session")
def facts() -> Facts:
    """Four classes of 8x8 colour images, told apart by where they are bright."""
    return Facts("Tiny", ("a", "b", "c", "d"), 8, 3, 256, 96, ("crop", "flip"))


@pytest.fixture(scope="session")
def arrays(facts: Facts) -> Arrays:
    """Images that a small network learns in a few epochs."""
    return Arrays(*_side(facts.train, 0), *_side(facts.test, 1))


def _side(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 4
    images = rng.integers(0, 120, (count, 8, 8, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[..., label % 3] += np.uint8(60 + 50 * (label == 3))
    return images, labels
