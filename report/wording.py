"""Comparisons and claims in words: verdicts, the sentence on top of a page, and what became of each claim. All texts are Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from ablations.crossing import effect_between
from ablations.published import published
from ablations.statistics import own_unit
from ablations.statistics.claims import Answer, Part
from ablations.statistics.comparison import FEWEST, Comparison, Comparisons, Word
from ablations.statistics.rounding import NONE, decimals, difference_text, error_text, interval_text, number, p_text, rounded_up, spoken_for
from ablations.study import Study
from ablations.suite import Contrast
from report.levels import confidence, level_text
from report.numbers import plain, time_text
from report.rows import Reading, Row, one_reference

_TOGETHER: Mapping[Word, str] = {
    "better": "interact",
    "worse": "interact",
    "better but negligible": "interact but negligible",
    "worse but negligible": "interact but negligible",
    "equivalent": "add up",
    "open": "open",
}


def word_of(study: Study, comparison: Comparison) -> str | None:
    """The verdict's word as it is shown; None where there is no verdict.

    An interaction of crossed factors has no better and worse: its levels interact, or add up. Every text that may speak of one asks here.
    """
    if comparison.word is None or not _joint(study, comparison.variant, comparison.reference):
        return comparison.word
    return _TOGETHER[comparison.word]


def _joint(study: Study, variant: str, reference: str) -> bool:
    """Whether two arms are the sides of an interaction."""
    effect = effect_between(study.crossed, variant, reference)
    return effect is not None and effect.is_interaction


def verdict_text(comparison: Comparison | None, minutes: float | None = None, study: Study | None = None) -> str:
    """The verdict in a cell: "equivalent", "open (about 24 seeds, 90 minutes)"; a dash where there is none.

    ``study`` is needed where the comparison may be an interaction (``word_of``); that of two variants does without.
    """
    if comparison is None or comparison.word is None:
        return NONE
    word = comparison.word if study is None else word_of(study, comparison)
    more = _more(comparison, minutes, study)
    return f"{word} ({'; '.join(more)})" if more else f"{word}"


def _more(comparison: Comparison, minutes: float | None, study: Study | None) -> list[str]:
    told = [divergence_text(comparison, study)] if comparison.divergence else []
    if comparison.word == "open" and comparison.divergence is None:
        price = f", {time_text(minutes)}" if minutes is not None else ""
        told.append(f"about {comparison.needed:,} seeds{price}" if comparison.needed else "more than 1,000 seeds")
    if comparison.look is not None:
        told.append(f"at look {comparison.look}")
    return told


def divergence_text(comparison: Comparison, study: Study | None = None) -> str:
    """How many seeds of each arm diverged: "3 of 8 diverged, 0 of 8 of the reference"; of an interaction, in any of its cells."""
    counts = comparison.divergence
    assert counts is not None
    if study is not None and _joint(study, comparison.variant, comparison.reference):
        return f"{counts.variant} of {counts.variant_n} seeds diverged"
    other = f", {counts.reference} of {counts.reference_n} of the reference" if counts.reference else ""
    return f"{counts.variant} of {counts.variant_n} diverged{other}"


# -- the sentence on top

NAMED = 5
"""Rows of one verdict that the sentence names."""


def headline(study: Study, rows: Sequence[Row]) -> str:
    """What was found: the reference's error, and each row by its verdict with its difference and interval."""
    reference = next(row for row in rows if row.variant == study.reference)
    if reference.error.mean is None:
        return f'No trial of the reference "{plain(study.reference)}" has finished, so there are no differences to it yet.{diverged(rows)}'
    opening = opened(study, reference)
    groups = _groups(study, rows)
    if len(rows) == 1:
        return f"{opening} The study has no other variant to compare it with.{diverged(rows)}"
    if not groups:
        return f"{opening} No other variant has finished a trial at the same seeds.{diverged(rows)}"
    to = "it" if one_reference(rows) else "its own reference"
    told = "; ".join(f"**{name}**: {listed(texts)}" for name, texts in groups.items())
    return f"{opening} Against {to}, in points: {told}.{diverged(rows)}"


