"""``ablate compare`` as Markdown that reads well in a terminal too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ablations.side_by_side import Place, StudyPair, VariantPair, WorkspacePair
from ablations.study import StudyVariant
from report.numbers import difference_text, error_text, macs_text, number, plain, spoken_for, widths_text
from report.tables import aligned
from senet_core.seeds import seed_label


def variants_page(pair: VariantPair) -> str:
    """Two variants: configs, cost, errors, then seed by seed and class by class."""
    a, b = (side.variant for side in (pair.a, pair.b))
    assert a is not None and b is not None
    parts = [_title(pair.a, pair.b), _settings("What differs", pair.changes), _cost(a, b)]
    if pair.difference.mean is None:
        return _joined([*parts, "They have no finished seed in common."])
    told = (
        f"A errs on {error_text(pair.errors[0])} % (n = {pair.errors[0].n}), B on {error_text(pair.errors[1])} % (n = {pair.errors[1].n}); "
    )
    told += (
        f"A − B, paired: {difference_text(spoken_for(pair.difference))} points (n = {pair.difference.n}, 95 %, by itself and not adjusted)."
    )
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
    """Two studies: what differs in their settings, and the variants that both have."""
    parts = [_title(pair.a, pair.b), _settings("What differs", pair.settings)]
    for side, names in (("A", pair.only_a), ("B", pair.only_b)):
        if names:
            parts.append(f"Only in {side}: {', '.join(map(plain, names))}.")
    if not pair.shared:
        return _joined([*parts, "No variant bears the same name in both."])
    columns = {
        "Variant": [plain(one.name) for one in pair.shared],
        "A (%)": [error_text(one.a) for one in pair.shared],
        "B (%)": [error_text(one.b) for one in pair.shared],
        "A − B (points)": [difference_text(spoken_for(one.difference)) for one in pair.shared],
        "Pairs": [str(one.difference.n) for one in pair.shared],
        "Same trials": [f"{one.same_trials} of {one.seeds}" for one in pair.shared],
    }
    note = "Differences are paired by seed, with 95 % intervals each for itself. The same trials are those that both share by their key."
    return _joined([*parts, "## Variants of both", _table(columns, "Variant"), note])


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
        return _joined([_title(pair.a, pair.b), "## Studies", "\n".join(lines) or "None.", "## Trials", trials, same])
    columns = {
        "Trial": [f"`{key}`" for key in pair.differing],
        "A": [plain(first) for first, _ in pair.differing.values()],
        "B": [plain(second) for _, second in pair.differing.values()],
    }
    told = f"{len(pair.differing)} of those in both did not give the same:"
    table = _table(columns, "Trial", "A", "B")
    return _joined([_title(pair.a, pair.b), "## Studies", "\n".join(lines) or "None.", "## Trials", trials, told, table])


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


def _cost(a: StudyVariant, b: StudyVariant) -> str:
    columns = {
        "Cost": ["parameters", "MACs", "hidden widths"],
        "A": [f"{a.cost.parameters:,}", macs_text(a.cost.macs), widths_text(a.cost.hidden_widths)],
        "B": [f"{b.cost.parameters:,}", macs_text(b.cost.macs), widths_text(b.cost.hidden_widths)],
    }
    return _table(columns, "Cost")


def _table(columns: Mapping[str, Sequence[str]], *words: str) -> str:
    return aligned(pd.DataFrame(columns), words=words)


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
