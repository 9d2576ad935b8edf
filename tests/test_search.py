"""A search as a whole: proposed, trained, killed, resumed, shared and confirmed. Most of it on an engine that makes results up."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Ablate

from ablations.execution.engines import Computed, Raised, Tell
from ablations.execution.loop import run
from ablations.execution.stopping import Stop
from ablations.execution.trial import Trial
from ablations.planning import DataSource, Order
from ablations.presets import preset
from ablations.result import Epoch, Errors, Provenance, Result, Timing
from ablations.search.confirm import confirmation
from ablations.search.designs import Designs
from ablations.search.search import Rules, Searching, begun
from ablations.search.space import SPACES, Design, Factor, Space
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


def _changes(design: Design) -> dict[str, Any]:
    return {f"net.block.{'reduction' if name == 'ratio' else name}": level for name, level in design.items()}


PRICES: dict[str, Cost] = {}
PRICE = Designs.price


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The small space under its name, each of its networks built once for all tests."""

    def price(self: Designs, design: Design) -> Cost:
        key = self.key(design)
        if key not in PRICES:
            PRICES[key] = PRICE(self, design)
        return PRICES[key]

    monkeypatch.setattr(Designs, "price", price)
    SPACES.add("small")(small)
    yield
    SPACES._entries.pop("small", None)


def order(**more: Any) -> Order:
    return Order(preset("smoke"), {**TINY, **more})


IMAGES = DataSource(None, None)
"""Made once for all tests."""


def searching(workspace: Path, budget: int = 9, **rules: Any) -> Searching:
    """The small search in a workspace, new or as it was left."""
    workspace.mkdir(exist_ok=True)
    return begun("small", order(), Rules(budget=budget, **rules), Store(workspace), IMAGES)


def drive(search: Searching, engine: MadeUp, rounds: int | None = None, retry_failed: bool = False) -> list[str]:
    """Train so many rounds of a search, or all; returns what was said. What is begun in the last one is thrown away, as by a kill."""
    said: list[str] = []
    engine.store = search.store
    for count, turn in enumerate(search.rounds(lambda: engine, Stop(), retry_failed, said.append), start=1):
        if rounds is not None and count > rounds:
            break
        run(turn.queue, search.store, engine, [], stop=Stop(), retry_failed=retry_failed)
    return said


def told(workspace: Path, name: str = "") -> list[tuple[Any, ...]]:
    """What became of every design, as the workspace has it."""
    [file] = workspace.glob(f"studies/small-search-smoke-digits-embedded-??????{name}.json")
    search = Store(workspace).study(file.stem).search
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
        (["se_design", "--storage", "nonsense"], "database of the search cannot be used"),
        (["se_design", "--data.holdout", "299"], "more than the 1 training images"),
        (["se_design", "--block", "eca"], "about SE itself"),
        (["se_design", "--net.stages", "1"], "changes net.stages itself"),
    ],
)
def test_a_users_mistake_is_a_sentence(tmp_path: Path, ablate: Ablate, words: list[str], sentence: str) -> None:
    code, _, err = ablate(
        "search", *words, *([] if "--budget" in words else ["--budget", "1"]), *WORDS[:-2], *SHAPE, "--workspace", tmp_path
    )
    assert code == 2 and sentence in err and "Traceback" not in err
    assert not list(tmp_path.glob("trials/*"))
