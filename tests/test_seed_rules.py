"""How many seeds a study gets and which: by count, by looks, by precision, for only what is open, by stream. Trials are made up."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

import runner
from ablations.execution import engines
from ablations.execution import loop as execution
from ablations.execution.engines import Inline
from ablations.execution.loop import Summary
from ablations.execution.rounds import Rounds
from ablations.execution.stopping import Stop
from ablations.execution.trial import Trial
from ablations.planning import DataSource, Order, keyed, plan_study
from ablations.plans import planned
from ablations.presets import preset
from ablations.result import Epoch, Errors, Provenance, Result, Timing
from ablations.seed_rules import Wish, need, share, unfinished, words
from ablations.selection import places
from ablations.statistics.comparison import Arm, Pair
from ablations.statistics.measured import arms
from ablations.statistics.verdicts import decide
from ablations.store import Correctness, Store
from ablations.study import Cost, Precision, Study, StudyData, StudyVariant
from senet_core.config import Config, canonical
from senet_core.errors import InputError
from senet_core.seeds import STREAMS, Seed, normal_seed, seed_label, seed_number, varied

IMAGES = 1000
Outcome = Callable[[str, int], int | None]
"""How many test images a variant gets wrong at the seed of a number; None where it diverges; it may raise."""


def make_study(names: Sequence[str], **changes: object) -> Study:
    """A study without seeds of these variants, the first its reference."""
    variants = tuple(StudyVariant(name=name, config=Config(), changes={}, cost=Cost(parameters=1, macs=1), keys={}) for name in names)
    data = StudyData(
        label="Made", fingerprint=None, classes=("0", "1"), size=8, channels=1, train=64, evaluated=IMAGES, evaluated_on="test"
    )
    fields: dict[str, object] = {
        "name": "made-quick",
        "suite": "made",
        "title": "Made up",
        "question": "?",
        "source": "",
        "table": None,
        "factor": (),
        "reference": names[0],
        "claims": (),
        "notes": (),
        "preset": "quick",
        "overrides": {},
        "delta": 0.5,
        "converged": True,
        "data": data,
        "seeds": (),
        "variants": variants,
    }
    return Study.model_validate(fields | changes)


def plan_of(study: Study) -> Callable[[Sequence[Seed]], Study]:
    """What resolving the suite would give: the study with keys for any seeds, each the hash of suite, network and seed."""

    def plan(seeds: Sequence[Seed]) -> Study:
        texts = tuple(canonical(normal_seed(seed)) for seed in seeds)

        def key(variant: StudyVariant, seed: str) -> str:
            return hashlib.sha256(f"{study.network(variant.name)} {seed}".encode()).hexdigest()[:12]

        variants = [v.model_copy(update={"keys": {seed: key(v, seed) for seed in texts}}) for v in study.variants]
        return study.model_copy(update={"seeds": texts, "looks": (texts,), "variants": tuple(variants)})

    return plan


def save(store: Store, trial: Trial, wrong: int | None) -> Result:
    """Store a trial with so many wrong images; None is one that diverged."""
    return store.save_result(made(store, trial, wrong))


def made(store: Store, trial: Trial, wrong: int | None) -> Result:
    """What training would leave for the store, beside the images that were right."""
    digests = {}
    if wrong is not None:
        right = np.arange(IMAGES) >= wrong
        digests["correct.npz"] = store.save_correctness(
            trial.key, Correctness(right, np.ones(IMAGES, bool), np.arange(IMAGES, dtype=np.uint8) % 10)
        )
    provenance = Provenance(
        created="2025-01-01T00:00:00Z", commit=None, dirty=None, versions={}, device="", execution={}, sittings=1, digests=digests
    )
    return Result(
        key=trial.key,
        config=trial.config,
        seed=trial.seed,
        status="diverged" if wrong is None else "done",
        errors=None if wrong is None else Errors(top1=100 * wrong / IMAGES, top5=0.5, loss=0.2, images=IMAGES),
        cost=trial.cost,
        evaluated_on="test",
        data_label="Made",
        history=(Epoch(epoch=1, loss=1.0, error=50.0, lr=0.1),),
        timing=Timing(epochs=(1.0,), evaluation=0.1, total=1.1, images_per_second=1.0),
        provenance=provenance,
    )


def made_up(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> list[str]:
    """Let trials be stored instead of trained; returns the list that their places will be in, in the order in which they ran."""
    ran: list[str] = []

    def compute(trial: Trial, folder: Path, *rest: object, **others: object) -> Result:
        store = Store(folder.parent.parent)
        place = places(map(store.study, store.studies()))[trial.key][0].partition(": ")[2]
        ran.append(place)
        return made(store, trial, outcome(place.rpartition(", ")[0], seed_number(canonical(trial.seed))))

    monkeypatch.setattr(engines, "compute", compute)
    return ran


class Source(DataSource):
    """Data that need no preparation."""

    def prepare(self, config: Config) -> None:
        """Nothing to read."""


def run(store: Store, study: Study, wish: Wish, retry_failed: bool = False) -> tuple[Summary, Study, list[str]]:
    """The rounds of a run as the command makes them: what became of the trials, the study in the end, what was said."""
    summary, said, source = Summary(), [], Source(None, None)
    store.root.mkdir(parents=True, exist_ok=True)
    machine: Any = object()
    engine = Inline(store, source, machine)
    for turn in Rounds(lambda: [share(wish, store, plan_of(study))], lambda: engine, store, source, retry_failed):
        said += turn.said
        summary += execution.run(turn.queue, store, turn.engine, [], stop=Stop(), retry_failed=retry_failed)
    return summary, store.study(study.name), said


def noisy(shift: float, spread: float, variants: Iterable[str] = ("b",), start: int = 100) -> Outcome:
    """Wrong images: as many as the reference and a shift, for some variants, with a spread that is known seed by seed."""
    pattern = [0, 1, -1, 0.5, -0.5, 0.25, -0.25, 0.75]

    def outcome(variant: str, seed: int) -> int:
        return start + 3 * seed + (round(shift + spread * pattern[seed % 8]) if variant in variants else 0)

    return outcome


# -- precision


def by_hand(differences: Sequence[float], half_width: float) -> int:
    """Stein's N from the first differences, in points."""
    first = len(differences)
    return max(first, math.ceil((student.ppf(0.975, first - 1) * np.std(differences, ddof=1) / half_width) ** 2))


