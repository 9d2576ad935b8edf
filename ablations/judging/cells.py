"""What the cells of other programs' tables mean: numbers with either decimal sign, seeds, and states of runs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Literal

from senet_core.errors import InputError

State = Literal["ended", "diverged", "unfinished"]

EMPTY = frozenset(("", "-", "–", "—", "?", "na", "n/a", "#n/a", "null", "none", "missing"))
DIVERGED = frozenset(("nan", "inf", "infinity", "∞", "diverged"))
STATES: dict[str, State] = {
    **dict.fromkeys(("finished", "done", "completed", "complete", "success", "succeeded", "ok"), "ended"),
    **dict.fromkeys(("diverged", "nan"), "diverged"),
    **dict.fromkeys(("failed", "crashed", "killed", "running", "scheduled", "pending", "queued", "preempted", "preempting"), "unfinished"),
    **dict.fromkeys(("error", "interrupted", "aborted", "cancelled", "canceled", "timeout", "damaged", "missing"), "unfinished"),
}
"""The words of W&B (finished, crashed, failed, killed, running, pending), of MLflow (FINISHED, FAILED, KILLED, RUNNING, SCHEDULED), of
this project's mirror (done, diverged, failed, interrupted, running), and those of sheets."""

_MANTISSA = r"\d+[.,]?\d*|[.,]\d+|\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d{1,3}(?:\.\d{3})+(?:,\d*)?"
_NUMBER = re.compile(rf"[+-]?({_MANTISSA})(e[+-]?\d+)?(%?)", re.IGNORECASE)
_SPACED = re.compile(r"[+-]?\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?:[.,]\d+)?(?!\d)")
_SEED = re.compile(r"([+-]?\d+)(?:[.,]0+)?")


def clean(text: str) -> str:
    """A cell without what programs put around numbers: spaces that group thousands, a typographic minus, MLflow's quote before a sign."""
    text = text.strip().replace("−", "-")
    text = text[1:] if re.match(r"'[-+=@]", text) else text
    text = re.sub(r"(?<=\d)\s+%$", "%", text)
    return re.sub(r"\s", "", text) if _SPACED.fullmatch(text) else text


def seed_name(text: str) -> str:
    """A seed as all tables write it: "3" for 3, 3.0 and 003, "-1" for −1; words stay words."""
    found = _SEED.fullmatch(clean(text))
    return str(int(found[1])) if found else " ".join(text.split())


def number_like(texts: Sequence[str]) -> int:
    """How many of the cells are numbers."""
    return sum(_NUMBER.fullmatch(clean(text)) is not None for text in texts)


def numbers(texts: Sequence[str], places: Sequence[str], column: str, comma: bool) -> list[float | None]:
    """The numbers of one column: None for an empty cell, NaN for a run that diverged (nan, inf, "diverged").

    The decimal sign is that of the whole column. ``comma`` says that the file's cells are separated by commas: "1,234" is then not clear.
    ``places`` say in a message where a cell stands.

    :raises InputError: for a cell that is no number, or where the decimal sign is not clear.
    """
    cells = [clean(text) for text in texts]
    found = []
    for cell, place in zip(cells, places, strict=True):
        match = _NUMBER.fullmatch(cell)
        if match is not None:
            found.append(match)
        elif not _word(cell):
            raise InputError(f"'{cell[:40]}' is no number (column '{column}', {place}).")
    if len({match[3] for match in found}) > 1:
        raise InputError(f"Column '{column}' has numbers with and without a percent sign.")
    decimal = _decimal([match[1] for match in found], column, comma)
    return [_value(cell, decimal) for cell in cells]


def _word(cell: str) -> bool:
    return cell.casefold() in EMPTY or cell.casefold().lstrip("+-") in DIVERGED


def _value(cell: str, decimal: str) -> float | None:
    if cell.casefold() in EMPTY:
        return None
    if _word(cell):
        return math.nan
    plain = cell.rstrip("%").replace("," if decimal == "." else ".", "")
    value = float(plain.replace(decimal, "."))
    return value if math.isfinite(value) else math.nan


def _decimal(mantissas: Sequence[str], column: str, comma: bool) -> str:
    """The decimal sign that all mantissas agree on, "." where none has any."""
    clear: dict[str, str] = {}
    unclear: dict[str, str] = {}
    for text in mantissas:
        signs = [sign for sign in text if sign in ".,"]
        if not signs:
            continue
        if len(set(signs)) == 2:  # the last one is the decimal sign, the others group thousands
            clear[signs[-1]] = text
        elif len(signs) > 1:
            clear["." if signs[0] == "," else ","] = text
        else:
            (unclear if re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", text) else clear)[signs[0]] = text
    told = clear | {sign: text for sign, text in unclear.items() if sign not in clear}
    if len(told) == 2:
        raise InputError(
            f"Column '{column}' has '{told['.']}' and '{told[',']}': write one decimal sign throughout and leave thousands ungrouped."
        )
    if comma and not clear and "," in unclear:
        raise InputError(
            f"'{unclear[',']}' in column '{column}' may have a decimal comma or be in thousands; write it with a point, or plain."
        )
    return next(iter(told), ".")
