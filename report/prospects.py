"""What a study's seeds can resolve, in words for a terminal: a line on the noise, a line a claim.

Differences are in points of top-1 error, or in the unit of a user's own metric, which has no name.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablations.statistics import own_unit
from ablations.statistics.comparison import FEWEST
from ablations.statistics.power import MOST, POWER, stein_seeds
from ablations.statistics.prospects import ClaimProspect, Noise, Outlook, Prospect, Prospects, weakest
from ablations.statistics.rounding import decimals, number, rounded_up
from ablations.study import Precision

WIDTH = 56
"""The most characters of a claim that has its answer beside it; a longer one has it below."""


def prospect_lines(found: Prospects) -> list[str]:
    """The heading, the noise, and the claims in two columns; no line at all where the study compares nothing."""
    if not found.found:
        return []
    heading = f"What {_asked(found)} can resolve"
    if any(one.outlook is None for one in found.found):
        return [f"{heading}: unknown; --noise 0.3 states the standard deviation of one arm over seeds, in points."]
    lines = [(" ".join(claim.claim.text.split()), _claim(claim, found)) for claim in found.claims]
    if rest := weakest(found.unclaimed):
        count = len(found.unclaimed)
        without = " without a claim" if found.claims else ""
        lines.append((f"{count} {_plural('comparison', count)}{without}", _difference(rest, count, found)))
    width = max((len(left) for left, _ in lines if len(left) <= WIDTH), default=0)
    few = f": no verdict, that needs {FEWEST}" if _few(found) else ""
    told = [heading + few, *(f"  {line}" for line in _noise(found))]
    for left, right in lines:
        told += [f"  {left.ljust(width)}  {right}"] if len(left) <= width else [f"  {left}", f"  {' ' * width}  {right}"]
    return told


def _asked(found: Prospects) -> str:
    rule = found.study.precision
    return f"{found.seeds} {_plural('seed', found.seeds)}" if rule is None else f"a half-width of {_delta(rule.half_width, found)}"


def _few(found: Prospects) -> bool:
    """Whether the study is to have too few seeds for any verdict."""
    return found.study.precision is None and found.seeds < FEWEST


# -- the noise


def _noise(found: Prospects) -> list[str]:
    own, pooled, stated = ([one.noise for one in found.found if one.noise and one.noise.source == s] for s in ("own", "pooled", "stated"))
    told = []
    if own:
        which = ", each comparison's own" if len(found.found) > 1 else ""
        told.append(f"Noise of the {_range([noise.pairs or 0 for noise in own])} seeds stored so far{which}: {_spread(own, found)}.")
    if pooled:  # one for all that have none of their own
        which = ", all comparisons together" if len(found.found) > 1 else ""
        seeds = f"Noise of the {pooled[0].pairs} seeds stored so far{which}"
        each = list({noise.deviation: noise for noise in pooled}.values())  # of effects of crossed factors, to each its own scale
        told.append(f"{f'Where fewer than {FEWEST} pairs are stored, that of all together' if own else seeds}: {_spread(each, found)}.")
    if stated:
        deviations = [noise.deviation for noise in stated]
        so = _vary(found, min(deviations), max(deviations))
        told.append(f"Noise as stated: {found.stated:g} points an arm, so {so} if seeds do not correlate.")
    elif found.stated is not None:
        told.append(f"--noise {found.stated:g} is not used, because the stored seeds tell the noise.")
    if rule := found.study.precision:
        told.append(f"The first {rule.first} seeds decide how many there are, up to {rule.most}{_asks(found, rule)}.")
    brackets = not _few(found) and any(one.worst for one in found.found)
    return [*told, *(["In brackets: with the noise at the upper end of its 95 % interval."] if brackets else [])]


def _asks(found: Prospects, rule: Precision) -> str:
    """How many seeds the known noise is expected to ask for; nothing where none is known."""
    noises = [one.noise.deviation for one in found.found if one.noise]
    if not noises:
        return ""
    n = stein_seeds(max(noises), rule.first, rule.half_width)
    return f"; by that noise about {n:,}" + (f", more than {rule.most}: the half-width is not reached" if n > rule.most else " in all")


def _spread(known: Sequence[Noise], found: Prospects) -> str:
    """ "paired differences vary by 0.53 points (standard deviation; 95 % interval 0.31 to 1.7, from 3 degrees of freedom)"."""
    deviations, freedom = [noise.deviation for noise in known], _range([noise.freedom or 0 for noise in known])
    degrees = f"from {freedom} degree{'' if freedom == '1' else 's'} of freedom"
    if len(known) > 1 or known[0].interval is None:
        return f"{_vary(found, min(deviations), max(deviations))} (standard deviation, {degrees} each)"
    low, high = known[0].interval
    ends = f"{_number(low, found)} to {_number(high, found)}"
    return f"{_vary(found, *deviations)} (standard deviation; 95 % interval {ends}, {degrees})"


def _vary(found: Prospects, *ends: float) -> str:
    return f"paired differences vary by {' to '.join(dict.fromkeys(_number(end, found) for end in ends))}{_points(found)}"


# -- the claims


def _claim(claim: ClaimProspect, found: Prospects) -> str:
    told = []
    if claim.difference:
        told.append(_difference(claim.difference, claim.differences, found))
    if claim.equivalence:
        told.append(_equivalence(claim.equivalence, claim.equivalences, found))
    return "; ".join(told) or "one network: no difference is possible"


def _difference(one: Prospect, count: int, found: Prospects) -> str:
    delta, outlook, worst = found.study.delta, _outlook(one), one.worst
    needs = f"{_delta(delta, found)} need{'s' if delta == 1 else ''} {_seeds(outlook.to_resolve)}"
    if outlook.resolvable is None:
        return f"{_too_few(one, found)}{needs} (80 % power)"
    what = "differences" if count == 1 else f"each of {count} differences"
    at_worst = f" [{_up(worst.resolvable, found)}]" if worst and worst.resolvable is not None else ""
    more = f"; {needs}" if outlook.resolvable > delta and found.study.precision is None else ""
    return f"sees {what} from {_up(outlook.resolvable, found)}{at_worst}{_points(found)} on (80 % power{_pairs(one, found)}){more}"


def _equivalence(one: Prospect, count: int, found: Prospects) -> str:
    if one.diverged:
        return f"cannot show equivalence, because {one.diverged} {_plural('seed', one.diverged)} diverged"
    within, outlook, worst = f"within ±{_delta(found.study.delta, found)}", _outlook(one), one.worst
    if outlook.equivalence is None:
        return f"{_too_few(one, found)}equivalence {within} needs {_seeds(outlook.to_equate)} (80 % chance if there is no difference)"
    what = "equivalence" if count == 1 else f"each of {count} equivalences"
    at_worst = f" [{_chance(worst.equivalence)}]" if worst and worst.equivalence is not None else ""
    more = f"; 80 % needs {_seeds(outlook.to_equate)}" if outlook.equivalence < POWER and found.study.precision is None else ""
    chance = f"{_chance(outlook.equivalence)}{at_worst} chance if there is no difference{_pairs(one, found)}"
    return f"would show {what} {within} with {chance}{more}"


def _outlook(one: Prospect) -> Outlook:
    """That of a comparison whose noise is known; where one is, all are."""
    assert one.outlook is not None
    return one.outlook


def _too_few(one: Prospect, found: Prospects) -> str:
    """Said of a comparison that has fewer pairs than the study has seeds; for the others the heading says it."""
    if _few(found):
        return ""
    return f"no verdict from {one.n} {_plural('pair', one.n)} of seeds, that needs {FEWEST}; "


def _pairs(one: Prospect, found: Prospects) -> str:
    """Of a comparison that has fewer pairs than the study has seeds; of a precision, whether the most seeds are known to suffice."""
    if rule := found.study.precision:
        return f", if the {rule.most} seeds suffice" if one.noise is None else ""
    why = f" because {one.diverged} diverged" if one.diverged else ""
    return "" if one.n == found.seeds else f", {one.n} {_plural('pair', one.n)} of seeds{why}"


# -- words and digits


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _seeds(count: int | None) -> str:
    return f"more than {MOST:,} seeds" if count is None else f"{count} seeds"


def _chance(chance: float) -> str:
    return "under 1 %" if chance < 0.01 else "over 99 %" if chance > 0.99 else f"{100 * chance:.0f} %"


def _points(found: Prospects) -> str:
    return " points" if found.study.metric is None else ""


def _number(value: float, found: Prospects) -> str:
    return number(value, decimals(value) if found.study.metric is None else own_unit.decimals(value, value))


def _up(value: float, found: Prospects) -> str:
    """A difference that is seen, rounded up, so that it is."""
    return rounded_up(value, decimals(value)) if found.study.metric is None else own_unit.rounded_up(value)


def _delta(delta: float, found: Prospects) -> str:
    return f"{delta:g}{_points(found).removesuffix('s') if delta == 1 else _points(found)}"


def _range(counts: Sequence[float]) -> str:
    """ "3", "3 to 5"; a whole number without its decimal."""
    ends = [f"{end:.1f}".removesuffix(".0") for end in (min(counts), max(counts))]
    return " to ".join(dict.fromkeys(ends))
