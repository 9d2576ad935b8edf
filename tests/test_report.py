"""The report: its numbers against the stored images, its words for holes, and its bytes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from ablations.result import Epoch, Errors, Gates, Provenance, Result, Timing
from ablations.statistics.estimation import Estimate
from ablations.statistics.rounding import decimals, difference_text, error_text, number, rounded_up
from ablations.store import Correctness, Failure, Store
from ablations.study import Cost, Start, Study, StudyData, StudyVariant
from ablations.suite import Claim, Contrast
from report import drawings
from report.captions import Captions
from report.document import Page, markdown_page, summary, write
from report.figures import curves, dots, style
from report.numbers import plain, widths_text
from report.overview import overview
from report.record import command, commands
from report.rows import read, rows
from senet_core.config import Config
from senet_core.errors import InputError

IMAGES = 1000
FORMATS = ("md", "html", "pdf", "tex", "csv")
WRONG: dict[str, list[int | None]] = {"r=16": [50, 52, 57], "none": [61, 66, 68], "r=8": [49, 53, 55], "r=4": [51, 50, 58]}
"""How many of the test images each seed gets wrong; None is a seed without a trial."""
PUBLISHED = {"none": "original", "r=16": "r=16", "r=8": "r=8", "r=4": "r=4"}


def key(variant: int, seed: int) -> str:
    """A trial's key in these tests."""
    return f"{variant:06x}{seed:06x}"


def make_study(names: Sequence[str], seeds: int, **changes: object) -> Study:
    """A study with these variants, the first its reference."""
    config = Config.of({"net": {"name": "resnet", "block": {"name": "se", "reduction": 16}}})
    variants = tuple(
        StudyVariant(
            name=name,
            config=config,
            changes={},
            cost=Cost(parameters=100_000 + place, macs=41_230_000, hidden_widths=(4, 4, 8, 16)),
            keys={str(seed): key(place, seed) for seed in range(seeds)},
            published=PUBLISHED.get(name),
        )
        for place, name in enumerate(names)
    )
    fields: dict[str, object] = {
        "name": "reduction-quick",
        "suite": "reduction",
        "title": "The reduction ratio",
        "question": "How narrow may the bottleneck be?",
        "source": "Hu et al., Table 10",
        "table": "T10",
        "factor": ("net.block.reduction",),
        "reference": names[0],
        "claims": (),
        "notes": ("The network is smaller.",),
        "preset": "quick",
        "overrides": {},
        "delta": 0.5,
        "converged": False,
        "data": StudyData(
            label="Digits",
            fingerprint=None,
            classes=tuple("0123456789"),
            size=32,
            channels=3,
            train=5000,
            evaluated=IMAGES,
            evaluated_on="test",
        ),
        "seeds": tuple(str(seed) for seed in range(seeds)),
        "variants": variants,
    }
    return Study.model_validate(fields | changes)


def make_result(name: str, wrong: int | None, digests: Mapping[str, str], **ran: object) -> Result:
    """The result of a trial with so many wrong images; None is one that diverged."""
    errors = None if wrong is None else Errors(top1=100 * wrong / IMAGES, top5=0.5, loss=0.2, images=IMAGES)
    provenance = {
        "created": "2025-01-01T00:00:00Z",
        "commit": "abc1234",
        "dirty": False,
        "versions": {"torch": "2.11"},
        "device": "A processor",
        "execution": {"threads": 2},
        "sittings": 1,
        "digests": dict(digests),
    }
    return Result(
        key=name,
        config=Config(),
        seed=0,
        status="diverged" if wrong is None else "done",
        errors=errors,
        cost=Cost(parameters=1, macs=1),
        evaluated_on="test",
        data_label="Digits",
        history=tuple(Epoch(epoch=e, loss=1.0, error=60.0 / (1 + e) + (wrong or 0) / 50, lr=0.1) for e in range(10)),
        timing=Timing(epochs=(1.0,) * 10, evaluation=0.1, total=10.0, images_per_second=5000.0),
        provenance=Provenance.model_validate(provenance | ran),
    )


