"""A user's own files: each template runs as it is written, and a block that breaks the contract is refused before anything trains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import runner
from ablations.templating import KINDS, new
from senet_core.errors import InputError

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
    taken = {"block": "se", "network": "resnet", "dataset": "digits", "suite": "squeeze"}[kind]
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
