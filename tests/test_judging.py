"""Verdicts on other tools' numbers: each tool's own shape gives the same table, and what is missing or unclear is said in a sentence."""

from __future__ import annotations

import csv
import io
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from command_line import Ablate
from scipy.stats import ttest_rel

from ablations.judging.cells import numbers, seed_name
from ablations.judging.columns import lower_is_better
from ablations.judging.judge import Asked, Judgement, judge
from ablations.judging.table import read_csv
from ablations.statistics.estimation import interval
from ablations.statistics.rounding import error_text
from ablations.store import Store
from report.judgement import markdown, write
from report.judgement_words import text
from senet_core.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
NONE = [6.31, 6.52, 6.40, 6.11, 6.45]
SE = [5.90, 6.02, 5.81, 5.77, 5.99]
ECA = [6.20, 6.61, 6.33, 6.08, 6.38]
ARMS = {"none": NONE, "se": SE, "eca": ECA}
Write = Callable[..., Path]


@pytest.fixture
def file(tmp_path: Path) -> Write:
    """Write a file and return its path."""

    def written(content: str, name: str = "runs.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode(encoding))
        return path

    return written


def quoted(rows: Sequence[Sequence[object]]) -> str:
    """Every cell in quotes, as W&B and MLflow write them."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return text.getvalue()


def wandb_table(arms: dict[str, list[float]] = ARMS) -> list[list[object]]:
    """The runs table of W&B's web page: the newest run first, the configuration and the last numbers under their own names."""
    head = ["Name", "State", "Notes", "User", "Tags", "Created", "Runtime", "Sweep", "block", "lr", "seed", "val/error"]
    rows = [
        [f"fluffy-sky-{10 * place + seed}", "finished", "", "me", "", "2026-05-01T10:00:00.000Z", 1234, "", name, 0.1, seed, value]
        for place, (name, values) in enumerate(arms.items())
        for seed, value in enumerate(values)
    ]
    return [head, *reversed(rows)]


def mlflow_table(arms: dict[str, list[float]] = ARMS) -> str:
    """ "Download CSV" of MLflow's web page: parameters, metrics and tags under their own names, a quote before a leading sign."""
    head = [
        "Start Time",
        "Duration",
        "Run ID",
        "Name",
        "Source Type",
        "Source Name",
        "User",
        "Status",
        "lr",
        "seed",
        "variant",
        "val_error",
    ]
    rows = [
        [
            *("2026-05-01 10:00:00", "2.0min", f"{place:016x}{seed:016x}", f"bold-ox-{seed}", "LOCAL", "train.py", "me", "FINISHED"),
            *("0.1", str(seed), name, f"'{value}" if value < 0 else str(value)),
        ]
        for place, (name, values) in enumerate(arms.items())
        for seed, value in enumerate(values)
    ]
    return quoted([head, *rows])


def sheet(arms: dict[str, list[float]] = ARMS, separator: str = ";") -> str:
    """A sheet made by hand where the decimal sign is a comma."""
    lines = [separator.join(("Methode", "Seed", "Fehler"))]
    lines += [separator.join((name, str(s), f"{v:.2f}".replace(".", ","))) for name, values in arms.items() for s, v in enumerate(values)]
    return "\r\n".join(lines) + "\r\n"


def judged(path: Path, reference: str = "none", **asked: object) -> Judgement:
    return judge(read_csv(path), Asked(reference, **{"lower_is_better": True, **asked}))  # type: ignore[arg-type]


def assert_the_three_arms(found: Judgement) -> None:
    """The table that ``ARMS`` gives, against SciPy's own paired t test and Bonferroni's intervals."""
    assert {name: dict(arm.values) for name, arm in found.arms.items()} == {
        name: {str(seed): value for seed, value in enumerate(values)} for name, values in ARMS.items()
    }
    for one in found.comparisons.found:
        test = ttest_rel(ARMS[one.variant], NONE)
        ends = test.confidence_interval(1 - 0.05 / 2)
        assert one.mean == pytest.approx(sum(ARMS[one.variant]) / 5 - sum(NONE) / 5)
        assert one.p == pytest.approx(test.pvalue)
        if one.variant == "se":
            assert (one.all.low, one.all.high) == (pytest.approx(ends.low), pytest.approx(ends.high))
    assert {one.variant: one.word for one in found.comparisons.found} == {"se": "better", "eca": "open"}


# -- the shapes of tools


def test_a_wandb_table_gives_the_right_table(file: Write) -> None:
    assert_the_three_arms(judged(file(quoted(wandb_table())), metric="val/error"))


def test_a_table_downloaded_from_mlflow_gives_the_right_table(file: Write) -> None:
    assert_the_three_arms(judged(file(mlflow_table()), metric="val_error"))


def test_numbers_below_zero_lose_the_quote_that_mlflow_puts_before_their_sign(file: Write) -> None:
    negative = {name: [-value for value in values] for name, values in ARMS.items()}
    found = judged(file(mlflow_table(negative)), metric="val_error", lower_is_better=False)
    assert found.arms["se"].values["0"] == -5.90
    assert {one.variant: one.word for one in found.comparisons.found} == {"se": "better", "eca": "open"}


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_sheet_with_a_decimal_comma_gives_the_right_table(file: Write, separator: str, encoding: str) -> None:
    assert_the_three_arms(judged(file(sheet(separator=separator), encoding=encoding)))


def test_a_sheet_that_says_its_separator_and_quotes_decimal_commas_gives_the_right_table(file: Write) -> None:
    assert_the_three_arms(judged(file("sep=,\n" + re.sub(r"(\d+,\d+)", r'"\1"', sheet(separator="|")).replace("|", ","))))


def test_names_that_are_not_ascii_come_through(file: Write) -> None:
    content = sheet().replace("none", "größer")
    for encoding in ("utf-8", "cp1252", "utf-16"):
        assert "größer" in judged(file(content, encoding=encoding), "größer").arms


def test_a_sheet_with_a_column_a_seed_gives_the_right_table(file: Write) -> None:
    lines = ["method,seed 0,seed 1,seed 2,seed 3,seed 4", *(f"{name}," + ",".join(map(str, values)) for name, values in ARMS.items())]
    assert_the_three_arms(judged(file("\n".join(lines))))


def chart(names: Callable[[str, int], str]) -> str:
    """A chart of W&B as CSV: a column a curve with its minimum and maximum, points at some steps only."""
    runs = [(names(name, seed), value) for name, values in ARMS.items() for seed, value in enumerate(values)]
    head = ["Step", *(f"{run} - val_error{end}" for run, _ in runs for end in ("", "__MIN", "__MAX"))]
    first = ["0", *("9.5" for _ in head[1:])]
    final = ["100", *(value for _, value in runs for _ in range(3))]
    return quoted([head, first, final, ["150", *("" for _ in head[1:])]])


def test_a_wandb_chart_gives_its_last_points_where_the_runs_names_tell_seeds(file: Write) -> None:
    assert_the_three_arms(judged(file(chart(lambda name, seed: f"{name}-seed{seed}"))))
    assert_the_three_arms(judged(file(chart(lambda name, seed: f"seed_{seed:03} {name}"))))


def test_a_wandb_chart_without_seeds_or_of_groups_is_refused_in_a_sentence(file: Write) -> None:
    with pytest.raises(InputError, match="does not tell the seed of a run"):
        judged(file(chart(lambda name, seed: f"fluffy-sky-{name}{seed}")))
    with pytest.raises(InputError, match="mean of several runs; switch grouping off"):
        judged(file(chart(lambda name, seed: f"Group: {name}{seed}")))


def test_a_chart_says_that_its_curves_end_apart(file: Write) -> None:
    content = 'Step,"a-seed0 - loss","b-seed0 - loss"\n0,3,4\n10,2,3\n20,1,\n'
    found = judged(file(content), "a")
    assert found.arms["a"].values == {"0": 1.0} and found.arms["b"].values == {"0": 3.0}
    assert any("between 10 and 20" in sentence for sentence in found.reading)


def test_a_chart_of_mlflow_gives_its_last_points(file: Write) -> None:
    rows: list[list[object]] = [["Run", "Run ID", "metric", "step", "timestamp", "value"]]
    for name, values in ARMS.items():
        for seed, value in enumerate(values):
            rows += [[f"{name} seed={seed}", f"{name}{seed}", "val_error", step, 0, end] for step, end in ((2, value), (1, 9.9))]
    assert_the_three_arms(judged(file(quoted(rows))))


def test_the_table_of_mlflows_command_line_leaves_out_parents(file: Write) -> None:
    head = "run_id,experiment_id,status,metrics.val_error,params.seed,params.variant,tags.mlflow.runName,tags.mlflow.parentRunId"
    lines = ["p0,1,FINISHED,6.4,,none,none,"]
    lines += [f"{n}{s},1,FINISHED,{v},{s},{n},x,{'p0' if n == 'none' else ''}" for n, values in ARMS.items() for s, v in enumerate(values)]
    found = judged(file("\n".join([head, *lines])))
    assert_the_three_arms(found)
    assert any("nested" in sentence and "left out: 1" in sentence for sentence in found.reading)


# -- holes and divergence


def test_unfinished_runs_are_holes_that_are_told_and_nan_is_divergence(file: Write) -> None:
    rows = wandb_table()
    by_run = {(row[8], row[10]): row for row in rows[1:]}
    by_run["eca", 4][1], by_run["se", 3][-1], by_run["se", 2][-1] = "crashed", "NaN", ""
    found = judged(file(quoted(rows)), metric="val/error")
    assert set(found.arms["eca"].values) == {"0", "1", "2", "3"} and not found.arms["eca"].diverged
    assert set(found.arms["se"].values) == {"0", "1", "4"} and found.arms["se"].diverged == {"3"}
    told = "\n".join(found.holes)
    assert "marked crashed: 'eca' seed 4 (line 2)" in told
    assert "Ended without a number: 'se' seed 2" in told and "write NaN" in told
    assert "1 of 4 diverged" in text(found)


def test_a_crashed_run_that_was_done_again_is_neither_a_hole_nor_a_second_run(file: Write) -> None:
    rows = wandb_table()
    again = [*rows[1]]
    again[1], again[-1] = "crashed", "17.0"
    found = judged(file(quoted([*rows, again])), metric="val/error")
    assert_the_three_arms(found)
    assert found.holes == ()


def test_this_projects_word_for_divergence_counts_though_mlflow_says_finished(file: Write) -> None:
    lines = ["Status,ablate.status,ablate.variant,ablate.seed,top1_error"]
    lines += [
        f"FINISHED,{'diverged' if s == 0 else 'done'},{n},{s},{'' if s == 0 else s + k}" for k, n in enumerate("ab") for s in range(4)
    ]
    found = judged(file("\n".join(lines)), "a")
    assert found.arms["a"].diverged == {"0"} and found.holes == ()


def test_runs_without_a_seed_or_a_variant_are_told(file: Write) -> None:
    found = judged(file(sheet() + "se;;5,0\r\n;7;5,0\r\n"))
    assert_the_three_arms(found)
    assert "no seed is told: line 17" in found.holes[1] and "no variant is told: line 18" in found.holes[0]


# -- sentences


TWICE = "method,seed,error\na,0,1\nb,0,2\na,1,3\na,0.0,4\n"


@pytest.mark.parametrize(
    ("content", "words", "sentence"),
    [
        (TWICE, [], "'a' has two runs at seed 0 in 'runs.csv': line 2 and line 5"),
        ("method,error\na,1\nb,2\n", [], "paired by their seeds. Name the column by --seed-column"),
        ("method,seed,error\na,0,1\na,1,2\n", [], "has the variant 'a' alone"),
        ("method,seed,error\na1,0,1\nb,0,2\n", [], "There is no variant named 'a'; did you mean 'a1'? Known: a1, b."),
        ("foo,seed,error\nx,0,1\ny,0,2\n", [], "No column of 'runs.csv' holds the reference 'a'"),
        (
            "method,model,seed,error\na,a,0,1\nb,a,0,2\n",
            [],
            "The columns 'method' and 'model' differ; say which one is meant by --variant-column",
        ),
        ("method,seed,error,loss\na,0,1,2\nb,0,2,3\n", [], "--metric: 'error', 'loss'"),
        ("method,seed,error\na,0,1\nb,0,2\n", ["--metric", "eror"], "There is no column named 'eror'; did you mean 'error'?"),
        ("method,seed,x\na,0,1\nb,0,2\n", [], "'x' does not say which way is better"),
        ("method,seed,acc_loss\na,0,1\nb,0,2\n", [], "'acc_loss' does not say which way is better"),
        ("method,seed,error\na,0,1\nb,0,high\n", ["--metric", "error"], "'high' is no number (column 'error', line 3)"),
        ("method,seed,error\na,0,5.0\nb,0,5.1*\n", [], "'5.1*' is no number (column 'error', line 3)"),
        ("method,seed,error\na,0,1\nb,0,2%\n", [], "Column 'error' has numbers with and without a percent sign"),
        ("method;seed;error\na;0;1,25\nb;0;1.125\n", [], "write one decimal sign throughout"),
        ("method,seed,error\na,0,5,3\nb,0,5,4\n", [], "line 2 has 4 cells and the header 3"),
        ('method,seed,error\na,0,"1,234"\nb,0,"1,300"\n', ["--metric", "error"], "may have a decimal comma or be in thousands"),
        ("method;seed;error\na;0;1,25\nb;0;1.125\n", ["--metric", "error"], "write one decimal sign throughout"),
        ("method,seed,error\na,0,1\nb,0,2%\n", ["--metric", "error"], "with and without a percent sign"),
        ("method,seed,status,error\na,0,finished,1\nb,0,fine,2\n", [], "'fine' (column 'status', line 3) is no state"),
        ("method,seed,error\na,,1\nb,,2\n", [], "No run of 'runs.csv' has both a variant (method) and a seed (seed)"),
        ("method,seed,lr,lr,error\na,0,1,2,3\nb,0,1,3,4\n", ["--metric", "lr"], "2 columns named 'lr', and they differ"),
        ("method,seed,error\na,0,1\nb,0,2\n", ["--where", "method=c"], "There is no run with method named 'c'"),
        ("method,seed,error\na,0,1\nb,0,2\n", ["--where", "method"], "'method' is no COLUMN=VALUE"),
        ("method,seed,error\na,0,1\nb,0,2\n", ["--delta", "0"], "'0' is no number above 0"),
        ("method,seed,error\na,0,1\nb,0,2\n", ["--delta", "nan"], "'nan' is no number above 0"),
        ("method,seed,error\na,0,1\nb,0,2\n", ["--experiment", "x"], "--experiment goes with --from"),
        ("method,seed,error\na,0,1\nb,0,2\n", ["--from", "mlflow:x"], "either a CSV file or --from"),
        ("method,seed,error\na,0,1\nb,0,2\n", ["--lower-is-better", "--higher-is-better"], "not allowed with argument"),
        ('method,seed,error\na,0,1\nb,0,"2\n', [], "the quotes are not those of a CSV file"),
        ("method,seed,error\n", [], "has a header and no runs"),
        ("", [], "is empty"),
        ("just words\nand more\n", [], "has one column only"),
        (",summary,config,name\n0,{'error': 1},{'seed': 0},a\n1,{'error': 2},{'seed': 1},b\n", [], "cells in braces hold several values"),
        ("PK\x03\x04", [], "is a spreadsheet or an archive; save its table as CSV"),
        ("a\0b,c\n", [], "is no text"),
    ],
)
def test_what_is_missing_or_unclear_is_said_in_a_sentence(
    file: Write, ablate: Ablate, content: str, words: list[str], sentence: str
) -> None:
    code, out, err = ablate("judge", file(content), "--reference", "a", *words)
    assert (code, out) == (2, "")
    assert sentence in err and "Traceback" not in err and len(re.findall(r"[.?](?: |$)", err)) <= 4


def test_a_file_that_is_not_there_and_a_missing_reference_are_said(ablate: Ablate, tmp_path: Path) -> None:
    assert "Cannot read" in ablate("judge", tmp_path / "no.csv", "--reference", "a")[2]
    assert "--reference" in ablate("judge", tmp_path / "no.csv")[2]
    assert "either a CSV file or --from" in ablate("judge", "--reference", "a")[2]


def test_columns_are_found_by_case_prefix_and_last_part(file: Write) -> None:
    content = "params.Random-Seed,tags.ablate.variant,metrics.top1_error,params.lr\n0,none,1,9\n0,se,2,9\n1,none,1,9\n1,se,3,9\n"
    found = judged(file(content))
    assert (found.metric, set(found.arms)) == ("top1_error", {"none", "se"})
    assert judged(file(content), metric="TOP1_error").arms == found.arms


def test_names_of_runs_that_do_not_hold_the_reference_leave_it_to_a_column_that_does(file: Write) -> None:
    rows = ["Name,block,seed,error", *(f"try-{n}-seed{s},{n},{s},{v}" for n, values in ARMS.items() for s, v in enumerate(values))]
    assert_the_three_arms(judged(file("\n".join(rows))))


def test_a_filter_tells_runs_apart_that_would_be_told_twice(file: Write) -> None:
    rows = ["method,seed,lr,error", *(f"{name},{seed},{lr},{seed + lr}" for name in "ab" for seed in range(3) for lr in (0.1, 0.2))]
    found = judged(file("\n".join(rows)), "a", metric="error", where=[("lr", "0.2")])
    assert found.arms["a"].values == {"0": 0.2, "1": 1.2, "2": 2.2}
    assert any("Of 12 runs, the 6 with lr = 0.2" in sentence for sentence in found.reading)


# -- few, unequal and equal numbers


@pytest.mark.parametrize(
    ("arms", "sentence"),
    [
        ({"a": [1.0], "b": [2.0]}, "1 finished pair of seeds; a verdict needs 3"),
        ({"a": [1.0, 1.5], "b": [2.0, 2.1]}, "2 finished pairs of seeds; a verdict needs 3"),
        ({"a": [1.0, 2.0, 3.0], "b": [1.5, 2.5, 3.5]}, "no spread at all"),
        ({"a": [1.0, 1.0, 1.0], "b": [1.0, 1.0, 1.0]}, "no spread at all"),
        ({"a": [1.0, 1.5, 1.2, 1.4], "b": [2.0, 2.1, 2.7]}, "'b' at seed 3"),
        ({"a": [], "b": [2.0, 2.1, 2.7]}, "no finished pairs of seeds"),
        ({"a": [1.0, 1.2, 1.1], "b": [math.nan, math.nan, math.nan]}, "3 of 3 diverged"),
    ],
)
def test_few_unequal_and_equal_numbers_are_told_without_a_warning(
    file: Write, ablate: Ablate, arms: dict[str, list[float]], sentence: str
) -> None:
    lines = [f"{name},{seed},finished,{value}" for name, values in arms.items() for seed, value in enumerate(values)]
    content = "\n".join(["method,seed,state,error", *lines, *("a,0,failed," for _ in [1] if not arms["a"])])
    path = file(content)
    code, out, err = ablate("judge", path, "--reference", "a", "--out", path.parent / "out", "--delta", "0.1")
    assert (code, err) == (0, "") and sentence in out
    assert sentence in (path.parent / "out" / "judgement.md").read_text(encoding="utf-8")


def test_equal_differences_have_no_interval_and_equal_numbers_no_half_width(file: Write) -> None:
    arms = {"a": [6.1, 6.1, 6.1], "b": [5.1, 5.1, 5.1]}
    found = judged(file("\n".join(["model,seed,error", *(f"{n},{s},{v}" for n, vs in arms.items() for s, v in enumerate(vs))])), "a")
    for told in (text(found), markdown(found, False)):
        assert "no verdict: b (−1.0 (no spread))" in told and "is 6.100 (n = 3)" in told and "±" not in told.partition("Against it")[0]
        assert "[−1.0" not in told


def test_a_seed_below_zero_is_a_seed_of_its_own(file: Write) -> None:
    lines = [f"{name},{seed},{10 + seed + shift}" for name, shift in (("a", 0.0), ("b", 0.5)) for seed in (-1, 0, 1, 10)]
    found = judged(file("\n".join(["model,seed,error", *lines])), "a")
    assert list(found.arms["a"].values) == ["-1", "0", "1", "10"] and found.comparisons.found[0].n == 4


def test_an_end_at_zero_is_open_and_what_intervals_cover_is_told(file: Write) -> None:
    # b: 0.32 with t = 2.92, p = 0.043: the interval of two includes 0, and Holm asks 5 % of the second
    arms = {"a": [20.0, 20.2, 19.8, 20.1, 19.9], "b": [20.52, 20.12, 20.32, 20.42, 20.22], "c": [15.0, 15.21, 14.8, 15.1, 14.9]}
    arms["b"] = [base + one for base, one in zip(arms["a"], (0.52, -0.08, 0.52, 0.32, 0.32), strict=True)]
    found = judged(file("\n".join(["model,seed,error", *(f"{n},{s},{v}" for n, vs in arms.items() for s, v in enumerate(vs))])), "a")
    for told in (text(found), markdown(found, False)):
        assert "worse: b (+0.32 (0, +0.70])" in told and 'An end "(0" or "0)" was put at 0' in told
    assert "the intervals cover all of them in at least 92 %" in text(found)
    page = markdown(found, False)
    assert "made to agree with Holm's procedure: all 2 cover together in at least 92 %" in page
    assert " 95 % for itself |" in page and "[+0.02, +0.62]" in page


def test_what_diverged_stands_where_it_decides(file: Write) -> None:
    lines = [f"{name},{seed},{'nan' if name == 'a' else 5 + seed / 10}" for name in "ab" for seed in range(5)]
    found = judged(file("\n".join(["model,seed,error", *lines])), "a")
    assert "Against it: better: b (0 of 5 diverged, 5 of 5 of the reference)." in text(found)


def test_arms_without_a_common_seed_are_not_compared(file: Write) -> None:
    lines = [f"{name},{seed},{seed}" for name, seeds in (("a", range(4)), ("b", range(10, 14))) for seed in seeds]
    found = judged(file("\n".join(["method,seed,error", *lines])), "a")
    assert found.comparisons.found[0].reason.startswith("no finished pairs")
    assert "seeds 0, 1, 2, 3, 10, 11, 12, 13" in found.holes[0]


def test_delta_makes_equivalence_and_its_absence_is_told(file: Write) -> None:
    arms = {"a": [0.912, 0.915, 0.909, 0.913], "b": [0.9121, 0.9149, 0.9092, 0.9129]}
    path = file("\n".join(["model,seed,accuracy", *(f"{n},{s},{v}" for n, values in arms.items() for s, v in enumerate(values))]))
    without, given = judged(path, "a", lower_is_better=None), judged(path, "a", lower_is_better=None, delta=0.005)
    assert (without.comparisons.found[0].word, given.comparisons.found[0].word) == ("open", "equivalent")
    assert "No δ was given" in text(without) and "No δ was given" in markdown(without, False)
    assert "equivalent within ±0.005" in text(given)
    assert "+0.000025 [−0.000218, +0.000268]" not in text(given)  # four digits of a third one's noise
    assert "Higher is better: assumed from the name 'accuracy'" in text(given)


def test_numbers_of_any_size_keep_two_digits_of_their_spread(file: Write) -> None:
    arms = {"a": [12345.0, 12645.0, 12445.0], "b": [15345.0, 15745.0, 15505.0]}
    out = text(judged(file("\n".join(["model,seed,error", *(f"{n},{s},{v}" for n, vs in arms.items() for s, v in enumerate(vs))])), "a"))
    assert "12478 ± 379" in out
    small = {name: [value / 1e9 for value in values] for name, values in arms.items()}
    out = text(judged(file("\n".join(["model,seed,error", *(f"{n},{s},{v}" for n, vs in small.items() for s, v in enumerate(vs))])), "a"))
    assert "0.00001248 ± 0.00000038" in out


# -- the page


def test_the_page_escapes_what_comes_from_the_file_and_the_terminal_gets_no_control(file: Write, tmp_path: Path) -> None:
    evil = "<b>|*x*\x1b[31m"
    content = sheet(separator=";").replace("se;", f"{evil};").replace("Fehler", "Fehler | $x$")
    found = judged(file(content))
    page = markdown(found, True)
    assert "\\<b\\>\\|\\*x\\*" in page and "<b>" not in page
    assert "\x1b" not in text(found) and "<b>|*x*" in text(found)
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {9}
    assert write(found, tmp_path / "out").read_text(encoding="utf-8") == page


def test_the_same_file_gives_the_same_bytes(file: Write, tmp_path: Path) -> None:
    path = file(sheet())
    for name in ("one", "two"):
        write(judged(path, delta=0.2), tmp_path / name)
    assert {f.name for f in (tmp_path / "one").iterdir()} == {"judgement.md", "judgement.png", "judgement.svg"}
    assert all((tmp_path / "two" / f.name).read_bytes() == f.read_bytes() for f in (tmp_path / "one").iterdir())


def test_a_page_that_cannot_be_written_is_a_sentence(file: Write, ablate: Ablate) -> None:
    path = file(sheet())
    code, _, err = ablate("judge", path, "--reference", "none", "--lower-is-better", "--out", path / "below")
    assert code == 2 and "Cannot write the page" in err


def test_judging_a_file_takes_no_torch_no_mlflow_and_no_matplotlib(file: Write) -> None:
    words = ["judge", str(file(sheet())), "--reference", "none", "--lower-is-better"]
    code = (
        f"import sys, runner; assert runner.main({words!r}) == 0; "
        "sys.exit(str({'torch', 'torchvision', 'mlflow', 'matplotlib', 'pandas'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.strip() == "" and "better: se" in done.stdout


def test_the_documentation_shows_what_the_command_prints(ablate: Ablate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command, shown = re.findall(r"```\n(.*?)```", (ROOT / "docs" / "judge.md").read_text(encoding="utf-8"), re.DOTALL)[:2]
    code, out, _ = ablate(*command.split()[1:])
    assert code == 0 and shown.split() == out.split()


# -- cells and names


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["1.5", "-2", "+3e-2"], [1.5, -2.0, 0.03]),
        (["1,5", "−0,25"], [1.5, -0.25]),
        (["1.234,5", "12,25"], [1234.5, 12.25]),
        (["1,234.5", "12.25"], [1234.5, 12.25]),
        (["1 234,5", "1\u202f234,5"], [1234.5, 1234.5]),
        (["91,2 %", "90,1%"], [91.2, 90.1]),
        (["0,912", "0,900"], [0.912, 0.9]),
        (["1.234", "2.345"], [1.234, 2.345]),
        (["'-0.5", "0.5"], [-0.5, 0.5]),
        (["", "n/a", "NULL", "–"], [None, None, None, None]),
    ],
)
def test_numbers_are_read_with_either_decimal_sign(cells: list[str], found: list[float | None]) -> None:
    assert numbers(cells, cells, "x", comma=False) == found