def save(store: Store, name: str, wrong: int | None, **ran: object) -> None:
    """Store a trial with so many wrong images, chosen at random."""
    digests = {}
    if wrong is not None:
        right = np.ones(IMAGES, bool)
        right[np.random.default_rng(wrong).permutation(IMAGES)[:wrong]] = False
        labels = np.arange(IMAGES, dtype=np.uint8) % 10
        digests["correct.npz"] = store.save_correctness(name, Correctness(right, np.ones(IMAGES, bool), labels))
    store.save_result(make_result(name, wrong, digests, **ran))


def make_store(root: Path, wrong: Mapping[str, Sequence[int | None]], **changes: object) -> tuple[Store, Study]:
    """A store with one study and its trials, the first variant its reference."""
    store = Store(root)
    study = make_study(list(wrong), max(len(seeds) for seeds in wrong.values()), **changes)
    store.save_study(study)
    for place, seeds in enumerate(wrong.values()):
        for seed, count in enumerate(seeds):
            if count is not None:
                save(store, key(place, seed), count)
    return store, study


def page(store: Store, out: Path) -> str:
    """The Markdown of the only study's report."""
    (done,) = write(["reduction-quick"], store, out)
    return done.files[0].read_text(encoding="utf-8")


def words(store: Store) -> str:
    """The same without its figures, which take most of the time."""
    return markdown_page(Page(read(store.study("reduction-quick"), store), store, {}), Captions())


def line(text: str, start: str) -> str:
    """The first line of a page that begins so."""
    return next(line for line in text.splitlines() if line.startswith(start))


def test_the_table_agrees_with_the_stored_images(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, WRONG)
    for row in rows(study, store):
        place, reference = list(WRONG).index(row.variant), 0
        error = [100 * (1 - store.correctness(key(place, s)).top1.mean()) for s in range(3)]
        base = [100 * (1 - store.correctness(key(reference, s)).top1.mean()) for s in range(3)]
        assert row.error.mean == pytest.approx(sum(error) / 3)
        deviation = (sum((e - sum(error) / 3) ** 2 for e in error) / 2) ** 0.5
        assert row.error.half_width == pytest.approx(4.302652729911275 * deviation / 3**0.5)
        if row.comparison is not None:
            assert row.comparison.mean == pytest.approx(sum(e - b for e, b in zip(error, base, strict=True)) / 3)


def test_the_page_shows_the_numbers_and_the_papers_in_columns_of_their_own(tmp_path: Path) -> None:
    store, _ = make_store(tmp_path, WRONG)
    text = page(store, tmp_path)
    cells = [cell.strip() for cell in line(text, "| none").strip("|").split("|")]
    # 6.1, 6.6, 6.8 -> 6.5 and 4.3027 * 0.36056 / sqrt(3) = 0.896; differences 1.1, 1.4, 1.1 -> 1.2; their standard error is 0.1, so
    # t = 12, p = 0.00687 and Holm's 3 p = 0.0206; smallest delta 1.2 + 2.92 * 0.1 = 1.492, rounded up;
    # the interval of three together is 1.2 -+ 7.6488 * 0.1, for itself 1.2 -+ 4.3027 * 0.1
    widths, parameters = "4, 8, 16", "100,001"
    assert cells == ["none", widths, parameters, "41.2 M", "3", "6.50 ± 0.90", "+1.20 [+0.44, +1.96]", "1.50", "worse", "23.30", "+1.02"]
    compared = [cell.strip() for cell in line(text, "| none − r=16").strip("|").split("|")]
    assert compared == ["none − r=16", "3", "+1.20 [+0.77, +1.63]", "0.007", "0.021", "1.50", "worse"]
    heads = [head.strip() for head in line(text, "| Variant").split("|")]
    assert heads[-3:-1] == ["Paper: top-1 error (%)", "Paper: difference (points)"]
    assert "The paper's columns: SE-ResNet-50 on ImageNet-1k val." in line(text, "**Table 1:**")
    assert line(text, "| r=16").split("|")[-2].strip() == "reference"
    assert "**worse**: none (+1.20 [+0.44, +1.96]); **equivalent within ±0.5**: r=4 (0.00 [" in text


