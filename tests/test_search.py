"""A search as a whole: proposed, trained, killed, resumed, shared and confirmed. Most of it on an engine that makes results up."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from command_line import Ablate
from stored_study import artifact, artifacts, runs

from ablations.execution.engines import Computed, Raised, Tell
from ablations.execution.loop import Summary, run
from ablations.execution.rounds import Round
from ablations.execution.session import Session
from ablations.execution.stopping import Stop
from ablations.execution.trial import Trial
from ablations.planning import DataSource, Order
from ablations.presets import preset
from ablations.result import Epoch, Errors, Provenance, Result, Timing
from ablations.search import ledger as books
from ablations.search.confirm import confirmation
from ablations.search.designs import Designs
from ablations.search.ledger import LOST
from ablations.search.search import TOGETHER, Rules, Searching, begun
from ablations.search.space import SPACES, Design, Factor, Space, words
from ablations.selection import places
from ablations.store import Correctness, Store, write_correctness
from ablations.study import Cost, Study
from ablations.suite import Setting
from report.document import summary, write
from senet_core.data.digits import Digits
from senet_core.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
TINY = {"data.train": 300, "data.test": 100, "net.units": [1, 1], "net.widths": [16, 32], "net.stem": 16, "train.batch": 32}


class MadeUp:
    """An engine that gives every trial at once an error that follows from its config alone; ``failing`` keys raise, others diverge."""

    def __init__(self, slots: int = 1, fails: Callable[[Trial], bool] = lambda trial: False) -> None:
        self._slots, self._fails = slots, fails
        self._begun: list[Trial] = []
        self.trained: list[Trial] = []

    def free(self) -> bool:
        return len(self._begun) < self._slots

    def begin(self, trial: Trial) -> None:
        self._begun.append(trial)

    def advance(self, tell: Tell, should_stop: Callable[[], bool], store: Store | None = None) -> None:
        for trial in reversed(self._begun):  # the last one begun ends first
            self.trained.append(trial)
            if self._fails(trial):
                tell(Raised(trial.key, "MemoryError: too large", ""))
            else:
                folder = self.store.trial(trial.key)
                tell(Computed(trial.key, folder, result(trial, folder)))
        self._begun = []

    def slots(self) -> int:
        return self._slots

    def close(self) -> None:
        pass

    store: Store


def error_of(trial: Trial) -> float:
    """A made-up error (%): some of it by the gate and the ratio, the rest by chance; longer schedules err less."""
    config: Any = trial.config
    noise = int(hashlib.sha256(trial.key.encode()).hexdigest()[:4], 16) / 0xFFFF
    block = config.net.block
    gate = 8.0 if block is None else {"sigmoid": 0.0, "tanh": 3.0, "relu": 6.0}[block.arguments["gate"]]
    return 20 + gate + noise + 30 / config.train.epochs


def result(trial: Trial, folder: Path) -> Result:
    """A result with that error."""
    right = np.ones(4, dtype=np.bool_)
    digest = write_correctness(folder / "correct.npz", Correctness(right, right, np.zeros(4, dtype=np.uint8)))
    return Result(
        key=trial.key,
        config=trial.config,
        seed=trial.seed,
        status="done",
        errors=Errors(top1=error_of(trial), top5=1.0, loss=0.5, images=4),
        cost=trial.cost,
        evaluated_on="holdout",
        data_label="Digits (embedded)",
        history=(Epoch(epoch=1, loss=1.0, error=30.0, lr=0.1),),
        timing=Timing(epochs=(1.0,), evaluation=0.1, total=1.1, images_per_second=100.0),
        provenance=Provenance(
            created="2026-01-01T00:00:00+00:00",
            commit="abc",
            dirty=False,
            versions={"torch": "2"},
            device="CPU",
            execution={},
            sittings=1,
            digests={"correct.npz": digest},
        ),
    )


def small(setting: Setting) -> Space:
    """Four ratios, three gates, two squeezes."""
    return Space(
        name="small",
        title="A small space",
        question="Which?",
        source="here",
        factors=(
            Factor(name="ratio", levels=(2, 4, 8, 16), ordered=True),
            Factor(name="gate", levels=("sigmoid", "tanh", "relu")),
            Factor(name="squeeze", levels=("average", "max")),
        ),
        default={"ratio": 16, "gate": "sigmoid", "squeeze": "average"},
        changes=_changes,
    )


def partly(setting: Setting) -> Space:
    """The small space, where tanh does not go with a ratio of 2, and ReLU not with the maximum: the first makes no recipe, the second no
    network."""

    def changes(design: Design) -> dict[str, Any]:
        return {"net.stages": [9]} if (design["ratio"], design["gate"]) == (2, "tanh") else _changes(design)

    return small(setting).model_copy(update={"name": "partly", "changes": changes})


def endless(setting: Setting) -> Space:
    """Two networks under any number of names."""
    factors = (Factor(name="gate", levels=("sigmoid", "tanh")), Factor(name="what nothing reads", low=0, high=1))
    update = {"name": "endless", "factors": factors, "default": {"gate": "sigmoid", "what nothing reads": 0.5}}
    return small(setting).model_copy(update={**update, "changes": lambda design: {"net.block.gate": design["gate"]}})


def _changes(design: Design) -> dict[str, Any]:
    return {f"net.block.{'reduction' if name == 'ratio' else name}": level for name, level in design.items()}


PRICES: dict[str, Cost] = {}
PRICE = Designs.price


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The small space under its name, each of its networks built once for all tests."""

    def price(self: Designs, design: Design) -> Cost:
        key = self.key(design)
        if self.space.name == "partly" and (design["gate"], design["squeeze"]) == ("relu", "max"):
            raise InputError(f"{words(design)} cannot be built.")
        if key not in PRICES:
            PRICES[key] = PRICE(self, design)
        return PRICES[key]

    monkeypatch.setattr(Designs, "price", price)
    monkeypatch.delenv("ABLATE_SEARCH_STORAGE", raising=False)
    monkeypatch.setattr("ablations.search.search.WAIT_SECONDS", 0.05)
    for made in (small, partly, endless):
        SPACES.add(made.__name__)(made)
    yield
    for made in (small, partly, endless):
        SPACES._entries.pop(made.__name__, None)


