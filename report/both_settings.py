"""On the page of a tuned study: the suite at the shared setting and at each variant's own, beside each other, and what becomes of claims.

Both are read at the trials that have ended in both studies, so that no column knows more seeds than the one beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ablations.statistics.claims import Answer
from ablations.statistics.comparison import FEWEST, Comparison
from ablations.statistics.estimation import paired_difference
from ablations.statistics.robustness import Robustness, Survival, Twofold, robustness, unmatched, unmoved
from ablations.statistics.rounding import NONE, difference_text, error_text, spoken_for
from ablations.statistics.verdicts import arm_name, members
from ablations.store import Store
from ablations.study import Study
from ablations.suite import Contrast
from ablations.tuning.choice import Edge, best, choice_text, edges
from ablations.tuning.record import FIELDS, Tuned
from ablations.tuning.studies import note
from report import factorial
from report.captions import Captions, images_text
from report.levels import confidence
from report.numbers import plain
from report.rows import Reading, Row, read
from report.tables import by_column
from report.tuning import candidates_caption, candidates_table, others
from report.wording import expected, verdict_text, word_of
from senet_core.seeds import seed_label

EDGE = "‡"


def section(reading: Reading, store: Store, numbers: Captions) -> str:
    """The section, in Markdown, its captions counted by ``numbers``."""
    study, tuned = reading.study, _tuned(reading.study)
    parts = [note(tuned.question)]
    if tuned.shared in store.studies():
        both = _both(read(store.study(tuned.shared), store), reading)
        parts += [*both.unlike, numbers.table(_errors_caption(study, tuned)), _errors(both.tuned, both.shared, both.kept), *_wary(tuned)]
        parts += [numbers.table(_differences_caption(both)), _differences(both), _conditional(study, tuned)] if both.compared else []
        parts += _claims(both)
    else:
        parts.append(f"The study at the shared setting, {plain(tuned.shared)}, is not in this workspace, so nothing is held against it.")
        parts += [numbers.table(_errors_caption(study, tuned)), _errors(reading, None, frozenset()), *_wary(tuned)]
    errors = {name: one.errors for name, one in tuned.choices.items()}
    texts = {name: ["diverged" if error is None else f"{error:.2f}" for error in row] for name, row in errors.items()}
    parts += [numbers.table(candidates_caption(tuned.question, errors, chosen=True)), candidates_table(tuned.points, texts, tuned.choices)]
    tied = [plain(name) for name, one in tuned.choices.items() if len(best(one.errors)) > 1]
    parts += [f"Several candidates tie for {', '.join(tied)}: the first of them was taken."] if tied else []
    told = others(study, store)
    parts += [f"The same suite was also tuned otherwise in this workspace: {told}."] if told else []
    return "\n\n".join(parts)


def _tuned(study: Study) -> Tuned:
    assert study.tuned is not None, f"'{study.name}' is no tuned study"
    return study.tuned


# -- two studies as one


@dataclass(frozen=True)
class _Both:
    """The two studies, at the trials that have ended in both. ``kept`` are the variants whose trials are the very same in both; ``unlike``
    are sentences on what the studies do not have in common."""

    shared: Reading
    tuned: Reading
    kept: frozenset[str]
    unlike: tuple[str, ...]

    @property
    def compared(self) -> bool:
        """Whether anything was declared to compare."""
        return bool(self.tuned.verdicts.comparisons.found)

    @property
    def one_delta(self) -> bool:
        """Whether the two mean the same by a difference that does not matter."""
        return self.shared.study.delta == self.tuned.study.delta

    @cached_property
    def claims(self) -> list[Robustness]:
        """The claims that both make, at both settings."""
        return robustness(
            self.shared.verdicts.claims(), self.tuned.verdicts.claims(), lambda one: not self.kept.issuperset(self.networks(one))
        )

    def networks(self, contrast: Contrast) -> list[str]:
        """Whose trials a contrast is made of."""
        study = self.tuned.study
        return members(study, arm_name(study, contrast.variant), arm_name(study, contrast.reference))


def _both(shared: Reading, tuned: Reading) -> _Both:
    ended = [{(cell.variant, cell.seed) for cell in one.cells if cell.state in ("done", "diverged")} for one in (shared, tuned)]
    one, other = (_only(reading, ended[0] & ended[1], set(shared.study.seeds) & set(tuned.study.seeds)) for reading in (shared, tuned))
    return _Both(one, other, unmoved(shared.study, tuned.study), tuple(_unlike(shared, tuned)))


def _only(reading: Reading, cells: set[tuple[str, str]], seeds: set[str]) -> Reading:
    """A reading at some of its cells and seeds. What was decided by a first stage that is not whole among them is not any more."""
    study = reading.study
    first = study.seeds[: study.precision.first] if study.precision else ()
    update = {
        "seeds": tuple(seed for seed in study.seeds if seed in seeds),
        "looks": tuple(tuple(seed for seed in look if seed in seeds) for look in study.looks),
        "precision": study.precision if seeds.issuperset(first) else None,
    }
    kept = tuple(cell for cell in reading.cells if (cell.variant, cell.seed) in cells)
    return Reading(study.model_copy(update=update), kept)


def _unlike(shared: Reading, tuned: Reading) -> list[str]:
    """Sentences on what the two studies do not have in common; none for two that one command made."""
    one, other, told = shared.study, tuned.study, []
    apart = [
        (where, [s for s in own.seeds if s not in theirs.seeds]) for where, own, theirs in (("shared", one, other), ("tuned", other, one))
    ]
    besides = [f"{', '.join(plain(seed_label(seed)) for seed in seeds)} only at the {where} setting" for where, seeds in apart if seeds]
    if besides:
        told.append(f"**Not the same seeds**: {' and '.join(besides)}. What stands here is of the seeds that both have.")
    if (_rule(one), one.planned_looks) != (_rule(other), other.planned_looks):
        told.append("**Not the same rule**: how many seeds there are was decided by another rule at each setting, and verdicts follow it.")
    if one.delta != other.delta:
        told.append(
            f"**Not the same δ**: {one.delta:g} points at the shared setting and {other.delta:g} at the tuned one. Equivalent and "
            "negligible mean something else in each, so no claim can be held against itself."
        )
    answers = shared.verdicts.claims(), tuned.verdicts.claims()
    alone = [f"{plain(text)} (shared setting)" for text in unmatched(*answers)]
    alone += [f"{plain(text)} (tuned setting)" for text in unmatched(*reversed(answers))]
    if alone:
        told.append(
            f"**Not the same claims**: only one of the two studies makes these in these words, with these comparisons: {'; '.join(alone)}."
        )
    again = "The command at the end of this page, run again, gives the tuned study what the one at the shared setting has."
    return [*told, again] if told else []


def _rule(study: Study) -> tuple[float, int, int] | None:
    rule = study.precision
    return None if rule is None else (rule.half_width, rule.first, rule.most)


# -- errors and settings


def _errors_caption(study: Study, tuned: Tuned) -> str:
    mark = f" {EDGE}: the best candidate is at the edge of what was tried." if _edges(tuned) else ""
    return (
        f"{plain(study.title)}: top-1 error (%) on the {images_text(study)}, mean over n seeds with its 95 % Student-t interval, at the "
        f"shared setting ({plain(tuned.points[0].text)}) and at each variant's own; what tuning changed is paired by seed, with its 95 % "
        f"interval for itself (from {FEWEST} pairs of seeds on).{mark}"
    )


def _errors(reading: Reading, shared: Reading | None, kept: frozenset[str]) -> str:
    study, tuned, rows = reading.study, _tuned(reading.study), reading.rows()
    before = {row.variant: row for row in shared.rows()} if shared else {}
    marked = {(name, edge.field) for name, edge in _edges(tuned)}
    columns = {"Variant": [plain(row.variant) for row in rows]}
    for name, field in FIELDS.items():
        columns[field.name.capitalize()] = [
            f"{getattr(tuned.point(row.variant), name):g}" + (f" {EDGE}" if (row.variant, name) in marked else "") for row in rows
        ]
    if shared is None:
        columns |= {"n": [row.count for row in rows], "Tuned: error": [error_text(row.error) for row in rows]}
        return by_column(columns, words=("Variant",))
    columns |= _counts([before[row.variant].count if row.variant in before else NONE for row in rows], [row.count for row in rows])
    columns["Shared: error"] = [error_text(before[row.variant].error) if row.variant in before else NONE for row in rows]
    columns["Tuned: error"] = [error_text(row.error) for row in rows]
    columns["Tuned − shared (points)"] = [
        "the same trials" if study.network(row.variant) in kept else _change(before.get(row.variant), row) for row in rows
    ]
    return by_column(columns, words=("Variant",))


def _counts(shared: Sequence[str], tuned: Sequence[str]) -> dict[str, list[str]]:
    """One column where both settings have the same numbers of seeds, else one for each."""
    return {"n": list(tuned)} if list(shared) == list(tuned) else {"Shared: n": list(shared), "Tuned: n": list(tuned)}


def _change(shared: Row | None, tuned: Row) -> str:
    if shared is None:
        return NONE
    found = paired_difference(tuned.errors, shared.errors)
    return difference_text(spoken_for(found)) + (f" (n = {found.n})" if found.mean is not None and found.n != tuned.error.n else "")


def _edges(tuned: Tuned) -> list[tuple[str, Edge]]:
    return [(name, edge) for name, one in tuned.choices.items() for edge in edges(tuned.points, best(one.errors))]


def _wary(tuned: Tuned) -> list[str]:
    """What a reader should be wary of in what was chosen: one sentence on all edges, and each variant that had no choice."""
    found, told = [edge for _, edge in _edges(tuned)], []
    if found:
        sides = [word for side, word in (("least", "a smaller"), ("greatest", "a greater")) if side in {edge.side for edge in found}]
        options = [f"`{field.option}`" for name, field in FIELDS.items() if name in {edge.field for edge in found}]
        told.append(
            f"{EDGE} At the edge: no candidate has {' or '.join(sides)} value than this best one, so a better one may lie beyond it. "
            f"Widen {' and '.join(options)}, or raise `--budget`."
        )
    told += [f"{plain(name)}: {plain(choice_text(tuned.points, one))}." for name, one in tuned.choices.items() if one.lost]
    return told


# -- differences


def _differences_caption(both: _Both) -> str:
    one, other = both.shared.study, both.tuned.study
    deltas = f"δ = {other.delta:g} points" if both.one_delta else f"δ = {one.delta:g} and {other.delta:g} points"
    levels = " and ".join(dict.fromkeys(confidence(study.planned_looks) for study in (one, other)))
    return (
        f"{plain(other.title)}: what was declared to compare, in points at either setting, with Bonferroni's {levels} intervals (from "
        f"{FEWEST} pairs of seeds on) and the verdict at {deltas}."
    )


def _differences(both: _Both) -> str:
    effects = {(one.comparison.variant, one.comparison.reference): factorial.name(one) for one in both.tuned.verdicts.effects}
    found = both.tuned.verdicts.comparisons.found
    before = [both.shared.verdicts.comparisons.of(one.variant, one.reference) for one in found]
    columns = {
        "Effect" if both.tuned.study.crossed else "Comparison": [
            plain(effects.get((one.variant, one.reference), f"{one.variant} − {one.reference}")) for one in found
        ],
        **_counts([NONE if one is None else str(one.n) for one in before], [str(one.n) for one in found]),
    }
    for setting, study, each in (("Shared", both.shared.study, before), ("Tuned", both.tuned.study, found)):
        columns[f"{setting}: difference"] = [_difference(one) for one in each]
        columns[f"{setting}: verdict"] = [verdict_text(one, study=study) for one in each]
    return by_column(columns, words=("Effect", "Comparison", "Shared: verdict", "Tuned: verdict"))


def _difference(one: Comparison | None) -> str:
    return NONE if one is None else difference_text(spoken_for(one.all))


def _conditional(study: Study, tuned: Tuned) -> str:
    """What the intervals do not say, and which seeds they share with the choice."""
    own = [seed for seed in map(str, range(tuned.question.seeds)) if seed in study.seeds]
    chosen = f"seed {own[0]}, which is" if len(own) == 1 else f"seeds {', '.join(own)}, which are"
    seeds = f" The choice was made by {chosen} among the seeds here."
    return (
        "The two settings are two families, each decided for itself. Intervals take the chosen settings as given: that another draw of "
        f"held-out images or seeds would have chosen others is not in them.{seeds if own else ''}"
    )


# -- claims


def _claims(both: _Both) -> list[str]:
    if not both.claims:
        return []
    word = "lr-robust" if _tuned(both.tuned.study).question.lr is not None else "wd-robust"
    told = []
    for one in both.claims:
        mark = _mark(one.survival, word, one.tuned.verdict is not None) if both.one_delta else "not comparable"
        kept = f"; {_survives(one)}" if both.one_delta and one.survival == "survives" else ""
        told.append(f"- {plain(one.tuned.text.rstrip('.'))}. {_answers(one.shared, one.tuned)}{kept}: **{mark}**")
        told += [f"  - {_part(both, part)}" for part in one.parts]
    return [
        f"Each claim stands with its answer at both settings. It is {word} where each of its differences has the claimed sign at both, "
        f"from {FEWEST} pairs of seeds on, or, where equivalence is claimed, is equivalent at both; and where nothing that is shown at "
        "one setting is refuted at the other. A difference that is nothing but noise keeps its sign every other time or more: the answers "
        "and the verdicts say which are more than that.",
        "\n".join(told),
    ]


def _mark(survival: Survival, word: str, converged: bool) -> str:
    if survival == "same trials":
        return "the same trials at both settings"
    if survival == "fails at both":
        return survival if converged else "reversed at both"
    return word if survival == "survives" else survival


def _survives(one: Robustness) -> str:
    signs = sum(part.tuned.contrast.expect != "equivalent" for part in one.parts)
    return "its answer survives" if not signs else "its sign survives" if signs == 1 else "its signs survive"


_VERDICTS = {"holds": "holds", "fails": "fails", "open": "is open"}
_DIRECTIONS = {"agrees": "direction agrees", "reversed": "direction is reversed", "not resolved": "not resolved"}
"""The words for claims where a preset does not train to convergence."""


def _answers(shared: Answer, tuned: Answer) -> str:
    """What a claim is at both settings: "Holds at the shared setting, fails at the tuned one"."""
    one, other = (_VERDICTS[answer.verdict] if answer.verdict else _DIRECTIONS[answer.direction] for answer in (shared, tuned))
    told = f"{one} at both settings" if one == other else f"{one} at the shared setting, {other} at the tuned one"
    return told[0].upper() + told[1:]


def _part(both: _Both, part: Twofold) -> str:
    contrast = part.tuned.contrast
    settings = ((part.shared.comparison, both.shared.study, "shared"), (part.tuned.comparison, both.tuned.study, "tuned"))
    at = [f"{_at(one, study)} {setting}" for one, study, setting in settings]
    return (
        f"{plain(contrast.variant)} against {plain(contrast.reference)}, {expected(both.tuned.study, contrast)}: {', '.join(at)}"
        f"{_same(both, contrast)}."
    )


def _at(one: Comparison | None, study: Study) -> str:
    """A comparison in a few words; two variants that are one network have none."""
    if one is None:
        return "one network"
    word = word_of(study, one)
    return ("no pair" if one.mean is None else _difference(one)) + f" ({f'{word}, ' if word else ''}n = {one.n})"


def _same(both: _Both, contrast: Contrast) -> str:
    """Which of a contrast's trials are the very same at both settings, because variants kept the shared one."""
    own = both.networks(contrast)
    same = [name for name in own if name in both.kept]
    if not same:
        return ""
    if len(same) == len(own):
        return "; the same trials at both settings"
    named = plain(same[0]) if len(own) == 2 else f"{len(same)} of its {len(own)} cells"
    return f"; the trials of {named} are the same at both"
