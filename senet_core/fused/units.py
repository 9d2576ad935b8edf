"""Units, branches and stems of the residual families in their fused form: the same modules, weights and paths, another forward pass.

Only training is fused, and only what is known here: a derived class, a BN of another kind or frozen, a module with hooks and a block that
is no ``ChannelGate`` run as they are written in ``senet_core.units``. What comes out of a fused unit has two gradients until the unit's
own backward pass, so a hook that is put on that tensor later than the next unit's forward pass sees one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from senet_core.blocks.se import SE
from senet_core.fused.functions import joined, normalised, scaled
from senet_core.gating import ChannelGate
from senet_core.layers import ConvNorm
from senet_core.networks.preact_resnet import PreActUnit
from senet_core.units import Branch, Stem, Unit, through

LEAST = 2**18
"""Values of a map below which PyTorch's operators are faster, where no gate is among what is fused."""


def fuse(network: nn.Module) -> nn.Module:
    """The network with its units in their fused form."""
    for module in network.modules():
        module.__class__ = _FORMS.get(type(module), module.__class__)
    return network


# -- What is known


def fits(y: Tensor) -> bool:
    """Whether the passes can take a tensor."""
    return y.device.type == "cpu" and y.dtype in (torch.bfloat16, torch.float32) and len(y) * y.shape[2] * y.shape[3] > 1


def pays(y: Tensor) -> bool:
    """Whether there is enough of a tensor for the passes to win back the time that it takes to call them."""
    return fits(y) and y.numel() >= LEAST


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks)


def _usual(norm: nn.Module) -> bool:
    """Whether it is a BN that normalises by its batch, with weights in fp32 and running statistics, and nobody watches."""
    if type(norm) is not nn.BatchNorm2d or not norm.training or _hooked(norm):
        return False
    return norm.affine and norm.track_running_stats and norm.momentum is not None and norm.weight.dtype == torch.float32


def _parts(module: nn.Module) -> tuple[nn.Module, nn.BatchNorm2d] | None:
    """A convolution and its BN."""
    if type(module) not in (ConvNorm, FusedStem) or _hooked(module):
        return None
    conv, *others = module.children()
    return (conv, norm) if len(others) == 1 and isinstance(norm := others[0], nn.BatchNorm2d) and _usual(norm) else None


def _gate(block: nn.Module | None) -> Callable[[Tensor], Tensor] | None:
    """What a block makes of its channels' means, if that is all it does, which a class of the user's own may have changed."""
    if not isinstance(block, ChannelGate) or not block.reads_means or _hooked(block):
        return None
    own = type(block)
    return block.excite if own.forward is ChannelGate.forward and own._s in (ChannelGate._s, SE._s) else None


# -- What is made of it


def _normalised(norm: nn.Module, y: Tensor, activation: nn.Module | None) -> Tensor:
    """BN, and the ReLU behind it."""
    if pays(y) and isinstance(norm, nn.BatchNorm2d) and _usual(norm) and (activation is None or not _hooked(activation)):
        return normalised(norm, y, relu=activation is not None)
    return through(activation, norm(y))