def order(**more: Any) -> Order:
    return Order(preset("smoke"), {**TINY, **more})


IMAGES = DataSource(None, None)
"""Made once for all tests."""


def searching(workspace: Path, budget: int = 9, space: str = "small", workers: int | None = 1, **rules: Any) -> Searching:
    """The small search in a workspace, new or as it was left."""
    workspace.mkdir(exist_ok=True)
    return begun(space, order(), Rules(budget=budget, **rules), Store(workspace), IMAGES, workers)


def drive(search: Searching, engine: MadeUp, rounds: int | None = None, retry_failed: bool = False) -> list[str]:
    """Train so many rounds of a search, or all; returns what was said. What is begun in the last one is thrown away, as by a kill."""
    said: list[str] = []
    engine.store = search.store
    for count, turn in enumerate(search.rounds(lambda: engine, Stop(), retry_failed, said.append), start=1):
        if rounds is not None and count > rounds:
            break
        run(turn.queue, search.store, engine, [], stop=Stop(), retry_failed=retry_failed)
    return said


def stored(workspace: Path, name: str = "", space: str = "small") -> Study:
    """The search's study, as the workspace has it."""
    [file] = workspace.glob(f"studies/{space}-search-smoke-digits-embedded-??????{name}.json")
    return Store(workspace).study(file.stem)


def told(workspace: Path, name: str = "", space: str = "small") -> list[tuple[Any, ...]]:
    """What became of every design, as the workspace has it."""
    search = stored(workspace, name, space).search
    assert search is not None
    return [(one.number, tuple(one.choices.values()), one.errors, one.state) for one in search.designs]


# -- the loop


def test_a_search_uses_its_budget_and_stops_what_is_not_among_the_best(tmp_path: Path) -> None:
    engine, search = MadeUp(), searching(tmp_path, budget=16)
    drive(search, engine)
    found = told(tmp_path)
    assert len(found) == 16 and len({choices for _, choices, _, _ in found}) == 16
    assert found[0][1] == (16, "sigmoid", "average") and found[0][3] == "done"
    states = [state for *_, state in found]
    assert states.count("stopped") >= 3 and set(states) == {"done", "stopped"}
    assert all(len(errors) == (1 if state == "stopped" else 2) for *_, errors, state in found)
    assert len(engine.trained) == sum(len(errors) for _, _, errors, _ in found)
    assert all(trial.config.data.holdout == 30 for trial in engine.trained if not isinstance(trial.config, type(None)))  # type: ignore[union-attr]


def test_an_exhausted_space_says_so_and_a_larger_budget_goes_on(tmp_path: Path) -> None:
    engine = MadeUp()
    drive(searching(tmp_path, budget=5), engine)
    before = told(tmp_path)
    said = drive(searching(tmp_path, budget=100), engine)
    after = told(tmp_path)
    assert said == ["All 24 designs of the space 'small' have been looked at."]
    assert after[:5] == before and len(after) == 24


@pytest.mark.parametrize("batch", [1, 4])
def test_a_killed_search_goes_on_with_the_same_designs(tmp_path: Path, batch: int) -> None:
    drive(searching(tmp_path / "whole", batch=batch), MadeUp())
    engine = MadeUp()
    for rounds in (0, 1, 2, 1, 0, 3, None):
        drive(searching(tmp_path / "killed", batch=batch), engine, rounds)
    assert told(tmp_path / "killed") == told(tmp_path / "whole")
    assert len(engine.trained) == len({trial.key for trial in engine.trained}), "nothing is trained twice"


def test_a_kill_between_a_trial_and_its_entry_in_the_ledger_changes_nothing(tmp_path: Path) -> None:
    drive(searching(tmp_path / "whole", batch=4), MadeUp())
    search, engine = searching(tmp_path / "killed", batch=4), MadeUp()
    engine.store = search.store
    turn = next(search.rounds(lambda: engine, Stop(), False, print))
    run(turn.queue[:2], search.store, engine, [], stop=Stop())  # two of a batch of four have ended, and nobody was told
    drive(searching(tmp_path / "killed", batch=4), engine)
    assert told(tmp_path / "killed") == told(tmp_path / "whole")


