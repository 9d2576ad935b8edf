"""What a study has found out so far: its declared comparisons decided together, and its claims by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ablations.statistics import claims
from ablations.statistics.comparison import Arm, Comparison, Comparisons, Pair, Rule, compare, declared
from ablations.study import Study, StudyVariant


@dataclass(frozen=True)
class Verdicts:
    """All comparisons that a study declares, decided together."""

    study: Study
    comparisons: Comparisons

    def of(self, variant: str, reference: str) -> Comparison | None:
        """A declared comparison; None where the two are one network."""
        return self.comparisons.of(self.study.network(variant), self.study.network(reference))

    def row(self, variant: StudyVariant) -> Comparison | None:
        """The comparison of a row with its own reference; None for a reference, and where the two are one network."""
        return self.of(variant.name, self.study.reference_of(variant))

    def claims(self) -> list[claims.Answer]:
        """The study's claims, decided by them."""
        return claims.decide(self.study.claims, self.of, self.study.delta, self.study.converged)


def family(study: Study) -> tuple[Pair, ...]:
    """What a study declares to compare: each row with its reference, and the contrasts of its claims; one network is one arm."""
    rows = [Pair(variant.name, study.reference_of(variant)) for variant in study.variants]
    contrasts = [Pair(contrast.variant, contrast.reference) for claim in study.claims for contrast in claim.contrasts]
    return declared(Pair(study.network(one.variant), study.network(one.reference)) for one in (*rows, *contrasts))


def rule(study: Study) -> Rule:
    """How the study's seeds were decided on."""
    first = study.precision.first if study.precision else None
    return Rule(seeds=study.seeds, first=first, looks=study.looks, planned=study.planned_looks)


def decide(study: Study, arms: Mapping[str, Arm]) -> Verdicts:
    """Decide everything that a study declares; ``arms`` holds every variant by its name."""
    return Verdicts(study, compare(arms, family(study), study.delta, rule(study), study.lower_is_better))