def opened(study: Study, reference: Row) -> str:
    """How the reference does, as a sentence."""
    data = study.images
    images = f"{data.evaluated:,} {'held-out' if data.evaluated_on == 'holdout' else 'test'} images of {plain(data.label)}"
    return f'The reference "{plain(study.reference)}" errs on {error_text(reference.error)} % of the {images} (n = {reference.count}).'


def listed(texts: Sequence[str]) -> str:
    """What has one verdict; of many the first and their number, for the table has them all."""
    if len(texts) <= NAMED:
        return ", ".join(texts)
    return f"{', '.join(texts[: NAMED - 1])} and {len(texts) - NAMED + 1} more"


def _groups(study: Study, rows: Sequence[Row]) -> dict[str, list[str]]:
    within = f"equivalent within ±{study.delta:g}"
    names: Mapping[Word, str] = {"equivalent": within}
    order = ["worse", "better", "worse but negligible", "better but negligible", within, "open", f"fewer than {FEWEST} seeds"]
    groups: dict[str, list[str]] = {name: [] for name in [*order, "nothing to test"]}
    for row in rows:
        one = row.comparison
        if one is None or (one.mean is None and one.word is None):
            continue
        few = f"fewer than {FEWEST} seeds" if one.n < FEWEST else "nothing to test"
        group = few if one.word is None else names.get(one.word, one.word)
        named = "" if one_reference(rows) else f" against {plain(row.reference)}"
        groups[group].append(f"{plain(row.variant)}{named} ({behind(one)})")
    return {name: texts for name, texts in groups.items() if texts}


def behind(one: Comparison, study: Study | None = None) -> str:
    """What a verdict on top of the page rests on: the difference, and before it the diverged seeds where they may have decided.

    ``study`` as in ``verdict_text``.
    """
    difference = "no pair of seeds" if one.mean is None else difference_text(spoken_for(one.all))
    if one.divergence is None or (one.mean is not None and not one.settled):
        return difference
    return f"{divergence_text(one, study)}; {difference}" if one.n >= FEWEST else divergence_text(one, study)


def diverged(rows: Sequence[Row]) -> str:
    """A sentence on the arms that diverged: their means, if any, are over the seeds that did not."""
    told = [f"{plain(row.variant)} ({row.states['diverged']} of {sum(row.states.values())})" for row in rows if row.states.get("diverged")]
    return f" Diverged, and counted but not averaged: {', '.join(told)}." if told else ""


# -- claims

_DIRECTIONS = {"agrees": "direction agrees", "reversed": "direction is reversed", "not resolved": "not resolved"}


def claim_text(answer: Answer) -> str:
    """A claim and what became of it: at a converged preset holds, fails or is open, elsewhere its direction alone."""
    return f"{plain(answer.text)} **{answer.verdict or _DIRECTIONS[answer.direction]}**"


def part_text(reading: Reading, part: Part) -> str:
    """One contrast of a claim as a sentence that can be quoted, with the paper's number beside it."""
    variant, reference = part.contrast.variant, part.contrast.reference
    pair = f"{plain(variant)} against {plain(reference)}, {expected(reading.study, part.contrast)}"
    paper = _paper(reading.study, variant, reference)
    if part.comparison is None:
        return f"{pair}: the two are one network, so no difference is possible{paper}."
    return f"{pair}: {_found(part, reading)}{paper}."


def expected(study: Study, contrast: Contrast) -> str:
    """What a claim expects of a comparison: "expected worse"; of an interaction "expected to add up", whichever side comes first."""
    effect = effect_between(study.crossed, contrast.variant, contrast.reference)
    if effect is None or not effect.is_interaction:
        return f"expected {contrast.expect}"
    if contrast.expect == "equivalent":
        return "expected to add up"
    more = (contrast.expect == "worse") == (contrast.variant == effect.plus.name)
    return f"expected to interact, {'more' if more else 'fewer'} errors together than added up"


def _found(part: Part, reading: Reading) -> str:
    one = part.comparison
    assert one is not None
    if one.word is None and one.mean is None and one.divergence is None:
        return "nothing was measured yet"
    verdict = f"**{verdict_text(one, reading.minutes(one), reading.study)}**" if one.word else f"no verdict ({one.reason})"
    return f"{verdict}; {_observed(one)}"