def test_what_is_proposed_does_not_depend_on_how_many_are_trained_at_a_time(tmp_path: Path) -> None:
    for slots in (1, 3):
        drive(searching(tmp_path / str(slots), batch=4), MadeUp(slots))
    assert told(tmp_path / "1") == told(tmp_path / "3")


def test_another_seed_and_another_name_are_other_searches(tmp_path: Path) -> None:
    drive(searching(tmp_path), MadeUp())
    first = told(tmp_path)
    drive(searching(tmp_path, seed=1, name="again"), MadeUp())
    second = told(tmp_path, "-again")
    assert second[0] == first[0] and second != first
    with pytest.raises(InputError, match="seed was 0 and is 5"):
        searching(tmp_path, seed=5)
    with pytest.raises(InputError, match=r"rungs was .* and is"):
        searching(tmp_path, rungs=False)


def test_a_recipe_that_changed_under_a_search_is_told(tmp_path: Path) -> None:
    drive(searching(tmp_path), MadeUp(), 1)
    with pytest.raises(InputError, match=r"recipe: train.lr was 0.2 and is 0.1"):
        search = Rules(budget=9)
        begun("small", Order(preset("smoke").model_copy(update={"config": preset("smoke").config.but({"train.lr": 0.1})}), TINY), search,
              Store(tmp_path), IMAGES)  # fmt: skip


def test_a_failed_design_is_a_hole_that_can_be_tried_again(tmp_path: Path) -> None:
    fails = lambda trial: trial.config.net.block.arguments["gate"] == "tanh"  # noqa: E731
    engine = MadeUp(fails=fails)
    drive(searching(tmp_path, budget=10), engine)
    found = told(tmp_path)
    failed = [number for number, choices, errors, state in found if state == "failed"]
    assert failed == [number for number, choices, *_ in found if choices[1] == "tanh"] != []
    count = len(engine.trained)
    drive(searching(tmp_path, budget=10), engine)
    assert len(engine.trained) == count, "what failed is left alone"
    drive(searching(tmp_path, budget=10), engine, retry_failed=True)
    assert len(engine.trained) == count + len(failed), "each is tried once more"
    drive(searching(tmp_path, budget=10), MadeUp(), retry_failed=True)
    assert not [one for one in told(tmp_path) if one[3] == "failed"]


def test_a_combination_that_cannot_be_built_is_told_and_passed_over(tmp_path: Path) -> None:
    engine = MadeUp()
    drive(searching(tmp_path / "killed", budget=100, space="partly"), engine, 5)
    said = drive(searching(tmp_path / "killed", budget=100, space="partly"), engine)
    found = told(tmp_path / "killed", space="partly")
    assert [number for number, *_ in found] == list(range(24 - 2 - 4)), "numbers have no holes"
    assert not [choices for _, choices, *_ in found if choices[:2] == (2, "tanh") or choices[1:] == ("relu", "max")]
    assert said[-1] == "All 18 designs of the space 'partly' that can be built have been looked at."
    notes = [note for note in stored(tmp_path / "killed", space="partly").notes if "cannot be built" in note or "impossible" in note]
    assert len(notes) == 6 and any("names stage 9" in note for note in notes)
    assert all(sentence.removesuffix(" The search goes on without it.") in notes for sentence in said[:-1]) and len(said) > 1
    drive(searching(tmp_path / "whole", budget=100, space="partly"), MadeUp())
    assert told(tmp_path / "whole", space="partly") == found


def test_a_design_that_was_written_before_it_was_known_to_be_impossible_ends_no_search(tmp_path: Path) -> None:
    search = searching(tmp_path, space="partly")
    drive(search, MadeUp(), 2)
    wrong = {"ratio": 4, "gate": "relu", "squeeze": "max"}
    search.ledger.add(wrong, search.designs.key(wrong))
    drive(searching(tmp_path, space="partly"), MadeUp())
    assert len(told(tmp_path, space="partly")) == 9
    assert any("ratio 4, gate relu, squeeze max cannot be built" in note for note in stored(tmp_path, space="partly").notes)


def test_a_space_without_end_that_gives_nothing_new_is_not_said_to_be_exhausted(tmp_path: Path) -> None:
    said = drive(searching(tmp_path, budget=9, space="endless"), MadeUp())
    assert said == [
        "The search ends after 2 designs: 50 proposals in a row were among them. The space 'endless' has no end, so there may be others."
    ]


