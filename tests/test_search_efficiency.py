"""The benchmark of a search's sampler: its table is whole and true, and its verdict fails for a sampler that is no better than chance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablations.search.space import SPACES
from benchmarks import search_efficiency as efficiency
from benchmarks.search_efficiency import CHOSEN_ON, UNSEEN, Table, interval, reached

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(autouse=True)
def shipped_spaces_alone() -> Iterator[None]:
    """Other tests go through the spaces that are shipped, so those of these tests are forgotten."""
    before = set(SPACES.names())
    yield
    for name in set(SPACES.names()) - before:
        SPACES._entries.pop(name)


@pytest.fixture
def table() -> Table:
    """The table that settings were chosen on."""
    return Table.read(CHOSEN_ON)


def test_the_table_has_every_network_with_its_parameters(table: Table) -> None:
    designs = table.designs
    found = {designs.key(design): designs.cost(design) for design in designs.space.designs()}
    assert len(found) == 105 >= 96
    assert {key: parameters for key, (_, parameters) in table.values.items()} == found
    unseen = Table.read(UNSEEN)
    assert {key: parameters for key, (_, parameters) in unseen.values.items()} == found
    errors = [np.array([one[0] for one in read.values.values()]) for read in (table, unseen)]
    assert all((one > 0).all() and (one <= 92).all() and np.std(one) > 2 for one in errors) and not np.array_equal(*errors)


def test_a_table_with_a_hole_is_refused(tmp_path: Path) -> None:
    short = tmp_path / "short.csv"
    short.write_text("".join(CHOSEN_ON.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    with pytest.raises(ValueError, match="lacks 1 networks"):
        Table.read(short)


def test_a_whole_search_ends_with_the_true_front(table: Table) -> None:
    path = table.search("random", 1, len(table.values))
    assert len(path) == 105 and path[-1] == pytest.approx(1) and (np.diff(path) >= 0).all() and path[0] < 0.9


def test_trials_until_a_front_is_reached_and_the_interval_of_a_median_by_hand() -> None:
    assert reached(np.array([0.1, 0.5, 0.5, 0.9]), 0.5) == 2 and reached(np.array([0.1, 0.5]), 0.6) == 3
    low, high, sure = interval([float(number) for number in range(20)])
    assert (low, high) == (5, 14) and sure == pytest.approx(0.9586, abs=1e-4)  # 1 - 2 P(at most 5 of 20 heads)
    low, high, sure = interval([3.0, 1.0, 2.0])
    assert (low, high) == (1, 3) and sure == pytest.approx(0.75)


def test_the_sampler_is_faster_than_chance_and_chance_is_not(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert efficiency.measure(UNSEEN, trials=40, seeds=20, show=print)
    out = capsys.readouterr().out
    assert "105 networks" in out and "20 seeds" in out
    monkeypatch.setattr(efficiency, "CHANCE_SEEDS", 40)

    proposed = efficiency.propose

    def chance(*given: Any, **named: Any) -> Any:
        return proposed(*given, **{**named, "sampler": "random"})

    monkeypatch.setattr(efficiency, "propose", chance)
    assert efficiency.main(["--seeds", "40"]) == 1
    assert capsys.readouterr().out.rstrip().endswith("no.")


@pytest.mark.slow
def test_the_documented_figures_are_those_of_the_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert efficiency.main([]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert line in (DOCS / "search.md").read_text(encoding="utf-8")


def test_a_table_is_written_from_a_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import runner

    workspace, copy = tmp_path / "runs", tmp_path / "table.csv"
    text = Path(efficiency.__file__).with_name("search_space.py").read_text(encoding="utf-8")
    file = tmp_path / "space_copy.py"
    file.write_text(text.replace('"se_on_digits"', '"copied"'), encoding="utf-8")
    words = ["search", "copied", "--load", file, "--preset", "smoke", "--data.train", "200", "--data.test", "100", "--train.epochs", "1"]
    small = ["--net.units", "1,1,1", "--net.widths", "16,16,16", "--net.stem", "16", "--threads", "1", "--no-mlflow"]
    more = ["--no-rungs", "--sampler", "random", "--budget", "2", "--confirm", "0", "--workspace", str(workspace)]
    assert runner.main([*map(str, words), *small, *more]) == 0
    monkeypatch.setattr(efficiency, "SPACE", "copied")
    assert efficiency.write_table(workspace, copy) == 2
    head, first, _ = copy.read_text(encoding="utf-8").splitlines()
    assert head.endswith("gate,placement,parameters,held-out error (%)") and float(first.rpartition(",")[2]) > 0
    capsys.readouterr()
