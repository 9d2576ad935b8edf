"""The parts of a search that need no training: spaces, the sampler, rungs, the front, the ledger."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablations.planning import DataSource, Order, base_config
from ablations.presets import preset
from ablations.search import ledger as books
from ablations.search.designs import Designs
from ablations.search.front import chosen, front
from ablations.search.rungs import crowding, fronts, goes_on, hypervolume, schedules
from ablations.search.sampler import Tried, propose
from ablations.search.space import SPACES, Design, Factor, Space, made
from ablations.study import SearchedDesign
from ablations.suite import Setting
from senet_core.config import canonical
from senet_core.errors import InputError
from senet_core.resolve import resolve

SHAPE = Factor(name="shape", levels=("flat", "deep"))
SIZE = Factor(name="size", levels=(1, 2, 4, 8), ordered=True)
RATE = Factor(name="rate", low=1e-3, high=1.0, log=True, when={"shape": ("deep",)})
COUNT = Factor(name="count", low=1, high=3, whole=True, when={"shape": ("deep",)})


def space(*factors: Factor, default: Mapping[str, Any] | None = None, changes: Callable[[Design], Mapping[str, Any]] = dict) -> Space:
    """A space of these factors, by default at the first level of each."""
    own = default if default is not None else {one.name: one.levels[0] for one in factors if one.levels and not one.when}
    return Space(name="made", title="Made", question="Which?", source="here", factors=factors, default=own, changes=changes)


# -- spaces


def test_designs_are_counted_and_listed_under_their_conditions() -> None:
    found = space(SHAPE, SIZE, COUNT)
    designs = list(found.designs())
    assert found.size() == len(designs) == 4 * (1 + 3)
    assert {"shape": "flat", "size": 2} in designs
    assert {"shape": "deep", "size": 2, "count": 3} in designs
    assert not any("count" in design for design in designs if design["shape"] == "flat")
    assert space(SHAPE, RATE).size() == math.inf


def test_neighbours_have_every_level_and_both_ends_of_every_range() -> None:
    found = space(SHAPE, SIZE, RATE)
    neighbours = list(found.neighbours())
    assert all(found.mistake(design) is None for design in neighbours)
    assert {design["size"] for design in neighbours} == {1, 2, 4, 8}
    assert {design["rate"] for design in neighbours if "rate" in design} == {1e-3, 1.0}


@pytest.mark.parametrize(
    ("factors", "sentence"),
    [
        ((), "is empty: it has 1 design"),
        ((Factor(name="a"),), "is empty: it has no levels and no range"),
        ((Factor(name="a", levels=("x",)),), "is empty: it has 1 design"),
        ((Factor(name="a", low=2, high=1),), "nothing lies between 2 and 1"),
        ((Factor(name="a", low=0, high=1, log=True),), "on a log scale"),
        ((Factor(name="a", low=0.5, high=3, whole=True),), "whole numbers"),
        ((Factor(name="a", levels=("x", "x")),), "one level twice"),
        ((Factor(name="a", levels=("x",), low=1, high=2),), "levels and a range"),
        ((SHAPE, SHAPE), "two factors of one name"),
        ((SIZE, Factor(name="b", levels=(1, 2), when={"shape": ("flat",)})), "depends on 'shape', and no factor before it"),
        ((SHAPE, Factor(name="b", levels=(1, 2), when={"shape": ("round",)})), "which it never is"),
        ((SHAPE, COUNT, Factor(name="b", levels=(1, 2), when={"count": (1,), "shape": ("flat",)})), "contradicts itself"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_with_the_reason(factors: tuple[Factor, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        space(*factors)


@pytest.mark.parametrize(
    ("default", "sentence"),
    [
        ({"shape": "flat"}, "'size' is missing"),
        ({"shape": "flat", "size": 3}, "cannot be 3"),
        ({"shape": "flat", "size": 1, "x": 0}, "no factor 'x'"),
    ],
)
def test_a_default_outside_the_space_is_refused(default: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        space(SHAPE, SIZE, default=default)


@pytest.mark.parametrize("name", SPACES.names())
def test_every_shipped_design_next_to_the_default_is_a_network(name: str) -> None:
    designs = shipped(name)
    designs.try_on()
    assert designs.config(designs.space.default) == designs.base


def shipped(name: str) -> Designs:
    """A shipped space on the embedded images."""
    source, order = DataSource(None, None), Order(preset("smoke"), {})
    _, facts = source.opened(base_config(order))
    base = resolve(base_config(order), facts)
    return Designs(made(name, Setting(base=base, stages=3, preset="smoke")), facts, base, (2, 6))


def test_designs_that_build_one_network_are_one_design() -> None:
    designs = shipped("se_design")
    stages = [factor.name for factor in designs.space.factors if factor.name.startswith("r of")]
    plain = {**designs.space.default, **dict.fromkeys(stages, "none")}
    assert designs.key(plain) == designs.key({**plain, "gate": "tanh", "placement": "post"})
    assert designs.config(plain).net.block is None
    only = {**plain, stages[1]: 4}
    assert designs.config(only).net.stages == (2,) and designs.config(only).net.by_stage == {}


def test_a_level_that_no_network_can_have_is_named() -> None:
    designs = shipped("se_design")
    ratio = Factor(name="ratio", levels=(16, 0))
    wrong = space(ratio, default={"ratio": 16}, changes=lambda design: {"net.block.reduction": design["ratio"]})
    SPACES.add("made")(lambda setting: wrong)
    try:
        with pytest.raises(InputError, match=r"impossible design, ratio 0.*must be at least 1"):
            Designs(wrong, designs.facts, designs.base, (6,)).try_on()
    finally:
        SPACES._entries.pop("made")


# -- the sampler


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_proposal_follows_from_what_was_tried_and_never_repeats(sampler: Any) -> None:
    found = space(SHAPE, SIZE, COUNT)

    def run() -> list[dict[str, Any]]:
        tried: list[Tried] = [Tried(found.default, (1.0, 1.0))]
        while (
            design := propose(found, tried, number=len(tried), seed=3, identity=lambda one: canonical(dict(one)), sampler=sampler)
        ) is not None:
            tried.append(Tried(design, (float(design["size"]), 2.0 * (design["shape"] == "flat"))))
        return [dict(one.design) for one in tried]

    designs = run()
    assert len(designs) == found.size() == len({canonical(design) for design in designs})
    assert designs == run()


def test_designs_of_one_network_are_proposed_once() -> None:
    found = space(SHAPE, SIZE)
    tried = [Tried(found.default, (1.0, 1.0))]
    identity = lambda design: str(design["size"])  # noqa: E731
    while (design := propose(found, tried, number=len(tried), seed=0, identity=identity)) is not None:
        tried.append(Tried(design, (1.0, float(len(tried)))))
    assert sorted(str(one.design["size"]) for one in tried) == ["1", "2", "4", "8"]


def test_the_sampler_looks_where_errors_are_low() -> None:
    """One factor of eight levels decides; after 20 designs most of what is proposed has its good levels."""
    found = space(Factor(name="a", levels=tuple(range(12)), ordered=True), Factor(name="b", levels=tuple(range(12)), ordered=True))
    tried: list[Tried] = []
    for number in range(60):
        design = propose(found, tried, number=number, seed=1, identity=lambda one: canonical(dict(one)))
        assert design is not None
        tried.append(Tried(design, (float(design["a"]), 1.0)))
    late = [one.design["a"] for one in tried[20:]]
    assert np.mean(late) < 4  # chance gives 5.5


def test_where_the_sampler_repeats_itself_the_nearest_new_design_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"shape": "deep", "size": 2, "count": 3}
    monkeypatch.setattr("ablations.search.sampler._by_tpe", lambda *given: dict(wanted))
    found = space(SHAPE, SIZE, COUNT)
    tried = [Tried(found.default, (1.0, 1.0)), Tried(wanted, (0.0, 0.0))]
    order = []
    while (design := propose(found, tried, number=len(tried), seed=0, identity=lambda one: canonical(dict(one)))) is not None:
        order.append(design)
        tried.append(Tried(design, (1.0, 1.0)))
    assert {one["size"] for one in order[:2]} == {1, 4} and all(one["count"] == 3 for one in order[:2]), "a third of the way along sizes"
    assert order[2] == {"shape": "deep", "size": 2, "count": 2}, "half of the way along counts"
    assert [one["shape"] for one in order[-3:]] == ["flat"] * 3, "another shape, and no count at all"
    assert len(order) == found.size() - 2


def test_a_space_without_end_goes_on_where_the_sampler_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """First all that is near, with the middle of a range that the sampler's own design does not have; then numbers by chance."""
    wanted = {"shape": "flat", "size": 2}
    monkeypatch.setattr("ablations.search.sampler._by_tpe", lambda *given: dict(wanted))
    found = space(SHAPE, SIZE, RATE)
    tried = [Tried(found.default, (1.0, 1.0)), Tried(wanted, (0.0, 0.0))]
    while len(tried) < 20:
        design = propose(found, tried, number=len(tried), seed=0, identity=lambda one: canonical(dict(one)))
        assert design is not None and found.mistake(design) is None and design not in [one.design for one in tried]
        tried.append(Tried(design, (1.0, 1.0)))
    designs = [dict(one.design) for one in tried]
    assert [one["shape"] for one in designs[:4]] == ["flat"] * 4 and designs[2]["size"] in (1, 4)
    assert all(one["rate"] == pytest.approx(10**-1.5) for one in designs[4:8]) and {one["size"] for one in designs[4:8]} == {1, 2, 4, 8}
    assert len({one["rate"] for one in designs[8:]}) == 12


