"""A suite as pure data: the question, its source, the variants, and the claims of the paper that it can test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

from pydantic import Field, model_validator

from ablations.crossing import Crossed, Levels, all_cells, contrast_fault, fault, sides
from senet_core.config import Config, Frozen, differences
from senet_core.errors import InputError, unknown
from senet_core.own_files import mistakes
from senet_core.registry import Registry

Expectation = Literal["better", "worse", "equivalent"]


class Variant(Frozen):
    """A name and a config.

    ``published`` is the row of the paper's table that it redraws, if there is one. ``against`` names the variant that its row is compared
    with: the suite's reference unless stated; its own name for a row that is compared with none. ``levels`` are those of a cell of the
    crossed factors, one a factor, in their order; a cell is compared by the effects that it is part of.
    """

    name: str
    config: Config
    published: str | None = None
    against: str | None = None
    levels: Levels = ()


class Contrast(Frozen):
    """One declared comparison: ``variant`` against its own ``reference``, and what the paper leads us to expect.

    In a suite that crosses factors both may also be the two sides of one effect, in either order: "max overall" against "average overall"
    is a main effect, "max and tanh together" against "max and tanh added up" an interaction. Of an interaction "equivalent" says that the
    two add up, "worse" that they err more together than added up, "better" that they err less.
    """

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
    ``published.csv``; ``notes`` are the differences of protocol that a reader of both tables must know. ``crossed`` are the factors whose
    every combination is one of the variants (``cells``); then the suite declares their effects, and not the difference of each cell.
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
    crossed: tuple[Crossed, ...] = ()

    @model_validator(mode="after")
    def _names_exist_once(self) -> Suite:
        names = [variant.name for variant in self.variants]
        if len(set(names)) < len(names):
            raise InputError(f"The suite '{self.name}' has two variants of one name.")
        if wrong := fault(self.crossed, {variant.name: variant.levels for variant in self.variants}, self.reference):
            raise InputError(f"The suite '{self.name}': {wrong}.")
        for variant in self.variants:
            if variant.levels and variant.against is not None:
                raise InputError(
                    f"The suite '{self.name}': its variant '{variant.name}' is a cell, compared by its effects; leave 'against' out."
                )
        contrasts = [contrast for claim in self.claims for contrast in claim.contrasts]
        used = [name for c in contrasts for name in (c.variant, c.reference)]
        compared = [self.reference, *(v.against for v in self.variants if v.against is not None)]
        for known, asked in ((names, compared), ([*names, *sides(self.crossed)], used)):
            for name in asked:
                if name not in known:
                    raise unknown(f"variant of the suite '{self.name}'", name, known)
        for one in contrasts:
            if wrong := contrast_fault(self.crossed, one.variant, one.reference):
                raise InputError(f"The suite '{self.name}': {wrong}.")
        return self

    def variant(self, name: str) -> Variant:
        """The variant of that name.

        :raises InputError: if there is none.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise unknown(f"variant of the suite '{self.name}'", name, (v.name for v in self.variants))


Factors = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""{factor: {level: {config path: value}}}."""


def cells(base: Config, factors: Factors, reference: Sequence[str]) -> tuple[tuple[Crossed, ...], tuple[Variant, ...]]:
    """The factors as crossed, and a variant for each combination of their levels, named by these: "max, tanh, r = 4".

    ``reference`` is one level a factor, what the paper has by default.

    :raises InputError: where two factors change one field, or there is not one reference for each factor.
    """
    if len(reference) != len(factors):
        raise InputError(f"{len(factors)} factors are crossed, and {len(reference)} references are given; each factor has one.")
    for (one, its), (other, others) in combinations(factors.items(), 2):
        for path in sorted({path for level in its.values() for path in level}):
            if any(_overlap(path, theirs) for level in others.values() for theirs in level):
                raise InputError(f"The factors '{one}' and '{other}' both change {path}, so they cannot be crossed.")
    crossed = tuple(
        Crossed(name=name, levels=tuple(levels), reference=own) for (name, levels), own in zip(factors.items(), reference, strict=True)
    )
    variants = []
    for cell in all_cells(crossed):
        changes = {path: value for name, level in zip(factors, cell, strict=True) for path, value in factors[name][level].items()}
        variants.append(Variant(name=", ".join(cell), config=base.but(changes), levels=cell))
    return crossed, tuple(variants)


def _overlap(one: str, other: str) -> bool:
    """Whether two paths are one field, or one lies in the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


