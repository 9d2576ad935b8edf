"""The throughput benchmark: its arms take real steps, its formulas give what a hand gives, its page says what was measured and what not."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import throughput
from benchmarks.throughput import usual_arms
from benchmarks.throughput_arms import ARMS, Case, Job, OurLoop, OwnTime, Start, cases, cifar_config
from benchmarks.throughput_limits import COMPILED, EAGER, PASSES, Peaks, Work, measured_peaks, work
from benchmarks.throughput_page import Conditions, Goal, Measured, Network, Spread, goals, goals_section, heading, section
from benchmarks.throughput_process import LeftOut, Remote
from senet_core.resolve import resolve
from senet_core.training.batches import Batches

NET = {
    "name": "resnet",
    "unit": "basic",
    "units": [1, 1],
    "widths": [4, 8],
    "stem": 4,
    "stem_stride": 4,
    "block": {"name": "se", "reduction": 2},
}
CASE = Case("tiny", "Tiny", cifar_config(NET, batch=4), steps=2, warm=1)


def job(arm: str, folder: Path) -> Job:
    """An arm on a tiny network: an epoch has ten steps."""
    return Job(ARMS[arm], CASE.config, threads=1, images=40, cache=folder)


# -- The arms


@pytest.mark.parametrize(
    ("name", "dtype", "channels_last"),
    [
        ("plain-0", torch.float32, False),
        ("plain-2", torch.float32, False),
        ("timm", torch.bfloat16, True),
        ("timm-fp32", torch.float32, True),
        ("ours", torch.bfloat16, True),
    ],
)
def test_an_arm_trains_in_turns_as_it_says(name: str, dtype: torch.dtype, channels_last: bool, tmp_path: Path) -> None:
    running = job(name, tmp_path).start(started=0.0)
    assert 0 < running.start().imported < running.start().first_step
    network = running.loop.network
    before, images = weights(network), list[torch.Tensor]()
    outputs: list[torch.Tensor] = []
    network.stem.register_forward_hook(lambda module, inputs, output: images.append(inputs[0]) or outputs.append(output))
    assert running.load(2, 1) > 0
    assert not images and all(map(torch.equal, before, weights(network))), "loading leaves the network out"
    assert running.turn(2, 1) > 0
    assert len(images) == 3 and not any(map(torch.equal, before, weights(network))), "every step trains"
    assert all(x.shape == (4, 3, 32, 32) for x in images) and outputs[0].dtype == dtype
    assert all(x.is_contiguous(memory_format=torch.channels_last) == channels_last for x in images)
    assert all(abs(float(x.float().mean())) < 1 and 0.8 < float(x.float().std()) < 2 for x in images), "normalised"
    assert not multiprocessing.active_children(), "loader workers end with the turn"
    assert running.memory() > 50 * 2**20


def weights(network: torch.nn.Module) -> list[torch.Tensor]:
    """Copies of all convolutions' weights."""
    return [module.weight.detach().clone() for module in network.modules() if isinstance(module, torch.nn.Conv2d)]


def test_a_step_of_ours_is_charged_its_share_of_the_epochs_draws_and_no_warm_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, draws = job("ours", tmp_path).start(0.0).loop, Batches.draws
    assert isinstance(loop, OurLoop)

    def slow(self: Batches, epoch: int) -> Iterator[Any]:
        time.sleep(1)  # 0.1 s for each of the ten steps
        for number, draw in enumerate(draws(self, epoch)):
            time.sleep(0.3 if number < 2 else 0)  # in the warm ones
            yield draw

    monkeypatch.setattr(Batches, "draws", slow)
    assert 0.1 <= loop.load(5, 2) < 0.2
    with pytest.raises(ValueError, match="a turn of 11 steps is longer than an epoch of 10"):
        loop.turn(10, 1)


