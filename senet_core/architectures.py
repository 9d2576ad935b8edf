"""The networks of the literature by their published names: each stands for a family and its arguments, and is written out in every recipe.

A name is only a way to write: ``net.name = "resnet-56"`` becomes the family ``resnet`` with the arguments below before anything else
sees it, so both ways to write a network are one recipe with one key. No torch here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _basic(family: str, n: int, **more: Any) -> dict[str, Any]:
    """He et al.'s networks for CIFAR with basic units: depth 6 n + 2."""
    return {"name": family, "unit": "basic", "units": (n, n, n), "widths": (16, 32, 64), "stem": 16, **more}


def _bottleneck(family: str, n: int) -> dict[str, Any]:
    """He et al.'s networks for CIFAR with bottleneck units: depth 9 n + 2."""
    return {"name": family, "unit": "bottleneck", "units": (n, n, n), "widths": (64, 128, 256), "stem": 16, "squash": 4}


def _imagenet(units: tuple[int, ...]) -> dict[str, Any]:
    """He et al.'s networks for 224x224 images as the paper's authors ran them: a stage's stride in its first 1x1 convolution (Caffe)."""
    widths = (256, 512, 1024, 2048)
    shape = {"unit": "bottleneck", "units": units, "widths": widths, "squash": 4, "stride_in": "1x1"}
    return {"name": "resnet", **shape, "stem": 64, "stem_kernel": 7, "stem_stride": 2, "stem_pool": True}


def _resnext(units: tuple[int, ...], cardinality: int, width_per_group: int) -> dict[str, Any]:
    """Xie et al.'s networks: three stages are for 32x32 images, four for 224x224 ones."""
    shape = {"units": units, "cardinality": cardinality, "width_per_group": width_per_group, "stem": 64}
    if len(units) == 3:
        return {"name": "resnext", **shape, "widths": (256, 512, 1024)}
    return {"name": "resnext", **shape, "widths": (256, 512, 1024, 2048), "stem_kernel": 7, "stem_stride": 2, "stem_pool": True}


def _senet(units: tuple[int, ...], cardinality: int, width_per_group: int) -> dict[str, Any]:
    """The paper's modified ResNeXt (appendix)."""
    shape = {"units": units, "widths": (256, 512, 1024, 2048), "cardinality": cardinality, "width_per_group": width_per_group}
    return {"name": "senet", **shape, "stem": 64, "dropout": 0.2}


def _shake_even(cardinality: int, width_per_group: int) -> dict[str, Any]:
    """Gastaldi's network for CIFAR-100, of depth 29 with two ResNeXt branches."""
    shape = {"unit": "bottleneck", "units": (3, 3, 3), "widths": (256, 512, 1024), "stem": 64}
    return {"name": "shake_shake", **shape, "cardinality": cardinality, "width_per_group": width_per_group, "backward": "even"}


def _shake(k: int) -> dict[str, Any]:
    """Gastaldi's networks of depth 26 with two branches of width k ("26 2 x k d")."""
    shape = {"unit": "basic", "units": (4, 4, 4), "widths": (k, 2 * k, 4 * k), "stem": 16}
    return {"name": "shake_shake", **shape, "backward": "shake"}


def _vgg16(hidden: tuple[int, ...], dropout: float = 0.0) -> dict[str, Any]:
    """VGG-16 (configuration D) with batch normalisation."""
    shape = {"units": (2, 2, 3, 3, 3), "widths": (64, 128, 256, 512, 512)}
    return {"name": "vgg", **shape, "hidden": hidden, "dropout": dropout}


# MobileNet 1.0 (Howard et al. 2017) and ShuffleNet 1x with three groups (Zhang et al. 2018).
_MOBILENET = {"name": "mobilenet", "units": (1, 2, 2, 6, 2), "widths": (64, 128, 256, 512, 1024), "stem": 32, "multiplier": 1.0}
_SHUFFLENET = {"name": "shufflenet", "units": (4, 8, 4), "widths": (240, 480, 960), "groups": 3, "stem": 24}


ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    # for 32x32 images
    "resnet-20": _basic("resnet", 3),
    "resnet-32": _basic("resnet", 5),
    "resnet-56": _basic("resnet", 9),
    "resnet-110": _basic("resnet", 18),
    "resnet-164": _bottleneck("resnet", 18),
    "preact-resnet-20": _basic("preact_resnet", 3),
    "preact-resnet-32": _basic("preact_resnet", 5),
    "preact-resnet-56": _basic("preact_resnet", 9),
    "preact-resnet-110": _basic("preact_resnet", 18),
    "preact-resnet-164": _bottleneck("preact_resnet", 18),
    # Wide ResNets are pre-activation networks with basic units, k times as wide (Zagoruyko and Komodakis 2016): depth 6 n + 4.
    "wrn-16-8": {**_basic("preact_resnet", 2), "widths": (128, 256, 512)},
    "wrn-28-10": {**_basic("preact_resnet", 4), "widths": (160, 320, 640)},
    "resnext-29-8x64d": _resnext((3, 3, 3), 8, 64),
    "resnext-29-16x64d": _resnext((3, 3, 3), 16, 64),
    "shake-shake-26-2x32d": _shake(32),
    "shake-shake-26-2x96d": _shake(96),
    "shake-even-29-2x4x64d": _shake_even(4, 64),
    # VGG and the networks with modules or units of their own; see each family for what its form for 32x32 images keeps.
    "vgg-16": _vgg16(()),
    "mobilenet-32": {**_MOBILENET, "stem_stride": 1},
    "shufflenet-32": {**_SHUFFLENET, "stem_stride": 1, "stem_pool": False},
    "inception-32": {"name": "inception", "stem": "3x3", "width": 0.25},
    # for 224x224 images
    "resnet-50": _imagenet((3, 4, 6, 3)),
    "resnet-101": _imagenet((3, 4, 23, 3)),
    "resnet-152": _imagenet((3, 8, 36, 3)),
    "resnext-50-32x4d": _resnext((3, 4, 6, 3), 32, 4),
    "resnext-101-32x4d": _resnext((3, 4, 23, 3), 32, 4),
    # SENet-154 is this with the block "se" (r = 16, with biases in the released model).
    "senet-154": _senet((3, 8, 36, 3), 64, 4),
    "vgg-16-imagenet": _vgg16((4096, 4096), dropout=0.5),
    "mobilenet-224": {**_MOBILENET, "stem_stride": 2},
    "shufflenet-224": {**_SHUFFLENET, "stem_stride": 2, "stem_pool": True},
    "bn-inception": {"name": "inception", "stem": "7x7", "width": 1.0},
    # for 299x299 images
    "inception-resnet-v2": {"name": "inception_resnet_v2", "units": (10, 20, 10), "dropout": 0.2},
}
