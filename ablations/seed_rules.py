"""How many seeds a study gets, and which: a count, as many as a precision asks for, or more for only what is open.

A precision is Stein's two-stage procedure (1945): the first seeds give the variance of each declared difference, and from that follows
how many seeds in all make every interval as narrow as asked. All of it can be computed again from the study and its results.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablations.extension import Plan, extended, settled
from ablations.statistics.comparison import Arm, Pair
from ablations.statistics.estimation import paired
from ablations.statistics.measured import arms
from ablations.statistics.power import stein_seeds
from ablations.statistics.verdicts import decide, family, members, whole
from ablations.store import Store
from ablations.study import Precision, Study
from senet_core.config import canonical
from senet_core.errors import InputError
from senet_core.seeds import normal_seed, seed_number, varied

FIRST, MOST = 5, 30
"""Seeds of the first stage, and the most in all, where a command line does not say."""


@dataclass(frozen=True)
class Wish:
    """What a command line says of seeds; each None where it says nothing.

    ``numbers`` are those of a count or a list, ``looks`` how many are declared, ``half_width``, ``first`` and ``most`` a precision
    (``ablations.study.Precision``), ``added`` the number of seeds to add for only what is open, ``vary`` the one stream that is moved.
    """

    numbers: Sequence[int] | None = None
    looks: int | None = None
    half_width: float | None = None
    first: int | None = None
    most: int | None = None
    added: int | None = None
    vary: str | None = None

    def text(self, number: int) -> str:
        """The seed of that number as studies name it."""
        return canonical(normal_seed(varied(number, self.vary)))


@dataclass(frozen=True)
class Share:
    """A study, those of its seeds that a command is about, and what there is to be told of how they came about.

    ``first_stage`` says that results of these seeds are missing from which it follows whether there are to be more.
    """

    study: Study
    seeds: tuple[str, ...]
    said: tuple[str, ...] = ()
    first_stage: bool = False


def share(wish: Wish, store: Store, plan: Plan) -> Share:
    """What a wish means for the study that ``plan`` resolves, by what the store has of it.

    :raises InputError: where it contradicts what the study declared before, or what it needs is not there.
    """
    if wish.added is not None:
        return _only_open(wish, wish.added, store, plan)
    if wish.half_width is not None:
        return _by_precision(wish, wish.half_width, store, plan)
    return _counted(wish, store, plan)


# -- so many seeds, in one look or several


def _counted(wish: Wish, store: Store, plan: Plan) -> Share:
    seeds = [varied(number, wish.vary) for number in (range(3) if wish.numbers is None else wish.numbers)]
    study = settled(store, plan, seeds)
    if wish.looks not in (None, study.planned_looks):
        if study.precision is not None or seen(study, store, lambda other: other.planned_looks == wish.looks):
            raise InputError(
                f"Looks are declared before any result is there. {_declared_before(study)}; leave --looks out to go on with it."
            )
        study = study.model_copy(update={"planned_looks": wish.looks, "looks": (study.seeds,)})
    return Share(study, tuple(canonical(normal_seed(seed)) for seed in seeds))


def _declared_before(study: Study) -> str:
    if study.precision is not None:
        return f"The seeds of '{study.name}' follow from a half-width of {study.precision.half_width:g}{_points(study)}"
    return f"'{study.name}' has results, and was declared with {study.planned_looks} look{'' if study.planned_looks == 1 else 's'}"


def seen(study: Study, store: Store, alike: Callable[[Study], bool]) -> int:
    """At how many of its seeds a difference that the study declares could be looked at, as both its trials have come to an end.

    Trials of other studies that declared the same beforehand (``alike``) do not count: suites share trials, and may be run in turn.
    """
    others = [other for other in map(store.study, store.studies()) if alike(other) and not other.extended_after_looking]
    paid, found = {key for other in others for _, _, key in other.trials()}, arms(study, store)

    def shown(pair: Pair, seed: str) -> bool:
        networks = members(study, *pair)
        keys = {study.variant(name).keys.get(seed) for name in networks}
        return all(_ended(found[name], seed) for name in networks) and not keys <= paid

    return sum(any(shown(pair, seed) for pair in family(study)) for seed in study.seeds)


def _ended(arm: Arm, seed: str) -> bool:
    return seed in arm.values or seed in arm.diverged


# -- as many as a precision asks for


@dataclass(frozen=True)
class Need:
    """What the first stage of a precision asks for.

    ``by_pair`` is the number of seeds in all for each declared comparison, seeds that diverged in the first stage added; ``without`` are
    those whose first stage has no spread to go by (fewer than two pairs, or differences that are all equal).
    """

    precision: Precision
    by_pair: Mapping[Pair, int]
    without: tuple[Pair, ...]

    @property
    def wanted(self) -> int:
        """How many seeds in all make each interval as narrow as asked."""
        return max([self.precision.first, *self.by_pair.values()])

    @property
    def seeds(self) -> int:
        """How many are run: ``wanted``, or the most that are allowed."""
        return min(self.wanted, self.precision.most)

    @property
    def missed(self) -> dict[Pair, int]:
        """The comparisons whose precision is not reached, and how many seeds each would need."""
        return {pair: n for pair, n in self.by_pair.items() if n > self.precision.most}


def need(study: Study, found: Mapping[str, Arm]) -> Need | None:
    """What the study's precision asks for, by its first stage alone; ``found`` are its arms (``ablations.statistics.measured.arms``).

    None where it has no precision, or where a trial of the first stage has not come to an end.
    """
    precision = study.precision
    if precision is None or unfinished(study, found, study.seeds[: precision.first]):
        return None
    first, by_pair, without = study.seeds[: precision.first], {}, []
    arms_ = whole(study, found)
    for pair in family(study):
        own, other = arms_[pair.variant].values, arms_[pair.reference].values
        both = [seed for seed in first if seed in own and seed in other]
        n = len(both)
        values, reference = (np.array([side[seed] for seed in both]) for side in (own, other))
        deviation = float(paired(values, reference).error) * math.sqrt(n) if n >= 2 else 0.0
        if deviation > 0:
            by_pair[pair] = stein_seeds(deviation, n, precision.half_width) + len(first) - n
        else:
            without.append(pair)
    return Need(precision, by_pair, tuple(without))


def unfinished(study: Study, found: Mapping[str, Arm], seeds: Sequence[str]) -> set[str]:
    """Those of the seeds at which a trial of the study has not come to an end."""
    return {seed for variant, seed, _ in study.trials(seeds) if not _ended(found[variant.name], seed)}


def _by_precision(wish: Wish, half_width: float, store: Store, plan: Plan) -> Share:
    stored = settled(store, plan, ())
    before = stored.precision if stored.precision and stored.precision.half_width == half_width else None
    first = wish.first or (before.first if before else FIRST)
    most = wish.most or (before.most if before else max(MOST, first))
    if first < 2 or most < first:
        raise InputError(f"--first-seeds must be 2 or more, and --max-seeds no fewer than those: {first} and {most} were asked for.")
    named = [wish.text(number) for number in wish.numbers] if wish.numbers is not None else list(stored.seeds) if before else []
    pool = _continued(wish, named, most)
    study = settled(store, plan, [json.loads(text) for text in pool[:first]])
    rule = Precision(half_width=half_width, first=first, most=most)
    if before is None or rule != before.model_copy(update={"stored": 0}) or study.seeds[:first] != pool[:first]:
        study = _declared(study, rule, pool[:first], store)
    found = need(study, arms(study, store))
    if found is None:
        told = (
            f"{study.name}: the first {first} seeds decide how many make each interval ±{half_width:g}{_points(study)}, up to {most}; their"
            " trials come first."
        )
        return Share(study, pool[:first], (told,), first_stage=True)
    longer = extended(study, plan, pool[: found.seeds])
    assert longer is not None, "the plan made this very study just now"
    added = tuple(seed for seed in longer.seeds if seed not in study.seeds)
    begun, second, *others = (*study.looks, ()) if len(study.looks) == 1 else study.looks
    stages = (begun, (*second, *added), *others) if second or added or others else (begun,)
    return Share(longer.model_copy(update={"looks": stages}), pool[: found.seeds], _in_words(study, found))


def _declared(study: Study, rule: Precision, first: tuple[str, ...], store: Store) -> Study:
    """The study under a precision that it did not have. Its looks are from now on the first stage, the second (which may be empty), and
    what else there is: seeds that it had besides belong to the second where there was nothing to be seen, else they stand apart.

    :raises InputError: if several looks were declared for it.
    """
    if study.planned_looks > 1:
        raise InputError(
            f"The study '{study.name}' was declared with {study.planned_looks} looks, so its number of seeds cannot follow from a "
            "precision; leave --until-half-width out, or use another --workspace."
        )
    rest = tuple(seed for seed in study.seeds if seed not in first)
    count = seen(study, store, lambda other: other.precision == rule and other.seeds[: rule.first] == first)
    looks = (first, (), rest) if count and rest else (first, rest) if rest else (first,)
    update = {"precision": rule.model_copy(update={"stored": count}), "seeds": (*first, *rest), "looks": looks}
    return study.model_copy(update=update)


def _continued(wish: Wish, texts: Sequence[str], count: int) -> tuple[str, ...]:
    """So many seeds: those named, and from there on the whole numbers above the greatest of them."""
    start = max(map(seed_number, texts), default=-1) + 1
    return (*texts, *(wish.text(start + place) for place in range(count - len(texts))))[:count]


def _points(study: Study) -> str:
    """The unit of differences; a metric of a user's own loop has its own."""
    return " points" if study.metric is None else ""