def test_rows_stand_in_the_papers_order_and_others_keep_their_place(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, {"r=16": [], "mine": [], "r=4": [], "none": [], "r=8": [], "other": []})
    assert [row.variant for row in rows(study, store)] == ["r=4", "mine", "r=8", "r=16", "none", "other"]
    other = study.model_copy(update={"table": None})
    assert [row.variant for row in rows(other, store)] == ["r=16", "mine", "r=4", "none", "r=8", "other"]


def test_holes_and_divergence_are_counted_and_told_with_reasons(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, {"r=16": [50, 52, 54, 56], "r=8": [None, 51, 52, 53], "r=4": [None, None, 40, None]})
    save(store, key(1, 0), None)
    store.save_failure(key(2, 0), Failure(reason="OSError: disk | full", created=""))
    (store.trial(key(2, 2)) / "correct.npz").write_bytes(b"cut short")
    store.trial(key(2, 3)).mkdir(parents=True)
    (store.trial(key(2, 3)) / "checkpoint.pt").write_bytes(b"")
    r4, r8, _ = rows(study, store)
    assert (r8.count, r8.errors) == ("3, 1 diverged", {"1": 5.1, "2": 5.2, "3": 5.3})
    assert r8.comparison is not None and (r8.comparison.n, r8.comparison.word) == (3, "open")
    assert r4.count == "0, 1 failed, 1 missing, 1 damaged, 1 unfinished"
    assert r4.error == Estimate(None, None, None, 0)
    text = page(store, tmp_path)
    assert "r=8, seed 0 (diverged)" in text
    assert "r=4, seed 0 (failed): OSError: disk \\| full" in text
    assert "correct.npz is missing or not what" in line(text, "- r=4, seed 2 (damaged)")
    assert "    ablate run reduction --preset quick --seed-list 0,1,2,3 --retry-failed\n" in text
    assert f"`{key(2, 3)}` resumable" in text


def test_one_and_two_seeds_show_what_there_is_and_no_verdict(tmp_path: Path) -> None:
    claim = Claim(text="Lower.", contrasts=(Contrast(variant="r=8", reference="r=16", expect="better"),))
    store, study = make_store(tmp_path / "two", {"r=16": [50, 52], "r=8": [41, 43]}, claims=(claim,))
    text = page(store, tmp_path / "two")
    assert "without a verdict" in text and "**not resolved**" in text and "**fewer than 3 seeds**: r=8 (−0.90)" in text
    assert " 4.2 ± 1.3 " in line(text, "| r=8")
    one, study = make_store(tmp_path / "one", {"r=16": [50], "r=8": [41]})
    cells = [cell.strip() for cell in line(page(one, tmp_path / "one"), "| r=8").strip("|").split("|")]
    assert cells[4:9] == ["1", "4.10", "−0.90", "–", "–"]
    assert summary(study, one).splitlines()[1] == "r=8      1  4.10             −0.90                 –"


def test_a_study_without_results_says_what_is_missing(tmp_path: Path) -> None:
    store, _ = make_store(tmp_path, {"r=16": [None], "r=8": [None]}, overrides={"train.epochs": 2, "data.name": "my set"})
    text = page(store, tmp_path)
    assert "There are no results yet." in text and "r=8, seed 0 (missing)" in text
    fields = "--train.weight_decay 0.0005 --data.shift 4 --train.epochs 2"  # the first two as the preset had them once
    assert f"""    ablate run reduction --preset quick {fields} --data.name '"my set"' --seed-list 0\n""" in text
    assert not list(tmp_path.rglob("*.png"))


def test_held_out_errors_are_called_so(tmp_path: Path) -> None:
    data = make_study(["x"], 1).data.model_copy(update={"evaluated_on": "holdout"})
    store, _ = make_store(tmp_path, {"r=16": [50], "r=8": [41]}, data=data)
    text = page(store, tmp_path)
    assert "Held-out top-1 error (%)" in line(text, "| Variant") and "the test set was not read" in text
    assert "test images" not in text


