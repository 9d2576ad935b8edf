"""Several studies in one document: a summary of each factor, its effect and its verdict, and then every page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ablations.statistics.comparison import FEWEST, Comparison
from ablations.statistics.estimation import Estimate
from ablations.statistics.rounding import NONE, difference_text
from report.captions import Captions
from report.markup import headings, parse
from report.methods import factor_text
from report.numbers import plain
from report.rows import Reading
from report.tables import by_column
from report.wording import word_of

TITLE = "Ablations"
OVERVIEW = (
    "All differences to the reference of each row, suite by suite, with the interval that covers together with those of its own suite; "
    f"below {FEWEST} pairs of seeds the mean alone."
)


def titles(readings: Sequence[Reading]) -> list[str]:
    """The title of each study's page, with the study's name where several have the same title."""
    counts = Counter(reading.study.title for reading in readings)
    return [plain(one.study.title) + (f" ({plain(one.study.name)})" if counts[one.study.title] > 1 else "") for one in readings]


def opening(readings: Sequence[Reading], captions: Captions, pages: str, figure: str | None) -> str:
    """What stands before the ``pages``: title, summary and the Markdown of the overview figure's picture, where there is one."""
    table = captions.table("Each factor, the largest difference that it makes, and what was decided.")
    drawn = [figure, captions.figure(OVERVIEW)] if figure else []
    head = f"# {TITLE}\n\n## Summary\n\n"
    anchors = [heading.anchor for heading in headings(parse(head + pages)) if heading.level == 2][1:]
    key = _KEY + (_KEY_CROSSED if any(reading.study.crossed for reading in readings) else "")
    parts = [head.strip(), table, _table(readings, anchors), key, *drawn]
    return "\n\n".join(parts) + "\n"


_KEY = (
    "The largest difference is that of the row that is farthest from its own reference, in points of top-1 error, with the interval that "
    f"covers together with all others of its suite; below {FEWEST} pairs of seeds it stands alone and there is no verdict. Below 0 is "
    "better than the reference. A claim holds or fails only at a preset that trains to convergence; elsewhere its direction is told."
)
_KEY_CROSSED = (
    " Of crossed factors the largest main effect stands there, averaged over the other factors; levels that interact, or add up, are "
    "counted among the verdicts."
)


def _table(readings: Sequence[Reading], anchors: Sequence[str]) -> str:
    columns = {
        "Suite": [f"[{title}](#{anchor})" for title, anchor in zip(titles(readings), anchors, strict=True)],
        "Factor": [factor_text(one.study) for one in readings],
        "Largest difference (points)": [_largest(one) for one in readings],
        "Verdicts": [_verdicts(one) for one in readings],
        "Claims": [_claims(one) for one in readings],
        "Trials": [_trials(one) for one in readings],
    }
    return by_column(columns, words=("Suite", "Factor", "Largest difference (points)", "Verdicts", "Claims"))


def _largest(reading: Reading) -> str:
    compared = [row.comparison for row in reading.rows() if row.comparison is not None and row.comparison.mean is not None]
    main = [one.comparison for one in reading.verdicts.effects if not one.effect.is_interaction]  # an interaction is none of one factor
    compared += [one for one in main if one.mean is not None]
    if not compared:
        return NONE
    one = max(compared, key=lambda found: abs(found.mean or 0.0))
    estimate = one.all if one.n >= FEWEST else Estimate(one.mean, None, None, one.n)
    return f"{plain(one.variant)} − {plain(one.reference)}: {difference_text(estimate)}"


def _verdicts(reading: Reading) -> str:
    def word(one: Comparison) -> str:
        return word_of(reading.study, one) or "without a verdict"

    return _counted(map(word, reading.verdicts.comparisons.found))


def _claims(reading: Reading) -> str:
    words = {"agrees": "direction agrees", "reversed": "direction reversed", "not resolved": "not resolved"}
    return _counted(answer.verdict or words[answer.direction] for answer in reading.verdicts.claims())


def _counted(words: Iterable[str]) -> str:
    counts = Counter(words)
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or NONE


def _trials(reading: Reading) -> str:
    states = Counter(cell.state for cell in {cell.key: cell for cell in reading.cells}.values())
    diverged = f", {states['diverged']} diverged" if states["diverged"] else ""
    return f"{states['done']} of {states.total()}{diverged}"