def _in_words(study: Study, found: Need) -> tuple[str, ...]:
    rule = found.precision
    width = f"±{rule.half_width:g}{_points(study)}"
    told = [f"{study.name}: the first {rule.first} seeds ask for {found.wanted} in all to make each interval {width}."]
    if found.missed:
        hardest = max(found.missed, key=lambda pair: found.missed[pair])
        told.append(
            f"Not reached for {len(found.missed)} of {len(found.by_pair) + len(found.without)} comparisons: {rule.most} seeds are the most "
            f"(--max-seeds), and {hardest.variant} against {hardest.reference} needs {found.wanted}."
        )
    told += [f"{pair.variant} against {pair.reference}: no spread in the first stage, so it asks for nothing." for pair in found.without]
    return tuple(told)


# -- more for only what is open


def _only_open(wish: Wish, count: int, store: Store, plan: Plan) -> Share:
    study = settled(store, plan, ())
    if not study.seeds:
        raise InputError(f"There is no study '{study.name}' in this workspace to add seeds to; run it with --seeds first.")
    found = arms(study, store)
    left = unfinished(study, found, study.seeds)
    if left:
        return _go_on(study, count, left)
    verdicts = decide(study, found)
    open_ = [one for one in verdicts.comparisons.found if not one.settled]
    if not open_:
        return Share(study, (), (f"{study.name}: nothing is open, so no seed is added.",))
    arms_ = {study.network(study.reference), *members(study, *(name for one in open_ for name in (one.variant, one.reference)))}
    seeds = tuple(_continued(wish, study.seeds, len(study.seeds) + count)[len(study.seeds) :])
    longer = extended(study, plan, seeds, only=arms_)
    assert longer is not None, "the plan made this very study just now"
    told = [
        f"{study.name}: {len(open_)} of {len(verdicts.comparisons.found)} comparisons are open; {count} more seeds for "
        f"{', '.join(variant.name for variant in study.variants if variant.name in arms_)}."
    ]
    if longer.extended_after_looking and study.planned_looks > 1:
        told.append(f"All {study.planned_looks} declared looks are used, so the study is from now on labelled 'extended after looking'.")
    elif longer.extended_after_looking:
        told.append("No further look was declared before training, so the study is from now on labelled 'extended after looking'.")
    return Share(longer, seeds, tuple(told))


