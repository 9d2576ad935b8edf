"""The pages of a search: every look at the test set, what matters, the figure, the commands, and words that say no more than is known."""

from __future__ import annotations

import math
import random
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import test_search as here
from test_search import registered  # noqa: F401 - the small space, for every test

import report.search
import runner
from ablations import asked
from ablations.execution.loop import run, trials
from ablations.execution.stopping import Stop
from ablations.options import parser, take_recipe
from ablations.search.confirm import confirmation
from ablations.search.importance import FEWEST, MOST_LEVELS, RESAMPLED, importances, ranking
from ablations.search.looks import confirmations, looked_at
from ablations.search.rungs import ETA, goes_on
from ablations.search.sampler import BY_CHANCE
from ablations.search.search import Rules, Searching, begun
from ablations.selection import companions
from ablations.store import Store
from ablations.study import Confirms, Search, SearchedDesign, State, Study
from report.document import write
from report.figures import style
from report.record import command, commands
from report.search_figure import search_figure

DOCS = (Path(__file__).resolve().parent.parent / "docs" / "search.md").read_text(encoding="utf-8")


def searched(workspace: Path, budget: int = 12, **rules: Any) -> Searching:
    """The small search, all its designs trained."""
    search = here.searching(workspace, budget, **rules)
    here.drive(search, here.MadeUp())
    return search


def look(search: Searching, most: int = 5, numbers: Sequence[int] = (1, 2, 3), only: str = "") -> Study:
    """Confirm a search as its command does; ``only`` is the one variant that is trained."""
    share = confirmation(search, search.confirmed(None), numbers, most)
    assert share is not None
    search.confirmed(share.study.name)
    search.store.save_study(share.study)
    engine = here.MadeUp()
    engine.store = search.store
    keys = {key for variant, _, key in share.study.trials() if only in ("", variant.name)}
    run([trial for trial in trials([share]) if trial.key in keys], search.store, engine, [], stop=Stop())
    return search.store.study(share.study.name)


def page(store: Store, name: str, out: Path) -> str:
    """A study's page in Markdown."""
    write([name], store, out)
    return (out / name / "report.md").read_text()


def section(text: str, heading: str) -> str:
    """What stands under a heading of the second level."""
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


# -- every look at the test set


def test_no_later_command_hides_a_confirmation_or_begins_to_count_again(tmp_path: Path) -> None:
    search = searched(tmp_path)
    first = look(search, 1)
    told = section(page(search.store, search.name, tmp_path / "pages"), "Confirmed on the test set")
    assert first.name in told.replace("\\", "") and "before this one: none" in told and "Extended after looking" not in told

    here.drive(here.searching(tmp_path, 16), here.MadeUp(), 1)  # a greater budget, killed at once
    here.searching(tmp_path, 12, confirm=0).confirmed(None)
    assert search.store.study(search.name).search.confirmed == (first.name,)  # type: ignore[union-attr]
    again = section(page(search.store, search.name, tmp_path / "pages"), "Confirmed on the test set")
    assert again == told, "the page forgets nothing"

    second = look(searched(tmp_path, 16), 5)
    assert second.name != first.name and [v.name for v in second.variants] != [v.name for v in first.variants]
    whole = section(page(search.store, search.name, tmp_path / "pages"), "Confirmed on the test set")
    one, other = whole.split("### Confirmation ")[1:]
    assert one.startswith("1 of 2") and first.name in one.replace("\\", "") and "before this one: none" in one
    assert other.startswith("2 of 2") and second.name in other.replace("\\", "") and "before this one: 1." in other
    assert "Extended after looking" not in one and "that of 2 looks together is no better than 10 %" in other