def _observed(one: Comparison) -> str:
    if one.mean is None:
        return "no pair of seeds has finished"
    adjusted = f", Holm-adjusted p {p_text(one.adjusted)}" if one.adjusted is not None else ""
    spread = f", n = {one.n}{adjusted}" if one.n >= FEWEST else f", n = {one.n}"
    return f"{difference_text(spoken_for(one.all))} points{spread}"


def quotation(reading: Reading, answer: Answer) -> str | None:
    """The claim's comparisons and what follows from them, in words that stand alone, for a paper; None while one of them could not be
    tested, or has no three pairs."""
    found = [(part, part.comparison) for part in answer.parts if part.comparison is not None]
    if len(found) < len(answer.parts) or any(one.n < FEWEST or one.mean is None or one.word is None for _, one in found):
        return None
    study, told = reading.study, [_quoted(part, one, reading.study) for part, one in found]
    seeds = sorted({one.n for _, one in found})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    joint = any(_joint(study, one.variant, one.reference) for _, one in found)
    meant = ["an interaction is what two levels do together less what each of them does"] if joint else []
    how = "; ".join([_intervals(reading.verdicts.comparisons.family, study.planned_looks), *_chosen(study), *meant])
    return (
        f"On {plain(study.images.label)} (preset {study.preset}), over {count} paired seeds, {', and '.join(told)} ({how}). {_so(answer)}"
    )


def _intervals(family: int, looks: int) -> str:
    if family == 1:
        return f"{confidence(looks)} interval and p of the only comparison of the study"
    return f"Bonferroni's {confidence(looks)} intervals over the {family} comparisons of the study, made to agree with the Holm-adjusted p"


def _chosen(study: Study) -> list[str]:
    """How the number of seeds came about, where it was not simply asked for once."""
    told, rule = [], study.precision
    if rule is not None:
        told.append(f"seeds by Stein's two stages, the first {rule.first} for a half-width of {rule.half_width:g} points")
    if study.planned_looks > 1:
        told.append(f"{study.planned_looks} looks declared, each at {level_text(study.planned_looks)}")
    return [*told, *(["extended after looking, so p and intervals are too small"] if study.extended_after_looking else [])]


def _so(answer: Answer) -> str:
    """What became of the claim, as a sentence."""
    named = f'The claim "{plain(answer.text.rstrip("."))}"'
    if answer.verdict is None:
        return f"{named}: {_DIRECTIONS[answer.direction]}; the networks were not trained to convergence."
    return f"{named} {'is open' if answer.verdict == 'open' else answer.verdict}."


def _concluded(part: Part, one: Comparison, study: Study) -> str:
    """The verdict, and where equivalence is claimed or shown the δ that it is about."""
    word = word_of(study, one) or ""
    inside = one.word is not None and (one.word == "equivalent" or one.word.endswith("negligible"))
    if part.contrast.expect != "equivalent" and not inside:
        return word
    smallest = "" if one.smallest_delta is None else f", smallest δ {rounded_up(one.smallest_delta)}"
    if inside:
        return f"{word} within ±{study.delta:g} points by two one-sided tests at {level_text(study.planned_looks)}{smallest}"
    return f"{word}, δ {study.delta:g} points{smallest}"


def _quoted(part: Part, one: Comparison, study: Study) -> str:
    assert one.mean is not None
    places = decimals(one.all.half_width)
    effect = effect_between(study.crossed, one.variant, one.reference)
    if effect is not None and effect.is_interaction:
        one = one if one.variant == effect.plus.name else one.reversed()
        assert one.mean is not None
        named = f"the interaction of {plain(' and '.join(effect.levels))} is {number(one.mean, places, sign=True)} points"
    else:
        named = _errs(one, places)
    p = "" if one.adjusted is None else f", p {p_text(one.adjusted) if one.adjusted < 0.001 else '= ' + p_text(one.adjusted)}"
    rates = f"; {divergence_text(one, study)}" if one.divergence else ""
    told = f"{interval_text(one.all, places)}{p}{rates}; {_concluded(part, one, study)}"
    return f"{named} ({told})"


def _errs(one: Comparison, places: int) -> str:
    assert one.mean is not None
    size = number(abs(one.mean), places)
    more = f"errs {size} points {'more' if one.mean > 0 else 'less'} than" if re.search("[1-9]", size) else f"differs by {size} points from"
    return f"{plain(one.variant)} {more} {plain(one.reference)}"


