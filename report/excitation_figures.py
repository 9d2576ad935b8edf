"""The figures of the role of excitation: gates by class, their spread by depth, and the error without them. Made inside ``style``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ablations.excitation import Look
from ablations.excitation_claims import Findings
from ablations.statistics.comparison import FEWEST, Comparison
from report.figures import BLUE, COLOURS, DASHES, GREY, RED, interval_line
from report.names import legend_name
from senet_core.class_gates import HIGH, LOW, ClassGates

CHANNELS = 50
"""Channels of a block that are drawn, evenly spaced, as in the paper's Figure 6."""
CLASSES = 10
"""Classes up to which all are drawn; of more, four, as in the paper."""
BLOCKS = 9
"""Blocks up to which all are drawn by class; of more, those that stand for the paper's."""


def label(block: ClassGates) -> str:
    """A block by its stage and unit: "3.2"."""
    return f"{block.stage}.{block.unit}" if block.stage else block.unit


def drawn_classes(count: int) -> list[int]:
    """Which classes are drawn."""
    return list(range(count)) if count <= CLASSES else [round(place) for place in np.linspace(0, count - 1, 4)]


def drawn_blocks(blocks: Sequence[ClassGates]) -> list[ClassGates]:
    """Which blocks are drawn by class: all of a few; else the last one of each stage but the last, and of that its first and last two."""
    if len(blocks) <= BLOCKS:
        return list(blocks)
    stages = [[block for block in blocks if block.stage == stage] for stage in sorted({block.stage for block in blocks})]
    chosen = [stage[-1] for stage in stages[:-1]] + [stages[-1][0], *stages[-1][1:][-2:]]
    return [block for block in blocks if block in chosen][-BLOCKS:]


