"""The texts that MLflow shows as Markdown: the note of a variant's run, and the description of a suite's experiment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ablations.statistics import own_unit
from ablations.statistics.comparison import FEWEST, Comparison
from ablations.statistics.estimation import Estimate
from ablations.statistics.rounding import NONE, difference_text, error_text, number, p_text, rounded_up, spoken_for
from ablations.study import Study, StudyVariant
from senet_core.seeds import seed_label

NOTE = "mlflow.note.content"
LIMIT = 7000
"""Characters of a note or a reason; servers take 8000 in a tag of a run."""
EXPERIMENT_LIMIT = 19000
"""Characters of a description; servers take 20000 in a tag of an experiment."""


@dataclass(frozen=True)
class SeedLine:
    """What a variant's note says of one seed: its error (%) and the reference's at the same seed, or in a word why there is none."""

    seed: str
    key: str
    error: float | None
    reference: float | None
    state: str


def difference_of(study: Study, comparison: Comparison | None) -> str:
    """ "−0.25 [−0.45, −0.06]" with the simultaneous interval; below three pairs without it; a dash without a pair."""
    if comparison is None:
        return NONE
    text = difference_text if study.metric is None else own_unit.difference_text
    return text(spoken_for(comparison.all))


def delta_of(study: Study, comparison: Comparison | None) -> str:
    """ "±0.56", the smallest δ at which the two would be equivalent, rounded up; a dash below three pairs, and with a divergence."""
    if comparison is None or comparison.n < FEWEST or comparison.divergence or comparison.smallest_delta is None:
        return NONE
    delta = comparison.smallest_delta
    return f"±{rounded_up(delta) if study.metric is None else own_unit.rounded_up(delta)}"


def verdict_text(comparison: Comparison | None, is_reference: bool) -> str:
    """One word that can be searched for: a verdict, "reference", "same network", or "none yet"."""
    if comparison is None:
        return "reference" if is_reference else "same network"
    return comparison.word or "none yet"


def plain(text: object) -> str:
    """Any text as one line of Markdown that shows exactly these characters, also inside a table."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!$])", r"\\\1", " ".join(str(text).split()))


# -- the note of a variant


def variant_note(study: Study, variant: StudyVariant, error: Estimate, comparison: Comparison | None, lines: Sequence[SeedLine]) -> str:
    """What is known of a variant in a sentence or two, and its seeds as a table; what does not fit is counted."""
    head = f"{_finding(study, variant, error, comparison)}\n\n{_network(study, variant)}"
    named = comparison is not None
    measured = "Top-1 error (%)" if study.metric is None else plain(study.metric.name)
    difference = f"Difference to {plain(study.reference_of(variant))}{'' if study.metric else ' (points)'}"
    heading = ["Seed", measured, *([difference] if named else []), "Trial"]
    table = [_cells(heading), _cells([":--", *["--:"] * (len(heading) - 2), ":--"])]
    room = LIMIT - len(head) - sum(map(len, table))
    rows = [_cells(_row(study, line, named)) for line in lines]
    return "\n".join([f"{head}\n", *table, _fitting(rows, room, "seeds")])


def _finding(study: Study, variant: StudyVariant, error: Estimate, comparison: Comparison | None) -> str:
    name, reference = plain(variant.name), plain(study.reference_of(variant))
    measured = _measured(study, error)
    if comparison is None:
        role = "the reference of this study" if variant.same_as is None else f"the same network as {plain(variant.same_as)}"
        role = "a cell of crossed factors, compared by their effects," if variant.levels else role
        return f"**{name}** is {role} and {measured}."
    opening = f"**{name}** {measured}."
    if comparison.word is None:
        told = f" Against **{reference}**: {difference_of(study, comparison)}{_points(study)}." if comparison.mean is not None else ""
        return f"{opening}{told} No verdict yet: {plain(comparison.reason)}."
    return f"{opening} Against **{reference}**: **{_verdict(study, comparison)}**{_numbers(study, comparison)}."


def _measured(study: Study, error: Estimate) -> str:
    if error.mean is None:
        return "has no finished trial yet"
    if study.metric is None:
        return f"errs on {error_text(error)} % (n = {error.n})"
    better = "lower" if study.metric.lower_is_better else "higher"
    return f"has {plain(study.metric.name)} {own_unit.estimate_text(error)} (n = {error.n}; {better} is better)"


