"""A study: one suite at one preset with its overrides and seeds, as it was resolved when it ran.

It is all that ``status``, ``report`` and ``sync`` need beside the stored results: no torch, no images, no suite file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeAlias

from pydantic import field_validator, model_validator

from ablations.crossing import Crossed, Levels, fault, sides
from ablations.suite import Claim
from ablations.tuning.record import Candidates, Tuned
from senet_core.config import Config, Frozen, tuples
from senet_core.errors import InputError


class Start(Frozen):
    """How a variant's network stands when training starts (``senet_core.start``): the norm of the gradient at its stem, and the share of
    dead gates (None where no block is gated). Seed 0, noise in place of images."""

    stem_gradient: float
    dead_gates: float | None


class Cost(Frozen):
    """What a variant costs: parameters, multiply-adds of one image's forward pass, and the hidden widths really built."""

    parameters: int
    macs: int
    hidden_widths: tuple[int, ...] = ()


class StudyData(Frozen):
    """The data as it was found: a label for tables, a fingerprint where the content needs one, sizes."""

    label: str
    fingerprint: str | None
    classes: tuple[str, ...]
    size: int
    channels: int
    train: int
    evaluated: int
    evaluated_on: Literal["test", "holdout"]


class Metric(Frozen):
    """What a training loop of a user's own is judged by: the name of a number that it returns, and which way is better."""

    name: str
    lower_is_better: bool


