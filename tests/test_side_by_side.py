"""Two variants, studies or workspaces beside each other: the numbers against the stored images."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from test_report import WRONG, key, line, make_result, make_store, make_study, save

import runner
from ablations.side_by_side import place, studies, variants, workspaces
from ablations.store import Correctness, Store
from report.side_by_side import studies_page, variants_page, workspaces_page
from senet_core.errors import InputError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with one study of four variants at three seeds; the last seed of r=4 has diverged."""
    store, _ = make_store(tmp_path / "runs", WRONG | {"r=4": [51, 50, None]})
    save(store, key(3, 2), None)
    return tmp_path / "runs"


def test_two_variants_are_compared_image_by_image(root: Path) -> None:
    pair = variants(place("reduction:r=8", root), place("reduction:none", root))
    store = Store(root)
    for one, seed in zip(pair.seeds, range(3), strict=True):
        a, b = (store.correctness(key(variant, seed)).top1 for variant in (2, 1))
        assert (one.won, one.lost) == (int(np.sum(a > b)), int(np.sum(b > a)))
        assert one.won - one.lost == round((one.b - one.a) / 100 * 1000)
    assert sum(each.images for each in pair.classes) == 1000
    weighted = sum(each.difference.mean * each.images for each in pair.classes if each.difference.mean is not None) / 1000
    assert weighted == pytest.approx(pair.difference.mean)
    assert pair.changes == {}


def test_the_page_of_two_variants_reads_seed_by_seed(root: Path) -> None:
    text = variants_page(variants(place("reduction:r=4", root), place("reduction:none", root)))
    assert "A errs on 5.05 ± 0.64 % (n = 2), B on 6.50 ± 0.90 % (n = 3); A − B, paired: −1.30 points (n = 2" in text
    seeds = text.partition("## Errors")[2].partition("##")[0]
    assert [cell.strip() for cell in line(seeds, "| seed 0 ").split("|")[2:5]] == ["5.10", "6.10", "−1.00"]
    assert "Nothing in their configs." in text and "## Errors by class" in text


def test_images_that_are_not_the_same_are_not_matched(root: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "other")
    study = make_study(["r=16"], 1)
    store.save_study(study)
    right, labels = np.ones(1000, bool), np.arange(1000, dtype=np.uint8) // 100
    digest = store.save_correctness(key(0, 0), Correctness(right, right, labels))
    store.save_result(make_result(key(0, 0), 0, {"correct.npz": digest}))
    pair = variants(place("reduction:r=16", root), place(f"{store.root}/reduction:r=16", root))
    assert (pair.difference.mean, pair.seeds, pair.classes) == (5.0, (), ())
    assert "not evaluated on the same images" in variants_page(pair)


def test_two_studies_share_variants_and_trials(root: Path, tmp_path: Path) -> None:
    store = Store(root)
    other = make_study(["r=16", "mine"], 2, name="mine-quick", suite="mine", delta=0.2)
    store.save_study(other)
    save(store, "00000100ffff", 44)
    pair = studies(place("reduction", root), place("mine", root))
    assert [(one.name, one.same_trials, one.seeds) for one in pair.shared] == [("r=16", 2, 2)]
    assert (pair.only_a, pair.only_b) == (("none", "r=8", "r=4"), ("mine",))
    assert pair.settings["delta"] == (0.5, 0.2)
    text = studies_page(pair)
    assert "Only in B: mine." in text and "| r=16" in text and "2 of 2" in text


def test_two_workspaces_tell_which_trials_did_not_give_the_same(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    assert "Those in both gave the same numbers." in workspaces_page(workspaces(place(str(root), root), place(str(copy), root)))
    shutil.rmtree(copy / "trials" / key(0, 0))
    save(Store(copy), key(0, 0), 77)
    shutil.rmtree(copy / "trials" / key(1, 1))
    pair = workspaces(place(str(root), root), place(str(copy), root))
    assert list(pair.differing) == [key(0, 0)] and pair.trials == (11, 1, 0)
    assert "1 of those in both did not give the same:" in workspaces_page(pair)


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ("reduction:r=99", "reduction:none", "did you mean"),
        ("reducton", "reduction", "did you mean 'reduction'"),
        ("reduction:none", "reduction", "Compare like with like"),
    ],
)
def test_what_cannot_be_compared_is_refused(root: Path, a: str, b: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["compare", a, b, "--workspace", str(root)]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_a_name_of_several_studies_is_refused(root: Path) -> None:
    Store(root).save_study(make_study(["r=16"], 1, name="reduction-full", preset="full"))
    with pytest.raises(InputError, match="several studies of that workspace; name one of: reduction-full, reduction-quick"):
        place("reduction", root)


def test_the_command_writes_the_page(root: Path, tmp_path: Path) -> None:
    words = ["compare", "reduction:r=8", "reduction:r=16", "--workspace", str(root), "--out", str(tmp_path / "out")]
    assert runner.main(words) == 0
    assert (tmp_path / "out" / "compare.md").read_text(encoding="utf-8").startswith("# A: reduction:r=8")
