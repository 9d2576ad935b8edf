"""A user's own files: each template runs as it is written, and a block that breaks the contract is refused before anything trains."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runner
from ablations import asked
from ablations.options import parser, take_recipe
from ablations.planning import DataSource, plan_study
from ablations.suite import SUITES
from ablations.templating import KINDS, new
from senet_core.config import Config
from senet_core.dataset import Arrays, Facts
from senet_core.errors import InputError
from senet_core.own_files import mistakes, refuse_arrays
from senet_core.registry import BLOCKS, DATASETS, NETWORKS, load_file

TINY = ["--preset", "smoke", "--train.epochs", "1", "--seeds", "1", "--threads", "1", "--no-mlflow"]
SMALL = ["--data.train", "256", "--data.test", "128"]

BROKEN = """
import torch
from torch import nn
from senet_core.registry import BLOCKS


@BLOCKS.add("leaky_{tag}")
class Leaky(nn.Module):
    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return x * self.scale * torch.sigmoid(x.mean(0, keepdim=True))
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a test loads is known to that test alone; what it makes ours import stays."""
    before = {kind: set(registry.names()) for kind, registry in KINDS.items()}
    yield
    for kind, registry in KINDS.items():
        for name in set(registry.names()) - before[kind]:
            del registry._entries[name]


def test_a_new_block_keeps_the_contract_and_gets_the_same_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = new("block", "fresh_block", tmp_path)
    assert runner.main(["check", str(file)]) == 0
    told = capsys.readouterr().out
    assert "fresh_block: keeps the contract" in told and "0 % of its gates are dead" in told
    words = ["run", "stages", *TINY, *SMALL, "--load", str(file), "--block", "fresh_block", "--workspace", str(tmp_path / "w")]
    assert runner.main([*words, "--net.block.start", "0.5"]) == 0
    assert "fresh\\_block (start 0.5)" in next((tmp_path / "w").rglob("report.md")).read_text(encoding="utf-8")


def test_a_new_suite_runs_as_it_is(tmp_path: Path) -> None:
    file = new("suite", "fresh_suite", tmp_path)
    words = ["run", "fresh_suite", *TINY, *SMALL, "--load", str(file), "--workspace", str(tmp_path / "w")]
    assert runner.main(words) == 0
    text = next((tmp_path / "w").rglob("report.md")).read_text(encoding="utf-8")
    assert "block, half the rate" in text and "The block is better than none." in text


def test_a_new_network_takes_blocks(tmp_path: Path) -> None:
    file = new("network", "fresh_network", tmp_path)
    words = ["run", "squeeze", *TINY, *SMALL, "--load", str(file), "--net.name", "fresh_network", "--workspace", str(tmp_path / "w")]
    assert runner.main(words) == 0
    assert "fresh\\_network" in next((tmp_path / "w").rglob("report.md")).read_text(encoding="utf-8")


def test_a_new_data_set_is_read(tmp_path: Path) -> None:
    file, draw = new("dataset", "fresh_data", tmp_path), np.random.default_rng(0)
    sides = {name: (draw.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), np.arange(n) % 2) for name, n in (("train", 128), ("test", 64))}
    np.savez(
        tmp_path / "fresh_data.npz",
        **{f"{name}_{what}": side[place] for name, side in sides.items() for place, what in enumerate(("images", "labels"))},
    )
    data = ["--load", str(file), "--dataset", "fresh_data", "--data-root", str(tmp_path)]
    assert runner.main(["run", "squeeze", *TINY, *data, "--workspace", str(tmp_path / "w")]) == 0
    assert "FreshData" in next((tmp_path / "w").rglob("report.md")).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_broken_block_is_refused_before_anything_trains(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    file = tmp_path / "leaky.py"
    file.write_text(BROKEN.format(tag=command))
    words = [command, "stages", "--preset", "smoke", "--load", str(file), "--block", f"leaky_{command}", "--workspace", str(tmp_path / "w")]
    assert runner.main(words) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"The block 'leaky_{command}' breaks the contract" in told and "other images of its batch" in told
    assert not list((tmp_path / "w").rglob("*.json"))


def test_check_names_every_fault_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "leaky.py"
    file.write_text(BROKEN.format(tag="checked"))
    assert runner.main(["check", str(file)]) == 1
    told = capsys.readouterr().out
    assert "leaky_checked: breaks the contract of a block" in told and "an image's output depends on the other images" in told


def test_a_file_without_a_block_says_how_to_get_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "empty.py"
    file.write_text("")
    assert runner.main(["check", str(file)]) == 2
    assert "ablate new block NAME" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_are_taken_or_cannot_be_are_refused(tmp_path: Path, kind: str) -> None:
    taken = {"block": "se", "network": "resnet", "dataset": "digits", "suite": "squeeze", "space": "se_design"}.get(kind, "taken_already")
    if kind == "loop":  # of which we have none
        load_file(new(kind, taken, tmp_path / "elsewhere"))
    for name, told in ((taken, "already"), ("Has Space", "cannot be a name"), ("class", "cannot be a name"), ("2nd", "cannot be a name")):
        with pytest.raises(InputError, match=told):
            new(kind, name, tmp_path)
    file = new(kind, "once_only", tmp_path)
    file.write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        new(kind, "once_only", tmp_path)
    assert file.read_text() == "mine"


def test_block_and_net_block_are_one_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "stages", "--preset", "smoke", "--block", "eca", "--net.block", "se", "--workspace", str(tmp_path)]
    assert runner.main(words) == 2
    assert "say the same" in " ".join(capsys.readouterr().err.split())


MISTAKES = [
    (
        "suite",
        ('reference="block",\n        variants', 'reference="block",\n        qestion="",\n        variants'),
        "qestion: extra inputs are not permitted",
    ),
    ("suite", ("return Suite(", "return dict("), "returns dict and no Suite"),
    ("suite", ("base.train.lr / 2", "base.train.learning_rate / 2"), r"at line 20 of .*no attribute 'learning_rate'"),
    ("suite", ('("net.block", "train.lr")', '("net.block",)'), "changes train.lr, which is no factor of the suite"),
    ("network", ("def stage_count", "def stages_count"), "has no attribute 'stage_count'"),
    ("network", ("    placements: ", "    placement: "), "has no attribute 'placements'"),
    ("network", ("attach: Attach, *", "attach: Attach, extra, *"), "missing 1 required positional argument: 'extra'"),
    ("network", ("return self.head(", "return self.haed("), r"at line \d+ of .*no attribute 'haed'"),
    ("network", ("return self.head(x.mean((2, 3)))", "return x.mean((2, 3))"), r"gives the shape \(16, 64\), not \(16, 10\)"),
]


@pytest.mark.parametrize(("kind", "mistake", "told"), MISTAKES)
def test_a_mistake_in_a_file_is_a_sentence(tmp_path: Path, kind: str, mistake: tuple[str, str], told: str) -> None:
    file = new(kind, f"wrong_{kind}", tmp_path)
    text = file.read_text()
    assert mistake[0] in text
    file.write_text(text.replace(*mistake))
    name = ["wrong_suite"] if kind == "suite" else ["squeeze", "--net.name", "wrong_network"]
    rest, recipe = take_recipe(["plan", *name, "--preset", "smoke", "--data.train", "256", "--workspace", str(tmp_path / "w")])
    load_file(file)
    options = parser(runner.COMMANDS).parse_args(rest)
    options.recipe = recipe
    with pytest.raises(InputError, match=told):
        plan_study(rest[1], asked.order(options), asked.source(options))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train_images": np.zeros((4, 3, 8, 8), np.uint8)}, r"train images of shape \(4, 3, 8, 8\) .* that is \(N, H, W, C\)"),
        ({"test_images": np.zeros((2, 8, 8, 3), np.float32)}, "type float32"),
        ({"test_labels": np.zeros(3, np.int64)}, r"test labels of shape \(3,\)"),
        ({"train_labels": np.array([0, 1, 2, 1])}, "train labels from 0 to 2; its 2 classes are counted from 0 to 1"),
    ],
)
def test_images_that_do_not_fit_their_facts_are_refused(changes: dict[str, np.ndarray], told: str) -> None:
    facts = Facts("Mine", ("a", "b"), 8, 3, 4, 2, ())
    images = {"train_images": np.zeros((4, 8, 8, 3), np.uint8), "test_images": np.zeros((2, 8, 8, 3), np.uint8)}
    sound = Arrays(**images, train_labels=np.array([0, 1, 0, 1]), test_labels=np.array([0, 1]))
    refuse_arrays("mine", sound, facts)
    with pytest.raises(InputError, match=told):
        refuse_arrays("mine", replace(sound, **changes), facts)


def test_of_a_data_set_of_ones_own_with_a_hold_out_no_test_label_is_read(tmp_path: Path) -> None:
    """Neither to check it nor to train: whatever asks for its test side fails."""

    class Closed(Arrays):
        def __getattribute__(self, name: str) -> Any:
            if name.startswith("test_"):
                raise AssertionError(f"{name} was read")
            return super().__getattribute__(name)

    class Blind:
        def __init__(self, root: Path | None, cache: Path | None) -> None:
            pass

        def facts(self) -> Facts:
            return Facts("Blind", ("a", "b"), 8, 3, 8, 4, ())

        def arrays(self) -> Arrays:
            images = np.zeros((8, 8, 8, 3), np.uint8)
            return Closed(images, np.arange(8) % 2, images[:4], np.arange(4) % 2)

    DATASETS.add("blind", version=1)(Blind)
    object.__setattr__(DATASETS["blind"], "source", "of a file")
    try:
        source = DataSource(None, tmp_path)
        config = Config.of({"net": {"name": "resnet", "units": [1], "widths": [8]}, "data": {"name": "blind", "holdout": 2}})
        source.prepare(config)
        seen = source.arrays(config)
        assert len(seen.train_labels) == 8 and len(seen.test_labels) == len(seen.test_images) == 0
        with pytest.raises(AssertionError, match="test_images was read"):
            source.arrays(config.but({"data.holdout": 0}))
    finally:
        DATASETS._entries.pop("blind")


def test_describe_tells_a_mistake_in_a_network_as_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = new("network", "headless", tmp_path)
    file.write_text(file.read_text().replace("return self.head(", "return self.haed("))
    words = ["describe", "--preset", "smoke", "--load", str(file), "--net.name", "headless"]
    assert runner.main(words) == 2
    assert "The network 'headless' fails before anything trains, at line" in " ".join(capsys.readouterr().err.split())


def test_our_own_mistakes_keep_their_traceback() -> None:
    with pytest.raises(KeyError), mistakes("The network 'resnet'", NETWORKS["resnet"]):
        raise KeyError("ours")


SUITE_OF_A_BLOCK = """
from pathlib import Path
from ablations.suite import SUITES, Suite, Variant
from senet_core.registry import load_file

