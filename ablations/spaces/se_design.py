"""The paper's own choices at once: may the ratio differ by stage, and which squeeze, gate and place go with it?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablations.search.space import SPACES, Design, Factor, Space
from ablations.suite import Setting

RATIOS = (2, 4, 8, 16, 32)
WITHOUT = "none"


@SPACES.add("se_design")
def se_design(setting: Setting) -> Space:
    """A ratio or no SE for each stage; squeeze, gate and placement for all of them."""
    se, ratio = setting.se(), int(setting.se().get("reduction", 16))
    stages = [f"r of stage {stage}" for stage in range(1, setting.stages + 1)]
    ratios = tuple(sorted({*RATIOS, ratio}, reverse=True))

    def changes(design: Design) -> Mapping[str, Any]:
        chosen = [design[name] for name in stages]
        mask = [stage for stage, one in enumerate(chosen, start=1) if one != WITHOUT]
        if not mask:
            return {"net.block": None}
        return {
            "net.block.squeeze": design["squeeze"],
            "net.block.gate": design["gate"],
            "net.placement": design["placement"],
            "net.stages": mask,
            "net.by_stage.reduction": [ratio if one == WITHOUT else int(one) for one in chosen],
        }

    return Space(
        name="se_design",
        title="The design of SE",
        question="Which ratio for each stage, squeeze, gate and placement give the lowest error for their parameters?",
        source="Hu et al., arXiv 1709.01507 v4, Section 6; Section 6.1 leaves open whether the ratio should differ by stage",
        factors=(
            *(Factor(name=name, levels=(WITHOUT, *ratios), ordered=True) for name in stages),
            Factor(name="squeeze", levels=("average", "max")),
            Factor(name="gate", levels=("sigmoid", "tanh", "relu")),
            Factor(name="placement", levels=("standard", "pre", "post", "identity")),
        ),
        default={
            **dict.fromkeys(stages, ratio),
            "squeeze": se.get("squeeze", "average"),
            "gate": se.get("gate", "sigmoid"),
            "placement": setting.base.net.placement,
        },
        changes=changes,
        notes=("Without SE in any stage, squeeze, gate and placement mean nothing: all such designs are one, the plain network.",),
    )