def _go_on(study: Study, count: int, left: set[str]) -> Share:
    """The same command again after it was stopped: the seeds that it added are finished first.

    :raises InputError: where other seeds have no results.
    """
    last = study.looks[-1] if len(study.looks) > 1 else ()
    if left <= set(last) and len(last) == count:
        return Share(study, last, (f"{study.name}: going on with the {count} seeds that were added last.",))
    if left <= set(last):
        raise InputError(
            f"The {len(last)} seeds that '{study.name}' got last are not finished; give --add-seeds {len(last)} to go on with them."
        )
    raise InputError(
        f"{len(left)} seeds of '{study.name}' have no result of some variant yet. Finish them first: run it with its --seeds, and with "
        "--retry-failed where trials failed."
    )


# -- the way back


def words(study: Study, holes: Collection[str] = ()) -> list[str]:
    """The options of a command line that asks for the study's seeds; ``holes`` are those of its seeds at which a trial is missing.

    Where only these are left of the seeds that were added last for what was open, they ask to go on with those.
    """
    moved = ["--vary", study.vary] if study.vary is not None else []
    whole = [seed for seed in study.seeds if all(seed in variant.keys for variant in study.variants)]
    last = study.looks[-1] if len(study.looks) > 1 else ()
    if holes and set(holes) <= set(last) and not set(last) <= set(whole):
        return [*moved, "--only-open", "--add-seeds", str(len(last))]
    rule = study.precision
    asked = [seed for look in study.looks[:2] for seed in look] if rule else whole
    named = ["--seed-list", ",".join(str(seed_number(seed)) for seed in asked)]
    if rule is None:
        return [*moved, *named, *(["--looks", str(study.planned_looks)] if study.planned_looks > 1 else [])]
    stated = {"--until-half-width": f"{rule.half_width:.15g}", "--first-seeds": str(rule.first), "--max-seeds": str(rule.most)}
    return [*moved, *named, *(word for option in stated.items() for word in option)]


def added(study: Study) -> list[list[str]]:
    """The options of each command line that added seeds for only what was open, as far as some variant did without them; in turn, after
    the one of ``words``."""
    moved = ["--vary", study.vary] if study.vary is not None else []
    later = study.looks[2 if study.precision else 1 :]
    partial = [look for look in later if any(seed not in variant.keys for variant in study.variants for seed in look)]
    return [[*moved, "--only-open", "--add-seeds", str(len(look))] for look in partial]
