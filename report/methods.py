"""A paragraph for the Methods section of a paper: network, data, recipe, seeds, tests and δ, in words that stand alone."""

from __future__ import annotations

from ablations.statistics.comparison import FEWEST
from ablations.study import Study
from ablations.tuning.studies import note
from report.captions import images_text
from report.levels import confidence, level_text, together
from report.numbers import macs_text, plain
from report.recipe import recipe
from report.rows import Reading
from report.wording import seeds_text
from senet_core.seeds import STREAMS, seed_label

_FACTORS = {
    "net": "the network",
    "net.block": "the block",
    "net.block.gate": "the gate",
    "net.block.init": "the gate's scale at the start",
    "net.block.reduction": "the reduction ratio",
    "net.block.squeeze": "the squeeze operator",
    "net.placement": "the place of the block in the unit",
    "net.stages": "the stages with blocks",
    "net.units": "the number of units",
    "net.widths": "the widths",
    "data.augment": "the augmentation",
    "train.lr": "the learning rate",
    "train.weight_decay": "the weight decay",
}


def factor_text(study: Study) -> str:
    """What the variants differ in, in words: "the gate and the block"."""
    told = [_FACTORS.get(path, plain(path)) for path in study.factor]
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)


def methods(reading: Reading) -> str:
    """The paragraph, in Markdown."""
    told = [*_training(reading.study), *_seeds(reading), *_statistics(reading), *_software(reading)]
    return " ".join(told)


def _training(study: Study) -> list[str]:
    how, reference = dict(recipe(study)), study.variant(study.reference)
    smoothing = "" if how["Label smoothing"] == "none" else f", with label smoothing {how['Label smoothing']}"
    evaluated = (
        f"The top-1 error was read once, after the last epoch, on the {images_text(study)}"
        if study.images.evaluated_on == "test"
        else f"The top-1 error is that of the last epoch on {images_text(study)}, taken from the training images and balanced by class; "
        "the test set was not read"
    )
    return [
        f'The variants differ in {factor_text(study)} and in nothing else. The reference, "{plain(study.reference)}", is the network '
        f"{how['Network']}: {reference.price.parameters:,} parameters and {macs_text(reference.price.macs)} multiply-adds for an image.",
        f"Every variant was trained from its start values on {how['Data']}, augmentation: {how['Augmentation']}. Training took "
        f"{how['Training']}, by {how['Optimiser']}{smoothing}, in {how['Precision']}; the learning rate {_rate(how['Learning rate'])}.",
        f"{evaluated}; no epoch and no setting was selected on {'it' if study.images.evaluated_on == 'test' else 'them'}.",
        *([note(study.tuned.question)] if study.tuned else []),
    ]


def _rate(text: str) -> str:
    return text if text.startswith("climbs") else f"was {text}"


def _seeds(reading: Reading) -> list[str]:
    study = reading.study
    named = ", ".join(seed_label(seed).removeprefix("seed ") for seed in study.seeds)
    moved = f"the {len(STREAMS)} random streams ({', '.join(STREAMS)})" if study.vary is None else f"the random stream {study.vary}"
    one = len(study.seeds) == 1
    told = [
        f"The seed{'' if one else 's'} {plain(named)} fix{'es' if one else ''} {moved}; all variants share them, and parameters of the "
        "same place and shape start alike, so errors are compared seed by seed."
    ]
    states = [cell.state for cell in {cell.key: cell for cell in reading.cells}.values()]
    done, diverged = states.count("done"), states.count("diverged")
    missing = len(states) - done - diverged
    if missing or diverged:
        lost = [f"{diverged} diverged (counted as such, and in no mean)"] * bool(diverged) + [f"{missing} are missing"] * bool(missing)
        told.append(f"Of {len(states)} trials, {', '.join([f'{done} finished', *lost])}.")
    return told + seeds_text(reading.study, reading.verdicts.comparisons, reading.finished)


def _statistics(reading: Reading) -> list[str]:
    found, delta, looks = reading.verdicts.comparisons, f"{reading.study.delta:g}", reading.study.planned_looks
    if not found.family:
        return []
    crossed = [_crossed(reading)] if reading.study.crossed else []
    if all(one.adjusted is None for one in found.found):
        return [*crossed, f"With fewer than {FEWEST} pairs of seeds, differences are given without intervals, and nothing was tested."]
    several = found.family > 1
    equal = "An effect is called equivalent, and an interaction said to add up," if crossed else "Two variants are called equivalent"
    family = f"its p adjusted by Holm's procedure over all {found.family} declared comparisons" if several else "the only one declared"
    intervals = (
        f"The intervals of differences are Bonferroni's at {confidence(looks)}, made to agree with these tests; together they cover in at "
        f"least {together(found.family)}."
    )
    rates = any(one.divergence for one in found.found)
    return [
        *crossed,
        f"Each difference was tested by a two-sided paired t test at {level_text(looks)}, {family}.",
        *([intervals] if several else []),
        f"{equal} when two one-sided tests at {level_text(looks)} place {'it' if crossed else 'their difference'} inside ±δ, with "
        f"δ = {delta} percentage points declared before training.",
        *(["Rates of divergence were compared by Fisher's exact test, which shares the comparison's level."] if rates else []),
    ]


def _crossed(reading: Reading) -> str:
    factors = reading.study.crossed
    told = ", ".join(f"{plain(factor.name)} ({plain(', '.join(factor.levels))})" for factor in factors)
    cells = sum(bool(variant.levels) for variant in reading.study.variants)
    return (
        f"All {cells} combinations of {told} were trained. A main effect is the difference of a level to its factor's reference, averaged "
        "at each seed over all combinations of the other factors; an interaction of two levels is the difference of such differences."
    )


def _software(reading: Reading) -> list[str]:
    ran = reading.provenance()
    if not ran:
        return []

    def named(fact: str) -> str:
        return " or ".join(plain(value) for value in ran.get(fact, {}))

    commits = " or ".join(plain(commit[:12]) for commit in dict.fromkeys(value.split()[0] for value in ran["commit"]))
    return [f"Software: SENet Ablations, commit {commits}; PyTorch {named('torch')}, on {named('device')}."]