def _paper(study: Study, variant: str, reference: str) -> str:
    """The paper's difference, where it prints both rows; of an effect of crossed factors it prints none."""
    if not {variant, reference} <= {one.name for one in study.variants}:
        return ""
    table, rows = published(study.table), (study.variant(variant).published, study.variant(reference).published)
    if table is None or rows[0] is None or rows[1] is None:
        return ""
    difference: Decimal = table.difference(rows[0], rows[1])
    return f"; the paper: {number(float(difference), max(0, -int(difference.as_tuple().exponent)), sign=True)}"


# -- how seeds were chosen, and what was checked


def seeds_text(study: Study, comparisons: Comparisons, finished: bool) -> list[str]:
    """Sentences on how the number of seeds came about, where it was not simply asked for once, and of what confirms a search on the
    confirmations before it. ``finished``: no trial is missing."""
    told, points = [], " points" if study.metric is None else ""
    if study.precision is not None:
        rule, reached = study.precision, _reached(study, comparisons, study.precision.half_width, finished)
        there, spread = (" at the shared setting", "their own spread at those seeds") if study.tuned else ("", "that first spread")
        told.append(
            f"The spread of the first {rule.first} seeds{there} decided how many there are (Stein's two stages), so that the own interval "
            f"of each difference{there} has a half-width of at most {rule.half_width:g}{points}, with at most {rule.most} seeds; intervals "
            f"and p keep {spread}. {reached}"
        )
    if study.planned_looks > 1 and not study.extended_after_looking:
        told.append(
            f"{study.planned_looks} looks were declared before the first, and this is look {len(study.looks)}: each decides at "
            f"{level_text(study.planned_looks)}, and what it decides stays.{_earlier(study, comparisons)}"
        )
    if study.extended_after_looking:
        told.append(_extended(study))
    if study.confirms is not None and study.confirms.before:
        told.append(_looked_before(study.confirms.before))
    if study.vary is not None:
        told.append(f"The seeds move the stream {study.vary} alone; all other random numbers are the same in every trial.")
    return told


def _reached(study: Study, comparisons: Comparisons, half_width: float, finished: bool) -> str:
    """Whether every interval is as narrow as asked, as a sentence or two."""
    greatest = max((one.own.half_width or 0.0 for one in comparisons.found), default=0.0)
    widest = rounded_up(greatest) if study.metric is None else own_unit.rounded_up(greatest)
    if not finished:
        return f"**Not finished**: trials are missing{f'; the widest so far has {widest}' if greatest else ''}."
    without = [f"{plain(one.variant)} − {plain(one.reference)}" for one in comparisons.found if not one.own.half_width]
    told = f"The widest has {widest}: {'reached' if greatest <= half_width * (1 + 1e-9) else '**not reached**'}." if greatest else ""
    if not without:
        return told
    return f"{told} **No interval** for {', '.join(without)}: too few pairs of seeds, or no spread.".lstrip()


def _earlier(study: Study, comparisons: Comparisons) -> str:
    """A sentence on what was settled at an earlier look."""
    if not any(one.look is not None and one.look < len(study.looks) for one in comparisons.found):
        return ""
    return " A comparison that was settled earlier stands with the difference, the interval and the n of its look."


def _looked_before(before: Sequence[str]) -> str:
    """What the confirmations of a search that were looked at before another one do to what that one promises."""
    others = "another confirmation" if len(before) == 1 else f"{len(before)} other confirmations"
    looks = len(before) + 1
    return (
        f"**Extended after looking**: {others} of the same search had been judged on the test set before this one "
        f"({', '.join(map(plain, before))}), and the search went on after that, which nothing here pays for. A false decision in 5 % of "
        f"families is the promise of one look; that of {looks} looks together is no better than {min(100, 5 * looks)} %."
    )


def _extended(study: Study) -> str:
    groups = " + ".join(str(len(look)) for look in study.looks if look)
    rule = "a rule for the number of seeds was declared" if study.precision else "seeds were added"
    return (
        f"**Extended after looking**: {rule} when results were there to be looked at ({groups} seeds), which nothing here pays for; "
        "p and intervals are too small. In simulations 12 to 28 % of families then have a false decision, and not 5 %."
    )