CLAIMS = (
    ("Beats none.", ("r=16", "none", "better")),
    ("None is better.", ("none", "r=16", "better")),
    ("r=8 and r=4 do as well.", ("r=8", "r=16", "equivalent"), ("r=4", "r=16", "equivalent")),
    ("r=8 is worse.", ("r=8", "r=16", "worse")),
    ("None is as good as r=4.", ("none", "r=4", "equivalent")),
)


def claims() -> tuple[Claim, ...]:
    """Those above."""
    made = []
    for text, *contrasts in CLAIMS:
        parts = tuple(Contrast.model_validate({"variant": v, "reference": r, "expect": e}) for v, r, e in contrasts)
        made.append(Claim(text=str(text), contrasts=parts))
    return tuple(made)


@pytest.mark.parametrize(
    ("converged", "words"),
    [
        (True, ["holds", "fails", "holds", "fails", "open"]),
        (False, ["direction agrees", "direction is reversed", "direction agrees", "not resolved", "not resolved"]),
    ],
)
def test_claims_hold_or_fail_only_where_training_converged(tmp_path: Path, converged: bool, words: list[str]) -> None:
    store, _ = make_store(tmp_path, WRONG, claims=claims(), converged=converged)
    text = page(store, tmp_path)
    told = [each.rsplit("**", 2)[1] for each in text.splitlines() if each.startswith("- ") and each.endswith("**")]
    assert told == words
    assert ("no claim holds or fails here" in text) is not converged


def test_a_claim_is_told_with_its_comparison_the_papers_number_and_a_sentence_to_quote(tmp_path: Path) -> None:
    store, _ = make_store(tmp_path, WRONG, claims=claims())
    text = page(store, tmp_path)
    part = line(text, "  - r=16 against none, expected better")
    assert part.endswith(": **better**; −1.20 [−2.09, −0.31] points, n = 3, Holm-adjusted p 0.027; the paper: −1.02.")
    # four comparisons: 4 * 0.00687, and 1.2 -+ 8.8602 * 0.1
    assert (
        "  > On Digits (preset quick), over 3 paired seeds, r=16 errs 1.20 points less than none ([−2.09, −0.31], p = 0.027; better) "
        "(Bonferroni's 95 % intervals over the 4 comparisons of the study, made to agree with the Holm-adjusted p). "
        'The claim "Beats none": direction agrees; the networks were not trained to convergence.' in text
    )
    # r=8: mean 0.0667, standard error 0.0882, 0.0667 + 2.92 * 0.0882 = 0.3242
    assert "equivalent within ±0.5 points by two one-sided tests at 5 %, smallest δ 0.33), and r=4 differs by" in text


def test_a_sentence_to_quote_says_what_makes_it_true(tmp_path: Path) -> None:
    arms = {name: WRONG[name] for name in ("r=16", "none")}
    stein = {"half_width": 0.5, "first": 3, "most": 9}
    for name, changes, told in (
        ("one", {"looks": (("0", "1", "2"),)}, '(95 % interval and p of the only comparison of the study). The claim "Beats none" holds.'),
        ("added", {"looks": (("0", "1"), ("2",))}, "; extended after looking, so p and intervals are too small)."),
        ("stein", {"precision": stein}, "; seeds by Stein's two stages, the first 3 for a half-width of 0.5 points)."),
        ("looks", {"planned_looks": 2}, "(97.5 % interval"),
        ("level", {"planned_looks": 2}, "; 2 looks declared, each at 2.5 %)."),
    ):
        store, _ = make_store(tmp_path / name, arms, claims=claims()[:1], converged=True, **changes)
        assert told in line(words(store), "  > "), name


