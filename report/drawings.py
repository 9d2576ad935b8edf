"""The figures of a study's page: which there are, what they show in words, and the drawn files."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from matplotlib.figure import Figure

from ablations.statistics.comparison import FEWEST
from ablations.statistics.verdicts import rule
from report.figures import Drawing, curves_figure, differences_figure, dots_figure, drawn, style
from report.interaction_figure import crossed_panels, interactions_figure
from report.levels import level_text
from report.numbers import plain
from report.pareto import pareto_figure
from report.rows import Reading
from report.seeds_needed import deviation, seeds_needed_figure
from report.tables import error_name


@dataclass(frozen=True)
class Shown:
    """A figure of a page: the name of its file without the ending, what it shows for who cannot see it, its caption, the drawing."""

    stem: str
    alt: str
    caption: str
    drawing: Drawing


def drawings(reading: Reading, formats: Collection[str]) -> dict[str, Shown]:
    """Draw what there is to draw, by its stem, as these formats need it; nothing where none of them shows pictures."""
    if not set(formats) & {"md", "html", "pdf"}:
        return {}
    with style():
        return {stem: Shown(stem, alt, caption, drawn(make(), formats)) for stem, alt, caption, make in _figures(reading)}


def _figures(reading: Reading) -> list[tuple[str, str, str, Callable[[], Figure]]]:
    rows, curves, study = reading.rows(), reading.curves(), reading.study
    label, delta, title = error_name(study), f"{study.delta:g}", plain(study.title)
    found: list[tuple[str, str, str, Callable[[], Figure]]] = []
    if any(row.errors for row in rows):
        caption = f"{title}: each dot is a seed; the square or diamond is their mean with its 95 % interval."
        found.append(("errors", "Top-1 error of every variant, seed by seed", caption, lambda: dots_figure(rows, label)))
    sizes = {row.parameters for row in rows if row.error.mean is not None and row.same_as is None}
    if len(sizes) > 2:
        caption = f"{title}: mean error and its 95 % interval against the number of parameters; no variant beats those on the line in both."
        found.append(("pareto", "Top-1 error against parameters", caption, lambda: pareto_figure(rows, label)))
    compared = [one for one in reading.verdicts.comparisons.found if one.mean is not None and one.n >= FEWEST]
    if compared:
        caption = (
            f"{title}: difference in top-1 error, the mean over paired seeds, its own 95 % interval (thick), the interval of the family "
            f"(thin), and ±{delta}, the difference that does not matter (band)."
        )
        found.append(("differences", "Differences with their intervals", caption, lambda: differences_figure(compared, study.delta)))
    spread = None if study.crossed else deviation(compared)  # effects average over different numbers of cells, and have no common spread
    if spread is not None:
        family, looks, now = reading.verdicts.comparisons.family, study.planned_looks, reading.pairs
        alpha = rule(study).alpha / looks
        parted = f" and at a level of {level_text(looks)}" if looks > 1 else ""
        caption = (
            f"{title}: seeds that a true difference would take to be seen with 80 % power, at the spread seen so far (standard deviation "
            f"of a difference: {spread:.2g} points), among {family} comparisons{parted}."
        )
        make = lambda: seeds_needed_figure(spread, family, study.delta, now, alpha)  # noqa: E731
        found.append(("seeds", "Seeds needed against the true difference", caption, make))
    if panels := crossed_panels(reading):
        caption = (
            f"{title}: mean error over the levels of one factor, a line for each level of another, averaged over all other factors and the "
            "seeds at which every cell has finished. Parallel lines add up."
        )
        alt = "Mean error over the levels of each factor by those of each other"
        found.append(("interactions", alt, caption, lambda: interactions_figure(panels, label)))
    if curves:
        caption = f"{title}: training error after each epoch: the mean over seeds, and a band from the least to the greatest."
        found.append(("curves", "Training error of every variant, epoch by epoch", caption, lambda: curves_figure(curves, study.reference)))
    return found