def test_numbers_that_are_none_are_divergence() -> None:
    cells = ["nan", "NaN", "inf", "-Infinity", "1e999", "diverged"]
    assert all(value is not None and math.isnan(value) for value in numbers(cells, cells, "x", comma=False))


@pytest.mark.parametrize("cell", ["1.2.3", "5.2 0.3", "91.2 ± 0.3", "1,2,3", "0x10", "1e", "--1", "."])
def test_what_only_looks_like_a_number_is_refused(cell: str) -> None:
    with pytest.raises(InputError, match="is no number"):
        numbers([cell], ["line 2"], "x", comma=False)


@pytest.mark.parametrize(
    ("cell", "seed"),
    [("3", "3"), ("3.0", "3"), ("003", "3"), ("3,0", "3"), ("0", "0"), ("a  b", "a b"), ("", ""), ("−1", "-1"), ("-01", "-1"), ("+1", "1")],
)
def test_a_seed_has_one_name(cell: str, seed: str) -> None:
    assert seed_name(cell) == seed


@pytest.mark.parametrize(
    ("name", "lower"),
    [
        *((name, True) for name in ("top1_error", "val/loss", "metrics.testLoss", "RMSE", "test perplexity", "err@1", "FID")),
        *((name, False) for name in ("val_acc", "Accuracy", "acc1", "mIoU", "mAP50", "test/F1", "ROC-AUC", "PSNR", "episode_return")),
        *((name, None) for name in ("value", "score", "acc_loss", "top1", "throughput", "map_error", "x")),
    ],
)
def test_a_metrics_name_says_the_direction_only_where_it_is_clear(name: str, lower: bool | None) -> None:
    assert lower_is_better(name) is lower


