"""A judgement as a page with its figure: verdicts on numbers that come from elsewhere, in their own unit."""

from __future__ import annotations

from pathlib import Path

from ablations.judging.judge import Judgement
from report.judgement_figure import draw
from report.judgement_words import answer, cells, escaped, headings, notes, reasons
from report.levels import intervals_text, level_text, open_ends
from report.publishing import write_files
from report.tables import aligned


def write(judgement: Judgement, out: Path) -> Path:
    """Write ``out/judgement.md`` with judgement.png and judgement.svg beside it; returns the page's path.

    :raises InputError: if the folder cannot be written.
    """
    drawing = draw(judgement)
    contents = {"judgement.md": markdown(judgement, drawing is not None).encode()}
    if drawing is not None:
        assert drawing.png is not None and drawing.svg is not None
        contents |= {"judgement.png": drawing.png, "judgement.svg": drawing.svg}
    return write_files(out, contents)[0]


def markdown(judgement: Judgement, figure: bool) -> str:
    """The page; every text that comes from the table shows exactly its own characters."""
    head = headings(judgement, escaped, own=True)
    rows = [cells(judgement, name, escaped, own=True) for name in judgement.arms]
    table = aligned(head, rows, words=(head[0], head[-1]))
    parts = [f"# {escaped(judgement.metric)}: {escaped(judgement.source)}", answer(judgement, escaped), table, key(judgement)]
    if figure:
        parts.append(f"![{caption(judgement)}](judgement.png)\n\n{caption(judgement)} ([SVG](judgement.svg))")
    lacking = [*reasons(judgement, escaped), *map(escaped, judgement.holes)]
    for title, sentences in (
        ("What is missing or open", lacking),
        ("What was read", list(map(escaped, judgement.reading))),
        ("Checks", list(map(escaped, notes(judgement)))),
    ):
        if sentences:
            parts.append(f"## {title}\n\n" + "\n".join(f"- {sentence}" for sentence in sentences))
    return "\n\n".join(parts) + "\n"


def key(judgement: Judgement, looks: int = 1) -> str:
    """How to read the table; of several declared looks each has its part of the 5 %."""
    family, delta = judgement.comparisons.family, judgement.delta
    within = (
        "No δ was given, so nothing is called equivalent or negligible"
        if delta is None
        else f"Equivalent is inside ±{delta:g} by two one-sided tests at {level_text(looks)}; a difference that is both is negligible"
    )
    ends = open_ends(judgement.comparisons.found)
    return (
        "n counts the seeds that are averaged; means stand with their 95 % Student-t intervals. Differences are paired by seed. "
        f"{intervals_text(family, looks)} Beside it stands that of each difference for itself. Better and worse are decided by Holm's "
        f"procedure at {level_text(looks)}. {within}; smallest δ is the least one at which a row would be equivalent. What is neither is "
        f"open; about as many seeds as stand in parentheses would settle it.{f' {ends}' if ends else ''}"
    )


def caption(judgement: Judgement) -> str:
    """What the figure shows."""
    band = "" if judgement.delta is None else f"; the band is ±{judgement.delta:g}"
    return (
        "Left: each dot is a seed, with the mean and its 95 % interval. Right: the difference of each pair, with the mean difference and "
        f"the interval of the table{band}."
    )
