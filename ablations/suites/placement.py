"""Table 14: where in a residual unit should the SE block sit?"""

from __future__ import annotations

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant

ROWS = {"standard": "SE", "pre": "SE-PRE", "post": "SE-POST", "identity": "SE-Identity"}


@SUITES.add("placement")
def placement(setting: Setting) -> Suite:
    """The four integration strategies of Figure 5."""
    setting.block()  # without one there is nothing to place
    return Suite(
        name="placement",
        title="Integration strategy",
        question="Does it matter where in the residual unit the SE block sits?",
        source="Hu et al., arXiv 1709.01507 v4, Section 6.5, Table 14",
        table="T14",
        factor=("net.placement",),
        reference="standard",
        variants=tuple(Variant(name=name, config=setting.base.but({"net.placement": name}), published=row) for name, row in ROWS.items()),
        claims=(
            Claim(
                text="SE is robust to its place as long as it comes before the branches are added: PRE and Identity do as well.",
                contrasts=(
                    Contrast(variant="pre", reference="standard", expect="equivalent"),
                    Contrast(variant="identity", reference="standard", expect="equivalent"),
                ),
            ),
            Claim(
                text="POST, after the addition, is worse.",
                contrasts=(Contrast(variant="post", reference="standard", expect="worse"),),
            ),
        ),
        notes=(
            "What the paper leaves open: where a stage begins, PRE has the unit's input channels, and Identity sits after the projection.",
            "A gate near 0.5 halves the signal at the start, most of all outside the residual branch (POST, Identity); "
            "a difference here can be one of scale at initialisation.",
        ),
    )
