"""Which network `ablate describe` means: a variant of a suite as it would be trained, or a network alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ablations.planning import DataSource, Order, base_config, refuse_lost_overrides
from ablations.suite import SUITES, Setting, made
from senet_core.errors import InputError

if TYPE_CHECKING:
    from senet_core.config import Config
    from senet_core.dataset import Facts

CLASSES = 1000
"""Without a data set, as many classes as ImageNet's."""


def chosen(suite: str | None, variant: str | None, order: Order, source: DataSource, size: int | None) -> tuple[Config, Facts]:
    """A variant's recipe, resolved, and the facts of its data; without a suite, the preset's recipe with the overrides.

    ``size`` takes colour images of that many pixels and 1000 classes in place of the data, which then need not be there.

    :raises InputError: for an unknown suite or variant, with the nearest name, or a recipe that cannot be.
    """
    from senet_core.dataset import Facts
    from senet_core.registry import BLOCKS, NETWORKS
    from senet_core.resolve import resolve, stage_count

    net = base_config(order).net
    NETWORKS[net.name]  # a wrong name is told before the data are asked for
    if net.block is not None:
        BLOCKS[net.block.name]
    if suite is not None:
        SUITES[suite]
    if size is None:
        facts = source.opened(base_config(order))[1]
    else:
        facts = Facts(f"{size}x{size} images", tuple(map(str, range(CLASSES))), size, 3, train=10**6, test=10**6, augment=())
    base = resolve(base_config(order), facts)
    if suite is None:
        return base, facts
    whole = made(suite, Setting(base=base, stages=stage_count(base.net), preset=order.preset.name))
    if variant is None:
        raise InputError(f"Name a variant of the suite '{suite}', too. It has: {', '.join(repr(v.name) for v in whole.variants)}.")
    refuse_lost_overrides(whole, order, facts)
    return resolve(whole.variant(variant).config, facts), facts