def test_what_a_design_was_trained_on_is_not_decided_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where other results of earlier batches, such as those of a failure that was tried again, would decide otherwise."""
    drive(searching(tmp_path, budget=16), MadeUp())
    before, engine = told(tmp_path), MadeUp()
    assert [state for *_, state in before].count("stopped") >= 3
    for answer in (True, False):
        monkeypatch.setattr("ablations.search.search.goes_on", lambda own, others, answer=answer: answer)
        drive(searching(tmp_path, budget=16), engine)
        assert told(tmp_path) == before and engine.trained == []


def test_a_smaller_budget_forgets_nothing(tmp_path: Path) -> None:
    drive(searching(tmp_path, budget=6), MadeUp())
    drive(searching(tmp_path, budget=3), MadeUp())
    search = stored(tmp_path).search
    assert search is not None and search.budget == len(search.designs) == 6


def test_what_the_store_has_lost_of_a_finished_design_is_trained_again(tmp_path: Path) -> None:
    """A trial that is damaged is a hole until its folder is moved away; what was proposed since stays."""
    drive(searching(tmp_path, budget=9), MadeUp())
    before, engine = told(tmp_path), MadeUp()
    search = searching(tmp_path, budget=9)
    keys = [search.designs.rung(entry.design, search.designs.epochs[0])[0] for entry in search.ledger.entries()]
    (search.store.trial(keys[3]) / "correct.npz").write_text("damaged")
    drive(search, engine)
    assert [state for *_, state in told(tmp_path)][3] == "failed" and engine.trained == []
    holes = search.holes()
    assert list(holes.damaged) == [keys[3]] and "Move the trial's folder away" in holes.damaged[keys[3]] and not holes.failed
    shutil.rmtree(search.store.trial(keys[3]))
    shutil.rmtree(search.store.trial(keys[5]))
    drive(searching(tmp_path, budget=9), engine)
    assert sorted(trial.key for trial in engine.trained) == sorted([keys[3], keys[5]])
    assert told(tmp_path) == before


# -- several machines


def shared(folder: Path, name: str, budget: int = 8, **rules: Any) -> Searching:
    """A workspace of that name on a database that others share: SQLite, which is safe where turns are taken."""
    return searching(folder / name, budget=budget, storage=f"sqlite:///{folder / 'shared.db'}", **rules)


def turn_of(search: Searching, engine: MadeUp, retry_failed: bool = False) -> tuple[list[str], list[str]]:
    """Train one round of a search; the keys of its trials, none where it would wait or has ended, and what was said."""
    said: list[str] = []
    stop = Stop()
    engine.store = search.store

    def say(sentence: str) -> None:
        said.append(sentence)
        stop.because("it would wait")

    turn = next(search.rounds(lambda: engine, stop, retry_failed, say), None)
    if turn is None:
        return [], said
    run(turn.queue, search.store, engine, [], stop=Stop(), retry_failed=retry_failed)
    return [trial.key for trial in turn.queue], said


def test_a_batch_has_work_for_several_machines_where_nobody_says_how_large_it_is(tmp_path: Path) -> None:
    def batch(folder: str, **given: Any) -> int:
        return searching(tmp_path / folder, **given).rule.batch

    uri = f"sqlite:///{tmp_path / 'shared.db'}"
    assert batch("alone") == 1 and batch("workers", workers=3) == 3
    assert batch("cluster", workers=None) == TOGETHER > 1
    assert batch("shared", storage=uri) == TOGETHER and batch("again", storage=uri, workers=12) == TOGETHER, "as it was declared"
    assert batch("larger", storage=uri, workers=12, name="larger") == 12 and batch("said", storage=uri, batch=2, name="said") == 2


def test_a_machine_takes_as_many_designs_as_it_trains_at_a_time(tmp_path: Path) -> None:
    one, other = shared(tmp_path, "one"), shared(tmp_path, "other")
    engine = MadeUp(5)
    first, second = (next(side.rounds(lambda: engine, Stop(), False, print)) for side in (one, other))
    assert len(first.queue) == 5 and len(second.queue) == 3 and not {t.key for t in first.queue} & {t.key for t in second.queue}


def test_what_is_free_is_taken_before_what_is_taken_over(tmp_path: Path) -> None:
    alive, other = shared(tmp_path, "alive"), shared(tmp_path, "other", take_over=True)
    turn = next(alive.rounds(lambda: MadeUp(3), Stop(), False, print))
    theirs = {trial.key for trial in turn.queue}
    keys, _ = turn_of(other, MadeUp(8))
    assert len(keys) == 5 and not theirs & set(keys)
    while keys and not theirs & set(keys):
        keys, _ = turn_of(other, MadeUp(8))
    assert theirs <= set(keys), "when nothing else is left"
    owners = [entry.owner for entry in other.ledger.entries()]
    assert owners == [other.owner] * 8


@pytest.mark.parametrize("take_over", [False, True])
def test_a_kill_while_a_design_is_claimed_costs_nobody_a_design(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, take_over: bool) -> None:
    """Killed between the two writes of a claim: in the workspace's own ledger any driver goes on with it, of a shared one another
    workspace does with --take-over."""
    for name, search in (("own", searching(tmp_path / "own", budget=2)), ("shared", shared(tmp_path, "dead", budget=2))):
        with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
            killed.setattr(search.ledger._study._storage, "set_trial_user_attr", _interrupt)
            drive(search, MadeUp())
        assert next(entry.owner for entry in search.ledger.entries()) == LOST, name
    assert drive(searching(tmp_path / "own", budget=2, take_over=take_over), MadeUp()) == []
    assert [state for *_, state in told(tmp_path / "own")] == ["done", "done"]
    other = shared(tmp_path, "other", budget=2, take_over=take_over)
    for _ in range(9):
        _, said = turn_of(other, MadeUp())
    states = [state for *_, state in told(tmp_path / "other")]
    assert states == (["done", "done"] if take_over else ["open", "done"])
    assert bool(said) == (not take_over) and all("Other machines train what is left" in sentence for sentence in said)


def _interrupt(*given: object, **named: object) -> None:
    raise KeyboardInterrupt


def test_a_workspace_that_lost_its_name_goes_on_with_its_own_designs(tmp_path: Path) -> None:
    engine = MadeUp()
    next(searching(tmp_path, budget=3).rounds(lambda: engine, Stop(), False, print))
    (tmp_path / "place").unlink()
    assert drive(searching(tmp_path, budget=3), engine) == [], "there is no other machine to wait for"
    assert [state for *_, state in told(tmp_path)] == ["done"] * 3


def test_drivers_that_begin_at_once_in_a_new_workspace_go_by_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, found, start = books.publish_text, list[str](), threading.Barrier(3)

    def slowly(path: Path, text: str) -> None:
        time.sleep(0.3)
        whole(path, text)

    def begin() -> None:
        start.wait()
        found.append(searching(tmp_path).owner)

    monkeypatch.setattr(books, "publish_text", slowly)
    threads = [threading.Thread(target=begin) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3 and len(set(found)) == 1


def test_a_failure_is_over_for_all_machines_until_one_tries_it_again(tmp_path: Path) -> None:
    """Here it is tried again by the machine where it failed, and by another one; a third finds what they found."""
    wrong = lambda trial: trial.config.net.block.arguments["gate"] == "tanh"  # noqa: E731
    one, other = (shared(tmp_path, name, budget=16) for name in ("one", "other"))
    for _ in range(30):
        turn_of(one, MadeUp(8, wrong))
    failed = [number for number, *_, state in told(tmp_path / "one") if state == "failed"]
    assert len(failed) >= 2
    assert turn_of(other, MadeUp(8)) == ([], []), "there is nothing to wait for"
    assert [number for number, *_, state in told(tmp_path / "other") if state == "failed"] == failed
    holes = other.holes()
    assert set(holes.failed.values()) == {"failed on another machine"} and len(holes.failed) == len(failed) and not holes.left
    assert set(holes.failed) <= set(places([stored(tmp_path / "other")])) and set(one.holes().failed.values()) == {"MemoryError: too large"}
    for name, engine, rounds in (("other", MadeUp(1), 2), ("one", MadeUp(8), 3)):
        side = shared(tmp_path, name, budget=16)
        for _ in range(rounds):  # a rung each
            turn_of(side, engine, retry_failed=True)
        assert side.holes().failed.keys() < holes.failed.keys()
    drive(shared(tmp_path, "third", budget=16), MadeUp())
    assert [state for *_, state in told(tmp_path / "third")].count("failed") == 0
    assert [errors for _, _, errors, _ in told(tmp_path / "third")] == [entry.errors for entry in one.ledger.entries()]


def test_what_fails_again_on_two_machines_that_retry_ends(tmp_path: Path) -> None:
    wrong = lambda trial: True  # noqa: E731
    sides = [shared(tmp_path, name, budget=2) for name in ("one", "other")]
    engines = [MadeUp(2, wrong), MadeUp(2, wrong)]
    for _ in range(8):
        for side, engine in zip(sides, engines, strict=True):
            turn_of(side, engine, retry_failed=True)
    assert [len(engine.trained) for engine in engines] == [2, 2], "each machine tries each design once"
    owners = [entry.owner for entry in sides[0].ledger.entries()]
    turn_of(sides[owners[0] == sides[0].owner], engines[0], retry_failed=True)
    assert owners == [entry.owner for entry in sides[0].ledger.entries()], "and takes it no more"
    assert [state for *_, state in told(tmp_path / "one")] == ["failed", "failed"] == [state for *_, state in told(tmp_path / "other")]


def test_two_workspaces_share_a_search_by_its_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines take turns, a design at a time; where one would wait for the other, it is the other's turn."""
    uri = f"sqlite:///{tmp_path / 'shared.db'}"
    sides = [searching(tmp_path / name, budget=8, batch=4, storage=uri) for name in ("a", "b")]
    engines, said = [MadeUp(), MadeUp()], list[str]()
    for side, engine in zip(sides, engines, strict=True):
        engine.store = side.store
    for number in range(30):
        side, engine, stop = sides[number % 2], engines[number % 2], Stop()
        monkeypatch.setattr(time, "sleep", lambda seconds, stop=stop: stop.because("it would wait"))
        turn = next(side.rounds(lambda engine=engine: engine, stop, False, said.append), None)  # type: ignore[misc]
        if turn is not None:
            run(turn.queue, side.store, engine, [], stop=Stop())
    keys = [{trial.key for trial in engine.trained} for engine in engines]
    assert keys[0] and keys[1] and not keys[0] & keys[1], "no trial is trained twice"
    assert told(tmp_path / "a") == told(tmp_path / "b") and len(told(tmp_path / "a")) == 8
    assert any("Other machines train what is left" in sentence for sentence in said)


