"""The role of excitation: gates by class against plain NumPy, networks whose gates are known, the way from a trial to its page."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pypdf import PdfReader
from torch import Tensor, nn

import runner
import senet_core.excitation
from ablations import gates_file
from ablations.excitation import BlockRecord, Look, Record, chosen, read
from ablations.excitation_claims import findings, roles
from ablations.presets import PRESETS
from ablations.store import DamagedStore, Store
from report.excitation_figures import drawn_blocks, drawn_classes
from report.markup import Table, parse, plain_text
from senet_core.blocks.no_squeeze import NoSqueeze
from senet_core.blocks.se import SE
from senet_core.build import build
from senet_core.class_gates import ClassGates
from senet_core.config import Config
from senet_core.dataset import Arrays, Facts
from senet_core.errors import InputError
from senet_core.excitation import Examination, Subject, examine, replaced, shuffled_share
from senet_core.resolve import resolve
from senet_core.seeds import generator
from senet_core.training.checkpoint import Checkpoints
from senet_core.training.execution import Execution
from senet_core.training.loop import Interrupted, Outcome, fit
from senet_core.watch import Watch

N, K, C = 120, 4, 6
RNG = np.random.default_rng(7)
LABELS = RNG.permutation(np.arange(N) % (K - 1)).astype(np.int64)  # the last class has no image
GATES = (0.5 + 0.1 * LABELS[:, None] * (np.arange(C) - 2) / C + RNG.normal(0, 0.08, (N, C))).clip(-0.05, 1.05)


class Given(nn.Module):
    """A block whose gates stand in its input's first pixel."""

    def gates(self, x: Tensor) -> Tensor:
        return x[:, :, :1, :1]

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gates(x)


