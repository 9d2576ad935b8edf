"""What arms say besides their means: divergence, an arm against itself, the correlation of seeds, components of variance; and power."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ablations.statistics import estimation, power
from ablations.statistics.comparison import Arm, Comparison, Pair, Rule, compare
from ablations.statistics.estimation import Array
from benchmarks.validity_cells import Cell, standard
from benchmarks.validity_page import Check, Means, Scale, Section, percent

ALPHA = 0.05
NAMES = ("reference", "a", "b", "c", "d")
FAMILY = tuple(Pair(name, NAMES[0]) for name in NAMES[1:])


def sections(scale: Scale) -> Iterator[Section]:
    """One after another."""
    yield _divergence(scale)
    yield _against_itself(scale)
    yield _correlation(scale)
    yield _components(scale)
    yield _power(scale)


# -- divergence


@dataclass(frozen=True)
class Scenario:
    """A family in which seeds of some arms diverge: at which rates, and how the last arm's finished seeds differ from the reference's."""

    text: str
    n: int
    rates: tuple[float, ...]
    shift: float


LAST = (0, 0, 0, 0, 0.3)
SCENARIOS = (
    Scenario("d diverges in 30 %, its finished seeds are alike", 5, LAST, 0),
    Scenario("d diverges in 30 %, its finished seeds are alike", 10, LAST, 0),
    Scenario("d diverges in 30 %, its finished seeds err less by 2", 10, LAST, -2),
    Scenario("every arm diverges in 30 %", 10, (0.3,) * 5, 0),
)
DELTA = 2.0


def _divergence(scale: Scale) -> Section:
    rows, favourable, false = [], 0, 0.0
    for stream, scenario in enumerate(SCENARIOS):
        told, dropped, families_wrong = _verdicts(scenario, scale, stream)
        total = sum(told.values())
        better, same = _share(told, "better"), _share(told, "equivalent", "negligible")
        rows.append(
            [
                scenario.text,
                str(scenario.n),
                percent(better, same, _share(told, "worse"), _share(told, "open", "none")),
                percent(_share(dropped, "better"), _share(dropped, "equivalent", "negligible")),
                percent(families_wrong / scale.few) if scenario.shift == 0 and scenario.rates[0] else "–",
            ]
        )
        favourable += round(total * (better + same)) if scenario.rates == LAST else round(total * same)
        false = max(false, families_wrong / scale.few if scenario.rates[0] else 0.0)
    return Section(
        "Arms that diverge",
        f"{scale.few:,} families of four contrasts with true differences 0 unless said otherwise, δ = {DELTA:g} times the seed noise, "
        "decided by `ablations.statistics.comparison`. Told of d, in families where a seed of it diverged: better / "
        "equivalent or negligible / worse / no verdict (%). Dropped: how often it would be called better / equivalent or negligible were "
        "diverged seeds taken for missing. False: families with a declared difference of any kind where all arms are alike.",
        ["family", "n", "told", "dropped", "false"],
        rows,
        [
            Check(
                "families that call the diverging arm equivalent, or better than one without divergence",
                float(favourable),
                0,
                percent=False,
            ),
            Check("false decisions where all arms diverge alike", false, ALPHA + scale.slack(ALPHA, scale.few)),
        ],
    )


def _verdicts(scenario: Scenario, scale: Scale, stream: int) -> tuple[Counter[str], Counter[str], int]:
    """Words about the last arm where a seed of it diverged, the words were such seeds dropped, and families with a false difference."""
    generator = scale.generator(4, stream)
    told: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    wrong = 0
    seeds = tuple(str(number) for number in range(scenario.n))
    rule = Rule(seeds)
    for tables in Cell("normal", "equal", 0.3, scenario.n).tables(scale.few, generator):
        lost = generator.random(tables.shape) < np.array(scenario.rates)[:, None]
        tables[:, -1] += scenario.shift
        for table, gone in zip(tables, lost, strict=True):
            arms = {name: _arm(seeds, values, off) for name, values, off in zip(NAMES, table, gone, strict=True)}
            found = compare(arms, FAMILY, DELTA, rule)
            wrong += any(_word(one).startswith(("better", "worse")) for one in found.found)
            if gone[-1].any():
                told[_word(found.found[-1])] += 1
                finished = {name: Arm(arm.values) for name, arm in arms.items()}
                dropped[_word(compare(finished, FAMILY, DELTA, rule).found[-1])] += 1
    return told, dropped, wrong


def _arm(seeds: tuple[str, ...], values: Array, lost: Array) -> Arm:
    kept = {seed: float(value) for seed, value, off in zip(seeds, values, lost, strict=True) if not off}
    return Arm(kept, frozenset(seeds) - frozenset(kept))


def _word(one: Comparison) -> str:
    return one.word or "none"


def _share(words: Counter[str], *ends: str) -> float:
    """The share of words with one of these ends: "better but negligible" is negligible, not better."""
    return sum(count for word, count in words.items() if word.endswith(ends)) / max(1, sum(words.values()))


# -- an arm against itself


def _against_itself(scale: Scale) -> Section:
    rows, worst = [], 0.0
    for stream, (errors, n) in enumerate((errors, n) for errors in ("normal", "skewed") for n in (6, 7, 10, 20)):
        generator = scale.generator(5, stream)
        shares = np.zeros(scale.few)
        for number in range(scale.few):
            found = estimation.false_alarms(standard(errors, (n,), generator).tolist(), generator, ALPHA, limit=200)
            assert found is not None  # six seeds or more, which vary
            shares[number] = found.alarms / found.splits
        mean, deviation = float(shares.mean()), float(shares.std())
        rows.append([errors, str(n), percent(mean), percent(deviation)])
        if errors == "normal":
            worst = max(worst, abs(mean - ALPHA) / (deviation / np.sqrt(scale.few)))
    return Section(
        "An arm against itself",
        "The share of splits of one arm's own seeds into halves in which the paired t test at 5 % sees a difference (%): mean over "
        f"{scale.few:,} arms, and how much it differs from arm to arm (standard deviation). The first must be 5 on normal errors.",
        ["errors", "n", "alarms", "from arm to arm"],
        rows,
        [Check("distance of the alarms from 5 %, worst normal row, in standard errors", worst, scale.many(8), percent=False)],
    )


# -- the correlation of seeds


def _correlation(scale: Scale) -> Section:
    rows, worst = [], 0.0
    for stream, (true, n) in enumerate((true, n) for true in (0.0, 0.3, 0.6) for n in (3, 5, 10)):
        found = np.array([_measured(table) for table in _studies(true, n, scale, stream)])
        low, high = np.quantile(found, (0.05, 0.95))
        rows.append([f"{true:g}", str(n), f"{found.mean():.2f}", f"{low:.2f} to {high:.2f}"])
        if n == 10:
            luck = scale.many(6) * float(found.std()) / np.sqrt(scale.few)
            worst = max(worst, abs(float(found.mean()) - true) - luck)
    return Section(
        "The measured correlation of seeds",
        f"Four variants and their reference, {scale.few:,} studies: the mean of what is measured, and the middle 90 % of it. It is a ratio "
        "of variances, so it leans towards 0 at few seeds.",
        ["true", "n", "measured", "90 % of studies"],
        rows,
        [Check("distance of the mean from the truth at n = 10, less what luck allows", worst, 0.05, percent=False)],
    )


def _studies(correlation: float, n: int, scale: Scale, stream: int) -> Iterator[Array]:
    for tables in Cell("normal", "equal", correlation, n).tables(scale.few, scale.generator(6, stream)):
        yield from tables


def _measured(table: Array) -> float:
    samples = [{str(seed): float(value) for seed, value in enumerate(row)} for row in table]
    measured = estimation.seed_correlation(samples[1:], samples[0])
    assert measured is not None  # three seeds or more, which vary
    return measured


# -- components of variance

SEEDS, IMAGES = 5, 400
TRUE: Mapping[str, float] = {"seed": 0.5, "image": 2.0, "rest": 3.0}


def _components(scale: Scale) -> Section:
    generator, means, squares = scale.generator(7), Means(), Means()
    for _ in range(scale.few):
        seed, image = generator.standard_normal((SEEDS, 1)), generator.standard_normal((1, IMAGES))
        table = TRUE["seed"] * seed + TRUE["image"] * image + TRUE["rest"] * generator.standard_normal((SEEDS, IMAGES))
        found = estimation.components(table)
        for name, value in {"seed": found.seed, "image": found.image, "rest": found.rest, "error": found.error}.items():
            means.add(np.array([value**2]), name)
            squares.add(np.array([value**4]), name)
        means.add(np.array([(table.mean()) ** 2]), "mean")
    true = {name: value**2 for name, value in TRUE.items()}
    true["error"] = true["seed"] / SEEDS + true["image"] / IMAGES + true["rest"] / (SEEDS * IMAGES)
    rows, worst = [], 0.0
    for name, value in true.items():
        mean = means.one(name)
        error = float(np.sqrt((squares.one(name) - mean**2) / scale.few))
        worst = max(worst, abs(mean - value) / error)
        rows.append(
            [f"variance of the mean ({means.one('mean'):.4f} among the tables)" if name == "error" else name, f"{value:.4f}", f"{mean:.4f}"]
        )
    return Section(
        "Components of variance",
        f"{scale.few:,} tables of {SEEDS} seeds by {IMAGES} images, crossed random effects: true variances and the means of the estimates.",
        ["variance", "true", "estimated"],
        rows,
        [Check("distance of the estimates from the truth, in standard errors", worst, scale.many(8), percent=False)],
    )


# -- power


def _power(scale: Scale) -> Section:
    """Formula beside simulation, for one comparison of a family of four."""
    rows, worst, settings = [], 0.0, [(n, true) for n in (3, 5, 7, 10, 14, 20) for true in (0.5, 1.0, 1.5)]
    for stream, (n, true) in enumerate(settings):
        differences = scale.generator(8, stream).standard_normal((scale.draws, n))
        found = estimation.paired(differences + true, np.zeros(n))
        same = estimation.paired(differences, np.zeros(n))
        pairs = {
            "seen": (power.power_of_difference(true, 1, n, ALPHA / 4), float((found.p() <= ALPHA / 4).mean())),
            "same": (power.power_of_equivalence(0, 1, n, true, ALPHA), float((same.equivalence_p(true) <= ALPHA).mean())),
        }
        for formula, simulated in pairs.values():
            rate = min(max(formula, 0.001), 0.999)
            worst = max(worst, (abs(simulated - formula) - 2e-4) / scale.slack(rate, looked_at=4 * len(settings)))
        rows.append([str(n), f"{true:g}", *(percent(*pair) for pair in pairs.values())])
    return Section(
        "Power",
        "Formula / simulation (%), for one of four comparisons, in units of the standard deviation of the paired differences: how often a "
        "true difference of that size is declared at 5 % / 4 (Holm's first step), and how often two arms without a difference are declared "
        "equivalent within a δ of that size.",
        ["n", "difference or δ", "difference declared", "equivalence declared"],
        rows,
        [Check("largest distance of formula and simulation, in parts of what luck allows", worst, 1, percent=False)],
    )
