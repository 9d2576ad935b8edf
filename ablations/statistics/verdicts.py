"""What a study has found out so far: its declared comparisons decided together, and its claims by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ablations.crossing import effects
from ablations.statistics import claims, factorial
from ablations.statistics.comparison import Arm, Comparison, Comparisons, Pair, Rule, compare, declared
from ablations.study import Study, StudyVariant


@dataclass(frozen=True)
class Verdicts:
    """All comparisons that a study declares, decided together; of crossed factors these are their effects."""

    study: Study
    comparisons: Comparisons
    effects: tuple[factorial.Decided, ...] = ()

    @property
    def of_variants(self) -> list[Comparison]:
        """The comparisons of two variants, without the effects of crossed factors."""
        names = {variant.name for variant in self.study.variants}
        return [one for one in self.comparisons.found if one.variant in names]

    def of(self, variant: str, reference: str) -> Comparison | None:
        """A declared comparison; None where the two are one network."""
        return self.comparisons.of(arm_name(self.study, variant), arm_name(self.study, reference))

    def row(self, variant: StudyVariant) -> Comparison | None:
        """The comparison of a row with its own reference; None for a reference, and where the two are one network."""
        return self.of(variant.name, self.study.reference_of(variant))

    def claims(self) -> list[claims.Answer]:
        """The study's claims, decided by them."""
        return claims.decide(self.study.claims, self.of, self.study.delta, self.study.converged)


def family(study: Study) -> tuple[Pair, ...]:
    """What a study declares to compare: the effects of crossed factors; each row with its reference, where it is no cell of these; and the
    contrasts of its claims. One network is one arm."""
    rows = [Pair(variant.name, study.reference_of(variant)) for variant in study.variants if not variant.levels]
    contrasts = [Pair(contrast.variant, contrast.reference) for claim in study.claims for contrast in claim.contrasts]
    found = (*factorial.pairs(study.crossed), *rows, *contrasts)
    return declared(Pair(arm_name(study, one.variant), arm_name(study, one.reference)) for one in found)


def arm_name(study: Study, name: str) -> str:
    """The arm that stands for a variant, which is that of its network; the side of an effect is one of its own."""
    return study.network(name) if any(variant.name == name for variant in study.variants) else name


def members(study: Study, *arms: str) -> list[str]:
    """The networks whose trials these arms are made of: an arm is one itself, the side of an effect has several."""
    made = {side.name: side.cells for effect in effects(study.crossed) for side in (effect.plus, effect.minus)}
    networks = {variant.levels: study.network(variant.name) for variant in study.variants if variant.levels}
    return sorted({network for arm in arms for network in ([networks[levels] for levels in made[arm]] if arm in made else [arm])})


def whole(study: Study, arms: Mapping[str, Arm]) -> dict[str, Arm]:
    """All arms of the study's family: every variant by its name, and the sides of its effects."""
    return {**arms, **factorial.made(study.crossed, cells(study, arms))}


def cells(study: Study, arms: Mapping[str, Arm]) -> factorial.Cells:
    """The cells of the study's crossed factors by their levels; none where nothing is crossed."""
    return {variant.levels: arms[variant.name] for variant in study.variants if variant.levels}


def rule(study: Study) -> Rule:
    """How the study's seeds were decided on."""
    first = study.precision.first if study.precision else None
    return Rule(seeds=study.seeds, first=first, looks=study.looks, planned=study.planned_looks)


def decide(study: Study, arms: Mapping[str, Arm]) -> Verdicts:
    """Decide everything that a study declares; ``arms`` holds every variant by its name."""
    how = study.delta, rule(study), study.lower_is_better
    found = compare(whole(study, arms), family(study), *how)
    return Verdicts(study, found, factorial.decided(study.crossed, cells(study, arms), found, *how))
