"""Names, sizes and times as Markdown text; numbers with their intervals are in ``ablations.statistics.rounding``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

from ablations.statistics.rounding import NONE
from report.glyphs import spelled

HOURS = 90
"""Minutes from which on a time is told in hours."""
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")


def line(text: object) -> str:
    """Any text as one line; characters that would steer what shows it (controls, turns of the direction of writing, halves of a
    character) are spelled by their code points."""
    found = " ".join(str(text).split())
    return spelled(found, _STEERING.findall(found))


def plain(text: object) -> str:
    """Any text as one line of Markdown that shows exactly these characters, also inside a table."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#|~!$&^])", r"\\\1", line(text))
    return re.sub(r"^\d+(?=[.)](?: |$))|^(?=[-+=])", r"\g<0>\\", escaped)  # what would begin a list or underline a heading


def macs_text(macs: int) -> str:
    """Multiply-adds in millions, "41.2 M"."""
    return f"{macs / 1e6:,.1f} M"


def widths_text(widths: Iterable[int]) -> str:
    """Hidden widths in the order of the network, repetitions once: "4, 8, 16"."""
    return ", ".join(str(width) for width, _ in groupby(widths)) or NONE


def time_text(minutes: float) -> str:
    """ "45 minutes", "3.5 hours"; never less than a minute."""
    if minutes < HOURS:
        return f"{max(1, round(minutes))} minute{'' if round(minutes) <= 1 else 's'}"
    return f"{minutes / 60:,.{1 if minutes < 600 else 0}f} hours"
