"""Numbered captions of a document's tables and figures, each to be understood by itself."""

from __future__ import annotations

from dataclasses import dataclass

from ablations.published import published
from ablations.statistics.comparison import FEWEST
from ablations.study import Study
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
    if len(rows) > 1:
        other = f'"{plain(shared)}"' if shared is not None else "each variant's own reference"
        told += f", and difference to {other}, paired by seed, with simultaneous 95 % intervals"
        told += f" (from {FEWEST} pairs of seeds on)"
    return f"{told}." + (f" The paper's columns: {plain(table.network)} on {plain(table.data)}." if table is not None else "")


def comparisons_caption(study: Study) -> str:
    """Of the table of all comparisons."""
    return (
        f"{plain(study.title)}: every declared comparison, with the 95 % paired-t interval of each for itself, its p, Holm's p, and the "
        f"verdict at δ = {study.delta:g} points."
    )


IMAGES = "What seeds and evaluation images add to the uncertainty of the reference's error and of each difference."
SOURCES = "Standard deviation of the error over seeds that move one random stream, all others standing still, with 95 % intervals."
SIGNAL = "Scale of the signal before the first step, and dead gates."
KEYS = "Every trial by its key."