def test_what_is_ruled_out_is_not_proposed() -> None:
    found = space(SHAPE, SIZE)
    without = [{"shape": "deep", "size": size} for size in (1, 2, 4)]
    tried = [Tried(found.default, (1.0, 1.0))]
    how: dict[str, Any] = {"seed": 0, "identity": lambda one: canonical(dict(one)), "without": without}
    while (design := propose(found, tried, number=len(tried), **how)) is not None:
        tried.append(Tried(design, (1.0, 1.0)))
    assert len(tried) == 5 and not [one for one in tried if one.design in without]


# -- rungs and the front


def test_schedules_are_thirds_of_the_whole_one() -> None:
    assert schedules(164) == (18, 55, 164)
    assert schedules(30) == (3, 10, 30)
    assert schedules(5) == (2, 5)
    assert schedules(3) == (3,)


def test_fronts_crowding_and_hypervolume_by_hand() -> None:
    points = np.array([[1.0, 4.0], [2.0, 2.0], [4.0, 1.0], [3.0, 3.0], [4.0, 4.0], [2.0, 2.0]])
    assert fronts(points).tolist() == [0, 0, 0, 1, 2, 0]
    assert crowding(np.array([[0.0, 4.0], [1.0, 2.0], [4.0, 0.0]])).tolist() == [math.inf, 2.0, math.inf]
    assert hypervolume(points, (5.0, 5.0)) == pytest.approx((5 - 1) * (5 - 4) + (5 - 2) * (4 - 2) + (5 - 4) * (2 - 1))
    assert hypervolume(np.array([[6.0, 1.0]]), (5.0, 5.0)) == 0


