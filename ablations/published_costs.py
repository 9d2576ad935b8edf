"""The published sizes and costs of networks, each with the network of ours that it belongs to. No torch here.

The numbers stand as printed in ``published_costs.csv`` and, for the ablations of the SE paper (Tables 10, 13, 15 and 16), in
``published.csv``. ``ablations.costs`` puts ours beside them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from ablations.published import published
from senet_core.config import Config

Metric = Literal[
    "parameters", "params_m", "mflops", "gflops", "model_size_mb", "added_parameters", "added_params_m", "added_gflops_percent"
]
METRICS: Mapping[Metric, str] = {
    "parameters": "parameters",
    "params_m": "parameters (M)",
    "mflops": "multiply-adds (M)",
    "gflops": "multiply-adds (G)",
    "model_size_mb": "size of the weights' file (MiB)",
    "added_parameters": "added parameters",
    "added_params_m": "added parameters (M)",
    "added_gflops_percent": "added multiply-adds (%)",
}
"""What is published, in words. The papers' "FLOPs" are multiply-adds: one for a multiplication and its addition."""


@dataclass(frozen=True)
class Subject:
    """A network of ours: the fields of ``net`` that define it, on colour images of ``size`` pixels with ``classes`` classes."""

    net: Mapping[str, Any]
    size: int = 224
    classes: int = 1000

    def but(self, **fields: Any) -> Subject:
        """The same with other fields of ``net``."""
        return Subject({**self.net, **fields}, self.size, self.classes)

    @property
    def config(self) -> Config:
        """The recipe, not resolved yet."""
        return Config.of({"net": self.net})


@dataclass(frozen=True)
class Figure:
    """One published number: its table, row and metric, its printed text, and the network (for what is added, the one without it too)."""

    table: str
    title: str
    row: str
    metric: Metric
    printed: str
    subject: Subject
    base: Subject | None = None

    @property
    def value(self) -> Decimal:
        """The number with its printed digits."""
        return Decimal(self.printed)

    @property
    def small(self) -> bool:
        """Whether it is of a network for 32x32 images."""
        return self.subject.size == 32


@cache
def figures() -> tuple[Figure, ...]:
    """All of them, table by table.

    :raises KeyError: for a row of the data that belongs to no network.
    """
    rows = [*_ablations(), *_csv()]
    return tuple(_figure(*row) for table in SUBJECTS for row in rows if row[0] == table)


Row = tuple[str, str, str, str, str]