def test_a_fit_is_divided_into_parts(tmp_path: Path) -> None:
    fit = job("ours", tmp_path).start(0.0).fit(5)
    assert 0 < fit.steps < fit.epochs and fit.evaluation > 0 and fit.epochs + fit.evaluation < fit.wall
    assert fit.share() == pytest.approx((fit.wall - fit.steps - fit.evaluation) / fit.wall)


def test_a_trials_own_share_counts_once_what_comes_once() -> None:
    """1 second before and after; 3 epochs of twice 10 seconds, 2 of them no steps; four times 0.5 of evaluation."""
    assert OwnTime(wall=11.5, steps=9.0, epochs=10.0, evaluation=0.5).share(3, 2.0, 4.0) == pytest.approx((1 + 6) / (1 + 60 + 2))


def test_an_arm_that_cannot_run_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler -std=c++17")
    with pytest.raises(LeftOut, match=r"there is no C\+\+ compiler 'no-such-compiler'"):
        job("compiled", tmp_path).start(0.0)
    monkeypatch.setitem(sys.modules, "timm.data", None)
    with pytest.raises(LeftOut, match=r"there is no module 'timm\.data'"):
        job("timm", tmp_path).start(0.0)


def test_an_arm_trains_in_a_process_of_its_own(tmp_path: Path) -> None:
    with Remote(job("plain-2", tmp_path).start) as remote:
        start = remote("start")
        assert isinstance(start, Start) and 0 < start.imported < start.first_step < 600, "by the parent's clock"
        assert remote("turn", 2, 1) > 0
    assert not multiprocessing.active_children()


def test_a_process_of_its_own_starts_others_as_programs_do_and_tells_its_errors() -> None:
    with Remote(partial(importlib.import_module, "multiprocessing")) as remote:
        assert remote("get_start_method") == multiprocessing.get_start_method()
        with pytest.raises(RuntimeError, match="AttributeError: module 'multiprocessing' has no attribute 'nothing'"):
            remote("nothing")
        multiprocessing.active_children()[0].kill()
        with pytest.raises(LeftOut, match="its process ended with exit code -9"):
            remote("get_start_method")


def test_timm_in_fp32_is_an_arm_where_bf16_has_no_instructions() -> None:
    assert usual_arms("native") == ["plain-0", "plain-2", "timm", "compiled", "unfused", "ours"]
    assert usual_arms("rounded") == list(ARMS)


@pytest.mark.slow
def test_the_whole_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(throughput, "cases", lambda batch: {"quick": replace(CASE, name="quick", config=cifar_config(NET, batch))})
    words = ["--arms", "plain-0", "timm", "compiled", "ours"]
    words += ["--rounds", "2", "--steps", "2", "--threads", "1", "--batch", "4", "--images", "400"]
    out, raw = tmp_path / "page.md", tmp_path / "raw.json"
    assert throughput.main([*words, "--out", str(out), "--json", str(raw)]) == 0
    page = capsys.readouterr().out
    assert out.read_text() == page.rstrip("\n") + "\n"
    assert "- `compiled` is left out: there is no C++ compiler 'no-such-compiler'" in page
    assert "\n- not measured: resnet20: against the plain loop" in page and "quick: SE's share of a step" in page
    (network,) = json.loads(raw.read_text())["networks"]
    assert list(network["arms"]) == ["plain-0", "timm", "ours"] and len(network["peaks"]) == 2 and len(network["fits"]) == 2
    for arm in network["arms"].values():
        assert len(arm["steps"]) == len(arm["plain_steps"]) == len(arm["loads"]) == 2
        assert min(*arm["steps"], *arm["plain_steps"], *arm["loads"]) > 0 and arm["memory"] > 2**27


# -- Work and limits


