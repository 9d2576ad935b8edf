"""A space as pure data: which choices a design is made of, under which conditions, and the config that each design means."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Literal, TypeAlias

from pydantic import model_validator

from ablations.suite import Setting
from senet_core.config import Config, Frozen
from senet_core.errors import InputError, unknown
from senet_core.own_files import mistakes
from senet_core.registry import Registry

Level: TypeAlias = str | int | float | bool
Design: TypeAlias = Mapping[str, Level]
"""{factor: level}, of the factors that are there under the conditions, in the order of the space."""
Cost = Literal["parameters", "macs"]
MANY = 100_000
"""So many designs are never gone through one by one."""


class Factor(Frozen):
    """One choice: among ``levels``, or any number between ``low`` and ``high``.

    Levels with an order (``ordered``) are searched as a scale, others as names. ``log`` is the scale of a range, ``whole`` allows whole
    numbers only. ``when`` is {another factor: its levels} under which this one is there at all; it must stand before this one.
    """

    name: str
    levels: tuple[Level, ...] = ()
    ordered: bool = False
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    when: Mapping[str, tuple[Level, ...]] = {}

    @property
    def is_range(self) -> bool:
        """Whether it is a range of numbers."""
        return not self.levels

    def there(self, design: Design) -> bool:
        """Whether a design that has all factors before this one has this one too."""
        return all(other in design and design[other] in levels for other, levels in self.when.items())

    def text(self) -> str:
        """What there is to choose from, in words."""
        if self.is_range:
            return f"{self.low:g} to {self.high:g}{' (log)' if self.log else ''}"
        return ", ".join(map(str, self.levels))


class Space(Frozen):
    """What a search is about.

    ``changes`` makes of a design the recipe fields in which it differs from the preset, by dotted path; designs that it makes alike are one
    design. ``default`` is the paper's own design, what all others are compared with. ``cost`` is the objective beside the held-out error.
    """

    name: str
    title: str
    question: str
    source: str
    factors: tuple[Factor, ...]
    default: Mapping[str, Level]
    changes: Callable[[Design], Mapping[str, Any]]
    cost: Cost = "parameters"
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _can_be_searched(self) -> Space:
        names = [factor.name for factor in self.factors]
        if len(set(names)) < len(names):
            raise InputError(f"The space '{self.name}' has two factors of one name.")
        for place, factor in enumerate(self.factors):
            _refuse_empty(self.name, factor)
            _refuse_contradiction(self.name, factor, self.factors[:place])
        if self.size() < 2:
            raise InputError(f"The space '{self.name}' is empty: it has {self.size():g} design, and a search needs at least 2.")
        wrong = self.mistake(self.default)
        if wrong:
            raise InputError(f"The default design of the space '{self.name}' is none of it: {wrong}.")
        return self

    def size(self) -> float:
        """How many designs there are; infinite from ``MANY`` on, and where one is a number of a range that is not whole."""
        if any(factor.is_range and not factor.whole for factor in self.factors):
            return math.inf
        count = sum(1 for _ in islice(self.designs(), MANY))
        return count if count < MANY else math.inf

    def designs(self, ranges_of: Design | None = None) -> Iterator[dict[str, Level]]:
        """Every design, in order; with ``ranges_of`` only those that have that design's numbers of ranges, and the middle of a range that
        it does not have.

        :raises ValueError: without it for a range without end.
        """
        yield from self._from({}, 0, ranges_of)

    def _from(self, design: dict[str, Level], place: int, ranges_of: Design | None) -> Iterator[dict[str, Level]]:
        if place == len(self.factors):
            yield design
            return
        factor = self.factors[place]
        if not factor.there(design):
            yield from self._from(design, place + 1, ranges_of)
            return
        if ranges_of is not None and factor.is_range:
            levels: tuple[Level, ...] = (ranges_of.get(factor.name, _middle(factor)),)
        else:
            levels = _values(factor)
        for level in levels:
            yield from self._from({**design, factor.name: level}, place + 1, ranges_of)

    def neighbours(self) -> Iterator[dict[str, Level]]:
        """Designs that between them have every level of every factor, and both ends of every range: each is the default but for one factor,
        and for those that this one's conditions need."""
        known = {factor.name: factor for factor in self.factors}
        for factor in self.factors:
            for level in factor.levels or (_end(factor, factor.low), _end(factor, factor.high)):
                yield self._completed({**self._needed(factor, known), factor.name: level})

    def _needed(self, factor: Factor, known: Mapping[str, Factor]) -> dict[str, Level]:
        """What other factors must be so that this one is there: the default's levels as far as they will do."""
        found: dict[str, Level] = {}
        for name, levels in factor.when.items():
            found |= self._needed(known[name], known)
            found[name] = self.default[name] if self.default.get(name) in levels else levels[0]
        return found

    def _completed(self, chosen: Design) -> dict[str, Level]:
        design: dict[str, Level] = {}
        for factor in self.factors:
            if factor.there(design):
                first = factor.levels[0] if factor.levels else _end(factor, factor.low)
                design[factor.name] = chosen.get(factor.name, self.default.get(factor.name, first))
        return design

    def mistake(self, design: Design) -> str | None:
        """Why something is no design of the space; None where it is one."""
        for factor in self.factors:
            if factor.there(design) != (factor.name in design):
                return f"'{factor.name}' is {'missing' if factor.there(design) else 'there, which its condition excludes'}"
            if factor.name in design and not _has(factor, design[factor.name]):
                return f"'{factor.name}' cannot be {design[factor.name]!r} ({factor.text()})"
        strange = design.keys() - {factor.name for factor in self.factors}
        return f"there is no factor '{sorted(strange)[0]}'" if strange else None

    def declared(self) -> dict[str, Any]:
        """All but the names and the words, as plain JSON values: what a search was declared with."""
        return {
            "factors": [factor.model_dump(mode="json") for factor in self.factors],
            "default": dict(self.default),
            "cost": self.cost,
        }


