"""Table 11: does it matter how a channel is squeezed into one number?"""

from __future__ import annotations

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant


@SUITES.add("squeeze")
def squeeze(setting: Setting) -> Suite:
    """Global average against global maximum pooling."""
    rows = {"max": "Max", "average": "Avg"}
    return Suite(
        name="squeeze",
        title="Squeeze operator",
        question="Does it matter whether SE squeezes a channel by its average or by its maximum?",
        source="Hu et al., arXiv 1709.01507 v4, Section 6.2, Table 11",
        table="T11",
        factor=("net.block.squeeze",),
        reference="average",
        variants=tuple(
            Variant(name=name, config=setting.base.but({"net.block.squeeze": name}), published=row) for name, row in rows.items()
        ),
        claims=(
            Claim(
                text="The maximum is a little worse than the average.",
                contrasts=(Contrast(variant="max", reference="average", expect="worse"),),
            ),
        ),
    )
