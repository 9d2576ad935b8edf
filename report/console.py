"""What the commands print on a terminal: suites, plans, the state of a workspace, one trial. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ablations.presets import PRESETS
from ablations.result import Line
from ablations.search.space import SPACES
from ablations.start_warnings import start_warnings
from ablations.statistics.prospects import Prospects
from ablations.store import State, Store
from ablations.study import Cost, Study
from ablations.suite import Suite
from report.prospects import prospect_lines
from senet_core.config import flat
from senet_core.registry import BLOCKS, DATASETS, NETWORKS
from senet_core.seeds import seed_label

WORDS: Mapping[State, str] = {
    "missing": "to run",
    "resumable": "to resume",
    "failed": "failed",
    "done": "stored",
    "diverged": "stored (diverged)",
    "damaged": "damaged",
}


def _table(title: str | None, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        right = column in ("parameters", "MACs", "variants", "minutes", "n")
        table.add_column(column, justify="right" if right else "left", no_wrap=right, overflow="fold")
    return table


def print_list(console: Console, suites: Sequence[Suite]) -> None:
    """All names that a command line may use."""
    table = _table("Suites", "name", "variants", "question", "paper")
    for suite in suites:
        tables = re.search(r"Tables? \d+( and \d+)?", suite.source)
        table.add_row(suite.name, str(len(suite.variants)), escape(suite.question), tables[0] if tables else "–")
    console.print(table, "")
    presets = _table("Presets", "name", "budget")
    for preset in PRESETS.values():
        presets.add_row(preset.name, escape(preset.summary))
    console.print(presets, "")
    for kind in (SPACES, DATASETS, NETWORKS, BLOCKS):
        named = f" (by their published names: {', '.join(kind.also)})" if kind.also else ""
        console.print(f"[bold]{kind.kind.capitalize()}s[/bold]  {', '.join(kind.names())}{named}", highlight=False)


def print_plan(console: Console, study: Study, states: Mapping[str, State], seconds: Mapping[str, float], diff: bool) -> None:
    """One line a variant: its cost, what of it is stored, what a trial of it will take (``seconds`` by key), and what it changes."""
    size = f"{_counted(len(study.variants), 'variant')} x {_counted(len(study.seeds), 'seed')}"
    title = f"{study.title} — {study.name}: {size}{_on(study, ' on ')}"
    costs = ["hidden widths", "parameters", "MACs"] if study.metric is None else []
    columns = ["variant", *costs, "trials", "minutes"]
    table = _table(escape(title), *columns, *(["changes"] if diff else []))
    for variant in study.variants:
        cells = [
            escape(variant.name) + (" (reference)" if variant.name == study.reference_of(variant) else ""),
            *_costs(variant.cost),
            _trials(variant.same_as, [states[key] for key in variant.keys.values() if key in states]),
            next((f"{seconds[key] / 60:.1f}" for key in variant.keys.values() if key in seconds), "–"),
        ]
        table.add_row(*cells, *([escape(changes(variant.changes))] if diff else []))
    console.print(table)
    for sentence in start_warnings(study):
        console.print(f"[yellow]{escape(sentence)}[/yellow]", highlight=False, soft_wrap=True)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _costs(cost: Cost | None) -> list[str]:
    return [] if cost is None else ["/".join(map(str, cost.hidden_widths)) or "–", f"{cost.parameters:,}", f"{cost.macs / 1e6:.2f} M"]


def _on(study: Study, before: str) -> str:
    """The data, where it is known."""
    return f"{before}{study.data.label}" if study.data else ""


def print_prospects(console: Console, found: Prospects) -> None:
    """What the study's seeds can resolve, claim by claim, and by which noise."""
    for number, line in enumerate(prospect_lines(found)):
        console.print(line, style=None if number else "bold", highlight=False, markup=False, soft_wrap=True)


def _trials(same_as: str | None, states: Sequence[State]) -> str:
    counts = {word: sum(WORDS[state] == word for state in states) for word in dict.fromkeys(WORDS.values())}
    text = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"same network as {escape(same_as)}; {text}" if same_as else text


def changes(differences: Mapping[str, tuple[Any, Any]]) -> str:
    """What a variant changes against the reference, in words: "net.block.reduction: 16 -> 8"."""
    return "; ".join(f"{path}: {_plain(a)} -> {_plain(b)}" for path, (a, b) in differences.items()) or "nothing (the reference)"


def _plain(value: Any) -> str:
    return "none" if value is None else str(value)


def print_status(console: Console, glance: Callable[[str], tuple[State, float | None]], study: Study) -> dict[State, int]:
    """The state of each cell of a study, as ``glance`` (``Store.glance``) tells it; returns how many trials are in each state."""
    table = _table(escape(f"{study.title} — {study.name}{_on(study, ', ')}"), "variant", *map(seed_label, study.seeds))
    counts: dict[State, int] = {}
    for variant in study.variants:
        cells = []
        for seed in study.seeds:
            if seed not in variant.keys:
                cells.append("–")  # the seed was added for what was open, and this was settled
                continue
            state, error = glance(variant.keys[seed])
            counts[state] = counts.get(state, 0) + 1
            cells.append(WORDS[state] if error is None else f"{error:.2f} %" if study.metric is None else f"{error:.5g}")
        table.add_row(escape(variant.name), *cells)
    console.print(table)
    return counts


def print_trial(console: Console, store: Store, key: str, places: Sequence[str]) -> None:
    """One trial: where it is used, its recipe, its outcome, its history, its provenance."""
    result, failure = store.result(key), store.failure(key)
    console.print(f"[bold]{key}[/bold]  {WORDS[store.state(key)]}", highlight=False)
    for place in places:
        console.print(f"  in {escape(place)}", highlight=False)
    if result is None:
        reason = failure.reason if failure else "there is no result yet"
        console.print(f"  {escape(reason)}", highlight=False)
        return
    facts: dict[str, Any] = {"seed": result.seed, **flat(result.config.tree())}
    if result.errors:
        facts |= {f"errors.{name}": value for name, value in result.errors}
    facts |= dict(result.measured.values) if result.measured else {}
    facts |= {"seconds": round(result.timing.total, 1)}
    facts |= {"images a second": round(result.timing.images_per_second)} if result.measured is None else {}
    facts |= flat({"provenance": result.provenance.model_dump(mode="json", exclude={"digests"})})
    table = _table(None, "field", "value")
    for name, value in facts.items():
        table.add_row(escape(str(name)), escape(_plain(value)))
    console.print(table)
    if result.lines:
        print_lines(console, result.lines)
        return
    history = _table(None, "epoch", "training loss", "training error (%)", "learning rate")
    for epoch in result.history:
        history.add_row(str(epoch.epoch), f"{epoch.loss:.4f}", f"{epoch.error:.2f}", f"{epoch.lr:.4g}")
    console.print(history)


def print_lines(console: Console, lines: Sequence[Line]) -> None:
    """What a user's own training loop reported."""
    names = list(dict.fromkeys(name for line in lines for name in line.values))
    table = _table(None, "epoch", *map(escape, names))
    for line in lines:
        table.add_row(str(line.epoch), *(f"{line.values[name]:.5g}" if name in line.values else "–" for name in names))
    console.print(table)