DRIVER = """
import sys, time
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
import test_search as here
from ablations.search.space import SPACES

class Slow(here.MadeUp):
    def advance(self, tell, should_stop, store=None):
        time.sleep(0.02)
        super().advance(tell, should_stop, store)

SPACES.add("small")(here.small)
engine = Slow(2)
here.drive(here.searching(Path(sys.argv[3]), budget=16, batch=8, storage=sys.argv[4]), engine)
print(*[trial.key for trial in engine.trained])
"""


@pytest.fixture
def server() -> Iterator[str]:
    """A new database on the server that ``ABLATE_TEST_DATABASE`` names; the test is skipped, saying so, where nothing is named."""
    given = os.environ.get("ABLATE_TEST_DATABASE")
    if given is None:
        pytest.skip("ABLATE_TEST_DATABASE names no database server, and several machines share a search only on one")
    from sqlalchemy import create_engine, make_url, text

    name, engine = f"ablate_{secrets.token_hex(4)}", create_engine(given, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    try:
        yield make_url(given).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"drop database {name}"))
        engine.dispose()


def test_machines_at_once_on_a_database_server_train_no_design_twice(server: str, tmp_path: Path) -> None:
    """Three real processes, each in a workspace of its own, that begin together on an empty database."""
    names = ("a", "b", "c")
    command = [sys.executable, "-c", DRIVER, str(ROOT), str(ROOT / "tests")]
    processes = [subprocess.Popen([*command, str(tmp_path / name), server], stdout=subprocess.PIPE, text=True) for name in names]
    trained = [process.communicate(timeout=600)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sum(map(bool, trained)) >= 2 and len({key for keys in trained for key in keys}) == sum(map(len, trained)), trained
    assert len(told(tmp_path / "a")) == 16
    assert told(tmp_path / "a") == told(tmp_path / "b") == told(tmp_path / "c")


def test_what_another_machine_left_can_be_taken_over(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'shared.db'}"
    dead = searching(tmp_path / "dead", budget=2, storage=uri)
    engine = MadeUp()
    next(dead.rounds(lambda: engine, Stop(), False, print))
    drive(searching(tmp_path / "alive", budget=2, storage=uri, take_over=True), MadeUp())
    assert [state for *_, state in told(tmp_path / "alive")] == ["done", "done"]


# -- confirmation and pages


def confirmed(search: Searching, numbers: tuple[int, ...] = (1, 2, 3)) -> Study:
    """Confirm a search with made-up results."""
    share = confirmation(search, search.confirmed(None), numbers, 5)
    assert share is not None
    search.store.save_study(share.study)
    from ablations.execution.loop import trials

    engine = MadeUp()
    engine.store = search.store
    run(trials([share]), search.store, engine, [], stop=Stop())
    search.confirmed(share.study.name)
    return share.study


def test_the_front_is_confirmed_on_other_seeds_and_all_images(tmp_path: Path) -> None:
    search = searching(tmp_path, budget=24)
    drive(search, MadeUp())
    study = confirmed(search)
    assert study.seeds == ("1", "2", "3") and study.reference == "default"
    assert study.images.evaluated_on == "test" and study.images.train == 300
    assert all(variant.recipe.data.holdout == 0 and variant.recipe.train.epochs == 6 for variant in study.variants)
    assert 2 <= len(study.variants) <= 6
    with pytest.raises(InputError, match="Seed 0 chose the designs"):
        confirmation(search, search.confirmed(None), (0, 1), 5)


def test_the_page_shows_the_front_the_confirmation_and_every_design(tmp_path: Path) -> None:
    search = searching(tmp_path, budget=24)
    drive(search, MadeUp())
    study = confirmed(search)
    names = [search.name, study.name]
    for published in write(names, search.store, tmp_path / "pages", ("md", "html", "pdf", "csv")):
        assert all(file.exists() for file in published.files)
    page = (tmp_path / "pages" / search.name / "report.md").read_text()
    assert "24 designs of the space small were looked at" in page and "the test set was not read" in page
    assert page.count("| design ") > 24 and "Confirmed on the test set" in page and "(fANOVA)" in page
    assert "ablate search small --preset smoke" in page and "--budget 24 --batch 1 --sampler tpe --seed 0" in page
    own = (tmp_path / "pages" / study.name / "report.md").read_text()
    assert "ablate search small" in own and "--seed-list 1,2,3" in own and "held-out training images at seed 0" in own
    assert (tmp_path / "pages" / search.name / "front.png").stat().st_size > 5000
    told_ = summary(search.store.study(search.name), search.store)
    assert "24 designs of the space small were looked at" in told_ and "default" in told_
    rows = (tmp_path / "pages" / search.name / "designs.csv").read_text().splitlines()
    assert len(rows) == 25


def test_a_page_of_a_search_that_has_just_begun_says_what_is_missing(tmp_path: Path) -> None:
    search = searching(tmp_path)
    drive(search, MadeUp(), 0)
    write([search.name], search.store, tmp_path / "pages")
    page = (tmp_path / "pages" / search.name / "report.md").read_text()
    assert "1 design of the space small was looked at: 1 not finished." in page
    assert "No design has an error on the whole schedule yet" in page and "Not confirmed" in page


# -- through the command line, with real trials

WORDS = ["--preset", "smoke", "--threads", "1", "--no-mlflow", "--confirm", "1", "--seeds", "1"]
SHAPE = [
    "--data.train",
    "300",
    "--data.test",
    "100",
    "--net.units",
    "1,1",
    "--net.widths",
    "16,32",
    "--net.stem",
    "16",
    "--train.batch",
    "32",
]


Made: TypeAlias = Callable[[MadeUp], None]


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Made:
    """Let commands train by an engine that makes results up; called with it."""

    def use(engine: MadeUp) -> None:
        def chosen(options: Any, store: Store, source: DataSource) -> MadeUp:
            engine.store = store
            return engine

        monkeypatch.setattr("ablations.asked.engine", chosen)

    return use


def command(workspace: Path, budget: int, *more: object) -> list[object]:
    """The small search as a command line."""
    return ["search", "small", *WORDS, *SHAPE, "--workspace", workspace, "--budget", budget, *more]


def test_a_failure_of_a_search_is_told_every_time_and_holds_up_its_confirmation(tmp_path: Path, ablate: Ablate, made_up: Made) -> None:
    broken = MadeUp(fails=lambda trial: trial.config.net.block.arguments["gate"] == "tanh")  # type: ignore[union-attr,arg-type]
    made_up(broken)
    for again in (False, True):
        trained = len(broken.trained)
        code, out, err = ablate(*command(tmp_path / "runs", 10))
        assert code == 1 and "MemoryError: too large" in err and "0 failed" not in out and " failed, 0 damaged." in out, out + err
        assert "Nothing is confirmed while designs have failed. Run the same command again with --retry-failed" in out
        assert (len(broken.trained) == trained) == again
    assert not list((tmp_path / "runs").glob("studies/small-confirmed-*"))
    for name, engine, expected in (("broken", broken, 1), ("mended", MadeUp(), 0)):
        made_up(engine)
        shutil.copytree(tmp_path / "runs", tmp_path / name)
        code, out, err = ablate(*command(tmp_path / name, 10, "--retry-failed"))
        assert code == expected and "Nothing is confirmed" not in out and ("0 failed" in out) == (name == "mended"), out + err
        assert len(list((tmp_path / name).glob("studies/small-confirmed-*"))) == 1, "it fails again, so nothing better can be had"


def test_a_damaged_trial_of_a_search_holds_up_its_confirmation(tmp_path: Path, ablate: Ablate, made_up: Made) -> None:
    made_up(MadeUp())
    code, out, err = ablate(*command(tmp_path, 4))
    assert code == 0, out + err
    search = searching(tmp_path, budget=4)
    key = search.designs.rung(search.ledger.entries()[2].design, search.designs.epochs[0])[0]
    (search.store.trial(key) / "correct.npz").write_text("damaged")
    code, out, err = ablate(*command(tmp_path, 4, "--retry-failed"))
    assert code == 1 and "1 damaged" in out and "Nothing is confirmed while trials of the search are damaged." in out
    assert "Move the trial's folder away" in err


@pytest.mark.parametrize(("more", "batch"), [([], 1), (["--workers", 3], 3), (["--address", "auto"], TOGETHER)])
def test_the_command_line_says_how_much_is_proposed_and_confirmed(
    tmp_path: Path, ablate: Ablate, made_up: Made, more: list[object], batch: int
) -> None:
    made_up(MadeUp())
    assert ablate(*command(tmp_path, 2, *more))[0] == 0
    search = stored(tmp_path).search
    assert search is not None and (search.batch, search.budget, search.confirm, search.seeds, search.storage) == (batch, 2, 1, (1,), False)


def test_mlflow_and_its_page_show_a_search_to_its_end(mirrored: Store, ablate: Ablate, made_up: Made, tmp_path: Path) -> None:
    made_up(MadeUp())
    words = [word for word in command(mirrored.root, 3) if word != "--no-mlflow"]
    code, out, err = ablate(*words)
    assert code == 0 and not err, out + err
    found = runs(mirrored, "small-search")
    study = stored(mirrored.root)
    assert {(variant.name, seed) for variant in study.variants for seed in (None, "0")} == set(found)
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    pages = [run for run in found.values() if "report" in artifacts(mirrored, run)]
    [file] = [one for run in pages for one in artifacts(mirrored, run, "report") if one.endswith(".md")]
    page = artifact(mirrored, pages[0], file, tmp_path / "down").decode()
    assert "3 designs of the space small" in page and "Confirmed on the test set" in page and "Not confirmed" not in page
    assert page == (mirrored.root / "reports" / study.name / "report.md").read_text()
    again = snapshot_of(mirrored)
    code, out, _ = ablate(*words)
    assert code == 0 and "0 trained" in out and snapshot_of(mirrored) == again


def snapshot_of(store: Store) -> list[tuple[str, str, int]]:
    """What would change of the search's runs if they were written again."""
    return sorted((run.info.run_id, run.info.status, run.info.end_time) for run in runs(store, "small-search").values())


def test_time_that_is_up_while_others_train_is_told_with_what_is_left(
    tmp_path: Path, ablate: Ablate, made_up: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up(MadeUp())
    monkeypatch.setattr(books, "refuse_unsafe", lambda uri: None)  # one database for a test in which turns are taken
    next(shared(tmp_path, "alive", budget=2, rungs=False).rounds(lambda: MadeUp(2), Stop(), False, print))
    monkeypatch.setenv("ABLATE_SEARCH_STORAGE", f"sqlite:///{tmp_path / 'shared.db'}")
    code, out, err = ablate(*command(tmp_path / "waits", 2, "--no-rungs", "--max-minutes", "0.1"))
    assert code == 1 and "Time is up: --max-minutes 0.1 have passed." in err, out + err
    assert "2 designs of the budget left to be looked at." in out and ", 2 left." in out


def test_a_database_that_fails_in_the_middle_of_a_search_is_a_sentence(
    tmp_path: Path, ablate: Ablate, made_up: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up(MadeUp())
    whole = Session.train

    def train(self: Session, turn: Round) -> Summary:
        summary = whole(self, turn)
        (tmp_path / books.FILE).write_text("something else " * 1000)
        return summary

    monkeypatch.setattr(Session, "train", train)
    code, _, err = ablate(*command(tmp_path, 3))
    assert code == 1 and "The database of the search cannot be used: sqlite:///" in err and "Traceback" not in err
    assert err.rstrip().endswith("What was trained is stored. Mend that and run the same command again to go on.")
    assert len(list(tmp_path.glob("trials/*/result.json"))) == 1


class Unreadable(np.ndarray[Any, Any]):
    """Labels that nobody may look at."""

    def __array_finalize__(self, obj: object) -> None:
        if obj is not None and getattr(self, "closed", False):
            raise AssertionError("a test label was read")

    def __getitem__(self, place: object) -> Any:
        raise AssertionError("a test label was read")

    def __array_ufunc__(self, *arguments: object, **named: object) -> Any:
        raise AssertionError("a test label was read")

    def __array__(self, *arguments: object, **named: object) -> Any:
        raise AssertionError("a test label was read")

    def __iter__(self) -> Any:
        raise AssertionError("a test label was read")


def test_a_search_reads_no_test_label_and_its_confirmation_does(tmp_path: Path, ablate: Ablate, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Digits.arrays

    def closed(self: Digits) -> Any:
        arrays = whole(self)
        labels = np.asarray(arrays.test_labels).view(Unreadable)
        return type(arrays)(arrays.train_images, arrays.train_labels, arrays.test_images, labels)

    monkeypatch.setattr(Digits, "arrays", closed)
    words = ["search", "se_design", *WORDS[:-4], *SHAPE, "--train.epochs", "2", "--workspace", tmp_path]
    code, out, err = ablate(*words, "--budget", "2", "--confirm", "0")
    assert code == 0 and "2 trained" in out, out + err
    code, out, err = ablate(*words, "--budget", "3", "--seeds", "1")
    assert code == 1 and "a test label was read" in err, "the labels are not closed"


def test_a_killed_command_line_ends_with_the_same_search(tmp_path: Path) -> None:
    def command(workspace: Path) -> list[str]:
        words = ["search", "se_design", *WORDS, *SHAPE, "--train.epochs", "6", "--budget", "3", "--workspace", str(workspace)]
        return [sys.executable, str(ROOT / "runner.py"), *words]

    process = subprocess.Popen(command(tmp_path / "killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while len(list((tmp_path / "killed").glob("trials/*/result.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for name in ("killed", "whole"):
        subprocess.run(command(tmp_path / name), check=True, stdout=subprocess.DEVNULL)
    results = {
        name: {file.parent.name: _outside(file) for file in (tmp_path / name).glob("trials/*/result.json")} for name in ("killed", "whole")
    }
    assert results["killed"] == results["whole"] and len(results["whole"]) >= 5
    [study] = (tmp_path / "whole" / "studies").glob("se_design-search-*.json")
    assert study.read_text() == (tmp_path / "killed" / "studies" / study.name).read_text()


def _outside(file: Path) -> Any:
    tree = json.loads(file.read_text())
    return {name: value for name, value in tree.items() if name not in ("provenance", "timing")}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["se_desig"], "did you mean 'se_design'"),
        (["se_design", "--budget", "0"], "no count from 1"),
        (["se_design", "--seed-list", "0,1"], "Seed 0 chose the designs"),
        (["se_design", "--name", "a/b"], "cannot be named"),
        (["se_design", "--storage", "nonsense"], "takes the address of a PostgreSQL or MySQL database"),
        (["se_design", "--storage", "sqlite:///shared.db"], "do not share a SQLite file safely"),
        (["se_design", "--storage", "postgresql://me:secret@host/db", "--address", "auto"], "set ABLATE_SEARCH_STORAGE instead"),
        (["se_design", "--data.holdout", "299"], "more than the 1 training images"),
        (["se_design", "--block", "eca"], "about SE itself"),
        (["se_design", "--net.stages", "1"], "changes net.stages itself"),
    ],
)
def test_a_users_mistake_is_a_sentence(tmp_path: Path, ablate: Ablate, words: list[str], sentence: str) -> None:
    code, _, err = ablate(
        "search", *words, *([] if "--budget" in words else ["--budget", "1"]), *WORDS[:-2], *SHAPE, "--workspace", tmp_path
    )
    assert code == 2 and sentence in err and "Traceback" not in err and "secret" not in err
    assert not list(tmp_path.glob("trials/*"))


def test_the_environment_can_name_the_database(tmp_path: Path, ablate: Ablate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_SEARCH_STORAGE", "sqlite:///shared.db")
    code, _, err = ablate("search", "se_design", *WORDS, *SHAPE, "--workspace", tmp_path)
    assert code == 2 and "do not share a SQLite file safely" in err
