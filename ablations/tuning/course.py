"""The course of a tuning, as a command line asks for it: the held-out part, then the suite at the shared setting and at each one's best."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, count

from ablations import asked
from ablations.extension import settled
from ablations.own_loop import LOOPS
from ablations.planning import DataSource, Order, base_config
from ablations.plans import planned
from ablations.seed_rules import Share, Wish, share
from ablations.statistics.measured import arms
from ablations.store import Store
from ablations.study import Study
from ablations.tuning.choice import choice_text, choices
from ablations.tuning.points import points, spans
from ablations.tuning.record import FIELDS, Candidates, Point, Question, Span, Tuned
from ablations.tuning.studies import held_out_study, own_point, shares_setting, tuned_study
from senet_core.config import canonical
from senet_core.errors import InputError
from senet_core.seeds import Seed

HOLDOUT = "data.holdout"
TENTH = 10


@dataclass(frozen=True)
class Wanted:
    """What a command line says of a tuning: the recipe without its hold-out, and that where it is given; the seeds of the final studies;
    how many candidates, at how many seeds, in which ranges (None where none is given)."""

    order: Order
    holdout: int | None
    wish: Wish
    budget: int
    seeds: int
    lr: Span | None
    weight_decay: Span | None


def wanted(options: argparse.Namespace) -> Wanted:
    """What the options say.

    :raises InputError: for options that do not go with a tuning.
    """
    order = asked.order(options)
    if order.vary is not None:
        raise InputError("--vary moves one random stream, and a setting is tuned for all of them; leave it out, or run the suite with it.")
    if options.add_seeds is not None or options.only_open:
        raise InputError("--only-open would give the shared and the tuned setting different seeds; give both more with --seeds.")
    holdout = None
    if HOLDOUT in order.overrides:
        holdout = base_config(order).data.holdout
        if not holdout:
            raise InputError(
                "Tuning needs held-out images, and --data.holdout 0 leaves none; leave it out for a tenth of the training images."
            )
    rest = {path: value for path, value in order.overrides.items() if path != HOLDOUT}
    return Wanted(
        replace(order, overrides=rest), holdout, asked.wish(options), options.budget, options.tune_seeds, options.lr, options.weight_decay
    )


def tunings(options: argparse.Namespace, store: Store, source: DataSource) -> list[Tuning]:
    """One for each suite of the command line.

    :raises InputError: for a training loop of a user's own, of which no learning rate is known.
    """
    found, want = [], wanted(options)
    for name in asked.suites(options):
        if name in LOOPS.names():
            raise InputError(f"'{name}' is a training loop of your own; what is tuned here are learning rate and weight decay of ours.")
        found.append(Tuning(name, want, store, source))
    return found


def held_out(all_: Sequence[Tuning]) -> list[Share]:
    """What is trained first: every variant at every candidate, on held-out images.

    :raises InputError: for what is wrong with this part or with the final studies, which is asked before anything is trained.
    """
    for one in all_:
        one.at_shared()
    return [one.held_out() for one in all_]


def finals(all_: Sequence[Tuning]) -> list[Share]:
    """What is trained then, on all training images: each suite at the shared setting and at each variant's own best.

    :raises NotChosen: while held-out trials have no result.
    """
    return [part for one in all_ for part in one.finals()]


@dataclass(frozen=True)
class Tuning:
    """The tuning of one suite."""

    suite: str
    wanted: Wanted
    store: Store
    source: DataSource

    @cached_property
    def shared(self) -> Study:
        """The suite at its shared setting, without seeds.

        :raises InputError: where its variants have several settings already.
        """
        study = planned(self.suite, self.wanted.order, self.source)
        if not shares_setting(study):
            raise InputError(
                f"The suite '{self.suite}' varies the learning rate or the weight decay itself, so they cannot be tuned for its variants."
            )
        return study

    @cached_property
    def question(self) -> Question:
        """What is asked of every variant.

        :raises InputError: for a range of one value that is not the recipe's own.
        """
        own, want = own_point(self.shared), self.wanted
        lr, weight_decay = spans(own)
        return Question(
            budget=want.budget,
            seeds=want.seeds,
            holdout=want.holdout or tenth(self.shared),
            lr=_span(own, "lr", want.lr, lr),
            weight_decay=_span(own, "weight_decay", want.weight_decay, weight_decay),
        )

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """The candidates."""
        return points(own_point(self.shared), self.question.lr, self.question.weight_decay, self.question.budget)

    def held_out(self) -> Share:
        """The part on held-out images."""
        candidates = Candidates(
            question=self.question, points=self.points, variants=tuple(v.name for v in self.shared.variants), options=self._options()
        )
        order = replace(self.wanted.order, overrides={**self.wanted.order.overrides, HOLDOUT: self.question.holdout})

        def plan(seeds: Sequence[Seed]) -> Study:
            return held_out_study(planned(self.suite, replace(order, seeds=seeds), self.source), self._name("tuning"), candidates)

        study = settled(self.store, plan, range(self.question.seeds))
        said = (
            f"{study.name}: {len(candidates.variants)} variants x {len(self.points)} settings x {self.question.seeds} seed"
            f"{'' if self.question.seeds == 1 else 's'}, on {self.question.holdout:,} held-out training images."
        )
        return Share(study, study.seeds, (said,))

    def at_shared(self) -> Share:
        """The suite's ordinary study, as a run of it has it. Where it has more seeds in the workspace than were asked for, it is about all
        of them, because the tuned study has the same.

        :raises InputError: where the seeds that are asked for contradict what the study declared before.
        """

        def plan(seeds: Sequence[Seed]) -> Study:
            return planned(self.suite, replace(self.wanted.order, seeds=seeds), self.source)

        one = share(self.wanted.wish, self.store, plan)
        if one.first_stage or set(one.seeds) == set(one.study.seeds):
            return one
        said = f"{one.study.name}: it has {len(one.study.seeds)} seeds in this workspace, so both settings get these."
        return replace(one, seeds=one.study.seeds, said=(*one.said, said))

    def finals(self) -> list[Share]:
        """The two studies on all training images; seeds, claims, δ and rules of the tuned one are those of the other.

        :raises NotChosen: while held-out trials have no result.
        """
        held, shared = self.held_out().study, self.at_shared()
        found = choices(held, arms(held, self.store))
        record = Tuned(
            question=self.question,
            points=self.points,
            choices=found,
            shared=shared.study.name,
            held_out=held.name,
            options=(*self._options(), f"--{HOLDOUT}", str(self.question.holdout)),
        )
        study = self._named(tuned_study(shared.study, self._name("tuned"), record))
        known = study.name in self.store.studies() and self.store.study(study.name).tuned == record
        return [shared, Share(study, shared.seeds, () if known else in_words(study), shared.first_stage)]

    def _named(self, study: Study) -> Study:
        """A tuned study under its name; apart from a stored one of that name that has other trials, which stays as it is."""
        first = canonical([(variant.name, variant.keys.get(study.seeds[0])) for variant in study.variants])
        apart = f"{study.name}-{hashlib.sha256(first.encode()).hexdigest()[:6]}"
        names = chain([study.name, apart], (f"{apart}-{number}" for number in count(2)))
        return study.model_copy(update={"name": next(name for name in names if self._goes_on(name, study))})

    def _goes_on(self, name: str, study: Study) -> bool:
        """Whether nothing is lost where the study is stored under that name."""
        if name not in self.store.studies():
            return True
        old = self.store.study(name)
        alike = old.tuned is not None and study.tuned is not None and old.tuned.shared == study.tuned.shared
        return alike and _trials(old) <= _trials(study)

    def _name(self, part: str) -> str:
        """The suite's study's name with the part and the budget in it, and a hash of what else was not left to itself."""
        lr, weight_decay = spans(own_point(self.shared))
        usual = Question(budget=self.question.budget, seeds=1, holdout=tenth(self.shared), lr=lr, weight_decay=weight_decay)
        name = f"{self.suite}-{part}-{self.question.budget}-{self.shared.name.removeprefix(f'{self.suite}-')}"
        if self.question == usual:
            return name
        return f"{name}-{hashlib.sha256(canonical(self.question.model_dump(mode='json')).encode()).hexdigest()[:6]}"

    def _options(self) -> tuple[str, ...]:
        """The words of a command line that ask the same, the hold-out aside."""
        want = self.wanted
        words = ["--budget", str(want.budget), *(["--tune-seeds", str(want.seeds)] if want.seeds > 1 else [])]
        for name, field in FIELDS.items():
            span = getattr(want, name)
            words += [field.option, ",".join(f"{end:.15g}" for end in span)] if span is not None else []
        return tuple(words)


def _trials(study: Study) -> set[tuple[str, str, str]]:
    return {(variant.name, seed, key) for variant, seed, key in study.trials()}


def tenth(study: Study) -> int:
    """A tenth of the training images, as many of each class, and at least one of each."""
    classes = len(study.images.classes)
    return max(1, round(study.images.train / TENTH / classes)) * classes


def _span(own: Point, name: str, given: Span | None, usual: Span | None) -> Span | None:
    """The range of a field, None where it is not tuned: where both ends are one value, which must be the recipe's own.

    :raises InputError: where it is another one.
    """
    span = usual if given is None else given
    if span is None or span[0] < span[1]:
        return span
    value = getattr(own, name)
    if span[0] != value:
        raise InputError(
            f"{FIELDS[name].option} {span[0]:g} is one value and no range, so it is not tuned, and the recipe's is {value:g}; say "
            f"--{FIELDS[name].path} {span[0]:g} to train all variants with it, or give LOW,HIGH."
        )
    return None


def in_words(study: Study) -> tuple[str, ...]:
    """What each variant of a tuned study got, a sentence each."""
    tuned = study.tuned
    assert tuned is not None, f"'{study.name}' is no tuned study"
    return tuple(f"{name}: {choice_text(tuned.points, choice)}." for name, choice in tuned.choices.items())
