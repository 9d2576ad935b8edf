"""Tables of runs as other programs write them: texts with the place where each run stands; what they mean is decided in ``judging``.

Three shapes hold no run a line and are turned: a chart of W&B (a column a curve), a chart of MLflow (a line a point), and a sheet with
a column a seed.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from senet_core.errors import InputError

SEPARATORS = (";", "\t", ",")
"""Tried in this order; the one that gives the header the most cells is taken."""
MLFLOW_CHART = ("run", "run id", "metric", "step", "timestamp", "value")


@dataclass(frozen=True)
class Run:
    """One run: where it stands ("line 7"), for messages, and its cells as text."""

    place: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Runs with the names of their cells. ``comma`` says that commas separate cells; ``notes`` are sentences on how it was read."""

    source: str
    columns: tuple[str, ...]
    runs: tuple[Run, ...]
    comma: bool = False
    notes: tuple[str, ...] = ()

    def column(self, index: int) -> tuple[str, ...]:
        """The texts of one column."""
        return tuple(run.cells[index] for run in self.runs)


def read_csv(path: Path) -> Table:
    """The runs of a CSV file: comma, semicolon or tab; UTF-8, UTF-16 or Windows-1252, with or without a byte order mark.

    :raises InputError: if it cannot be read, is no table, or its lines do not fit its header.
    """
    text = _text(path)
    start = re.match(r"sep=(.)\r?\n", text)  # Excel's own way to say it
    body, above = (text[start.end() :], 1) if start else (text, 0)
    separator = start[1] if start else _separator(body)
    lines = ((line + above, cells) for line, cells in _parsed(path, body, separator))
    header = next(lines, None)
    if header is None:
        raise InputError(f"'{path}' is empty.")
    columns = tuple(header[1])
    if len(columns) < 2:
        raise InputError(f"'{path}' has one column only, '{columns[0][:60]}'; its cells are to be separated by commas, semicolons or tabs.")
    runs = tuple(Run(f"line {line}", _fitted(path, line, cells, len(columns))) for line, cells in lines)
    if not runs:
        raise InputError(f"'{path}' has a header and no runs.")
    return run_a_line(Table(path.name, columns, runs, comma=separator == ","))


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror}.") from None
    if content.startswith(b"PK"):
        raise InputError(f"'{path}' is a spreadsheet or an archive; save its table as CSV.")
    encodings = ("utf-16",) if content.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise InputError(f"'{path}' is no text.")


def _separator(text: str) -> str:
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(SEPARATORS, key=lambda separator: len(next(csv.reader([header], delimiter=separator), [])))


