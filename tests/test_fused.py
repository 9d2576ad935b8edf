"""The fused step: what it gives beside PyTorch's operators, for every place, block and family, and where it steps aside."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu
from torch.utils.checkpoint import checkpoint

from senet_core.blocks.se import SE
from senet_core.build import build
from senet_core.config import Config
from senet_core.dataset import Arrays, Facts
from senet_core.fused import passes, units
from senet_core.fused.functions import Map, joined, normalised, scaled
from senet_core.fused.units import FusedBranch, FusedPreActUnit, FusedUnit, fuse
from senet_core.gating import ChannelGate
from senet_core.resolve import resolve
from senet_core.training.checkpoint import Checkpoints
from senet_core.training.execution import Execution, choose
from senet_core.training.loop import Interrupted, fit
from senet_core.units import Branch, Shape, Unit, basic


@pytest.fixture(autouse=True)
def every_map_is_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that are so small that PyTorch's operators are faster."""
    monkeypatch.setattr(units, "LEAST", 0)


SHAPES = [(6, 64, 4, 4), (5, 16, 8, 8), (4, 6, 3, 5), (3, 1, 4, 4), (16, 130, 1, 1)]
"""Wide, folded, with an odd number of pixels, of one channel, of one pixel."""


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(dtype)
    return x.to(memory_format=torch.channels_last) if len(shape) == 4 else x


def norm(channels: int) -> nn.BatchNorm2d:
    """With weights of both signs and running statistics that have moved."""
    made = nn.BatchNorm2d(channels)
    with torch.no_grad():
        made.weight.copy_(drawn(channels, seed=1))
        made.bias.copy_(drawn(channels, seed=2))
        assert made.running_mean is not None
        made.running_mean.add_(0.5)
    return made


def doubled(module: nn.Module) -> Any:
    return copy.deepcopy(module).double()


def close(own: Tensor | None, exact: Tensor | None, tolerance: float) -> bool:
    assert own is not None and exact is not None and own.shape == exact.shape
    own, exact = own.detach().double(), exact.detach()
    return float((own - exact).norm()) <= tolerance * float(exact.norm()) + 1e-6