def test_the_levels_of_declared_looks_stand_everywhere(tmp_path: Path) -> None:
    store, _ = make_store(tmp_path, WRONG, claims=claims(), planned_looks=3)
    text = words(store)
    assert "with Bonferroni's 98.33 % intervals" in line(text, "**Table 1:**")
    assert (
        "Intervals of differences are Bonferroni's at 98.33 %, made to agree with Holm's procedure: all 4 cover together in at least 91 %"
        in text
    )
    assert "decided by Holm's procedure at 1.67 % (a family of 4" in text and "two one-sided tests at 1.67 %, each for itself" in text
    assert "two-sided paired t test at 1.67 %" in text and "place their difference" in text
    assert "Bonferroni's 98.33 % intervals over the 4 comparisons" in line(text, "  > ")
    assert not re.search(r"at 5 %|simultaneous|cover all together", text)


def test_without_a_spread_there_is_no_interval_and_no_sentence_to_quote(tmp_path: Path) -> None:
    claim = Claim(text="Worse.", contrasts=(Contrast(variant="r=8", reference="r=16", expect="worse"),))
    store, _ = make_store(tmp_path, {"r=16": [50, 50, 50], "r=8": [60, 60, 60]}, claims=(claim,))
    text = words(store)
    assert "+1.00 (no spread)" in text and "± 0.00" not in text and "  > " not in text
    assert line(text, "| r=8").split("|")[6].strip() == "6.00"


def test_an_end_that_was_put_at_zero_is_open_and_explained(tmp_path: Path) -> None:
    # r=8: 0.32 points with t = 2.92, p = 0.043: the interval of two includes 0, and Holm asks 5 % of the second
    wrong = {"r=16": [200, 202, 198, 201, 199], "none": [250, 251, 248, 251, 250], "r=8": [252, 194, 250, 233, 231]}
    assert (
        difference_text(Estimate(0.32, 0.0, 0.7, 5)) == "+0.32 (0, +0.70]"
        and difference_text(Estimate(-0.3, -0.7, -0.0, 5)) == "−0.30 [−0.70, 0)"
    )
    store, _ = make_store(tmp_path, wrong)
    text = words(store)
    assert "(0, +" in line(text, "| r=8 ") and 'An end "(0" or "0)" was put at 0' in text
    plain_store, _ = make_store(tmp_path / "plain", WRONG)
    assert "was put at 0" not in words(plain_store)


def test_what_diverged_stands_where_it_decides(tmp_path: Path) -> None:
    store, _ = make_store(
        tmp_path, {"r=16": [50, 52, 53, 54, 51], "r=8": [49, 50, None, None, None], "r=4": [None] * 5, "none": [61, 63, 64, 66, 62]}
    )
    for place, seeds in ((1, (2, 3, 4)), (2, range(5))):
        for seed in seeds:
            save(store, key(place, seed), None)
    text = words(store)
    assert "**worse**: r=4 (5 of 5 diverged), none (+1.12 [" in text and "**open**: r=8 (−0.15)" in text
    assert "without a verdict, but for arms that diverge." in text
    with style():
        ax = overview(Figure().subplots(), [read(store.study("reduction-quick"), store)])
    assert "5 of 5 diverged" in [each.get_text().strip() for each in ax.texts]


def test_what_an_earlier_look_settled_is_told_and_the_figure_counts_all_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"r=16": [50, 52, 57, 50, 51], "r=8": [150, 153, 157, 150, 152], "r=4": [50, 57, 52, 56, 49]}
    store, study = make_store(tmp_path, wrong, planned_looks=2, looks=(("0", "1", "2"), ("3", "4")))
    text = words(store)
    assert "worse (at look 1)" in text and "A comparison that was settled earlier stands with the difference" in text
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(drawings, "seeds_needed_figure", lambda *given: asked.append(given))
    (caption, make) = next((caption, make) for stem, _, caption, make in drawings._figures(read(study, store)) if stem == "seeds")
    make()
    assert asked[0][3:] == (5, 0.025) and "at a level of 2.5 %" in caption


def test_the_smallest_delta_is_rounded_up() -> None:
    assert [rounded_up(delta) for delta in (0.30055, 0.3, 0.1 + 0.2, 1.0)] == ["0.31", "0.30", "0.30", "1.00"]


