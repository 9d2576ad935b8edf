"""Every registered block, in each of its forms, keeps the contract of a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from senet_core.blocks.se import SE
from senet_core.contract import ADVICE, CHECKS, SIZES, Make, advice, broken, is_not_the_identity, maker
from senet_core.gating import is_gated
from senet_core.registry import BLOCKS

Arguments = Mapping[str, Any]
FORMS: Mapping[str, tuple[Arguments, ...]] = {
    "cbam": ({"spatial": False}, {"bias": False}, {"kernel": 3}, {"reduction": 4}),
    "constant": ({"value": 1.0},),
    "eca": ({"kernel": 5}, {"kernel": 1}),
    "gather_excite": (
        {"form": "theta_minus"},
        {"form": "theta_minus", "extent": 2},
        {"form": "theta_minus", "extent": 8},
        {"form": "theta"},
        {"form": "theta", "extent": 4},
        {"extent": 2},
        {"extent": 8, "reduction": 4},
    ),
    "no_squeeze": ({"bias": True}, {"reduction": 4}),
    "se": (
        {"squeeze": "max"},
        {"squeeze": "both", "bias": True},
        {"gate": "tanh"},
        {"gate": "relu"},
        {"gate": "hard_sigmoid"},
        {"gate": "sigmoid", "init": "matched"},
        {"gate": "tanh", "init": "matched"},
        {"gate": "relu", "init": "matched"},
        {"gate": "hard_sigmoid", "init": "matched"},
        {"reduction": 2},
        {"bias": True},
    ),
}
"""What a suite can change in a block, beside its defaults: one form for each argument that is more than a number."""

EVERY = [(name, arguments) for name in BLOCKS.names() for arguments in ({}, *FORMS.get(name, ()))]


def label(value: Any) -> str | None:
    return ",".join(f"{k}={v}" for k, v in value.items()) or "defaults" if isinstance(value, Mapping) else None


every_form = pytest.mark.parametrize(("name", "arguments"), EVERY, ids=label)


def block(name: str, channels: int, arguments: Arguments, size: int = 8) -> nn.Module:
    return maker(name, arguments)(channels, size)


def test_the_forms_are_those_of_registered_blocks() -> None:
    assert set(FORMS) <= set(BLOCKS.names())


@pytest.mark.parametrize("check", [*CHECKS.values(), *ADVICE.values()], ids=[*CHECKS, *(f"advice on {name}" for name in ADVICE)])
@every_form
def test_a_block_keeps_the_contract(name: str, arguments: Arguments, check: Callable[[Make], Iterator[str]]) -> None:
    if (name, arguments) == ("constant", {"value": 1.0}) and check is is_not_the_identity:
        return  # the identity is what this control is for
    assert list(check(maker(name, arguments))) == []


@every_form
def test_a_block_refuses_only_sizes_that_it_does_not_fit_into(name: str, arguments: Arguments) -> None:
    for size in SIZES:
        if arguments.get("extent", 0) > size:
            with pytest.raises(ValueError, match="does not fit"):
                block(name, 16, arguments, size)
        else:
            block(name, 16, arguments, size)


@every_form
def test_a_block_that_computes_its_gate_from_its_input_shows_it(name: str, arguments: Arguments) -> None:
    assert is_gated(block(name, 16, arguments)) or name in ("constant", "static_scale")


# -- blocks that break it


class Bad(nn.Module):
    """A sound block: one learned scale a channel; those below break one promise each."""

    def __init__(self, channels: int = 16, size: int = 8) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, channels).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale.to(x.dtype)


class WrongShape(Bad):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean((2, 3))


class WrongType(Bad):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).double()


class Leaks(Bad):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * x.mean(0, keepdim=True)


class NoGradient(Bad):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale.detach().to(x.dtype)


class Identity(Bad):
    def forward(self, x: Tensor) -> Tensor:
        return x + 0 * self.scale.to(x.dtype)


class Writes(Bad):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach().mul_(self.scale.to(x.dtype)) + 0 * super().forward(x)


class NanInBf16(Bad):
    def forward(self, x: Tensor) -> Tensor:
        gap = (torch.ones((), dtype=x.dtype) + 1e-3) - 1  # 0 in bf16
        return super().forward(x) * (gap / gap)


class Fp32InBf16(Bad):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class ReturnsContiguous(Bad):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).contiguous()


class MixesDimensions(Bad):
    def forward(self, x: Tensor) -> Tensor:
        flat = x.permute(0, 2, 3, 1).reshape(x.shape) if x.is_contiguous() else x
        return super().forward(x) * torch.sigmoid(flat)


class Random(Bad):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.rand(1).to(x.dtype)


class OwnNumbers(Bad):
    def __init__(self, channels: int = 16, size: int = 8) -> None:
        super().__init__(channels, size)
        self.scale.data.copy_(torch.from_numpy(np.random.default_rng().random((channels, 1, 1))))


class Forgets(Bad):
    def __init__(self, channels: int = 16, size: int = 8) -> None:
        super().__init__(channels, size)
        self.seen = torch.ones(())

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen = self.seen * 1.1
        return super().forward(x) * self.seen.to(x.dtype)


class WrongGates(Bad):
    def gates(self, x: Tensor) -> Tensor:
        return self.scale.to(x.dtype)[None] * 2


class FlatGates(Bad):
    def gates(self, x: Tensor) -> Tensor:
        return self.scale.to(x.dtype)[:, 0, 0]


FAULTS = {
    WrongShape: "shape and type: an input of shape (4, 16, 8, 8) comes out as (4, 16)",
    WrongType: "comes out as float64",
    Leaks: "depends on the other images of its batch",
    NoGradient: "the parameter 'scale' gets no gradient, so it never learns",
    Identity: "it is the identity whatever its parameters are",
    Writes: "changes its input in place",
    NanInBf16: "bf16 (all in bf16): the output is not finite",
    MixesDimensions: "channels_last gives other values",
    Random: "something random is left on",
    OwnNumbers: "two blocks made from one seed differ",
    Forgets: "loaded from its state dict it gives other outputs",
    WrongGates: "the output is not the input times gates(x)",
    FlatGates: "gates(x) has the shape (16,)",
}


def test_a_sound_block_breaks_nothing() -> None:
    assert broken(Bad) == []


@pytest.mark.parametrize(("made", "told"), FAULTS.items(), ids=lambda value: getattr(value, "__name__", None))
def test_a_broken_promise_is_named(made: Make, told: str) -> None:
    assert any(told in sentence for sentence in broken(made)), broken(made)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (Fp32InBf16, "bf16 (autocast): an input of bfloat16 comes out as float32"),
        (ReturnsContiguous, "not in its input's memory format"),
    ],
)
def test_what_only_costs_is_advice(made: Make, told: str) -> None:
    assert broken(made) == [] and told in advice(made)[0]


def test_a_block_that_fails_is_told_with_its_exception() -> None:
    def make(channels: int, size: int) -> nn.Module:
        raise KeyError("w")

    assert broken(make) == ["shape and type: it fails with KeyError: 'w'"]


# -- what the blocks of the paper share


@pytest.mark.parametrize(("channels", "reduction", "hidden"), [(64, 16, 4), (256, 32, 8), (16, 32, 1), (3, 16, 1), (20, 8, 2)])
@pytest.mark.parametrize("name", ["cbam", "gather_excite", "no_squeeze", "se"])
def test_a_hidden_width_is_channels_over_reduction_and_never_rounded_up(name: str, channels: int, reduction: int, hidden: int) -> None:
    made: Any = block(name, channels, {"reduction": reduction})
    assert made.hidden_width == made.down.out_features == made.up.in_features == hidden


def test_the_layers_of_the_excitation_start_by_he_over_their_inputs_with_bias_0() -> None:
    torch.manual_seed(0)
    made = SE(512, 1, reduction=2, bias=True)
    assert made.down.weight.std().item() == pytest.approx((2 / 512) ** 0.5, rel=0.02)
    assert made.up.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.02)
    assert not made.down.bias.count_nonzero() and not made.up.bias.count_nonzero()
