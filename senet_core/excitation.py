"""The role of excitation (Hu et al., arXiv 1709.01507 v4, Section 7.2): what each block's gates do by class, and what the network loses
without that.

Looks: the gates of every image by class, and the share of their variance that lies between classes against a null of shuffled labels.
Function: the error when a block's gates are replaced by their mean over images, or dealt out to the wrong images; nothing is trained.

Which blocks can be looked at: ``senet_core.watch``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from senet_core.class_gates import ClassGates
from senet_core.errors import InputError
from senet_core.gates import RANGE
from senet_core.gating import is_gated
from senet_core.seeds import Seed, generator
from senet_core.watch import Watch, by_channel

PERMUTATIONS = 199
"""Shuffles of the labels behind a p: it goes down to 1 / 200."""
MEMORY = 256 * 2**20
"""Bytes of gates, image by image, that are held at once; where blocks have more, the images are read again for the next ones."""
_ONE_HOT = 2**22  # numbers in the matrix of classes that some shuffles together make


class Null(NamedTuple):
    """The share of variance between classes when labels are shuffled: its 95 % point, and the p of the true labels' share (one-sided,
    the true labels counted as one of the shuffles)."""

    limit: float
    p: float


class Knockout(NamedTuple):
    """The top-1 error (%) with one block's gates replaced by their mean over all images (channel by channel), and with every image
    given the gates of another one, drawn at random."""

    mean: float
    shuffled: float


@dataclass(frozen=True)
class Excited:
    """One block: its gates by class, the null of their share (None where they do not vary), and what the error is without it (None
    where that was not asked for)."""

    gates: ClassGates
    null: Null | None
    knockout: Knockout | None


@dataclass(frozen=True)
class Examination:
    """The top-1 error (%) of the network as it is, and all blocks that could be looked at, in the order of the network."""

    error: float
    blocks: tuple[Excited, ...]


@dataclass(frozen=True)
class Subject:
    """A trained network and the images that it is examined on; ``images`` gives all of them in batches (x, labels) each time it is called,
    in the order of ``labels`` (N,), and ``autocast`` is the context that the recipe's precision asks for."""

    network: nn.Module
    images: Callable[[], Iterable[tuple[Tensor, Tensor]]]
    labels: NDArray[np.int64]
    autocast: Callable[[], AbstractContextManager[Any]]

    @torch.no_grad()
    def error(self, expect: Callable[[Tensor], None] = lambda labels: None) -> float:
        """Read all images once and return the top-1 error (%); ``expect`` is told the labels of each batch before it passes."""
        wrong = count = 0
        for x, labels in self.images():
            expect(labels)
            with self.autocast():
                logits = self.network(x).float()
            best = logits.topk(min(5, logits.shape[1]), dim=1).indices[:, 0]  # as training evaluates, also where logits are equal
            wrong, count = wrong + int((best != labels).sum()), count + len(labels)
        return 100 * wrong / count


def examine(subject: Subject, classes: int, seed: Seed, *, knockout: bool, permutations: int = PERMUTATIONS) -> Examination:
    """Everything about the gates of one trained network; it runs in evaluation mode and is left in it.

    The images are read once, and with ``knockout`` twice more for each block: to measure what the gates do, never to choose anything by
    the errors. Shuffles are counted from the seed and the block's path, so they do not depend on the size of batches.

    :raises InputError: if no block has one gate for each channel of an image, or a block does not multiply by the gate that it tells.
    """
    subject.network.eval()
    found: list[Excited] = []
    error = math.nan
    for group in _groups(_survey(subject, exact=knockout), len(subject.labels)):
        with Watch(subject.network, classes, group) as watch, _gathered(subject.network, group) as gathered:
            error = subject.error(watch.expect)
        for gates in watch.found():
            each = torch.cat(gathered.pop(gates.path))
            random = [generator(seed, "noise", "excitation", gates.path, what) for what in ("labels", "gates")]
            null = shuffled_share(each, subject.labels, classes, random[0], permutations)
            found.append(Excited(gates, null, _knocked_out(subject, gates.path, each, random[1]) if knockout else None))
    if not found:
        raise InputError(_NOTHING.format(blocks=", ".join(_names(subject.network))))
    return Examination(error, tuple(found))


_NOTHING = (
    "None of the network's gates ({blocks}) is one number for each channel of an image, so there is nothing to tell by class and channel: "
    "a gate that is another one at every pixel has no mean per channel that could stand for it."
)


def _names(network: nn.Module) -> list[str]:
    return list(dict.fromkeys(type(module).__name__ for module in network.modules() if is_gated(module)))


