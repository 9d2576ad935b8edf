"""What every block must keep, ours and a user's own: each broken promise is a sentence that names it.

A block that breaks one of these does not crash: it trains, and its row in a table is wrong. So they are looked at before anything trains.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from senet_core.errors import InputError
from senet_core.function import redraw
from senet_core.gating import is_gated
from senet_core.registry import BLOCKS

Make = Callable[[int, int], nn.Module]
"""The block for so many channels and that spatial size, always from the same random numbers."""
CHANNELS = (1, 3, 16, 64)
SIZES = (4, 5, 8, 9)
IMAGES = 4
BF16 = 0.02
"""How far a result in bf16 may lie from that in fp32, as a share of the greatest value: a few of its roundings (2^-8 each)."""


def maker(name: str, arguments: Mapping[str, Any] | None = None) -> Make:
    """The registered block of that name with these arguments."""
    bound = BLOCKS[name].bind("block", arguments or {})
    positional = places_of(BLOCKS[name].value)
    if len(positional) < 2:
        has = ", ".join(positional) or "nothing"
        raise InputError(f"The block '{name}' is built from channels, size and then, after a *, its options; it takes {has} before them.")

    def make(channels: int, size: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made: nn.Module = BLOCKS[name].value(channels, size, **bound)
        return made

    return make


def places_of(made: Any) -> list[str]:
    """The arguments of a registered class or function that are given by their place."""
    found = inspect.signature(made).parameters.values()
    return [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def broken(make: Make) -> list[str]:
    """The promises that a block breaks, a sentence each; empty for a sound one. A check that fails by an exception is told with it."""
    found = []
    for what, check in CHECKS.items():
        try:
            found += list(check(make))
        except Exception as error:
            found.append(f"{what}: it fails with {type(error).__name__}: {error}")
        if found and what == "shape and type":
            break  # nothing else can be asked of it
    return found


def advice(make: Make) -> list[str]:
    """What a sound block could do better, a sentence each."""
    return [sentence for check in ADVICE.values() for sentence in check(make)]


def image(channels: int, size: int = 8, images: int = IMAGES) -> Tensor:
    """Noise in place of feature maps, the same at every call."""
    return torch.randn(images, channels, size, size, generator=torch.Generator().manual_seed(1))


# -- the promises


def keeps_shape_and_type(make: Make) -> Iterator[str]:
    """(N, C, H, W) stays (N, C, H, W) in the same type and with finite values, at every width and size that networks have."""
    for channels, size in [(16, 8), *((channels, 8) for channels in CHANNELS), *((16, size) for size in SIZES)]:
        try:
            made = make(channels, size)
        except ValueError:
            if (channels, size) == (16, 8):
                raise
            continue  # what a block refuses by a ValueError when it is built is refused before a trial begins
        x = image(channels, size)
        y = made(x)
        if not isinstance(y, Tensor) or y.shape != x.shape:
            shape = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            yield f"shape and type: an input of shape {tuple(x.shape)} comes out as {shape}"
            return
        if y.dtype != x.dtype:
            yield f"shape and type: an input of {_type(x.dtype)} comes out as {_type(y.dtype)}"
            return
        if not torch.isfinite(y).all():
            yield f"shape and type: the output is not finite for {channels} channels of size {size}"
            return


def gives_gradients(make: Make) -> Iterator[str]:
    """Every parameter and the input get a finite gradient, and one that is not zero throughout for whatever values they have."""
    for redrawn in (False, True):
        made, x = make(16, 8).train(), image(16).requires_grad_()
        if redrawn:  # an initialisation may hide a gradient that is 0, never one that is missing
            redraw(made)
        (made(x) ** 2).sum().backward()
        for name, value in [("the input", x), *((f"the parameter '{name}'", p) for name, p in made.named_parameters() if p.requires_grad)]:
            if value.grad is None or (redrawn and not value.grad.count_nonzero()):
                yield (
                    f"gradients: {name} gets no gradient, so it never learns" if value is not x else "gradients: the input gets no gradient"
                )
            elif not torch.isfinite(value.grad).all():
                yield f"gradients: that of {name} is not finite"
            else:
                continue
            return


def leaves_its_input(make: Make) -> Iterator[str]:
    """The input is not written into: the residual branch beside the block still needs it."""
    x = image(16)
    make(16, 8)(x)
    if not torch.equal(x, image(16)):
        yield "input: the block changes its input in place"


def is_independent_across_the_batch(make: Make) -> Iterator[str]:
    """In evaluation the same images give the same, whatever stands beside them: no leak from image to image, no randomness."""
    made, x = redrawn(make).eval(), image(16)
    whole = made(x)
    if not torch.equal(whole, made(x)):
        yield "evaluation: the same images give different outputs, so something random is left on"
    if not torch.allclose(whole[:1], made(x[:1]), atol=1e-5):
        yield "evaluation: an image's output depends on the other images of its batch (a mean over dimension 0?)"


def starts_from_the_generator(make: Make) -> Iterator[str]:
    """Initial values come from torch's generator alone, so that a seed decides them."""
    one, other = make(16, 8).state_dict(), make(16, 8).state_dict()
    if not all(torch.equal(value, other[key]) for key, value in one.items()):
        yield "initial values: two blocks made from one seed differ (numbers from NumPy, random, or a generator of its own?)"