def test_a_study_that_grew_where_it_was_open_is_made_again_by_two_commands(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, {"r=16": [50, 52, 57, 50, 51], "r=8": [50, 57, 52, 56, 49], "r=4": [90, 91, 97]})
    fewer = {"r=4": {"keys": {str(seed): key(2, seed) for seed in range(3)}}}
    grown = with_variants(study, fewer).model_copy(update={"looks": (("0", "1", "2"), ("3", "4"))})
    store.save_study(grown)
    first, then = (f"ablate run reduction --preset quick {rest}" for rest in ("--seed-list 0,1,2", "--only-open --add-seeds 2"))
    assert commands(grown) == [first, then] and commands(study) == [command(study)]
    text = words(store)
    assert f"one after the other:\n\n    {first}\n    {then}\n" in text
    assert "12 to 28 % of families then have a false decision" in text


def test_seeds_that_were_added_after_looking_are_labelled(tmp_path: Path) -> None:
    looks = (("0", "1"), ("2",))
    for name, changes, label in (
        ("plain", {}, False),
        ("added", {"looks": looks}, True),
        ("planned", {"looks": looks, "planned_looks": 2}, False),
        ("late", {"precision": {"half_width": 0.5, "first": 2, "most": 9, "stored": 2}}, True),
    ):
        store, _ = make_store(tmp_path / name, WRONG, **changes)
        assert ("**Extended after looking**" in page(store, tmp_path / name)) is label, name


def test_a_precision_is_told_with_what_came_of_it(tmp_path: Path) -> None:
    # with the first two of r=8's differences, -0.1 and 0.1: deviation 0.1414, freedom 1, so 12.706 * 0.1414 / sqrt(3) = 1.04
    for half_width, told in ((1.5, "The widest has 1.04: reached."), (0.5, "The widest has 1.04: **not reached**.")):
        precision = {"half_width": half_width, "first": 2, "most": 3, "stored": 0}
        store, _ = make_store(tmp_path / str(half_width), {"r=16": WRONG["r=16"], "r=8": WRONG["r=8"]}, precision=precision)
        assert told in words(store)


def test_a_precision_is_not_reached_where_there_is_no_interval(tmp_path: Path) -> None:
    precision = {"half_width": 1.5, "first": 2, "most": 3, "stored": 0}
    gone, _ = make_store(tmp_path / "gone", WRONG | {"r=4": [None] * 3}, precision=precision)
    for seed in range(3):
        save(gone, key(3, seed), None)
    text = words(gone)
    assert "**No interval** for r=4 − r=16" in text and "first spread. The widest" in text
    left, _ = make_store(tmp_path / "left", {"r=16": WRONG["r=16"], "r=8": [49, 53, None]}, precision=precision)
    assert "**Not finished**: trials are missing; the widest so far has 1.28." in words(left)


def test_an_arm_that_diverges_is_not_called_equivalent(tmp_path: Path) -> None:
    store, _ = make_store(tmp_path, {"r=16": [50, 52, 54, 51], "r=8": [50, 52, None, 51]})
    save(store, key(1, 2), None)
    text = page(store, tmp_path)
    assert line(text, "| r=8 ").split("|")[9].strip() == "open (1 of 4 diverged)"
    gone, _ = make_store(tmp_path / "gone", {"r=16": [50, 52, 54, 51], "r=8": [None] * 4})
    for seed in range(4):
        save(gone, key(1, seed), None)
    assert "**worse**: r=8 (4 of 4 diverged)." in words(gone)
    assert "- Divergence: r=8 1 of 4; counted, never averaged." in text


def test_images_and_seeds_share_the_noise(tmp_path: Path) -> None:
    store, _ = make_store(tmp_path, WRONG)
    table = page(store, tmp_path).partition("## Where the noise comes from")[2].partition("##")[0]
    assert line(table, "| the error of r=16").split("|")[2].strip() == "3"
    assert "| none − r=16" in table and "What the seed moves" not in table
    assert "at least what single\nimages that change by chance sum to, and no sample's" in table
    one, _ = make_store(tmp_path / "one", {"r=16": [50], "r=8": [41]})
    assert "## Where the noise comes from" not in page(one, tmp_path / "one")


