"""bf16 by fp32 kernels: the same roundings in the same places, and the same training but for the order of summation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d, linear

from senet_core.build import build
from senet_core.config import Config
from senet_core.dataset import Arrays, Facts
from senet_core.resolve import resolve
from senet_core.training.batches import Batches
from senet_core.training.execution import choose
from senet_core.training.kernels import Kernels, autocast, choose_kernels
from senet_core.training.step import Step


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def products(kernels: Kernels) -> list[Tensor]:
    """Each kind of product under autocast, and the gradients of its operands."""
    found = []
    for function, shapes in {
        conv2d: ((2, 8, 5, 5), (6, 8, 3, 3)),
        conv1d: ((2, 1, 9), (1, 1, 3)),
        linear: ((4, 8), (6, 8), (6,)),
    }.items():
        operands = [drawn(*shape).requires_grad_() for shape in shapes]
        with autocast("cpu", True, kernels):
            y = function(*operands)
        assert y.dtype == torch.bfloat16
        y.float().square().sum().backward()
        found += [y, *(operand.grad for operand in operands if operand.grad is not None)]
    return found


def test_products_and_their_gradients_are_those_of_native_kernels_to_the_last_bit_of_bf16() -> None:
    for native, rounded in zip(products("native"), products("rounded"), strict=True):
        assert native.dtype == rounded.dtype and native.shape == rounded.shape
        assert torch.allclose(native.float(), rounded.float(), rtol=2**-6, atol=2**-5)
    exact = conv2d(drawn(2, 8, 5, 5), drawn(6, 8, 3, 3))
    assert not torch.equal(exact, products("rounded")[0].float()), "the operands are rounded"


def test_nothing_is_rounded_where_the_recipe_says_fp32() -> None:
    with autocast("cpu", False, "rounded"):
        y = linear(drawn(4, 8), drawn(6, 8))
    assert y.dtype == torch.float32 and torch.equal(y, linear(drawn(4, 8), drawn(6, 8)))


def test_training_follows_native_kernels(facts: Facts, arrays: Arrays) -> None:
    config = resolve(
        Config.of(
            {
                "net": {"units": [1, 1], "widths": [16, 32], "stem": 16, "block": "se"},
                "train": {"batch": 64, "precision": "bf16", "lr": 0.05},
            }
        ),
        facts,
    )
    losses = {}
    for kernels in ("native", "rounded"):
        network = build(config, facts, 0).to(memory_format=torch.channels_last).train()
        batches = Batches(arrays, config, 0, torch.device("cpu"))
        step = Step(network, batches, config.train, torch.device("cpu"), kernels)
        losses[kernels] = []
        for epoch in range(4):
            for draw in batches.draws(epoch):
                step(draw, 0.05)
                losses[kernels].append(step.read()[0] / 64)
    assert losses["rounded"] == pytest.approx(losses["native"], rel=0.05)
    assert losses["rounded"][-1] < losses["rounded"][0]


def test_the_choice_is_a_function_of_the_processor_and_is_kept_with_the_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {"avx2 fma": "rounded", "avx512f avx512_bf16": "native", "amx_bf16": "native"}
    for words, kernels in flags.items():
        monkeypatch.setattr(Path, "read_text", lambda *_, words=words, **__: f"model name\t: x\nflags\t\t: fpu {words}\n")
        assert choose_kernels() == kernels
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "Features\t: fp asimd bf16\n")
    assert choose_kernels() == "native", "no x86"
    monkeypatch.undo()
    assert choose().plain()["kernels"] in ("native", "rounded")


def test_a_modules_product_is_that_of_its_rounded_operands() -> None:
    module, x = nn.Conv2d(4, 4, 1, bias=False), drawn(2, 4, 3, 3)
    with autocast("cpu", True, "rounded"):
        y = module(x)
    expected = conv2d(x.bfloat16().float(), module.weight.bfloat16().float()).bfloat16()
    assert torch.equal(y, expected) and not torch.equal(y, conv2d(x, module.weight).bfloat16())


def test_where_a_module_turns_autocast_off_nothing_is_rounded() -> None:
    x, weight = drawn(4, 8), drawn(6, 8)
    with autocast("cpu", True, "rounded"):
        with torch.autocast("cpu", enabled=False):
            off = linear(x, weight)
        double = linear(x.double(), weight.double())
    assert torch.equal(off, linear(x, weight)) and torch.equal(double, linear(x.double(), weight.double()))
