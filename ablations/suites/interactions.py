"""Tables 10 to 12 crossed: do the paper's three choices add up, or does one depend on another?"""

from __future__ import annotations

from itertools import combinations

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, cells

SQUEEZES, GATES, RATIOS = ("average", "max"), ("sigmoid", "tanh", "relu"), (4, 16)


@SUITES.add("interactions")
def interactions(setting: Setting) -> Suite:
    """Squeeze, gate and reduction ratio, each with each: twelve networks, of which the paper has five."""
    setting.se()
    crossed, variants = cells(
        setting.base,
        {
            "squeeze": {name: {"net.block.squeeze": name} for name in SQUEEZES},
            "gate": {name: {"net.block.gate": name} for name in GATES},
            "reduction": {f"r = {r}": {"net.block.reduction": r} for r in RATIOS},
        },
        reference=("average", "sigmoid", "r = 16"),
    )
    joint = [f"{a} and {b}" for one, other in combinations(crossed, 2) for a in one.others for b in other.others]
    return Suite(
        name="interactions",
        title="Squeeze, gate and reduction ratio crossed",
        question="Do the squeeze operator, the gate and the reduction ratio add up, or does what one does depend on another?",
        source="Hu et al., arXiv 1709.01507 v4, Sections 6.1 to 6.3, Tables 10, 11 and 12; crossing them is this project's own",
        factor=("net.block.squeeze", "net.block.gate", "net.block.reduction"),
        reference="average, sigmoid, r = 16",
        variants=variants,
        crossed=crossed,
        claims=(
            Claim(
                text="The three choices add up: what one of them does is the same whatever the others are.",
                contrasts=tuple(Contrast(variant=f"{two} together", reference=f"{two} added up", expect="equivalent") for two in joint),
            ),
            Claim(
                text="The maximum is a little worse than the average, whatever gate and ratio.",
                contrasts=(Contrast(variant="max overall", reference="average overall", expect="worse"),),
            ),
            Claim(
                text="Tanh and ReLU are worse than the sigmoid, whatever squeeze and ratio.",
                contrasts=tuple(
                    Contrast(variant=f"{gate} overall", reference="sigmoid overall", expect="worse") for gate in ("tanh", "relu")
                ),
            ),
            Claim(
                text="r = 4 does as well as r = 16, whatever squeeze and gate.",
                contrasts=(Contrast(variant="r = 4 overall", reference="r = 16 overall", expect="equivalent"),),
            ),
        ),
        notes=(
            "The paper changes one choice at a time, the others at its defaults (average, sigmoid, r = 16), and so says nothing of how "
            "they work together; the first claim is what its tables take for granted.",
            "Five cells are rows of the paper: the defaults, and those that change one of them. No table is redrawn here, because the "
            "suites reduction, squeeze and excitation do.",
        ),
    )
