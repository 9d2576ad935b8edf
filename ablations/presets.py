"""The presets: budgets that fix architecture, data, training, precision and δ, each whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from senet_core.config import Config, Frozen, flat
from senet_core.errors import unknown

SE = {"name": "se", "reduction": 16, "squeeze": "average", "gate": "sigmoid"}
"""The paper's own block; the reference of the card suites."""


class Preset(Frozen):
    """A budget. ``delta`` is the difference in top-1 error (percentage points) that does not matter at this budget, declared before
    any training; ``converged`` says whether its schedule trains to convergence, which a claim's verdict needs."""

    name: str
    summary: str
    config: Config
    delta: float
    converged: bool


def _bottleneck(units: int, stem: int, stem_stride: int, squash: int) -> dict[str, Any]:
    shape = {
        "unit": "bottleneck",
        "units": [units] * 3,
        "widths": [64, 128, 256],
        "stem": stem,
        "stem_stride": stem_stride,
        "squash": squash,
    }
    return {"name": "resnet", **shape, "block": SE}


_ALL = (
    Preset(
        name="smoke",
        summary="embedded digits, seconds a trial: does everything work?",
        config=Config.of(
            {
                "net": _bottleneck(units=2, stem=64, stem_stride=4, squash=4),
                "data": {"name": "digits", "train": 6000},
                "train": {"epochs": 6, "batch": 64, "lr": 0.2, "weight_decay": 5e-4, "precision": "bf16"},
            }
        ),
        delta=2.0,
        converged=False,
    ),
    Preset(
        name="quick",
        summary="CIFAR-10, three minutes of training a trial on two CPU cores: directions, not verdicts",
        config=Config.of(
            {
                "net": _bottleneck(units=2, stem=64, stem_stride=2, squash=2),
                "data": {"name": "cifar10", "shift": 2},
                "train": {"epochs": 7, "batch": 128, "lr": 0.4, "weight_decay": 3e-4, "precision": "bf16"},
            }
        ),
        delta=1.0,
        converged=False,
    ),
    Preset(
        name="standard",
        summary="CIFAR-10, 30 epochs at full resolution, for a GPU: the recipe is provisional, not yet found by experiment",
        config=Config.of(
            {
                "net": _bottleneck(units=2, stem=64, stem_stride=1, squash=2),
                "data": {"name": "cifar10"},
                "train": {"epochs": 30, "batch": 256, "lr": 0.4, "weight_decay": 5e-4, "precision": "bf16"},
            }
        ),
        delta=0.3,
        converged=False,  # until its recipe is found
    ),
    Preset(
        name="full",
        summary="CIFAR-10, ResNet-164 (post-activation) on the schedule of He et al., 164 epochs, for a GPU",
        # He et al. 2015, Section 4.2: rate 0.1, divided by 10 at 32k and 48k of 64k iterations of 128 images. The decay reaches all
        # parameters there; a warm-up at 0.01 for 400 iterations (one epoch) is what they give deep networks.
        config=Config.of(
            {
                "net": _bottleneck(units=18, stem=16, stem_stride=1, squash=4),
                "data": {"name": "cifar10"},
                "train": {
                    "epochs": 164,
                    "batch": 128,
                    "lr": 0.1,
                    "nesterov": False,
                    "weight_decay": 1e-4,
                    "decay": "all",
                    "schedule": "multi_step",
                    "milestones": [0.5, 0.75],
                    "warmup_epochs": 1,
                    "precision": "fp32",
                },
            }
        ),
        delta=0.2,
        converged=True,
    ),
)

FORMER: dict[str, dict[str, Any]] = {"quick": {"train.epochs": 5, "train.weight_decay": 5e-4, "data.shift": 4}}
"""For a preset whose recipe has moved: the fields that were different before, as they were. Stored studies may be of that time."""

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ALL}


def preset(name: str) -> Preset:
    """The preset of that name.

    :raises InputError: if there is none.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]


def set_back(name: str, recipe: Config, stated: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be overridden in today's preset for a recipe that was made of its former one, beside what is ``stated`` already; nothing
    for any other recipe."""
    former = {path: value for path, value in FORMER.get(name, {}).items() if path not in stated}
    leaves = flat(recipe.tree())
    return former if all(leaves.get(path) == value for path, value in former.items()) else {}
