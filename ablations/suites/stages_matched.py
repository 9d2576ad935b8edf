"""Table 13 with its control: does the stage matter, or the parameters that SE gets there?"""

from __future__ import annotations

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant
from senet_core.errors import InputError

TOLERANCE = 0.05
"""How much more one row may add than another."""


@SUITES.add("stages_matched")
def stages_matched(setting: Setting) -> Suite:
    """SE in one stage at a time with a ratio for each stage, so that each adds as many parameters; and in all of them, for that sum."""
    base, reduction = setting.base, int(setting.se().get("reduction", 16))
    units, widths = setting.shape()
    sizes = [count * width**2 for count, width in zip(units, widths, strict=True)]  # equation 5: stage s adds (2 / r) N_s C_s^2
    ratios = [max(1, round(reduction * size / max(sizes))) for size in sizes]
    whole = round(reduction * sum(sizes) / max(sizes))
    added = [*setting.added_parameters(ratios), sum(setting.added_parameters([whole] * len(units)))]
    if max(added) > (1 + TOLERANCE) * min(added):
        told = ", ".join(f"{count:,}" for count in added)
        raise InputError(f"No whole ratios make SE add as much in every stage of this network: the nearest add {told} parameters.")
    names = [f"stage {k}, r = {ratio}" for k, ratio in enumerate(ratios, start=1)]
    alone = [
        Variant(name=name, config=base.but({"net.stages": [k], "net.block.reduction": ratio}))
        for k, (name, ratio) in enumerate(zip(names, ratios, strict=True), start=1)
    ]
    reference = f"all, r = {whole}"
    return Suite(
        name="stages_matched",
        title="Stage of insertion at equal parameters",
        question="At equal added parameters, does it matter in which stage SE sits?",
        source="Hu et al., arXiv 1709.01507 v4, Section 6.4, Table 13; the equal budgets are this project's control",
        factor=("net.stages", "net.block.reduction", "net.block"),
        reference=reference,
        variants=(
            Variant(name="none", config=base.but({"net.block": None})),
            *alone,
            Variant(name=reference, config=base.but({"net.stages": "all", "net.block.reduction": whole})),
        ),
        claims=(
            Claim(
                text="SE in any one stage alone is better than none.",
                contrasts=tuple(Contrast(variant=name, reference="none", expect="better") for name in names),
            ),
            Claim(
                text="At equal parameters SE in all stages is better than in any one alone.",
                contrasts=tuple(Contrast(variant=reference, reference=name, expect="better") for name in names),
            ),
        ),
        notes=(
            "The paper's own rows differ in parameters by the square of the stage's width: its later stages have far more of them.",
            "Hidden widths are whole numbers, so the sums agree to a few percent; the table shows them.",
        ),
    )