# -- BN, ReLU, squeeze, gate and sum, beside PyTorch in double precision


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("activated", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_bn_and_relu_are_pytorchs(shape: tuple[int, ...], activated: bool, dtype: torch.dtype, tolerance: float) -> None:
    own = norm(shape[1])
    exact = doubled(own)
    y = (drawn(*shape, dtype=dtype) + 3).requires_grad_()
    twin = y.detach().double().requires_grad_()
    gradient = drawn(*shape, seed=5, dtype=dtype)
    z = normalised(own, y, relu=activated)
    expected = exact(twin)
    expected = relu(expected) if activated else expected
    assert z.dtype == dtype and close(z, expected, tolerance)
    z.backward(gradient)
    expected.backward(gradient.double())
    assert close(y.grad, twin.grad, 3 * tolerance)
    assert close(own.weight.grad, exact.weight.grad, 3 * tolerance) and close(own.bias.grad, exact.bias.grad, 3 * tolerance)
    assert close(own.running_mean, exact.running_mean, 1e-5) and close(own.running_var, exact.running_var, 1e-5)
    assert own.num_batches_tracked == 1


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("gated", "normed"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("activated", [True, False])
@pytest.mark.parametrize("reader", ["first", "second", "both"])
def test_the_sum_behind_a_gate_is_pytorchs(shape: tuple[int, ...], gated: bool, activated: bool, normed: bool, reader: str) -> None:
    own, block = norm(shape[1]), SE(shape[1], shape[2], reduction=2)
    exact, exact_block = doubled(own), doubled(block)
    y, identity, gradient = drawn(*shape).requires_grad_(), drawn(*shape, seed=3).requires_grad_(), drawn(*shape, seed=4)
    twins = [t.detach().double().requires_grad_() for t in (y, identity)]
    out, second = joined(own if normed else None, y, block.excite if gated else None, identity, relu=activated)
    expected = exact(twins[0]) if normed else twins[0]
    expected = twins[1] + (exact_block(expected) if gated else expected)
    expected = relu(expected) if activated else expected
    assert close(out, expected, 1e-5) and torch.equal(out, second)
    readers = {"first": out, "second": second, "both": 0.25 * out + 0.75 * second}
    readers[reader].backward(gradient)
    expected.backward(gradient.double())
    pairs = [(y, twins[0]), (identity, twins[1])]
    pairs += list(zip(own.parameters(), exact.parameters(), strict=True)) if normed else []
    pairs += list(zip(block.parameters(), exact_block.parameters(), strict=True)) if gated else []
    assert all(close(one.grad, other.grad, 1e-4) for one, other in pairs)
    assert not normed or close(own.running_var, exact.running_var, 1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_in_bf16_the_sum_behind_a_gate_is_pytorchs_but_for_rounding(shape: tuple[int, ...]) -> None:
    own, block, dtype = norm(shape[1]), SE(shape[1], shape[2], reduction=2), torch.bfloat16
    exact, exact_block = doubled(own), doubled(block)
    y, identity = drawn(*shape, dtype=dtype).requires_grad_(), drawn(*shape, seed=3, dtype=dtype).requires_grad_()
    gradient, twins = drawn(*shape, seed=4, dtype=dtype), [t.detach().double().requires_grad_() for t in (y, identity)]
    out = joined(own, y, block.excite, identity, relu=False)[0]
    expected = twins[1] + exact_block(exact(twins[0]))
    out.backward(gradient)
    expected.backward(gradient.double())
    assert close(out, expected, 1e-2) and close(y.grad, twins[0].grad, 2e-2) and close(identity.grad, twins[1].grad, 1e-2)
    assert close(own.weight.grad, exact.weight.grad, 1e-2) and close(block.up.weight.grad, exact_block.up.weight.grad, 1e-2)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_gate_alone_is_pytorchs(shape: tuple[int, ...]) -> None:
    block = SE(shape[1], shape[2], reduction=2, gate="tanh")
    exact, y, gradient = doubled(block), drawn(*shape).requires_grad_(), drawn(*shape, seed=4)
    twin = y.detach().double().requires_grad_()
    scaled(y, block.excite).backward(gradient)
    exact(twin).backward(gradient.double())
    assert close(y.grad, twin.grad, 1e-4) and close(block.up.weight.grad, exact.up.weight.grad, 1e-4)


def test_what_is_scaled_by_a_number_that_reads_nothing_has_its_gradient() -> None:
    y = drawn(4, 8, 3, 3).requires_grad_()
    scaled(y, lambda z: torch.full_like(z, 0.25)).sum().backward()
    assert y.grad is not None and torch.equal(y.grad, torch.full_like(y, 0.25))


def test_the_spread_of_a_large_mean_is_not_lost() -> None:
    own = norm(32)
    exact, y = doubled(own), drawn(16, 32, 8, 8) + 1000
    assert close(normalised(own, y, relu=False), exact(y.double()), 1e-3)


def test_one_pixel_unlike_the_others_costs_no_digits() -> None:
    """As at the border of a padded image."""
    own = norm(16)
    exact, y = doubled(own), drawn(4, 16, 56, 56) * 1e-4 + 1 / 3
    y[:, :, 0, 0] = 0
    assert close(normalised(own, y, relu=False), exact(y.double()), 1e-4)


def test_what_is_written_into_before_the_backward_pass_is_told() -> None:
    y = drawn(4, 8, 3, 3).requires_grad_()
    copy_of_y = y * 1
    out = scaled(copy_of_y, torch.sigmoid)
    with torch.no_grad():
        copy_of_y.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_a_loss_that_reaches_only_the_gate_has_its_gradient() -> None:
    own, y, kept = norm(8), drawn(4, 8, 3, 3).requires_grad_(), []
    exact, twin = doubled(own), y.detach().double().requires_grad_()
    joined(own, y, lambda z: kept.append(z) or torch.sigmoid(z), drawn(4, 8, 3, 3, seed=3), relu=True)  # type: ignore[func-returns-value]
    kept[0].square().sum().backward()
    exact(twin).mean((2, 3)).square().sum().backward()
    assert close(y.grad, twin.grad, 1e-3) and close(own.bias.grad, exact.bias.grad, 1e-4)


def test_no_result_depends_on_the_threads() -> None:
    found = []
    for threads in (1, 2):
        passes.use_threads(threads)
        if numba.get_num_threads() != threads:
            pytest.skip("Numba has one thread here")
        y, own, block = drawn(7, 16, 8, 8).requires_grad_(), norm(16), SE(16, 8, reduction=2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            block.down.reset_parameters(), block.up.reset_parameters()
        z = joined(own, normalised(norm(16), y, relu=True), block.excite, drawn(7, 16, 8, 8, seed=3), relu=True)[0]
        scaled(z, block.excite).backward(drawn(7, 16, 8, 8, seed=4))
        found.append([z, y.grad, own.weight.grad, own.running_var, block.up.weight.grad])
    passes.use_threads(1)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))  # type: ignore[arg-type]


def test_more_threads_than_there_are_cores_are_as_many_as_there_are() -> None:
    passes.use_threads(1000)
    assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS
    passes.use_threads(1)
    assert numba.get_num_threads() == 1


NAN = float(np.array(0x7FFFFFFF, np.uint32).view(np.float32))
"""Of all ones, which would become -0 by adding half of bf16's last digit."""


def test_bf16_is_rounded_to_nearest_and_ties_to_even() -> None:
    """Halves between two neighbours in bf16, and numbers just beside them, scaled by 1 in float32 and stored."""
    exact = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-15, -1 - 2**-8, 0.0, 1e-40, 3e38, float("inf"), float("nan"), NAN])
    state = np.array([0, 1, 1, 0], np.float32)[:, None].repeat(len(exact), 1)
    y = exact[None, :, None, None]
    out = torch.empty(1, len(exact), 1, 1, dtype=torch.bfloat16)
    pair = y.bfloat16(), (y - y.bfloat16().float()).bfloat16()  # their sum in float32 is the number again
    one = np.ones((1, len(exact)), np.float32)
    passes.joined(Map(pair[0]).values, state, one, Map(pair[1]).values, False, Map(out).values)
    assert torch.equal(out[0, :7, 0, 0], exact[:7].bfloat16()) and out[0, 7:, 0, 0].isnan().all()


