"""Table 12 with its control: is it the gate's curve, or the scale that it starts at?"""

from __future__ import annotations

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant

GATES = ("sigmoid", "tanh", "relu", "hard_sigmoid")


@SUITES.add("gates_matched")
def gates_matched(setting: Setting) -> Suite:
    """Every gate as published and init-matched (mean gate 1 at the start), beside a fixed gate and the plain network."""
    base = setting.base

    def row(gate: str, init: str) -> Variant:
        config = base.but({"net.block.gate": gate, "net.block.init": init})
        matched = init == "matched"
        against = None if gate == "sigmoid" else "sigmoid, matched" if matched else "sigmoid"
        return Variant(name=f"{gate}, matched" if matched else gate, config=config, against=against)

    constant = base.but({"net.block": {"name": "constant", "value": 0.5}})
    return Suite(
        name="gates_matched",
        title="Gates, as published and init-matched",
        question="Is it the curve of the gate that matters, or the scale that it gives the signal when training starts?",
        source="Hu et al., arXiv 1709.01507 v4, Section 6.3, Table 12; the matched rows are this project's control",
        factor=("net.block.gate", "net.block.init", "net.block"),
        reference="sigmoid",
        variants=(
            Variant(name="none", config=base.but({"net.block": None})),
            Variant(name="constant", config=constant, against="none"),
            *(row(gate, init) for init in ("published", "matched") for gate in GATES),
        ),
        claims=(
            Claim(
                text="Matched, the gate's curve does not matter: tanh and ReLU do as well as the sigmoid.",
                contrasts=tuple(
                    Contrast(variant=f"{gate}, matched", reference="sigmoid, matched", expect="equivalent") for gate in ("tanh", "relu")
                ),
            ),
            Claim(
                text="As published, tanh and ReLU are worse than the sigmoid.",
                contrasts=tuple(Contrast(variant=gate, reference="sigmoid", expect="worse") for gate in ("tanh", "relu")),
            ),
        ),
        notes=(
            "Init-matched: 2 sigmoid(t), 1 + tanh(t), ReLU(1 + t) and 2 hard sigmoid(t), each 1 at t = 0.",
            "The first claim is a conjecture of this project, not a statement of the paper.",
        ),
    )
