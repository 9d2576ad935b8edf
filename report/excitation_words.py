"""The role of excitation in words: how a page's tables read, which block stands for which of the paper's, and what became of a claim.
All texts are Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from ablations.excitation import Look, drawable
from ablations.excitation_claims import Roles
from ablations.statistics.claims import Part
from ablations.statistics.comparison import FEWEST, Comparison
from ablations.statistics.estimation import Estimate
from ablations.statistics.rounding import difference_text, p_text
from ablations.store import Store
from ablations.study import Study
from report.numbers import plain
from report.wording import verdict_text
from senet_core.class_gates import HIGH, LOW
from senet_core.seeds import seed_label


def pages_text(study: Study, store: Store) -> tuple[str, str] | None:
    """Of which variants a page like this can be made from what is stored, and the command that makes that of the reference, or of the
    first; None where there is none."""
    found = drawable(study, store)
    if not found:
        return None
    names = f"the variant{'' if len(found) == 1 else 's'} {', '.join(plain(one.name) for one in found)}"
    told = (
        f"The gates of {names} are stored by class. The page on the role of excitation in one of them (Section 7.2 of the paper) shows "
        "what they do block by block and, with `--knockout`, what the network loses without them:"
    )
    first = next((one for one in found if one.name == study.reference), found[0])
    return told, shlex.join(["ablate", "excitation", study.name, first.name])


def setting_text(study: Study, looks: Sequence[Look]) -> str:
    """What was looked at: study, data, images, classes, seeds."""
    images, side = int(looks[0].gates[0].counts.sum()), "held-out" if study.images.evaluated_on == "holdout" else "test"
    labels = [seed_label(look.seed) for look in looks]
    numbers = [label.removeprefix("seed ") for label in labels]
    plural = all(number.isdecimal() for number in numbers) and len(labels) > 1
    seeds = f"seeds {', '.join(numbers)}" if plural else ", ".join(labels)
    where = f"{plain(study.name)}, preset {plain(study.preset)}, {plain(study.images.label)}"
    return f"Study: {where}; {images:,} {side} images of {len(study.images.classes)} classes; {plain(seeds)}."


def reading_text(looks: Sequence[Look]) -> str:
    """How to read the table of gates."""
    n, records = len(looks), [look.record for look in looks if look.record]
    means = f"means over {n} seeds with their 95 % Student-t intervals" if n > 1 else "one seed"
    shuffled = (
        f"its 95 % point under {records[0].permutations} shuffles of the labels and the p of the true ones are the greatest over seeds."
        if records
        else "how much, was not looked at, for it takes the trials' weights."
    )
    bounded = all(block.saturated is not None for look in looks for block in look.gates)
    saturated = (
        f"A gate counts as saturated below {LOW:g} or above {HIGH:g}."
        if bounded
        else "Saturation is told of gates between 0 and 1; some of these leave that range, and their curve ends elsewhere or nowhere."
    )
    return (
        f"Blocks are named by stage and unit; {means}. The variance between classes is its share of that of all gates, summed over "
        f"channels. Gates that know nothing of the class have some, too: {shuffled} SD is a standard deviation, of a gate of 1 times "
        f"100: within a class, and over all images. {saturated}"
    )


def roles_text(roles: Roles, names: Mapping[str, str], stages: int) -> str:
    """Which blocks stand for which of the paper's."""
    first, late = (", ".join(plain(names[path]) for path in paths) for paths in (roles.first, roles.late))
    specific = [f"block {plain(names[path])} for {paper}" for path, paper in zip(roles.specific, ("4.6", "5.1"), strict=False)]
    few = " Networks for CIFAR have three stages, so nothing stands for its stage 3." if stages == 3 else ""
    return (
        "The paper's SE-ResNet-50 has four stages, numbered from 2, and the paper shows its blocks 2.3, 3.4, 4.6 and 5.1 to 5.3. Here the "
        f"first stage (blocks: {first}) stands for its stage 2, the last but one (blocks: {late}) for its stage 4, and the last one for "
        f"its stage 5: {', '.join(specific)}, and block {plain(names[roles.last])} for 5.2 and 5.3.{few}"
    )


def shown(one: Comparison | None) -> Estimate | None:
    """The change with the interval that covers together with the others; below three seeds without one."""
    if one is None:
        return None
    return one.all if one.n >= FEWEST else Estimate(one.mean, None, None, one.n)


# -- claims

_EXPECTED = {"worse": "higher", "better": "lower", "equivalent": "no change that matters"}


def part_text(part: Part, names: dict[str, str]) -> str:
    """One contrast of a claim as a sentence: what was compared, what was expected, what was found."""
    one = part.comparison
    assert one is not None, "two quantities are never one network"
    expected = f"expected {_EXPECTED[part.contrast.expect]}"
    what = _what(part.contrast.variant, part.contrast.reference, names)
    if one.mean is None:
        return f"{what}, {expected}: {one.reason or 'not measured'}."
    verdict = f"**{_word(part)}**" if one.word else f"no verdict ({one.reason})"
    adjusted = f", Holm-adjusted p {p_text(one.adjusted)}" if one.adjusted is not None else ""
    return f"{what}, {expected}: {verdict}; {difference_text(shown(one))}, n = {one.n}{adjusted}."


def _what(variant: str, reference: str, names: dict[str, str]) -> str:
    kind, _, which = variant.partition(": ")
    block = f"block {plain(names[which])}" if which in names else which
    if kind == "share":
        return f"Variance between classes in {_the(block)} less that in {_the(reference.partition(': ')[2])} (percentage points)"
    if kind == "spread":
        return f"SD over images in {_the(block)} less that in {_the(reference.partition(': ')[2])} (gate × 100)"
    gates = "their mean" if kind == "mean" else "those of other images"
    return f"Change of the error with the gates of {_the(block)} replaced by {gates} (points)"


def _the(what: str) -> str:
    return what if what.startswith("block ") else f"the {what}"


def _word(part: Part) -> str:
    """Verdicts of shares and spreads are "lower" and "higher", those of errors the usual ones."""
    one = part.comparison
    assert one is not None
    if part.contrast.variant.startswith(("share", "spread")):
        return {"better": "lower", "worse": "higher"}.get(one.word or "", verdict_text(one))
    return verdict_text(one)
