"""Tables 4 and 5: does SE help in every family of networks?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant
from senet_core.errors import InputError

Net = Mapping[str, Any]

TABLES = {"cifar10": "T4", "cifar100": "T5"}
"""The paper's tables stand only beside results on the images that they were measured on."""

CUTOUT = ("crop", "flip", "cutout")
CUTOUT_NOTES = (
    "Cutout blanks 16 x 16 pixels here; its authors blank 8 x 8 on CIFAR-100.",
    "The paper's 15.85 for Shake-Even on CIFAR-100 is that of its source without Cutout, so that pair is not like for like.",
)


@SUITES.add("architectures")
def architectures(setting: Setting) -> Suite:
    """Each family with and without the setting's block; small forms of the families at 'smoke' and 'quick', the paper's own elsewhere."""
    if setting.base.net.stages != "all":
        raise InputError(
            "This suite puts the block into all stages, because networks differ in how many they have; net.stages is not 'all'."
        )
    small, label = setting.preset in ("smoke", "quick"), setting.label()
    families = _small(setting) if small else _named(setting.base.data.name)
    table = None if small or label != "SE" else TABLES.get(setting.base.data.name)
    rows = [row for family, net in families.items() for row in _pair(setting, family, net, redrawn=table is not None)]
    names = list(families)
    return Suite(
        name="architectures",
        title=f"{label} in other networks",
        question=f"Does {label} help in every family of networks?",
        source="Hu et al., arXiv 1709.01507 v4, Section 5.1, Tables 4 and 5",
        table=table,
        factor=("net", "data.augment"),
        reference=names[0],
        variants=tuple(rows),
        claims=(
            Claim(
                text=f"{label} helps whatever the network: each family is better with it than without.",
                contrasts=tuple(Contrast(variant=f"{label}-{name}", reference=name, expect="better") for name in names),
            ),
        ),
        notes=(
            "Every family is trained by the preset's recipe, not by that of its own paper; compare within a family, not between them.",
            "These are small forms of the families, made for the preset's budget."
            if small
            else "The paper trains each network as its own paper does, Shake-Shake for 1800 epochs; the recipe here is one for all.",
            *(CUTOUT_NOTES if not small else ()),
        ),
    )


def _pair(setting: Setting, family: str, net: Net, redrawn: bool) -> tuple[Variant, Variant]:
    augment = {"data.augment": CUTOUT} if "Cutout" in family else {}
    own = {"block": setting.block(), "stages": "all", "placement": setting.base.net.placement}
    with_block = setting.base.but({"net": {**net, **own}, **augment})
    published = redrawn and family in PAPER
    return (
        Variant(name=family, config=with_block.but({"net.block": None}), published=family if published else None, against=family),
        Variant(name=f"{setting.label()}-{family}", config=with_block, published=f"SE-{family}" if published else None, against=family),
    )


PAPER = ("ResNet-110", "ResNet-164", "WRN-16-8", "Shake-Shake 26 2x96d + Cutout", "Shake-Even 29 2x4x64d + Cutout")
"""The rows of Tables 4 and 5; the ResNets among them are the pre-activation ones."""


def _named(data: str) -> dict[str, Net]:
    shake = {"Shake-Even 29 2x4x64d + Cutout": "shake-even-29-2x4x64d"}
    if data != "cifar100":
        shake = {"Shake-Shake 26 2x96d + Cutout": "shake-shake-26-2x96d"}
    names = {
        "ResNet-110": "preact-resnet-110",
        "ResNet-164": "preact-resnet-164",
        "WRN-16-8": "wrn-16-8",
        **shake,
        "ResNeXt-29 8x64d": "resnext-29-8x64d",
        "VGG-16": "vgg-16",
        "MobileNet": "mobilenet-32",
        "ShuffleNet": "shufflenet-32",
        "Inception": "inception-32",
    }
    return {family: {"name": name} for family, name in names.items()}


def _small(setting: Setting) -> dict[str, Net]:
    """Forms of about the size of the preset's own network, which is the first."""
    smoke = setting.preset == "smoke"
    stride = 4 if smoke else 2
    shape = {"units": (1, 1, 1) if smoke else (2, 2, 2), "widths": (64, 128, 256), "stem_stride": stride}
    own = setting.base.net
    return {
        "ResNet" if own.name == "resnet" else own.name: {"name": own.name, **own.arguments},
        "pre-activation ResNet": {"name": "preact_resnet", **shape, "stem": 64},
        "Wide ResNet": {"name": "preact_resnet", **shape, "unit": "basic", "units": (1, 1, 1), "stem": 16},
        "ResNeXt": {"name": "resnext", **shape, "cardinality": 8, "width_per_group": 4},
        "Shake-Shake": {"name": "shake_shake", "units": (1, 1, 1), "widths": (8, 16, 32) if smoke else (16, 32, 64)},
        "VGG": {"name": "vgg", "units": (1, 1, 1, 1, 1) if smoke else (2, 2, 2, 2, 2), "widths": (16, 32, 64, 128, 128)},
        "MobileNet": {
            "name": "mobilenet",
            "units": (1, 2, 2, 2) if smoke else (1, 2, 2, 6, 2),
            "widths": (64, 128, 256, 512) if smoke else (64, 128, 256, 512, 1024),
            "multiplier": 0.25 if smoke else 0.5,
        },
        "ShuffleNet": {
            "name": "shufflenet",
            "units": (1, 2, 1) if smoke else (2, 4, 2),
            "widths": (60, 120, 240) if smoke else (120, 240, 480),
            "stem_stride": 2 if smoke else 1,
        },
        "Inception": {"name": "inception", "width": 0.0625 if smoke else 0.125},
    }
