"""The space of the table that samplers are held against: each of its 105 networks has been trained, so a search through it is a look-up.

``ablate search se_on_digits --load benchmarks/search_space.py ...``; the whole command is in ``benchmarks.search_efficiency``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablations.search.space import SPACES, Design, Factor, Space
from ablations.suite import Setting

WITHOUT = "none"


@SPACES.add("se_on_digits")
def se_on_digits(setting: Setting) -> Space:
    """No SE or a ratio for each of three stages, with two gates at two places: small enough to train all of it, and not without traps."""
    stages = [f"r of stage {stage}" for stage in range(1, setting.stages + 1)]

    def changes(design: Design) -> Mapping[str, Any]:
        mask = [stage for stage, name in enumerate(stages, start=1) if design[name] != WITHOUT]
        if not mask:
            return {"net.block": None}
        return {
            "net.block.gate": design["gate"],
            "net.placement": design["placement"],
            "net.stages": mask,
            "net.by_stage.reduction": [16 if design[name] == WITHOUT else int(design[name]) for name in stages],
        }

    return Space(
        name="se_on_digits",
        title="SE by stage, on the embedded digits",
        question="Which ratio for each stage, gate and placement give the lowest error for their parameters?",
        source="Hu et al., arXiv 1709.01507 v4, Section 6",
        factors=(
            *(Factor(name=name, levels=(WITHOUT, 16, 2), ordered=True) for name in stages),
            Factor(name="gate", levels=("sigmoid", "tanh")),
            Factor(name="placement", levels=("standard", "post")),
        ),
        default={**dict.fromkeys(stages, 16), "gate": "sigmoid", "placement": "standard"},
        changes=changes,
    )