def _run(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Layers one after the other, BN with the ReLU behind it in one."""
    index = 0
    while index < len(layers):
        layer, parts = layers[index], _parts(layers[index])
        behind = layers[index + 1] if index + 1 < len(layers) and type(layers[index + 1]) is nn.ReLU else None
        if parts is not None:
            x = _normalised(parts[1], parts[0](x), behind)
        elif type(layer) is nn.BatchNorm2d:
            x = _normalised(layer, x, behind)
        else:
            x, behind = layer(x), None
        index += 1 if behind is None else 2
    return x


def _branch(layers: list[nn.Module], cut: int, x: Tensor, inside: nn.Module | None) -> Tensor:
    if inside is None:
        return _run(layers, x)
    return _run(layers[cut:], _through(inside, _run(layers[:cut], x)))


def _through(block: nn.Module | None, x: Tensor) -> Tensor:
    gate = _gate(block)
    return scaled(x, gate) if gate is not None and fits(x) else through(block, x)


def _end(norm: nn.BatchNorm2d | None, y: Tensor, block: nn.Module | None, identity: Tensor, *, activated: bool) -> Tensor:
    """A unit's sum: identity + block(BN(y)), or ReLU of it."""
    gate = _gate(block)
    worth = fits(y) if gate is not None else block is None and norm is not None and pays(y)
    if worth and identity.dtype == y.dtype and identity.shape == y.shape:
        return _with_second(*joined(norm, y, gate, identity, relu=activated))
    total = identity + through(block, y if norm is None else _normalised(norm, y, None))
    return relu(total) if activated else total


def _with_second(x: Tensor, second: Tensor) -> Tensor:
    """A map that leaves a unit, with itself for a second reader (``functions.Joined``)."""
    x._second = second  # type: ignore[attr-defined]
    return x


def _second(x: Tensor) -> Tensor:
    """A map as the second of its readers takes it; itself, where it has become another one since, or somebody wants its whole gradient."""
    second: Tensor = getattr(x, "_second", x)
    same = second.grad_fn is x.grad_fn and not x._backward_hooks and not x.retains_grad
    return second if same else x


# -- The forms


class FusedBranch(Branch):
    """A branch whose BN and ReLU are one."""

    def forward(self, x: Tensor, inside: nn.Module | None = None) -> Tensor:
        """As ``Branch.forward``."""
        return _branch(list(self), self.cut, x, inside) if self.training else super().forward(x, inside)


class FusedUnit(Unit):
    """A post-activation unit: its last BN, its block, the sum and ReLU are one where the block reads the channels' means alone."""

    def forward(self, x: Tensor) -> Tensor:
        """As ``Unit.forward``."""
        branch = self.branch
        if not self.training or type(branch) is not FusedBranch or branch.cut >= len(branch) or _hooked(branch):
            return super().forward(x)
        *layers, last = branch
        parts = _parts(last)
        if parts is None:
            return super().forward(x)
        y = parts[0](_branch(layers, branch.cut, _through(self.pre, x), self.inside))
        shortcut = [] if self.shortcut is None else [self.shortcut]
        identity = _through(self.identity, _run(shortcut, _second(x)))
        return _through(self.post, _end(parts[1], y, self.standard, identity, activated=self.activated))


class FusedPreActUnit(PreActUnit):
    """A pre-activation unit: BN and ReLU are one, and so are the block and the sum where the block reads the channels' means alone."""

    def forward(self, x: Tensor) -> Tensor:
        """As ``PreActUnit.forward``."""
        if not self.training or not _usual(self.norm):
            return super().forward(x)
        if self.shortcut is None:
            identity, start = _second(x), self._activated(_through(self.pre, x))
        else:
            start = self._activated(x)
            identity, start = self.shortcut(start), _through(self.pre, start)
        y = self.branch(start, self.inside)
        return _through(self.post, _end(None, y, self.standard, _through(self.identity, identity), activated=False))

    def _activated(self, x: Tensor) -> Tensor:
        return normalised(self.norm, x, relu=True) if pays(x) else relu(self.norm(x))


class FusedStem(Stem):
    """A stem whose BN and ReLU are one."""

    def forward(self, x: Tensor) -> Tensor:
        """As ``Stem.forward``."""
        parts = _parts(self)
        if not self.training or parts is None:
            return super().forward(x)
        y = parts[0](x)
        x = normalised(parts[1], y, relu=True) if pays(y) else relu(parts[1](y))
        return max_pool2d(x, 3, 2, padding=1) if self.pool else x


_FORMS: dict[type[nn.Module], type[nn.Module]] = {Branch: FusedBranch, Unit: FusedUnit, PreActUnit: FusedPreActUnit, Stem: FusedStem}