def test_a_confirmations_own_page_says_what_was_looked_at_before_it(tmp_path: Path) -> None:
    search = searched(tmp_path)
    first, second = look(search, 1), look(search, 5)
    pages = [page(search.store, one.name, tmp_path / "pages").replace("\\", "") for one in (first, second)]
    assert "Extended after looking" not in pages[0]
    assert f"had been judged on the test set before this one ({first.name})" in pages[1]
    assert not any("for the first time" in text for text in pages)
    third = look(search, 2)
    assert third.confirms is not None and third.confirms.before == (first.name, second.name)
    told = page(search.store, third.name, tmp_path / "pages")
    assert "2 other confirmations" in told and "that of 3 looks together is no better than 15 %" in told


def test_the_same_designs_are_one_look_and_more_seeds_say_so_on_the_searchs_page(tmp_path: Path) -> None:
    search = searched(tmp_path)
    first = look(search)
    assert look(search).name == first.name and search.store.study(first.name) == first
    longer = look(search, numbers=(1, 2, 3, 4))
    assert longer.name == first.name and longer.looks == (("1", "2", "3"), ("4",))
    told = section(page(search.store, search.name, tmp_path / "pages"), "Confirmed on the test set")
    assert "### " not in told and "Extended after looking**: seeds were added" in told


def test_what_showed_nothing_of_a_design_was_no_look(tmp_path: Path) -> None:
    search = searched(tmp_path)
    assert not looked_at(look(search, 1, only="default"), search.store), "a suite may have trained that one"
    second = look(search, 5)
    assert second.confirms is not None and second.confirms.before == () and looked_at(second, search.store)


def test_confirmations_are_found_where_the_searchs_study_does_not_name_them(tmp_path: Path) -> None:
    """As an older version left them: in the search's study no name but perhaps the last one, and in theirs none of the search."""
    search = searched(tmp_path)
    store, (one, other) = search.store, (look(search, 1), look(search, 5))
    for study, budget in ((one, 6), (other, 5)):
        assert study.confirms is not None
        of = study.confirms.model_copy(update={"study": None, "before": (), "budget": budget})
        store.save_study(study.model_copy(update={"confirms": of}))
    study = store.study(search.name)
    assert study.search is not None
    for names, order in (((), [other, one]), ((other.name,), [one, other])):
        bare = study.model_copy(update={"search": study.search.model_copy(update={"confirmed": names})})
        store.save_study(bare)
        assert [found.name for found in confirmations(bare, store)] == [found.name for found in order]
        assert [found.name for found in companions(bare, store)] == [found.name for found in order]
        told = section(page(store, search.name, tmp_path / "pages"), "Confirmed on the test set").split("### ")
        assert "before this one: none" in told[1] and "before this one: 1." in told[2]
    alone = study.model_copy(update={"search": study.search.model_copy(update={"confirmed": ()})})
    assert confirmations(alone.model_copy(update={"preset": "quick"}), store) == [], "those of another search"
    assert confirmations(alone.model_copy(update={"overrides": {}}), store) == []


def test_a_confirmation_that_is_not_in_the_workspace_is_named(tmp_path: Path) -> None:
    search = searched(tmp_path)
    first = look(search)
    search.store.study_path(first.name).unlink()
    told = section(page(search.store, search.name, tmp_path / "pages"), "Confirmed on the test set").replace("\\", "")
    assert f"names a confirmation that is not in this workspace: study {first.name}" in told and "Not confirmed" not in told


def test_searches_of_two_names_have_confirmations_of_their_own(tmp_path: Path) -> None:
    plain, named = searched(tmp_path), searched(tmp_path, name="again", seed=1)
    own = [look(search) for search in (plain, named)]
    assert own[1].name == f"{own[0].name}-again"
    for search, one in zip((plain, named), own, strict=True):
        assert [found.name for found in confirmations(search.store.study(search.name), search.store)] == [one.name]
        assert one.confirms is not None and one.confirms.before == () and one.confirms.study == search.name