def test_the_work_of_a_network_by_hand() -> None:
    facts = throughput.FACTS
    counted = work(resolve(CASE.config, facts), facts)
    # stem 3 -> 4 at 8x8; a unit of two convolutions 4 -> 4 at 8x8; one of 4 -> 8 -> 8 with a projection 4 -> 8 at 4x4; a classifier 8 -> 10
    macs = 3 * 9 * 4 * 64 + 2 * (4 * 9 * 4 * 64) + (4 * 9 * 8 + 8 * 9 * 8 + 4 * 8) * 16 + 8 * 10
    convolved, summed = 3 * 4 * 64 + 3 * 8 * 16, 4 * 64 + 8 * 16
    activated = 4 * 64 + 2 * 4 * 64 + 2 * 8 * 16
    gates = (4 * 2 + 2 * 4) + (8 * 4 + 4 * 8)  # hidden widths 2 and 4, each behind a ReLU
    assert counted == Work(macs + gates, convolved, convolved, activated + 2 + 4, summed, rescaled=summed)
    assert work(resolve(CASE.plain, facts), facts) == Work(macs, convolved, convolved, activated, summed, rescaled=0)
    assert counted.flops == 6 * counted.macs


def test_the_networks_are_the_published_ones() -> None:
    """ResNet-20 has 188,416 values behind convolutions that a ReLU follows, and 40.55 million multiply-adds beside its projections and its
    classifier; WRN-16-8 has 1.55 billion."""
    facts = throughput.FACTS
    counted = {name: work(resolve(case.plain, facts), facts) for name, case in cases(128).items()}
    assert counted["resnet20"].activated == 188_416
    assert (
        counted["resnet20"].macs
        == 9 * (3 * 16 + 6 * 16 * 16) * 1024
        + 9 * (16 * 32 + 5 * 32 * 32) * 256
        + 9 * (32 * 64 + 5 * 64 * 64) * 64
        + (16 * 32 * 256 + 32 * 64 * 64)
        + 640
    )
    assert counted["resnet56"].macs == pytest.approx(125.5e6, rel=0.01) and counted["wrn16-8"].macs == pytest.approx(1548e6, rel=0.001)
    assert all(case.config.train.batch == 128 and case.config.net.block is not None for case in cases(128).values())


def test_traffic_by_hand() -> None:
    one = Work(macs=0, convolved=10, normed=10, activated=10, added=0, rescaled=0)
    assert (EAGER.bytes(one, 1), COMPILED.bytes(one, 1)) == (190, 140)
    assert EAGER.bytes(replace(one, added=5, rescaled=3), 4) == 4 * (190 + 30 + 39)
    assert COMPILED.bytes(replace(one, added=5, rescaled=3), 2) == 2 * (140 + 10 + 9)
    assert PASSES.bytes(replace(one, added=5, rescaled=3), 2) == 2 * (130 + 20 + 0)


def test_peaks_are_rates() -> None:
    peaks = measured_peaks(side=64, values=2**12, seconds=0.001)
    assert min(peaks.fp32, peaks.bf16, peaks.triad, peaks.copy) > 1e6
    assert peaks.bandwidth == max(peaks.triad, peaks.copy)


# -- The page


def made_up(name: str, **rivals: list[float]) -> Network:
    """Three rounds in which ours takes 1, 2 and 4 seconds for a step of 100 images: the machine slows down."""
    one = Work(macs=10**6, convolved=1000, normed=0, activated=0, added=0, rescaled=0)
    network = Network(name, "A network", 100, 5, (8, 5), 64, one, replace(one, macs=9 * 10**5))
    for arm, steps in (rivals | {"ours": [1.0, 2.0, 4.0]}).items():
        name = arm.replace("_", "-")
        first = 60.0 if "compiled" in arm else 4.0
        network.arms[name] = Measured(Start(3.0, first), steps, [0.9 * value for value in steps], [0.01 * value for value in steps], 2**30)
    network.peaks = [Peaks(1e9 / slower, 4e9 / slower, 5e6 / slower, 4e6 / slower) for slower in (1, 2, 4)]
    network.fits = [OwnTime(10.0, 9.0, 9.1, 0.75)] * 3
    return network


