"""What a throughput run prints: one section a network and the goals, from raw seconds; as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.step_time import FACTS
from benchmarks.throughput_arms import ARMS, Arm, OwnTime, Start
from benchmarks.throughput_limits import COMPILED, EAGER, PASSES, SIDE, VALUES, Peaks, Traffic, Work
from senet_core.training.batches import EVALUATION_BATCH
from senet_core.training.kernels import Kernels

Array = NDArray[np.float64]

PLAIN = tuple(arm.name for arm in ARMS.values() if arm.loop == "plain")
TIMM = tuple(arm.name for arm in ARMS.values() if arm.loop == "timm")


class NotMeasured(Exception):
    """Says why a figure is not there."""


@dataclass(frozen=True)
class Spread:
    """The median of a figure over the rounds, and its quartiles."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float] | Array) -> Spread:
        """Of one value a round."""
        low, middle, high = np.quantile(np.asarray(list(values)), (0.25, 0.5, 0.75))
        return cls(float(low), float(middle), float(high))

    def text(self, scale: float = 1, digits: int = 0) -> str:
        """The median and in brackets the quartiles, each times ``scale``."""
        low, middle, high = (f"{value * scale:,.{digits}f}" for value in (self.low, self.middle, self.high))
        return f"{middle} [{low}, {high}]"


@dataclass
class Measured:
    """One arm on one network: how its process with SE started; then one value a round, seconds of a step with SE and without, and seconds
    that the loader alone takes for a batch; and the most bytes that the process with SE has had in memory."""

    start: Start
    steps: list[float] = field(default_factory=list)
    plain_steps: list[float] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    memory: int = 0