def classes_figure(look: Look, classes: Sequence[str]) -> Figure:
    """The mean gate of each class over channels, a field for each block; the heavy line is the mean over all images."""
    blocks, places = drawn_blocks(look.gates), drawn_classes(len(classes))
    rows = -(-len(blocks) // 3)
    figure = Figure(figsize=(7.2, 1.1 + 1.75 * rows), layout="constrained")
    fields = figure.subplots(rows, min(3, len(blocks)), squeeze=False, sharey=True)
    for field in fields.flat[len(blocks) :]:
        field.set_visible(False)
    for field, block in zip(fields.flat, blocks, strict=False):
        lines = _classes(field, block, places)
    for row in fields:
        row[0].set_ylabel("Mean gate")
    names = [legend_name(classes[place], 20) for place in places] + [" mean of all images"]
    figure.legend(lines, names, loc="outside lower center", ncols=min(6, len(names)), handlelength=2.4, columnspacing=1.2)
    return figure


def _classes(ax: Axes, block: ClassGates, places: Sequence[int]) -> list[Line2D]:
    channels = np.unique(np.linspace(0, block.channels - 1, min(CHANNELS, block.channels)).round().astype(int))
    lines: list[Line2D] = ax.plot(channels, block.average[channels], color="black", linewidth=1.8)
    for place, colour, dashes in zip(places, cycle(COLOURS[:-1]), cycle(DASHES), strict=False):  # black is the mean's
        lines += ax.plot(channels, block.mean[place][channels], color=colour, linestyle=dashes, linewidth=0.9)
    ax.set_title(f"Block {label(block)}, {block.channels} channels", fontsize=9)
    ax.set_xlabel("Channel")
    ax.grid(axis="y")
    return [*lines[1:], lines[0]]


def depth_figure(looks: Sequence[Look]) -> Figure:
    """By depth: the share of variance between classes, the spread within a class, and saturation; a dot a seed, a line through means."""
    blocks = looks[0].gates
    shares = np.array([[100 * (block.share or 0.0) for block in look.gates] for look in looks])
    within = np.array([[100 * block.within for block in look.gates] for look in looks])
    ends = [[block.saturated for block in look.gates] for look in looks]
    saturated = None if any(end is None for row in ends for end in row) else np.array(ends, dtype=np.float64) * 100
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    fields = figure.subplots(1, 2 if saturated is None else 3)
    _by_depth(fields[0], shares, BLUE, "o", "Variance between classes (%)")
    limits = [[100 * limit for block in look.gates if (limit := _limit(look, block.path)) is not None] for look in looks]
    if all(len(row) == len(blocks) for row in limits):
        fields[0].plot(np.mean(limits, axis=0), "_", color=RED, markersize=10, label="shuffled labels, 95 % point")
        fields[0].legend(loc="upper left", fontsize=7.5)
    _by_depth(fields[1], within, BLUE, "o", "SD within a class (gate × 100)")
    if saturated is not None:
        _by_depth(fields[2], saturated[..., 0], BLUE, "o", "Saturated gates (%)", f"below {LOW:g}")
        _by_depth(fields[2], saturated[..., 1], RED, "s", "Saturated gates (%)", f"above {HIGH:g}")
        fields[2].legend(loc="upper left", fontsize=7.5)
    for field in fields:
        step = -(-len(blocks) // 9)
        field.set_xticks(range(0, len(blocks), step), [label(block) for block in blocks[::step]])
        field.set_xlabel("Block (stage.unit)")
        field.set_ylim(0, 1.15 * field.get_ylim()[1])  # room for the legend
        field.grid(axis="y")
    return figure


def _limit(look: Look, path: str) -> float | None:
    found = look.block(path)
    return found.limit if found else None


def _by_depth(ax: Axes, values: NDArray[np.float64], colour: str, marker: str, name: str, of: str | None = None) -> None:
    """``values`` (seeds, blocks)."""
    for row in values:
        ax.plot(row, marker, color=colour, alpha=0.5, markersize=4, mew=0)
    ax.plot(values.mean(0), color=colour, linewidth=1.2, label=of)
    ax.set_ylabel(name)


def knockout_figure(looks: Sequence[Look], found: Findings, delta: float) -> Figure:
    """How much the error changes without a block's own gates: a dot a seed, and the mean over paired seeds with its intervals (thick: for
    itself; thin: together with all others) over the band ±δ. The axis follows the dots; below three seeds there are no intervals."""
    measured = [block for block in looks[0].gates if found.knockout(block.path, "mean") is not None]
    names = {(block.path, how): f"{label(block)} {_HOW[how]}" for block in measured for how in _HOW}
    dots = {line: _changes(looks, *line) for line in names}
    compared = {line: found.knockout(*line) for line in names}
    own = [end for one in compared.values() if one and one.n >= FEWEST for end in (one.own.low, one.own.high) if end is not None]
    low = min([-delta, *(value for values in dots.values() for value in values)])
    high = max([delta, *(value for values in dots.values() for value in values)])
    span = high - low
    limits = max(min([low, *own]), low - span / 2) - 0.04 * span, min(max([high, *own]), high + span / 2) + 0.04 * span
    figure = Figure(figsize=(7.2, 1.2 + 0.3 * len(names)), layout="constrained")
    ax: Axes = figure.subplots()
    ax.axvspan(-delta, delta, color="#EEEEEE", linewidth=0, zorder=0)
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0.5)
    cut = [_change(ax, place, line[1], dots[line], compared[line], limits) for place, line in enumerate(names)]
    ax.set(xlim=limits, ylim=(len(names) - 0.5, -0.5))
    ax.set_yticks(range(len(names)), list(names.values()))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    note = "\narrow: the interval goes on beyond the axis" if any(cut) else ""
    ax.set_xlabel(f"Change of the top-1 error without the block's own gates (points)\nband: ±{delta:g}{note}")
    return figure


_HOW = {"mean": "mean", "shuffled": "other image's"}


def _changes(looks: Sequence[Look], path: str, how: str) -> list[float]:
    """The change of the error of each seed that was knocked out."""
    found = [(look.record, look.block(path)) for look in looks]
    errors = [(record.error, block.mean if how == "mean" else block.shuffled) for record, block in found if record and block]
    return [without - error for error, without in errors if without is not None]


def _change(ax: Axes, y: float, how: str, dots: Sequence[float], one: Comparison | None, limits: tuple[float, float]) -> bool:
    """One line of the figure; returns whether an interval goes on beyond the axis."""
    colour, marker = (BLUE, "s") if how == "mean" else (RED, "D")
    ax.plot(dots, [y - 0.22] * len(dots), "o", color=colour, alpha=0.5, markersize=4, mew=0)
    if one is None or one.mean is None:
        return False
    cut = False
    if one.n >= FEWEST and one.all.low is not None and one.all.high is not None and one.own.low is not None and one.own.high is not None:
        cut = interval_line(ax, (one.all.low, one.all.high), y, colour, limits, 0.9)
        ends = max(one.own.low, limits[0]), min(one.own.high, limits[1])
        ax.plot(ends, [y, y], color=colour, linewidth=3, solid_capstyle="butt")
    ax.plot([one.mean], [y], marker, color=colour, markersize=6, mec="white", mew=0.8, zorder=3)
    return cut
