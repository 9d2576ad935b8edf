"""Blocks of a user's own file held against the contract of a block, and seen in a network, before anything trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ablations.planning import DataSource, base_config
from ablations.presets import preset
from senet_core.errors import InputError
from senet_core.registry import BLOCKS

if TYPE_CHECKING:
    from ablations.planning import Order


@dataclass(frozen=True)
class Checked:
    """A block, the promises that it breaks, and for a sound one what else is to be known of it."""

    name: str
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()


def faults(name: str, arguments: Mapping[str, Any]) -> list[str]:
    """The promises that a block breaks with these arguments.

    :raises InputError: for arguments that it does not take, or lacks.
    """
    from senet_core.contract import broken, maker

    return broken(maker(name, arguments))


def checked(name: str, arguments: Mapping[str, Any]) -> Checked:
    """Hold one block against the contract; a sound one is also put into the `smoke` network in place of SE.

    :raises InputError: for arguments that it does not take, or lacks.
    """
    from senet_core.contract import advice, maker

    found = faults(name, arguments)
    told = [] if found else [*_no_options(name), *advice(maker(name, arguments))]
    notes = [] if found else [*(f"advice: {sentence}" for sentence in told), *_notes(name, arguments)]
    return Checked(name, tuple(found), tuple(notes))


def _no_options(name: str) -> list[str]:
    """What looks like an option of a block and is none."""
    from senet_core.contract import places_of

    return [
        f"arguments: '{other}' is no option, as it stands before the *: no recipe and no suite can set it"
        for other in places_of(BLOCKS[name].value)[2:]
    ]


def _notes(name: str, arguments: Mapping[str, Any]) -> list[str]:
    from ablations.planning import Order
    from senet_core.cost import cost
    from senet_core.resolve import resolve
    from senet_core.start import start

    source, order = DataSource(None, None), Order(preset("smoke"), {})
    base = base_config(order)
    _, facts = source.opened(base)
    own = resolve(base.but({"net.block": {"name": name, **arguments}}), facts)
    plain = resolve(base.but({"net.block": None}), facts)
    prices, starts = [cost(config, facts) for config in (own, plain)], [start(config, facts) for config in (own, plain)]
    ratio = starts[0].stem_gradient / starts[1].stem_gradient
    told = [
        f"in the network of the preset smoke it adds {prices[0].parameters - prices[1].parameters:,} parameters and "
        f"{prices[0].macs - prices[1].macs:,} multiply-adds",
        f"when training starts the gradient at the stem is {ratio:.2g} times that without it"
        + (": a comparison would measure this scale too" if not 0.1 < ratio < 10 else ""),
    ]
    if starts[0].dead_gates is not None:
        told.append(f"{100 * starts[0].dead_gates:.0f} % of its gates are dead when training starts")
    return told


def refuse_broken(source: str, order: Order) -> None:
    """Hold the blocks of a loaded file against the contract before a plan is made; one that needs arguments only where the recipe has them.

    :raises InputError: for the first promise that is broken, by name.
    """
    block = base_config(order).net.block
    for name in BLOCKS.loaded(source):
        arguments = block.arguments if block is not None and block.name == name else None
        try:
            found = faults(name, arguments or {})
        except InputError:
            if arguments is not None:
                raise
            continue  # what it needs is given by a suite of the same file
        if found:
            raise InputError(
                f"The block '{name}' breaks the contract of a block: {found[0]}. `ablate check FILE.py` names all that it breaks."
            )
