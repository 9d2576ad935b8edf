"""A judgement in words and numbers, for the page and for a terminal: the answer, the lines of the table, the notes.

The numbers come from elsewhere and keep their own unit (``ablations.statistics.own_unit``).
"""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len

from ablations.judging.judge import Judgement
from ablations.statistics.comparison import FEWEST, Arm, Comparison
from ablations.statistics.estimation import Estimate, interval
from ablations.statistics.own_unit import decimals, difference_text, estimate_text, rounded_up
from ablations.statistics.rounding import NONE, interval_text, number, p_text, spoken_for
from report.levels import open_ends, together
from report.numbers import plain

Escape = Callable[[str], str]
"""What makes a name of the table safe where it is shown."""
ORDER = ("worse", "better", "worse but negligible", "better but negligible", "equivalent", "open")


def line(text: str) -> str:
    """Any text as one line for a terminal: characters that would steer it are shown as a sign."""
    return "".join(sign if sign.isprintable() else "�" for sign in " ".join(text.split()))


def escaped(text: str) -> str:
    """Any text as one line of Markdown that shows exactly its own characters, steering ones as a sign."""
    return plain(line(text))


def text(judgement: Judgement) -> str:
    """The answer, the table and what was read, for a terminal."""
    rows = [headings(judgement, line), *(cells(judgement, name, line) for name in judgement.arms)]
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ["  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    told = [*reasons(judgement, line), *map(line, (*judgement.holes, *notes(judgement), *judgement.reading))]
    ends = open_ends(judgement.comparisons.found)
    return "\n".join([answer(judgement, line), "", *table, "", *([ends] if ends else []), *told])


# -- the answer


def answer(judgement: Judgement, escape: Escape) -> str:
    """The reference's mean and every variant by its verdict, with its difference and interval, in one sentence."""
    name, arm = escape(judgement.reference), judgement.arms[judgement.reference]
    opening = f"{escape(judgement.metric)} of the reference {name} is {estimate_text(interval(arm.values.values()))} (n = {count(arm)})"
    if not arm.values:
        opening = f"The reference {name} has no finished run ({count(arm)})"
    groups: dict[str, list[str]] = {word: [] for word in (*ORDER, "no verdict")}
    for one in judgement.comparisons.found:
        groups[one.word or "no verdict"].append(f"{escape(one.variant)} ({_behind(one)})")
    told = "; ".join(f"{_group(word, judgement.delta)}: {', '.join(texts)}" for word, texts in groups.items() if texts)
    return f"{opening}, and {'lower' if judgement.lower_is_better else 'higher'} is better. Against it: {told}."


def _behind(one: Comparison) -> str:
    """What a verdict rests on: the difference, and before it the diverged seeds where they may have decided."""
    if one.divergence is None or (one.mean is not None and not one.settled):
        return shown_text(one)
    return f"{_rates(one)}; {shown_text(one)}" if one.n >= FEWEST else _rates(one)


def _group(word: str, delta: float | None) -> str:
    return f"equivalent within ±{delta:g}" if word == "equivalent" else word


def count(arm: Arm) -> str:
    """How many seeds are averaged, and how many diverged: "4, 1 diverged"."""
    return f"{len(arm.values)}" + (f", {len(arm.diverged)} diverged" if arm.diverged else "")


# -- the table


def headings(judgement: Judgement, escape: Escape, own: bool = False) -> tuple[str, ...]:
    """The heads of the columns, on request with that of each difference's interval for itself."""
    reference = f"Difference to {escape(judgement.reference)}"
    return "Variant", "n", escape(judgement.metric), reference, *_only(own, "95 % for itself"), "p (Holm)", "Smallest δ", "Verdict"


def cells(judgement: Judgement, name: str, escape: Escape, own: bool = False) -> tuple[str, ...]:
    """A variant's line, in the columns of ``headings``."""
    arm = judgement.arms[name]
    mean = escape(name), count(arm), estimate_text(interval(arm.values.values()))
    one = judgement.comparisons.of(name, judgement.reference)
    if one is None:
        return (*mean, "reference", *_only(own, NONE), NONE, NONE, NONE)
    pairs = f" (n = {one.n})" if 0 < one.n != len(arm.values) else ""
    itself = own_text(spoken_for(one.own))
    return (*mean, shown_text(one) + pairs, *_only(own, itself), p_text(one.adjusted), delta_text(one), verdict(one))


def _only(wanted: bool, cell: str) -> tuple[str, ...]:
    return (cell,) if wanted else ()


def shown_text(one: Comparison) -> str:
    """The difference with the interval of the whole family; below three pairs without one."""
    return difference_text(spoken_for(one.all))


def verdict(one: Comparison) -> str:
    """The verdict, with what would settle an open one and how many seeds diverged; a dash where there is none."""
    if one.word is None:
        return NONE
    more = []
    if one.divergence is not None:
        more.append(_rates(one))
    elif one.word == "open":
        more.append(f"about {one.needed:,} seeds" if one.needed else "more than 1,000 seeds")
    if one.look is not None:
        more.append(f"at look {one.look}")
    return one.word + (f" ({'; '.join(more)})" if more else "")


def _rates(one: Comparison) -> str:
    counts = one.divergence
    assert counts is not None
    return f"{counts.variant} of {counts.variant_n} diverged, {counts.reference} of {counts.reference_n} of the reference"


def reasons(judgement: Judgement, escape: Escape) -> list[str]:
    """Why there is no verdict where there is none, and what stands in the way of an open one."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in judgement.comparisons.found:
        if one.reason:
            found.setdefault(("No verdict" if one.word is None else "Open", one.reason), []).append(escape(one.variant))
    return [f"{what} for {', '.join(names)}: {reason}." for (what, reason), names in found.items()]


# -- around it


def notes(judgement: Judgement) -> list[str]:
    """Sentences on the intervals, on δ, and on what pairing by seed gained."""
    told = []
    if judgement.delta is None:
        told.append("No δ was given (--delta), so nothing is called equivalent or negligible.")
    if judgement.correlation is not None:
        gain = (
            "that share of a difference's variance is gone by pairing"
            if judgement.correlation > 0
            else "pairing by seed gains nothing here"
        )
        told.append(f"Seed correlation {number(judgement.correlation, 2)}: {gain}.")
    if judgement.alarms is not None:
        alarms, splits = judgement.alarms.alarms, judgement.alarms.splits
        told.append(f"False alarms (the reference against itself): {alarms:,} of {splits:,} splits of its seeds differ at 5 %.")
    if judgement.comparisons.family > 1:
        family = judgement.comparisons.family
        told.append(f"p holds for all {family} comparisons together; the intervals cover all of them in at least {together(family)}.")
    return told


# -- numbers


def own_text(own: Estimate) -> str:
    """The interval of a difference for itself, without the difference; a dash where there is none."""
    return interval_text(own, decimals(own.mean or 0.0, own.half_width)) if own.half_width else NONE


def delta_text(one: Comparison) -> str:
    """The smallest δ in two significant digits, rounded up, so that it is one; none where no δ would make the two equivalent."""
    delta = one.smallest_delta
    if delta is None or one.word is None or one.divergence is not None:
        return NONE
    return rounded_up(delta)