class Head(nn.Module):
    """Logits from the second pixel, which a block has multiplied by its gate."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 0, 1]


def images(gates: np.ndarray) -> Tensor:
    """An image for each row of gates: those in the first pixel, ones in the others."""
    x = torch.ones(*gates.shape, 2, 2, dtype=torch.float64)
    x[:, :, 0, 0] = torch.from_numpy(gates)
    return x


def subject(network: nn.Module, x: Tensor, labels: np.ndarray, batch: int = 50) -> Subject:
    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(x), batch):
            yield x[start : start + batch], torch.from_numpy(labels[start : start + batch])

    return Subject(network.eval(), batches, labels, nullcontext)


def watched(gates: np.ndarray = GATES, labels: np.ndarray = LABELS, classes: int = K, batch: int = 50) -> ClassGates:
    one = subject(nn.Sequential(Given(), Head()), images(gates), labels, batch)
    with Watch(one.network, classes) as watch:
        one.error(watch.expect)
    (found,) = watch.found()
    return found


# -- what is said of gates


def by_class() -> list[np.ndarray]:
    """The gates of each class that has images."""
    return [GATES[np.equal(LABELS, k)] for k in range(K - 1)]


@pytest.mark.parametrize("batch", [1, 7, 120])
def test_the_gates_by_class_are_what_numpy_makes_of_them(batch: int) -> None:
    found = watched(batch=batch)
    groups = by_class()
    assert found.counts.tolist() == [40, 40, 40, 0] and found.channels == C
    assert found.average == pytest.approx(GATES.mean(0), rel=1e-12)
    for k in range(K - 1):
        assert found.mean[k] == pytest.approx(groups[k].mean(0), rel=1e-12)
        assert found.deviation[k] == pytest.approx(groups[k].std(0, ddof=1), rel=1e-9)
    assert np.isnan(found.mean[-1]).all() and np.isnan(found.deviation[-1]).all()
    assert found.low.tolist() == (GATES < 0.01).sum(0).tolist() and found.high.tolist() == (GATES > 0.99).sum(0).tolist()
    assert (found.least, found.greatest) == (GATES.min(), GATES.max())


def test_share_and_spreads_are_those_of_the_analysis_of_variance() -> None:
    found = watched()
    between = sum(len(group) * (group.mean(0) - GATES.mean(0)) ** 2 for group in by_class()).sum()
    within = sum(((group - group.mean(0)) ** 2).sum() for group in by_class())
    assert found.share == pytest.approx(between / ((GATES - GATES.mean(0)) ** 2).sum(), rel=1e-9)
    assert found.within == pytest.approx(np.sqrt(within / (N - 3) / C), rel=1e-9)
    assert found.spread == pytest.approx(np.sqrt(GATES.var(0, ddof=1).mean()), rel=1e-9)


def test_a_gate_that_never_moves_has_no_variance_to_share() -> None:
    found = watched(np.full((N, C), 0.1) + 1e-9 * RNG.random((N, C)))
    assert found.share is None and found.within == 0 and found.spread == 0
    assert np.array_equal(found.offset[:-1], np.zeros((K - 1, C)))


def test_saturation_is_counted_and_told_of_gates_between_0_and_1_alone() -> None:
    half = np.where(np.arange(N) < 30, 0.005, np.where(np.arange(N) < 90, 0.5, 0.995))[:, None] * np.ones(C)
    assert watched(half).saturated == (0.25, 0.25)
    assert watched(half + 0.006).saturated is None  # up to 1.001: a curve that does not end at 1


@pytest.mark.parametrize(
    ("path", "stage", "unit"),
    [
        ("stages.stage3.unit2.standard", 3, "2"),
        ("stages.stage2.4a.standard", 2, "4a"),
        ("stage1.unit12.pre", 1, "12"),
        ("body.se", 0, "body.se"),
    ],
)
def test_a_block_knows_its_place(path: str, stage: int, unit: str) -> None:
    zero = np.zeros(1)
    block = ClassGates(path, zero.astype(np.int64), zero, zero[None], zero[None], zero.astype(np.int64), zero.astype(np.int64), 0.0, 1.0)
    assert (block.stage, block.unit) == (stage, unit)


def test_the_file_keeps_gates_to_half_a_percent_and_the_share_to_a_thousandth(tmp_path: Path) -> None:
    block = watched()
    digest = gates_file.write(tmp_path / "a.npz", [block, block])
    back, again = gates_file.read(tmp_path / "a.npz")
    assert digest == gates_file.write(tmp_path / "b.npz", [block, block])
    assert back.path == again.path == block.path and back.counts.tolist() == block.counts.tolist()
    for name in ("average", "offset", "deviation"):
        assert getattr(back, name) == pytest.approx(getattr(block, name), rel=4e-3, nan_ok=True)
    assert back.share == pytest.approx(block.share, abs=1e-3)
    assert (back.low == block.low).all() and (back.least, back.greatest) == (block.least, block.greatest)


def test_the_file_of_the_quick_network_is_small(tmp_path: Path) -> None:
    recipe = PRESETS["quick"].config
    facts = Facts("x", tuple("0123456789"), 32, 3, 50000, 40, ("crop", "flip"))
    network = build(resolve(recipe, facts), facts, 0)
    x = torch.randn(40, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    one = subject(network, x, np.arange(40, dtype=np.int64) % 10)
    with Watch(network, 10) as watch:
        one.error(watch.expect)
    found = watch.found()
    assert [block.channels for block in found] == [64, 64, 128, 128, 256, 256]
    gates_file.write(tmp_path / "gates.npz", found)
    assert (tmp_path / "gates.npz").stat().st_size < 42_000


# -- the null of shuffled labels


def test_the_null_is_the_share_under_those_very_shuffles() -> None:
    found = shuffled_share(torch.from_numpy(GATES), LABELS, K, np.random.default_rng(3), 40)
    random, shares = np.random.default_rng(3), []
    for labels in [*(random.permutation(LABELS) for _ in range(40)), LABELS]:
        shares.append(watched(labels=labels).share)
    assert found is not None and found.limit == pytest.approx(sorted(shares[:-1])[38], rel=1e-5)  # the 0.95 point of 40, from above
    assert found.p == (1 + sum(share >= shares[-1] for share in shares[:-1])) / 41 == 1 / 41


def test_p_is_uniform_where_labels_are_random() -> None:
    random = np.random.default_rng(11)
    gates = torch.from_numpy(random.normal(0.5, 0.1, (60, 5)))
    found = [shuffled_share(gates, random.integers(0, 3, 60), 3, random, 19) for _ in range(400)]
    p = np.array([one.p for one in found if one is not None])
    counts = np.bincount((20 * p).round().astype(int), minlength=21)[1:]  # p is one of 1/20 ... 1
    assert len(p) == 400 and ((counts - 20) ** 2 / 20).sum() < 43.8  # chi-squared with 19 degrees of freedom, p = 0.001


def test_gates_that_do_not_vary_have_no_null() -> None:
    assert shuffled_share(torch.full((30, 2), 0.3), np.arange(30) % 3, 3, np.random.default_rng(0), 19) is None


def test_the_null_does_not_depend_on_how_many_shuffles_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def null() -> object:
        return shuffled_share(torch.from_numpy(GATES), LABELS, K, np.random.default_rng(3), 19)

    whole = null()
    monkeypatch.setattr(senet_core.excitation, "_ONE_HOT", 5 * K * N)
    assert null() == pytest.approx(whole)


# -- knockouts


def by_gate(x: Tensor, labels: np.ndarray, batch: int = 50) -> Examination:
    """Examined with knockouts: a network that answers with the channel of the greatest gate."""
    return examine(subject(nn.Sequential(Given(), Head()), x, labels, batch), x.shape[1], 5, knockout=True, permutations=19)


def one_hot_gates(labels: np.ndarray) -> np.ndarray:
    """A gate of 0.9 in the channel of the class, 0.1 in all others; the means tell classes 0 (half of the images), 1, 2 apart."""
    return np.where(np.arange(3) == labels[:, None], 0.9, 0.1)


def test_the_errors_without_a_blocks_own_gates_are_those_of_a_network_that_knows_nothing_else() -> None:
    labels = np.repeat([0, 1, 2], [60, 40, 20]).astype(np.int64)
    found = by_gate(images(one_hot_gates(labels)), labels)
    (block,) = found.blocks
    assert found.error == 0 and block.knockout is not None
    assert block.knockout.mean == 50.0  # the mean gate is the greatest in channel 0: every image is said to be of class 0
    dealt = generator(5, "noise", "excitation", "0", "gates").permutation(120)
    assert block.knockout.shuffled == pytest.approx(100 * np.mean(labels[dealt] != labels))
    assert block.gates.share == pytest.approx(1) and block.null is not None and block.null.p == 1 / 20


@pytest.mark.parametrize("batch", [1, 7, 64, 500])
def test_nothing_depends_on_the_size_of_batches(batch: int) -> None:
    gates = GATES[:, :K]
    whole, parts = by_gate(images(gates), LABELS), by_gate(images(gates), LABELS, batch)
    assert whole.error == parts.error and whole.blocks[0].null == parts.blocks[0].null
    assert whole.blocks[0].knockout == parts.blocks[0].knockout


def se_network(precision: str, constant: bool) -> nn.Module:
    """Two residual units with SE; with ``constant``, the first one's hidden units are all off, so its gates are 0.5 for every image."""
    facts = Facts("x", tuple("abcd"), 16, 3, 640, 64, ())
    net = {"units": [1, 1], "widths": [16, 32], "stem": 16, "block": {"name": "se", "reduction": 4}}
    config = resolve(Config.of({"net": net, "data": {"name": "digits"}, "train": {"precision": precision}}), facts)
    network = build(config, facts, 0).to(memory_format=torch.channels_last)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.bias.uniform_(0.1, 0.5, generator=torch.Generator().manual_seed(module.num_features))
        block = network.get_submodule("stages.stage1.unit1.standard")
        assert isinstance(block, SE)
        if constant:
            block.up.weight.zero_()
    return network.eval()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@torch.no_grad()
