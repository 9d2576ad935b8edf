"""Factors that a suite crosses: their levels, the cells of the full factorial, and the effects that it declares. Pure data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import TypeAlias

from senet_core.config import Frozen

Levels: TypeAlias = tuple[str, ...]
"""A cell: one level of each factor, in the order of the factors."""


class Crossed(Frozen):
    """A factor of a full factorial: its ``levels`` in words, and which of them is the ``reference``, what the paper has by default."""

    name: str
    levels: tuple[str, ...]
    reference: str

    @property
    def others(self) -> tuple[str, ...]:
        """The levels that are compared with the reference."""
        return tuple(level for level in self.levels if level != self.reference)


@dataclass(frozen=True)
class Side:
    """One of the two arms whose difference an effect is: at each seed ``weight`` times the sum of what its ``cells`` gave."""

    name: str
    cells: tuple[Levels, ...]
    weight: float


@dataclass(frozen=True)
class Effect:
    """What a level of one factor does (a main effect), or what levels of two factors do together beyond what each does (an interaction).

    With y the error at one seed, a0 and b0 the references, and a mean over all combinations of the other factors::

        main effect of a          mean of  y(a) - y(a0)
        interaction of a and b    mean of  y(a, b) - y(a, b0) - y(a0, b) + y(a0, b0)

    Either is ``plus`` less ``minus``. Both sides of an interaction are sums of two cells and no differences, so that they have the size
    of errors, by which rounding is told from spread. ``alone`` are the two cells whose difference a study of one factor at a time would
    take for the main effect: the level, and the reference, with all other factors at theirs.
    """

    factors: tuple[str, ...]
    levels: tuple[str, ...]
    references: tuple[str, ...]
    plus: Side
    minus: Side
    alone: tuple[Levels, Levels] | None

    @property
    def is_interaction(self) -> bool:
        """Whether it is one of two factors."""
        return len(self.factors) > 1

    @property
    def scale(self) -> float:
        """Its standard error as a share of that of one cell's difference to another, where all cells vary alike."""
        return self.plus.weight * math.sqrt((len(self.plus.cells) + len(self.minus.cells)) / 2)


def all_cells(crossed: Sequence[Crossed]) -> list[Levels]:
    """Every combination of levels, the last factor's changing first."""
    return list(product(*(factor.levels for factor in crossed)))


def effects(crossed: Sequence[Crossed]) -> tuple[Effect, ...]:
    """All main effects of levels other than the reference, then all interactions of two of them; none where nothing is crossed."""
    if not crossed:
        return ()
    main = [_effect(crossed, (place,), (level,)) for place, factor in enumerate(crossed) for level in factor.others]
    pairs = combinations(range(len(crossed)), 2)
    joint = [_effect(crossed, pair, levels) for pair in pairs for levels in product(*(crossed[place].others for place in pair))]
    return (*main, *joint)


def _effect(crossed: Sequence[Crossed], places: tuple[int, ...], levels: Levels) -> Effect:
    chosen = [crossed[place] for place in places]
    default = tuple(factor.reference for factor in crossed)
    references = tuple(factor.reference for factor in chosen)

    def cells(*wanted: Levels) -> tuple[Levels, ...]:
        return tuple(cell for cell in all_cells(crossed) if tuple(cell[place] for place in places) in wanted)

    weight = 1 / len(cells(references))
    if len(places) == 1:
        plus, minus = (Side(f"{names[0]} overall", cells(names), weight) for names in (levels, references))
        alone = tuple(levels[0] if place == places[0] else level for place, level in enumerate(default)), default
        return Effect((chosen[0].name,), levels, references, plus, minus, alone)
    (a, b), (a0, b0), both = levels, references, " and ".join(levels)
    plus = Side(f"{both} together", cells((a, b), (a0, b0)), weight)
    minus = Side(f"{both} added up", cells((a, b0), (a0, b)), weight)
    return Effect((chosen[0].name, chosen[1].name), levels, references, plus, minus, None)


