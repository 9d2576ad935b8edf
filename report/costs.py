"""The published sizes and costs beside ours: on a terminal, as Markdown, as CSV. Imports no torch."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import Console
from rich.markup import escape

from ablations.costs import Comparison, Score
from ablations.published_costs import METRICS
from report.description import aligned
from senet_core.config import canonical

TITLE = "Published sizes and costs beside ours"
SECTIONS = ("Squeeze-and-Excitation Networks (arXiv 1709.01507 v4) and the authors' models", "Networks for 32x32 images")
CONVENTIONS = (
    '"FLOPs" of the papers are multiply-adds: a multiplication with its addition counts once. Ours are those of convolutions and matrix '
    "products for one image; pooling, BN, ReLU, sums and the rescaling by gates are left out unless a line says otherwise.",
    "Our parameters are the trained ones. BN's running means and variances are no parameters, but Caffe stores them among a layer's "
    "blobs: ResNet-50 has 53,120 of them, which make 25.56 M into 25.61 M.",
    "ResNets have the stride of a stage in its first 1x1 convolution, as the authors' Caffe models do: ResNet-50 has 3.86 G multiply-adds "
    "so, and 4.09 G with the stride in the 3x3 convolution, as torchvision has it.",
    "The blocks' layers have no biases (Section 6), but those of the authors' models have. Sizes of files are 32-bit weights and BN's "
    "statistics in MiB (2^20 bytes).",
    "A figure agrees when ours, rounded, has its printed digits. How the authors counted is not published, and no one counting gives all "
    "that they print; what SE adds to a network's multiply-adds fits best as its layers and one operation for each rescaled value.",
)
HEADINGS = ("Network", "Quantity", "Published", "Ours", "Difference", "Agrees")


def summary(lines: Sequence[Comparison]) -> str:
    """How many agree, in one sentence."""
    agree = sum(line.agrees for line in lines)
    explained = sum(not line.agrees and line.explained is not None for line in lines)
    rest = len(lines) - agree - explained
    return (
        f"{len(lines)} figures: {agree} agree to their printed digits, {explained} do under another counting that is named, {rest} do not."
    )


def print_costs(console: Console, lines: Sequence[Comparison], counted: Sequence[Score]) -> None:
    """A table for each published one, the reasons below it."""
    for section, tables in _sections(lines):
        console.print(f"\n[bold]{escape(section)}[/bold]", highlight=False, soft_wrap=True)
        for title, own in tables:
            _print_table(console, title, own)
    console.print("\n[bold]How many figures of the first part each counting gives[/bold]", highlight=False)
    for score in counted:
        console.print(f"{score.reproduced:>3} of {score.of:<3} {score.kind}: {score.words}", highlight=False, markup=False, soft_wrap=True)
    console.print()
    for sentence in (*CONVENTIONS, summary(lines)):
        console.print(sentence, highlight=False, markup=False)


def _print_table(console: Console, title: str, lines: Sequence[Comparison]) -> None:
    reasons: list[str] = []
    rows: list[tuple[str, ...]] = [tuple(heading.lower() for heading in HEADINGS)]
    for line in lines:
        if not line.agrees and line.sentence not in reasons:
            reasons.append(line.sentence)
        note = "" if line.agrees else f" ({reasons.index(line.sentence) + 1})"
        rows.append((*_cells(line)[:-1], _cells(line)[-1] + note))
    console.print(f"\n{title}", style="italic", highlight=False, markup=False, soft_wrap=True)
    for place, text in enumerate(aligned(rows, right=(2, 3, 4))):
        console.print(text, style="" if place else "dim", highlight=False, markup=False, soft_wrap=True)
    for number, reason in enumerate(reasons, start=1):
        console.print(f"({number}) {reason}", highlight=False, markup=False)


def _cells(line: Comparison) -> tuple[str, ...]:
    figure, difference = line.figure, line.text(line.difference)
    sign = "+" if line.difference > 0 and difference.strip("0.") else ""
    shown = difference.replace("-", "−") if difference.strip("-0.") else difference.lstrip("-")
    exact = figure.metric in ("parameters", "added_parameters")
    printed = f"{int(figure.printed):,}" if exact else figure.printed
    return figure.row, METRICS[figure.metric], printed, line.text(line.ours), sign + shown, "yes" if line.agrees else "no"


def markdown(lines: Sequence[Comparison], counted: Sequence[Score]) -> str:
    """A page: the conventions, what each counting gives, and every figure with the reason where ours differs."""
    from ablations.statistics.rounding import NONE
    from report.numbers import plain

    parts = [f"# {TITLE}", summary(lines), "\n".join(f"- {plain(sentence)}" for sentence in CONVENTIONS)]
    rows: list[tuple[str, ...]] = [(score.kind, plain(score.words), f"{score.reproduced} of {score.of}") for score in counted]
    parts += ["## What each counting gives of the figures of the first part", _rows(("Figures", "Counting", "Reproduced"), rows)]
    for section, tables in _sections(lines):
        parts.append(f"## {plain(section)}")
        for title, own in tables:
            rows = [(*map(plain, _cells(line)), plain(line.sentence) or NONE) for line in own]
            parts += [f"### {plain(title)}", _rows((*HEADINGS, "Why not"), rows)]
    return "\n\n".join(parts) + "\n"


def _rows(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:

    from report import tables

    words = ("Network", "Quantity", "Agrees", "Why not", "Figures", "Counting")
    return tables.aligned(headings, list(rows), words)


def csv_text(lines: Sequence[Comparison]) -> str:
    """One line a figure: ours exactly where it is whole, else with six decimals, and the network as its recipe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("table", "title", "row", "metric", "published", "ours", "difference", "agrees", "why_not", "net", "image_size"))
    for line in lines:
        figure = line.figure
        numbers = (figure.printed, f"{line.ours:.6f}".removesuffix(".000000"), f"{line.difference:.6f}".removesuffix(".000000"))
        words = ("yes" if line.agrees else "no", line.sentence, canonical(dict(figure.subject.net)), figure.subject.size)
        writer.writerow((figure.table, figure.title, figure.row, figure.metric, *numbers, *words))
    return text.getvalue()


def _sections(lines: Sequence[Comparison]) -> list[tuple[str, list[tuple[str, list[Comparison]]]]]:
    """The figures by section and, in each, by table."""
    found = []
    for section, small in zip(SECTIONS, (False, True), strict=True):
        own = [line for line in lines if line.figure.small == small]
        found.append((section, [(title, list(group)) for title, group in groupby(own, key=lambda line: line.figure.title)]))
    return found
