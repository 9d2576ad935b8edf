"""What shows before training: networks whose signal or gates stand far from their reference's, as sentences."""

from __future__ import annotations

from ablations.study import Study, StudyVariant

FAR = 10.0
"""How many times larger or smaller a stem gradient may be than the reference's before it is worth a sentence."""
DEAD = 0.01
"""The share of dead gates that is."""


def start_warnings(study: Study) -> list[str]:
    """One sentence for each thing that a reader of the study should know before it trains."""
    stems = {variant.name: variant.start.stem_gradient for variant in study.variants if variant.start}
    return [sentence for variant in study.variants for sentence in _of(variant, study.reference_of(variant), stems)]


def _of(variant: StudyVariant, reference: str, stems: dict[str, float]) -> list[str]:
    found = []
    own, other = stems.get(variant.name), stems.get(reference)
    if own is not None and other and not 1 / FAR <= own / other <= FAR:
        found.append(
            f"{variant.name}: the gradient at the stem is {own / other:.2g} times that of '{reference}' when training starts ({own:.2g} "
            f"against {other:.2g}), so a difference between them can be one of scale at initialisation."
        )
    dead = variant.start.dead_gates if variant.start else None
    if dead is not None and dead > DEAD:
        found.append(f"{variant.name}: {100 * dead:.0f} % of the gates have the same value for every image when training starts.")
    return found