def test_a_precision_trains_the_first_seeds_then_as_many_as_their_spread_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = Store(tmp_path), make_study(["a", "b", "c"])
    ran = made_up(monkeypatch, noisy(10, 8, ("b", "c")))
    summary, study, said = run(store, study, Wish(half_width=0.5))
    wanted = by_hand([1.0, 1.8, 0.2, 1.4, 0.6], 0.5)
    assert 5 < wanted < 30
    assert study.seeds == tuple(map(str, range(wanted))) and study.looks == (study.seeds[:5], study.seeds[5:])
    assert ran[: 3 * 5] == [f"{name}, seed {seed}" for seed in range(5) for name in "abc"], "the first stage comes first, pairs complete"
    assert len(ran) == 3 * wanted == len(summary.trained)
    assert study.precision == Precision(half_width=0.5, first=5, most=30) and not study.extended_after_looking
    verdicts = decide(study, arms(study, store))
    assert all((one.own.half_width or 9) <= 0.5 and one.n == wanted for one in verdicts.comparisons.found)
    assert f"the first 5 seeds ask for {wanted} in all" in said[-1]
    again, same, _ = run(store, study, Wish(half_width=0.5))
    assert again.trained == [] and same == study, "and the same command again changes nothing"


def test_the_number_of_seeds_follows_from_the_first_ones_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the second stage, whose results are wild: the same command goes on to the same number."""
    store, study = Store(tmp_path), make_study(["a", "b"])
    first, stopped = noisy(10, 8), []

    def outcome(variant: str, seed: int) -> int | None:
        if seed == 7 and not stopped:
            stopped.append(seed)
            raise KeyboardInterrupt
        return first(variant, seed) if seed < 5 else 100 + 97 * seed % 61 * (variant == "b")

    made_up(monkeypatch, outcome)
    with pytest.raises(KeyboardInterrupt):
        run(store, study, Wish(half_width=0.5))
    halfway = store.study(study.name)
    summary, whole, _ = run(store, study, Wish(half_width=0.5))
    assert summary.trained and whole == halfway and len(whole.seeds) == by_hand([1.0, 1.8, 0.2, 1.4, 0.6], 0.5)
    assert not unfinished(whole, arms(whole, store), whole.seeds)
    first_stage = {name: Arm({s: v for s, v in arm.values.items() if int(s) < 5}) for name, arm in arms(whole, store).items()}
    assert need(whole, first_stage) == need(whole, arms(whole, store))


def test_a_precision_out_of_reach_stops_at_the_most_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = Store(tmp_path), make_study(["a", "b"])
    made_up(monkeypatch, noisy(10, 20))
    _, study, said = run(store, study, Wish(half_width=0.3, first=4, most=7))
    found = need(study, arms(study, store))
    assert found is not None and found.wanted == by_hand([1.0, 3.0, -1.0, 2.0], 0.3) > 7 and found.seeds == len(study.seeds) == 7
    assert found.missed == {Pair("b", "a"): found.wanted}
    assert "Not reached for 1 of 1 comparisons: 7 seeds are the most" in said[-1] and f"b against a needs {found.wanted}" in said[-1]


def test_a_hole_in_the_first_stage_keeps_the_second_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study, healthy = Store(tmp_path), make_study(["a", "b"]), noisy(10, 8)
    broken = [True]

    def outcome(variant: str, seed: int) -> int | None:
        if seed == 3 and variant == "b" and broken:
            raise RuntimeError("no memory")
        return healthy(variant, seed)

    made_up(monkeypatch, outcome)
    summary, held, said = run(store, study, Wish(half_width=0.5))
    assert summary.holes == 1 and len(held.seeds) == 5 and "no second stage" in said[-1]
    summary, held, _ = run(store, study, Wish(half_width=0.5))
    assert summary.holes == 1 and not summary.trained and len(held.seeds) == 5
    broken.clear()
    summary, whole, _ = run(store, study, Wish(half_width=0.5), retry_failed=True)
    assert summary.holes == 0 and len(whole.seeds) == by_hand([1.0, 1.8, 0.2, 1.4, 0.6], 0.5)


def test_a_diverged_seed_leaves_the_other_pairs_to_give_the_spread_and_costs_one_more() -> None:
    study = plan_of(make_study(["a", "b", "c", "d"], precision=Precision(half_width=0.5, first=5, most=30)))(range(5))
    reference = Arm({str(seed): 10.0 + seed for seed in range(5)})
    b = Arm({str(seed): 11.0 + seed + (0, 0.8, -0.8, 0.4)[seed] for seed in range(4)}, frozenset({"4"}))
    c = Arm({"0": 12.0}, frozenset("1234"))
    found = need(study, {"a": reference, "b": b, "c": c, "d": Arm({seed: v + 0.1 for seed, v in reference.values.items()})})
    assert found is not None and found.by_pair == {Pair("b", "a"): by_hand([1.0, 1.8, 0.2, 1.4], 0.5) + 1}
    assert set(found.without) == {Pair("c", "a"), Pair("d", "a")}, "one pair has no spread, and equal differences have none"
    assert need(study, {"a": reference, "b": Arm({"0": 1.0}), "c": c, "d": reference}) is None, "b has holes"


def test_studies_of_one_command_get_each_its_own_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    calm, wild = make_study(["a", "b"]), make_study(["x", "y"], name="wild-quick", suite="wild")
    made_up(monkeypatch, lambda v, seed: noisy(10, 8, ("y",))(v, seed) if v in "xy" else noisy(10, 3)(v, seed))
    source, wish, told = Source(None, None), Wish(half_width=0.5), []
    engine = Inline(store, source, object())  # type: ignore[arg-type]
    for turn in Rounds(lambda: [share(wish, store, plan_of(s)) for s in (calm, wild)], lambda: engine, store, source, False):
        execution.run(turn.queue, store, turn.engine, [], stop=Stop())
        told.append(len(turn.left))
    calm, wild = store.study(calm.name), store.study(wild.name)
    assert len(calm.seeds) == 5 < len(wild.seeds) and told == [20, 2 * (len(wild.seeds) - 5)]


def test_a_precision_that_is_declared_later_says_so_and_takes_the_first_seeds_of_its_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, study = Store(tmp_path), make_study(["a", "b"])
    made_up(monkeypatch, noisy(10, 8))
    run(store, study, Wish(numbers=[9, 2]))
    _, later, _ = run(store, study, Wish(half_width=0.5))
    assert later.precision == Precision(half_width=0.5, first=5, most=30, stored=2) and later.extended_after_looking
    assert later.seeds[:5] == tuple("01234") and set(later.seeds) >= {"9", "2"} and len(later.seeds) == len(set(later.seeds))
    assert sorted(seed for look in later.looks for seed in look) == sorted(later.seeds)
    summary, same, _ = run(store, study, Wish(half_width=0.5))
    assert same == later and not summary.trained
    _, narrower, _ = run(store, study, Wish(half_width=0.4))
    assert narrower.precision is not None and narrower.precision.stored == len(later.seeds) and len(narrower.seeds) > len(later.seeds)


def test_a_precision_before_any_result_is_no_second_thought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = Store(tmp_path), make_study(["a", "b"])
    store.save_study(plan_of(study)(range(3)))
    save(store, trial_of(plan_of(study)([0]), "a", "0"), 90)  # of one arm alone: no difference can be seen
    made_up(monkeypatch, noisy(10, 8))
    _, study, _ = run(store, study, Wish(half_width=0.5, first=4))
    assert study.precision == Precision(half_width=0.5, first=4, most=30) and not study.extended_after_looking
    assert study.looks[0] == tuple("0123") and len(study.looks) == 2


def trial_of(study: Study, variant: str, seed: str) -> Trial:
    own = study.variant(variant)
    return Trial(key=own.keys[seed], config=own.config, seed=json.loads(seed), cost=own.cost)


def test_suites_that_share_trials_may_be_run_in_turn_under_one_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, one, other = Store(tmp_path), make_study(["a", "b"]), make_study(["a", "b", "c"], name="other-quick", suite="other")
    made_up(monkeypatch, noisy(10, 8, ("b", "c")))
    run(store, one, Wish(half_width=0.5))
    _, told, _ = run(store, other, Wish(half_width=0.5))
    assert told.precision is not None and told.precision.stored == 0 and not told.extended_after_looking
    third = make_study(["a", "b", "d"], name="third-quick", suite="third")
    _, told, _ = run(store, third, Wish(half_width=0.6))
    assert told.precision is not None and told.precision.stored == 5, "under another precision, what is there was there to be looked at"


def test_what_a_command_does_not_say_is_taken_from_the_precision_that_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = Store(tmp_path), make_study(["a", "b"])
    made_up(monkeypatch, noisy(10, 8))
    _, first, _ = run(store, study, Wish(numbers=[4, 8], half_width=0.5, first=3, most=6))
    assert first.seeds[:3] == ("4", "8", "9") and first.precision is not None and first.precision.most == 6, (
        "named seeds, then the next ones"
    )
    _, again, _ = run(store, study, Wish(half_width=0.5))
    assert again == first
    _, moved, _ = run(store, study, Wish(numbers=[8, 1], half_width=0.5))
    assert moved.seeds[:3] == ("8", "1", "9") and moved.precision is not None and moved.precision.stored, "other first seeds, another rule"
    with pytest.raises(InputError, match="no fewer than those: 5 and 4"):
        share(Wish(half_width=0.5, first=5, most=4), store, plan_of(study))


def test_seeds_beside_a_precision_are_labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = Store(tmp_path), make_study(["a", "b"])
    made_up(monkeypatch, noisy(10, 2))
    _, enough, _ = run(store, study, Wish(half_width=0.5))
    assert enough.seeds == tuple("01234") and enough.looks == (enough.seeds,), "the first seeds are enough"
    _, more, _ = run(store, study, Wish(numbers=range(8)))
    assert more.seeds == tuple("01234567") and more.precision == enough.precision and more.extended_after_looking
    _, same, _ = run(store, study, Wish(half_width=0.5))
    assert same == more


# -- looks


def test_looks_are_declared_before_training_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = Store(tmp_path), make_study(["a", "b"])
    made_up(monkeypatch, noisy(1, 8))
    _, first, _ = run(store, study, Wish(numbers=range(4), looks=2))
    assert first.planned_looks == 2 and first.looks == (tuple("0123"),)
    _, same, _ = run(store, study, Wish(numbers=range(4)))
    assert same == first
    _, second, _ = run(store, study, Wish(numbers=range(8), looks=2))
    assert second.looks == (tuple("0123"), tuple("4567")) and not second.extended_after_looking
    _, third, said = run(store, study, Wish(added=2))
    assert third.planned_looks == 2 and third.extended_after_looking and "All 2 declared looks are used" in said[-1]
    with pytest.raises(InputError, match="'made-quick' has results, and was declared with 2 looks; leave --looks out"):
        share(Wish(numbers=range(4), looks=3), store, plan_of(study))
    with pytest.raises(InputError, match="declared with 2 looks, so its number of seeds cannot follow from a precision"):
        share(Wish(half_width=0.5), store, plan_of(study))


def test_looks_may_be_declared_as_long_as_there_is_nothing_to_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = Store(tmp_path), make_study(["a", "b"])
    store.save_study(plan_of(study)(range(2)))
    declared = share(Wish(numbers=range(4), looks=3), store, plan_of(study)).study
    assert declared.planned_looks == 3 and declared.looks == (tuple("0123"),)
    made_up(monkeypatch, noisy(1, 8))
    run(store, study, Wish(numbers=range(2)))
    with pytest.raises(InputError, match="was declared with 1 look;"):
        share(Wish(numbers=range(4), looks=3), store, plan_of(study))
    other = make_study(["a", "b", "c"], name="other-quick", suite="other")
    with pytest.raises(InputError, match="'other-quick' has results"):
        share(Wish(numbers=range(4), looks=3), store, plan_of(other))


# -- only what is open


def mixed(variant: str, seed: int) -> int:
    """a and its twin a2 alike; b clearly worse; c and d open."""
    level, spread = {"a": (0, 0), "b": (80, 4), "c": (4, 9), "d": (2, -9)}[variant]
    return 200 + 3 * (seed * 7 % 5) + level + spread * (1, -1, 0, 2, -2)[seed % 5]


def four() -> Study:
    study = make_study(["a", "b", "c", "d", "a2"])
    variants = [v.model_copy(update={"same_as": "a"}) if v.name == "a2" else v for v in study.variants]
    return study.model_copy(update={"variants": tuple(v.model_copy(update={"against": "c"}) if v.name == "d" else v for v in variants)})


def test_only_what_is_open_gets_more_seeds_and_what_it_is_compared_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = Store(tmp_path), four()
    made_up(monkeypatch, mixed)
    _, before, _ = run(store, study, Wish(numbers=range(5)))
    found = decide(before, arms(before, store)).comparisons
    assert {one.variant: one.settled for one in found.found} == {"b": True, "c": False, "d": False}
    summary, more, said = run(store, study, Wish(added=3))
    assert more.seeds == tuple("01234567") and more.looks == (tuple("01234"), tuple("567")) and more.extended_after_looking
    assert {v.name: len(v.keys) for v in more.variants} == {"a": 8, "b": 5, "c": 8, "d": 8, "a2": 8} and len(summary.trained) == 9
    assert said == [
        "made-quick: 2 of 3 comparisons are open; 3 more seeds for a, c, d.",
        "No further look was declared before training, so the study is from now on labelled 'extended after looking'.",
    ]
    assert words(more) == ["--seed-list", "0,1,2,3,4"]
    for numbers in (range(5), range(3), [4]):
        _, same, _ = run(store, study, Wish(numbers=numbers))
        assert same == more, "the seeds of before are there: no key is lost, and none is made up"
    summary, whole, _ = run(store, study, Wish(numbers=range(10)))
    assert {len(v.keys) for v in whole.variants} == {10} and whole.looks == (*more.looks, ("8", "9"))
    assert len(summary.trained) == 4 * 2 + 3 and not unfinished(whole, arms(whole, store), whole.seeds)


def test_the_studys_reference_gets_every_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = Store(tmp_path), make_study(["a", "b", "c"])
    study = study.model_copy(
        update={"variants": tuple(v.model_copy(update={"against": "b"}) if v.name == "c" else v for v in study.variants)}
    )
    made_up(
        monkeypatch, lambda variant, seed: mixed({"c": "b"}.get(variant, variant), seed) + (variant == "c") * (12, -16, 8, -8, 4)[seed % 5]
    )
    run(store, study, Wish(numbers=range(5)))
    _, more, said = run(store, study, Wish(added=1))
    assert {len(variant.keys) for variant in more.variants} == {6} and "1 of 2 comparisons are open" in said[0]


def test_the_same_command_goes_on_with_seeds_that_were_added_and_not_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study, stopped = Store(tmp_path), four(), []

    def outcome(variant: str, seed: int) -> int:
        if seed == 6 and not stopped:
            stopped.append(seed)
            raise KeyboardInterrupt
        return mixed(variant, seed)

    made_up(monkeypatch, outcome)
    run(store, study, Wish(numbers=range(5)))
    with pytest.raises(KeyboardInterrupt):
        run(store, study, Wish(added=3))
    halfway = store.study(study.name)
    assert words(halfway, ["6", "7"]) == ["--only-open", "--add-seeds", "3"]
    with pytest.raises(InputError, match="The 3 seeds that 'made-quick' got last are not finished; give --add-seeds 3"):
        share(Wish(added=2), store, plan_of(study))
    _, whole, said = run(store, study, Wish(added=3))
    assert whole == halfway and said == ["made-quick: going on with the 3 seeds that were added last."]
    assert not unfinished(whole, arms(whole, store), whole.seeds)


def test_what_seeds_for_only_what_is_open_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = Store(tmp_path), make_study(["a", "b"])
    with pytest.raises(InputError, match="no study 'made-quick' in this workspace"):
        share(Wish(added=2), store, plan_of(study))
    store.save_study(plan_of(study)(range(4)))
    with pytest.raises(InputError, match="4 seeds of 'made-quick' have no result of some variant yet"):
        share(Wish(added=2), store, plan_of(study))
    made_up(monkeypatch, noisy(90, 8))
    run(store, study, Wish(numbers=range(4)))
    summary, same, said = run(store, study, Wish(added=2))
    assert same.seeds == tuple("0123") and not summary.trained and said == ["made-quick: nothing is open, so no seed is added."]


def test_a_declared_look_pays_for_seeds_of_only_what_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = Store(tmp_path), four()
    made_up(monkeypatch, mixed)
    run(store, study, Wish(numbers=range(5), looks=3))
    _, more, said = run(store, study, Wish(added=3))
    assert not more.extended_after_looking and len(said) == 1
    b = decide(more, arms(more, store)).of("b", "a")
    assert b is not None and b.word == "worse" and b.look == 1
    assert words(more) == ["--seed-list", "0,1,2,3,4", "--looks", "3"]


def test_seeds_for_only_what_is_open_beside_a_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = Store(tmp_path), four()
    made_up(monkeypatch, mixed)
    _, before, _ = run(store, study, Wish(half_width=4))
    _, more, _ = run(store, study, Wish(added=2))
    assert before.looks == (tuple("01234"),) and more.looks == (tuple("01234"), (), ("5", "6")) and more.extended_after_looking
    _, same, _ = run(store, study, Wish(half_width=4))
    assert same == more and len(same.variant("b").keys) == 5
    _, narrow, _ = run(store, study, Wish(half_width=3))
    found = need(narrow, arms(narrow, store))
    assert found is not None and found.seeds == 7 == len(narrow.seeds) and found.precision.stored == 7
    assert {len(variant.keys) for variant in narrow.variants} == {7}, "a precision wants all pairs"


# -- streams

SMALL: dict[str, Any] = {"net.units": [1], "net.widths": [16], "net.stem": 8}


def test_a_varied_seed_moves_one_stream_and_its_number_0_is_the_ordinary_seed_0() -> None:
    assert varied(3, None) == 3 and varied(0, "order") == 0
    assert varied(3, "init") == {**dict.fromkeys(STREAMS, 0), "init": 3}
    with pytest.raises(InputError, match="did you mean 'init'"):
        varied(1, "innit")
    texts = [canonical(normal_seed(varied(number, "init"))) for number in (0, 3)]
    assert [seed_label(text) for text in texts] == ["seed 0", "init 3"] and [seed_number(text) for text in texts] == [0, 3]
    assert seed_label('{"augment":0,"init":2,"noise":0,"order":1,"split":0}') == "init 2, order 1" and seed_label("7") == "seed 7"


def test_a_study_of_one_stream_has_a_name_and_shares_the_trial_of_seed_0(tmp_path: Path) -> None:
    source, order = DataSource(None, tmp_path), Order(preset("smoke"), SMALL, [varied(number, "order") for number in range(2)], "order")
    plain = plan_study("squeeze", Order(preset("smoke"), SMALL, [0, 1]), source)
    own = planned("squeeze", order, source)
    assert own == plan_study("squeeze", order, source), "the cached plan is the plan"
    assert own.name.replace("-vary-order", "") == plain.name and own.vary == "order"
    for one, other in zip(plain.variants, own.variants, strict=True):
        keys = list(other.keys.values())
        assert keys[0] == one.keys["0"] and keys[1] not in one.keys.values()
    assert [place.partition(": ")[2] for found in places([own]).values() for place in found][:4] == [
        "max, seed 0",
        "average, seed 0",
        "max, order 1",
        "average, order 1",
    ]
    assert words(own) == ["--vary", "order", "--seed-list", "0,1"]


@pytest.mark.parametrize(
    ("stream", "overrides", "sentence"),
    [
        ("split", {}, "--vary split needs held-out images"),
        ("augment", {"data.augment": []}, "--vary augment moves nothing here"),
        ("noise", {}, "--vary noise moves nothing in 'max': the network 'resnet' draws no random numbers"),
        ("split", {"data.holdout": 100}, None),
        ("noise", {"net.name": "shake_shake", "net.units": [1], "net.widths": [8], "net.unit": "basic"}, None),
    ],
)
def test_a_stream_that_moves_nothing_is_refused(stream: str, overrides: dict[str, Any], sentence: str | None, tmp_path: Path) -> None:
    order = Order(preset("smoke"), {**SMALL, **overrides}, [varied(1, stream)], stream)
    if sentence is None:
        assert plan_study("squeeze", order, DataSource(None, tmp_path)).vary == stream
        return
    with pytest.raises(InputError, match=sentence):
        plan_study("squeeze", order, DataSource(None, tmp_path))


def test_seeds_are_added_in_the_stream_that_a_study_varies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, study = Store(tmp_path), make_study(["a", "b"], vary="init", name="made-quick-vary-init")
    ran = made_up(monkeypatch, noisy(1, 9))
    run(store, study, Wish(numbers=range(3), vary="init"))
    _, more, _ = run(store, study, Wish(added=1, vary="init"))
    assert ran[-2:] == ["a, init 3", "b, init 3"] and [json.loads(seed) == 0 for seed in more.seeds] == [True, False, False, False]


# -- the command line

TINY = ["--preset", "smoke", "--net.units", "1", "--net.widths", "16", "--net.stem", "8", "--data.train", "400", "--data.test", "200"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ablate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line in this process; returns exit code, output, error output."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(command: str, *words: object) -> tuple[int, str, str]:
        more = ["--no-mlflow"] if command == "run" else []
        code = runner.main([command, "squeeze", *TINY, *map(str, words), "--workspace", str(tmp_path), *more])
        out, err = capsys.readouterr()
        return code, " ".join(out.split()), err

    return call


def test_the_command_runs_both_stages_and_its_page_says_so(ablate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch, noisy(10, 8, ("max",)))
    wanted = by_hand([1.0, 1.8, 0.2, 1.4], 1)
    code, out, _ = ablate("plan", "--until-half-width", 1, "--first-seeds", 4, "--max-seeds", 9)
    assert code == 0 and "the first 4 seeds decide how many" in out and "8 trials in all, 8 left" in out
    assert "That is the first stage; how many seeds follow is known when it has ended." in out
    code, out, _ = ablate("run", "--until-half-width", 1, "--first-seeds", 4, "--max-seeds", 9)
    assert code == 0 and f"ask for {wanted} in all" in out and f"{2 * wanted} trained" in out and 4 < wanted < 9
    page = next(tmp_path.glob("reports/*/report.md")).read_text(encoding="utf-8")
    assert "The spread of the first 4 seeds decided how many there are" in page
    code, out, _ = ablate("plan", "--until-half-width", 1)
    assert code == 0 and f"{2 * wanted} trials in all, 0 left" in out and "first stage;" not in out
    code, out, _ = ablate("run", "--only-open", "--add-seeds", 2)
    assert code == 0 and "nothing is open" in out and "0 trained" in out


def test_a_failed_first_stage_ends_the_command_in_1(ablate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome(variant: str, seed: int) -> int:
        if (variant, seed) == ("max", 2):
            raise RuntimeError("no memory")
        return noisy(10, 8, ("max",))(variant, seed)

    made_up(monkeypatch, outcome)
    code, out, err = ablate("run", "--until-half-width", 1, "--first-seeds", 4)
    assert code == 1 and "no second stage" in out and "1 failed" in out and "no memory" in err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--until-half-width", "0.3", "--seeds", "4"], "--until-half-width finds the number of seeds"),
        (["--until-half-width", "0"], "is no number of percentage points"),
        (["--until-half-width", "1", "--first-seeds", "1"], "--first-seeds must be 2 or more"),
        (["--until-half-width", "1", "--looks", "2"], "--looks declares looks before training"),
        (["--max-seeds", "4"], "are for --until-half-width"),
        (["--only-open"], "--only-open and --add-seeds go together"),
        (["--add-seeds", "4"], "--only-open and --add-seeds go together"),
        (["--only-open", "--add-seeds", "4", "--seed-list", "4"], "--add-seeds chooses the new seeds itself"),
        (["--only-open", "--add-seeds", "4", "--looks", "2"], "--looks declares looks before training"),
        (["--only-open", "--add-seeds", "4"], "in this workspace to add seeds to"),
        (["--vary", "inti"], "invalid choice: 'inti'"),
        (["--vary", "split"], "--vary split needs held-out images"),
    ],
)
def test_a_mistake_about_seeds_is_a_sentence_and_exit_code_2(options: list[str], sentence: str, ablate: Run, tmp_path: Path) -> None:
    code, _, err = ablate("run", *options)
    assert code == 2 and sentence in err and "Traceback" not in err
    assert not (tmp_path / "trials").exists() and not (tmp_path / "studies").exists()


def test_the_plan_of_some_seeds_is_that_of_none_with_keys(tmp_path: Path) -> None:
    """Also when it has been to a file and back."""
    study = plan_study("squeeze", Order(preset("smoke"), SMALL, [0, 5]), DataSource(None, tmp_path))
    bare = Study.model_validate_json(plan_study("squeeze", Order(preset("smoke"), SMALL), DataSource(None, tmp_path)).model_dump_json())
    assert bare.seeds == () and keyed(bare, [0, 5]) == study
    one, other = bare.variants
    assert one.config != other.config
    twins = keyed(bare.model_copy(update={"variants": (one, other.model_copy(update={"same_as": one.name}))}), [0, 5]).variants
    assert twins[0].keys == twins[1].keys == study.variants[0].keys, "one network is trained once"


def test_status_and_report_show_a_study_in_which_only_what_was_open_got_more_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store, study = Store(tmp_path), four()
    made_up(monkeypatch, mixed)
    run(store, study, Wish(numbers=range(5)))
    run(store, study, Wish(added=1))
    assert runner.main(["status", "--workspace", str(tmp_path)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("b "))
    assert line.split()[-1] == "–"
    assert runner.main(["report", "--workspace", str(tmp_path)]) == 0
    page = next(tmp_path.glob("reports/*/report.md")).read_text(encoding="utf-8")
    assert "Extended after looking" in page and "(5 + 1 seeds)" in page
