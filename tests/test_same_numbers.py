"""The comparison of our steps with plain ones: they are as near as it says, and a step that is wrong is told from one that is rounded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks import same_numbers
from benchmarks.same_numbers import (
    AUTOCAST,
    LARGEST,
    NATIVE,
    OURS,
    PLAIN,
    ROUNDED,
    TYPICAL,
    Distance,
    Problem,
    digits,
    distance,
    distances,
    errors_section,
    ours,
    plainly,
    steps_section,
    typical,
    worst,
)
from senet_core.blocks.se import SE
from senet_core.fused import units

STEPS = 8


@pytest.fixture(autouse=True)
def every_map_is_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the benchmark's own command."""
    monkeypatch.setattr(units, "LEAST", 0)


@pytest.fixture(scope="module")
def problem() -> Problem:
    """The smallest data that the recipe's batch allows some steps of."""
    whole = digits()
    arrays = replace(
        whole.arrays,
        train_images=whole.arrays.train_images[: 64 * STEPS],
        train_labels=whole.arrays.train_labels[: 64 * STEPS],
        test_images=whole.arrays.test_images[:500],
        test_labels=whole.arrays.test_labels[:500],
    )
    return Problem(whole.config.but({"train.epochs": 1}), replace(whole.facts, train=64 * STEPS, test=500), arrays)


def test_our_steps_are_as_near_to_the_exact_ones_as_plain_fp32_is(problem: Problem) -> None:
    found = distances(problem, STEPS, {PLAIN: plainly(problem, torch.float32), OURS: ours(problem, "fp32", "native")})
    assert all(len(arm) == STEPS for arm in found.values())
    assert typical(found[OURS]) <= TYPICAL and worst(found[OURS]) <= LARGEST
    assert 0 < worst(found[PLAIN]) <= LARGEST


def test_bf16_costs_the_same_by_any_kind_of_kernels(problem: Problem) -> None:
    arms = {
        AUTOCAST: ours(problem, "bf16", "native", fused=False),
        NATIVE: ours(problem, "bf16", "native"),
        ROUNDED: ours(problem, "bf16", "rounded"),
    }
    found = distances(problem, STEPS, arms)
    assert all(typical(found[name]) == pytest.approx(typical(found[AUTOCAST]), rel=0.15) for name in (NATIVE, ROUNDED))
    assert typical(found[ROUNDED]) > 10 * TYPICAL
    assert found[NATIVE] != found[AUTOCAST], "the fused step is another one"


@pytest.mark.parametrize("wrong", ["gate", "smoothing", "momentum"])
def test_a_wrong_step_is_not_taken_for_a_rounded_one(problem: Problem, wrong: str) -> None:
    changed = {"gate": {}, "smoothing": {"train.label_smoothing": 0.1}, "momentum": {"train.nesterov": False}}[wrong]
    arm = ours(replace(problem, config=problem.config.but(changed)), "fp32", "native")
    if wrong == "gate":
        for block in arm.network.modules():
            if isinstance(block, SE):
                block.gate = lambda t: 1.01 * torch.sigmoid(t)
    found = distances(problem, STEPS, {OURS: arm})[OURS]
    assert typical(found) > TYPICAL or worst(found) > LARGEST


def test_distance_by_hand() -> None:
    true = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor([4.0])}
    own: Mapping[str, Tensor] = {"a": torch.tensor([3.0, 0.3]), "b": torch.tensor([4.4])}
    assert distance(own, true).whole == pytest.approx(0.5 / 5)
    assert distance(own, true).worst == pytest.approx(0.1)


def test_the_plain_network_has_no_block_of_ours_left(problem: Problem) -> None:
    network = plainly(problem, torch.float64).network
    assert not any(isinstance(module, SE) for module in network.modules())
    assert sum(isinstance(module, same_numbers.PlainSE) for module in network.modules()) == 6
    assert {value.dtype for value in network.parameters()} == {torch.float64}


def test_the_verdicts_follow_the_figures() -> None:
    near, far = [Distance(1e-3, 1e-2)] * 3, [Distance(3e-2, 1e-1)] * 3
    bf16 = {AUTOCAST: [Distance(0.2, 0.4)] * 3, NATIVE: [Distance(0.2, 0.4)] * 3, ROUNDED: [Distance(0.21, 0.4)] * 3}
    assert steps_section({PLAIN: near, OURS: near, **bf16})[1]
    assert not steps_section({PLAIN: near, OURS: far, **bf16})[1]
    assert not steps_section({PLAIN: near, OURS: [*near, *far[:1]], **bf16})[1], "one step that is too far"
    assert not any(steps_section({PLAIN: near, OURS: near, **bf16, one: [Distance(0.23, 0.4)] * 3})[1] for one in (NATIVE, ROUNDED))

    plain = [20.0, 21.0, 19.0, 20.5]
    lines, equivalent = errors_section(plain, [error + shift for error, shift in zip(plain, (0.1, -0.1, 0.2, 0.0), strict=True)])
    assert equivalent and "Difference +0.05 points" in lines[0] and lines[-1].endswith("yes.")
    assert not errors_section(plain, [error + shift for error, shift in zip(plain, (2.1, 1.9, 2.2, 2.0), strict=True)])[1]
    assert not errors_section(plain, [20.0, float("nan"), 19.0, 20.5])[1], "a training that diverged"


def test_the_page(problem: Problem, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(same_numbers, "digits", lambda: problem)
    monkeypatch.setattr(same_numbers, "SETTLED", {"train.epochs": 2})
    code = same_numbers.main(["--steps", "3", "--seeds", "2", "--threads", "1"])
    out = capsys.readouterr().out
    assert code == (0 if len(re.findall(r": yes\.$", out, re.MULTILINE)) == 2 else 1)
    assert len(re.findall(r": (?:yes|no)\.$", out, re.MULTILINE)) == 2
    assert "over 3 steps" in out and "over 2 seeds" in out
    assert len(re.findall(r"^\| (?:plain|ours), ", out, re.MULTILINE)) == 4
