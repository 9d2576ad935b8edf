"""A search as a study: a variant for each design and rung that was begun, so that status, report, MLflow and prune know all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ablations.planning import Order, seed_text, study_data
from ablations.search.designs import SEED, Designs, changed
from ablations.search.space import Design
from ablations.study import Search, SearchedDesign, State, Study, StudyVariant
from senet_core.config import differences


@dataclass(frozen=True)
class Standing:
    """How far a design has come: the errors (%) of its rungs (None where it diverged), whether it is over, whether a trial of it has no
    result, and the epochs of the rung that is to be trained next."""

    errors: tuple[float | None, ...]
    over: bool
    failed: bool = False
    following: int | None = None


def study(designs: Designs, order: Order, name: str, rule: Search, stood: Sequence[tuple[Design, Standing]]) -> Study:
    """The study of a search that has come so far; ``rule`` without its designs."""
    space, preset, text = designs.space, order.preset, seed_text(SEED)
    variants, found = [], []
    for number, (design, standing) in enumerate(stood):
        reached = len(standing.errors) + (not standing.over or standing.failed)
        shown = designs.epochs if number == 0 else designs.epochs[: max(1, reached)]
        variants += [_variant(designs, number, design, epochs) for epochs in shown]
        found.append(_searched(designs, number, design, standing))
    return Study(
        name=name,
        suite=f"{space.name}-search",
        title=f"{space.title}: a search",
        question=space.question,
        source=space.source,
        table=None,
        factor=changed([tuple(variant.changes) for variant in variants]),
        reference=designs.label(0, designs.epochs[-1]),
        claims=(),
        notes=space.notes,
        preset=preset.name,
        overrides=dict(order.overrides),
        delta=preset.delta,
        converged=preset.converged,
        data=study_data(designs.base, designs.facts),
        seeds=(text,),
        looks=((text,),),
        variants=tuple(variants),
        search=rule.model_copy(update={"designs": tuple(found)}),
    )


def _searched(designs: Designs, number: int, design: Design, standing: Standing) -> SearchedDesign:
    return SearchedDesign(
        number=number,
        choices=dict(design),
        cost=designs.cost(design),
        errors=standing.errors,
        state=_state(standing, len(designs.epochs)),
    )


def _state(standing: Standing, rungs: int) -> State:
    if standing.failed:
        return "failed"
    if not standing.over:
        return "open"
    if standing.errors[-1] is None:
        return "diverged"
    return "done" if len(standing.errors) == rungs else "stopped"


def _variant(designs: Designs, number: int, design: Design, epochs: int) -> StudyVariant:
    name, (key, config) = designs.label(number, epochs), designs.rung(design, epochs)
    _, reference = designs.rung(designs.space.default, designs.epochs[-1])
    return StudyVariant(
        name=name,
        config=config,
        changes=differences(reference, config),
        cost=designs.price(design),
        keys={seed_text(SEED): key},
        against=name,
    )