def test_a_design_goes_on_among_the_best_third() -> None:
    others = [(float(error), 1.0) for error in range(10, 16)]
    assert goes_on((20.0, 1.0), others[:4]), "too few have been there to stop anything"
    assert goes_on((9.0, 1.0), others) and not goes_on((20.0, 1.0), others)
    assert goes_on((20.0, 0.5), others), "nothing is cheaper, so it is on the front"


def designs_of(*places: tuple[float | None, int]) -> list[SearchedDesign]:
    """Finished designs with these errors and costs, the default first."""
    return [
        SearchedDesign(number=number, choices={}, cost=cost, errors=(error,), state="done" if error else "diverged")
        for number, (error, cost) in enumerate(places)
    ]


def test_the_front_is_confirmed_from_its_least_error_on() -> None:
    found = designs_of((20.0, 100), (19.0, 120), (25.0, 50), (24.0, 80), (30.0, 200), (None, 10), (18.0, 150))
    assert [one.number for one in front(found)] == [2, 3, 0, 1, 6]
    assert [one.number for one in chosen(found, 1)] == [6]
    assert [one.number for one in chosen(found, 2)] == [2, 6]
    assert [one.number for one in chosen(found, 9)] == [2, 3, 1, 6]
    assert chosen(designs_of((20.0, 100), (21.0, 110)), 3) == []


# -- the ledger


def opened(folder: Path, made: Space, **other: Any) -> books.Ledger:
    """A ledger in a folder."""
    declared = {**made.declared(), "batch": None, **other}
    return books.opened("search", books.default_uri(folder), made, declared, {"batch": 2})[0]