@dataclass
class Network:
    """All arms on one network: its work with SE and without, who was left out and why, the peaks in each round, and whole fits of ours.

    A turn has so many timed steps after so many others; ``epochs`` is how long the recipe trains.
    """

    name: str
    title: str
    batch: int
    epochs: int
    turn: tuple[int, int]
    fit_steps: int
    work: Work
    plain_work: Work
    arms: dict[str, Measured] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    peaks: list[Peaks] = field(default_factory=list)
    fits: list[OwnTime] = field(default_factory=list)

    def arm(self, name: str) -> Measured:
        """What was measured of an arm.

        :raises NotMeasured: if nothing was.
        """
        if name not in self.arms:
            raise NotMeasured(f"{name} was left out: {self.left_out[name]}" if name in self.left_out else f"{name} was not asked for")
        return self.arms[name]

    def seconds(self, name: str) -> Array:
        """Of a step with SE, in each round."""
        return np.array(self.arm(name).steps)

    def plain_seconds(self, name: str) -> Array:
        """Of a step without SE, in each round."""
        return np.array(self.arm(name).plain_steps)

    def se_share(self, name: str) -> Array:
        """Of a step: 1 - seconds without SE / seconds with it, in each round."""
        return 1 - self.plain_seconds(name) / self.seconds(name)

    def loader_share(self, name: str) -> Array:
        """Of a step: seconds that the loader alone takes for a batch, in each round."""
        return np.array(self.arm(name).loads) / self.seconds(name)

    def product_share(self, name: str, precision: str) -> Array:
        """Of the matrix-product peak in "fp32" or "bf16", measured in the same round."""
        peaks: Array = np.array([getattr(one, precision) for one in self.peaks])
        return self.work.flops * self.batch / self.seconds(name) / peaks

    def bandwidth_share(self, name: str) -> Array:
        """Of the memory bandwidth measured in the same round: the passes counted of the arm's operators, in values of its precision."""
        traffic, width = traffic_of(ARMS[name])
        bandwidth: Array = np.array([one.bandwidth for one in self.peaks])
        return traffic.bytes(self.work, width) * self.batch / self.seconds(name) / bandwidth

    def trial_seconds(self, name: str) -> Array:
        """Of all training steps of one trial, by each round's step: derived. The first step ends when ``Start.first_step`` says."""
        steps = self.epochs * (FACTS.train // self.batch)
        return self.arm(name).start.first_step + (steps - 1) * self.seconds(name)

    def own_share(self) -> Array:
        """Of a trial of the recipe's epochs on all images, in each fit: derived."""
        longer, more = FACTS.train // self.batch / self.fit_steps, FACTS.test / EVALUATION_BATCH
        return np.array([fit.share(self.epochs, longer, more) for fit in self.fits])

    def faster(self, rivals: Sequence[str], seconds: Callable[[Network, str], Array]) -> tuple[Array, str]:
        """How many times as fast ours is as the rival of the least median, in each round, and that rival's name.

        :raises NotMeasured: without ours or without any rival.
        """
        ours, present = seconds(self, "ours"), [name for name in rivals if name in self.arms]
        if not present:
            raise NotMeasured(f"none of {', '.join(rivals)} was measured")
        best = min(present, key=lambda name: float(np.median(seconds(self, name))))
        missing = [name for name in rivals if name in self.left_out]
        return seconds(self, best) / ours, "; ".join([best, *(f"{name} was left out" for name in missing)])


def traffic_of(arm: Arm) -> tuple[Traffic, int]:
    """How the arm's traffic is counted, and the bytes of a value."""
    kind = COMPILED if arm.compiled else PASSES if arm.loop == "ours" and arm.fused else EAGER
    return kind, 2 if arm.precision == "bf16" else 4


# -- Goals


@dataclass(frozen=True)
class Goal:
    """A figure that is wanted, and what was found, whose median decides; ``found`` is the reason where nothing was."""

    text: str
    bound: float
    found: Spread | str
    at_least: bool = False
    percent: bool = True

    @property
    def holds(self) -> bool | None:
        """Whether the bound is kept; None where nothing was measured."""
        if isinstance(self.found, str):
            return None
        return self.found.middle >= self.bound if self.at_least else self.found.middle <= self.bound

    def __str__(self) -> str:
        bound = f"{100 * self.bound:g} %" if self.percent else f"{self.bound:g} times"
        wanted = f"{self.text} (at {'least' if self.at_least else 'most'} {bound})"
        if isinstance(self.found, str):
            return f"not measured: {wanted}: {self.found}"
        figure = f"{self.found.text(100, 1)} %" if self.percent else self.found.text(digits=2)
        return f"{'holds' if self.holds else 'does not hold'}: {wanted}: {figure}"


def goals(networks: Sequence[Network], kernels: Kernels) -> list[Goal]:
    """All goals on those networks."""
    by_name = {network.name: network for network in networks}

    def goal(
        name: str,
        words: str,
        bound: float,
        figure: Callable[[Network], tuple[Array, str]],
        *,
        at_least: bool = False,
        percent: bool = True,
    ) -> Goal:
        text = f"{name}: {words}"
        try:
            if name not in by_name:
                raise NotMeasured("the network was not asked for")
            values, note = figure(by_name[name])
        except NotMeasured as reason:
            return Goal(text, bound, str(reason), at_least, percent)
        return Goal(f"{text} ({note})" if note else text, bound, Spread.of(values), at_least, percent)

    def faster(name: str, words: str, bound: float, rivals: Sequence[str], seconds: Callable[[Network, str], Array]) -> Goal:
        return goal(name, words, bound, lambda network: network.faster(rivals, seconds), at_least=True, percent=False)

    limit = "bf16" if kernels == "native" else "fp32"
    why = "" if kernels == "native" else "which multiplies here, bf16 having no instructions"
    both = ("resnet20", "quick")
    derived = "a whole trial on a fresh machine, derived, against the best loop with timm's loader"
    return [
        *(faster(name, "against the plain loop at its better worker count", 2.5, PLAIN, Network.seconds) for name in both),
        faster("resnet20", "against the best loop with timm's loader", 1.5, TIMM, Network.seconds),
        *(goal(name, "SE's share of a step", 0.12, lambda network: (network.se_share("ours"), "")) for name in both),
        goal("quick", f"share of the {limit} product's peak", 0.5, lambda n: (n.product_share("ours", limit), why), at_least=True),
        *(goal(name, "loader and augmentation alone, of a step", 0.02, lambda n: (n.loader_share("ours"), "")) for name in both),
        *(goal(name, "the runner's own share of a trial", 0.03, _own_share) for name in both),
        faster("quick", derived, 1.2, TIMM, Network.trial_seconds),
    ]


def _own_share(network: Network) -> tuple[Array, str]:
    if not network.fits:
        network.arm("ours")
        raise NotMeasured("no fit was made")
    return network.own_share(), "derived from fits of one epoch"


def goals_section(found: Sequence[Goal]) -> str:
    """The goals as Markdown."""
    intro = "All are of ours, with SE, and the median decides. A trial's seconds are those to the end of the first step and one median"
    text = f"{intro} step's for each further one; its evaluation, which all arms would have, is left out."
    return "\n".join(["## Goals", "", text, "", *(f"- {goal}" for goal in found), ""])


# -- The page


@dataclass(frozen=True)
class Conditions:
    """Of a run: when, on what, by what, and how busy the machine was when it began (load averages of 1, 5 and 15 minutes)."""

    date: str
    processor: str
    cores: int
    threads: int
    kernels: Kernels
    load: tuple[float, float, float]
    versions: dict[str, str]
    batch: int
    rounds: int
    images: int


def heading(run: Conditions) -> str:
    """What was run where, and what the columns mean."""
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    busy = " / ".join(f"{value:.1f}" for value in run.load)
    kernels = {
        "native": "Ours multiplies bf16 by the processor's own instructions (`kernels` native).",
        "rounded": "This processor has no bf16 instructions: ours rounds to bf16 and multiplies by fp32 kernels (`kernels` rounded), so "
        "the fp32 product is its limit; other bf16 arms leave it to PyTorch, which emulates them, and run in fp32 as well.",
    }
    columns = (
        "*images/s*: of a training step with SE, from the loader to the update, and of the same network *without SE*. All arms train the "
        "same modules.",
        "*SE's share*: of the step, 1 - seconds without SE / seconds with it.",
        "*ours is*: how many times as fast ours is.",
        "*first step*: seconds from the start of the arm's process to the end of its first step, images made and code compiled with an "
        "empty cache; in brackets those until the libraries were imported. Measured once.",
        f"*product*: floating-point operations (6 for each multiply-add of a forward pass) a second, of those of the {SIDE} x {SIDE} "
        "matrix product by the same threads in the same round.",
        "*bandwidth*: bytes a second that the operators pass over, of those of the faster of a = b + 3c and a = b on arrays of "
        f"{4 * VALUES // 2**20} MiB in the same round. Counted for each value that an operator gives, forward and backward: convolution 5 "
        "passes, BN 8, ReLU 6, residual sum 6, SE block 13; compiled ReLU 1, sum 2, SE block 3; ours ReLU 0, sum 4, SE block 0. A value "
        "has 2 bytes in bf16, 4 in fp32. "
        "Weights, the optimiser, changes of format and rounding are left out, so the operators pass over no less; but what caches hold "
        "does not come from memory.",
        "*loader alone*: images/s with the network left out, augmented and normalised.",
        "*memory*: the most that the arm's process had; loader workers and compilers are other processes.",
    )
    lines = [
        "# Training throughput, side by side",
        "",
        f"Output of `python -m benchmarks.throughput`, {run.date}: {run.processor}, {run.cores} cores, {run.threads} threads, load average "
        f"{busy} at the start; {versions}. {kernels[run.kernels]}",
        "",
        f"Every arm lives in two processes of its own, with SE and without. The arms take turns, {run.rounds} rounds of them, and sleep in "
        f"between; loader workers end with each turn. Batch {run.batch}, {run.images:,} random images of CIFAR's shape in memory. Figures "
        "are medians over the rounds with their quartiles; ratios are taken within a round.",
        "",
        *(f"- {column}" for column in columns),
        "",
    ]
    return "\n".join(lines)


HEADER = (
    *("arm", "images/s", "without SE", "SE's share, %", "ours is", "first step, s", "of fp32 product, %", "of bf16 product, %"),
    *("of bandwidth, %", "loader alone, images/s", "memory, MiB"),
)


def section(network: Network, kernels: Kernels) -> str:
    """One network's table."""
    (steps, warm), work = network.turn, network.work
    passed = [f"{traffic.bytes(work, width) / 1e6:.1f}" for traffic, width in ((EAGER, 4), (EAGER, 2), (COMPILED, 2), (PASSES, 2))]
    rows = [_row(network, ARMS[name], kernels) for name in network.arms]
    lines = [
        f"## {network.title} (`{network.name}`)",
        "",
        f"An image's forward pass: {work.macs / 1e6:.2f} million multiply-adds, {network.plain_work.macs / 1e6:.2f} without SE. Its "
        f"training passes over {passed[0]} MB in fp32, {passed[1]} in bf16, {passed[2]} compiled in bf16, {passed[3]} by ours. A turn is "
        f"{steps} steps after {warm} untimed ones.",
        "",
        *_peaks(network.peaks),
        _line(HEADER),
        _line(["---"] + ["---:"] * (len(HEADER) - 1)),
        *(_line(row) for row in rows),
        "",
        *(f"- `{name}` is left out: {reason}" for name, reason in network.left_out.items()),
        *([""] if network.left_out else []),
        *_fits(network),
    ]
    return "\n".join(lines)


def _row(network: Network, arm: Arm, kernels: Kernels) -> list[str]:
    measured = network.arm(arm.name)
    fp32 = arm.precision == "fp32" or kernels == "rounded"
    against = "ours" in network.arms and arm.name != "ours"
    return [
        f"`{arm.name}`: {arm.title}",
        Spread.of(network.batch / network.seconds(arm.name)).text(),
        Spread.of(network.batch / network.plain_seconds(arm.name)).text(),
        Spread.of(network.se_share(arm.name)).text(100, 1),
        Spread.of(network.seconds(arm.name) / network.seconds("ours")).text(digits=2) if against else "",
        f"{measured.start.first_step:.1f} ({measured.start.imported:.1f})",
        Spread.of(network.product_share(arm.name, "fp32")).text(100, 1) if fp32 else "",
        Spread.of(network.product_share(arm.name, "bf16")).text(100, 1) if arm.precision == "bf16" else "",
        Spread.of(network.bandwidth_share(arm.name)).text(100, 1),
        Spread.of(network.batch / np.array(measured.loads)).text(),
        f"{measured.memory / 2**20:,.0f}",
    ]


def _peaks(peaks: Sequence[Peaks]) -> list[str]:
    if not peaks:
        return []

    def text(name: str) -> str:
        return Spread.of(getattr(one, name) for one in peaks).text(1e-9, 1)

    products = f"product {text('fp32')} GFLOP/s in fp32 and {text('bf16')} in bf16"
    return [f"Limits in the same rounds: {products}; a = b + 3c {text('triad')} GB/s, a = b {text('copy')}.", ""]


def _fits(network: Network) -> list[str]:
    if not network.fits:
        return []
    wall, steps, epochs, evaluation = (
        float(np.median([getattr(fit, name) for fit in network.fits])) for name in ("wall", "steps", "epochs", "evaluation")
    )
    short, whole = (Spread.of(values).text(100, 2) for values in ((fit.share() for fit in network.fits), network.own_share()))
    return [
        f"The runner's own share: {short} % of the wall clock, in {len(network.fits)} fits of one epoch of {network.fit_steps} steps and "
        f"{EVALUATION_BATCH} evaluation images ({wall:.2f} s: {steps:.2f} in steps, {evaluation:.2f} in evaluation, {epochs - steps:.2f} "
        f"in the epoch beside its steps, {wall - epochs - evaluation:.2f} before and after). It is all that is neither a step (fetch, "
        "forward, loss, backward, update) nor evaluation: network and padded images made, the epoch's draws, the reading of the sums, a "
        "checkpoint on disk, at the end the statistics of the gates and a copy of the weights. Most of that comes once a trial: of one of "
        f"{network.epochs} epochs of {FACTS.train // network.batch} steps and {FACTS.test:,} evaluation images it is {whole} %.",
        "",
    ]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