# -- MLflow


@pytest.fixture(scope="module")
def experiments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with an experiment of nested runs, one with a single run, and an empty one."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "runs.db"
    client = MlflowClient(f"sqlite:///{path}")
    blocks, single, _ = (client.create_experiment(name, artifact_location="mlartifacts:/x") for name in ("blocks", "single", "empty"))
    client.create_run(single)
    parent = client.create_run(blocks, run_name="sweep").info.run_id
    client.log_metric(parent, "val_error", 6.0)
    for name, values in ARMS.items():
        for seed, value in enumerate(values):
            run = client.create_run(blocks, run_name=f"{name} {seed}", tags={"mlflow.parentRunId": parent, "host": "x"}).info.run_id
            client.log_param(run, "variant", name)
            client.log_param(run, "seed", seed)
            client.log_metric(run, "val_error", 9.9, step=1)
            client.log_metric(run, "val_error", math.nan if (name, seed) == ("eca", 4) else value, step=2)
            client.set_terminated(run, "FAILED" if (name, seed) == ("se", 4) else "FINISHED")
    return path


def test_an_mlflow_experiment_is_judged_and_not_changed(experiments: Path, ablate: Ablate) -> None:
    before = experiments.read_bytes()
    code, out, _ = ablate("judge", "--from", f"mlflow:sqlite:///{experiments}", "--experiment", "blocks", "--reference", "none")
    assert code == 0 and experiments.read_bytes() == before
    assert re.search(r"^se +4 +5\.8[78] ± \S+ +−0\.46 \[.*\] .* better$", out, re.MULTILINE)
    assert re.search(r"^eca +4, 1 diverged .*1 of 5 diverged", out, re.MULTILINE)
    assert "marked failed: 'se' seed 4 (run " in out and "left out: 1." in out
    assert "assumed from the name 'metrics.val_error'" in out


