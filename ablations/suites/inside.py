"""Table 15: does SE do as well inside the residual unit, where it costs less?"""

from __future__ import annotations

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant


@SUITES.add("inside")
def inside(setting: Setting) -> Suite:
    """SE after the unit's 3x3 convolution, which has fewer channels, beside SE at the end of the branch."""
    base, label = setting.base, setting.label()
    rows = ("SE", "SE 3x3") if label == "SE" else (None, None)
    return Suite(
        name="inside",
        title=f"{label} inside the residual unit",
        question=f"Does {label} do as well directly after the 3x3 convolution, with fewer parameters?",
        source="Hu et al., arXiv 1709.01507 v4, Section 6.5, Table 15",
        table="T15" if label == "SE" else None,
        factor=("net.placement",),
        reference=label,
        variants=(
            Variant(name=label, config=base.but({"net.placement": "standard"}), published=rows[0]),
            Variant(name=f"{label} 3x3", config=base.but({"net.placement": "inside"}), published=rows[1]),
        ),
        claims=(
            Claim(
                text=f"{label} after the 3x3 convolution does as well as at the end of the branch, with fewer parameters.",
                contrasts=(Contrast(variant=f"{label} 3x3", reference=label, expect="equivalent"),),
            ),
        ),
        notes=(
            "What the paper leaves open: inside a unit, the block sits after the 3x3 convolution's BN and before its ReLU.",
            "The same ratio is kept, so the hidden widths inside are smaller too.",
        ),
    )
