"""Is it SE, or only more parameters, or only more time?"""

from __future__ import annotations

from ablations.presets import PRESETS
from ablations.suite import SUITES, Claim, Contrast, Setting, Suite, Variant
from senet_core.errors import InputError

Widths = tuple[int, ...]

SAME_TIME: dict[str, Widths] = {"smoke": (64, 144, 320), "quick": (64, 128, 272)}
"""Widths at which the plain network of a preset takes as long for a step as the one with SE, measured on a CPU by
``python -m benchmarks.step_time capacity`` (docs/recipes.md has the figures)."""

TOLERANCE = 0.1
"""How far the widened network's added parameters may be from SE's, as a share of them."""


@SUITES.add("capacity")
def capacity(setting: Setting) -> Suite:
    """The network with SE beside plain ones: as it is, widened to as many parameters, and widened to the same time a step."""
    base = setting.base
    plain = base.but({"net.block": None})
    wide = same_parameters(setting)
    slow = SAME_TIME.get(setting.preset) if _is_the_presets_own(setting) else None
    timed = [Variant(name="none, same time", config=plain.but({"net.widths": slow}))] if slow else []
    rows = ["none", "none, same parameters", *(variant.name for variant in timed)]
    return Suite(
        name="capacity",
        title="SE against a wider network",
        question="Is SE better than giving its parameters, or its time, to a wider network without it?",
        source="A control of this project; Hu et al., arXiv 1709.01507 v4, report parameters and GFLOPs beside their errors",
        factor=("net.widths", "net.block"),
        reference="SE",
        variants=(
            Variant(name="none", config=plain),
            Variant(name="none, same parameters", config=plain.but({"net.widths": wide})),
            *timed,
            Variant(name="SE", config=base),
        ),
        claims=(
            Claim(
                text="SE is better than the plain network, also where that is widened to as much as SE costs.",
                contrasts=tuple(Contrast(variant="SE", reference=name, expect="better") for name in rows),
            ),
        ),
        notes=(
            "For the parameters all stages are widened by one factor, to whole channels; the table shows how near that comes.",
            "For the time the later stages are widened, in steps that a processor's vectors fill; it was measured on one kind of CPU and "
            "fixed, so elsewhere the two rows may take different times."
            if timed
            else "There is no row of equal time: it was measured for the networks of the presets 'smoke' and 'quick' alone.",
        ),
    )


def same_parameters(setting: Setting) -> Widths:
    """The widths, all scaled by one factor, at which the plain network's parameters come nearest to those with SE.

    :raises InputError: for a network that is no post-activation ResNet with 1x1 projections, a block that is not SE or not in all stages,
        or so little that SE adds that no whole widths come near it.
    """
    units, widths = setting.shape()
    arguments, se = setting.base.net.arguments, setting.se()
    if setting.base.net.name != "resnet" or arguments.get("shortcut", "projection") != "projection":
        raise InputError("This suite widens post-activation ResNets with projection shortcuts ('resnet'), and no other network.")
    if setting.base.net.stages != "all":
        raise InputError("This suite widens all stages, so SE has to be in all of them; net.stages is not.")
    added = sum(setting.added_parameters([int(se.get("reduction", 16))] * len(widths)))
    wanted = _parameters(arguments, units, widths) + added
    wider = [tuple(round(width * last / widths[-1]) for width in widths) for last in range(widths[-1], 2 * widths[-1] + 1)]
    missed = {candidate: abs(_parameters(arguments, units, candidate) - wanted) for candidate in wider}
    nearest = min(wider, key=missed.__getitem__)
    if missed[nearest] > added * TOLERANCE:
        raise InputError(f"SE adds {added:,} parameters here, and no network widened to whole channels comes within a tenth of that.")
    return nearest


def _parameters(arguments: dict[str, object], units: Widths, widths: Widths) -> int:
    """Parameters of the stages and the classifier of a plain ResNet (a test holds them to the network as built); torch-free, so that
    listing suites stays light. The stem does not change with the widths, and ten classes stand for any number."""
    stem, squash, basic = int(str(arguments["stem"])), int(str(arguments["squash"])), arguments["unit"] == "basic"
    total, inputs = 0, stem
    for stage, (count, width) in enumerate(zip(units, widths, strict=True)):
        for index in range(count):
            inner = width if basic else max(1, width // squash)
            if basic:
                total += 9 * inputs * width + 9 * width * width + 4 * width
            else:
                total += inputs * inner + 9 * inner * inner + inner * width + 4 * inner + 2 * width
            if inputs != width or (stage > 0 and index == 0):
                total += inputs * width + 2 * width
            inputs = width
    return total + 10 * inputs


def _is_the_presets_own(setting: Setting) -> bool:
    own, given = PRESETS[setting.preset].config.net, setting.base.net
    pairs = [(own, given), (own.block, given.block)]
    if (own.placement, own.stages) != (given.placement, given.stages):
        return False
    return all(a and b and a.name == b.name and a.arguments.items() <= b.arguments.items() for a, b in pairs)
