"""A network layer by layer on a terminal. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from senet_core.cost import NetworkCost
    from senet_core.describe import Line

HEADINGS = (" ", "path", "kind", "output", "parameters", "multiply-adds", "hidden width")


def print_description(console: Console, title: str, lines: Sequence[Line], cost: NetworkCost) -> None:
    """One line a layer, the blocks marked, the totals last; then how many blocks there are, by hidden width."""
    rows = [HEADINGS, *map(_cells, lines)]
    rows.append(("", "total", "", "", f"{cost.parameters:,}", f"{cost.macs:,}", "/".join(map(str, cost.hidden_widths))))
    styles = ["dim", *("green" if line.block else "" for line in lines), "bold"]
    console.print(title, style="bold", highlight=False, markup=False, soft_wrap=True)
    for text, style in zip(aligned(rows, right=(4, 5, 6)), styles, strict=True):
        console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)
    console.print(blocks_text(lines), highlight=False, markup=False, soft_wrap=True)


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    """Rows of cells in columns as wide as their content, some of them to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [">" if place in right else "<" for place in range(len(widths))]
    return ["  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip() for row in rows]


def _cells(line: Line) -> tuple[str, ...]:
    width = "" if line.hidden_width is None else str(line.hidden_width)
    shape = "x".join(map(str, line.shape))
    return "*" if line.block else "", line.path, line.kind, shape, f"{line.parameters:,}", f"{line.macs:,}", width


def blocks_text(lines: Sequence[Line]) -> str:
    """How many blocks there are and of which hidden widths: "16 blocks (*), of hidden width 16 (3 times), 32 (4 times)."."""
    blocks = [line for line in lines if line.block]
    widths = Counter(line.hidden_width for line in blocks if line.hidden_width is not None)
    told = ", ".join(f"{width} ({times} times)" for width, times in widths.items())
    number = f"{len(blocks)} block{'' if len(blocks) == 1 else 's'} (*)" if blocks else "No block"
    return f"{number}{f', of hidden width {told}' if told else ''}. Multiply-adds are of one image; what has no parameters has no line."
