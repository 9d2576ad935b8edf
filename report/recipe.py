"""A study's recipe in words: one line for each thing that a reader must know to train the same."""

from __future__ import annotations

from ablations.study import Study
from report.numbers import plain
from senet_core.config import Component, Config, Net, Train
from senet_core.seeds import seed_label


def recipe(study: Study) -> list[tuple[str, str]]:
    """(what, how) in Markdown, of the reference's config; the study's factor says where the other variants differ."""
    config, images = study.variant(study.reference).recipe, study.images
    return [
        ("Network", _network(config.net)),
        ("What the variants change", ", ".join(f"`{path}`" for path in study.factor)),
        ("Data", f"{plain(images.label)}: {images.train:,} training images, {len(images.classes)} classes, {_pixels(study)}"),
        ("Evaluated on", _evaluated(study)),
        ("Augmentation", _augmentation(config)),
        ("Training", f"{config.train.epochs} epochs, batches of {config.train.batch}"),
        ("Learning rate", _rate(config.train) + _own(study)),
        ("Optimiser", _optimiser(config.train)),
        ("Label smoothing", f"{config.train.label_smoothing:g}" if config.train.label_smoothing else "none"),
        ("Precision", config.train.precision),
        ("Preset", _preset(study)),
        ("Seeds", _seeds(study)),
    ]


def _own(study: Study) -> str:
    return " (the reference's; each variant has a setting of its own)" if study.tuned else ""


def _component(component: Component) -> str:
    arguments = ", ".join(f"{plain(name)} {plain(value)}" for name, value in component.arguments.items())
    return plain(component.name) + (f" ({arguments})" if arguments else "")


def _network(net: Net) -> str:
    if net.block is None:
        return f"{_component(net)}, no block"
    where = "all stages" if net.stages == "all" else f"stages {', '.join(map(str, net.stages))}"
    own = "".join(f"; {plain(name)} by stage: {', '.join(map(plain, values))}" for name, values in net.by_stage.items())
    return f"{_component(net)} with the block {_component(net.block)}, placement {net.placement}, in {where}{own}"


def _pixels(study: Study) -> str:
    colour = {1: "grey", 3: "colour"}.get(study.images.channels, f"{study.images.channels} channels")
    return f"{study.images.size}×{study.images.size} {colour}"


def _evaluated(study: Study) -> str:
    if study.images.evaluated_on == "holdout":
        return f"{study.images.evaluated:,} training images held out, balanced by class; the test set was not read"
    return f"the test set, {study.images.evaluated:,} images, read once after the last epoch"


def _augmentation(config: Config) -> str:
    augment = config.data.augment
    if augment == "auto":
        return "the data set's own"
    moved = f" (by {config.data.shift} pixels at most)"
    return ", ".join(plain(name) + (moved if name == "crop" else "") for name in augment) or "none"


def _rate(train: Train) -> str:
    if train.schedule == "one_cycle":
        return f"climbs linearly to {train.lr:g} over the first {100 * train.warmup:g} % of the steps, then falls linearly to 0"
    steps = ", ".join(f"{100 * share:g} %" for share in train.milestones)
    warm = f", after {train.warmup_epochs} epochs at a tenth of it" if train.warmup_epochs else ""
    return f"{train.lr:g}, multiplied by {train.gamma:g} after {steps} of the epochs{warm}"


def _optimiser(train: Train) -> str:
    decayed = "convolution and linear weights only" if train.decay == "weights" else "all parameters"
    momentum = f"{'Nesterov ' if train.nesterov else ''}momentum {train.momentum:g}"
    return f"SGD, {momentum}, weight decay {train.weight_decay:g} on {decayed}"


def _seeds(study: Study) -> str:
    """The seeds in the groups in which they were asked for."""
    looks = [look for look in study.looks if look] or [study.seeds]
    groups = "; then ".join(", ".join(plain(seed_label(seed).removeprefix("seed ")) for seed in look) for look in looks)
    late = " (extended after looking: the later seeds were asked for when the earlier ones were there to be seen)"
    return groups + (late if study.extended_after_looking and len(looks) > 1 else "")


def _preset(study: Study) -> str:
    changed = ", ".join(f"{plain(path)} = {plain(value)}" for path, value in study.overrides.items())
    return plain(study.preset) + (f", changed: {changed}" if changed else "") + f"; δ = {study.delta:g} points, declared before training"
