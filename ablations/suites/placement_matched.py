"""Table 14 with its control: is it the place, or the scale that a gate near 0.5 gives the signal there?"""

from __future__ import annotations

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant

PLACES = ("standard", "pre", "post", "identity")


@SUITES.add("placement_matched")
def placement_matched(setting: Setting) -> Suite:
    """Every placement as published, init-matched (mean gate 1 at the start), and with a fixed gate of 0.5 in the place of SE."""
    base = setting.base
    constant = base.but({"net.block": {"name": "constant", "value": 0.5}})

    def rows(place: str) -> tuple[Variant, ...]:
        published = base.but({"net.placement": place, "net.block.init": "published"})
        matched = base.but({"net.placement": place, "net.block.init": "matched"})
        other = "standard, matched" if place != "standard" else None
        return (
            Variant(name=place, config=published),
            Variant(name=f"{place}, matched", config=matched, against=other),
            Variant(name=f"{place}, constant", config=constant.but({"net.placement": place}), against="none"),
        )

    return Suite(
        name="placement_matched",
        title="Placement, as published and init-matched",
        question="Does it matter where in the residual unit SE sits, once every place starts at the same scale?",
        source="Hu et al., arXiv 1709.01507 v4, Section 6.5, Table 14; the matched and constant rows are this project's controls",
        factor=("net.placement", "net.block.init", "net.block"),
        reference="standard",
        variants=(Variant(name="none", config=base.but({"net.block": None})), *(row for place in PLACES for row in rows(place))),
        claims=(
            Claim(
                text="Matched, POST does as well as the standard place: what it loses as published, it loses by scale.",
                contrasts=(
                    Contrast(variant="post, matched", reference="standard, matched", expect="equivalent"),
                    Contrast(variant="post", reference="standard", expect="worse"),
                ),
            ),
            Claim(
                text="Scale alone does it: a fixed gate of 0.5 after the addition, without any SE, is worse than none.",
                contrasts=(Contrast(variant="post, constant", reference="none", expect="worse"),),
            ),
            Claim(
                text="Matched, PRE and Identity do as well as the standard place.",
                contrasts=tuple(
                    Contrast(variant=f"{place}, matched", reference="standard, matched", expect="equivalent")
                    for place in ("pre", "identity")
                ),
            ),
        ),
        notes=(
            "Init-matched: the gate is 2 sigmoid(t), so its mean is 1 when training starts, as in the plain network.",
            "A constant before a convolution with BN (PRE) is normalised away but for BN's epsilon; after the addition (POST, Identity) it "
            "is not, and halves the signal again in every unit.",
            "The claims about matched and constant rows are conjectures of this project, not statements of the paper.",
        ),
    )
