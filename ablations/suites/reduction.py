"""Table 10: how much capacity does the bottleneck between squeeze and excitation need?"""

from __future__ import annotations

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant

RATIOS = (2, 4, 8, 16, 32)


@SUITES.add("reduction")
def reduction(setting: Setting) -> Suite:
    """The reduction ratio r, with the plain network beside it."""
    base = setting.base
    plain = Variant(name="none", config=base.but({"net.block": None}), published="original")
    ratios = [Variant(name=f"r = {r}", config=base.but({"net.block.reduction": r}), published=f"r={r}") for r in RATIOS]
    return Suite(
        name="reduction",
        title="Reduction ratio",
        question="Does the reduction ratio r matter, between 2 and 32?",
        source="Hu et al., arXiv 1709.01507 v4, Section 6.1, Table 10",
        table="T10",
        factor=("net.block.reduction", "net.block"),
        reference="r = 16",
        variants=(plain, *ratios),
        claims=(
            Claim(
                text="Performance is robust to a range of reduction ratios: r = 2, 4 and 8 do as well as r = 16.",
                contrasts=tuple(Contrast(variant=f"r = {r}", reference="r = 16", expect="equivalent") for r in (2, 4, 8)),
            ),
            Claim(
                text="r = 32 is worse than r = 16.",
                contrasts=(Contrast(variant="r = 32", reference="r = 16", expect="worse"),),
            ),
            Claim(
                text="SE at r = 16 is better than the plain network.",
                contrasts=(Contrast(variant="r = 16", reference="none", expect="better"),),
            ),
        ),
    )
