"""How fast do we train, beside a plain loop and beside timm's? ``python -m benchmarks.throughput [--networks NAME ...] [--arms NAME ...]``.

Training steps of the same networks by the loops of ``benchmarks.throughput_arms``, with SE and without, each in a process of its own; the
processes take turns, so a machine that slows down slows all of them. Measured are images/s, SE's share of a step, the seconds to the first
step, the shares of the matrix-product peak and of the memory bandwidth, the loader alone, memory, and what a whole fit of ours spends
beside its steps; then the goals for these are judged. The page goes to standard output, progress to standard error. Run it while nothing
else runs. On two cores without bf16 instructions the two small networks take 40 minutes, and SE-WRN-16-8 with its emulated arms more than
an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.step_time import FACTS
from benchmarks.throughput_arms import ARMS, CPU, PREFETCHED, Arm, Case, Job, cases
from benchmarks.throughput_limits import Prober, work
from benchmarks.throughput_page import Conditions, Measured, Network, goals, goals_section, heading, section
from benchmarks.throughput_process import LeftOut, Remote
from senet_core.resolve import resolve
from senet_core.training.execution import choose, device_name
from senet_core.training.kernels import Kernels

PACKAGES = ("torch", "torchvision", "timm", "pillow", "numpy")
LOADED = 20
"""Batches that the loader alone makes in a turn."""
FITS = 2

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How each network is measured, with so many threads and training images."""

    arms: Sequence[Arm]
    rounds: int
    threads: int
    images: int
    loaded: int = LOADED


def usual_arms(kernels: Kernels) -> list[str]:
    """All arms; timm's in fp32 only where bf16 has no instructions, because there it is fp32 that its user would choose."""
    return [arm.name for arm in ARMS.values() if kernels == "rounded" or arm.loop != "timm" or arm.precision == "bf16"]


def measure(case: Case, plan: Plan, prober: Remote, tell: Tell) -> Network:
    """All arms on one network, in rounds; then their memory, and whole fits of ours."""
    network, pairs = _unmeasured(case, plan), dict[str, tuple[Remote, Remote]]()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        for arm in plan.arms:
            tell(f"{case.name}: {arm.name} starts")
            with _leaving_out(network, pairs, arm.name):
                with_se, without = (
                    stack.enter_context(Remote(Job(arm, config, plan.threads, plan.images, folder / f"{arm.name}{number}").start))
                    for number, config in enumerate((case.config, case.plain))
                )
                network.arms[arm.name] = Measured(with_se("start"))
                without("start")
                pairs[arm.name] = with_se, without
        for number in range(plan.rounds):
            tell(f"{case.name}: round {number + 1} of {plan.rounds}")
            network.peaks.append(prober("peaks"))
            for name, (with_se, without) in list(pairs.items()):
                with _leaving_out(network, pairs, name):
                    measured = network.arms[name]
                    measured.steps.append(with_se("turn", case.steps, case.warm))
                    measured.plain_steps.append(without("turn", case.steps, case.warm))
                    measured.loads.append(with_se("load", plan.loaded, PREFETCHED))
        for name, (with_se, _) in list(pairs.items()):
            with _leaving_out(network, pairs, name):
                network.arms[name].memory = with_se("memory")
                if name == "ours":
                    tell(f"{case.name}: whole fits")
                    network.fits += [with_se("fit", case.fit_steps) for _ in range(FITS)]
    return network


def _unmeasured(case: Case, plan: Plan) -> Network:
    facts = replace(FACTS, train=plan.images)
    counted, plain = (work(resolve(config, facts), facts) for config in (case.config, case.plain))
    train = case.config.train
    return Network(case.name, case.title, train.batch, train.epochs, (case.steps, case.warm), case.fit_steps, counted, plain)


@contextmanager
def _leaving_out(network: Network, pairs: dict[str, tuple[Remote, Remote]], name: str) -> Iterator[None]:
    """An arm that cannot go on is out of the whole network's figures, and the page says why."""
    try:
        yield
    except LeftOut as reason:
        network.left_out[name] = str(reason)
        network.arms.pop(name, None)
        pairs.pop(name, None)


def conditions(plan: Plan, batch: int) -> Conditions:
    """Of a run that begins now."""
    return Conditions(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        processor=device_name(CPU),
        cores=len(os.sched_getaffinity(0)),
        threads=plan.threads,
        kernels=choose().kernels,
        load=os.getloadavg(),
        versions={"Python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        batch=batch,
        rounds=plan.rounds,
        images=plan.images,
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print as it goes, and return 0: a goal that does not hold is a finding, no error."""
    run = choose()
    options = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description="Training steps of several loops, side by side.")
    options.add_argument("--networks", nargs="+", choices=list(cases(1)), default=list(cases(1)))
    options.add_argument("--arms", nargs="+", choices=list(ARMS), default=usual_arms(run.kernels))
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--steps", type=int, help="timed steps a turn; by the network, 2 to 16, unless given")
    options.add_argument("--threads", type=int, default=run.threads, help="all cores that this process may use, unless given")
    options.add_argument("--batch", type=int, default=128)
    options.add_argument("--images", type=int, default=FACTS.train, help="random training images, each process's own")
    options.add_argument("--out", type=Path, metavar="FILE.md", help="the page as printed")
    options.add_argument("--json", type=Path, metavar="FILE", help="the raw figures, written after each network")
    chosen = options.parse_args(words)
    if min(chosen.rounds, chosen.threads, chosen.batch, chosen.steps or 1) < 1:
        options.error("--rounds, --steps, --threads and --batch must be positive")
    every = {name: case if chosen.steps is None else replace(case, steps=chosen.steps) for name, case in cases(chosen.batch).items()}
    asked = [every[name] for name in dict.fromkeys(chosen.networks)]
    longest = chosen.batch * max(LOADED + PREFETCHED, *(case.steps + case.warm for case in asked))
    if chosen.images < longest:
        options.error(f"--images must be at least {longest}, which a turn takes")
    plan = Plan([ARMS[name] for name in dict.fromkeys(chosen.arms)], chosen.rounds, chosen.threads, chosen.images)
    here, networks, page = conditions(plan, chosen.batch), list[Network](), list[str]()

    def put(part: str) -> None:
        page.append(part)
        print(part, flush=True)
        if chosen.out:
            chosen.out.write_text("\n".join(page), encoding="utf-8")
        if chosen.json:
            raw = {"conditions": asdict(here), "networks": [asdict(network) for network in networks]}
            chosen.json.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")

    put(heading(here))
    with Remote(partial(Prober, chosen.threads)) as prober:
        for case in asked:
            networks.append(measure(case, plan, prober, lambda line: print(line, file=sys.stderr, flush=True)))
            put(section(networks[-1], here.kernels))
    put(goals_section(goals(networks, here.kernels)))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *told: sys.exit("terminated"))  # so that the processes are ended as well
    raise SystemExit(main())
