"""Our sizes and costs beside the published ones: the difference, whether they agree to the printed digits, and what explains it if not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from ablations.published_costs import REMARKS, Figure, Subject, figures
from senet_core.config import canonical

if TYPE_CHECKING:
    from senet_core.cost import Count

Counter = Callable[[Subject], "Count"]

LAYERS = "the layers (convolutions and matrix products)"
RESCALED = "the layers and one operation for each value that a block rescales"
SUMS = "the layers and one operation for each value of the sums of identity and branch"
BOTH = "the layers, the rescaled values and the sums"
TRAINED = "the trained parameters"
STATISTICS = "the trained parameters and BN's running means and variances"
BIASES = "the trained parameters, BN's running means and variances, and biases in the blocks' layers"
CUT = "the trained parameters, further digits cut off and not rounded"
NEAREST = "four bytes for each parameter and each of BN's statistics, to the nearest MiB"
UP = "four bytes for each parameter and each of BN's statistics, rounded up to a MiB as `ls -h` does"
OF_PRINTED = "with the printed totals, 3.87 / 3.86 − 1"
SHORT = {LAYERS: "layers", RESCALED: "with rescaled values", SUMS: "with sums", BOTH: "with both"}


@dataclass(frozen=True)
class Counting:
    """One way to count what a figure tells: in words, the value in the figure's unit, and how it is rounded."""

    words: str
    value: Decimal
    rounding: str = ROUND_HALF_UP

    def prints(self, figure: Figure) -> bool:
        """Whether the value has the figure's printed digits."""
        return self.value.quantize(figure.value, self.rounding) == figure.value


@dataclass(frozen=True)
class Comparison:
    """A published figure, and ours in its unit by each counting; the first is how this project counts everywhere."""

    figure: Figure
    countings: tuple[Counting, ...]

    @property
    def ours(self) -> Decimal:
        """Our number, exactly."""
        return self.countings[0].value

    @property
    def difference(self) -> Decimal:
        """Ours less the published number."""
        return self.ours - self.figure.value

    @property
    def agrees(self) -> bool:
        """Whether ours has the printed digits."""
        return self.countings[0].prints(self.figure)

    @property
    def explained(self) -> Counting | None:
        """The first counting with the printed digits; None where none has them."""
        return next((counting for counting in self.countings if counting.prints(self.figure)), None)

    @property
    def sentence(self) -> str:
        """Why ours differs, in numbers that a reader can check; empty where it agrees."""
        if self.agrees:
            return ""
        remark = REMARKS.get((self.figure.table, self.figure.row, self.figure.metric), "")
        if self.explained is not None:
            text = f"Counting {self.explained.words}: {self.text(self.explained.value)}, which prints as {self.figure.printed}."
        elif len(self.countings) > 1:
            half = Decimal(5).scaleb(int(self.figure.value.as_tuple().exponent) - 1)
            given = ", ".join(f"{SHORT[counting.words]} {self.text(counting.value)}" for counting in self.countings)
            text = f"No counting here lies between {self.figure.value - half} and {self.figure.value + half}: {given}."
        else:
            text = ""
        return f"{text} {remark}".strip()

    def text(self, value: Decimal) -> str:
        """A value with two digits more than are printed; whole numbers as they are."""
        if self.figure.metric in ("parameters", "added_parameters"):
            return f"{value:,.0f}"
        return f"{value:.{max(0, -int(self.figure.value.as_tuple().exponent)) + 2}f}"


@dataclass(frozen=True)
class Score:
    """How many of the figures of one kind a counting gives."""

    kind: str
    words: str
    reproduced: int
    of: int


def compare(counter: Counter | None = None) -> list[Comparison]:
    """All published figures beside ours; ``counter`` gives a network's cost and is asked once for each network."""
    known = _remembering(counter or count)
    return [Comparison(figure, tuple(_countings(figure, known))) for figure in figures()]


def scores(lines: Sequence[Comparison]) -> list[Score]:
    """For each kind of figure how many each counting gives, of those of the SE paper and its models alone."""
    kinds: Mapping[str, tuple[str, ...]] = {
        "multiply-adds": ("gflops", "mflops"),
        "parameters": ("params_m",),
        "sizes of files": ("model_size_mb",),
    }
    found = []
    for kind, metrics in kinds.items():
        own = [line for line in lines if line.figure.metric in metrics and not line.figure.small]
        for words in dict.fromkeys(counting.words for line in own for counting in line.countings):
            values = [(line.figure, counting) for line in own for counting in line.countings if counting.words == words]
            found.append(Score(kind, words, sum(counting.prints(figure) for figure, counting in values), len(own)))
    return [*found, *_steps(lines)]


