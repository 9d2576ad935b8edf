"""Numbered captions of a document's tables and figures, each to be understood by itself."""

from __future__ import annotations

from dataclasses import dataclass

from ablations.published import published
from ablations.statistics.comparison import FEWEST
from ablations.study import Study
from report.levels import confidence
from report.numbers import plain
from report.rows import Row, one_reference


@dataclass
class Captions:
    """Counts through a document; ``report.markup`` knows its captions by how they begin."""

    tables: int = 0
    figures: int = 0

    def table(self, text: str) -> str:
        """The caption above the next table."""
        self.tables += 1
        return f"**Table {self.tables}:** {text}"

    def figure(self, text: str) -> str:
        """The caption below the next figure."""
        self.figures += 1
        return f"**Figure {self.figures}:** {text}"


def images_text(study: Study) -> str:
    """The images that errors were counted on: "10,000 test images of CIFAR-10"."""
    side = "held-out" if study.images.evaluated_on == "holdout" else "test"
    return f"{study.images.evaluated:,} {side} images of {plain(study.images.label)}"


def errors_caption(study: Study, rows: list[Row]) -> str:
    """Of the table of errors."""
    shared, table = one_reference(rows), published(study.table)
    told = f"{plain(study.title)}: top-1 error on the {images_text(study)}, mean over n seeds with its 95 % Student-t interval"
    if len(rows) > 1 and not (study.crossed and all(row.comparison is None for row in rows)):
        other = f'"{plain(shared)}"' if shared is not None else "each variant's own reference"
        told += f", and difference to {other}, paired by seed, with Bonferroni's {confidence(study.planned_looks)} intervals"
        told += f" (from {FEWEST} pairs of seeds on)"
    return f"{told}." + (f" The paper's columns: {plain(table.network)} on {plain(table.data)}." if table is not None else "")


def comparisons_caption(study: Study) -> str:
    """Of the table of all comparisons."""
    return (
        f"{plain(study.title)}: every declared comparison, with the 95 % paired-t interval of each for itself, its p, Holm's p, and the "
        f"verdict at δ = {study.delta:g} points."
    )


def effects_caption(study: Study) -> str:
    """Of the table of main effects."""
    return (
        f"{plain(study.title)}: what each level does to the top-1 error on the {images_text(study)}, averaged over all levels of the other "
        f"factors, with Bonferroni's {confidence(study.planned_looks)} intervals (from {FEWEST} seeds on) and the verdict at "
        f"δ = {study.delta:g} points."
    )


def interactions_caption(study: Study) -> str:
    """Of the table of interactions."""
    return (
        f"{plain(study.title)}: what two levels do together beyond the sum of what each does, with Bonferroni's "
        f"{confidence(study.planned_looks)} intervals and the verdict at δ = {study.delta:g} points."
    )


def sources_caption(study: Study, seeds: int) -> str:
    """Of the table of where the variance lies."""
    cells = sum(bool(variant.levels) for variant in study.variants)
    return f"{plain(study.title)}: where the variance of {cells} cells at {seeds} complete seed{'' if seeds == 1 else 's'} lies."


IMAGES = "What seeds and evaluation images add to the uncertainty of the reference's error and of each difference."
SOURCES = "Standard deviation of the error over seeds that move one random stream, all others standing still, with 95 % intervals."
SIGNAL = "Scale of the signal before the first step, and dead gates."
KEYS = "Every trial by its key."
