"""From a suite's name and the user's options to a study: everything resolved, priced and keyed before anything trains."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.presets import Preset
from ablations.study import Cost, Start, Study, StudyData, StudyVariant
from ablations.suite import Setting, Suite, made
from senet_core.config import Config, Net, canonical, differences, flat
from senet_core.errors import InputError
from senet_core.own_files import mistakes, refuse_arrays
from senet_core.registry import BLOCKS, DATASETS, NETWORKS
from senet_core.seeds import Seed, normal_seed

if TYPE_CHECKING:
    from senet_core.dataset import Arrays, Dataset, Facts


@dataclass
class DataSource:
    """Where the data sets' files lie; opens each data set once."""

    root: Path | None
    cache: Path | None
    _open: dict[str, tuple[Dataset, Facts]] = field(default_factory=dict)
    _arrays: dict[int, Arrays] = field(default_factory=dict)

    def prepare(self, config: Config) -> None:
        """Read a config's data and split off its hold-out, so that what is wrong with it shows before anything is stored.

        :raises InputError: for a broken image, a bad checksum, or a class too small for its share of the hold-out.
        """
        from senet_core.training.batches import split

        split(self.arrays(config).train_labels, config.data.holdout, 0)

    def arrays(self, config: Config) -> Arrays:
        """The images of a config's data set, read once and kept. A config with a hold-out gets the training side alone: nothing of the
        test side can then be read by mistake, and of a user's own data set not even whether its labels are in order.

        :raises InputError: where a user's own data set gives what does not fit its facts.
        """
        dataset, facts = self.opened(config)
        entry = DATASETS[config.data.name]
        if id(dataset) not in self._arrays:
            with mistakes(f"The data set '{config.data.name}'", entry):
                self._arrays[id(dataset)] = dataset.arrays()
        arrays, blind = self._arrays[id(dataset)], config.data.holdout > 0
        if entry.source is not None:
            refuse_arrays(config.data.name, arrays, facts, ("train",) if blind else ("train", "test"))
        return arrays.without_test() if blind else arrays

    def opened(self, config: Config) -> tuple[Dataset, Facts]:
        """The data set of a config, and its facts."""
        name = canonical({"name": config.data.name, **config.data.arguments})
        if name not in self._open:
            entry = DATASETS[config.data.name]
            with mistakes(f"The data set '{config.data.name}'", entry):
                dataset = entry.value(self.root, self.cache, **entry.bind("data set", config.data.arguments))
                self._open[name] = (dataset, dataset.facts())
        return self._open[name]


@dataclass(frozen=True)
class Order:
    """What the user asked for: a preset, the recipe fields that are overridden, and the seeds; ``vary`` is the one random stream that
    they move, None where they move all."""

    preset: Preset
    overrides: Mapping[str, Any]
    seeds: Sequence[Seed] = ()
    vary: str | None = None


def base_config(order: Order) -> Config:
    """The preset's recipe with the overrides; another network or data set drops the arguments that belonged to the preset's own."""
    config, overrides = order.preset.config, dict(order.overrides)
    network = overrides.pop("net.name", config.net.name)
    if network != config.net.name:  # the preset's own network and its arguments go; what sits in it, and where, stays
        kept = {name: value for name, value in config.tree()["net"].items() if name in Net.model_fields}
        config = Config.of(config.tree() | {"net": {**kept, "name": network}})
    name = overrides.pop("data.name", config.data.name)
    if name != config.data.name:
        tree = config.tree() | {"data": {"name": name, "holdout": config.data.holdout, "shift": config.data.shift}}
        config = Config.of(tree)
    return config.but(overrides)


def plan_study(name: str, order: Order, source: DataSource) -> Study:
    """Resolve one suite into a study: complete configs, costs, null ablations, keys.

    :raises InputError: for anything unknown or impossible, before anything trains.
    """
    from senet_core.resolve import resolve, stage_count

    _, facts = source.opened(base_config(order))
    base = resolve(base_config(order), facts)
    suite = made(name, Setting(base=base, stages=stage_count(base.net), preset=order.preset.name))
    refuse_lost_overrides(suite, order, facts)
    return study_of(suite, order, facts)


def study_of(suite: Suite, order: Order, facts: Facts) -> Study:
    """A suite's study at an order: complete configs, costs, null ablations, keys.

    :raises InputError: for an impossible variant.
    """
    from senet_core.resolve import resolve

    configs = {variant.name: resolve(variant.config, facts) for variant in suite.variants}
    if order.vary is not None:
        _refuse_still(order.vary, configs, facts)
    study = Study(
        name=study_name(suite.name, order, facts),
        suite=suite.name,
        title=suite.title,
        question=suite.question,
        source=suite.source,
        table=suite.table,
        factor=suite.factor,
        reference=suite.reference,
        claims=suite.claims,
        notes=suite.notes,
        preset=order.preset.name,
        overrides=dict(order.overrides),
        delta=order.preset.delta,
        converged=order.preset.converged,
        data=study_data(configs[suite.reference], facts),
        seeds=(),
        vary=order.vary,
        crossed=suite.crossed,
        variants=_study_variants(suite, configs, facts),
    )
    return keyed(study, order.seeds)


