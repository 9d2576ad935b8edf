"""Which attention block, if any, and does it have to look at the input?"""

from __future__ import annotations

from typing import Any

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant

BLOCKS: dict[str, dict[str, Any]] = {
    "constant": {"name": "constant", "value": 0.5},
    "static scale": {"name": "static_scale"},
    "SE": {"name": "se"},
    "ECA": {"name": "eca"},
    "CBAM": {"name": "cbam"},
    "CBAM, channels only": {"name": "cbam", "spatial": False},
    "GE-theta-minus": {"name": "gather_excite", "form": "theta_minus"},
    "GE-theta": {"name": "gather_excite", "form": "theta"},
    "GE-theta-plus": {"name": "gather_excite", "form": "theta_plus"},
    "eSE": {"name": "ese"},
    "GCT": {"name": "gct"},
    "SimAM": {"name": "simam"},
}
"""The controls first, then by the year of the paper; each as its paper has it."""


@SUITES.add("attention")
def attention(setting: Setting) -> Suite:
    """Every block in the place of the setting's own one, which is the reference; beside them the plain network and two controls."""
    base = setting.base
    own = setting.block()
    alike = [name for name, block in BLOCKS.items() if block.items() <= own.items()]
    shown = max(alike, key=lambda name: len(BLOCKS[name]), default=str(own["name"]))  # the row that says most of what it is
    blocks = {**BLOCKS, shown: own}
    return Suite(
        name="attention",
        title="Attention block",
        question="Which attention block lowers the error, and does it have to look at the input?",
        source="Hu et al., arXiv 1709.01507; Wang et al., 1910.03151; Woo et al., 1807.06521; Hu et al., 1810.12348; Lee and Park, "
        "1911.06667; Yang et al., 1909.11519; Yang et al., ICML 2021",
        factor=("net.block",),
        reference=shown,
        variants=(
            Variant(name="none", config=base.but({"net.block": None})),
            *(Variant(name=name, config=base.but({"net.block": block})) for name, block in blocks.items()),
        ),
        claims=(
            Claim(
                text="SE is better than the plain network (Hu et al., Table 2).",
                contrasts=(Contrast(variant="SE", reference="none", expect="better"),),
            ),
            Claim(
                text="It is the look at the input that helps: SE is better than a learned scale a channel, and than a fixed one.",
                contrasts=(
                    Contrast(variant="SE", reference="static scale", expect="better"),
                    Contrast(variant="SE", reference="constant", expect="better"),
                ),
            ),
            Claim(
                text="ECA is better than SE with far fewer parameters (Wang et al., Table 2).",
                contrasts=(Contrast(variant="ECA", reference="SE", expect="better"),),
            ),
            Claim(
                text="CBAM is better than SE, and its spatial part adds to its channel part (Woo et al.).",
                contrasts=(
                    Contrast(variant="CBAM", reference="SE", expect="better"),
                    Contrast(variant="CBAM", reference="CBAM, channels only", expect="better"),
                ),
            ),
            Claim(
                text="Context without parameters does as well as SE: GE-theta-minus (Hu et al. 2018).",
                contrasts=(Contrast(variant="GE-theta-minus", reference="SE", expect="equivalent"),),
            ),
        ),
        notes=(
            "Each block has its paper's own arguments and sits where the setting has its block, at the end of the residual branch; GCT's "
            "and SimAM's authors put theirs elsewhere in the unit.",
            "Blocks differ in where their gate starts: near 0.5 for SE, ECA, Gather-Excite and eSE, near 0.25 for CBAM (two gates), near "
            "0.67 for SimAM, at 1 for GCT. The controls start at 0.5.",
        ),
    )
