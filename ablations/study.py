"""A study: one suite at one preset with its overrides and seeds, as it was resolved when it ran.

It is all that ``status``, ``report`` and ``sync`` need beside the stored results: no torch, no images, no suite file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from pydantic import model_validator

from ablations.suite import Claim
from senet_core.config import Config, Frozen


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


class StudyVariant(Frozen):
    """One variant as resolved: its full config, what it changes against the reference, its cost, and a key per seed.

    ``changes`` is {dotted path: [reference's value, this variant's value]}. ``same_as`` names an earlier variant of the study that
    builds the very same network (a null ablation): the two share their trials. ``against`` is the variant that its row is compared with,
    itself for a row that is compared with none.
    """

    name: str
    config: Config
    changes: dict[str, tuple[Any, Any]]
    cost: Cost
    keys: dict[str, str]
    published: str | None = None
    same_as: str | None = None
    against: str | None = None
    start: Start | None = None


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
    """The difference in top-1 error, in percentage points, that does not matter; declared before training."""
    converged: bool
    """Whether the preset trains to convergence; a claim's verdict needs that, elsewhere only directions are told."""
    data: StudyData
    seeds: tuple[str, ...]
    looks: tuple[tuple[str, ...], ...] = ()
    """The seeds in the groups in which they were asked for: more than one group means that some were added after others were there
    to be looked at."""
    variants: tuple[StudyVariant, ...]

    @model_validator(mode="after")
    def _is_whole(self) -> Study:
        """Every name that the study uses is one of its variants, and every variant has a key for every seed."""
        names = {variant.name for variant in self.variants}
        contrasts = [contrast for claim in self.claims for contrast in claim.contrasts]
        used = {self.reference, *(name for c in contrasts for name in (c.variant, c.reference))}
        used |= {variant.against for variant in self.variants if variant.against is not None}
        if not used <= names or not all(set(variant.keys) >= set(self.seeds) for variant in self.variants):
            raise ValueError("a study must hold all variants that it names and a key for each of their seeds")
        return self

    def trials(self, seeds: Iterable[str] | None = None) -> Iterator[tuple[StudyVariant, str, str]]:
        """Every (variant, seed, key) of some seeds or all, seed by seed over all variants, so that partial results have pairs."""
        for seed in self.seeds if seeds is None else seeds:
            for variant in self.variants:
                yield variant, seed, variant.keys[seed]

    def reference_of(self, variant: StudyVariant) -> str:
        """The name of the variant that a row is compared with; its own where it is compared with none."""
        return variant.against or self.reference

    def variant(self, name: str) -> StudyVariant:
        """The variant of that name; raises ``KeyError`` if there is none."""
        return {variant.name: variant for variant in self.variants}[name]
