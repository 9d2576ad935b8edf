"""Two variants, studies or workspaces beside each other: the numbers against the stored images."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_report import WRONG, key, line, make_result, make_store, make_study, save

import runner
from ablations.matching import matched
from ablations.side_by_side import place, studies, variants, workspaces
from ablations.store import Correctness, Store
from ablations.study import Study, StudyVariant
from ablations.training_time import TrainingTime
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
    assert (pair.changes, pair.same_trials) == ({}, 0)


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


def test_two_studies_share_variants_and_trials(root: Path) -> None:
    store = Store(root)
    other = make_study(["r=16", "mine", "third"], 2, name="mine-quick", suite="mine", delta=0.2)
    third = with_keys(other.variants[2], "c", {"train.epochs": 7})
    store.save_study(other.model_copy(update={"variants": (*other.variants[:2], third)}))
    pair = studies(place("reduction", root), place("mine", root))
    assert [(one.match.a.name, one.match.b.name, one.match.how, one.same_trials, one.seeds) for one in pair.shared] == [
        ("r=16", "r=16", "trials", 2, 2), ("none", "mine", "trials", 2, 2),
    ]  # fmt: skip
    assert (pair.only_a, pair.only_b) == (("r=8", "r=4"), ("third",))
    assert pair.settings["delta"] == (0.5, 0.2)
    text = studies_page(pair)
    assert "Only in B: third." in text and "2 of 2" in text
    assert [cell.strip() for cell in line(text, "| none (B: mine)").split("|")[2:5]] == ["trials", "6.50 ± 0.90", "6.3 ± 3.2"]


def with_keys(variant: StudyVariant, start: str, config: dict[str, Any] | None = None) -> StudyVariant:
    """The variant with trials and, where they are given, recipe fields of its own."""
    keys = {seed: start + key[1:] for seed, key in variant.keys.items()}
    return variant.model_copy(update={"keys": keys, "config": variant.config.but(config or {})})


def one_study(*variants: tuple[str, str, dict[str, Any]]) -> Study:
    """A study of variants by (name, what its keys start with, its recipe)."""
    made = make_study([name for name, _, _ in variants], 2)
    own = [with_keys(variant, start, config) for variant, (_, start, config) in zip(made.variants, variants, strict=True)]
    return made.model_copy(update={"variants": tuple(own)})


REDUCED = {"net.block.reduction": 8}


def test_variants_are_matched_by_trials_then_by_config_then_by_name() -> None:
    a = one_study(("ref", "a", {}), ("half", "b", REDUCED), ("r=8", "d", {"net.block.reduction": 4}), ("only", "e", {"train.epochs": 9}))
    b = one_study(("ref", "f", {}), ("r=8", "c", REDUCED), ("shared", "d", {"net.block.reduction": 4}), ("more", "g", {"train.epochs": 8}))
    b = b.model_copy(update={"variants": (*b.variants[:2], b.variants[2].model_copy(update={"keys": a.variants[2].keys}), b.variants[3])})
    assert [(one.a.name, one.b.name, one.how) for one in matched(a, b)] == [
        ("ref", "ref", "config"), ("half", "r=8", "config"), ("r=8", "shared", "trials"),
    ]  # fmt: skip
    assert [(one.b.name, one.a.name) for one in matched(b, a)] == [("ref", "ref"), ("half", "r=8"), ("r=8", "shared")]


def test_of_several_of_one_config_that_of_the_same_name_is_matched() -> None:
    a = one_study(("ref", "a", {}), ("x", "b", REDUCED), ("y", "c", REDUCED))
    b = one_study(("ref", "d", {}), ("y", "e", REDUCED), ("z", "f", REDUCED))
    assert [(one.a.name, one.b.name) for one in matched(a, b)] == [("ref", "ref"), ("x", "z"), ("y", "y")]


def test_one_name_for_two_configs_is_told(root: Path, tmp_path: Path) -> None:
    longer = {"train.epochs": 40}
    one = one_study(("ref", "a", {}), ("r=8", "b", REDUCED))
    two = one_study(("ref", "c", longer), ("r=8", "d", {"net.block.reduction": 4} | longer))
    stores = Store(tmp_path / "one"), Store(tmp_path / "two")
    for store, study in zip(stores, (one, two), strict=True):
        store.save_study(study)
    pair = studies(place(f"{stores[0].root}/reduction", root), place(f"{stores[1].root}/reduction", root))
    assert [one.match.how for one in pair.shared] == ["name", "name"]
    assert [dict(one.match.besides) for one in pair.shared] == [{}, {"net.block.reduction": (8, 4)}]
    text = studies_page(pair)
    assert "r=8 has one name and two configs: besides what differs in the references, `net.block.reduction` (8 in A, 4 in B)." in text
    assert (
        text.count("two configs") == 1 and "| `train.epochs` (of the references)" not in text and "train.epochs (of the references)" in text
    )


def test_training_time_stands_beside_the_other_costs(root: Path) -> None:
    store = Store(root)
    for seed, seconds, device in ((0, 12.25, "A processor"), (1, 30.0, "A processor"), (2, 200.0, "Another processor")):
        result = store.result(key(2, seed))
        assert result is not None
        (store.trial(key(2, seed)) / "result.json").unlink()
        timing, ran = result.timing.model_copy(update={"total": seconds}), result.provenance.model_copy(update={"device": device})
        store.save_result(result.model_copy(update={"timing": timing, "provenance": ran}))
    pair = variants(place("reduction:r=8", root), place("reduction:none", root))
    assert pair.times == (
        TrainingTime(30.0, ("A processor, 2 threads", "Another processor, 2 threads")),
        TrainingTime(10.0, ("A processor, 2 threads",)),
    )
    text = variants_page(pair)
    assert [cell.strip() for cell in line(text, "| seconds a trial, median").split("|")[2:4]] == ["30.0", "10.0"]
    assert "those of B on A processor, 2 threads: **the times are not of one machine" in text
    same = variants_page(variants(place("reduction:none", root), place("reduction:r=16", root)))
    assert "All trials ran on A processor, 2 threads." in same and "one machine" not in same
    both = studies_page(studies(place("reduction", root), place("reduction", root)))
    assert [cell.strip() for cell in line(both.partition("## Cost")[2], "| r=8").split("|")[2:6]] == ["100,002", "41.2 M", "30.0", "30.0"]
    assert "The trials of both ran on A processor, 2 threads and Another processor, 2 threads: **the times" in both


def test_a_variant_without_a_finished_trial_has_no_time(tmp_path: Path) -> None:
    store, _ = make_store(tmp_path, {"r=16": [50, 51], "r=8": [None, None]})
    text = variants_page(variants(place("reduction:r=16", tmp_path), place("reduction:r=8", tmp_path)))
    assert line(text, "| seconds a trial, median").split("|")[3].strip() == "–"
    assert "The trials ran on A processor, 2 threads." in text and "no finished seed in common" in text
    assert store.root == tmp_path


def test_the_very_same_trials_are_told(root: Path) -> None:
    text = variants_page(variants(place("reduction:none", root), place("reduction:none", root)))
    assert "3 of these seeds are the very same trials in both" in text


def test_two_workspaces_tell_which_trials_did_not_give_the_same(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    assert "Those in both gave the same numbers." in workspaces_page(workspaces(place(str(root), root), place(str(copy), root)))
    shutil.rmtree(copy / "trials" / key(0, 0))
    save(Store(copy), key(0, 0), 77)
    shutil.rmtree(copy / "trials" / key(1, 1))
    pair = workspaces(place(str(root), root), place(str(copy), root))
    assert list(pair.differing) == [key(0, 0)] and pair.trials == (11, 1, 0)
    text = workspaces_page(pair)
    assert "1 of those in both did not give the same:" in text
    assert "The median trial of those in both took 10.0 seconds in A and 10.0 in B. All trials ran on A processor, 2 threads." in text


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
