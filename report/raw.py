"""The raw numbers of a page as CSV in full precision: a line a variant, a comparison, an effect, a part of the variance, a trial, a block.
An empty cell is no number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablations.excitation import Look
from ablations.statistics.comparison import Comparison
from ablations.statistics.estimation import Estimate
from ablations.statistics.factorial import Decided
from ablations.tuning.record import Choice, Point
from report import factorial
from report.rows import Reading, Row
from report.wording import word_of
from senet_core.class_gates import HIGH, LOW, ClassGates


def tables(reading: Reading) -> dict[str, str]:
    """{name of the file: its text}."""
    rows = [_row(row) for row in reading.rows()]
    compared = [
        {"variant": one.variant, "reference": one.reference} | _comparison(one, reading.minutes(one))
        for one in reading.verdicts.of_variants
    ]
    effects = [_effect(one, reading) for one in reading.verdicts.effects]
    variance = [_source(one) for one in factorial.sources(reading)]
    trials = [
        {
            "variant": cell.variant,
            "seed": cell.seed,
            "key": cell.key,
            "state": cell.state,
            "error": cell.result.number if cell.result else None,
            "seconds": cell.result.timing.total if cell.result else None,
            "reason": cell.reason,
        }
        for cell in reading.cells
    ]
    files = {"rows.csv": rows, "comparisons.csv": compared, "effects.csv": effects, "variance.csv": variance, "trials.csv": trials}
    texts = {name: csv_text(lines) for name, lines in files.items() if lines}
    tuned = reading.study.tuned
    if tuned is None:
        return texts
    tried = {name: [(error, "diverged" if error is None else "done") for error in choice.errors] for name, choice in tuned.choices.items()}
    return texts | {"candidates.csv": candidates(tuned.points, tried, tuned.choices)}


def candidates(points: Sequence[Point], tried: Mapping[str, Sequence[tuple[float | None, str]]], chosen: Mapping[str, Choice]) -> str:
    """What a tuning tried: a line for each variant at each point, with its held-out error (%) and state, and whether the variant got it; an
    empty cell for a variant that has not chosen."""
    lines = [
        {
            "variant": name,
            "learning_rate": point.lr,
            "weight_decay": point.weight_decay,
            "held_out_error": error,
            "state": state,
            "chosen": chosen[name].place == place if name in chosen else None,
        }
        for name, cells in tried.items()
        for place, (point, (error, state)) in enumerate(zip(points, cells, strict=True))
    ]
    return csv_text(lines)


def gates(looks: Sequence[Look]) -> str:
    """What is known of a variant's gates: a line a seed and block. Shares are from 0 to 1, errors in percent."""
    return csv_text([_gates(look, block) for look in looks for block in look.gates])


def _gates(look: Look, block: ClassGates) -> dict[str, Any]:
    found, ends = look.block(block.path), block.saturated
    return {
        "seed": look.seed,
        "key": look.key,
        "block": block.path,
        "channels": block.channels,
        "share_between_classes": block.share,
        "share_shuffled_95": found.limit if found else None,
        "share_p": found.p if found else None,
        "sd_within_class": block.within,
        "sd_over_images": block.spread,
        f"share_below_{LOW:g}": ends[0] if ends else None,
        f"share_above_{HIGH:g}": ends[1] if ends else None,
        "error": look.record.error if look.record else look.error,
        "error_mean_gates": found.mean if found else None,
        "error_gates_of_other_images": found.shuffled if found else None,
    }


def _row(row: Row) -> dict[str, Any]:
    ended = row.error.n + row.states.get("diverged", 0)
    about = {
        "variant": row.variant,
        "reference": row.reference,
        "same_network_as": row.same_as,
        "hidden_widths": " ".join(map(str, row.hidden_widths)),
        "parameters": row.parameters,
        "macs": row.macs,
        "n": row.error.n,
        "diverged": row.states.get("diverged", 0),
        "missing": sum(row.states.values()) - ended,
        "error_mean": row.error.mean,
        "error_low": row.error.low,
        "error_high": row.error.high,
    }
    paper = {"paper_error": row.published, "paper_difference": row.published_difference}
    return about | _comparison(row.comparison, row.minutes) | paper


def _effect(one: Decided, reading: Reading) -> dict[str, Any]:
    effect = one.effect
    about = {
        "kind": "interaction" if effect.is_interaction else "main effect",
        "factors": ", ".join(effect.factors),
        "levels": ", ".join(effect.levels),
        "references": ", ".join(effect.references),
    }
    alone = {"alone_seeds": one.alone.n, "alone_mean": one.alone.mean, "alone_low": one.alone.low, "alone_high": one.alone.high}
    apart = {
        "apart_mean": one.apart.mean if one.apart else None,
        "apart_simultaneous_low": one.apart.all.low if one.apart else None,
        "apart_simultaneous_high": one.apart.all.high if one.apart else None,
        "apart_p_holm": one.apart.adjusted if one.apart else None,
        "apart_smallest_delta": one.apart.smallest_delta if one.apart else None,
    }
    decided = _comparison(one.comparison, reading.minutes(one.comparison)) | {"verdict": word_of(reading.study, one.comparison)}
    return about | decided | alone | apart


def _source(one: factorial.Source) -> dict[str, Any]:
    """Shares and importances are from 0 to 1."""
    importance = one.importance
    return {
        "source": one.part.source,
        "degrees_of_freedom": one.part.freedom,
        "share": one.part.share,
        "importance_mean": importance.mean if importance else None,
        "importance_sd": importance.deviation if importance else None,
        "importance_answers": importance.count if importance else None,
    }


def _comparison(one: Comparison | None, minutes: float | None) -> dict[str, Any]:
    none = Estimate(None, None, None, 0)
    own, all_ = (one.own, one.all) if one else (none, none)
    return {
        "pairs": one.n if one else None,
        "difference_mean": own.mean,
        "difference_own_low": own.low,
        "difference_own_high": own.high,
        "difference_simultaneous_low": all_.low,
        "difference_simultaneous_high": all_.high,
        "p": one.p if one else None,
        "p_holm": one.adjusted if one else None,
        "p_equivalence": one.equivalence_p if one else None,
        "smallest_delta": one.smallest_delta if one and not one.divergence else None,
        "verdict": one.word if one else None,
        "seeds_needed": one.needed if one else None,
        "minutes_needed": minutes,
    }


def csv_text(lines: Sequence[Mapping[str, Any]]) -> str:
    """Lines of the same columns as CSV."""
    import pandas as pd  # late: it takes a quarter of a second to import, and most pages go without

    return str(pd.DataFrame(lines, dtype=object).to_csv(index=False, lineterminator="\n"))