def _points(study: Study) -> str:
    """The unit of differences: percentage points, or that of a loop's own metric, which needs no name."""
    return " points" if study.metric is None else ""


def _verdict(study: Study, comparison: Comparison) -> str:
    word = comparison.word or ""
    if word == "equivalent":
        return f"equivalent within ±{study.delta:g}{_points(study)}"
    if word == "open" and comparison.needed:
        return f"open, about {comparison.needed:,} seeds in all would settle it"
    if word == "open" and comparison.reason:
        return f"open, {plain(comparison.reason)}"
    return word


def _numbers(study: Study, comparison: Comparison) -> str:
    counts = comparison.divergence
    diverged = "" if counts is None else f"; {counts.variant} of {counts.variant_n} seeds diverged, {counts.reference} of the reference's"
    p = f"; Holm-adjusted p {p_text(comparison.adjusted)}" if comparison.adjusted is not None else ""
    points = "" if comparison.mean is None else f"; {difference_of(study, comparison)}{_points(study)} over {comparison.n} pairs of seeds"
    return diverged + points + p


def _network(study: Study, variant: StudyVariant) -> str:
    same = f"; the same network as {plain(variant.same_as)}, the two share their trials" if variant.same_as else ""
    if variant.cost is None:
        return f"{plain(study.title)}{same}."
    widths = f", hidden widths {', '.join(map(str, dict.fromkeys(variant.cost.hidden_widths)))}" if variant.cost.hidden_widths else ""
    return f"{plain(study.title)}. {variant.cost.parameters:,} parameters, {variant.cost.macs / 1e6:,.1f} M multiply-adds{widths}{same}."


def _row(study: Study, line: SeedLine, named: bool) -> list[str]:
    value = NONE if line.error is None else _value(study, line.error)
    difference = NONE if line.error is None or line.reference is None else _value(study, line.error - line.reference, sign=True)
    state = "" if line.state == "done" else f" {line.state}"
    seed = plain(seed_label(line.seed).removeprefix("seed "))
    return [seed, value, *([difference] if named else []), f"`{line.key}`{state}"]


def _value(study: Study, value: float, sign: bool = False) -> str:
    return number(value, 2 if study.metric is None else own_unit.decimals(value, None), sign=sign)


def _cells(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


# -- the description of an experiment


@dataclass(frozen=True)
class StudyLine:
    """What an experiment's description says of one study: its recipe in short, and {words: link}."""

    study: str
    recipe: str
    seeds: int
    links: Mapping[str, str]


def recipe_line(study: Study) -> str:
    """The recipe in one line: network, data, budget, δ."""
    if study.metric is not None:
        better = "lower" if study.metric.lower_is_better else "higher"
        return f"{plain(study.metric.name)}, {better} is better; δ = {study.delta:g}"
    config = study.variant(study.reference).recipe
    train, on = config.train, "held-out images" if study.images.evaluated_on == "holdout" else "test images"
    epochs = f"{train.epochs} epoch{'' if train.epochs == 1 else 's'}"
    return (
        f"{plain(config.net.name)} on {plain(study.images.label)}, {study.images.evaluated:,} {on}; {epochs}, batches of"
        f" {train.batch}, learning rate {train.lr:g}; δ = {study.delta:g} points"
    )


def suite_note(question: str, source: str, studies: Sequence[StudyLine]) -> str:
    """A suite's question first (MLflow shows the first line of a closed description), its source, and its studies with their links."""
    lines = []
    for one in studies:
        links = " · ".join(f"[{plain(words)}]({link})" for words, link in one.links.items())
        lines.append(f"- **{plain(one.study)}**: {links}\n\n  {one.recipe}; {one.seeds} seed{'' if one.seeds == 1 else 's'}")
    head = f"{plain(question)}\n\n{plain(source)}"
    return f"{head}\n\n{_fitting(lines, EXPERIMENT_LIMIT - len(head), 'studies')}"


def _fitting(lines: Sequence[str], room: int, what: str) -> str:
    """The lines that there is room for, and the number of the others."""
    kept, left = [], room - 50
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            break
        kept.append(line)
    rest = f"\n\nand {len(lines) - len(kept)} more {what}" if len(kept) < len(lines) else ""
    return "\n".join(kept) + rest
