"""What the word behind an option means: counts, ranges, percentage points, seeds; each refuses what it is not, and says what it takes."""

from __future__ import annotations

import argparse
import math
import re
from typing import Literal


def count(text: str) -> int:
    """A count of seeds or threads.

    :raises argparse.ArgumentTypeError: unless it is a whole number from 1 to 1000.
    """
    return _whole_number(text, 1, "count from 1 to 1000 (seeds themselves are named by --seed-list 0,1,2)")


def workers(text: str) -> int | Literal["auto"]:
    """How many trials are trained at a time.

    :raises argparse.ArgumentTypeError: unless it is a whole number from 1 to 1000, or "auto".
    """
    return "auto" if text == "auto" else _whole_number(text, 1, "number of trials from 1 to 1000, and not auto")


def pixels(text: str) -> int:
    """The side of an image.

    :raises argparse.ArgumentTypeError: unless it is a whole number from 1 to 1000.
    """
    return _whole_number(text, 1, "size of an image from 1 to 1000 pixels")


def points(text: str) -> float:
    """A noise or a half-width in percentage points of error.

    :raises argparse.ArgumentTypeError: unless it is a number above 0 and up to 100.
    """
    return _above_zero(text, "number of percentage points", 100)


def minutes(text: str) -> float:
    """How long a run may take.

    :raises argparse.ArgumentTypeError: unless it is a number above 0.
    """
    return _above_zero(text, "number of minutes")


def budget(text: str) -> int:
    """How many settings are tried.

    :raises argparse.ArgumentTypeError: unless it is a whole number from 2 to 1000.
    """
    return _whole_number(text, 2, "budget: a number of settings from 2 to 1000, the recipe's own among them")


def span(text: str) -> tuple[float, float]:
    """A range, or one value as one whose ends are equal.

    :raises argparse.ArgumentTypeError: unless both ends are numbers above 0, the smaller first.
    """
    ends = text.split(",")
    try:
        low, high = float(ends[0]), float(ends[-1])
    except ValueError:
        low = high = 0.0
    if len(ends) > 2 or not 0 < low <= high < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is no range LOW,HIGH of numbers above 0, the smaller first, nor one such number")
    return low, high


def whole(text: str) -> int:
    """A number that may be none.

    :raises argparse.ArgumentTypeError: unless it is a whole number from 0.
    """
    return _whole_number(text, 0, "whole number from 0", math.inf)


def share(text: str) -> float:
    """A part of a GPU.

    :raises argparse.ArgumentTypeError: unless it is a number above 0 and up to 1.
    """
    return _above_zero(text, "part of a GPU", 1)


def margin(text: str) -> float:
    """A difference that does not matter, in the metric's own unit.

    :raises argparse.ArgumentTypeError: unless it is a number above 0.
    """
    return _above_zero(text, "number")


def _whole_number(text: str, least: int, what: str, most: float = 1000) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"'{text}' is no {what}")
    return int(text)


def _above_zero(text: str, what: str, most: float | None = None) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf or (most is not None and number > most):
        limit = "" if most is None else f" and up to {most:g}"
        raise argparse.ArgumentTypeError(f"'{text}' is no {what} above 0{limit}")
    return number


def condition(text: str) -> tuple[str, str]:
    """A column and the value that a run must have in it.

    :raises argparse.ArgumentTypeError: unless there is an equals sign between them.
    """
    column, equals, value = text.partition("=")
    if not column or not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is no COLUMN=VALUE")
    return column.strip(), value.strip()


def device(text: str) -> str:
    """A device by name; whether it is there is asked when something is to be trained.

    :raises argparse.ArgumentTypeError: unless it is auto, cpu, cuda or cuda:N.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no device; it takes auto, cpu, cuda, or cuda:0, cuda:1, …")
    return text


def seed_list(text: str) -> list[int]:
    """Seeds by name.

    :raises argparse.ArgumentTypeError: unless they are different whole numbers with commas between them.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts) or len({int(part) for part in parts}) < len(parts):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of different whole numbers like 0,1,2")
    return [int(part) for part in parts]
