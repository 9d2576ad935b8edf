"""The page of costs and the description of a network: every figure mapped, every sentence checked by arithmetic of its own."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import ablations.costs
import runner
from ablations.costs import BIASES, BOTH, CUT, OF_PRINTED, RESCALED, STATISTICS, SUMS, UP, Comparison, compare, count, scores
from ablations.planning import DataSource, Order, plan_study
from ablations.presets import PRESETS
from ablations.published import published
from ablations.published_costs import BIASED, METRICS, REMARKS, RESNET, SE_RESNET, SUBJECTS, Subject, figures
from report.costs import CONVENTIONS, csv_text, markdown, summary
from senet_core.build import build, skeleton
from senet_core.config import Config
from senet_core.cost import cost
from senet_core.dataset import Facts
from senet_core.describe import by_unit, describe
from senet_core.resolve import resolve

ROOT = Path(__file__).resolve().parent.parent
SMALL = Facts("CIFAR-10", tuple("0123456789"), 32, 3, 50000, 10000, ("crop", "flip"))
Ablate = Callable[..., tuple[int, str, str]]

EXPLAINED = {
    ("S4", "SE-ResNet-50 over ResNet-50", "added_gflops_percent"): OF_PRINTED,
    ("T2", "SE-ResNet-50", "gflops"): RESCALED,
    ("T2", "ResNet-101", "gflops"): SUMS,
    ("T2", "SE-ResNet-101", "gflops"): None,
    ("T2", "ResNet-152", "gflops"): SUMS,
    ("T2", "SE-ResNet-152", "gflops"): BOTH,
    ("T2", "ResNeXt-50 (32x4d)", "gflops"): SUMS,
    ("T2", "SE-ResNeXt-50 (32x4d)", "gflops"): None,
    ("T2", "ResNeXt-101 (32x4d)", "gflops"): None,
    ("T2", "SE-ResNeXt-101 (32x4d)", "gflops"): None,
    ("T2", "SE-VGG-16 (with BN)", "gflops"): RESCALED,
    ("T2", "SE-BN-Inception", "gflops"): None,
    ("T2", "Inception-ResNet-v2", "gflops"): None,
    ("T2", "SE-Inception-ResNet-v2", "gflops"): None,
    ("T3", "SE-MobileNet", "mflops"): RESCALED,
    ("T3", "ShuffleNet", "mflops"): None,
    ("T3", "SE-ShuffleNet", "mflops"): None,
    ("T3", "ShuffleNet", "params_m"): CUT,
    ("T3", "SE-ShuffleNet", "params_m"): CUT,
    ("T10", "r=4", "params_m"): STATISTICS,
    ("T10", "r=8", "params_m"): BIASES,
    ("T10", "r=32", "params_m"): STATISTICS,
    ("T13", "SE Stage 4", "params_m"): STATISTICS,
    ("T13", "SE All", "gflops"): RESCALED,
    ("T15", "SE", "gflops"): RESCALED,
    ("T15", "SE 3x3", "params_m"): STATISTICS,
    ("T16", "SE", "gflops"): RESCALED,
    ("V1", "r=4", "model_size_mb"): UP,
    ("V1", "r=16", "model_size_mb"): UP,
    ("REL", "SE-ResNet-152", "model_size_mb"): UP,
    **{("IMGCLSMOB", f"Pre-activation SE-ResNet-{depth}", "parameters"): None for depth in (20, 56, 110, 164)},
}
"""All figures that ours does not print as, and the counting that does, if there is one. All others agree."""


@pytest.fixture(scope="module")
def lines() -> list[Comparison]:
    """All figures beside ours."""
    return compare()


@pytest.fixture
def ablate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, lines: list[Comparison], tmp_path: Path) -> Ablate:
    """Run a command line in this process; the networks of the page are counted once for all tests."""
    monkeypatch.setattr(ablations.costs, "compare", lambda: lines)

    def call(*words: object) -> tuple[int, str, str]:
        workspace = [] if words[0] == "cost" else ["--workspace", str(tmp_path / "w")]
        code = runner.main([*map(str, words), *workspace])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def name(line: Comparison) -> tuple[str, str, str]:
    return line.figure.table, line.figure.row, line.figure.metric


def resolved(facts: Facts = SMALL, **net: Any) -> Config:
    return resolve(Config.of({"net": net}), facts)


# -- the data


def test_every_published_cost_stands_on_the_page_once() -> None:
    with (ROOT / "ablations" / "published_costs.csv").open(encoding="utf-8", newline="") as file:
        wanted = [(line["table"], line["row"], line["metric"], line["value"]) for line in csv.DictReader(file)]
    for table in (published(f"T{number}") for number in range(4, 17) if number not in (6, 7, 8, 9)):
        assert table is not None
        wanted += [(table.table, r.name, metric, v) for r in table.rows for metric, v in r.values.items() if not metric.endswith("_err")]
    found = [(figure.table, figure.row, figure.metric, figure.printed) for figure in figures()]
    assert sorted(found) == sorted(wanted) and len(set(found)) == len(found)
    assert {figure.metric for figure in figures()} == set(METRICS)


def test_the_tables_of_the_paper_are_complete() -> None:
    def printed(table: str, metric: str) -> list[str]:
        return [figure.printed for figure in figures() if (figure.table, figure.metric) == (table, metric)]

    t2 = "3.86 3.87 7.58 7.60 11.30 11.32 4.24 4.25 7.99 8.00 15.47 15.48 2.03 2.04 11.75 11.76"
    assert printed("T2", "gflops") == t2.split()
    assert (printed("T3", "mflops"), printed("T3", "params_m")) == (["569", "572", "140", "142"], ["4.2", "4.7", "1.8", "2.4"])
    assert printed("T10", "params_m") == ["45.7", "35.7", "30.7", "28.1", "26.9", "25.6"]
    assert printed("REL", "model_size_mb") == ["46", "107", "189", "256", "105", "187", "440"]
    assert printed("V1", "model_size_mb") == ["137", "117", "108", "103", "98"]


def test_each_row_is_the_network_that_it_names() -> None:
    stage = SUBJECTS["T13"]["SE Stage 2"].config.net
    assert (stage.block and stage.block.name, stage.stages) == ("se", (1,))
    inside, raw = SUBJECTS["T15"]["SE 3x3"].config.net, SUBJECTS["T16"]["NoSqueeze"].config.net
    assert inside.placement == "inside" and raw.block and raw.block.name == "no_squeeze"
    assert all((net.block is not None) == row.startswith("SE") for row, s in SUBJECTS["T2"].items() for net in [s.config.net])
    assert SUBJECTS["T2"]["Inception-ResNet-v2"].size == 299


# -- the counts


def test_our_figures_agree_to_the_printed_digits_but_for_these(lines: list[Comparison]) -> None:
    found = {name(line): line.explained.words if line.explained else None for line in lines if not line.agrees}
    assert found == EXPLAINED
    assert all(bool(line.sentence) == (name(line) in EXPLAINED) for line in lines)
    assert set(REMARKS) <= set(EXPLAINED)


def test_every_number_of_a_sentence_is_what_it_says(lines: list[Comparison]) -> None:
    for line in (line for line in lines if not line.agrees):
        if line.explained is not None:
            value, printed = re.findall(r": ([\d.]+), which prints as ([\d.]+)\.(?: |$)", line.sentence)[0]
            assert printed == line.figure.printed and abs(Decimal(value) - line.explained.value) < Decimal("0.01"), line.sentence
        elif "No counting" in line.sentence:
            low, high = map(Decimal, re.findall(r"between ([\d.]+) and ([\d.]+):", line.sentence)[0])
            values = list(map(Decimal, re.findall(r"(?:layers|values|sums|both) (\d+\.\d+)", line.sentence)))
            assert len(values) == 4 and not any(low <= value < high for value in values), line.sentence
            assert low < line.figure.value < high and round(high - low, 3) == Decimal(1).scaleb(line.figure.value.as_tuple().exponent)  # type: ignore[arg-type]


def test_the_sentences_counts_follow_from_the_papers_definitions() -> None:
    """ResNet-50: units, channels and sizes of its stages, and the sums over them."""
    shape = ((3, 256, 56), (4, 512, 28), (6, 1024, 14), (3, 2048, 7))
    values = sum(units * channels * size**2 for units, channels, size in shape)
    plain, se = count(RESNET), count(SE_RESNET)
    assert (plain.operations.added, plain.operations.multiplied) == (values, 0) and values == 5_519_360
    assert (se.operations.added, se.operations.multiplied) == (values, values)
    assert (
        se.parameters - plain.parameters
        == se.operations.macs - plain.operations.macs
        == 2 * sum(n * c * c // 16 for n, c, _ in shape)
        == 2_514_944
    )
    assert plain.batch_norm_statistics == 53_120
    assert (plain.parameters + 53_120) / 1e6 == pytest.approx(25.61, abs=0.005) and plain.parameters / 1e6 == pytest.approx(
        25.56, abs=0.005
    )
    biases = {r: sum(n * (c + c // r) for n, c, _ in shape) for r in (2, 8)}
    eight, two = (SUBJECTS["T10"][f"r={r}"] for r in (8, 2))
    with_biases = count(eight.but(block={"name": "se", "reduction": 8, "bias": True}))
    assert with_biases.parameters - count(eight).parameters == biases[8] == 16_992
    assert (count(two).parameters + 53_120 + biases[2]) / 1e6 == pytest.approx(45.75, abs=0.005)
    assert "45.75" in REMARKS["T10", "r=8", "params_m"]


def test_the_remarks_and_conventions_hold() -> None:
    assert count(RESNET.but(stride_in="3x3")).operations.macs / 1e9 == pytest.approx(4.09, abs=0.005) and "4.09" in " ".join(CONVENTIONS)
    plain, se = (count(SUBJECTS["T3"][row]).operations for row in ("ShuffleNet", "SE-ShuffleNet"))
    step = (se.macs - plain.macs) / 1e6, se.multiplied / 1e6
    assert step == pytest.approx((0.61, 1.60), abs=0.005) and 140 + sum(step) == pytest.approx(142.2, abs=0.05)
    assert round(plain.macs / 1e6) == 137
    assert round(100 * 0.005 / 3.86, 2) == 0.13
    deep = count(SUBJECTS["REL"]["SE-ResNet-152"])
    assert 17 < (255.5 * 2**20 - 4 * (deep.parameters + deep.batch_norm_statistics)) / 1024 < 18
    assert len(SUBJECTS["T10"]) == 6 and SUBJECTS["REL"]["SENet-154"].net["block"] == BIASED


def test_counts_for_small_images_agree_to_the_unit(lines: list[Comparison]) -> None:
    exact = [line for line in lines if line.figure.metric in ("parameters", "added_parameters")]
    assert len(exact) == 54
    for line in exact:
        told = re.search(r"−(\d+) together", line.sentence)
        assert line.difference == (int(told[1]) if told else 0), line.figure.row


def test_scores_say_how_many_figures_each_counting_gives(lines: list[Comparison]) -> None:
    found = {(score.kind, score.words): (score.reproduced, score.of) for score in scores(lines)}
    steps = "steps from a network to the one with SE"
    assert (found[steps, RESCALED], found[steps, ablations.costs.LAYERS]) == ((9, 10), (6, 10))
    own = [line for line in lines if line.figure.metric in ("gflops", "mflops") and not line.figure.small]
    assert found["multiply-adds", ablations.costs.LAYERS] == (sum(line.agrees for line in own), len(own)) == (11, 30)


@pytest.mark.parametrize(
    ("network", "block"),
    [("resnet-20", None), ("preact-resnet-20", "se"), ("shufflenet-32", "no_squeeze"), ("vgg-16", "cbam"), ("resnet-20", "gather_excite")],
)
def test_multiply_adds_are_half_of_what_pytorch_calls_flops(network: str, block: str | None) -> None:
    config = resolved(name=network, block=block)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        skeleton(config, SMALL).eval()(torch.empty(1, 3, 32, 32, device="meta"))
    found = cost(config, SMALL)
    assert found.macs == counter.get_total_flops() // 2
    real = build(config, SMALL, 0)
    assert found.parameters == sum(parameter.numel() for parameter in real.parameters())


# -- the page


def test_the_csv_file_has_a_line_for_each_figure_and_is_the_same_each_time(lines: list[Comparison]) -> None:
    text = csv_text(lines)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(figures()) and text == csv_text(lines)
    first = next(row for row in rows if (row["table"], row["row"]) == ("T2", "SE-ResNet-50"))
    assert (first["published"], first["ours"], first["difference"], first["agrees"]) == ("3.87", "3.860488", "-0.009512", "no")
    assert first["net"] == '{"block":"se","name":"resnet-50"}' and "3.8660" in first["why_not"]
    assert next(row["ours"] for row in rows if row["table"] == "IMGCLSMOB") == "272474"


def test_the_markdown_page_has_every_figure_and_the_conventions(lines: list[Comparison]) -> None:
    page = markdown(lines, scores(lines))
    assert page == markdown(lines, scores(lines))
    assert page.count("\n### ") == len(SUBJECTS) and page.count("| yes ") == sum(line.agrees for line in lines)
    assert "counts once" in page and "53,120" in page and summary(lines) in page
    assert re.search(r"\| SENet-154 +\| size of the weights' file \(MiB\) +\| +440 \| +439\.97 \| +−0\.03 \| yes ", page)


def test_the_committed_page_is_what_the_command_writes(lines: list[Comparison]) -> None:
    page = Path(__file__).resolve().parent.parent / "docs" / "costs.md"
    assert page.read_text(encoding="utf-8") == markdown(lines, scores(lines)), "ablate cost --format md > docs/costs.md"


def test_the_summary_adds_up(lines: list[Comparison]) -> None:
    total, agree, explained, rest = map(int, re.findall(r"\d+", summary(lines)))
    assert total == len(lines) == agree + explained + rest and rest == sum(words is None for words in EXPLAINED.values())


def test_the_command_prints_or_writes_the_page(ablate: Ablate, lines: list[Comparison], tmp_path: Path) -> None:
    code, out, _ = ablate("cost")
    assert code == 0 and "Table 16" in out and re.search(r"SE-ResNet-50 +multiply-adds \(G\) +3\.87 +3\.8605 +−0\.0095 +no \(1\)", out)
    code, out, _ = ablate("cost", "--format", "csv")
    assert code == 0 and out == csv_text(lines)
    code, out, _ = ablate("cost", "--out", tmp_path / "page")
    assert code == 0 and sorted(path.name for path in (tmp_path / "page").iterdir()) == ["costs.csv", "costs.md"]
    assert (tmp_path / "page" / "costs.md").read_text(encoding="utf-8") == markdown(lines, scores(lines))
    code, _, err = ablate("cost", "--format", "md", "csv")
    assert code == 2 and "--out" in err
    code, _, err = ablate("cost", "--format", "html")
    assert code == 2 and "html" in err
    code, _, err = ablate("cost", "--out", "/proc/nowhere")
    assert code == 2 and "annot write" in err


# -- the description


NETWORKS = (
    "resnet-164",
    "preact-resnet-20",
    "wrn-16-8",
    "resnext-29-8x64d",
    "shake-shake-26-2x32d",
    "vgg-16",
    "mobilenet-32",
    "inception-32",
)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_lines_add_up_to_the_cost(network: str) -> None:
    config = resolved(name=network, block="se")
    found = describe(config, SMALL)
    for lines in (found.lines, by_unit(found.lines)):
        totals = sum(line.parameters for line in lines), sum(line.macs for line in lines)
        assert totals == (found.cost.parameters, found.cost.macs)
    assert found.cost == cost(config, SMALL) and all(line.kind != "other" for line in found.lines)
    paths = dict(skeleton(config, SMALL).named_modules())
    assert {line.path for line in found.lines} <= paths.keys()
    widths = [line.hidden_width for line in found.lines if line.block]
    assert tuple(dict.fromkeys(widths)) == found.cost.hidden_widths


@pytest.mark.parametrize("network", ["senet-154", "inception-resnet-v2"])
def test_the_lines_of_large_networks_add_up_too(network: str) -> None:
    facts = Facts("ImageNet", tuple(map(str, range(1000))), 299, 3, 10**6, 10**5, ())
    found = describe(resolved(facts, name=network, block="se"), facts)
    assert sum(line.macs for line in found.lines) == found.cost.macs
    assert len(by_unit(found.lines)) < len(found.lines) / 3


@pytest.mark.parametrize("placement", ["standard", "pre", "post", "identity", "inside"])
def test_blocks_stand_where_the_placement_puts_them(placement: str) -> None:
    shape = {"units": (2, 1), "widths": (32, 64), "stem": 16}
    found = describe(resolved(name="resnet", **shape, block={"name": "se", "reduction": 4}, placement=placement, stages=(1,)), SMALL)
    blocks = [line for line in found.lines if line.block]
    assert [line.path for line in blocks] == [f"stages.stage1.unit{unit}.{placement}" for unit in (1, 2)]
    channels = {"pre": (16, 32), "inside": (8, 8)}.get(placement, (32, 32))
    assert [(line.shape, line.hidden_width) for line in blocks] == [((c, 32, 32), c // 4) for c in channels]
    order = [line.path.rpartition("unit1.")[2] for line in found.lines if "stage1.unit1" in line.path]
    if placement == "inside":
        assert order.index("branch.2") < order.index("inside") < order.index("branch.4")
    if placement == "pre":
        assert order[0] == "pre"


def test_a_line_tells_kind_shape_parameters_and_multiply_adds() -> None:
    first, *_, last = describe(resolved(name="resnet-20"), SMALL).lines
    assert (first.kind, first.shape, first.parameters, first.macs) == ("conv 3x3 + BN", (16, 32, 32), 432 + 32, 432 * 32 * 32)
    assert (last.path, last.kind, last.shape, last.parameters, last.macs) == ("classifier", "linear", (10,), 650, 640)
    kinds = {line.kind for line in describe(resolved(name="mobilenet-32"), SMALL).lines}
    assert "conv 3x3 / 2, depthwise + BN" in kinds


def test_a_variants_totals_are_those_of_its_plan(ablate: Ablate) -> None:
    preset = PRESETS["smoke"]
    study = plan_study("inside", Order(preset, {}, [0]), DataSource(None, None))
    for variant in study.variants:
        code, out, _ = ablate("describe", "inside", variant.name, "--preset", "smoke")
        assert code == 0
        total = next(line for line in out.splitlines() if line.split()[:1] == ["total"]).split()
        assert total[1:3] == [f"{variant.cost.parameters:,}", f"{variant.cost.macs:,}"]


def test_a_network_alone_is_described_on_images_of_any_size(ablate: Ablate) -> None:
    code, out, _ = ablate("describe", "--net.name", "resnet-50", "--size", 224, "--units")
    assert code == 0 and "28,071,976  3,860,488,192  16/32/64/128" in out
    assert "16 blocks (*), of hidden width 16 (3 times), 32 (4 times), 64 (6 times), 128 (3 times)" in out
    assert len(out.splitlines()) == 1 + 1 + 1 + 16 + 1 + 1 + 1, "title, headings, stem, units, classifier, total, blocks"
    code, out, _ = ablate("describe", "--net.name", "resnet-50", "--size", 224, "--net.block", "null")
    assert code == 0 and "No block" in out and "25,557,032" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["reductoin", "none"], "did you mean 'reduction'"),
        (["reduction", "r=4"], "did you mean 'r = 4'"),
        (["reduction"], "Name a variant of the suite 'reduction', too. It has: 'none', 'r = 2'"),
        (["reduction", "none", "--net.block.reduction", "8"], "changes net.block.reduction itself"),
        (["--net.name", "resnet-5"], "resnet-5"),
        (["--net.name", "vgg-16", "--size", "8"], "too small"),
        (["--preset", "smokey"], "did you mean 'smoke'"),
    ],
)
def test_what_cannot_be_described_is_a_sentence(words: list[str], told: str, ablate: Ablate) -> None:
    preset = [] if "--preset" in words else ["--preset", "smoke"]
    code, out, err = ablate("describe", *words, *preset)
    assert (code, out) == (2, "") and told in " ".join(err.split()) and "Traceback" not in err


def test_a_subject_is_counted_once(lines: list[Comparison]) -> None:
    asked: list[Subject] = []
    known = count(Subject({"name": "resnet-20"}, size=32, classes=10))

    def counter(subject: Subject) -> Any:
        asked.append(subject)
        return known

    assert len(compare(counter)) == len(lines)
    recipes = [(subject.config.net.model_dump_json(), subject.size) for subject in asked]
    assert len(set(recipes)) == len(recipes)
