"""A suite as pure data: the question, its source, the variants, and the claims of the paper that it can test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field, model_validator

from senet_core.config import Config, Frozen
from senet_core.errors import InputError, unknown
from senet_core.registry import Registry

Expectation = Literal["better", "worse", "equivalent"]


class Variant(Frozen):
    """A name and a config; ``published`` is the row of the paper's table that it redraws, if there is one."""

    name: str
    config: Config
    published: str | None = None


class Contrast(Frozen):
    """One declared comparison: ``variant`` against its own ``reference``, and what the paper leads us to expect."""

    variant: str
    reference: str
    expect: Expectation


class Claim(Frozen):
    """A statement of the paper that the suite can test; it holds when every contrast of it does."""

    text: str
    contrasts: tuple[Contrast, ...]


class Suite(Frozen):
    """One ablation.

    ``factor`` lists the config paths that its variants may differ in; ``table`` is the id of the paper's table in
    ``published.csv``; ``notes`` are the differences of protocol that a reader of both tables must know.
    """

    name: str
    title: str
    question: str
    source: str
    table: str | None = None
    factor: tuple[str, ...]
    reference: str
    variants: tuple[Variant, ...]
    claims: tuple[Claim, ...] = ()
    notes: tuple[str, ...] = Field(default=())

    @model_validator(mode="after")
    def _names_exist_once(self) -> Suite:
        names = [variant.name for variant in self.variants]
        if len(set(names)) < len(names):
            raise InputError(f"The suite '{self.name}' has two variants of one name.")
        contrasts = [contrast for claim in self.claims for contrast in claim.contrasts]
        for name in [self.reference, *(n for c in contrasts for n in (c.variant, c.reference))]:
            if name not in names:
                raise unknown(f"variant of the suite '{self.name}'", name, names)
        return self

    def variant(self, name: str) -> Variant:
        """The variant of that name.

        :raises InputError: if there is none.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise unknown(f"variant of the suite '{self.name}'", name, (v.name for v in self.variants))


class Setting(Frozen):
    """What a suite is made for: the preset's recipe with the user's overrides, and how many stages its network has."""

    base: Config
    stages: int


SUITES: Registry[Callable[[Setting], Suite]] = Registry("suite", "ablations.suites")
"""Functions that make a suite for a setting, one in each file of ``ablations/suites/``."""