def test_a_number_that_is_none_stays_none() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        y = drawn(4, 8, 3, 3, dtype=dtype)
        y[2, 5] = float("nan")
        z = normalised(norm(8), y, relu=True)
        assert z[:, 5].isnan().all() and z[:, :5].isfinite().all()
        assert joined(norm(8), y, None, drawn(4, 8, 3, 3, dtype=dtype), relu=True)[0][:, 5].isnan().all()


# -- Whole networks

RESNET = {"name": "resnet", "units": [1, 2], "widths": [16, 32], "stem": 8, "squash": 2}
NETS: dict[str, dict[str, Any]] = {
    "bottleneck": RESNET,
    "basic": RESNET | {"unit": "basic", "squash": 4},
    "padded": RESNET | {"shortcut": "padding", "unit": "basic", "squash": 4},
    "pooled": RESNET | {"stem_pool": True},
    "resnext": {"name": "resnext", "units": [1, 1], "widths": [16, 32], "stem": 8, "cardinality": 2, "width_per_group": 4},
    "preact": {"name": "preact_resnet", "units": [1, 2], "widths": [16, 32], "stem": 8, "squash": 2},
    "wide": {"name": "preact_resnet", "units": [1, 2], "widths": [16, 32], "stem": 8, "unit": "basic"},
}
BLOCKS: dict[str, Any] = {
    "none": None,
    "se": {"name": "se", "reduction": 4},
    "max": {"name": "se", "reduction": 4, "squeeze": "max"},
    "relu": {"name": "se", "reduction": 4, "gate": "relu", "bias": True},
    "eca": {"name": "eca"},
    "ese": {"name": "ese"},
    "cbam": {"name": "cbam", "reduction": 4},
    "static_scale": {"name": "static_scale"},
}
PLACES = ("standard", "pre", "post", "identity", "inside")
CASES = [
    *((net, block, "standard") for net in NETS for block in ("none", "se")),
    *(("bottleneck", block, "standard") for block in BLOCKS if block not in ("none", "se")),
    *((net, "se", place) for net in ("bottleneck", "basic", "preact") for place in PLACES[1:]),
    *(("bottleneck", "max", place) for place in PLACES[1:]),
]