def _end(factor: Factor, value: float | None) -> Level:
    assert value is not None, "a space refuses such a factor"
    return int(value) if factor.whole else value


def _middle(factor: Factor) -> Level:
    assert factor.low is not None and factor.high is not None, "a space refuses such a factor"
    middle = math.sqrt(factor.low * factor.high) if factor.log else (factor.low + factor.high) / 2
    return round(middle) if factor.whole else middle


def _values(factor: Factor) -> tuple[Level, ...]:
    if not factor.is_range:
        return factor.levels
    if not factor.whole or factor.low is None or factor.high is None:
        raise ValueError(f"'{factor.name}' has no end of values")
    return tuple(range(int(factor.low), int(factor.high) + 1))


def _has(factor: Factor, value: Level) -> bool:
    if not factor.is_range:
        return any(value == level and type(value) is type(level) for level in factor.levels)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and factor.low <= value <= factor.high and (not factor.whole or value == int(value))  # type: ignore[operator]


def _refuse_empty(space: str, factor: Factor) -> None:
    where = f"The factor '{factor.name}' of the space '{space}'"
    if factor.levels:
        if factor.low is not None or factor.high is not None:
            raise InputError(f"{where} has levels and a range; give one of them.")
        if len({repr(level) for level in factor.levels}) < len(factor.levels):
            raise InputError(f"{where} has one level twice.")
        return
    if factor.low is None or factor.high is None:
        raise InputError(f"{where} is empty: it has no levels and no range from low to high.")
    if factor.low >= factor.high or (factor.log and factor.low <= 0):
        raise InputError(f"{where} is empty: nothing lies between {factor.low:g} and {factor.high:g}{' on a log scale' * factor.log}.")
    if factor.whole and (factor.low != int(factor.low) or factor.high != int(factor.high)):
        raise InputError(f"{where} takes whole numbers, and its ends {factor.low:g} and {factor.high:g} are none.")


def _refuse_contradiction(space: str, factor: Factor, before: tuple[Factor, ...]) -> None:
    """:raises InputError: for a condition that no design can meet."""
    known = {other.name: other for other in before}
    where = f"The factor '{factor.name}' of the space '{space}'"
    for name, levels in factor.when.items():
        if name not in known:
            raise InputError(f"{where} depends on '{name}', and no factor before it has that name ({', '.join(known) or 'there is none'}).")
        if not levels or not all(_has(known[name], level) for level in levels):
            told = ", ".join(map(repr, levels)) or "none of its levels"
            raise InputError(f"{where} is there where '{name}' is {told}, which it never is: {known[name].text()}.")
        for other, needed in known[name].when.items():
            if other in factor.when and not set(map(repr, factor.when[other])) & set(map(repr, needed)):
                raise InputError(
                    f"{where} contradicts itself: it needs '{name}', which is there only where '{other}' is {', '.join(map(str, needed))}, "
                    f"and '{other}' to be {', '.join(map(str, factor.when[other]))}."
                )


SPACES: Registry[Callable[[Setting], Space]] = Registry("space", "ablations.spaces")
"""Functions that make a space for a setting, one in each file of ``ablations/spaces/``."""


def made(name: str, setting: Setting) -> Space:
    """The space of that name for a setting.

    :raises InputError: for an unknown name, a space that cannot be searched, or a mistake in a user's own file.
    """
    if name not in SPACES.names():
        raise unknown("space", name, SPACES.names())
    entry = SPACES[name]
    with mistakes(f"The space '{name}'", entry):
        space = entry.value(setting)
        if not isinstance(space, Space):
            raise TypeError(f"its function returns {type(space).__name__} and no Space")
    return space


def config_of(space: Space, base: Config, design: Design) -> Config:
    """The config that a design means, not resolved yet.

    :raises InputError: where the space's ``changes`` fail for it, or lead nowhere.
    """
    with mistakes(f"The space '{space.name}', making the config of the design {words(design)},", SPACES[space.name]):
        return base.but(space.changes(design))


def words(design: Design) -> str:
    """A design as text: "squeeze average, gate tanh"."""
    return ", ".join(f"{name} {level:g}" if isinstance(level, float) else f"{name} {level}" for name, level in design.items())
