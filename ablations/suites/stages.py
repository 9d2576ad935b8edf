"""Table 13: at which stages does SE help?"""

from __future__ import annotations

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant


@SUITES.add("stages")
def stages(setting: Setting) -> Suite:
    """SE in one stage at a time, in none and in all; the paper counts ResNet-50's stages from 2 and leaves out its stage 5."""
    base, names = setting.base, [f"stage {k}" for k in range(1, setting.stages + 1)]
    alone = [
        Variant(name=name, config=base.but({"net.stages": [k]}), published=f"SE Stage {k + 1}" if k <= 3 else None)
        for k, name in enumerate(names, start=1)
    ]
    return Suite(
        name="stages",
        title="Stage of insertion",
        question="At which stages of the network does SE help, and does it help most at all of them?",
        source="Hu et al., arXiv 1709.01507 v4, Section 6.4, Table 13",
        table="T13",
        factor=("net.stages", "net.block"),
        reference="all",
        variants=(
            Variant(name="none", config=base.but({"net.block": None}), published="ResNet-50"),
            *alone,
            Variant(name="all", config=base.but({"net.stages": "all"}), published="SE All"),
        ),
        claims=(
            Claim(
                text="SE in any one stage alone is better than none.",
                contrasts=tuple(Contrast(variant=name, reference="none", expect="better") for name in names),
            ),
            Claim(
                text="SE in all stages is better than in any one alone.",
                contrasts=tuple(Contrast(variant="all", reference=name, expect="better") for name in names),
            ),
        ),
        notes=("A CIFAR network has three stages; they stand beside ResNet-50's stages 2 to 4, in order, and not beside its stage 5.",),
    )
