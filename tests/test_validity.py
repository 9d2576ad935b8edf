"""The validity benchmark: its small form holds, and each of its bounds fails where the statistics are spoilt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablations.statistics import comparison, estimation, power
from ablations.statistics.estimation import Array, Difference
from benchmarks import validity, validity_arms, validity_intervals, validity_stopping
from benchmarks.validity_page import Check, Means, Scale, Section

DOCS = Path(__file__).resolve().parent.parent / "docs"
TINY = Scale(400, 1, errors=4, small=True)


def test_the_small_form_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "page.md"
    assert validity.main(["--small", "--out", str(out)]) == 0
    page = out.read_text(encoding="utf-8")
    assert capsys.readouterr().out.rstrip() == page.rstrip()
    assert page.rstrip().endswith("All bounds hold.") and "FAILS" not in page
    assert "1,000 draws" in page and "random seed 1709" in page and f"NumPy {np.__version__}" in page
    assert "so the default: paired t." in page and str(tmp_path) not in page
    rows = [line for line in page.splitlines() if line.startswith("| normal | last arm doubled | 0.6 | 10 |")]
    assert len(rows) == 3  # coverage, families, equivalence


def test_too_few_draws_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        validity.main(["--draws", "10"])
    assert stopped.value.code == 2 and "at least 100" in capsys.readouterr().err


def test_the_exit_code_tells_of_a_bound_that_does_not_hold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def one_section(scale: Scale) -> Iterator[Section]:
        yield Section("t", "x", ["a"], [["1"]], [Check("kept", 0.01, 0.05), Check("broken", 0.06, 0.05)])

    monkeypatch.setattr(validity, "sections", one_section)
    assert validity.main(["--small"]) == 1
    out = capsys.readouterr().out
    assert "holds: kept: 1.00 % (at most 5.00 %)" in out and "FAILS: broken: 6.00 % (at most 5.00 %)" in out
    assert out.rstrip().endswith("- FAILS: broken: 6.00 % (at most 5.00 %)")


def test_checks_and_means() -> None:
    assert Check("", 0.95, 0.945, at_least=True).holds and not Check("", 0.94, 0.945, at_least=True).holds
    assert not Check("", float("nan"), 1).holds and not Check("", float("nan"), 0, at_least=True).holds
    means = Means()
    means.add(np.array([[1, 2], [3, 4]]), "a", "b")
    means.add(np.array([[8, 0]]), "a", "b")
    assert means.of("a", "b").tolist() == [4, 2]


def test_luck_is_counted_for_the_worst_of_several() -> None:
    full = Scale(50_000, 1, errors=2)
    assert full.slack(0.05) == pytest.approx(2 * (0.05 * 0.95 / 50_000) ** 0.5)
    assert full.many(1) == pytest.approx(2) and full.many(27) == pytest.approx(3.14, abs=0.01)
    assert full.covers(27) == 0.945  # half a point, and not less
    small = Scale(50_000, 1, errors=2, small=True)
    assert full.at_most(0.05, 27) == full.at_most(0.05) == pytest.approx(0.0519494, abs=1e-7)
    assert small.at_most(0.05, 27) == pytest.approx(0.05 + small.slack(0.05, looked_at=27)) and small.at_most(0.05) == full.at_most(0.05)
    assert full.generator(1, 2).random() == full.generator(1, 2).random() != full.generator(1, 3).random()


# -- spoilt statistics are found


def _failing(sections: Iterator[Section]) -> str:
    return "\n".join(check.text for section in sections for check in section.checks if not check.holds)


def _with_normal_quantiles(values: Array, reference: Array) -> Difference:
    """The most common mistake: 1.96 standard errors, whatever n."""
    found = estimation.two_stage(values, reference, values.shape[-1])
    return Difference(found.mean, found.error, np.full_like(found.freedom, 1e6))


def _a_little_shorter(table: Array, reference: int) -> Difference:
    """An interval that covers as the paired t does and is shorter, so that the default would have to change."""
    found = estimation.paired(np.delete(table, reference, -2), table[..., [reference], :])
    return Difference(found.mean, found.error * 0.999, found.freedom)


def _each_for_itself(difference: Difference, adjusted: Array, family: int, alpha: float) -> tuple[Array, Array]:
    return difference.interval(1 - alpha)


@pytest.mark.parametrize(
    ("name", "spoilt", "expected"),
    [
        ("paired", _with_normal_quantiles, ["coverage of the default", "false decisions", "joint coverage", "false equivalence"]),
        ("holm", lambda p: p, ['false decisions in a family ("all 0")', 'joint coverage ("all 0")']),
        ("simultaneous", _each_for_itself, ['joint coverage ("all 0")', "disagrees with Holm"]),
        ("pooled", _a_little_shorter, ["shorter than paired t"]),
    ],
)
def test_a_spoilt_interval_or_family_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, spoilt: Callable[..., Any], expected: list[str]
) -> None:
    monkeypatch.setattr(estimation, name, spoilt)
    failing = _failing(validity_intervals.sections(TINY))
    assert all(text in failing for text in expected), failing


def test_an_equivalence_test_at_twice_the_level_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Difference.equivalence_p
    monkeypatch.setattr(Difference, "equivalence_p", lambda self, delta: honest(self, delta) / 3)
    assert "false equivalence" in _failing(validity_intervals.sections(TINY))


def test_a_second_stage_that_takes_all_seeds_for_the_spread_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = estimation.two_stage
    monkeypatch.setattr(estimation, "two_stage", lambda values, reference, first: honest(values, reference, values.shape[-1]))
    monkeypatch.setattr(power, "stein_seeds", lambda deviation, first, half_width: max(first, round((2 * deviation / half_width) ** 2)))
    monkeypatch.setattr(validity_stopping, "HALF_WIDTHS", (0.6,))
    assert "coverage of Stein" in _failing(iter([validity_stopping._precision(Scale(1500, 1, errors=3, small=True))]))


def test_looks_that_are_not_paid_for_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    unpaid = validity_stopping.Procedure(validity_stopping.DECLARED.name, (3, 6, 10), 0.05)
    monkeypatch.setattr(validity_stopping, "DECLARED", unpaid)
    monkeypatch.setattr(validity_stopping, "PROCEDURES", (unpaid, validity_stopping.UNDECLARED))
    assert 'declared looks ("all 0")' in _failing(iter([validity_stopping._looks(Scale(1500, 1, errors=3, small=True))]))


def test_diverged_seeds_that_are_dropped_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_divergence", lambda own, other: None)
    monkeypatch.setattr(validity_arms, "SCENARIOS", validity_arms.SCENARIOS[1:2])
    assert "call the diverging arm equivalent" in _failing(iter([validity_arms._divergence(TINY)]))


@pytest.mark.parametrize(
    ("name", "spoilt", "section"),
    [
        ("power_of_difference", lambda true, deviation, n, alpha: 0.9, "_power"),
        ("power_of_equivalence", lambda true, deviation, n, delta, alpha: 0.5, "_power"),
    ],
)
def test_a_wrong_power_is_found(monkeypatch: pytest.MonkeyPatch, name: str, spoilt: Callable[..., float], section: str) -> None:
    monkeypatch.setattr(power, name, spoilt)
    assert not getattr(validity_arms, section)(TINY).checks[0].holds


def test_wrong_components_correlations_and_alarms_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = estimation.components
    monkeypatch.setattr(estimation, "components", lambda table: honest(2 * table))
    assert not validity_arms._components(TINY).checks[0].holds
    monkeypatch.setattr(estimation, "seed_correlation", lambda samples, reference: 0.3)
    assert not validity_arms._correlation(TINY).checks[0].holds
    monkeypatch.setattr(estimation, "paired", _with_normal_quantiles)
    assert not validity_arms._against_itself(TINY).checks[0].holds


# -- what the documents quote


def test_the_stored_page_is_of_the_full_form_and_holds() -> None:
    page = (DOCS / "validity.md").read_text(encoding="utf-8")
    assert "full form: 50,000 draws" in page
    assert page.rstrip().endswith("All bounds hold.") and "FAILS" not in page
    most = f"{100 * Scale(50_000, 1709, errors=2).at_most(0.05, 27):.2f}"
    checks = re.findall(r"^- holds: (?:false (?:decisions|equivalence)|decisions in the wrong).*\(at most (.*) %\)$", page, re.MULTILINE)
    assert checks.count(most) == 10 and set(checks) == {most, "5.97"}, "5 % and two standard errors, of 50,000 draws or of 2,000"
    stated = validity.heading(Scale(50_000, 1709, errors=2)).partition("A bound on 5 %")[2].strip()
    assert stated in page


def test_simulated_figures_of_the_documents_are_those_of_the_stored_page() -> None:
    """A paragraph that begins with "*Simulated* (Title):" quotes the section of that title; each of its decimal figures stands there."""
    page = (DOCS / "validity.md").read_text(encoding="utf-8")
    sections = {part.splitlines()[0]: part for part in page.split("\n## ")[1:]}
    text = (DOCS / "statistics.md").read_text(encoding="utf-8")
    quotes = re.findall(r"^\*Simulated\* \(([^)]+)\):(.*?)\n\n", text, re.DOTALL | re.MULTILINE)
    assert {title for title, _ in quotes} == set(sections)
    for title, quote in quotes:
        figures = re.findall(r"\d+\.\d+", quote)
        assert figures, quote
        missing = [figure for figure in figures if not re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", sections[title])]
        assert not missing, f"{title}: {missing}"
