"""What a parsed command line asks for, as the things that the commands work with: data, recipe, seeds, suites, studies, machine."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ablations.own_loop import LOOPS, study_of
from ablations.plans import sources
from ablations.presets import preset
from ablations.suite import SUITES
from senet_core.errors import InputError, unknown
from senet_core.seeds import Seed

if TYPE_CHECKING:
    from ablations.execution.engines import Engine
    from ablations.extension import Plan
    from ablations.planning import DataSource, Order
    from ablations.search.search import Rules
    from ablations.seed_rules import Share, Wish
    from ablations.store import Store
    from ablations.study import Study
    from senet_core.training.execution import Machine, MemoryFormat


STORAGE = "ABLATE_SEARCH_STORAGE"
"""The environment variable that stands for --storage."""


def source(options: argparse.Namespace) -> DataSource:
    """Where the data sets' files lie."""
    from ablations.planning import DataSource

    return DataSource(options.data_root, options.workspace / "cache")


def shares(options: argparse.Namespace, store: Store, data: DataSource) -> list[Share]:
    """The studies that the suites are at this preset, resolved, each extending the stored one where there is one, and the seeds of each
    that the command is about."""
    from ablations.plans import planned
    from ablations.seed_rules import share

    asked, wanted, found = order(options), wish(options), []
    for name in suites(options):
        if name in LOOPS.names():
            found.append(_with_delta(share(wanted, store, _own_study(name, options)), LOOPS[name].value.delta))
            continue

        def plan(seeds: Sequence[Seed], suite: str = name) -> Study:
            return planned(suite, replace(asked, seeds=seeds), data)

        found.append(share(wanted, store, plan))
    return found


def _with_delta(one: Share, stated: float) -> Share:
    """A word where δ was stated otherwise before training: that one holds."""
    if one.study.delta == stated:
        return one
    said = f"{one.study.name}: δ stays ±{one.study.delta:g}, as it was declared before training; the file says {stated:g} now."
    return replace(one, said=(*one.said, said))


def _own_study(name: str, options: argparse.Namespace) -> Plan:
    """What plans the study of a user's own training loop, whose settings say all.

    :raises InputError: for options that are for our own training.
    """
    given = [f"--{path}" for path in options.recipe] + [f"--{one}" for one in ("dataset", "block") if getattr(options, one, None)]
    given += ["--vary"] if _stream(options) else []
    if given:
        raise InputError(f"'{name}' is a training loop of your own, which reads no {given[0]}; its settings are in its file.")
    return partial(study_of, LOOPS[name].value)


def wish(options: argparse.Namespace) -> Wish:
    """What the command line says of seeds.

    :raises InputError: for options that do not go together.
    """
    from ablations.seed_rules import Wish

    counted, listed = options.seeds is not None, options.seed_list is not None
    precise, added = options.until_half_width is not None, options.add_seeds is not None
    if options.only_open != added:
        raise InputError("--only-open and --add-seeds go together: --only-open --add-seeds 5 adds five seeds to only what is still open.")
    if added and (counted or listed or precise):
        raise InputError("--add-seeds chooses the new seeds itself; leave --seeds, --seed-list and --until-half-width out.")
    if precise and counted:
        raise InputError("--until-half-width finds the number of seeds, so --seeds cannot give it; --max-seeds bounds it.")
    if not precise and (options.first_seeds is not None or options.max_seeds is not None):
        raise InputError("--first-seeds and --max-seeds are for --until-half-width; give that, or --seeds.")
    if options.looks is not None and (precise or added):
        raise InputError(
            "--looks declares looks before training, together with --seeds; it goes neither with --until-half-width nor --only-open."
        )
    return Wish(
        numbers=options.seed_list if listed else range(options.seeds) if counted else None,
        looks=options.looks,
        half_width=options.until_half_width,
        first=options.first_seeds,
        most=options.max_seeds,
        added=options.add_seeds,
        vary=_stream(options),
    )


def rules(options: argparse.Namespace) -> Rules:
    """By what rule designs are searched, and how the best are confirmed.

    :raises InputError: for a database that several machines cannot share, a password where a cluster would be told it, or the search's own
        seed in its confirmation.
    """
    from ablations.search.ledger import refuse_unsafe
    from ablations.search.search import Rules

    storage = options.storage or os.environ.get(STORAGE)
    if storage is not None:
        refuse_unsafe(storage)
        _refuse_password(options, "--storage", STORAGE)
    return Rules(
        budget=options.budget,
        batch=options.batch,
        sampler=options.sampler,
        seed=options.seed,
        rungs=not options.no_rungs,
        name=options.name,
        storage=storage,
        take_over=options.take_over,
        confirm=options.confirm,
        seeds=tuple(fresh_seeds(options)),
    )


def fresh_seeds(options: argparse.Namespace) -> list[int]:
    """The seeds that confirm a search: those that are named, else from 1 on, for 0 is the search's own.

    :raises InputError: for that one.
    """
    from ablations.search.confirm import refuse_own_seed

    numbers = list(options.seed_list or range(1, (options.seeds or 3) + 1))
    refuse_own_seed(numbers)
    return numbers


def order(options: argparse.Namespace) -> Order:
    """Preset, overridden recipe fields and the random stream that seeds move; the seeds themselves are not known yet.

    :raises InputError: for an unknown preset, or a data set that is named in two ways.
    """
    from ablations.planning import Order

    overrides = dict(options.recipe)
    if options.dataset:
        if "data.name" in overrides:
            raise InputError("--dataset and --data.name say the same; give one of them.")
        overrides["data.name"] = options.dataset
    if getattr(options, "block", None):
        if "net.block" in overrides:
            raise InputError("--block and --net.block say the same; give one of them.")
        overrides = {"net.block": options.block, **overrides}  # first, so that its own options are not set for another one
    return Order(preset(options.preset), overrides, vary=_stream(options))