def with_variants(study: Study, changes: Mapping[str, Mapping[str, object]]) -> Study:
    """The study with some variants changed."""
    variants = tuple(v.model_copy(update=dict(changes.get(v.name, {}))) for v in study.variants)
    return study.model_copy(update={"variants": variants})


def test_a_row_stands_beside_its_own_reference(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, WRONG)
    store.save_study(with_variants(study, {"r=4": {"against": "none"}, "none": {"against": "none"}}))
    study = store.study(study.name)
    found = {row.variant: row for row in rows(study, store)}
    assert found["none"].is_reference and found["none"].comparison is None and found["r=16"].is_reference
    against_none, against_r16 = found["r=4"].comparison, found["r=8"].comparison
    assert against_none and against_none.mean == pytest.approx(np.mean([-1.0, -1.6, -1.0]))
    assert against_r16 and against_r16.mean == pytest.approx(np.mean([-0.1, 0.1, -0.2]))
    text = page(store, tmp_path / "out")
    assert "| Compared with" in text and "its own reference" in text and "r=4 against none (−1.2" in text
    assert "(a family of 2 comparisons)" in text
    assert " to none" in summary(study, store) and " to r=16" in summary(study, store)


def test_the_scale_at_the_start_and_dead_gates_are_told_where_they_were_looked_at(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, WRONG)
    assert "Signal and gates" not in page(store, tmp_path / "a")
    starts = {"r=16": Start(stem_gradient=2.0, dead_gates=0.0), "none": Start(stem_gradient=50.0, dead_gates=None)}
    store.save_study(with_variants(study, {name: {"start": start} for name, start in starts.items()}))
    result = store.result(key(0, 0))
    assert result is not None
    gates = (Gates(path="a", channels=30, dead=3, mean=0.5), Gates(path="b", channels=10, dead=5, mean=0.1))
    (store.trial(key(0, 0)) / "result.json").unlink()
    store.save_result(result.model_copy(update={"gates": gates}))
    table = page(store, tmp_path / "b").partition("## Signal and gates")[2]
    cells = {name: [cell.strip() for cell in line(table, f"| {name} ").split("|")[2:6]] for name in ("r=16", "none")}
    assert cells == {"r=16": ["2.00", "× 1.00", "0.0", "20.0"], "none": ["50.0", "× 25.0", "–", "–"]}


def test_rows_of_mixed_trials_are_marked(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, {"r=16": [50, 52], "r=8": [41, None], "r=4": [41, 44]})
    save(store, key(1, 1), 43, device="Another processor", dirty=True)
    assert {row.variant: row.mixed for row in rows(study, store)} == {"r=4": (), "r=8": ("commit", "device"), "r=16": ()}
    text = page(store, tmp_path)
    assert "| r=8 †" in text and "they differ in: commit, device." in text
    assert "- device: A processor (5 trials), Another processor (1 trial)" in text
    assert "abc1234 with uncommitted changes (1 trial)" in text


def test_a_null_ablation_names_its_twin(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, WRONG)
    twin = study.variants[0].model_copy(update={"name": "same", "same_as": "r=16", "published": None})
    study = study.model_copy(update={"variants": (*study.variants, twin)})
    store.save_study(study)
    assert "| same (same network as r=16)" in page(store, tmp_path)
    assert "same" not in [curve.variant for curve in read(study, store).curves()]
    assert read(study, store).provenance()["commit"] == {"abc1234": 12}


NASTY = "a|b <i>*x*</i> `c`\n_d_ $e$ [f](g) \\|"


def test_names_come_out_as_text(tmp_path: Path) -> None:
    store, _ = make_store(tmp_path, {"_ref": [50, 52, 53], NASTY: [41, 42, 43]}, title=NASTY, notes=("1. not a list", NASTY))
    text = page(store, tmp_path)
    row = line(text, "| a\\|b")
    assert "a\\|b \\<i\\>\\*x\\*\\</i\\> \\`c\\` \\_d\\_ \\$e\\$ \\[f\\](g) \\\\\\|" in row
    unescaped = row.replace("\\\\", "").replace("\\|", "")
    assert unescaped.count("|") == line(text, "| Variant").count("|")
    assert "- 1\\. not a list" in text