class Settings(Frozen):
    """The recipe of a trial that a user's own training loop computes: which loop, the hash of its source, the number that it is judged by,
    and what it is given."""

    loop: str
    source: str
    metric: str
    settings: dict[str, Any]

    @field_validator("settings", mode="before")
    @classmethod
    def _one_form_of_values(cls, settings: Any) -> Any:
        return {name: tuples(value) for name, value in settings.items()} if isinstance(settings, dict) else settings

    def tree(self) -> dict[str, Any]:
        """Nested dictionaries of plain JSON values, the form in which it is stored."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        return plain


class Foreign(InputError):
    """Something is asked of a study that only those have whose networks are trained here."""


class StudyVariant(Frozen):
    """One variant as resolved: its full config, what it changes against the reference, its cost, and a key per seed.

    Where a user's own loop trains it, ``config`` holds that loop's settings, and its cost is not known.

    ``changes`` is {dotted path: [reference's value, this variant's value]}. ``same_as`` names an earlier variant of the study that
    builds the very same network (a null ablation): the two share their trials. ``against`` is the variant that its row is compared with,
    itself for a row that is compared with none. ``levels`` are those of a cell of the study's crossed factors; a cell is compared by the
    effects that it is part of.
    """

    name: str
    config: Config | Settings
    changes: dict[str, tuple[Any, Any]]
    cost: Cost | None
    keys: dict[str, str]
    published: str | None = None
    same_as: str | None = None
    against: str | None = None
    start: Start | None = None
    levels: Levels = ()

    @property
    def recipe(self) -> Config:
        """Network, data and training.

        :raises Foreign: where a user's own loop trains it.
        """
        return ours(self.config)

    @property
    def price(self) -> Cost:
        """What the network costs.

        :raises Foreign: where a user's own loop trains it.
        """
        if self.cost is None:
            raise Foreign(f"The variant '{self.name}' is trained by a loop of its own, so the cost of its network is not known.")
        return self.cost


def ours(config: Config | Settings) -> Config:
    """The config of a trial that is trained here.

    :raises Foreign: where a user's own loop trains it.
    """
    if isinstance(config, Settings):
        raise Foreign(f"The training loop '{config.loop}' is a user's own, so there are no recipe, images and network of it to look at.")
    return config


class Precision(Frozen):
    """Stein's two-stage rule: the spread of the ``first`` seeds of the list decides how many there are in all.

    They are so many that the own 95 % interval of each difference has at most this ``half_width`` (percentage points), up to ``most``.
    ``stored`` counts the seeds that could be looked at when the rule was declared: 0 for a rule that was there before any result.
    """

    half_width: float
    first: int
    most: int
    stored: int = 0


State: TypeAlias = Literal["open", "done", "stopped", "diverged", "failed"]
"""What has become of a design: "done" after the whole schedule, "stopped" where it did not go on, "failed" where a trial has no result,
else "open" or "diverged"."""


class SearchedDesign(Frozen):
    """One design of a search: its number from 0 (the default's), {factor: level}, its cost in the search's unit, and the held-out errors
    (%) on the rungs that it was trained on, the shortest schedule first; None where its training diverged."""

    number: int
    choices: dict[str, Any]
    cost: int
    errors: tuple[float | None, ...]
    state: State


class Search(Frozen):
    """What a search is: its space and its rules, the designs so far, and the studies that confirm the best of them, in their order.

    ``factors`` are (name, what there is to choose from) in words, ``epochs`` those of the rungs, the whole schedule last; ``budget`` counts
    designs, ``batch`` those that are proposed without knowing of each other's results, ``name`` is the word that keeps it apart from other
    searches of its space. ``confirm`` and ``seeds`` are what the last command asked of a confirmation, how many designs and at which seeds
    (None and nothing where that is not known); ``storage`` says that a database of the user's keeps the designs, and not where it is.
    """

    space: str
    factors: tuple[tuple[str, str], ...]
    cost: Literal["parameters", "macs"]
    sampler: str
    seed: int
    batch: int
    budget: int
    epochs: tuple[int, ...]
    name: str | None = None
    designs: tuple[SearchedDesign, ...] = ()
    confirmed: tuple[str, ...] = ()
    confirm: int | None = None
    seeds: tuple[int, ...] = ()
    storage: bool = False

    @field_validator("confirmed", mode="before")
    @classmethod
    def _was_one_name(cls, confirmed: Any) -> Any:
        """Studies used to hold the last confirmation alone, or None."""
        return () if confirmed is None else (confirmed,) if isinstance(confirmed, str) else confirmed

    @property
    def size(self) -> int:
        """How many designs the search is about: its budget, or all there are where the last command asked for fewer."""
        return max(self.budget, len(self.designs))


class Confirms(Search):
    """The search that a study confirms as it was by then, without its designs.

    ``study`` is the name of the search's own study (None where that is not known), ``before`` the confirmations of the same search that had
    results by then, ``holdout`` the number of held-out images where a command line said it.
    """

    study: str | None = None
    before: tuple[str, ...] = ()
    holdout: int | None = None


class Study(Frozen):
    """The whole of one study; ``seeds`` are the texts under which ``StudyVariant.keys`` lists the trials."""

    name: str
    suite: str
    title: str
    question: str
    source: str
    table: str | None
    factor: tuple[str, ...]
    reference: str
    claims: tuple[Claim, ...]
    notes: tuple[str, ...]
    preset: str
    overrides: dict[str, Any]
    delta: float
    """The difference in top-1 error, in percentage points, that does not matter (of a loop's own metric, in its unit); declared before
    training."""
    converged: bool
    """Whether the preset trains to convergence; a claim's verdict needs that, elsewhere only directions are told."""
    data: StudyData | None
    """None where a user's own loop trains: what it reads is its own matter."""
    metric: Metric | None = None
    """What a user's own loop is judged by; None for the top-1 error of our evaluation."""
    seeds: tuple[str, ...]
    looks: tuple[tuple[str, ...], ...] = ()
    """The seeds in the groups in which they were asked for: more than one group means that some were added after others were there
    to be looked at."""
    precision: Precision | None = None
    """Where the number of seeds follows from a precision that was asked for."""
    planned_looks: int = 1
    """How many looks were declared before the first; each then decides at 5 % / ``planned_looks``."""
    vary: str | None = None
    """The one random stream that the seeds move, all others standing still; None where seeds move all of them."""
    search: Search | None = None
    """Where the variants are the designs of a search, trained on held-out images: which they are, and by what rule they came about."""
    confirms: Confirms | None = None
    """Where the variants are the best designs of a search, trained anew and judged on the test set: its rule, without the designs."""
    crossed: tuple[Crossed, ...] = ()
    """The factors whose every combination is one of the variants: what is declared then are their effects."""
    candidates: Candidates | None = None
    """Where it is the held-out part of a tuning: every variant of a suite at every candidate."""
    tuned: Tuned | None = None
    """Where each variant has a learning rate and a weight decay of its own: how they were found."""
    variants: tuple[StudyVariant, ...]

    @model_validator(mode="after")
    def _is_whole(self) -> Study:
        """Every name that the study uses is one of its variants, and the reference has a key for every seed. Others may have fewer: where
        seeds were added only for what was open, the settled ones have none of them."""
        names = {variant.name for variant in self.variants}
        contrasts = [contrast for claim in self.claims for contrast in claim.contrasts]
        used = {self.reference, *(name for c in contrasts for name in (c.variant, c.reference))} - {*sides(self.crossed)}
        used |= {variant.against for variant in self.variants if variant.against is not None}
        if not used <= names or not all(set(variant.keys) <= set(self.seeds) for variant in self.variants):
            raise ValueError("a study must hold all variants that it names, and know the seeds that they have keys for")
        if set(self.variant(self.reference).keys) < set(self.seeds):
            raise ValueError("a study's reference must have a key for each of its seeds")
        if wrong := fault(self.crossed, {variant.name: variant.levels for variant in self.variants}, self.reference):
            raise ValueError(wrong)
        return self

    @property
    def images(self) -> StudyData:
        """The data that is trained and evaluated on.

        :raises Foreign: where a user's own loop trains.
        """
        if self.data is None:
            raise Foreign(f"'{self.name}' is trained by a loop of its own, so its images are not known.")
        return self.data

    @property
    def lower_is_better(self) -> bool:
        """Which way is better: down for errors."""
        return self.metric is None or self.metric.lower_is_better

    def trials(self, seeds: Iterable[str] | None = None) -> Iterator[tuple[StudyVariant, str, str]]:
        """Every (variant, seed, key) of some seeds or all, seed by seed over all variants, so that partial results have pairs."""
        for seed in self.seeds if seeds is None else seeds:
            for variant in self.variants:
                if seed in variant.keys:
                    yield variant, seed, variant.keys[seed]

    def reference_of(self, variant: StudyVariant) -> str:
        """The name of the variant that a row is compared with; its own where it is compared with none."""
        return variant.against or self.reference

    @property
    def extended_after_looking(self) -> bool:
        """Whether seeds were added, or a rule declared, after results were there to be looked at, and nothing pays for that."""
        if self.precision is not None:
            return self.precision.stored > 0 or len(self.looks) > 2
        return len(self.looks) > self.planned_looks

    def network(self, name: str) -> str:
        """The variant whose trials a variant uses: its own, or those of its twin where both build one network."""
        return self.variant(name).same_as or name

    def variant(self, name: str) -> StudyVariant:
        """The variant of that name; raises ``KeyError`` if there is none."""
        return {variant.name: variant for variant in self.variants}[name]