def shuffled_share(gates: Tensor, labels: NDArray[np.int64], classes: int, random: np.random.Generator, permutations: int) -> Null | None:
    """The null of ``ClassGates.share`` for gates (N, C) and labels (N,): the same share under so many shuffles of the labels."""
    least, greatest = gates.aminmax(dim=0)
    centred = (gates.double() - gates.mean(0, dtype=torch.float64)).float()
    centred[:, greatest.double() - least.double() <= RANGE] = 0.0
    total = float(centred.double().square().sum())
    if total == 0:
        return None
    shuffles = (random.permutation(labels) for _ in range(permutations))
    shares = [share for part in _parts(shuffles, max(1, _ONE_HOT // (classes * len(labels)))) for share in _shares(part, centred, classes)]
    true = float(_shares([labels], centred, classes)[0])
    beyond = sum(share >= true for share in shares)
    return Null(float(np.quantile(shares, 0.95, method="higher")) / total, (1 + beyond) / (1 + permutations))


def _shares(labellings: Sequence[NDArray[np.int64]], centred: Tensor, classes: int) -> NDArray[np.float64]:
    """Sums of squares between classes, one for each labelling of the images: all class sums by one product."""
    stacked = torch.from_numpy(np.stack(labellings) + classes * np.arange(len(labellings))[:, None])  # (L, N), a row of its own each
    counts = torch.bincount(stacked.flatten(), minlength=classes * len(labellings))
    members = torch.zeros(classes * len(labellings), len(centred)).scatter_(0, stacked, 1.0)
    squares = (members @ centred).double().square().sum(1) / counts.clamp(min=1)
    found: NDArray[np.float64] = squares.view(len(labellings), classes).sum(1).numpy()
    return found


def _parts(items: Iterable[NDArray[np.int64]], size: int) -> Iterator[list[NDArray[np.int64]]]:
    part: list[NDArray[np.int64]] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _knocked_out(subject: Subject, path: str, gates: Tensor, random: np.random.Generator) -> Knockout:
    """Both errors without one block's own gates (N, C), which are given in the order of the images."""
    wide = torch.promote_types(gates.dtype, torch.float32)
    mean = gates.mean(0, keepdim=True, dtype=torch.float64).to(wide)
    dealt = torch.from_numpy(random.permutation(len(gates)))
    errors = []
    for chosen in (lambda images: mean, lambda images: gates[dealt[images]]):
        with replaced(subject.network, path, chosen):
            errors.append(subject.error())
    return Knockout(*errors)


@contextmanager
def replaced(network: nn.Module, path: str, chosen: Callable[[slice], Tensor]) -> Iterator[None]:
    """For one reading of the images: the block gives its input times ``chosen`` gates (B or 1, C), which are asked for by the places of
    a batch's images in that reading. They may be of a wider type than the block's own; its output keeps type and layout."""
    start = 0

    def instead(block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        nonlocal start
        x, images = inputs[0], slice(start, start + len(inputs[0]))
        start = images.stop
        gate = chosen(images).to(x.device)[:, :, None, None]
        return torch.empty_like(output).copy_(x * gate)  # the layout decides in which order the next layer sums

    hook = network.get_submodule(path).register_forward_hook(instead)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _gathered(network: nn.Module, paths: Iterable[str]) -> Iterator[dict[str, list[Tensor]]]:
    """The gates of some blocks image by image, as lists of (B, C) on the CPU in the blocks' own precision."""
    found: dict[str, list[Tensor]] = {path: [] for path in paths}

    def take(block: Any, inputs: tuple[Tensor, ...], path: str) -> None:
        gates = by_channel(block, inputs[0])
        assert gates is not None, "the survey left only blocks with a gate for each channel"
        found[path].append(gates.cpu())

    hooks = [network.get_submodule(path).register_forward_pre_hook(lambda b, inputs, path=path: take(b, inputs, path)) for path in found]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def _survey(subject: Subject, exact: bool) -> dict[str, int]:
    """{path: bytes of gates for an image} of the blocks that can be looked at, by one batch.

    :raises InputError: with ``exact``, if one does not give its input times its gates.
    """
    sizes: dict[str, int] = {}

    def look(block: Any, inputs: tuple[Tensor, ...], output: Tensor, path: str) -> None:
        gates = by_channel(block, inputs[0])
        if gates is None:
            return
        sizes[path] = gates.shape[1] * gates.element_size()
        product = (inputs[0] * gates[:, :, None, None]).float()
        if exact and not torch.allclose(output.float(), product, rtol=2e-2, atol=1e-3 * float(product.abs().max())):
            raise InputError(
                f"The block {type(block).__name__} gives something else than its input times what its gates() tells, so its gate cannot "
                "be replaced. Leave --knockout out."
            )

    gated = [path for path, module in subject.network.named_modules() if is_gated(module)]
    hooks = [
        subject.network.get_submodule(path).register_forward_hook(lambda b, inputs, output, path=path: look(b, inputs, output, path))
        for path in gated
    ]
    try:
        first = next(iter(subject.images()))
        replace(subject, images=lambda: [first]).error()
    finally:
        for hook in hooks:
            hook.remove()
    return {path: sizes[path] for path in gated if path in sizes}


def _groups(sizes: dict[str, int], images: int) -> list[list[str]]:
    """The blocks in order, so many together as ``MEMORY`` holds the gates of."""
    groups: list[list[str]] = []
    room = 0
    for path, size in sizes.items():
        room -= size * images
        if room < 0:
            groups.append([])
            room = MEMORY - size * images
        groups[-1].append(path)
    return groups