UNITS_OF_ONE_BLOCK = ("resnet", "preact_resnet", "resnext", "shake_shake")
"""The networks that have one block in each unit, and it has the unit's output width."""


class Setting(Frozen):
    """What a suite is made for: the preset's recipe with the user's overrides, how many stages its network has, the preset's name."""

    base: Config
    stages: int
    preset: str

    def block(self) -> dict[str, Any]:
        """The setting's own block, name and arguments.

        :raises InputError: if the setting has none.
        """
        block = self.base.net.block
        if block is None:
            raise InputError("This suite needs a network with a block, and net.block is none.")
        return {"name": block.name, **block.arguments}

    def label(self) -> str:
        """What rows call the setting's block: "SE", or the block's name.

        :raises InputError: if the setting has none.
        """
        name = str(self.block()["name"])
        return "SE" if name == "se" else name

    def se(self) -> dict[str, Any]:
        """The arguments of the setting's SE block.

        :raises InputError: if its block is another one.
        """
        arguments = self.block()
        if arguments.pop("name") != "se":
            raise InputError(f"This suite is about SE itself, so it cannot be made for the block '{self.block()['name']}'.")
        return arguments

    def shape(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Units and output widths of each stage.

        :raises InputError: for a network that is not made of stages of equal units.
        """
        arguments = self.base.net.arguments
        if "units" not in arguments or "widths" not in arguments:
            raise InputError(f"This suite needs a network with units and widths for each stage, and '{self.base.net.name}' has none.")
        return tuple(arguments["units"]), tuple(arguments["widths"])

    def added_parameters(self, reductions: Sequence[int]) -> list[int]:
        """What the setting's SE would add in each stage at these ratios, one a stage: equation 5 of the paper with whole hidden widths.

        :raises InputError: unless there is one SE block in each unit, of the unit's output width.
        """
        units, widths = self.shape()
        bias, net = bool(self.se().get("bias")), self.base.net
        if net.name not in UNITS_OF_ONE_BLOCK or net.placement not in ("standard", "post", "identity"):
            raise InputError(
                f"This suite counts what SE adds at the end of each residual unit, so it cannot be made for the network '{net.name}' with "
                f"placement '{net.placement}'. Networks: {', '.join(UNITS_OF_ONE_BLOCK)}; placements: standard, post, identity."
            )
        hidden = [max(1, width // reduction) for width, reduction in zip(widths, reductions, strict=True)]
        return [n * (2 * w * h + (w + h) * bias) for n, w, h in zip(units, widths, hidden, strict=True)]


SUITES: Registry[Callable[[Setting], Suite]] = Registry("suite", "ablations.suites")
"""Functions that make a suite for a setting, one in each file of ``ablations/suites/``."""


def made(name: str, setting: Setting) -> Suite:
    """The suite of that name for a setting; one of a user's own file is held against what it declares.

    :raises InputError: for an unknown name, or a mistake in a user's own file.
    """
    entry = SUITES[name]
    with mistakes(f"The suite '{name}'", entry):
        suite = entry.value(setting)
        if not isinstance(suite, Suite):
            raise TypeError(f"its function returns {type(suite).__name__} and no Suite")
    if entry.source is not None:
        _refuse_undeclared(suite)
    return suite


def _refuse_undeclared(suite: Suite) -> None:
    """:raises InputError: where a variant differs from what it is compared with in a field that is no factor of the suite."""
    for variant in suite.variants:
        changed = differences(suite.variant(variant.against or suite.reference).config, variant.config)
        for path in changed:
            if not any(path == factor or path.startswith(f"{factor}.") for factor in suite.factor):
                raise InputError(
                    f"The suite '{suite.name}': its variant '{variant.name}' changes {path}, which is no factor of the suite "
                    f"({', '.join(suite.factor)}). Name it there, or leave it alone."
                )
