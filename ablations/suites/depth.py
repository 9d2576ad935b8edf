"""Is a network with SE as good as a plain one of twice its depth?"""

from __future__ import annotations

from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant


@SUITES.add("depth")
def depth(setting: Setting) -> Suite:
    """The setting's network with as many units and with twice as many, each with and without SE."""
    units, _ = setting.shape()
    base, label = setting.base, setting.label()
    twice = base.but({"net.units": [2 * count for count in units]})
    shallow, deep = (f"{'+'.join(map(str, counts))} units" for counts in (units, [2 * count for count in units]))
    return Suite(
        name="depth",
        title=f"{label} against depth",
        question=f"Does a network with {label} match a plain one of twice its depth?",
        source="Hu et al., arXiv 1709.01507 v4, Section 5.1 (SE-ResNet-50 beside ResNet-101), Table 2",
        factor=("net.units", "net.block"),
        reference=deep,
        variants=(
            Variant(name=shallow, config=base.but({"net.block": None})),
            Variant(name=f"{shallow} with {label}", config=base),
            Variant(name=deep, config=twice.but({"net.block": None})),
            Variant(name=f"{deep} with {label}", config=twice),
        ),
        claims=(
            Claim(
                text=f"{label} at some depth does as well as the plain network of twice that depth.",
                contrasts=(Contrast(variant=f"{shallow} with {label}", reference=deep, expect="equivalent"),),
            ),
            Claim(
                text=f"{label} helps at both depths.",
                contrasts=tuple(Contrast(variant=f"{name} with {label}", reference=name, expect="better") for name in (shallow, deep)),
            ),
        ),
        notes=("The paper's pair is ResNet-50 with SE (6.62 % top-5 error) beside ResNet-101 (6.52 %), on ImageNet; both for one run.",),
    )
