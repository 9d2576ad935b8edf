"""The effects of crossed factors on a page: the sentence on top, main effects, interactions, and where the variance lies. In Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ablations.search.importance import Importance, importances, importances_over_seeds, installed
from ablations.statistics.comparison import FEWEST
from ablations.statistics.factorial import Cells, Decided, Part, common, parts
from ablations.statistics.rounding import NONE, difference_text, number, p_text, spoken_for
from ablations.statistics.verdicts import cells
from ablations.study import Study
from report.numbers import plain
from report.rows import Reading
from report.tables import by_column, in_columns, smallest_delta
from report.wording import behind, diverged, listed, opened, verdict_text, word_of


@dataclass(frozen=True)
class Section:
    """The texts of the section; ``levels`` counts the main effects, ``sources`` is None where no seed has all cells, or nothing varies."""

    main: str
    joint: str
    family: str
    levels: int
    few: bool
    notes: list[str]
    sources: str | None
    seeds: int
    importance: str


def section(reading: Reading) -> Section | None:
    """What a page says of the effects; None where no factors are crossed, or nothing was measured yet."""
    found = reading.verdicts.effects
    if not any(one.comparison.mean is not None or one.comparison.divergence for one in found):
        return None
    main, joint = ([one for one in found if one.effect.is_interaction is two] for two in (False, True))
    seeds, where = len(common(cells(reading.study, reading.arms).values())), sources(reading)
    return Section(
        main=_main(reading, main),
        joint=_joint(reading, joint),
        family=_family(reading, len(main), len(joint)),
        few=any(one.comparison.n < FEWEST for one in found),
        levels=len(main),
        notes=notes(found),
        sources=_sources(where),
        seeds=seeds,
        importance=_importance_text([one.importance for one in where if one.importance], seeds),
    )


# -- words


def name(one: Decided) -> str:
    """An effect in a few words: "max − average", "max and tanh"."""
    effect = one.effect
    return " and ".join(effect.levels) if effect.is_interaction else f"{effect.levels[0]} − {effect.references[0]}"


def headline(reading: Reading) -> str:
    """What was found: the reference's error, and each effect by its verdict with its difference and interval."""
    study, rows = reading.study, reading.rows()
    reference = next(row for row in rows if row.variant == study.reference)
    told = [opened(study, reference) if reference.error.mean is not None else f'No trial of "{plain(study.reference)}" has finished.']
    for heading, two in (("Averaged over the other factors, in points", False), ("Interactions", True)):
        groups = _groups([one for one in reading.verdicts.effects if one.effect.is_interaction is two], study)
        if groups:
            told.append(f"{heading}: {'; '.join(f'**{verdict}**: {listed(texts)}' for verdict, texts in groups.items())}.")
    if len(told) == 1:
        told.append("No seed has all cells of an effect yet.")
    return " ".join(told) + diverged(rows)


def _groups(found: Sequence[Decided], study: Study) -> dict[str, list[str]]:
    words = ["worse", "better", "worse but negligible", "better but negligible", "interact", "interact but negligible"]
    within = {word: f"{word} within ±{study.delta:g}" for word in ("equivalent", "add up")}
    groups: dict[str, list[str]] = {
        text: [] for text in [*words, *within.values(), "open", f"fewer than {FEWEST} seeds", "nothing to test"]
    }
    for one in found:
        comparison = one.comparison
        if comparison.mean is None and comparison.word is None:
            continue
        group = word_of(study, comparison) or (f"fewer than {FEWEST} seeds" if comparison.n < FEWEST else "nothing to test")
        groups[within.get(group, group)].append(f"{plain(name(one))} ({behind(comparison, study)})")
    return {group: texts for group, texts in groups.items() if texts}


def _family(reading: Reading, main: int, joint: int) -> str:
    others = reading.verdicts.comparisons.family - main - joint
    told = [f"{main} main effects", f"{joint} interaction{'' if joint == 1 else 's'}"]
    told += [f"{others} comparison{'' if others == 1 else 's'} of variants"] if others else []
    return f"{', '.join(told[:-1])} and {told[-1]}"


_DIFFERENT = ("better", "worse")
"""The words of what Holm's procedure declares and what is not shown to lie inside ±δ."""


def notes(found: Sequence[Decided]) -> list[str]:
    """Which averages are of effects that differ, because the level interacts; and for which of these levels one factor at a time would
    have said something else. Nothing of levels that are not found to interact."""
    levels = {level for one in found if one.effect.is_interaction and one.comparison.word in _DIFFERENT for level in one.effect.levels}
    depending = [one for one in found if not one.effect.is_interaction and one.effect.levels[0] in levels]
    if not depending:
        return []
    named = ", ".join(plain(name(one)) for one in depending)
    told = [f"**No single number is what these levels do**, because they interact: {named}. Their averages are of what differs."]
    apart = [f"{plain(name(one))} by {difference_text(one.apart.all)}" for one in depending if one.apart and one.apart.word in _DIFFERENT]
    if apart:
        told.append(
            "**One factor at a time would say something else**: what a level does alone lies apart from its average, in points, for "
            f"{', '.join(apart)}."
        )
    return told