def suites(options: argparse.Namespace) -> list[str]:
    """The names of the suites, each once.

    :raises InputError: if there is none, or one is unknown.
    """
    names = SUITES.names() if options.all else list(dict.fromkeys(options.suites))
    if not names:
        raise InputError(f"Name one or more suites, or give --all. Known: {', '.join(SUITES.names())}.")
    for name in names:
        if name not in LOOPS.names():
            if LOOPS.names() and name not in SUITES.names():
                raise unknown("suite or training loop", name, [*SUITES.names(), *LOOPS.names()])
            SUITES[name]
    return names


def refuse_auto(options: argparse.Namespace) -> None:
    """What ``--workers auto`` does not go with.

    :raises InputError: for another option that says the same, a device or a training that is not tried, or where Ray is not installed.
    """
    if getattr(options, "workers", None) != "auto":
        return
    for name in ("threads", "address", "gpu_share"):
        if getattr(options, name, None) is not None:
            raise InputError(
                f"--workers auto is for the cores of this machine, and finds the threads: leave --{name.replace('_', '-')} out."
            )
    from ablations.execution.ray_engine import need_ray
    from senet_core.training.execution import pick_device

    need_ray()
    if pick_device(options.device).type != "cpu":
        raise InputError("--workers auto tries CPU cores; on a GPU, say how many trials share it, or give --device cpu.")
    if own := [name for name in getattr(options, "suites", ()) if name in LOOPS.names()]:
        raise InputError(f"--workers auto cannot try '{own[0]}', a training loop of your own; say how many at a time.")


def arrange(options: argparse.Namespace, data: DataSource, say: Callable[[str], None]) -> None:
    """Settle ``--workers auto``, where it is asked for and not settled yet, by trying the preset's own network: how many trials at a time,
    their threads and their memory format.

    :raises InputError: where the network's steps cannot be made.
    """
    if options.workers != "auto":
        return
    from ablations.planning import base_config
    from senet_core.resolve import resolve
    from senet_core.training.arrangement import tried

    say("Trying how many trials at a time are fastest …")
    config = base_config(order(options))
    _, facts = data.opened(config)
    found = tried(resolve(config, facts), facts, getattr(options, "load", None))
    execution, trials = found.best.execution, found.best.trials
    options.threads, options.memory_format = execution.threads, execution.memory_format
    options.workers = trials if trials > 1 else None
    say(str(found))


def machine(options: argparse.Namespace) -> Machine:
    """The device and how it is used by one trial.

    :raises InputError: for a device that is not there.
    """
    from senet_core.training.execution import Machine, choose, pick_device

    device = pick_device(options.device)
    return Machine(device, choose(_threads(options), _memory_format(options), device))


def engine(options: argparse.Namespace, store: Store, data: DataSource) -> Engine:
    """Where the trials are computed: in this process, or by Ray where workers or a cluster are asked for.

    :raises InputError: for a device or a cluster that is not there, where Ray is not installed, or for options that do not go together.
    """
    if options.workers is None and options.address is None:
        if options.gpu_share is not None:
            raise InputError("--gpu-share is for --workers or --address; one trial at a time has the GPU to itself.")
        from ablations.execution.engines import Inline

        return Inline(store, data, machine(options))
    from ablations.execution.ray_engine import RayEngine, Workers

    if options.device.startswith("cuda:"):
        raise InputError(f"--device {options.device} does not go with --workers or --address: Ray chooses the GPU; give --device cuda.")
    _refuse_password(options, "--tracking-uri", "MLFLOW_TRACKING_URI")
    if options.address is None:
        machine(options)  # what is wrong with the device shows before Ray is started
    threads = (_threads(options) if options.address is None else None) or options.threads or 1
    workers = Workers(
        number=options.workers,
        address=options.address,
        threads=threads,
        device=options.device,
        gpu_share=options.gpu_share,
        load=getattr(options, "load", None),
        memory_format=_memory_format(options),
    )
    return RayEngine(store, data, workers)


def _refuse_password(options: argparse.Namespace, option: str, variable: str) -> None:
    """:raises InputError: where an address with a password stands on a command line that a cluster is told."""
    from ablations.tracking.place import public_uri

    given = getattr(options, option.removeprefix("--").replace("-", "_"))
    if options.address is not None and given is not None and public_uri(given) != given:
        raise InputError(f"Ray tells a cluster the command line, and {option} may have a password in it; set {variable} instead.")


def uri(options: argparse.Namespace) -> str:
    """The MLflow server or database that the runs are mirrored to."""
    from ablations.tracking.place import tracking_uri

    return tracking_uri(options.workspace, options.tracking_uri)


def mirrored(options: argparse.Namespace) -> str:
    """What is remembered of a mirror: where it is, by what code it was made, and whether it has the models."""
    models = " with models" if getattr(options, "model", False) else ""
    return f"{uri(options)} by {sources('ablations')}{models}"


def _threads(options: argparse.Namespace) -> int | None:
    """The threads of a trial: those that were asked for, else its share of the cores (None for all of them)."""
    workers: int | None = getattr(options, "workers", None)
    if options.threads is not None or workers is None:
        threads: int | None = options.threads
        return threads
    return max(1, len(os.sched_getaffinity(0)) // workers)


def _memory_format(options: argparse.Namespace) -> MemoryFormat:
    """What ``arrange`` found; else channels last."""
    found: MemoryFormat = getattr(options, "memory_format", "channels_last")
    return found


def _stream(options: argparse.Namespace) -> str | None:
    """The one stream that seeds move; None for all of them, and for commands that know no seeds."""
    stream: str | None = getattr(options, "vary", None)
    return None if stream == "all" else stream