def test_figures_are_ratios_within_a_round() -> None:
    network = made_up("quick", timm=[3.0, 2.0, 10.0])
    assert network.faster(("timm",), Network.seconds)[0].tolist() == [3.0, 1.0, 2.5], "not 3 / 2, the ratio of the medians"
    assert Spread.of([3.0, 1.0, 2.5]) == Spread(1.75, 2.5, 2.75)
    assert network.se_share("ours") == pytest.approx([0.1] * 3) and network.loader_share("ours") == pytest.approx([0.01] * 3)
    assert network.product_share("ours", "fp32") == pytest.approx([0.6] * 3) and network.product_share("ours", "bf16") == pytest.approx(
        [0.15] * 3
    )
    assert network.bandwidth_share("ours") == pytest.approx([2 * 5 * 1000 * 100 / 5e6] * 3), "the faster stream; 2 bytes in bf16"
    assert network.bandwidth_share("timm") == pytest.approx([0.2 / 3, 0.2, 0.08])
    assert network.trial_seconds("timm").tolist() == [4 + 2499 * value for value in (3.0, 2.0, 10.0)], "5 epochs of 500 steps"
    assert network.fits[0].share() == pytest.approx(0.025)


def test_goals_are_judged_by_their_medians() -> None:
    thin = made_up("resnet20", plain_0=[3.0, 6.0, 12.0], plain_2=[2.4, 4.8, 9.6], timm=[2.0, 4.0, 8.0], compiled=[1.4, 2.8, 5.6])
    quick = made_up("quick", plain_0=[2.5, 5.0, 10.0], timm_fp32=[1.25, 2.5, 5.0], compiled_fp32=[1.1, 2.2, 4.4])
    quick.arms["ours"].plain_steps = [0.8, 1.6, 3.2]
    quick.fits = [OwnTime(10.0, 8.5, 9.1, 0.6)] * 3
    quick.left_out["compiled"] = "there is no C++ compiler 'g++'"
    lines = [str(goal) for goal in goals([thin, quick], "rounded")]
    assert lines == [
        "does not hold: resnet20: against the plain loop at its better worker count (plain-2) (at least 2.5 times): 2.40 [2.40, 2.40]",
        "holds: quick: against the plain loop at its better worker count (plain-0) (at least 2.5 times): 2.50 [2.50, 2.50]",
        "does not hold: resnet20: against the best loop with timm's loader (compiled) (at least 1.5 times): 1.40 [1.40, 1.40]",
        "holds: resnet20: SE's share of a step (at most 12 %): 10.0 [10.0, 10.0] %",
        "does not hold: quick: SE's share of a step (at most 12 %): 20.0 [20.0, 20.0] %",
        "holds: quick: share of the fp32 product's peak (which multiplies here, bf16 having no instructions) (at least 50 %): "
        "60.0 [60.0, 60.0] %",
        "holds: resnet20: loader and augmentation alone, of a step (at most 2 %): 1.0 [1.0, 1.0] %",
        "holds: quick: loader and augmentation alone, of a step (at most 2 %): 1.0 [1.0, 1.0] %",
        "holds: resnet20: the runner's own share of a trial (derived from fits of one epoch) (at most 3 %): 1.1 [1.1, 1.1] %",
        "does not hold: quick: the runner's own share of a trial (derived from fits of one epoch) (at most 3 %): 6.5 [6.5, 6.5] %",
        "does not hold: quick: a whole trial on a fresh machine, derived, against the best loop with timm's loader (compiled-fp32; "
        "compiled was left out) (at least 1.2 times): 1.11 [1.11, 1.12]",
    ]
    native = next(goal for goal in goals([quick], "native") if "product" in goal.text)
    assert str(native) == "does not hold: quick: share of the bf16 product's peak (at least 50 %): 15.0 [15.0, 15.0] %"