def _parsed(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not blank, each with its number in the file (that of its first line, where a cell has several)."""
    csv.field_size_limit(sys.maxsize)  # trackers write whole configurations into a cell
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=separator != "\t", strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"'{path}', line {line}: the quotes are not those of a CSV file ({error}).") from None
        if any(cells):
            yield line, cells


def _fitted(path: Path, line: int, cells: Sequence[str], count: int) -> tuple[str, ...]:
    if any(cells[count:]):
        raise InputError(
            f"'{path}', line {line} has {len(cells)} cells and the header {count}. "
            "Numbers with a decimal comma need semicolons or tabs between the cells, or quotes around them."
        )
    return (*cells[:count], *[""] * (count - len(cells)))


# -- other shapes


def run_a_line(table: Table) -> Table:
    """The same runs with one line each.

    :raises InputError: for curves of groups, which are means: no seed can be told in them.
    """
    shapes: tuple[tuple[Callable[[Table], bool], Callable[[Table], Table]], ...] = (
        (_is_wandb_chart, _from_wandb_chart),
        (_is_mlflow_chart, _from_mlflow_chart),
        (_has_seeds_across, _from_seeds_across),
    )
    return next((turned(table) for fits, turned in shapes if fits(table)), table)


def _is_wandb_chart(table: Table) -> bool:
    return all(" - " in name for name in table.columns[1:])


def _from_wandb_chart(table: Table) -> Table:
    """Columns "RUN - METRIC", with "__MIN" and "__MAX" of each beside it; the last point of a curve is the run's value."""
    points: dict[tuple[str, int], dict[str, tuple[str, str]]] = {}
    names = table.columns
    for index, name in enumerate(names):
        run, separator, metric = name.rpartition(" - ")
        if not separator or metric.endswith(("__MIN", "__MAX")) or metric == "_step":
            continue
        if run.startswith("Group: "):
            raise InputError(f"'{table.source}': '{run}' is the mean of several runs; switch grouping off and export the table of runs.")
        end = next(((line.cells[0], line.cells[index]) for line in reversed(table.runs) if line.cells[index]), None)
        curve = points.setdefault((run, names[:index].count(name)), {})
        if end is not None:
            curve[metric] = end
    return _ends(table, {(run, f"the curve of '{run}'"): curve for (run, _), curve in points.items()}, names[0])


def _is_mlflow_chart(table: Table) -> bool:
    names = tuple(name.casefold() for name in table.columns)
    return names[1:] == MLFLOW_CHART[1:] and names[0] in ("run", "group")


def _from_mlflow_chart(table: Table) -> Table:
    """A line a point of a curve: run, its id, metric, step, time, value; the last point of a curve is the run's value."""
    if table.columns[0].casefold() == "group":
        raise InputError(f"'{table.source}' holds means of groups; switch grouping off and export again.")
    found: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    for line in table.runs:
        name, identity, metric, step, _, value = line.cells
        curve = found.setdefault((name, f"run {identity[:8]}"), {})
        if metric not in curve or _step(step) >= _step(curve[metric][0]):
            curve[metric] = (step, value)
    return _ends(table, found, "step")


def _step(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _ends(table: Table, curves: dict[tuple[str, str], dict[str, tuple[str, str]]], axis: str) -> Table:
    """A line a run with the last value of each of its curves; ``curves`` is {(name, place): {metric: (step, value)}}."""
    metrics = tuple(dict.fromkeys(metric for curve in curves.values() for metric in curve))
    runs = tuple(
        Run(place, (name, *(curve[metric][1] if metric in curve else "" for metric in metrics))) for (name, place), curve in curves.items()
    )
    notes = [f"The value of a run is the last point of its curve (along '{axis}')."]
    ends = sorted({step for curve in curves.values() for step, _ in curve.values()}, key=_step)
    if len(ends) > 1:
        notes.append(
            f"The curves end between {ends[0]} and {ends[-1]}, and a chart does not say which runs were cut short: "
            "the table of runs has their state."
        )
    return replace(table, columns=("Name", *metrics), runs=runs, notes=(*table.notes, *notes))


_SEED_COLUMN = re.compile(r"seeds?[\s_=#-]*(\d+)", re.IGNORECASE)


def _has_seeds_across(table: Table) -> bool:
    across = sum(bool(_SEED_COLUMN.fullmatch(name)) for name in table.columns)
    return across >= 2 and not any(re.split(r"[./]", name)[-1].casefold() == "seed" for name in table.columns)


def _from_seeds_across(table: Table) -> Table:
    """A line a variant with a column a seed; the numbers become the column "value"."""
    seeds = {index: found[1] for index, name in enumerate(table.columns) if (found := _SEED_COLUMN.fullmatch(name))}
    kept = [index for index in range(len(table.columns)) if index not in seeds]
    runs = tuple(
        Run(f"{run.place}, column '{table.columns[index]}'", (*(run.cells[other] for other in kept), seed, run.cells[index]))
        for run in table.runs
        for index, seed in seeds.items()
    )
    columns = (*(table.columns[index] for index in kept), "seed", "value")
    return replace(table, columns=columns, runs=runs, notes=(*table.notes, f"{len(seeds)} columns hold a seed each."))
