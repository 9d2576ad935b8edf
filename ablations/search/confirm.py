"""The best designs of a search confirmed: trained anew on all training images at seeds that the search never used, and judged on the test
set against the default, as the variants of a suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ablations.extension import extended
from ablations.planning import keyed, study_of
from ablations.search.designs import DEFAULT, SEED, changed
from ablations.search.front import chosen
from ablations.search.looks import confirmations, looked_at
from ablations.search.search import Searching
from ablations.search.space import config_of, words
from ablations.seed_rules import Share, Wish, share
from ablations.study import Confirms, SearchedDesign, Study
from ablations.suite import Suite, Variant
from senet_core.config import differences
from senet_core.errors import InputError

HOLDOUT = "data.holdout"
"""What a command line may say of the search's images; a confirmation holds nothing out."""


def confirmation(searching: Searching, search: Study, numbers: Sequence[int], most: int) -> Share | None:
    """The study that confirms a search, at these seeds; None where no design but the default is on the front.

    One that has confirmed the very same designs before goes on; for others there is another study, which knows which were before it.

    :raises InputError: for the seed that the search itself used.
    """
    refuse_own_seed(numbers)
    rule, store = search.search, searching.store
    picked = chosen(rule.designs, most) if rule else []
    if rule is None or not picked:
        return None
    planned = study_of(_suite(searching, search.name, picked), replace(searching.order, seeds=()), searching.designs.facts)
    others = confirmations(search, store)
    same = next((one for one in others if extended(one, partial(keyed, planned), ()) is not None), None)
    own = planned.name + (f"-{rule.name}" if rule.name else "")
    told = rule.model_dump() | {"designs": (), "confirmed": (), "confirm": most, "seeds": ()}
    before = tuple(one.name for one in others if one is not same and looked_at(one, store))
    update = {
        "name": same.name if same else own,
        "overrides": {path: value for path, value in planned.overrides.items() if path != HOLDOUT},
        "confirms": Confirms(**told, study=search.name, before=before, holdout=planned.overrides.get(HOLDOUT)),
    }
    return share(Wish(numbers=numbers), store, partial(keyed, planned.model_copy(update=update)))


def refuse_own_seed(numbers: Sequence[int]) -> None:
    """:raises InputError: for the seed that the search itself uses."""
    if SEED in numbers:
        raise InputError(f"Seed {SEED} chose the designs, so it cannot confirm them; leave it out of --seed-list.")


def _suite(searching: Searching, search: str, picked: Sequence[SearchedDesign]) -> Suite:
    designs = searching.designs
    space, base = designs.space, designs.base.but({"data.holdout": 0})
    own = designs.config(space.default)
    variants = [Variant(name=DEFAULT, config=config_of(space, base, space.default))]
    variants += [Variant(name=f"design {one.number}", config=config_of(space, base, one.choices)) for one in picked]
    return Suite(
        name=f"{space.name}-confirmed",
        title=f"{space.title}: the best designs confirmed",
        question="Do the designs that a search found best on held-out images hold up against the default on the test set?",
        source=space.source,
        factor=changed([tuple(differences(own, designs.config(one.choices))) for one in picked]),
        reference=DEFAULT,
        variants=tuple(variants),
        notes=(
            f"The designs were chosen by the search '{search}' on held-out training images at seed {SEED}. Here they are trained anew, on "
            "all training images and at other seeds, and judged on the test set. A trial that the workspace had already, such as one of "
            "the default that a suite has too, was taken as it is.",
            f"{DEFAULT}: {words(space.default)}",
            *(f"design {one.number}: {words(one.choices)}" for one in picked),
        ),
    )
