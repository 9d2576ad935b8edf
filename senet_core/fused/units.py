"""Units, branches and stems of the residual families in their fused form: the same modules, weights and paths, another forward pass.

Only training is fused. Evaluation, and whatever a unit holds that is not known here, runs as it is written in ``senet_core.units``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from senet_core.fused.functions import joined, normalised, scaled
from senet_core.gating import ChannelGate
from senet_core.layers import ConvNorm
from senet_core.networks.preact_resnet import PreActUnit
from senet_core.units import Branch, Stem, Unit, through

LEAST = 2**18
"""Values of a map below which PyTorch's operators are faster, where no gate is among what is fused."""


def fuse(network: nn.Module) -> nn.Module:
    """The network with its units in their fused form; modules of other classes, also of derived ones, stay as they are."""
    for module in network.modules():
        form = _FORMS.get(type(module))
        if form is not None and all(_plain(norm) for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)):
            module.__class__ = form
    return network


def _plain(norm: nn.BatchNorm2d) -> bool:
    return bool(norm.affine and norm.track_running_stats and norm.momentum is not None)


def _parts(module: ConvNorm) -> tuple[nn.Module, nn.BatchNorm2d]:
    conv, norm = module
    assert isinstance(norm, nn.BatchNorm2d)
    return conv, norm


def fits(y: Tensor) -> bool:
    """Whether the passes can take a tensor."""
    return y.device.type == "cpu" and y.dtype in (torch.bfloat16, torch.float32) and len(y) * y.shape[2] * y.shape[3] > 1


def pays(y: Tensor) -> bool:
    """Whether there is enough of a tensor for the passes to win back the time that it takes to call them."""
    return fits(y) and y.numel() >= LEAST


def _normalised(norm: nn.BatchNorm2d, y: Tensor, *, relu: bool) -> Tensor:
    if pays(y):
        return normalised(norm, y, relu=relu)
    z: Tensor = norm(y)
    return z.relu() if relu else z


def _run(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Layers one after the other, BN with the ReLU behind it in one."""
    index = 0
    while index < len(layers):
        layer = layers[index]
        activated = index + 1 < len(layers) and type(layers[index + 1]) is nn.ReLU
        if type(layer) is ConvNorm:
            conv, norm = _parts(layer)
            x = _normalised(norm, conv(x), relu=activated)
        elif type(layer) is nn.BatchNorm2d:
            x = _normalised(layer, x, relu=activated)
        else:
            x, activated = layer(x), False
        index += 1 + activated
    return x


def _gate(block: nn.Module | None) -> Callable[[Tensor], Tensor] | None:
    """What a block makes of its channels' means, if that is all it does, which a class of the user's own may have changed."""
    if not isinstance(block, ChannelGate) or not block.reads_means:
        return None
    ours = all(method.__module__.startswith("senet_core.") for method in (type(block).forward, type(block)._s))
    return block.excite if ours else None


def _through(block: nn.Module | None, x: Tensor) -> Tensor:
    if block is None or (gate := _gate(block)) is None or not fits(x):
        return through(block, x)
    return scaled(x, gate)


def _end(norm: nn.BatchNorm2d | None, y: Tensor, block: nn.Module | None, identity: Tensor, *, activated: bool) -> Tensor:
    """A unit's sum: identity + block(BN(y)), or ReLU of it."""
    gate = _gate(block)
    worth = fits(y) if gate is not None else block is None and norm is not None and pays(y)
    if worth and identity.dtype == y.dtype:
        return _with_second(*joined(norm, y, gate, identity, relu=activated))
    total = identity + through(block, y if norm is None else _normalised(norm, y, relu=False))
    return relu(total) if activated else total


def _with_second(x: Tensor, second: Tensor) -> Tensor:
    """A map that leaves a unit, with itself for a second reader (``functions.Joined``)."""
    x._second = second  # type: ignore[attr-defined]
    return x


def _second(x: Tensor) -> Tensor:
    """A map as the second of its readers takes it."""
    second: Tensor = getattr(x, "_second", x)
    return second


class FusedBranch(Branch):
    """A branch whose BN and ReLU are one."""

    def forward(self, x: Tensor, inside: nn.Module | None = None) -> Tensor:
        """As ``Branch.forward``."""
        return _branch(list(self), self.cut, x, inside) if self.training else super().forward(x, inside)


def _branch(layers: list[nn.Module], cut: int, x: Tensor, inside: nn.Module | None) -> Tensor:
    if inside is None:
        return _run(layers, x)
    return _run(layers[cut:], _through(inside, _run(layers[:cut], x)))


class FusedUnit(Unit):
    """A post-activation unit: its last BN, its block, the sum and ReLU are one where the block reads the channels' means alone."""

    def forward(self, x: Tensor) -> Tensor:
        """As ``Unit.forward``."""
        branch = self.branch
        if not self.training or not isinstance(branch, Branch) or type(branch[-1]) is not ConvNorm or branch.cut == len(branch):
            return super().forward(x)
        conv, norm = _parts(branch[-1])
        y = conv(_branch(list(branch)[:-1], branch.cut, _through(self.pre, x), self.inside))
        shortcut = self.shortcut
        identity = _run([shortcut], _second(x)) if type(shortcut) is ConvNorm else through(shortcut, _second(x))
        identity = _through(self.identity, identity)
        return _through(self.post, _end(norm, y, self.standard, identity, activated=self.activated))


class FusedPreActUnit(PreActUnit):
    """A pre-activation unit: BN and ReLU are one, and so are the block and the sum where the block reads the channels' means alone."""

    def forward(self, x: Tensor) -> Tensor:
        """As ``PreActUnit.forward``."""
        if not self.training:
            return super().forward(x)
        if self.shortcut is None:
            identity, start = _second(x), _normalised(self.norm, _through(self.pre, x), relu=True)
        else:
            start = _normalised(self.norm, x, relu=True)
            identity, start = self.shortcut(start), _through(self.pre, start)
        y = self.branch(start, self.inside)
        return _through(self.post, _end(None, y, self.standard, _through(self.identity, identity), activated=False))


class FusedStem(Stem):
    """A stem whose BN and ReLU are one."""

    def forward(self, x: Tensor) -> Tensor:
        """As ``Stem.forward``."""
        if not self.training:
            return super().forward(x)
        conv, norm = _parts(self)
        x = _normalised(norm, conv(x), relu=True)
        return max_pool2d(x, 3, 2, padding=1) if self.pool else x


_FORMS: dict[type[nn.Module], type[nn.Module]] = {Branch: FusedBranch, Unit: FusedUnit, PreActUnit: FusedPreActUnit, Stem: FusedStem}