def test_searches_that_are_stored_can_be_read() -> None:
    rule = {"space": "small", "factors": [["a", "1, 2"]], "cost": "parameters", "epochs": [2]}
    old = rule | {"sampler": "tpe", "seed": 0, "batch": 1, "budget": 3}
    assert Search.model_validate(old | {"confirmed": None}).confirmed == ()
    assert Search.model_validate(old | {"confirmed": "a study"}).confirmed == ("a study",)
    assert Confirms.model_validate(old | {"confirmed": None, "name": None, "designs": []}).study is None
    both = Search.model_validate(old | {"confirmed": ["one", "two"]})
    assert Search.model_validate_json(both.model_dump_json()) == both


# -- the commands that make a page again


def asked_by(line: str) -> tuple[Rules, dict[str, Any], list[int]]:
    """What a command on a page asks for: rules, recipe fields, the seeds of the confirmation."""
    words = shlex.split(line)
    assert words[:2] == ["ablate", "search"]
    rest, recipe = take_recipe(words[1:])
    options = parser(runner.COMMANDS).parse_args(rest)
    return asked.rules(options), recipe, asked.fresh_seeds(options)


def test_the_commands_on_a_page_ask_for_each_confirmation_in_turn(tmp_path: Path) -> None:
    search = searched(tmp_path, confirm=1, seeds=(1, 2))
    first = look(search, 1, (1, 2))
    assert commands(first) == commands(search.store.study(search.name), [first]), "one command makes both"
    look(search, 1, (1, 2, 3))
    here.searching(tmp_path, 12, confirm=3, seeds=(7,)).confirmed(None)
    again = searched(tmp_path, 16, confirm=5, seeds=(4, 5))
    second = look(again, 5, (4, 5))
    text = page(again.store, again.name, tmp_path / "pages")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ablate search")]
    found = [asked_by(line) for line in lines]
    assert [(rules.budget, rules.confirm, seeds) for rules, _, seeds in found] == [(12, 1, [1, 2]), (12, 1, [1, 2, 3]), (16, 5, [4, 5])]
    assert all(recipe == here.TINY for _, recipe, _ in found) and "one after the other" in text
    assert all((rules.batch, rules.sampler, rules.seed, rules.rungs) == (1, "tpe", 0, True) for rules, *_ in found)
    assert asked_by(command(second))[2] == [4, 5]


def test_a_search_that_is_not_confirmed_asks_again_for_what_was_asked() -> None:
    rules, _, seeds = asked_by(command(made(confirm=2, seeds=(3, 4))))
    assert rules.confirm == 2 and seeds == [3, 4]
    assert asked_by(command(made(confirm=0, seeds=(3, 4))))[0].confirm == 0 and "--seed-list" not in command(made(confirm=0, seeds=(3, 4)))
    older = command(made())
    assert "--confirm" not in older and "--seed-list" not in older, "what is not known is not said"


def test_a_holdout_of_the_command_line_is_the_searchs_and_not_the_confirmations(tmp_path: Path) -> None:
    order = here.order(**{"data.holdout": 50})
    rules = Rules(budget=12, confirm=5, seeds=(1,))
    search = begun("small", order, rules, Store(tmp_path), here.IMAGES)
    here.drive(search, here.MadeUp())
    one = look(search, 5, (1,))
    assert "data.holdout" not in one.overrides and one.images.train == 300 and one.confirms is not None and one.confirms.holdout == 50
    text = page(search.store, one.name, tmp_path / "pages")
    assert "data.holdout = " not in text and text.count("--data.holdout 50") == 1
    assert commands(search.store.study(search.name), [one]) == commands(one) == [command(one)]
    assert asked_by(command(one))[1]["data.holdout"] == 50
    assert look(search, 5, (1, 2)).name == one.name, "its name still tells this search from others"


def test_a_shared_database_is_told_without_its_address(tmp_path: Path) -> None:
    search = searched(tmp_path, storage=f"sqlite:///{tmp_path / 'secret-place.db'}", batch=1)
    study = search.store.study(search.name)
    text = page(search.store, search.name, tmp_path / "pages")
    assert study.search is not None and study.search.storage
    assert "--storage URL" in text and "URL stands for the address of the database" in text
    assert "secret-place" not in text + study.model_dump_json()
    assert "--storage" not in command(made())


