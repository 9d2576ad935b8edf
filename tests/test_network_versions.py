"""What every network computes, pinned for its version: if a number here moves, raise the version of that network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from senet_core.build import build
from senet_core.config import Config
from senet_core.dataset import Facts
from senet_core.function import redraw
from senet_core.registry import NETWORKS
from senet_core.resolve import resolve

FORMS: list[tuple[dict[str, Any], int]] = [
    ({"name": "resnet", "units": [1, 1], "widths": [8, 16], "stem": 8, "squash": 2}, 8),
    ({"name": "resnet", "unit": "basic", "units": [1, 1], "widths": [8, 16], "stem": 8, "shortcut": "padding"}, 8),
    ({"name": "resnet", "units": [1, 1], "widths": [8, 16], "stem": 8, "stride_in": "1x1", "stem_kernel": 7, "stem_pool": True}, 16),
    ({"name": "preact_resnet", "units": [1, 1], "widths": [8, 16], "stem": 8}, 8),
    ({"name": "preact_resnet", "unit": "basic", "units": [1, 1], "widths": [8, 16], "stem": 8}, 8),
    ({"name": "resnext", "units": [1, 1], "widths": [8, 16], "cardinality": 2, "width_per_group": 2, "stem": 8}, 8),
    ({"name": "shake_shake", "units": [1, 1], "widths": [8, 16], "stem": 8}, 8),
    ({"name": "shake_shake", "unit": "bottleneck", "units": [1, 1], "widths": [8, 16], "cardinality": 2, "width_per_group": 2}, 8),
    ({"name": "senet", "units": [1, 1], "widths": [8, 16], "cardinality": 2, "width_per_group": 2, "stem": 4, "dropout": 0.0}, 16),
    ({"name": "vgg", "units": [1, 2], "widths": [4, 8], "hidden": [6]}, 8),
    ({"name": "mobilenet", "units": [1, 2], "widths": [8, 16], "stem": 4}, 8),
    ({"name": "shufflenet", "units": [2, 2], "widths": [24, 48], "stem": 12}, 8),
    ({"name": "inception", "width": 0.0625}, 16),
    ({"name": "inception_resnet_v2", "units": [1, 1, 1], "dropout": 0.0}, 75),
    ({"name": "hosted", "model": "squeezenet1_1", "after": ["features.[4-6]"], "options": ["dropout=0.0"]}, 32),
]

PINNED: list[list[float]] = [
    [0.67622142, 0.49034126, 0.85984642],
    [1.0458531, 0.46940534, 1.1088063],
    [0.76749649, -0.22050866, 0.56242893],
    [0.95018474, 1.360954, 1.8120614],
    [0.41581605, 1.7820548, 1.185816],
    [0.7563246, 0.57958413, 0.95207988],
    [1.111747, 1.4780461, 0.20694581],
    [0.78137854, 0.90383768, 1.0571773],
    [1.3657914, 0.72980954, 0.5920782],
    [-0.13794038, -0.92264797, -0.091374597],
    [1.2326911, 0.44183558, 0.49398431],
    [1.5581791, 1.5843202, 0.6959816],
    [1.1327336, 1.2031661, 1.4976911],
    [1.159162, 4.1454392, 2.0534059],
    [2.5068435, 1.5287485, 1.5683694],
]


def logits(form: dict[str, Any], size: int) -> list[float]:
    """Of one image of fixed noise, in double precision, with SE and all parameters redrawn by their place."""
    facts = Facts("noise", ("a", "b", "c"), size, 3, 256, 96, ())
    config = resolve(Config.of({"net": {**form, "block": {"name": "se", "reduction": 2}}}), facts)
    network = build(config, facts, 0).double().eval()
    redraw(network)
    x = torch.from_numpy(np.random.Generator(np.random.Philox(key=1)).standard_normal((1, 3, size, size)))
    with torch.no_grad():
        return [float(value) for value in network(x)[0]]


@pytest.mark.parametrize(("form", "size", "pinned"), [(*form, pin) for form, pin in zip(FORMS, PINNED, strict=True)], ids=str)
def test_a_networks_golden_output_is_that_of_its_version(form: dict[str, Any], size: int, pinned: list[float]) -> None:
    assert NETWORKS[form["name"]].version == 1
    assert logits(form, size) == pytest.approx(pinned, rel=1e-5)


def test_every_network_has_a_golden_output() -> None:
    assert {form["name"] for form, _ in FORMS} == set(NETWORKS.names())
