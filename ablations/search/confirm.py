"""The best designs of a search confirmed: trained anew on all training images at seeds that the search never used, and judged on the test
set against the default, as the variants of a suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ablations.planning import keyed, study_of
from ablations.search.designs import DEFAULT, SEED, changed
from ablations.search.front import chosen
from ablations.search.search import Searching
from ablations.search.space import config_of, words
from ablations.seed_rules import Share, Wish, share
from ablations.study import SearchedDesign, Study
from ablations.suite import Suite, Variant
from senet_core.config import differences
from senet_core.errors import InputError
from senet_core.seeds import Seed


def confirmation(searching: Searching, search: Study, numbers: Sequence[int], most: int) -> Share | None:
    """The study that confirms a search, at these seeds; None where no design but the default is on the front.

    :raises InputError: for the seed that the search itself used.
    """
    refuse_own_seed(numbers)
    picked = chosen(search.search.designs if search.search else (), most)
    if not picked:
        return None
    suite, order = _suite(searching, search.name, picked), replace(searching.order, seeds=())

    rule = search.search and search.search.model_copy(update={"designs": (), "confirmed": None})

    def plan(seeds: Sequence[Seed]) -> Study:
        study = study_of(suite, order, searching.designs.facts).model_copy(update={"confirms": rule})
        return keyed(study, seeds)

    return share(Wish(numbers=numbers), searching.store, plan)


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
            "all training images and at other seeds, and the test set is read for the first time.",
            f"{DEFAULT}: {words(space.default)}",
            *(f"design {one.number}: {words(one.choices)}" for one in picked),
        ),
    )