def test_a_budget_that_is_smaller_than_what_is_there_is_no_budget(tmp_path: Path) -> None:
    study = made(designs(9), budget=4)
    assert study.search is not None and study.search.size == 9
    text = paged(study, tmp_path)
    assert "a budget of 9 designs" in text and "--budget 9 " in text and "--budget 4" not in text
    search = searched(tmp_path / "real", 12)
    small = look(here.searching(tmp_path / "real", 3), 5)
    assert small.confirms is not None and small.confirms.budget == 12 and asked_by(command(small))[0].budget == 12
    assert search.name == small.confirms.study


# -- pages of made-up designs

FACTORS = (("a", "1, 2, 3"), ("b", "x, y"), ("c", "p, q"))
BASE: dict[str, Study] = {}


@pytest.fixture(autouse=True)
def base(registered: None, tmp_path_factory: pytest.TempPathFactory) -> None:  # noqa: F811
    """A search of one design, whose study the made-up ones have but for the designs."""
    if not BASE:
        search = searched(tmp_path_factory.mktemp("base"), 1)
        BASE["study"] = search.store.study(search.name)


def designs(count: int, error: Callable[[dict[str, Any]], float] = lambda chosen: 30.0, seed: int = 0) -> list[SearchedDesign]:
    """So many designs of three factors with an error that follows from their choices, and some noise; all have the whole schedule."""
    chance = random.Random(seed)
    found = []
    for number in range(count):
        choices: dict[str, Any] = {"a": chance.choice((1, 2, 3)), "b": chance.choice("xy"), "c": chance.choice("pq")}
        value = error(choices) + chance.random()
        found.append(SearchedDesign(number=number, choices=choices, cost=100 + number, errors=(value,), state="done"))
    return found


def made(found: Sequence[SearchedDesign] = (), factors: Sequence[tuple[str, str]] = FACTORS, **more: Any) -> Study:
    """The study of a search with these designs, in one rung of six epochs where nothing else is said."""
    study = BASE["study"]
    assert study.search is not None
    update = {"designs": tuple(found), "factors": tuple(factors), "epochs": (6,), "confirm": None, "seeds": (), "budget": len(found) or 1}
    return study.model_copy(update={"search": study.search.model_copy(update=update | more)})


def paged(study: Study, folder: Path) -> str:
    """Its page, in a store of its own."""
    store = Store(folder)
    store.save_study(study)
    return page(store, study.name, folder / "pages")


def of(study: Study) -> Search:
    assert study.search is not None
    return study.search


# -- what matters


