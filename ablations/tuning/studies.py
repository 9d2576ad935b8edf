"""The two studies that a tuning makes of a suite's: its variants at every candidate on held-out images, and at each one's own best."""

from __future__ import annotations

import json

from ablations.planning import keyed
from ablations.study import Study, StudyVariant
from ablations.tuning.record import Candidates, Point, Question, Tuned, cell
from senet_core.config import Config, differences


def own_point(study: Study) -> Point:
    """The setting of a suite's reference."""
    train = study.variant(study.reference).recipe.train
    return Point(lr=train.lr, weight_decay=train.weight_decay)


def shares_setting(study: Study) -> bool:
    """Whether all variants have one learning rate and one weight decay."""
    return len({(variant.recipe.train.lr, variant.recipe.train.weight_decay) for variant in study.variants}) == 1


def held_out_study(base: Study, name: str, candidates: Candidates) -> Study:
    """Every variant of ``base``, which is the suite on held-out images, at every candidate.

    Point by point over all variants, so that what was trained when a run was stopped is the same for all of them. No row is compared with
    another: these errors choose, they do not judge.
    """
    points = candidates.points
    reference = base.variant(base.reference).recipe

    def at(variant: StudyVariant, point: Point) -> StudyVariant:
        config, own = _at(variant.recipe, point), cell(variant.name, point)
        update = {
            "name": own,
            "config": config,
            "changes": differences(_at(reference, points[0]), config),
            "published": None,
            "levels": (),
            "same_as": cell(variant.same_as, point) if variant.same_as else None,
            "against": own,
        }
        return variant.model_copy(update=update)

    study = base.model_copy(
        update={
            "name": name,
            "title": f"{base.title}: tuning on held-out images",
            "table": None,
            "factor": _factor(base, candidates.question),
            "reference": cell(base.reference, points[0]),
            "claims": (),
            "notes": (),
            "crossed": (),
            "variants": tuple(at(variant, point) for point in points for variant in base.variants),
            "candidates": candidates,
        }
    )
    return keyed(study, [json.loads(seed) for seed in base.seeds])


def tuned_study(base: Study, name: str, tuned: Tuned) -> Study:
    """Every variant of ``base``, which is the suite at its shared setting, at its own best.

    All else is that of ``base``: claims, contrasts and δ, the seeds of each variant, and how they were decided on. So the two can be held
    against each other, difference by difference. Where a precision decided, it did by the spread at the shared setting: Student's t with
    the spread of the tuned study's own first seeds stays exact, because both spreads are independent of the means over all seeds.
    """
    configs = {variant.name: _at(variant.recipe, tuned.point(variant.name)) for variant in base.variants}
    variants = tuple(
        variant.model_copy(
            update={
                "config": configs[variant.name],
                "changes": differences(configs[base.reference_of(variant)], configs[variant.name]),
            }
        )
        for variant in base.variants
    )
    study = base.model_copy(
        update={
            "name": name,
            "title": f"{base.title}, each variant tuned",
            "factor": _factor(base, tuned.question),
            "notes": (*base.notes, note(tuned.question)),
            "variants": variants,
            "tuned": tuned,
        }
    )
    whole = keyed(study, [json.loads(seed) for seed in base.seeds])
    theirs = {variant.name: variant.keys for variant in base.variants}
    kept = tuple(
        variant.model_copy(update={"keys": {seed: key for seed, key in variant.keys.items() if seed in theirs[variant.name]}})
        for variant in whole.variants
    )
    return whole.model_copy(update={"looks": base.looks, "variants": kept})


def note(question: Question) -> str:
    """How the settings of a tuned study came about, in a sentence that stands alone."""
    own, mean = " and ".join(f"a {field.name}" for field in question.fields), f", mean over {question.seeds} seeds"
    return (
        f"Each variant was trained with {own} of its own: the best of {question.budget} candidates, the same for every variant, by the "
        f"error on {question.holdout:,} held-out training images{mean if question.seeds > 1 else ''}; the test set was not read for it."
    )


def _factor(base: Study, question: Question) -> tuple[str, ...]:
    return (*base.factor, *(field.path for field in question.fields))


def _at(config: Config, point: Point) -> Config:
    train = config.train.model_copy(update={"lr": point.lr, "weight_decay": point.weight_decay})
    return config.model_copy(update={"train": train})