# -- tables


def _main(reading: Reading, found: Sequence[Decided]) -> str:
    columns = {
        "Factor": [plain(one.effect.factors[0]) for one in found],
        "Effect": [plain(name(one)) for one in found],
        **_decisions(reading, found, "Averaged effect (points)"),
        "Alone, others at the reference (points)": [_alone(one) for one in found],
        "Apart: alone − averaged (points)": [difference_text(spoken_for(one.apart.all)) if one.apart else NONE for one in found],
    }
    return by_column(columns, words=("Factor", "Effect", "Verdict"))


def _joint(reading: Reading, found: Sequence[Decided]) -> str:
    columns = {
        "Factors": [plain(" × ".join(one.effect.factors)) for one in found],
        "Levels": [plain(name(one)) for one in found],
        **_decisions(reading, found, "Interaction (points)"),
    }
    return by_column(columns, words=("Factors", "Levels", "Verdict"))


def _decisions(reading: Reading, found: Sequence[Decided], heading: str) -> dict[str, list[str]]:
    each = [one.comparison for one in found]
    return {
        "n": [str(one.n) for one in each],
        heading: [difference_text(spoken_for(one.all)) for one in each],
        "p": [p_text(one.p) for one in each],
        "p (Holm)": [p_text(one.adjusted) for one in each],
        "Smallest δ (points)": [smallest_delta(one) for one in each],
        "Verdict": [verdict_text(one, reading.minutes(one), reading.study) for one in each],
    }


def _alone(one: Decided) -> str:
    more = f" (n = {one.alone.n})" if one.alone.mean is not None and one.alone.n != one.comparison.n else ""
    return difference_text(spoken_for(one.alone)) + more


def summary(reading: Reading) -> str:
    """The effects in columns of fixed width, for the end of a run in a terminal; nothing where no factors are crossed."""
    lines = []
    for decided in reading.verdicts.effects:
        one = decided.comparison
        verdict = verdict_text(one, reading.minutes(one), reading.study)
        lines.append((name(decided), str(one.n), difference_text(spoken_for(one.all)), verdict))
    return in_columns([("Effect", "n", "Difference (points)", "Verdict"), *lines]) if lines else ""


# -- where the variance lies


@dataclass(frozen=True)
class Source:
    """A part of the variance, and of a factor its importance, where Optuna is installed."""

    part: Part
    importance: Importance | None


def sources(reading: Reading) -> list[Source]:
    """Where the variance of all cells lies; empty where no seed has all cells, or nothing varies."""
    of_cells = cells(reading.study, reading.arms)
    if not of_cells:
        return []
    ranked = {one.name: one for one in _importances(reading, of_cells)}
    return [Source(one, ranked.get(one.source)) for one in parts(reading.study.crossed, of_cells)]


def _importances(reading: Reading, of_cells: Cells) -> list[Importance]:
    """Of every factor, one answer for each complete seed; of one seed several forests. None without Optuna."""
    seeds, crossed = common(of_cells.values()), reading.study.crossed
    if not seeds or not installed():
        return []
    factors = {factor.name: factor.levels for factor in crossed}
    tables = [[(dict(zip(factors, levels, strict=True)), arm.values[seed]) for levels, arm in of_cells.items()] for seed in seeds]
    return importances(factors, tables[0]) if len(tables) == 1 else importances_over_seeds(factors, tables)


def _sources(found: Sequence[Source]) -> str | None:
    if not found:
        return None
    columns = {
        "Source": [plain(one.part.source) for one in found],
        "Degrees of freedom": [str(one.part.freedom) for one in found],
        "Share of the variance (%)": [number(100 * one.part.share, 1) for one in found],
        "fANOVA importance (%)": [_percent(one.importance) for one in found],
    }
    if not any(one.importance for one in found):
        del columns["fANOVA importance (%)"]
    return by_column(columns, words=("Source",))


def _percent(one: Importance | None) -> str:
    if one is None:
        return NONE
    return number(100 * one.mean, 0) + ("" if one.deviation is None else f" ± {number(100 * one.deviation, 0)}")


def _importance_text(told: Sequence[Importance], seeds: int) -> str:
    if not installed():
        return "Optuna's importances of the factors are left out: they need `pip install 'senet-ablations[search]'`."
    if not told:
        return ""
    over = f"{told[0].count} random forests on the one seed" if seeds == 1 else f"{told[0].count} seeds, one random forest on each"
    return (
        f"The importance of a factor is Optuna's fANOVA, mean ± standard deviation over {over}. Importances are made to add up to 100 %, "
        "also where nothing matters: they rank, and the verdicts decide."
    )
