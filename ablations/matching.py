"""Which variant of one study is which of another.

Names are free, and a suite may call a network by another one than its neighbour does. So variants that share a trial (its key says recipe,
seed and data) are one, then those of one config, and only of the rest those of one name. A variant is matched once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ablations.study import Study, StudyVariant
from senet_core.config import differences

How = Literal["trials", "config", "name"]


@dataclass(frozen=True)
class Match:
    """Two variants that are one; by name, ``besides`` says where their configs differ though those of the two references do not."""

    a: StudyVariant
    b: StudyVariant
    how: How
    besides: Mapping[str, tuple[Any, Any]]


def matched(a: Study, b: Study) -> list[Match]:
    """The variants of both studies, in the order of ``a``."""
    found: dict[str, tuple[StudyVariant, How]] = {}
    for how, same in _RULES:
        for alike in (True, False):  # of several that would do, the one of the same name
            for one in a.variants:
                left = [other for other in b.variants if other.name not in {taken.name for taken, _ in found.values()}]
                fitting = [other for other in left if same(one, other) and (other.name == one.name or not alike)]
                if one.name not in found and fitting:
                    found[one.name] = fitting[0], how
    usual = differences(a.variant(a.reference).recipe, b.variant(b.reference).recipe)
    return [_match(one, *found[one.name], usual) for one in a.variants if one.name in found]


_RULES: tuple[tuple[How, Callable[[StudyVariant, StudyVariant], bool]], ...] = (
    ("trials", lambda one, other: bool(set(one.keys.values()) & set(other.keys.values()))),
    ("config", lambda one, other: one.recipe == other.recipe),
    ("name", lambda one, other: one.name == other.name),
)


def _match(one: StudyVariant, other: StudyVariant, how: How, usual: Mapping[str, tuple[Any, Any]]) -> Match:
    all_ = differences(one.recipe, other.recipe)
    return Match(one, other, how, {path: values for path, values in all_.items() if usual.get(path) != values})
