"""``ablate compare`` as Markdown that reads well in a terminal too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablations.matching import Match
from ablations.side_by_side import Place, SharedVariant, StudyPair, VariantPair, WorkspacePair
from ablations.statistics.rounding import NONE, difference_text, error_text, number, spoken_for
from ablations.study import StudyVariant
from ablations.training_time import TrainingTime
from report.numbers import macs_text, plain, widths_text
from report.tables import by_column
from senet_core.seeds import seed_label


def variants_page(pair: VariantPair) -> str:
    """Two variants: configs, cost, errors, then seed by seed and class by class."""
    a, b = (side.variant for side in (pair.a, pair.b))
    assert a is not None and b is not None
    parts = [_title(pair.a, pair.b), _settings("What differs", pair.changes), _cost(a, b, pair.times), _machines([pair.times])]
    if pair.difference.mean is None:
        return _joined([*parts, "They have no finished seed in common."])
    told = (
        f"A errs on {error_text(pair.errors[0])} % (n = {pair.errors[0].n}), B on {error_text(pair.errors[1])} % (n = {pair.errors[1].n}); "
    )
    told += (
        f"A − B, paired: {difference_text(spoken_for(pair.difference))} points (n = {pair.difference.n}, 95 %, by itself and not adjusted)."
    )
    if pair.same_trials:
        told += f" {pair.same_trials} of these seeds are the very same trials in both, so they differ in nothing."
    parts += ["## Errors", told]
    if not pair.seeds:
        return _joined([*parts, "The two were not evaluated on the same images, so images cannot be matched."])
    seeds = {
        "Seed": [plain(seed_label(one.seed)) for one in pair.seeds],
        "A (%)": [number(one.a, 2) for one in pair.seeds],
        "B (%)": [number(one.b, 2) for one in pair.seeds],
        "A − B (points)": [number(one.a - one.b, 2, sign=True) for one in pair.seeds],
        "Images won by A": [f"{one.won:,}" for one in pair.seeds],
        "Images lost by A": [f"{one.lost:,}" for one in pair.seeds],
    }
    classes = {
        "Class": [plain(one.name) for one in pair.classes],
        "Images": [f"{one.images:,}" for one in pair.classes],
        "A (%)": [number(one.a, 2) for one in pair.classes],
        "B (%)": [number(one.b, 2) for one in pair.classes],
        "A − B (points)": [difference_text(spoken_for(one.difference)) for one in pair.classes],
    }
    by_class = "Means over the seeds of both, with 95 % intervals for each class by itself: with many classes some exclude 0 by chance."
    return _joined([*parts, _table(seeds, "Seed"), "## Errors by class", _table(classes, "Class"), by_class])


def studies_page(pair: StudyPair) -> str:
    """Two studies: what differs in their settings, and the variants that are one in both."""
    parts = [_title(pair.a, pair.b), _settings("What differs", pair.settings)]
    for side, names in (("A", pair.only_a), ("B", pair.only_b)):
        if names:
            parts.append(f"Only in {side}: {', '.join(map(plain, names))}.")
    if not pair.shared:
        return _joined([*parts, "No variant of the one shares a trial, a config or a name with one of the other."])
    variants = [_both(one.match) for one in pair.shared]
    errors: dict[str, Sequence[str]] = {
        "Variant": variants,
        "Matched by": [one.match.how for one in pair.shared],
        "A (%)": [error_text(one.a) for one in pair.shared],
        "B (%)": [error_text(one.b) for one in pair.shared],
        "A − B (points)": [difference_text(spoken_for(one.difference)) for one in pair.shared],
        "Pairs": [str(one.difference.n) for one in pair.shared],
        "Same trials": [f"{one.same_trials} of {one.seeds}" for one in pair.shared],
    }
    costs = {
        "Variant": variants,
        "Parameters": [_either(f"{one.match.a.price.parameters:,}", f"{one.match.b.price.parameters:,}") for one in pair.shared],
        "MACs": [_either(macs_text(one.match.a.price.macs), macs_text(one.match.b.price.macs)) for one in pair.shared],
        "A: seconds a trial": [_seconds(one.times[0]) for one in pair.shared],
        "B: seconds a trial": [_seconds(one.times[1]) for one in pair.shared],
    }
    parts += ["## Variants of both", _table(errors, "Variant", "Matched by"), _HOW, *map(_besides, pair.shared)]
    parts += ["## Cost", _table(costs, "Variant"), _machines([one.times for one in pair.shared])]
    return _joined([*parts, "Two variants as SUITE:VARIANT are compared seed by seed and class by class."])


_HOW = (
    "Differences are paired by seed, with 95 % intervals each for itself. Variants are matched by a trial that both have (its key "
    "says recipe, seed and data), else by their whole config, else by their name."
)


def _both(match: Match) -> str:
    return plain(match.a.name) if match.a.name == match.b.name else f"{plain(match.a.name)} (B: {plain(match.b.name)})"


def _either(a: str, b: str) -> str:
    return a if a == b else f"{a} / {b}"


def _besides(one: SharedVariant) -> str:
    """A warning where two of one name are not one: what differs in them beyond what differs in all variants."""
    told = [f"`{path}` ({_value(a)} in A, {_value(b)} in B)" for path, (a, b) in one.match.besides.items()]
    if one.match.how != "name" or not told:
        return ""
    return f"{_both(one.match)} has one name and two configs: besides what differs in the references, {', '.join(told)}."


def workspaces_page(pair: WorkspacePair) -> str:
    """Two workspaces: what each holds, and whether the trials of both gave the same."""
    both, only_a, only_b = pair.studies
    lines = [
        f"- {where}: {', '.join(map(plain, names))}"
        for where, names in (("in both", both), ("only in A", only_a), ("only in B", only_b))
        if names
    ]
    trials = f"{pair.trials[0]} finished trials are in both, {pair.trials[1]} only in A, {pair.trials[2]} only in B."
    if not pair.differing:
        same = "Those in both gave the same numbers." if pair.trials[0] else ""
        return _joined([_title(pair.a, pair.b), "## Studies", "\n".join(lines) or "None.", "## Trials", trials, same, _took(pair)])
    columns = {
        "Trial": [f"`{key}`" for key in pair.differing],
        "A": [plain(first) for first, _ in pair.differing.values()],
        "B": [plain(second) for _, second in pair.differing.values()],
    }
    told = f"{len(pair.differing)} of those in both did not give the same:"
    table = _table(columns, "Trial", "A", "B")
    return _joined([_title(pair.a, pair.b), "## Studies", "\n".join(lines) or "None.", "## Trials", trials, told, table, _took(pair)])


def _took(pair: WorkspacePair) -> str:
    """What the trials of both took in each."""
    a, b = pair.times
    if a.seconds is None or b.seconds is None:
        return ""
    return f"The median trial of those in both took {_seconds(a)} seconds in A and {_seconds(b)} in B. {_machines([pair.times])}"


def _title(a: Place, b: Place) -> str:
    return f"# A: {plain(a.text)}\n\n# B: {plain(b.text)}"


def _settings(title: str, changes: Mapping[str, tuple[Any, Any]]) -> str:
    if not changes:
        return f"## {title}\n\nNothing in their configs."
    columns = {
        "Field": [f"`{path}`" if " " not in path else plain(path) for path in changes],
        "A": [_value(first) for first, _ in changes.values()],
        "B": [_value(second) for _, second in changes.values()],
    }
    return f"## {title}\n\n{_table(columns, 'Field', 'A', 'B')}"


def _value(value: Any) -> str:
    return "none" if value is None else plain(value)


def _cost(a: StudyVariant, b: StudyVariant, times: tuple[TrainingTime, TrainingTime]) -> str:
    columns = {
        "Cost": ["parameters", "MACs", "hidden widths", "seconds a trial, median"],
        "A": [f"{a.price.parameters:,}", macs_text(a.price.macs), widths_text(a.price.hidden_widths), _seconds(times[0])],
        "B": [f"{b.price.parameters:,}", macs_text(b.price.macs), widths_text(b.price.hidden_widths), _seconds(times[1])],
    }
    return _table(columns, "Cost")


def _seconds(time: TrainingTime) -> str:
    return NONE if time.seconds is None else number(time.seconds, 0 if time.seconds >= 100 else 1)


def _machines(times: Sequence[tuple[TrainingTime, TrainingTime]]) -> str:
    """On what the trials ran, and whether their times can be compared."""
    a, b = (sorted({device for each in times for device in each[side].devices}) for side in (0, 1))
    if not a or not b:
        return "" if a == b else f"The trials ran on {_listed(a or b)}."
    if a == b and len(a) == 1:
        return f"All trials ran on {_listed(a)}."
    where = f"The trials of A ran on {_listed(a)}, those of B on {_listed(b)}" if a != b else f"The trials of both ran on {_listed(a)}"
    return f"{where}: **the times are not of one machine, so their difference is not one of the variants alone.**"


def _listed(devices: Sequence[str]) -> str:
    return " and ".join(plain(device) for device in devices)


def _table(columns: Mapping[str, Sequence[str]], *words: str) -> str:
    return by_column(columns, words=words)


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
