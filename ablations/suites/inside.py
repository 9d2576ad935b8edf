"""Table 15: does SE do as well inside the residual unit, where it costs less?"""

from __future__ import annotations

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant


@SUITES.add("inside")
def inside(setting: Setting) -> Suite:
    """SE after the unit's 3x3 convolution, which has fewer channels, beside SE at the end of the branch."""
    base = setting.base
    return Suite(
        name="inside",
        title="SE inside the residual unit",
        question="Does SE do as well directly after the 3x3 convolution, with fewer parameters?",
        source="Hu et al., arXiv 1709.01507 v4, Section 6.5, Table 15",
        table="T15",
        factor=("net.placement",),
        reference="SE",
        variants=(
            Variant(name="SE", config=base.but({"net.placement": "standard"}), published="SE"),
            Variant(name="SE 3x3", config=base.but({"net.placement": "inside"}), published="SE 3x3"),
        ),
        claims=(
            Claim(
                text="SE after the 3x3 convolution does as well as the standard SE, with fewer parameters.",
                contrasts=(Contrast(variant="SE 3x3", reference="SE", expect="equivalent"),),
            ),
        ),
        notes=(
            "What the paper leaves open: inside a unit, SE sits after the 3x3 convolution's BN and before its ReLU.",
            "The same ratio is kept, so the hidden widths inside are smaller too.",
        ),
    )
