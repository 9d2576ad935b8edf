"""The interaction plot of crossed factors: the mean error over the levels of one, a line for each level of another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, cycle
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ablations.statistics.factorial import common
from ablations.statistics.verdicts import cells
from report.figures import COLOURS, DASHES, LEAST_SPAN
from report.names import height, legend_name, wrapped
from report.pareto import MARKERS
from report.rows import Reading

ACROSS, WIDEST = 3, 14
"""Panels beside each other, and the characters in a line of a level's name."""


@dataclass(frozen=True)
class Panel:
    """Two factors: mean errors (%) over the ``levels`` of ``across``, in ``lines`` for each level of ``by``."""

    across: str
    levels: tuple[str, ...]
    by: str
    lines: Mapping[str, tuple[float, ...]]


def crossed_panels(reading: Reading) -> list[Panel]:
    """A panel for every two crossed factors, the one with more levels across; empty where no seed has all cells."""
    crossed, of_cells = reading.study.crossed, cells(reading.study, reading.arms)
    seeds = common(of_cells.values()) if of_cells else []
    if not seeds:
        return []

    def mean(*levels: str) -> float:
        return fmean(arm.values[seed] for cell, arm in of_cells.items() if {*levels} <= {*cell} for seed in seeds)

    found = []
    for pair in combinations(crossed, 2):
        by, across = sorted(pair, key=lambda factor: len(factor.levels))
        lines = {level: tuple(mean(level, other) for other in across.levels) for level in by.levels}
        found.append(Panel(across.name, across.levels, by.name, lines))
    return found


def interactions_figure(panels: Sequence[Panel], label: str) -> Figure:
    """A figure with an ``interaction`` for each panel, on one scale of errors; made inside ``report.figures.style``."""
    columns = min(ACROSS, len(panels))
    rows = math.ceil(len(panels) / columns)
    legend = max(height([legend_name(name, WIDEST) for name in (panel.by, *panel.lines)]) for panel in panels)
    figure = Figure(figsize=(2.4 * max(columns, 2), rows * (2.4 + legend)), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for place, ax in enumerate(axes.flat):
        if place < len(panels):
            interaction(ax, panels[place])
        else:
            ax.set_visible(False)
    for row in axes:
        row[0].set_ylabel(label)
    low, high = axes[0][0].get_ylim()
    missing = max(0.0, LEAST_SPAN - (high - low))
    axes[0][0].set_ylim(low - missing / 2, high + missing / 2)
    return figure


def interaction(ax: Axes, panel: Panel) -> Axes:
    """One panel. Colour, dashes and marker each tell the lines apart, so that two of them may be lost in print."""
    at = range(len(panel.levels))
    for (level, means), colour, dashes, marker in zip(panel.lines.items(), cycle(COLOURS), cycle(DASHES), cycle(MARKERS), strict=False):
        ax.plot(at, means, marker=marker, color=colour, linestyle=dashes, linewidth=1.5, markersize=5, label=legend_name(level, WIDEST))
    ax.set_xticks(list(at), [wrapped(level, WIDEST) for level in panel.levels])
    ax.margins(x=0.18, y=0.08)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.grid(axis="y")
    ax.set_xlabel(wrapped(panel.across))
    ax.legend(
        title=wrapped(panel.by, WIDEST), alignment="left", loc="lower left", bbox_to_anchor=(0, 1.02), borderaxespad=0, handlelength=3.2
    )
    return ax