def _steps(lines: Sequence[Comparison]) -> list[Score]:
    """How many printed steps from a network to its twin with SE each counting gives, two rounded numbers being one digit uncertain."""
    by_row = {(line.figure.table, line.figure.row): line for line in lines if line.figure.metric in ("gflops", "mflops")}
    pairs = [
        (by_row[table, row.removeprefix("SE-")], se) for (table, row), se in by_row.items() if table in ("T2", "T3") and row[:3] == "SE-"
    ]
    found = []
    for place, words in ((0, LAYERS), (1, RESCALED)):
        good = 0
        for plain, se in pairs:
            ours = se.countings[place].value - plain.countings[place].value
            unit = Decimal(1).scaleb(int(se.figure.value.as_tuple().exponent))
            good += abs(ours - (se.figure.value - plain.figure.value)) < unit
        found.append(Score("steps from a network to the one with SE", words, good, len(pairs)))
    return found


def count(subject: Subject) -> Count:
    """What a network costs, from its skeleton."""
    from senet_core.cost import Count
    from senet_core.dataset import Facts
    from senet_core.resolve import resolve

    names = tuple(map(str, range(subject.classes)))
    facts = Facts("images", names, subject.size, 3, train=10**6, test=10**6, augment=())
    return Count(resolve(subject.config, facts), facts)


def _remembering(counter: Counter) -> Counter:
    known: dict[str, Count] = {}

    def remembered(subject: Subject) -> Count:
        name = canonical([subject.config.net.model_dump(mode="json"), subject.size, subject.classes])
        if name not in known:
            known[name] = counter(subject)
        return known[name]

    return remembered


def _countings(figure: Figure, counter: Counter) -> list[Counting]:
    ours = counter(figure.subject)
    base = counter(figure.base) if figure.base else None
    if figure.metric in ("gflops", "mflops"):
        return _multiply_adds(ours, Decimal(10**9 if figure.metric == "gflops" else 10**6))
    if figure.metric == "params_m":
        return _parameters(figure, ours, counter)
    if figure.metric == "model_size_mb":
        size = Decimal(4 * (ours.parameters + ours.batch_norm_statistics)) / 2**20
        return [Counting(NEAREST, size), Counting(UP, size, ROUND_CEILING)]
    if base is None:
        return [Counting(TRAINED, Decimal(ours.parameters))]
    if figure.metric == "added_gflops_percent":
        plain, more = _multiply_adds(base, Decimal(1)), _multiply_adds(ours, Decimal(1))
        ratios = [Counting(m.words, 100 * (m.value / p.value - 1)) for p, m in zip(plain, more, strict=True)]
        return [*ratios, Counting(OF_PRINTED, 100 * (Decimal("3.87") / Decimal("3.86") - 1))]
    added = Decimal(ours.parameters - base.parameters)
    return [Counting(TRAINED, added if figure.metric == "added_parameters" else added / 10**6)]


def _multiply_adds(ours: Count, unit: Decimal) -> list[Counting]:
    work = ours.operations
    values = {
        LAYERS: work.macs,
        RESCALED: work.macs + work.multiplied,
        SUMS: work.macs + work.added,
        BOTH: work.macs + work.multiplied + work.added,
    }
    return [Counting(words, value / unit) for words, value in values.items()]


def _parameters(figure: Figure, ours: Count, counter: Counter) -> list[Counting]:
    """A block without biases is looked at with them too, as the authors' released models have them."""
    counted = [Counting(TRAINED, Decimal(ours.parameters) / 10**6)]
    if figure.small:
        return counted
    counted.append(Counting(STATISTICS, Decimal(ours.parameters + ours.batch_norm_statistics) / 10**6))
    block = figure.subject.config.net.block
    biased = ours if block is None else counter(figure.subject.but(block={"name": block.name, **block.arguments, "bias": True}))
    counted.append(Counting(BIASES, Decimal(biased.parameters + biased.batch_norm_statistics) / 10**6))
    return [*counted, Counting(CUT, counted[0].value, ROUND_FLOOR)]