def pair(facts: Facts, net: str, block: str, place: str) -> tuple[nn.Module, nn.Module]:
    """A network as it is written, and fused."""
    config = resolve(Config.of({"net": {**NETS[net], "block": BLOCKS[block], "placement": place}}), facts)
    plain = build(config, facts, 0).to(memory_format=torch.channels_last).train()
    with torch.no_grad():
        for index, parameter in enumerate(p for p in plain.parameters() if p.ndim == 1):
            parameter.add_(0.3 * drawn(len(parameter), seed=index))
    return plain, fuse(copy.deepcopy(plain))


def stepped(network: nn.Module, x: Tensor, bf16: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits in training, and every gradient and statistic behind them."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits = network(x)
    cross_entropy(logits.float() if bf16 else logits, torch.arange(len(x)) % 4).backward()
    found = {name: p.grad for name, p in network.named_parameters()}
    assert all(gradient is not None for gradient in found.values())
    values = found | dict(network.named_buffers())
    return logits, {name: value for name, value in values.items() if value is not None and value.is_floating_point()}


@pytest.mark.parametrize(("net", "block", "place"), CASES)
def test_a_fused_step_is_the_plain_one(facts: Facts, net: str, block: str, place: str) -> None:
    plain, fused = pair(facts, net, block, place)
    assert {type(m) for m in fused.modules()} & {FusedUnit, FusedPreActUnit}
    assert not {type(m) for m in fused.modules()} & {Unit, Branch}
    assert list(plain.state_dict()) == list(fused.state_dict())
    x = drawn(16, 3, 8, 8)
    exact_logits, exact = stepped(doubled(plain), x.double())
    logits, found = stepped(fused, x)
    assert close(logits, exact_logits, 1e-4)
    apart = {name: float((found[name].double() - value).norm() / (value.norm() + 1e-9)) for name, value in exact.items()}
    assert max(apart.values()) < 2e-3, max(apart, key=lambda name: apart[name])


@pytest.mark.parametrize("net", ["bottleneck", "preact"])
def test_in_bf16_a_fused_step_is_as_near_to_the_exact_one_as_the_plain_one(facts: Facts, net: str) -> None:
    plain, fused = pair(facts, net, "se", "standard")
    x = drawn(64, 3, 8, 8)
    _, exact = stepped(doubled(plain), x.double())
    whole = float(sum(value.norm() ** 2 for value in exact.values()) ** 0.5)
    apart = []
    for network in (plain, fused):
        _, found = stepped(network, x.bfloat16(), bf16=True)
        apart.append(float(sum((found[name].double() - value).norm() ** 2 for name, value in exact.items()) ** 0.5) / whole)
    assert apart[1] <= 1.15 * apart[0] and 1e-3 < apart[1] < 0.3


@pytest.mark.parametrize("net", list(NETS))
def test_evaluation_is_not_fused(facts: Facts, net: str) -> None:
    plain, fused = pair(facts, net, "se", "standard")
    x = drawn(4, 3, 8, 8)
    assert torch.equal(plain.eval()(x), fused.eval()(x))


def test_in_nchw_the_numbers_are_the_same(facts: Facts) -> None:
    _, fused = pair(facts, "bottleneck", "se", "standard")
    other = copy.deepcopy(fused).to(memory_format=torch.contiguous_format)
    x = drawn(8, 3, 8, 8)
    for one, two in zip(stepped(fused, x)[1].values(), stepped(other, x.contiguous())[1].values(), strict=True):
        assert close(two, one.double(), 1e-3)


class Halved(SE):
    """A user's own, which does something else in the end."""

    def _s(self, pixels: Tensor) -> Tensor:
        return super()._s(pixels) / 2


class Doubled(SE):
    """A user's own, which does what ``ChannelGate`` is for."""

    def excite(self, z: Tensor) -> Tensor:
        return 2 * super().excite(z)


def squared(channels: int, size: int) -> SE:
    """Another squeeze, set after the block was made."""
    made = SE(channels, size, reduction=2)
    made.squeezes = [lambda pixels: pixels.square().mean(1)]
    return made


class OwnUnit(Unit):
    """A user's own unit."""


class OwnBranch(Branch):
    """A user's own branch."""

    def forward(self, x: Tensor, inside: nn.Module | None = None) -> Tensor:
        return 0.1 * super().forward(x, inside)


class OwnNorm(nn.BatchNorm2d):
    """A user's own normalisation."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x


def unit(block: nn.Module | None = None, branch: Branch | None = None) -> Unit:
    shape = Shape("unit", 1, 8, 8, 4, 1)
    return Unit(branch or basic(shape), None, shape, lambda place, where: block if place == "standard" else None)  # type: ignore[arg-type]


def own_branch() -> Unit:
    made = basic(Shape("unit", 1, 8, 8, 4, 1))
    return unit(branch=OwnBranch(*made, cut=made.cut, inner=made.inner))


def changed(where: tuple[int, ...], module: nn.Module) -> Unit:
    """A unit with another module at some place of its branch."""
    made = unit(SE(8, 4, reduction=2))
    *parents, last = where
    place: Any = made.branch
    for index in parents:
        place = place[index]
    place[last] = module
    return made


def appended() -> Unit:
    made = unit()
    made.branch[2].append(nn.Tanh())  # type: ignore[operator, union-attr]
    return made


def padded_identity() -> Unit:
    made = unit()
    made.shortcut = nn.AdaptiveAvgPool2d(1)
    return made


def hooked(path: str) -> Unit:
    """A unit one of whose modules gives half of what it gives."""
    made = unit(SE(8, 4, reduction=2))
    made.get_submodule(path).register_forward_hook(lambda module, inputs, output: output / 2)
    return made


def averaging() -> Unit:
    made = unit()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    return made


OWN: dict[str, Callable[[], Unit]] = {
    "own _s": lambda: unit(Halved(8, 4, reduction=2)),
    "own excite": lambda: unit(Doubled(8, 4, reduction=2)),
    "own squeeze": lambda: unit(squared(8, 4)),
    "own branch": own_branch,
    "own BN inside": lambda: changed((0, 1), OwnNorm(8)),
    "own BN at the end": lambda: changed((2, 1), OwnNorm(8)),
    "no BN at the end": lambda: changed((2, 1), nn.GroupNorm(2, 8)),
    "one layer more": appended,
    "broadcast shortcut": padded_identity,
    "frozen BN": lambda: unit(SE(8, 4, reduction=2)),
    "BN with a cumulative average": averaging,
    **{f"hook on {path or 'the unit'}": partial(hooked, path) for path in ("", "branch", "branch.0", "branch.0.1", "branch.1", "branch.2")},
    **{f"hook on {path}": partial(hooked, path) for path in ("branch.2.0", "branch.2.1", "standard")},
}


@pytest.mark.parametrize("name", list(OWN))
def test_what_is_not_known_runs_as_it_is_written(name: str) -> None:
    made = OWN[name]().train()
    for module in made.modules() if name == "frozen BN" else ():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    exact, x = copy.deepcopy(made).double(), drawn(4, 8, 4, 4).requires_grad_()
    twin = x.detach().double().requires_grad_()
    out, expected = fuse(made)(x), exact(twin)
    out.square().sum().backward()
    expected.square().sum().backward()
    assert close(out, expected, 1e-5) and close(x.grad, twin.grad, 1e-3)
    assert all(close(one, other.double(), 1e-5) for one, other in zip(made.buffers(), exact.buffers(), strict=True) if one.ndim)


def test_derived_classes_keep_their_class() -> None:
    shape = Shape("unit", 1, 8, 8, 4, 1)
    own = OwnUnit(basic(shape), None, shape, lambda place, where: None)  # type: ignore[arg-type]
    assert type(fuse(own)) is OwnUnit and type(own.branch) is FusedBranch


def test_a_unit_whose_weights_are_not_fp32_trains() -> None:
    made = fuse(unit(SE(8, 4, reduction=2)).bfloat16().train())
    assert made(drawn(4, 8, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


def gradients(first: nn.Module, between: Callable[[Tensor], Tensor], second: nn.Module, x: Tensor) -> Tensor:
    """Of the input of two units with something between them."""
    x = x.detach().requires_grad_()
    second(between(first(x))).square().sum().backward()
    assert x.grad is not None
    return x.grad


@pytest.mark.parametrize("between", ["nothing", "relu in place", "checkpoint", "reentrant checkpoint", "hook", "retained"])
def test_what_happens_between_two_units_reaches_both_readers(between: str) -> None:
    one, two = unit(SE(8, 4, reduction=2)), unit(SE(8, 4, reduction=2))
    one.activated = False
    exact, x = [doubled(one).train(), doubled(two).train()], drawn(4, 8, 4, 4)
    first, second = fuse(one.train()), fuse(two.train())
    if between == "relu in place":
        found = gradients(first, lambda t: relu(t, inplace=True), second, x)
        expected = gradients(exact[0], relu, exact[1], x.double())
    elif "checkpoint" in between:
        again = partial(checkpoint, first, use_reentrant=between.startswith("re"))
        found = gradients(again, lambda t: t, second, x)  # type: ignore[arg-type]
        expected = gradients(exact[0], lambda t: t, exact[1], x.double())
    else:
        seen: list[list[Tensor]] = [[], []]

        def watched(t: Tensor, kept: list[Tensor]) -> Tensor:
            if between == "retained":
                t.retain_grad()
            elif between == "hook":
                t.register_hook(lambda gradient: kept.append(gradient))
            kept += [t] if between == "retained" else []
            return t

        found = gradients(first, lambda t: watched(t, seen[0]), second, x)
        expected = gradients(exact[0], lambda t: watched(t, seen[1]), exact[1], x.double())
        pairs = [(a.grad if between == "retained" else a, b.grad if between == "retained" else b) for a, b in zip(*seen, strict=True)]
        assert all(close(own, other, 1e-3) for own, other in pairs) and len(pairs) == (between != "nothing")
    assert close(found, expected, 1e-3)


def test_a_unit_that_is_called_twice_adds_its_gradients() -> None:
    made = unit(SE(8, 4, reduction=2))
    exact, x = doubled(made).train(), drawn(4, 8, 4, 4)
    fused = fuse(made.train())
    assert close(gradients(fused, lambda t: t, fused, x), gradients(exact, lambda t: t, exact, x.double()), 1e-3)


def test_in_training_without_gradients_the_statistics_move(facts: Facts) -> None:
    plain, fused = pair(facts, "bottleneck", "se", "standard")
    exact, x = doubled(plain), drawn(8, 3, 8, 8)
    with torch.no_grad():
        assert close(fused(x), exact(x.double()), 1e-4)
    assert all(close(own, other.double(), 1e-4) for own, other in zip(fused.buffers(), exact.buffers(), strict=True))


def test_frozen_weights_get_no_gradient_and_the_others_theirs(facts: Facts) -> None:
    plain, fused = pair(facts, "bottleneck", "se", "standard")
    for network in (plain, fused):
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(False)
    exact, x = doubled(plain), drawn(8, 3, 8, 8)
    for network, images in ((exact, x.double()), (fused, x)):
        cross_entropy(network(images), torch.arange(8) % 4).backward()
    for (name, own), other in zip(fused.named_parameters(), exact.parameters(), strict=True):
        assert (own.grad is None) == (other.grad is None), name
        assert own.grad is None or close(own.grad, other.grad, 2e-3)


def test_where_no_folder_can_be_written_to_each_process_compiles_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def unwritable(cache: bool = False, **settings: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function '_moments': no locator available")
        return numba.njit(**settings)

    monkeypatch.setattr(passes, "njit", unwritable)
    assert passes._compiler()(lambda x: x + 1)(1) == 2


def test_one_value_a_channel_is_refused_as_pytorch_refuses_it(facts: Facts) -> None:
    unit = FusedUnit(basic(Shape("u", 1, 8, 8, 1, 1)), None, Shape("u", 1, 8, 8, 1, 1), lambda *_: None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        unit.train()(drawn(1, 8, 1, 1))


@pytest.mark.parametrize("block", ["se", "eca", "ese"])
def test_a_gate_of_the_means_is_what_the_block_does(block: str, facts: Facts) -> None:
    _, fused = pair(facts, "bottleneck", block, "standard")
    gates = [module for module in fused.modules() if isinstance(module, ChannelGate)]
    assert len(gates) == 3
    for gate in gates:
        channels = next(width for width in (16, 32) if _takes(gate, width))
        x = drawn(3, channels, 4, 4)
        assert torch.allclose(gate(x), x * gate.excite(x.mean((2, 3)))[:, :, None, None], atol=1e-6)


def _takes(gate: ChannelGate, width: int) -> bool:
    try:
        gate.excite(torch.zeros(1, width))
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize(("block", "asked"), [("none", []), ("se", [True, True, True])])
def test_small_maps_are_left_to_pytorch_but_behind_a_gate(
    facts: Facts, monkeypatch: pytest.MonkeyPatch, block: str, asked: list[bool]
) -> None:
    monkeypatch.setattr(units, "LEAST", 2**18)
    seen: list[bool] = []
    monkeypatch.setattr(units, "normalised", lambda *_, **__: pytest.fail("this map is small"))
    monkeypatch.setattr(units, "joined", lambda *told, **more: seen.append(told[2] is not None) or joined(*told, **more))
    plain, fused = pair(facts, "bottleneck", block, "standard")
    x = drawn(16, 3, 8, 8)
    assert close(stepped(fused, x)[0], stepped(doubled(plain), x.double())[0], 1e-4) and seen == asked


# -- Training

CPU = torch.device("cpu")


def recipe(facts: Facts, precision: str = "fp32") -> Config:
    train = {"epochs": 3, "batch": 32, "lr": 0.2, "weight_decay": 5e-4, "precision": precision}
    net = {"units": [1, 1], "widths": [8, 16], "stem": 8, "block": {"name": "se", "reduction": 2}}
    return resolve(Config.of({"net": net, "data": {"name": "digits"}, "train": train}), facts)


def test_what_is_chosen_on_a_cpu_is_fused_and_stored() -> None:
    assert choose(1).fused and choose(1).plain()["fused"] is True
    assert not choose(1, "contiguous").fused and not choose(1, device=torch.device("cuda")).fused


def test_a_checkpoint_from_before_goes_on_unfused(facts: Facts, arrays: Arrays, tmp_path: Path) -> None:
    config, steps = recipe(facts), iter(range(1000))
    whole = fit(config, 0, arrays, facts, device=CPU, execution=Execution(1))
    with pytest.raises(Interrupted):
        options: dict[str, Any] = {"checkpoints": Checkpoints(tmp_path), "should_stop": lambda: next(steps) >= 10}
        fit(config, 0, arrays, facts, device=CPU, execution=Execution(1), **options)
    saved = Checkpoints(tmp_path).load()
    assert saved is not None
    del saved["execution"]["fused"]
    Checkpoints(tmp_path).save(saved)
    resumed = fit(config, 0, arrays, facts, device=CPU, execution=Execution(1, fused=True), checkpoints=Checkpoints(tmp_path))
    assert not resumed.execution.fused
    assert all(torch.equal(whole.weights[name], value) for name, value in resumed.weights.items())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_fused_training_repeats_and_resumes_bit_for_bit(facts: Facts, arrays: Arrays, tmp_path: Path, precision: str) -> None:
    config, steps, fused = recipe(facts, precision), iter(range(1000)), Execution(1, fused=True)
    whole = fit(config, 0, arrays, facts, device=CPU, execution=fused)
    assert whole.evaluation is not None and whole.evaluation.top1_error < 40
    with pytest.raises(Interrupted):
        options: dict[str, Any] = {"checkpoints": Checkpoints(tmp_path), "should_stop": lambda: next(steps) >= 17}
        fit(config, 0, arrays, facts, device=CPU, execution=fused, **options)
    resumed = fit(config, 0, arrays, facts, device=CPU, execution=Execution(1), checkpoints=Checkpoints(tmp_path))
    assert resumed.execution.fused and resumed.progress.history == whole.progress.history
    assert all(torch.equal(whole.weights[name], value) for name, value in resumed.weights.items())


def test_a_divergence_is_seen(facts: Facts, arrays: Arrays) -> None:
    wild = recipe(facts).but({"train.lr": 1e6})
    assert fit(wild, 0, arrays, facts, device=CPU, execution=Execution(1, fused=True)).status == "diverged"