def test_the_same_store_gives_the_same_bytes(tmp_path: Path) -> None:
    store, _ = make_store(tmp_path, WRONG)
    folders = [write(["reduction-quick"], store, tmp_path / name, FORMATS)[0].files[0].parent for name in ("one", "two")]
    figures = [f"{stem}.{kind}" for stem in ("curves", "differences", "errors", "pareto", "seeds") for kind in ("png", "svg")]
    names = sorted([*figures, *(f"report.{kind}" for kind in FORMATS[:4]), "rows.csv", "comparisons.csv", "trials.csv"])
    for folder in folders:
        assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name


def test_an_interval_wider_than_the_axis_ends_in_arrows(tmp_path: Path) -> None:
    narrow, wide = ({"r=16": [50, 51, 53], "r=8": [45, 46, 47]}, {"r=16": [50, 53], "r=8": [45, 47]})
    for wrong, arrow in ((narrow, False), (wide, True)):
        store, study = make_store(tmp_path / str(arrow), wrong)
        with style():
            ax = dots(Figure().subplots(), rows(study, store))
        assert ("beyond the axis" in ax.get_xlabel()) is arrow
        left, right = ax.get_xlim()
        assert 0 <= left < 4.5 and 5.3 < right < 10


def test_curves_are_means_over_the_finished_seeds(tmp_path: Path) -> None:
    store, study = make_store(tmp_path, {"r=16": [50, 60, None], "r=8": [None, None, None]})
    save(store, key(0, 2), None)
    (curve,) = read(study, store).curves()
    assert (curve.low[0], curve.mean[0], curve.high[0]) == pytest.approx((61.0, 61.1, 61.2))
    legend = curves(Figure().subplots(), [curve], "r=16").get_legend()
    assert legend is not None and [text.get_text().strip() for text in legend.get_texts()] == ["r=16"]


def test_the_correlation_of_seeds_is_printed(tmp_path: Path) -> None:
    store, _ = make_store(tmp_path, {"r=16": [50, 52, 57], "r=8": [60, 62, 67]})
    assert "- Correlation of seeds: 1.00, " in page(store, tmp_path)


def test_digits_follow_the_interval() -> None:
    assert [decimals(half) for half in (None, 0.0, 0.034, 0.34, 3.4, 34.0)] == [2, 2, 2, 2, 1, 0]
    assert error_text(Estimate(12.345, 8.9, 15.79, 3)) == "12.3 ± 3.4"
    assert difference_text(Estimate(-0.004, -0.5, 0.492, 3)) == "0.00 [−0.50, +0.49]"
    assert difference_text(Estimate(0.3, 0.3, 0.3, 3)) == "+0.30 (no spread)"
    assert (number(-1.005, 1), widths_text([]), widths_text([4, 4, 8, 4])) == ("−1.0", "–", "4, 8, 4")


def test_text_is_guarded_at_the_start_of_a_line() -> None:
    assert [plain(text) for text in ("- a", "10) b", "2.11", "r=16", "# c")] == ["\\- a", "10\\) b", "2.11", "r=16", "\\# c"]


def test_list_values_of_overrides_are_quoted_for_the_shell() -> None:
    study = make_study(["r=16"], 2, overrides={"net.stages": [1, 2]})
    assert command(study) == "ablate run reduction --preset quick --net.stages '[1, 2]' --seed-list 0,1"


def test_an_unknown_study_is_an_input_error(tmp_path: Path) -> None:
    store, _ = make_store(tmp_path, {"r=16": [50]})
    with pytest.raises(InputError, match="did you mean 'reduction-quick'"):
        write(["reduction-quik"], store, tmp_path)


def test_a_report_needs_neither_torch_nor_mlflow() -> None:
    code = "import sys, report.document; raise SystemExit(bool({'torch', 'mlflow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
