"""Table 16: does the gate need global information?"""

from __future__ import annotations

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant


@SUITES.add("no_squeeze")
def no_squeeze(setting: Setting) -> Suite:
    """The squeeze removed and the excitation applied at every pixel, beside SE and the plain network."""
    base = setting.base
    block = {name: value for name, value in setting.se().items() if name in ("reduction", "bias")}
    return Suite(
        name="no_squeeze",
        title="Effect of the squeeze",
        question="Does SE's gate need the whole map, or does an excitation at every pixel serve as well?",
        source="Hu et al., arXiv 1709.01507 v4, Section 7.1, Table 16",
        table="T16",
        factor=("net.block",),
        reference="SE",
        variants=(
            Variant(name="none", config=base.but({"net.block": None}), published="ResNet-50"),
            Variant(name="no squeeze", config=base.but({"net.block": {"name": "no_squeeze", **block}}), published="NoSqueeze"),
            Variant(name="SE", config=base, published="SE"),
        ),
        claims=(
            Claim(
                text="The excitation without a squeeze lies between the plain network and SE: better than none, worse than SE.",
                contrasts=(
                    Contrast(variant="no squeeze", reference="none", expect="better"),
                    Contrast(variant="no squeeze", reference="SE", expect="worse"),
                ),
            ),
        ),
        notes=("The row without a squeeze has SE's parameters and as many times its multiply-adds as a map has pixels.",),
    )