def keyed(study: Study, seeds: Sequence[Seed]) -> Study:
    """The study with just these seeds, in one look, and every variant with a key for each of them."""
    from senet_core.identity import trial_key

    def keys(variant: StudyVariant) -> dict[str, str]:
        config = study.variant(study.network(variant.name)).recipe  # twins share their trials
        return {seed_text(seed): trial_key(config, seed, study.images.fingerprint) for seed in seeds}

    texts = tuple(seed_text(seed) for seed in seeds)
    variants = tuple(variant.model_copy(update={"keys": keys(variant)}) for variant in study.variants)
    return study.model_copy(update={"seeds": texts, "looks": (texts,), "variants": variants})


def _study_variants(suite: Suite, configs: Mapping[str, Config], facts: Facts) -> tuple[StudyVariant, ...]:
    from senet_core.function import first_equal

    looks = {name: looked_at(config, facts) for name, config in configs.items()}
    firsts = first_equal(list(configs.values()), facts)
    names = list(configs)
    studied = []
    for place, variant in enumerate(suite.variants):
        config = configs[variant.name]
        price, begun = looks[variant.name]
        studied.append(
            StudyVariant(
                name=variant.name,
                config=config,
                changes=differences(configs[variant.against or suite.reference], config),
                cost=price,
                keys={},
                published=variant.published,
                same_as=names[firsts[place]] if firsts[place] != place else None,
                against=variant.against,
                start=begun,
                levels=variant.levels,
            )
        )
    return tuple(studied)


def looked_at(config: Config, facts: Facts) -> tuple[Cost, Start]:
    """What a network costs and how it stands before training."""
    from senet_core.cost import cost
    from senet_core.start import start

    with network_mistakes(config):
        price, begun = cost(config, facts), start(config, facts)
    return Cost(parameters=price.parameters, macs=price.macs, hidden_widths=price.hidden_widths), Start(**asdict(begun))


def network_mistakes(config: Config) -> AbstractContextManager[None]:
    """Where a user's own network or block fails inside the ``with``, that is a sentence and no traceback."""
    entries = [NETWORKS[config.net.name], *([BLOCKS[config.net.block.name]] if config.net.block is not None else [])]
    own = [f"{kind} '{entry.name}'" for kind, entry in zip(("network", "block"), entries, strict=False) if entry.source is not None]
    return mistakes(f"The {' with the '.join(own)}", *entries)


def study_data(config: Config, facts: Facts) -> StudyData:
    held = config.data.holdout
    return StudyData(
        label=facts.label,
        fingerprint=facts.fingerprint,
        classes=facts.classes,
        size=facts.size,
        channels=facts.channels,
        train=facts.train - held,
        evaluated=held or facts.test,
        evaluated_on="holdout" if held else "test",
    )


def refuse_lost_overrides(suite: Suite, order: Order, facts: Facts) -> None:
    """An override that would change nothing is an error: the suite varies that field itself, or the recipe does not read it."""
    from senet_core.resolve import resolve

    reference = suite.variant(suite.reference).config
    varied = {path for variant in suite.variants for path in differences(reference, variant.config)} - {"net.block"}
    for path, value in sorted(_nested(order.overrides).items()):
        if path not in varied or (path.startswith("net.block.") and flat(reference.tree()).get(path) == value):
            continue  # where the reference has the block as it was asked for, the other rows are what it is compared with
        raise InputError(f"The suite '{suite.name}' changes {path} itself, so it cannot be set from the command line.")
    whole = resolve(base_config(order), facts)
    for path, value in order.overrides.items():
        if path in ("net.name", "data.name"):  # always read; and without it, the arguments beside it would be another's
            continue
        rest = {other: its for other, its in order.overrides.items() if other != path and not other.startswith(f"{path}.")}
        if flat(whole.tree()).get(path) == value:
            continue
        try:
            without = resolve(base_config(replace(order, overrides=rest)), facts)
        except InputError:
            continue  # there is no recipe without it, so it is read
        if without == whole:
            raise InputError(f"--{path} changes nothing here: this recipe does not read it.")


def _nested(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides as {path: value}, with a mapping as value giving the paths below it."""
    return {path: value for name, value in overrides.items() for path, value in flat({name: value}).items()}


def _refuse_still(stream: str, configs: Mapping[str, Config], facts: Facts) -> None:
    """A stream that moves nothing in some variant is an error: its seeds would all be one trial."""
    if stream == "split" and not all(config.data.holdout for config in configs.values()):
        raise InputError("--vary split needs held-out images, for the split is what draws them: add --data.holdout 5000, for instance.")
    if stream == "augment" and not all(config.data.augment for config in configs.values()):
        raise InputError("--vary augment moves nothing here: this recipe does not augment its training images.")
    if stream == "noise":
        from senet_core.noise import draws_noise

        for name, config in configs.items():
            if not draws_noise(config, facts):
                raise InputError(f"--vary noise moves nothing in '{name}': the network '{config.net.name}' draws no random numbers.")


def seed_text(seed: Seed) -> str:
    """A seed as studies name it: the canonical JSON of its one form."""
    return canonical(normal_seed(seed))


def study_name(suite: str, order: Order, facts: Facts) -> str:
    """Suite, preset, data and the stream that is varied in words; what was overridden as a short hash, because it may be long."""
    slug = re.sub(r"[^a-z0-9]+", "-", facts.label.lower()).strip("-") or "data"
    name = f"{suite}-{order.preset.name}-{slug}" + (f"-vary-{order.vary}" if order.vary else "")
    rest = {path: value for path, value in order.overrides.items() if path != "data.name"}
    if not rest:
        return name
    return f"{name}-{hashlib.sha256(canonical(rest).encode()).hexdigest()[:6]}"