def test_the_mean_of_a_constant_gate_changes_nothing_to_the_bit(precision: str) -> None:
    network = se_network(precision, constant=True)
    x = torch.randn(32, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    context = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")
    mean = torch.full((1, 16), 0.5)
    with context:
        before = network(x)
        with replaced(network, "stages.stage1.unit1.standard", lambda places: mean):
            assert torch.equal(before, network(x))
        with replaced(network, "stages.stage1.unit1.standard", lambda places: mean + 0.25):
            assert not torch.equal(before, network(x))
        assert torch.equal(before, network(x)), "the block is left as it was"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@torch.no_grad()
def test_a_blocks_own_gates_put_back_change_nothing_to_the_bit(precision: str) -> None:
    network, path = se_network(precision, constant=False), "stages.stage2.unit1.standard"
    x = torch.randn(32, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    seen: list[Tensor] = []
    hook = network.get_submodule(path).register_forward_pre_hook(lambda block, inputs: seen.append(block.gates(inputs[0])[:, :, 0, 0]))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        before = network(x)
        hook.remove()
        with replaced(network, path, lambda places: seen[0][places]):
            assert torch.equal(before, network(x))


def test_blocks_are_looked_at_in_groups_that_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    network = se_network("fp32", constant=False)
    x, labels = torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(1)), np.arange(40, dtype=np.int64) % 4
    readings: list[int] = []

    def look() -> Examination:
        readings.append(0)
        one = subject(network, x, labels, 16)

        def counted() -> Iterator[tuple[Tensor, Tensor]]:
            readings[-1] += 1
            yield from one.images()

        return examine(Subject(network, counted, labels, nullcontext), 4, 0, knockout=True, permutations=19)

    whole = look()
    monkeypatch.setattr(senet_core.excitation, "MEMORY", 40 * 32 * 4)
    parts = look()
    assert [block.gates.path for block in parts.blocks] == [f"stages.stage{k}.unit1.standard" for k in (1, 2)]
    assert [(b.null, b.knockout) for b in whole.blocks] == [(b.null, b.knockout) for b in parts.blocks]
    assert readings == [1 + 1 + 4, 1 + 2 + 4], "a first batch, the groups, two for each block"


def test_a_gate_at_every_pixel_is_left_out_and_alone_refused_by_name() -> None:
    x, labels = torch.randn(20, 8, 4, 4), np.arange(20, dtype=np.int64) % 2
    mixed = nn.Sequential(SE(8, 4, reduction=2), NoSqueeze(8, 4, reduction=2), nn.Flatten())
    found = examine(subject(mixed, x, labels), 2, 0, knockout=True, permutations=19)
    assert [block.gates.path for block in found.blocks] == ["0"]
    with Watch(mixed, 2) as watch:
        subject(mixed, x, labels).error(watch.expect)
    assert [block.path for block in watch.found()] == ["0"]
    with pytest.raises(InputError, match=r"gates \(NoSqueeze\) is one number for each channel"):
        examine(subject(nn.Sequential(NoSqueeze(8, 4), nn.Flatten()), x, labels), 2, 0, knockout=False)


def test_a_block_that_does_not_multiply_by_the_gate_it_tells_is_not_knocked_out() -> None:
    class Adds(Given):
        def forward(self, x: Tensor) -> Tensor:
            return x + self.gates(x)

    one = subject(nn.Sequential(Adds(), Head()), images(GATES), LABELS)
    assert len(examine(one, K, 0, knockout=False, permutations=19).blocks) == 1
    with pytest.raises(InputError, match="Adds gives something else than its input times what its gates"):
        examine(one, K, 0, knockout=True)


def test_watching_leaves_no_hook_behind_also_after_an_error() -> None:
    network = nn.Sequential(Given(), Head())
    with pytest.raises(IndexError), Watch(network, K) as watch:
        watch.expect(torch.zeros(2, dtype=torch.int64))
        network(torch.ones(2))
    assert not network[0]._forward_pre_hooks


# -- in training


def recipe(facts: Facts, **changes: Any) -> Config:
    net = {"units": [1, 1], "widths": [8, 16], "stem": 8, "block": {"name": "se", "reduction": 2}}
    train = {"epochs": 2, "batch": 32, "lr": 0.2, "weight_decay": 5e-4, "precision": "bf16"}
    config = resolve(Config.of({"net": net, "data": {"name": "digits"}, "train": train}), facts)
    return resolve(config.but(changes), facts)


def trained(config: Config, arrays: Arrays, facts: Facts, **options: Any) -> Outcome:
    return fit(config, 0, arrays, facts, device=torch.device("cpu"), execution=Execution(threads=1), **options)


def test_training_reads_the_evaluation_images_once_and_sees_the_gates_in_that_reading(
    arrays: Arrays, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    from senet_core.training.batches import Batches

    readings: list[int] = []
    original = Batches.evaluation

    def counted(self: Batches) -> Iterator[tuple[Tensor, Tensor]]:
        readings.append(1)
        return original(self)

    monkeypatch.setattr(Batches, "evaluation", counted)
    seen = trained(recipe(facts), arrays, facts)
    assert len(readings) == 1 and [block.channels for block in seen.class_gates] == [8, 16]
    assert all(int(block.counts.sum()) == facts.test for block in seen.class_gates)
    monkeypatch.setattr("senet_core.training.loop.Watch", _Blind)
    blind = trained(recipe(facts), arrays, facts)
    assert blind.evaluation is not None and seen.evaluation is not None and blind.class_gates == ()
    assert blind.evaluation.loss == seen.evaluation.loss and np.array_equal(blind.evaluation.top1, seen.evaluation.top1)


class _Blind(Watch):
    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__(network, classes, paths=())


def test_networks_without_such_gates_and_diverged_trials_keep_none(arrays: Arrays, facts: Facts) -> None:
    for changes in ({"net.block": None}, {"net.block": "constant"}, {"net.block": {"name": "no_squeeze", "reduction": 2}}):
        assert trained(recipe(facts, **changes), arrays, facts).class_gates == ()
    assert trained(recipe(facts, **{"train.lr": 1e18}), arrays, facts).class_gates == ()


def test_a_resumed_trial_keeps_the_same_bytes(arrays: Arrays, facts: Facts, tmp_path: Path) -> None:
    whole, asked = trained(recipe(facts), arrays, facts), iter(range(1000))
    with pytest.raises(Interrupted):
        trained(recipe(facts), arrays, facts, checkpoints=Checkpoints(tmp_path), should_stop=lambda: next(asked) >= 10)
    resumed = trained(recipe(facts), arrays, facts, checkpoints=Checkpoints(tmp_path))
    assert resumed.progress.sittings == 2
    digests = [gates_file.write(tmp_path / f"{k}.npz", one.class_gates) for k, one in enumerate((whole, resumed))]
    assert digests[0] == digests[1]


# -- the claims


def block(path: str, share: float, spread: float) -> ClassGates:
    """Two classes of 50 images and one channel, with that share and (nearly) that spread."""
    between, within = share * spread**2, (1 - share) * spread**2
    offset, one = np.sqrt(between) * np.array([[1.0], [-1.0]]), np.ones(1, dtype=np.int64)
    return ClassGates(
        path, np.array([50, 50]), np.array([0.5]), offset, np.full((2, 1), np.sqrt(within * 100 / 98)), 0 * one, 0 * one, 0.1, 0.9
    )


PATHS = [f"stages.stage{stage}.unit{unit}.standard" for stage in (1, 2, 3) for unit in (1, 2)]


def look(seed: int, shares: list[float], spreads: list[float], mean: list[float], shuffled: list[float]) -> Look:
    noise = np.random.default_rng(seed).normal(0, 1, (4, 6))
    blocks = [
        BlockRecord(path=path, share=None, limit=None, p=None, mean=20 + m + 0.05 * a, shuffled=20 + s + 0.05 * b)
        for path, m, s, a, b in zip(PATHS, mean, shuffled, noise[0], noise[1], strict=True)
    ]
    common = {"version": 1, "key": "k", "weights": "w", "gates": None, "images": 100, "permutations": 199, "knockout": True, "error": 20.0}
    ran = {"created": "", "commit": None, "dirty": None, "versions": {}, "device": "x", "execution": {}}
    gates = tuple(
        block(path, share * (1 + 0.02 * a), spread * (1 + 0.02 * b))
        for path, share, spread, a, b in zip(PATHS, shares, spreads, noise[2], noise[3], strict=True)
    )
    return Look(str(seed), "k", 20.0, gates, Record.model_validate({**common, **ran, "blocks": blocks}))


PAPERS = ([0.02, 0.03, 0.1, 0.4, 0.4, 0.2], [0.1, 0.1, 0.1, 0.1, 0.1, 0.02], [1, 1, 1, 3, 3, 0.0], [2, 2, 2, 5, 5, 0.1])


def verdicts(*numbers: list[float], seeds: int = 5, converged: bool = True) -> list[tuple[str | None, str]]:
    study: Any = type("Study", (), {"seeds": tuple(map(str, range(seeds))), "delta": 1.0, "converged": converged})
    found = findings(study, [look(seed, *numbers) for seed in range(seeds)])
    return [(answer.verdict, answer.direction) for answer in found.claims]


def test_the_claims_hold_where_a_network_does_what_the_paper_says() -> None:
    assert verdicts(*PAPERS) == [("holds", "agrees")] * 3
    assert verdicts(*PAPERS, converged=False) == [(None, "agrees")] * 3
    assert verdicts(*PAPERS, seeds=2) == [("open", "not resolved")] * 3


def test_the_claims_fail_one_by_one() -> None:
    shares, spreads, mean, shuffled = PAPERS
    assert [v for v, _ in verdicts([0.4, 0.4, 0.1, 0.1, 0.5, 0.2], spreads, mean, shuffled)] == ["fails", "fails", "holds"]
    assert [v for v, _ in verdicts(shares, spreads, mean, [2, 2, 2, -3, 5, 0])] == ["holds", "fails", "holds"]
    assert [v for v, _ in verdicts(shares, spreads, [1, 1, 1, 3, 3, 4.0], shuffled)] == ["holds", "holds", "fails"]
    assert [v for v, _ in verdicts(shares, [*spreads[:5], 0.3], mean, shuffled)] == ["holds", "holds", "fails"]


def test_the_blocks_roles_follow_the_stages() -> None:
    found = roles([block(path, 0.1, 0.1) for path in PATHS])
    assert found is not None
    assert (found.first, found.late, found.last) == (tuple(PATHS[:2]), tuple(PATHS[2:4]), PATHS[5])
    assert found.specific == (PATHS[3], PATHS[4]) and found.before == tuple(PATHS[:5])
    alone = roles([block(path, 0.1, 0.1) for path in PATHS[:5]])
    assert alone is not None and alone.specific == (PATHS[3],), "the last block cannot be class-specific and constant at once"
    assert roles([block(path, 0.1, 0.1) for path in PATHS[:4]]) is None


def test_what_is_drawn_of_many_blocks_and_classes() -> None:
    blocks = [block(f"stages.stage{stage}.unit{unit}.standard", 0.1, 0.1) for stage in (1, 2, 3) for unit in range(1, 19)]
    assert [(b.stage, b.unit) for b in drawn_blocks(blocks)] == [(1, "18"), (2, "18"), (3, "1"), (3, "17"), (3, "18")]
    assert len(drawn_blocks(blocks[:9])) == 9
    assert drawn_classes(10) == list(range(10)) and drawn_classes(100) == [0, 33, 66, 99]


# -- from the command line

TINY = ["--preset", "smoke", "--train.epochs", "1", "--data.train", "300", "--data.test", "150", "--threads", "1"]
SHAPE = ["--net.units", "1,1,2", "--net.widths", "16,16,32", "--net.stem", "8"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def trained_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the variants of a suite over three seeds."""
    workspace = tmp_path_factory.mktemp("excitation")
    words = ["run", "excitation", *TINY, *SHAPE, "--seeds", "3", "--workspace", str(workspace), "--no-mlflow"]
    assert runner.main(words) == 0
    return workspace


@pytest.fixture
def workspace(trained_suite: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_suite, tmp_path / "w"))


@pytest.fixture
def ablate(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = runner.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def page(workspace: Path, variant: str = "sigmoid") -> str:
    return next(workspace.glob(f"reports/*/excitation-{variant}/excitation.md")).read_text(encoding="utf-8")


def key(workspace: Path, seed: int, variant: str = "sigmoid") -> str:
    store = Store(workspace)
    return store.study(store.studies()[0]).variant(variant).keys[str(seed)]


def test_a_page_is_made_of_a_trained_variant_and_nothing_is_computed_twice(
    workspace: Path, ablate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["excitation", "excitation", "sigmoid", "--workspace", workspace, "--threads", 1, "--knockout"]
    code, out, err = ablate(*words)
    assert code == 0, err
    assert [line.partition(":")[0] for line in out.splitlines()] == ["sigmoid, seed 0", "sigmoid, seed 1", "sigmoid, seed 2", "Report"]
    told = page(workspace)
    assert all(f"| {name} " in told for name in ("1.1", "2.1", "3.1", "3.2")) and "block 3.2 for 5.2 and 5.3" in told
    assert "Networks for CIFAR have three stages" in told and "(n = 3)" in told and "differ from the stored ones" not in told
    folder = next(workspace.glob("reports/*/excitation-sigmoid"))
    assert {f.name for f in folder.iterdir()} == {
        "excitation.md",
        *(f"{s}.{e}" for s in ("classes", "depth", "knockout") for e in ("png", "svg")),
    }
    made = {path: path.read_bytes() for path in [*workspace.glob("excitation/*"), *folder.iterdir()]}
    assert len(list(workspace.glob("excitation/*.json"))) == 3 and not list(workspace.glob("excitation/*.npz"))
    monkeypatch.setattr("ablations.excitation._examined", lambda *_: pytest.fail("computed twice"))
    for again in (words, words[:-1]):
        code, out, _ = ablate(*again)
        assert code == 0 and out.startswith("Report")
    assert made == {path: path.read_bytes() for path in made}


def test_the_page_has_the_formats_of_a_report(workspace: Path, ablate: Run) -> None:
    formats = ("md", "html", "pdf", "tex", "csv")
    words = ["excitation", "excitation", "sigmoid", "--workspace", workspace, "--threads", 1, "--knockout", "--format", *formats]
    code, out, err = ablate(*words)
    assert code == 0, err
    assert "excitation.md (excitation.html, excitation.pdf, excitation.tex, gates.csv)" in out
    folder = next(workspace.glob("reports/*/excitation-sigmoid"))
    tables = [block for block in parse((folder / "excitation.md").read_text(encoding="utf-8")) if isinstance(block, Table)]
    assert [plain_text(table.caption).partition(":")[0] for table in tables] == ["Table 1", "Table 2"]
    first, rest = (folder / "excitation.html").read_text(encoding="utf-8").split("\n", 1)
    assert first == "<!DOCTYPE html>"
    page = ET.fromstring(rest)
    for shown, table in zip(page.iter("table"), tables, strict=True):
        lines = [["".join(cell.itertext()) for cell in line] for line in shown.iter("tr")]
        assert lines == [[plain_text(cell) for cell in line] for line in (table.head, *table.rows)]
    assert len(list(page.iter("img"))) == 3
    assert (folder / "excitation.tex").read_text(encoding="utf-8").count("\\begin{table}") == 2
    text = "".join("".join(each.extract_text() for each in PdfReader(folder / "excitation.pdf").pages).split())
    for told in (
        "Change of the top-1 error",
        "Block 2.1, ",
        "shuffled labels, 95 % point",
        *(plain_text(row[2]) for row in tables[0].rows),
    ):
        assert told.replace(" ", "") in text, told
    with (folder / "gates.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    store = Store(workspace)
    looks = read(*chosen(store, "excitation", "sigmoid", None, None), store)
    assert len(lines) == sum(len(look.gates) for look in looks)
    found = [(look, block) for look in looks for block in look.gates]
    for line, (one, block) in zip(lines, found, strict=True):
        known = one.block(block.path)
        assert known is not None and (line["seed"], line["block"]) == (one.seed, block.path)
        numbers = [float(line[name]) for name in ("share_between_classes", "sd_over_images", "error_mean_gates")]
        assert numbers == [block.share, block.spread, known.mean]
    made = {path: path.read_bytes() for path in folder.iterdir()}
    assert ablate(*words)[0] == 0
    assert made == {path: path.read_bytes() for path in made}


def test_a_suites_report_names_the_command_of_the_page(workspace: Path, ablate: Run) -> None:
    assert ablate("report", "excitation", "--workspace", workspace)[0] == 0
    report = next(workspace.glob("reports/*/report.md"))
    section = report.read_text(encoding="utf-8").partition("## The role of excitation")[2].partition("##")[0]
    assert "The gates of the variants relu, tanh, sigmoid are stored by class." in section
    (command,) = [line.strip() for line in section.splitlines() if line.startswith("    ")]
    assert command == f"ablate excitation {report.parent.name} sigmoid"
    assert ablate(*shlex.split(command)[1:], "--workspace", workspace, "--threads", 1)[0] == 0
    for kept in workspace.glob("trials/*/gates.npz"):
        kept.unlink()
    shutil.rmtree(workspace / "excitation")
    assert ablate("report", "excitation", "--workspace", workspace)[0] == 0
    assert "The role of excitation" not in report.read_text(encoding="utf-8")


def test_redrawing_the_page_loads_no_torch(workspace: Path, ablate: Run) -> None:
    assert ablate("excitation", "excitation", "sigmoid", "--workspace", workspace, "--threads", 1)[0] == 0
    code = f"import runner, sys; runner.main(['excitation', 'excitation', 'sigmoid', '--workspace', {str(workspace)!r}]); "
    done = subprocess.run([sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Not measured" in page(workspace)


def test_what_was_found_is_what_training_saw(workspace: Path, ablate: Run) -> None:
    """The gates kept by the trial, and those of its weights looked at later; the error too."""
    store, name = Store(workspace), key(workspace, 1)
    kept, result = store.class_gates(name), store.result(name)
    assert kept is not None and result is not None and result.errors is not None
    (store.trial(name) / "gates.npz").unlink()
    assert ablate("excitation", "excitation", "sigmoid", "--seed", 1, "--workspace", workspace, "--threads", 1)[0] == 0
    study, variant = chosen(store, "excitation", "sigmoid", None, None)
    (found,) = [one for one in read(study, variant, store) if one.seed == "1"]
    assert found.record is not None and found.record.error == result.errors.top1
    assert found.record.gates is not None and (workspace / "excitation" / f"{name}.npz").is_file()
    for a, b in zip(kept, found.gates, strict=True):
        assert a.path == b.path and np.array_equal(a.average, b.average) and np.array_equal(a.offset, b.offset)
    assert [b.share for b in found.record.blocks] == pytest.approx([b.share for b in kept], abs=2e-3)


def test_without_weights_the_gates_alone_are_told_and_without_both_it_says_so(workspace: Path, ablate: Run) -> None:
    for weights in workspace.glob("trials/*/weights.pt"):
        weights.unlink()
    code, out, _ = ablate("excitation", "excitation", "sigmoid", "--knockout", "--workspace", workspace)
    assert code == 0 and out.count("weights.pt is not in the trial's folder, so there are no shuffled labels") == 3
    assert "Not measured" in page(workspace) and "how much, was not looked at" in page(workspace)
    (Store(workspace).trial(key(workspace, 0)) / "gates.npz").unlink()
    code, out, _ = ablate("excitation", "excitation", "sigmoid", "--workspace", workspace)
    assert code == 0 and "its gates were not kept, so there is nothing to look at" in out and "seeds 1, 2." in page(workspace)


def test_gates_that_leave_0_to_1_are_not_called_saturated(workspace: Path, ablate: Run) -> None:
    assert ablate("excitation", "excitation", "tanh", "--workspace", workspace, "--threads", 1)[0] == 0
    assert "some of these leave that range" in page(workspace, "tanh")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["excitation", "sigmoide"], "variant of the study 'excitation-smoke-.*' named 'sigmoide'; did you mean 'sigmoid'"),
        (["excitation", "none"], "has no block, so it has no gates"),
        (["excitation", "sigmoid", "--seed", "7"], "seed of the variant 'sigmoid' named '7'"),
        (["excitation", "sigmoid", "--dataset", "cifar10"], "was trained on the data set 'cifar10'"),
        (["excitement", "sigmoid"], "study or suite in this workspace named 'excitement'"),
    ],
)
def test_a_mistake_is_a_sentence(trained_suite: Path, ablate: Run, words: list[str], sentence: str) -> None:
    code, _, err = ablate("excitation", *words, "--workspace", trained_suite)
    assert code == 2
    assert re.search(sentence, " ".join(err.split())), err


def test_weights_and_records_that_are_not_what_was_written_are_named(workspace: Path, ablate: Run) -> None:
    name = key(workspace, 0)
    weights = Store(workspace).trial(name) / "weights.pt"
    weights.write_bytes(weights.read_bytes() + b"x")
    code, _, err = ablate("excitation", "excitation", "sigmoid", "--seed", 0, "--workspace", workspace)
    assert code == 1 and "weights.pt is not what its result.json was written for" in " ".join(err.split())
    (workspace / "excitation").mkdir(exist_ok=True)
    (workspace / "excitation" / f"{name}.json").write_text("{")
    code, _, err = ablate("excitation", "excitation", "sigmoid", "--seed", 0, "--workspace", workspace)
    assert code == 1 and f"excitation/{name}.json is damaged" in " ".join(err.split())


def test_a_network_that_todays_code_builds_otherwise_is_refused(workspace: Path, ablate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("senet_core.identity.trial_key", lambda *_: "0" * 12)
    code, _, err = ablate("excitation", "excitation", "sigmoid", "--workspace", workspace)
    assert code == 2 and "is another one in today's code" in " ".join(err.split())


def test_the_store_verifies_gates_that_are_there_and_does_without_them(workspace: Path) -> None:
    store, name = Store(workspace), key(workspace, 0)
    assert "gates.npz" in json.loads((store.trial(name) / "result.json").read_text())["provenance"]["digests"]
    file = store.trial(name) / "gates.npz"
    content = file.read_bytes()
    file.unlink()
    assert store.state(name) == "done" and store.class_gates(name) is None
    file.write_bytes(content + b"x")
    assert store.state(name) == "damaged"
    with pytest.raises(DamagedStore, match=r"gates\.npz"):
        store.class_gates(name)
    plain = key(workspace, 0, "none")
    assert store.class_gates(plain) is None and not (store.trial(plain) / "gates.npz").exists()