def shares(text: str) -> dict[str, str]:
    """{factor: what stands beside it} of the table of importances."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section(text, "What matters").splitlines() if line.startswith("|")
    ]
    return {row[-2]: row[-1] for row in rows[2:]}


def test_a_factor_that_never_varied_has_no_share(tmp_path: Path) -> None:
    found = [one.model_copy(update={"choices": one.choices | {"c": "p"}}) for one in designs(FEWEST, lambda chosen: 5.0 * chosen["a"])]
    told = shares(paged(made(found, (*FACTORS, ("d", "1, 2"))), tmp_path))
    assert told["c"] == told["d"] == "– (never varied)"
    assert float(told["a"].split(" ± ")[0]) + float(told["b"].split(" ± ")[0]) == pytest.approx(100, abs=0.2)


def test_of_too_few_designs_no_importance_is_told(tmp_path: Path) -> None:
    few = designs(FEWEST - 1, lambda chosen: 5.0 * chosen["a"])
    told = section(paged(made(few), tmp_path / "few"), "What matters")
    assert f"told from {FEWEST} designs with an error on, and there are {FEWEST - 1}" in told and "|" not in told
    enough = designs(FEWEST, lambda chosen: 5.0 * chosen["a"])
    lost = [enough[0], enough[1].model_copy(update={"errors": (None,), "state": "diverged"}), *enough[2:]]
    assert "there are 19" in section(paged(made(lost), tmp_path / "lost"), "What matters")
    assert "(fANOVA)" in section(paged(made(enough), tmp_path / "enough"), "What matters")


def test_the_spread_is_that_of_other_designs_and_not_of_the_forests_random_numbers() -> None:
    """Tables of nothing but noise: how the answers of several tables differ is about what is printed beside one of them."""
    levels = {"a": (1, 2, 3), "b": ("x", "y"), "c": ("p", "q")}
    tables = [[(one.choices, 10 * (one.errors[0] or 0)) for one in designs(FEWEST, seed=seed)] for seed in range(6)]
    answers = [importances(levels, table, forests=1)[0].mean for table in tables]
    (ours,) = [one for one in ranking(list(levels), tables[0]).among[0].found if one.name == "a"]
    (forests,) = [one for one in importances(levels, tables[0]) if one.name == "a"]
    between = float(np.std(answers, ddof=1))
    assert ours.count == RESAMPLED and ours.deviation is not None and forests.deviation is not None
    assert forests.deviation < between / 2 < ours.deviation, (forests, between, ours)
    assert ranking(list(levels), tables[0]) == ranking(list(levels), tables[0]), "the same designs, the same answer"


def test_a_conditional_factor_is_judged_where_it_is_there(tmp_path: Path) -> None:
    """Whether there is an r decides everything, and its level nothing: that is the block's importance, and not r's."""
    chance = random.Random(1)
    found = []
    for number in range(80):
        choices: dict[str, Any] = {"block": chance.choice(("none", "se", "eca")), "where": chance.choice("xy")}
        if choices["block"] == "se":
            choices |= {"r": chance.choice((2, 4, 8)), "gate": chance.choice("st")}
        if choices["block"] == "eca":
            choices |= {"kernel": 3}
        error = 40.0 - 10 * ("r" in choices) + 2 * (choices.get("gate") == "t") + 0.1 * chance.random()
        found.append(SearchedDesign(number=number, choices=choices, cost=100 + number, errors=(error,), state="done"))
    names = [("block", "none, se, eca"), ("where", "x, y"), ("r", "2, 4, 8"), ("gate", "s, t"), ("kernel", "3, 5"), ("form", "u, v")]
    table = [(one.choices, one.errors[0] or 0.0) for one in found]
    told = ranking([name for name, _ in names], table)
    whole, there = told.among
    by = {one.name: one.mean for one in there.found}
    assert whole.whole and [one.name for one in whole.found] == ["block", "where"] and whole.found[0].mean > 0.9
    assert there.because == ("r", "gate") and set(by) == {"where", "r", "gate"}
    assert there.designs == sum("r" in choices for choices, _ in table)
    assert by["gate"] > 0.8 and by["r"] < 0.15
    levels: dict[str, tuple[Any, ...]] = {"block": ("none", "se", "eca"), "where": ("x", "y"), "r": (2, 4, 8)}
    (wrong,) = [one for one in importances(levels, table) if one.name == "r"]
    assert wrong.mean > 2 * by["r"], "among all designs r would stand for the block"
    text = paged(made(found, names), tmp_path)
    assert shares(text)["kernel"] == shares(text)["form"] == "– (never varied)"
    assert f"{there.designs} designs with r, gate" in text and "parts of different sums" in text
    few = ranking(["block", "r"], table[:40])
    assert few.left["r"] == ("too few", sum("r" in choices for choices, _ in table[:40])) and few.left["block"] == ("alone", 40)


def test_numbers_of_a_range_count_by_rank_in_thirds(tmp_path: Path) -> None:
    for kind in (int, float):
        found = [
            one.model_copy(update={"choices": {"width": kind(10 + 3 * one.number), "b": one.choices["b"]}, "errors": (float(one.number),)})
            for one in designs(24)
        ]
        told = ranking(["width", "b"], [(one.choices, one.errors[0] or 0.0) for one in found])
        assert told.thirds == ("width",), kind
        text = paged(made(found, (("width", "10 to 100"), ("b", "x, y"))), tmp_path / kind.__name__)
        assert "width: numbers count as low, middle or high, by their rank" in text
        assert float(shares(text)["width"].split(" ± ")[0]) > 80
    levels = [one.model_copy(update={"choices": {"a": one.number % MOST_LEVELS, "b": one.choices["b"]}}) for one in designs(24)]
    assert ranking(["a", "b"], [(one.choices, one.errors[0] or 0.0) for one in levels]).thirds == ()
    scale = [({"a": 10.0**place, "b": place % 2}, float(place >= 14)) for place in range(21)]
    assert ranking(["a", "b"], scale).among[0].found[0].mean > 0.8, "ranks, so a scale of powers is no trouble"


def test_where_nothing_differs_nothing_is_told(tmp_path: Path) -> None:
    found = [one.model_copy(update={"errors": (30.0,)}) for one in designs(FEWEST)]
    assert "All designs gave the same so far" in section(paged(made(found), tmp_path), "What matters")


def test_what_is_computed_is_what_the_page_and_the_documentation_say(tmp_path: Path) -> None:
    told = section(paged(made(designs(FEWEST, lambda chosen: 5.0 * chosen["a"])), tmp_path), "What matters")
    assert "its main effect as a share of the sum of all main effects" in told and f"over {RESAMPLED} tables drawn" in told
    assert "what factors do together is left out" in told and "variance over" not in told
    docs = " ".join(DOCS.split())
    assert f"standard deviation over {RESAMPLED} tables" in docs and f"Below {FEWEST} designs nothing is told" in docs
    assert "its share is that of the sum of all main effects" in docs


# -- the figure


def mixed() -> list[SearchedDesign]:
    """Designs of two rungs that ended in every way there is; the stopped ones beat the front, at errors of the short schedule."""
    ended: list[tuple[State, tuple[float | None, ...]]] = [
        ("done", (40.0, 20.0)),
        ("done", (41.0, 18.0)),
        ("stopped", (12.0,)),
        ("stopped", (97.0,)),
        ("diverged", (None,)),
        ("diverged", (44.0, None)),
        ("failed", ()),
        ("failed", (45.0,)),
        ("open", ()),
        ("done", (39.0, 25.0)),
    ]
    costs = (100, 120, 60, 90, 80, 70, 95, 96, 97, 130)
    return [
        SearchedDesign(number=number, choices={"a": number}, cost=costs[number], errors=errors, state=state)
        for number, (state, errors) in enumerate(ended)
    ]


def points(ax: Any) -> dict[str, set[tuple[float, float]]]:
    """{label: places} of what an axis shows."""
    return {line.get_label(): set(map(tuple, line.get_xydata().tolist())) for line in ax.lines if line.get_linestyle() == "None"}


def test_the_panel_of_the_front_shows_the_whole_schedule_alone() -> None:
    with style():
        upper, lower = search_figure(of(made(mixed(), epochs=(2, 6)))).axes
    assert points(upper) == {"default": {(100, 20)}, "on the front": {(120, 18)}, "dominated": {(130, 25)}}
    first = points(lower)
    assert first["stopped early"] == {(60, 12), (90, 97)} and first["default"] == {(100, 40)}
    assert first["had the whole\nschedule, too"] == {(120, 41), (130, 39)}
    assert first["diverged, failed or\nnot finished later"] == {(70, 44), (96, 45)}
    for ax in (upper, lower):
        (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
        assert all(left <= x <= right and low <= y <= high for places in points(ax).values() for x, y in places)
    assert "6 epochs" in upper.get_ylabel() and "2 epochs" in lower.get_ylabel()


def test_a_search_that_stopped_nothing_has_one_panel() -> None:
    with style():
        (ax,) = search_figure(of(made(designs(3)))).axes
    assert sum(len(places) for places in points(ax).values()) == 3


def test_the_caption_says_what_has_no_place(tmp_path: Path) -> None:
    text = paged(made(mixed(), epochs=(2, 6)), tmp_path)
    assert "of the designs that had the whole schedule; none of them beats those on the line in both" in text
    assert "Below, every design at 2 epochs, the first rung" in text and "3 designs have no error and no place here" in text
    assert "3 finished, 2 stopped early, 2 diverged, 2 failed, 1 not finished." in text
    whole = paged(made(designs(3)), tmp_path / "whole")
    assert "Below, every design" not in whole and "no place here" not in whole


# -- words


def test_states_are_told_in_one_way() -> None:
    assert set(report.search.STATES) == set(get_args(State))


def test_the_front_comes_with_its_standard_error(tmp_path: Path) -> None:
    study = made([one.model_copy(update={"errors": (20.0,)}) for one in designs(1)])
    text = paged(study, tmp_path)
    images = study.images.evaluated
    row = next(line for line in section(text, "The front").splitlines() if line.startswith("| default"))
    assert row.split("|")[-2].strip() == f"{math.sqrt(20 * 80 / images):.2f}"
    assert "chosen by noisy numbers" in text and f"on {images} images" in text and "change places" in text
    for none in (0.0, 100.0):
        edge = paged(made([one.model_copy(update={"errors": (none,)}) for one in designs(1)]), tmp_path / str(none))
        row = next(line for line in section(edge, "The front").splitlines() if line.startswith("| default"))
        assert row.split("|")[-2].strip() == "–"
    assert "within a point" not in DOCS


def test_a_page_says_what_the_default_is(tmp_path: Path) -> None:
    found = designs(2)
    text = paged(made(found), tmp_path)
    chosen = "; ".join(f"{name}: {value}" for name, value in found[0].choices.items())
    assert f"The default is what all others are held against: {chosen}." in text
    assert "`net.units`, `net.widths`, `net.stem` were set on the command line" in text and "not the paper's" in text
    bare = made(found).model_copy(update={"overrides": {"train.epochs": 6}})
    assert "not the paper's" not in paged(bare, tmp_path / "bare")
    assert "against the paper's default" not in DOCS


def test_the_rules_are_told_in_full(tmp_path: Path) -> None:
    text = section(paged(made(mixed(), epochs=(2, 6)), tmp_path), "The rules")
    assert f"by chance until {BY_CHANCE} designs have a result, the default among them" in text
    assert f"fewer than {2 * ETA} have reached a rung, itself included, all go on" in text
    assert "one on a rung's own front may be stopped, too" in text and "The default goes through all." in text
    assert "by chance until" not in section(paged(made(mixed(), sampler="random"), tmp_path / "chance"), "The rules")
    assert (
        {BY_CHANCE, 2 * ETA} == {6}
        and "Until six designs have a" in DOCS
        and "fewer than six have\n   reached the rung, itself included" in DOCS
    )


def test_the_rules_that_are_told_are_the_rules() -> None:
    others = [(10.0, 1.0)] * 4
    assert goes_on((90.0, 9.0), others), "with itself five have reached it"
    assert not goes_on((90.0, 9.0), [*others, (10.0, 1.0)]), "with itself six"
    line = [(float(place), float(-place)) for place in (0, 10, 20, 30, 40, 50, 60)]
    assert not goes_on((31.0, -31.0), line), "on the front of the rung, and stopped"


def test_the_documentation_says_what_held_out_digits_are_and_keeps_to_its_width() -> None:
    assert "held-out images show handwritten glyphs that training images show too" in DOCS and "test images show none of these" in DOCS
    assert "extended after looking" in DOCS and "count as two, such as r = 16 and r = 32" in DOCS
    assert max(map(len, DOCS.splitlines())) <= 150