def test_a_ledger_keeps_designs_claims_and_results(tmp_path: Path) -> None:
    made_ = space(SHAPE, SIZE, RATE)
    ledger = opened(tmp_path, made_)
    for place, design in enumerate(({"shape": "flat", "size": 1}, {"shape": "deep", "size": 8, "rate": 0.5})):
        ledger.add(design, f"key{place}")
    ledger.add({"shape": "deep", "size": 8, "rate": 0.5}, "key1")
    assert [entry.key for entry in ledger.entries()] == ["key0", "key1"], "what two drivers proposed at once counts once"
    assert ledger.claim("key0", "here") and not ledger.claim("key0", "there")
    ledger.claim("key1", "there")
    ledger.tell("key0", (30.0, None), 12)
    ledger.tell("key0", (1.0,), 12)
    ledger.fail("key1")
    assert not ledger.claim("key0", "late") and not ledger.claim("key1", "late")
    ledger.take_over("key0", "late")
    again = opened(tmp_path, made_).entries()
    assert [(one.number, one.owner, one.over, one.errors, one.cost) for one in again] == [
        (0, "here", True, (30.0, None), 12),
        (1, "there", True, (), 0),
    ]
    assert again[1].design == {"shape": "deep", "size": 8, "rate": 0.5}
    assert again[0].values() == (books.DIVERGED, 12.0) and again[0].values(0) == (30.0, 12.0) and again[1].values() is None


def test_a_failure_is_over_until_it_is_reopened_or_taken_over(tmp_path: Path) -> None:
    ledger = opened(tmp_path, space(SHAPE, SIZE))
    ledger.add({"shape": "flat", "size": 1}, "key")
    ledger.claim("key", "here")
    told = []
    for step in (ledger.fail, ledger.reopen, ledger.fail, lambda key: ledger.take_over(key, "there")):
        step("key")
        told += [(entry.owner, entry.over, entry.errors) for entry in ledger.entries()]
    assert told == [("here", True, ()), ("here", False, ()), ("here", True, ()), ("there", False, ())]
    ledger.tell("key", (3.0,), 7)
    ledger.fail("key")
    assert [(entry.over, entry.errors) for entry in ledger.entries()] == [(True, (3.0,))], "a result stays"


def test_what_cannot_be_built_is_no_design_and_has_its_reason(tmp_path: Path) -> None:
    ledger = opened(tmp_path, space(SHAPE, SIZE))
    ledger.add({"shape": "flat", "size": 1}, "key0")
    ledger.add({"shape": "deep", "size": 8}, "key1")
    for _ in range(2):  # two machines may find the same
        ledger.rule_out({"shape": "deep", "size": 8}, "It is too deep.")
    ledger.add({"shape": "deep", "size": 4}, "key2")
    assert [(entry.number, entry.key) for entry in ledger.entries()] == [(0, "key0"), (1, "key2")]
    assert opened(tmp_path, space(SHAPE, SIZE)).impossible() == [({"shape": "deep", "size": 8}, "It is too deep.")]


def test_of_drivers_that_begin_at_once_one_declares_the_search(tmp_path: Path) -> None:
    """Each in a thread of its own, with another batch size, on a database that is not there yet."""
    made_, told, won = space(SHAPE, SIZE), [], []
    start = threading.Barrier(4)

    def begin(batch: int) -> None:
        start.wait()
        try:
            opened(tmp_path, made_, batch=batch)
            won.append(batch)
        except InputError as error:
            told.append(str(error))

    threads = [threading.Thread(target=begin, args=(batch,)) for batch in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and len(told) == 3 and all(f"batch was {won[0]} and is" in sentence for sentence in told)


def test_who_died_before_declaring_a_search_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books, "PATIENCE", 0.3)
    books._study("search", books.default_uri(tmp_path))
    opened(tmp_path, space(SHAPE, SIZE), batch=3)
    with pytest.raises(InputError, match="batch was 3 and is 4"):
        opened(tmp_path, space(SHAPE, SIZE), batch=4)


def test_a_claim_without_a_name_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = opened(tmp_path, space(SHAPE, SIZE))
    ledger.add({"shape": "flat", "size": 1}, "key")
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(ledger._study._storage, "set_trial_user_attr", raises(KeyboardInterrupt))
        ledger.claim("key", "here")
    assert [entry.owner for entry in ledger.entries()] == [books.LOST] and not ledger.claim("key", "here")
    ledger.take_over("key", "here")
    assert [entry.owner for entry in ledger.entries()] == ["here"]


