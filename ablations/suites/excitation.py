"""Table 12: does the gate have to be a sigmoid?"""

from __future__ import annotations

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant


@SUITES.add("excitation")
def excitation(setting: Setting) -> Suite:
    """The gate's non-linearity; the plain network stands beside it because a claim of the paper refers to it."""
    base = setting.base
    rows = {"ReLU": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid"}
    plain = Variant(name="none", config=base.but({"net.block": None}))
    gates = [Variant(name=gate, config=base.but({"net.block.gate": gate}), published=row) for row, gate in rows.items()]
    return Suite(
        name="excitation",
        title="Excitation operator",
        question="Does the gate have to be a sigmoid, or do tanh and ReLU serve as well?",
        source="Hu et al., arXiv 1709.01507 v4, Section 6.3, Table 12",
        table="T12",
        factor=("net.block.gate", "net.block"),
        reference="sigmoid",
        variants=(plain, *gates),
        claims=(
            Claim(
                text="Tanh is worse than the sigmoid.",
                contrasts=(Contrast(variant="tanh", reference="sigmoid", expect="worse"),),
            ),
            Claim(
                text="ReLU is worse than the sigmoid, and worse than no SE at all.",
                contrasts=(
                    Contrast(variant="relu", reference="sigmoid", expect="worse"),
                    Contrast(variant="relu", reference="none", expect="worse"),
                ),
            ),
        ),
        notes=("The row 'none' is not part of the paper's Table 12; the paper compares ReLU with its plain ResNet-50 in the text.",),
    )
