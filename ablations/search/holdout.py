"""The images that searching and tuning judge by: training images that were held out, never the test set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from senet_core.config import Config

if TYPE_CHECKING:
    from senet_core.dataset import Facts

SHARE = 10
"""One training image of so many is held out where a recipe does not say how many."""


def with_holdout(config: Config, facts: Facts) -> Config:
    """The config with the hold-out that it states, else a tenth of the training images in equal parts of the classes (CIFAR: 5000)."""
    if config.data.holdout:
        return config
    classes = len(facts.classes)
    return config.but({"data.holdout": max(1, facts.train // SHARE // classes) * classes})
