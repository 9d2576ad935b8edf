"""A study: one suite at one preset with its overrides and seeds, as it was resolved when it ran.

It is all that ``status``, ``report`` and ``sync`` need beside the stored results: no torch, no images, no suite file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from ablations.suite import Claim
from senet_core.config import Config, Frozen


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
    builds the very same network (a null ablation): the two share their trials.
    """

    name: str
    config: Config
    changes: dict[str, tuple[Any, Any]]
    cost: Cost
    keys: dict[str, str]
    published: str | None = None
    same_as: str | None = None


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
    variants: tuple[StudyVariant, ...]

    def trials(self) -> Iterator[tuple[StudyVariant, str, str]]:
        """Every (variant, seed, key), seed by seed over all variants, so that partial results have pairs."""
        for seed in self.seeds:
            for variant in self.variants:
                yield variant, seed, variant.keys[seed]

    def variant(self, name: str) -> StudyVariant:
        """The variant of that name; raises ``KeyError`` if there is none."""
        return {variant.name: variant for variant in self.variants}[name]