def sides(crossed: Sequence[Crossed]) -> tuple[str, ...]:
    """The names of all arms that effects are differences of: "max overall", "max and tanh together", "max and tanh added up"."""
    return tuple(dict.fromkeys(side.name for effect in effects(crossed) for side in (effect.plus, effect.minus)))


def effect_between(crossed: Sequence[Crossed], one: str, other: str) -> Effect | None:
    """The effect whose two sides these are, in either order; None where they are not those of one."""
    return next((effect for effect in effects(crossed) if {effect.plus.name, effect.minus.name} == {one, other}), None)


def contrast_fault(crossed: Sequence[Crossed], variant: str, reference: str) -> str | None:
    """Why a claim cannot compare these two, as the end of a sentence; None where they are two variants, or the sides of one effect."""
    known = sides(crossed)
    own = next((name for name in (variant, reference) if name in known), None)
    if own is None or effect_between(crossed, variant, reference):
        return None
    others = [name for name in known if effect_between(crossed, own, name)]
    return (
        f"a claim compares '{variant}' with '{reference}', which are not the two sides of one effect, and of crossed factors only effects "
        f"are decided; '{own}' can be compared with {' or '.join(repr(name) for name in others)}"
    )


def fault(crossed: Sequence[Crossed], cells: Mapping[str, Levels], reference: str) -> str | None:
    """What is wrong with a crossing, as the end of a sentence; None where it is whole.

    ``cells`` are the levels of all variants by their names, () for those that are no cell; ``reference`` is the variant that must have the
    reference of every factor.
    """
    own = {name: levels for name, levels in cells.items() if levels}
    if not crossed:
        return f"its variant '{next(iter(own))}' has levels, and no factors are crossed" if own else None
    return _factor_fault(crossed) or _cell_fault(crossed, own) or _name_fault(crossed, cells, reference)


def _factor_fault(crossed: Sequence[Crossed]) -> str | None:
    names = Counter(factor.name for factor in crossed)
    levels = Counter(level for factor in crossed for level in factor.levels)
    if len(crossed) < 2:
        return f"it crosses '{crossed[0].name}' with nothing; a crossing has two factors or more"
    for name, count in names.items():
        if count > 1:
            return f"two of its factors are called '{name}'"
    for level, count in levels.items():
        if count > 1:
            return f"the level '{level}' is there twice; every level needs a name of its own, as in 'bias' and 'no bias'"
    for factor in crossed:
        if len(factor.levels) < 2:
            return f"its factor '{factor.name}' has fewer than two levels"
        if factor.reference not in factor.levels:
            return f"'{factor.reference}' is no level of its factor '{factor.name}' ({', '.join(factor.levels)})"
    return None


def _cell_fault(crossed: Sequence[Crossed], own: Mapping[str, Levels]) -> str | None:
    whole = all_cells(crossed)
    for name, levels in own.items():
        if len(levels) != len(crossed):
            return f"its variant '{name}' has {len(levels)} levels, and {len(crossed)} factors are crossed"
        for factor, level in zip(crossed, levels, strict=True):
            if level not in factor.levels:
                return f"its variant '{name}': '{level}' is no level of '{factor.name}' ({', '.join(factor.levels)})"
    counts = Counter(own.values())
    for cell in whole:
        if counts[cell] != 1:
            told = "no variant has" if not counts[cell] else f"{counts[cell]} variants have"
            return f"{told} the levels {', '.join(cell)}; a crossing has each combination once"
    return None


def _name_fault(crossed: Sequence[Crossed], cells: Mapping[str, Levels], reference: str) -> str | None:
    for name in sides(crossed):
        if name in cells:
            return f"a variant cannot be called '{name}', which is what an effect is made of"
    for name, count in Counter(effect.plus.name for effect in effects(crossed) if effect.is_interaction).items():
        if count > 1:
            return f"'{name}' would mean two things; give the levels other names"
    default = tuple(factor.reference for factor in crossed)
    if cells.get(reference) != default:
        return f"its reference is '{reference}', and not the variant with the reference of every factor ({', '.join(default)})"
    return None