def test_a_goal_without_figures_neither_holds_nor_fails() -> None:
    quick = made_up("quick")
    quick.fits = []
    found = {goal.text: goal.found for goal in goals([quick], "native") if goal.holds is None}
    assert found["resnet20: SE's share of a step"] == "the network was not asked for"
    assert found["quick: against the plain loop at its better worker count"] == "none of plain-0, plain-2 was measured"
    assert found["quick: the runner's own share of a trial"] == "no fit was made"
    del quick.arms["ours"]
    quick.left_out["ours"] = "its process ended with exit code -9"
    assert all(goal.holds is None for goal in goals([quick], "native"))
    assert (
        "- not measured: quick: SE's share of a step (at most 12 %): ours was left out: its process ended with exit code -9"
        in goals_section(goals([quick], "native"))
    )
    assert [Goal("", 0.1, Spread(0, value, 1)).holds for value in (0.1, 0.11)] == [True, False]
    assert [Goal("", 0.1, Spread(0, value, 1), at_least=True).holds for value in (0.1, 0.09)] == [True, False]


def test_a_section_shows_each_arm_and_who_was_left_out() -> None:
    network = made_up("quick", plain_0=[2.0, 4.0, 16.0], timm=[3.0, 6.0, 12.0])
    network.left_out["compiled"] = "there is no C++ compiler 'g++'"
    text = section(network, "rounded")
    rows = {line.split("`")[1]: [cell.strip() for cell in line.split("|")[2:-1]] for line in text.splitlines() if line.startswith("| `")}
    assert rows["plain-0"] == [
        "25 [16, 38]", "28 [17, 42]", "10.0 [10.0, 10.0]", "2.00 [2.00, 3.00]", "4.0 (3.0)", "30.0 [22.5, 30.0]", "", "20.0 [15.0, 20.0]",
        "2,500 [1,562, 3,750]", "1,024",
    ]  # fmt: skip
    assert rows["ours"][3] == "" and rows["ours"][5:7] == ["60.0 [60.0, 60.0]", "15.0 [15.0, 15.0]"], "both limits where bf16 is rounded"
    assert "- `compiled` is left out: there is no C++ compiler 'g++'" in text and "compiled" not in rows
    native = next(line for line in section(network, "native").splitlines() if line.startswith("| `ours`"))
    assert [cell.strip() for cell in native.split("|")][7:9] == ["", "15.0 [15.0, 15.0]"]
    assert "product 0.5 [0.4, 0.8] GFLOP/s in fp32 and 2.0 [1.5, 3.0] in bf16" in text
    assert "The runner's own share: 2.50 [2.50, 2.50] % of the wall clock, in 3 fits of one epoch of 64 steps" in text
    assert "(10.00 s: 9.00 in steps, 0.75 in evaluation, 0.10 in the epoch beside its steps, 0.15 before and after)" in text


def test_a_network_whose_arms_were_all_left_out_has_a_section() -> None:
    network = made_up("quick")
    network.arms, network.fits, network.left_out = {}, [], {"timm": "there is no module 'timm'"}
    assert "- `timm` is left out: there is no module 'timm'" in section(network, "native")


def test_the_heading_states_machine_versions_and_load() -> None:
    conditions = partial(Conditions, "2026-01-02 03:04 UTC", "A processor", 2, 2, load=(0.1, 0.2, 0.3), versions={"torch": "2.15.0"})
    text = heading(conditions(kernels="native", batch=128, rounds=9, images=50_000))
    assert "2026-01-02 03:04 UTC: A processor, 2 cores, 2 threads, load average 0.1 / 0.2 / 0.3 at the start; torch 2.15.0." in text
    assert "Batch 128, 50,000 random images" in text and "(`kernels` native)" in text
    assert "(`kernels` rounded)" in heading(conditions(kernels="rounded", batch=128, rounds=9, images=50_000))


@pytest.mark.parametrize(
    ("words", "said"),
    [("--rounds 0", "must be positive"), ("--images 100", "--images must be at least 3200"), ("--arms fast", "invalid choice: 'fast'")],
)
def test_orders_that_cannot_be_measured_are_refused(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        throughput.main(words.split())
    assert said in capsys.readouterr().err