def _csv() -> list[Row]:
    with Path(__file__).with_name("published_costs.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return [(line["table"], line["title"], line["row"], line["metric"], line["value"]) for line in lines]


def _ablations() -> list[Row]:
    found = []
    for table in (published(name) for name in ("T10", "T13", "T15", "T16")):
        assert table is not None
        title = f"Table {table.table[1:]}, {table.title}"
        found += [(table.table, title, r.name, metric, v) for r in table.rows for metric, v in r.values.items() if metric in METRICS]
    return found


def _figure(table: str, title: str, row: str, metric: str, printed: str) -> Figure:
    subject = SUBJECTS[table][row]
    added = metric.startswith("added_")
    return Figure(table, title, row, cast(Metric, metric), printed, subject, subject.but(block=None) if added else None)


# -- which network a row is

BIASED = {"name": "se", "bias": True}
RESNET = Subject({"name": "resnet-50"})
SE_RESNET = RESNET.but(block="se")
IMAGENET: Mapping[str, Subject] = {
    "ResNet-50": RESNET,
    "ResNet-101": Subject({"name": "resnet-101"}),
    "ResNet-152": Subject({"name": "resnet-152"}),
    "ResNeXt-50 (32x4d)": Subject({"name": "resnext-50-32x4d"}),
    "ResNeXt-101 (32x4d)": Subject({"name": "resnext-101-32x4d"}),
    "VGG-16 (with BN)": Subject({"name": "vgg-16-imagenet"}),
    "BN-Inception": Subject({"name": "bn-inception"}),
    "Inception-ResNet-v2": Subject({"name": "inception-resnet-v2"}, size=299),
}
MOBILE: Mapping[str, Subject] = {"MobileNet": Subject({"name": "mobilenet-224"}), "ShuffleNet": Subject({"name": "shufflenet-224"})}


def _with_se(networks: Mapping[str, Subject], block: Any = "se") -> dict[str, Subject]:
    return {f"SE-{name}": network.but(block=block) for name, network in networks.items()}


def _by_ratio(**arguments: Any) -> dict[str, Subject]:
    """ResNet-50 at every reduction ratio of Table 10, and without SE ("original")."""
    ratios = {f"r={r}": RESNET.but(block={"name": "se", "reduction": r, **arguments}) for r in (2, 4, 8, 16, 32)}
    return {**ratios, "original": RESNET}


def _small(name: str, **fields: Any) -> Subject:
    return Subject({"name": name, **fields}, size=32, classes=10)


def _resnet(depth: int, **fields: Any) -> Subject:
    """He et al.'s network for CIFAR of any depth 6 n + 2."""
    return _small("resnet-20", units=((depth - 2) // 6,) * 3, **fields)


DEPTHS = (20, 32, 44, 56, 110)
BOTTLENECK = {"ResNet-164": _small("resnet-164"), "Pre-activation ResNet-164": _small("preact-resnet-164")}
WIDE = {"WRN-16-8": _small("wrn-16-8"), "WRN-28-10": _small("wrn-28-10")}
IMGCLSMOB: Mapping[str, Subject] = {
    **{f"ResNet-{depth}": _resnet(depth) for depth in (20, 56, 110)},
    **{f"Pre-activation ResNet-{depth}": _small(f"preact-resnet-{depth}") for depth in (20, 56, 110)},
    **BOTTLENECK,
}
BLOCKS_OF: Mapping[str, Any] = {
    "SE r = 16": "se",
    "SE r = 16 with biases": BIASED,
    "SE r = 8": {"name": "se", "reduction": 8},
    "SE r = 4": {"name": "se", "reduction": 4},
}


def _formula() -> dict[str, Subject]:
    rows = {f"ResNet-{depth}, padding": _resnet(depth, shortcut="padding") for depth in DEPTHS}
    nets = {**{f"ResNet-{depth}": _resnet(depth) for depth in DEPTHS}, **BOTTLENECK}
    rows |= {f"{name}, projection": net for name, net in nets.items()} | WIDE
    return rows | {f"{name}, {words}": net.but(block=b) for name, net in {**nets, **WIDE}.items() for words, b in BLOCKS_OF.items()}


SUBJECTS: Mapping[str, Mapping[str, Subject]] = {
    "S4": {"SE-ResNet-50 less ResNet-50": SE_RESNET, "SE-ResNet-50 over ResNet-50": SE_RESNET},
    "T2": {**IMAGENET, **_with_se(IMAGENET)},
    "T3": {**MOBILE, **_with_se(MOBILE)},
    "T10": _by_ratio(),
    "T13": {
        "ResNet-50": RESNET,
        # the paper counts ResNet-50's stages from 2
        **{f"SE Stage {stage}": RESNET.but(block="se", stages=(stage - 1,)) for stage in (2, 3, 4)},
        "SE All": SE_RESNET,
    },
    "T15": {"SE": SE_RESNET, "SE 3x3": RESNET.but(block="se", placement="inside")},
    "T16": {"ResNet-50": RESNET, "NoSqueeze": RESNET.but(block="no_squeeze"), "SE": SE_RESNET},
    # the authors' prototxt files have biases in SE's two layers
    "V1": _by_ratio(bias=True),
    "REL": {**_with_se(IMAGENET, BIASED), "SENet-154": Subject({"name": "senet-154", "block": BIASED})},
    "HE15": {f"ResNet-{depth}, padding": _resnet(depth, shortcut="padding") for depth in DEPTHS},
    "HE16": BOTTLENECK,
    "WRN": WIDE,
    "IMGCLSMOB": {**IMGCLSMOB, **{name.replace("ResNet", "SE-ResNet"): net.but(block=BIASED) for name, net in IMGCLSMOB.items()}},
    "FORMULA": _formula(),
}
"""{table: {row: network}}, in the order of the page."""

REMARKS: Mapping[tuple[str, str, str], str] = {
    ("S4", "SE-ResNet-50 over ResNet-50", "added_gflops_percent"): "3.87 and 3.86 are themselves rounded, to 0.005 / 3.86 = 0.13 %.",
    ("T10", "r=8", "params_m"): (
        "Section 6 removes these biases; with them r = 2, a row that is new in version 4, would be 45.75 and print as 45.8, "
        "so no one counting gives all six rows."
    ),
    ("T3", "ShuffleNet", "mflops"): (
        "Table 1 of the ShuffleNet paper (arXiv 1707.01083) has 137 for three groups; 140 is its name for the networks of this width."
    ),
    ("T3", "SE-ShuffleNet", "mflops"): "From the printed 140, SE's 0.61 in layers and 1.60 rescaled values lead to 142.2.",
    ("T2", "Inception-ResNet-v2", "gflops"): "Ours is the network of the published code; the authors have not published theirs.",
    ("REL", "SE-ResNet-152", "model_size_mb"): (
        "The other six are rounded to the nearest; a Caffe file also holds the network's definition, and 18 KiB of it would do here."
    ),
    ("T2", "SE-Inception-ResNet-v2", "gflops"): "See the row without SE.",
    **{
        ("IMGCLSMOB", f"Pre-activation SE-ResNet-{depth}", "parameters"): (
            f"Other than its networks without SE, its SE networks have a BN of 16 channels behind the stem (+32) and none of {width} "
            f"before the classifier (−{2 * width}): −{2 * width - 32} together."
        )
        for depth, width in ((20, 64), (56, 64), (110, 64), (164, 256))
    },
}
"""What a reader should know of a figure that ours does not print as, beside the countings that ``ablations.costs`` tries."""