def comes_back_from_its_state(make: Make) -> Iterator[str]:
    """All that evaluation depends on is in the state dict: a resumed trial must equal an uninterrupted one."""
    one, other = make(16, 8).train(), make(16, 8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        redraw(one)
        for _ in range(2):
            one(image(16))
    other.load_state_dict(one.state_dict())
    if not torch.equal(one.eval()(image(16)), other.eval()(image(16))):
        yield "state: loaded from its state dict it gives other outputs, so a resumed trial would too (a tensor that is no buffer?)"


def takes_both_memory_formats(make: Make) -> Iterator[str]:
    """The same values whichever way the input lies in memory."""
    made, x = make(16, 8).eval(), image(16)
    if not torch.allclose(made(x), made(x.to(memory_format=torch.channels_last)), atol=1e-5):
        yield "memory format: channels_last gives other values than the contiguous format (a view or reshape that mixes dimensions?)"


def keeps_the_memory_format(make: Make) -> Iterator[str]:
    """Advice: the output lies in memory as its input does; otherwise every layer copies it."""
    made, x = make(16, 8).eval(), image(16)
    last = x.to(memory_format=torch.channels_last)
    if not made(last).is_contiguous(memory_format=torch.channels_last) or not made(x).is_contiguous():
        yield "memory format: the output is not in its input's memory format, which costs a copy at every layer"


WAYS = ("autocast", "autocast of fp32", "all in bf16")


def works_in_bf16(make: Make) -> Iterator[str]:
    """Near its own values in fp32, under autocast and wholly in bf16."""
    for way in WAYS:
        y, expected, _ = _in_bf16(make, way)
        if not torch.isfinite(y).all():
            yield f"bf16 ({way}): the output is not finite (an eps that bf16 rounds away?)"
        elif (y.float() - expected).abs().max() > BF16 * expected.abs().max():
            far = float((y.float() - expected).abs().max() / expected.abs().max())
            yield f"bf16 ({way}): the output is {far:.0%} off its value in fp32 (a long sum in bf16?)"


def keeps_its_type_in_bf16(make: Make) -> Iterator[str]:
    """Advice: bf16 stays bf16; otherwise the rest of the unit works in fp32, at twice the memory."""
    for way in WAYS:
        y, _, dtype = _in_bf16(make, way)
        if y.dtype != dtype:
            yield f"bf16 ({way}): an input of {_type(dtype)} comes out as {_type(y.dtype)} (x * self.scale.to(x.dtype) keeps the type)"


def _in_bf16(make: Make, way: str) -> tuple[Tensor, Tensor, torch.dtype]:
    """The block's output in one of the ways of bf16, its output in fp32, and the input's type."""
    made, x = make(16, 8).eval(), image(16).to(memory_format=torch.channels_last)
    x = x if way == "autocast of fp32" else x.bfloat16()
    expected = made(x.float())
    made = made.bfloat16() if way == "all in bf16" else made
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=way != "all in bf16"):
        return made(x), expected, x.dtype


def is_not_the_identity(make: Make) -> Iterator[str]:
    """With its parameters redrawn at random it does something: else its row would be a null ablation."""
    made, x = redrawn(make), image(16)
    for training in (True, False):
        if not torch.allclose(made.train(training)(x), x, rtol=1e-4, atol=1e-5):
            return
    yield "function: it is the identity whatever its parameters are, so it would be a null ablation"


def shows_its_gates(make: Make) -> Iterator[str]:
    """Where it has a method ``gates``, the output is the input times these."""
    made, x = make(16, 8).eval(), image(16)
    gate = made.gates(x) if is_gated(made) else None
    if gate is None:
        return
    if gate.dim() != 4 or not all(g in (1, n) for g, n in zip(gate.shape, x.shape, strict=True)):
        yield f"gates: gates(x) has the shape {tuple(gate.shape)}; it needs four dimensions, each as large as that of x or 1"
    elif not torch.allclose(made(x), x * gate, atol=1e-5):
        yield "gates: the output is not the input times gates(x)"


def redrawn(make: Make) -> nn.Module:
    """The block with all parameters and buffers redrawn at random."""
    made = make(16, 8)
    redraw(made)
    return made


def _type(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


CHECKS: Mapping[str, Callable[[Make], Iterator[str]]] = {
    "shape and type": keeps_shape_and_type,
    "gradients": gives_gradients,
    "input": leaves_its_input,
    "evaluation": is_independent_across_the_batch,
    "initial values": starts_from_the_generator,
    "state": comes_back_from_its_state,
    "memory format": takes_both_memory_formats,
    "bf16": works_in_bf16,
    "function": is_not_the_identity,
    "gates": shows_its_gates,
}
"""Each promise by its name in a sentence; the order is that in which they are looked at."""
ADVICE: Mapping[str, Callable[[Make], Iterator[str]]] = {"memory format": keeps_the_memory_format, "bf16": keeps_its_type_in_bf16}
"""What costs time and memory but no truth: told, and not refused. Our own blocks keep it too."""