@pytest.mark.parametrize(
    ("uri", "words", "sentence"),
    [
        ("sqlite:///{db}", [], "Say which experiment is meant by --experiment: blocks, single."),
        ("sqlite:///{db}", ["--experiment", "block"], "There is no experiment named 'block'; did you mean 'blocks'?"),
        ("sqlite:///{db}", ["--experiment", "empty"], "has no runs in empty"),
        ("sqlite:///{db}.not", [], "There is no file"),
        ("sqlite:///{readme}", [], "cannot be read as a database"),
        ("{folder}", [], "is no folder of MLflow runs"),
        ("http://127.0.0.1:9", [], "cannot be read"),
        ("postgresql://me:secret@host/db", [], "not from postgresql://host/db"),
        ("", [], "it takes mlflow:URI"),
    ],
)
def test_what_is_wrong_with_an_mlflow_place_is_said(
    experiments: Path, ablate: Ablate, monkeypatch: pytest.MonkeyPatch, uri: str, words: list[str], sentence: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = sorted(experiments.parent.iterdir())
    place = uri.format(db=experiments, readme=ROOT / "README.md", folder=ROOT / "docs")
    code, out, err = ablate("judge", "--from", f"mlflow:{place}", "--reference", "none", *words)
    assert (code, out) == (2, "") and sentence in err and "secret" not in err
    assert sorted(experiments.parent.iterdir()) == before


def test_a_folder_of_mlflow_runs_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ablate: Ablate) -> None:
    from mlflow import MlflowClient

    folder = tmp_path / "mlruns"
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        client = MlflowClient(folder.as_uri())
        experiment = client.create_experiment("blocks")
        for name in ("none", "se"):
            for seed in range(3):
                run = client.create_run(experiment, tags={"variant": name, "seed": str(seed)}).info.run_id
                client.log_metric(run, "acc", ARMS[name][seed])
                client.set_terminated(run)
    code, out, err = ablate("judge", "--from", f"mlflow:{folder}", "--reference", "none")
    assert code == 0 and "worse: se" in out, err
    assert "MLFLOW_ALLOW_FILE_STORE" not in os.environ


def test_this_projects_own_experiment_gives_what_its_store_holds(tmp_path: Path, ablate: Ablate) -> None:
    workspace, name = tmp_path / "workspace", "squeeze-quick-cifar-10-jpeg"
    shutil.copytree(ROOT / "docs" / "studies" / "quick-cifar10-jpeg", workspace)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert ablate("sync", "squeeze", "--workspace", workspace, "--tracking-uri", uri)[0] == 0
    code, out, err = ablate("judge", "--from", f"mlflow:{uri}", "--reference", "average", "--metric", "top1_error")
    assert code == 0, err
    store = Store(workspace)
    for variant in store.study(name).variants:
        results = [store.result(key) for key in variant.keys.values()]
        errors = [result.errors.top1 for result in results if result and result.errors]
        assert re.search(rf"^{variant.name} +{len(errors)} +{error_text(interval(errors))}  ", out, re.MULTILINE)
