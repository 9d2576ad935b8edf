"""Which attention block with which arguments, and where in the unit?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablations.search.space import SPACES, Design, Factor, Level, Space
from ablations.suite import Setting

BLOCKS = ("se", "eca", "cbam", "gather_excite", "ese", "gct", "simam")
WITHOUT = "none"
RATIOS = (2, 4, 8, 16, 32)
ARGUMENTS = {
    "r": "reduction",
    "r of GE-theta-plus": "reduction",
    "squeeze": "squeeze",
    "gate": "gate",
    "kernel": "kernel",
    "spatial part": "spatial",
    "form": "form",
    "lambda": "lambda_",
}
"""The blocks' own names of what the factors choose."""


@SPACES.add("attention_design")
def attention_design(setting: Setting) -> Space:
    """A block of the library or the setting's own one, its arguments under the condition that it is that block, and its placement."""
    own = setting.block()
    name, given = str(own.pop("name")), own

    def changes(design: Design) -> Mapping[str, Any]:
        if design["block"] == WITHOUT:
            return {"net.block": None}
        arguments = {ARGUMENTS[factor]: level for factor, level in design.items() if factor in ARGUMENTS}
        kept = given if design["block"] == name else {}
        return {"net.block": {"name": design["block"], **kept, **arguments}, "net.placement": design["placement"]}

    factors = (
        Factor(name="block", levels=(WITHOUT, *dict.fromkeys((*BLOCKS, name)))),
        Factor(name="r", levels=RATIOS, ordered=True, when={"block": ("se", "cbam")}),
        Factor(name="squeeze", levels=("average", "max"), when={"block": ("se",)}),
        Factor(name="gate", levels=("sigmoid", "tanh", "relu"), when={"block": ("se",)}),
        Factor(name="kernel", levels=(3, 5, 7, 9), ordered=True, when={"block": ("eca",)}),
        Factor(name="spatial part", levels=(True, False), when={"block": ("cbam",)}),
        Factor(name="form", levels=("theta_minus", "theta", "theta_plus"), when={"block": ("gather_excite",)}),
        Factor(name="r of GE-theta-plus", levels=RATIOS, ordered=True, when={"form": ("theta_plus",)}),
        Factor(name="lambda", low=1e-5, high=1e-2, log=True, when={"block": ("simam",)}),
        Factor(name="placement", levels=("standard", "pre", "post", "identity"), when={"block": (*dict.fromkeys((*BLOCKS, name)),)}),
    )
    return Space(
        name="attention_design",
        title="The design of attention",
        question="Which attention block, with which arguments and in which place, gives the lowest error for its parameters?",
        source="the blocks' own papers (`ablate list` names them); the comparison is this project's own",
        factors=factors,
        default=_default(factors, name, given, setting.base.net.placement),
        changes=changes,
        notes=("A block keeps what is not searched as its paper, or the setting, has it.",),
    )


def _default(factors: tuple[Factor, ...], name: str, given: Mapping[str, Any], placement: str) -> dict[str, Level]:
    """The setting's own block as a design; of an argument that the setting does not state, the paper's value, else the first level."""
    papers: dict[str, Level] = {"r": 16, "r of GE-theta-plus": 16, "form": "theta_plus", "kernel": 3, "lambda": 1e-4}
    design: dict[str, Level] = {"block": name}
    for factor in factors[1:]:
        if factor.there(design):
            stated: Any = placement if factor.name == "placement" else given.get(ARGUMENTS.get(factor.name, ""))
            fits = stated is not None and (factor.is_range or stated in factor.levels)
            papers_own: Level = papers.get(factor.name, (*factor.levels, "")[0])
            design[factor.name] = stated if fits else papers_own
    return design
