"""The error tables of the paper, as it prints them (arXiv 1709.01507 v4), from ``published.csv``; row order is the paper's.

Tables 10 to 16 name one network in their caption; tables 4 and 5 compare several, so there each row names its own.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType

from senet_core.errors import unknown


@dataclass(frozen=True)
class PublishedRow:
    """One row; ``values`` maps a metric (top1_err and top5_err in percent, params_m in millions, gflops) to its printed text."""

    name: str
    network: str
    values: Mapping[str, str]

    @property
    def error(self) -> Decimal:
        """Top-1 error in percent, with the digits that are printed."""
        return Decimal(self.values["top1_err"])


@dataclass(frozen=True)
class PublishedTable:
    """One table: its id ("T10"), its subject, the data its errors were measured on, and its rows in the paper's order."""

    table: str
    title: str
    data: str
    network: str
    rows: tuple[PublishedRow, ...]

    def row(self, name: str) -> PublishedRow:
        """The row of that name.

        :raises InputError: if the table has none.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise unknown(f"row of the paper's table {self.table}", name, self.names())

    def names(self) -> list[str]:
        """The names of the rows, in order."""
        return [row.name for row in self.rows]

    def difference(self, row: str, reference: str) -> Decimal:
        """The top-1 error of one row less that of another, in percentage points.

        :raises InputError: if the table lacks one of them.
        """
        return self.row(row).error - self.row(reference).error


def published(table: str | None) -> PublishedTable | None:
    """A table by its id; None for a suite that redraws none.

    :raises InputError: for an id that is not in ``published.csv``.
    """
    if table is None:
        return None
    tables = _tables()
    if table not in tables:
        raise unknown("published table", table, tables)
    return tables[table]


@cache
def _tables() -> dict[str, PublishedTable]:
    with Path(__file__).with_name("published.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return {
        table: _table(table, [line for line in lines if line["table"] == table]) for table in dict.fromkeys(line["table"] for line in lines)
    }


def _table(table: str, lines: list[dict[str, str]]) -> PublishedTable:
    names = dict.fromkeys(line["row"] for line in lines)
    rows = tuple(_row(name, [line for line in lines if line["row"] == name]) for name in names)
    networks = {row.network for row in rows}
    network = networks.pop() if len(networks) == 1 else "several networks"
    return PublishedTable(table, lines[0]["title"], lines[0]["data"], network, rows)


def _row(name: str, lines: list[dict[str, str]]) -> PublishedRow:
    return PublishedRow(name, lines[0]["network"], MappingProxyType({line["metric"]: line["value"] for line in lines}))