load_file(Path(__file__).with_name("loaded_gate.py"))


@SUITES.add("loaded_suite")
def loaded_suite(setting):
    base = setting.base.but({"net.block": {"name": "loaded_gate"}})
    variants = (Variant(name="gate", config=base), Variant(name="none", config=base.but({"net.block": None})))
    return Suite(name="loaded_suite", title="T", question="Q?", source="S", factor=("net.block",), reference="gate", variants=variants)
"""


def test_an_edited_block_is_trained_anew_and_an_edited_question_trains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, suite = new("block", "loaded_gate", tmp_path), tmp_path / "loaded_suite.py"
    suite.write_text(SUITE_OF_A_BLOCK)
    words = ["run", "loaded_suite", *TINY, *SMALL, "--load", str(suite), "--workspace", str(tmp_path / "w")]

    def trained() -> str:
        for registry in (BLOCKS, SUITES):  # each run is a process of its own for a user
            for name in ("loaded_gate", "loaded_suite"):
                registry._entries.pop(name, None)
        for name in [name for name in sys.modules if name.startswith("loaded_")]:
            monkeypatch.delitem(sys.modules, name)
        assert runner.main(words) == 0
        return capsys.readouterr().out

    assert "2 trained" in trained()
    suite.write_text(SUITE_OF_A_BLOCK.replace("Q?", "Another question?"))
    assert "0 trained" in trained()
    gate.write_text(gate.read_text().replace("* mean + self.shift", "* mean * 2 + self.shift"))
    assert "1 trained" in trained()


def test_what_looks_like_an_option_and_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = new("block", "starless", tmp_path)
    file.write_text(file.read_text().replace("*, start", "start"))
    assert runner.main(["check", str(file)]) == 0
    assert "'start' is no option, as it stands before the *" in capsys.readouterr().out
    file = new("block", "placeless", tmp_path)
    file.write_text(file.read_text().replace("channels: int, size: int, *", "channels: int, *"))
    assert runner.main(["check", str(file)]) == 2
    assert "built from channels, size" in " ".join(capsys.readouterr().err.split())
