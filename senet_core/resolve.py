"""From a written config to the complete one: components' arguments checked and filled in, equals turned into one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from senet_core.augment import AUGMENTATIONS
from senet_core.config import Block, Component, Config, Data, Net
from senet_core.dataset import Facts
from senet_core.errors import InputError
from senet_core.own_files import mistakes
from senet_core.registry import BLOCKS, DATASETS, NETWORKS, Registry


def resolve(config: Config, facts: Facts) -> Config:
    """The normal form of a config on a data set: every argument stated, no "auto", one form for every recipe.

    :raises InputError: for an unknown name or argument, a placement or stage that the network lacks, or too large a hold-out.
    """
    net = _net(config.net)
    if config.data.holdout >= facts.train:
        raise InputError(
            f"data.holdout = {config.data.holdout} leaves nothing to train on: {facts.label} has {facts.train} training images."
        )
    if config.train.batch > facts.train - config.data.holdout:
        raise InputError(f"train.batch = {config.train.batch} is more than the {facts.train - config.data.holdout} training images.")
    return config.model_copy(update={"net": net, "data": _data(config.data, facts)})


def stage_count(net: Net) -> int:
    """How many stages a network has, its arguments completed by their defaults."""
    with mistakes(f"The network '{net.name}'", NETWORKS[net.name]):
        count: int = NETWORKS[net.name].value.stage_count(_bound(NETWORKS, net))
    return count


def _net(net: Net) -> Net:
    network = NETWORKS[net.name].value
    normal_form = getattr(network, "normal_form", dict)  # a network's own way to make equals one
    arguments = normal_form(_bound(NETWORKS, net))
    with mistakes(f"The network '{net.name}'", NETWORKS[net.name]):
        placements = network.placements
    if net.placement not in placements:
        reason = getattr(network, "why_not", {}).get(net.placement)
        lacking = f"The network '{net.name}' has no placement '{net.placement}'" + (f": {reason}" if reason else "")
        raise InputError(f"{lacking}; it has: {', '.join(placements)}.")
    block = None if net.block is None else Block(name=net.block.name, **_bound(BLOCKS, net.block))
    stages = _mask(net.stages, stage_count(net)) if block else "all"
    own: dict[str, Any] = {"block": block, "stages": stages, "by_stage": {}}
    if block is not None and net.by_stage:
        own |= _by_stage(block, net.by_stage, range(1, stage_count(net) + 1), stages)
    return Net.model_validate({"name": net.name, "placement": net.placement, **own, **arguments})


def _by_stage(block: Block, given: Mapping[str, Sequence[Any]], stages: Sequence[int], mask: Any) -> dict[str, Any]:
    """The block's arguments and those that differ by stage, in one form: what no stage reads is as in the first one that has a block, and
    what all of them have in common is no difference.

    :raises InputError: unless there is one value for each stage, of a kind that the block takes.
    """
    used = list(stages) if mask == "all" else list(mask)
    for name, values in given.items():
        if len(values) != len(stages):
            raise InputError(f"net.by_stage.{name} has {len(values)} values, and this network has {len(stages)} stages.")
    bound = {stage: _bound(BLOCKS, block, {name: values[stage - 1] for name, values in given.items()}) for stage in used}
    first = bound[used[0]]
    rows = {name: tuple(bound.get(stage, first)[name] for stage in stages) for name in given}
    whole = Block.model_validate({"name": block.name, **first})
    return {"block": whole, "by_stage": {name: values for name, values in sorted(rows.items()) if len(set(map(repr, values))) > 1}}


def _mask(stages: Any, count: int) -> Any:
    if stages == "all":
        return stages
    for stage in stages:
        if not 1 <= stage <= count:
            raise InputError(f"net.stages names stage {stage}, but this network has stages 1 to {count}.")
    return "all" if len(stages) == count else stages


def _data(data: Data, facts: Facts) -> Data:
    augment: Sequence[str] = facts.augment if data.augment == "auto" else data.augment
    for name in augment:
        AUGMENTATIONS[name]
    if len(set(augment)) < len(augment):
        raise InputError(f"data.augment names one augmentation twice: {', '.join(augment)}.")
    shift = data.shift if "crop" in augment else Data().shift
    own = {"name": data.name, "holdout": data.holdout, "augment": tuple(augment), "shift": shift}
    bound = _bound(DATASETS, data)
    for name in sorted(bound.keys() & own.keys()):
        raise InputError(f"The data set '{data.name}' has an argument '{name}', which is a field of every recipe; call it something else.")
    return Data.model_validate({**own, **bound})


def _bound(registry: Registry[Any], component: Component, also: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return registry[component.name].bind(registry.kind, {**component.arguments, **(also or {})})