def raises(error: type[BaseException]) -> Callable[..., None]:
    """A function that raises this."""

    def function(*given: object) -> None:
        raise error

    return function


def test_a_changed_space_under_an_old_search_is_refused_with_what_changed(tmp_path: Path) -> None:
    opened(tmp_path, space(SHAPE, SIZE))
    opened(tmp_path, space(SHAPE, SIZE), batch=2)
    with pytest.raises(InputError, match=r"the factor 'size' had levels \[1,2,4,8\] and has \[1,2\].*--name"):
        opened(tmp_path, space(SHAPE, SIZE.model_copy(update={"levels": (1, 2)})))
    with pytest.raises(InputError, match="the factor 'rate' is new"):
        opened(tmp_path, space(SHAPE, SIZE, RATE))
    with pytest.raises(InputError, match="batch was 2 and is 4"):
        opened(tmp_path, space(SHAPE, SIZE), batch=4)


@pytest.mark.parametrize("name", ["we?rd", "a%20b", "we{i}rd", "my runs", "ü#x", "c@d:e"])
def test_the_workspaces_own_database_lies_in_it_whatever_its_name(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    root.mkdir()
    opened(root, space(SHAPE, SIZE)).add({"shape": "flat", "size": 1}, "key")
    assert [file.name for file in root.iterdir()] == [books.FILE] and [file.name for file in tmp_path.iterdir()] == [name]
    assert [entry.key for entry in opened(root, space(SHAPE, SIZE)).entries()] == ["key"]


def test_braces_in_an_address_are_its_own(tmp_path: Path) -> None:
    made_ = space(SHAPE, SIZE)
    books.opened("search", f"sqlite:///{tmp_path}/{{x}}.db", made_, made_.declared(), {})
    assert [file.name for file in tmp_path.iterdir()] == ["{x}.db"]


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("sqlite:////tmp/a.db", "do not share a SQLite file safely"),
        ("nonsense", "takes the address of a PostgreSQL or MySQL database"),
        ("mssql+pyodbc://me:secret@host/db", "'mssql+pyodbc://host/db' is none"),
    ],
)
def test_only_databases_that_lock_a_row_are_shared(uri: str, sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        books.refuse_unsafe(uri)
    for safe in ("postgresql://host/db", "postgresql+psycopg2://me:secret@host/db", "mysql+pymysql://host/db"):
        books.refuse_unsafe(safe)


def test_a_database_that_fails_in_the_middle_is_a_sentence(tmp_path: Path) -> None:
    """One that is full, and one whose file is something else now."""
    from sqlalchemy import event

    ledger = opened(tmp_path, space(SHAPE, SIZE))
    ledger.add({"shape": "flat", "size": 1}, "key")

    def fill(connection: Any, record: Any, proxy: Any) -> None:
        connection.execute("pragma max_page_count = 1")  # SQLite takes the pages that there are

    event.listen(ledger._study._storage._backend.engine, "checkout", fill)  # type: ignore[attr-defined]
    with pytest.raises(books.Trouble, match=r"The database of the search cannot be used: sqlite:///.*full") as raised:
        for size in range(200):
            ledger.add({"shape": "deep", "size": 8}, f"key{size}")
    assert str(raised.value).count("\n") == 0
    (tmp_path / books.FILE).write_text("something else " * 1000)
    for method in (ledger.entries, lambda: ledger.claim("key", "here"), lambda: ledger.tell("key", (1.0,), 1), lambda: ledger.fail("key")):
        with pytest.raises(books.Trouble, match="cannot be used"):
            method()


def test_a_password_is_in_no_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs a driver|cannot be used") as raised:
        books.opened("search", "postgresql+psycopg2://me:secret@127.0.0.1:9/db", space(SHAPE, SIZE), {}, {})
    assert "secret" not in str(raised.value)


def test_a_database_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / books.FILE).write_text("no database")
    with pytest.raises(InputError, match="database of the search cannot be used"):
        opened(tmp_path, space(SHAPE, SIZE))
    with pytest.raises(InputError, match=r"needs a driver|cannot be used"):
        books.opened("search", "nonsense://x", space(SHAPE, SIZE), {}, {})
