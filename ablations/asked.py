"""What a parsed command line asks for, as the things that the commands work with: data, recipe, seeds, suites, studies, machine."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ablations.presets import preset
from ablations.suite import SUITES
from senet_core.config import canonical
from senet_core.errors import InputError
from senet_core.seeds import Seed, normal_seed

if TYPE_CHECKING:
    from ablations.planning import DataSource, Order
    from ablations.store import Store
    from ablations.study import Study
    from senet_core.training.execution import Machine


def source(options: argparse.Namespace) -> DataSource:
    """Where the data sets' files lie."""
    from ablations.planning import DataSource

    return DataSource(options.data_root, options.workspace / "cache")


def studies(options: argparse.Namespace, store: Store, data: DataSource) -> list[Study]:
    """The studies that the suites are at this preset, resolved, each extending the stored one where there is one."""
    from ablations.extension import settled
    from ablations.plans import planned

    asked, found = order(options), []
    for name in suites(options):

        def plan(wanted: Sequence[Seed], suite: str = name) -> Study:
            return planned(suite, replace(asked, seeds=wanted), data)

        found.append(settled(store, plan, asked.seeds))
    return found


def order(options: argparse.Namespace) -> Order:
    """Preset, overridden recipe fields and seeds.

    :raises InputError: for an unknown preset, or a data set that is named in two ways.
    """
    from ablations.planning import Order

    overrides = dict(options.recipe)
    if options.dataset:
        if "data.name" in overrides:
            raise InputError("--dataset and --data.name say the same; give one of them.")
        overrides["data.name"] = options.dataset
    return Order(preset(options.preset), overrides, _seeds(options))


def seed_texts(options: argparse.Namespace) -> list[str]:
    """The seeds as studies name them."""
    return [canonical(normal_seed(seed)) for seed in _seeds(options)]


def suites(options: argparse.Namespace) -> list[str]:
    """The names of the suites, each once.

    :raises InputError: if there is none, or one is unknown.
    """
    names = SUITES.names() if options.all else list(dict.fromkeys(options.suites))
    if not names:
        raise InputError(f"Name one or more suites, or give --all. Known: {', '.join(SUITES.names())}.")
    for name in names:
        SUITES[name]
    return names


def machine(options: argparse.Namespace) -> Machine:
    """The device and how it is used.

    :raises InputError: for a device that is not there.
    """
    from senet_core.training.execution import Machine, choose, pick_device

    return Machine(pick_device(options.device), choose(options.threads))


def _seeds(options: argparse.Namespace) -> list[int]:
    if options.seed_list is not None:
        return list(options.seed_list)
    return list(range(options.seeds if options.seeds is not None else 3))
