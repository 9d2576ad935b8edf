"""What MLflow is to show of a study, as records: names, numbers, verdicts, notes, curves and views. No MLflow in here."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from stored_study import LAPS, make_result, make_study, save, save_all

from ablations.result import Epoch
from ablations.statistics.estimation import interval
from ablations.statistics.measured import arms
from ablations.statistics.verdicts import decide
from ablations.store import Failure, Store
from ablations.study import Study
from ablations.tracking import notes as mlflow_notes
from ablations.tracking import views as mlflow_views
from ablations.tracking.curve import curve
from ablations.tracking.mirror import Picture, child_record, epoch_metrics, outcome, parent_record, shared_places


def picture(store: Store, study: Study) -> Picture:
    """The study as it stands in the store."""
    found = {key: outcome(store, key) for _, _, key in study.trials()}
    return Picture(study, {key: one for key, one in found.items() if one is not None})


@pytest.fixture
def whole(tmp_path: Path) -> Picture:
    """The usual study with all its trials."""
    store = Store(tmp_path)
    save_all(store, make_study())
    return picture(store, make_study())


def test_a_parents_numbers_are_those_of_the_verdicts(whole: Picture, tmp_path: Path) -> None:
    study = whole.study
    metrics = parent_record(whole, study.variant("none"), running=False).metrics
    found = decide(study, arms(study, Store(tmp_path))).row(study.variant("none"))
    assert found is not None
    assert (metrics["difference_mean"], metrics["difference_low"], metrics["difference_high"]) == (
        found.mean,
        found.all.low,
        found.all.high,
    )
    assert (metrics["difference_own_low"], metrics["difference_own_high"]) == (found.own.low, found.own.high)
    assert (metrics["p"], metrics["p_holm"], metrics["smallest_delta"]) == (found.p, found.adjusted, found.smallest_delta)
    half = 4.302652729911275 * np.std([2.0, 1.5, 0.5], ddof=1) / 3**0.5  # Student's t, two degrees of freedom
    assert metrics["difference_own_low"] == pytest.approx((2.0 + 1.5 + 0.5) / 3 - half)
    assert metrics["top1_error_mean"] == pytest.approx(12.5)
    assert (metrics["n"], metrics["seconds_mean"], metrics["parameters"], metrics["macs"]) == (3, 4.0, 1001, 2001)


def test_a_reference_is_compared_with_nothing(whole: Picture) -> None:
    record = parent_record(whole, whole.study.variant("r=16"), running=False)
    assert not [name for name in record.metrics if name.startswith(("difference", "p", "smallest")) and name != "parameters"]
    assert record.tags["ablate.verdict"] == "reference"
    assert "ablate.difference" not in record.tags


def test_tags_tell_error_difference_and_verdict_in_words(whole: Picture) -> None:
    tags = parent_record(whole, whole.study.variant("none"), running=False).tags
    assert tags["ablate.error"] == "12.5 ± 1.2"
    assert tags["ablate.difference"] == "+1.3 [−0.6, +3.2]"
    assert tags["ablate.verdict"] == "open"
    found = whole.verdicts.row(whole.study.variant("none"))
    assert found is not None
    assert found.smallest_delta is not None
    assert (tags["ablate.p"], tags["ablate.smallest_delta"]) == (
        f"{found.adjusted:.3f}",
        f"±{math.ceil(100 * found.smallest_delta) / 100:.2f}",
    )


def test_below_three_pairs_there_is_a_difference_and_nothing_is_said_of_it(tmp_path: Path) -> None:
    store, study = Store(tmp_path), make_study(seeds=("0", "1"))
    save_all(store, study)
    record = parent_record(picture(store, study), study.variant("none"), running=False)
    compared = {name: value for name, value in record.metrics.items() if name.startswith(("difference", "p_", "smallest"))}
    assert compared == {"difference_mean": pytest.approx(1.75)}
    assert (record.tags["ablate.difference"], record.tags["ablate.verdict"]) == ("+1.75", "none yet")
    assert not {"ablate.p", "ablate.smallest_delta"} & record.tags.keys()


def test_a_result_of_one_row_changes_the_verdict_of_another(tmp_path: Path) -> None:
    """Holm's family counts all rows, so one more trial anywhere may change every parent."""
    study = make_study()
    own = study.variant("none")
    third = own.model_copy(update={"name": "wide", "keys": {seed: f"2{int(seed):011x}" for seed in study.seeds}})
    study = Study.model_validate(study.model_dump() | {"variants": (*study.model_dump()["variants"], third.model_dump())})
    store = Store(tmp_path)
    store.save_study(study)
    for variant in ("r=16", "none"):
        for seed in study.seeds:
            save(store, study, variant, seed)
    before = parent_record(picture(store, study), study.variant("none"), running=False)
    for seed, error in zip(study.seeds, (19.9, 21.0, 22.4), strict=True):
        result = make_result(make_study(), "none", seed)
        assert result.errors is not None
        changed = {"key": third.keys[seed], "errors": result.errors.model_copy(update={"top1": error})}
        digest = store.save_correctness(third.keys[seed], store.correctness(own.keys[seed]))
        provenance = result.provenance.model_copy(update={"digests": {"correct.npz": digest}})
        store.save_result(result.model_copy(update={**changed, "provenance": provenance}))
    after = parent_record(picture(store, study), study.variant("none"), running=False)
    assert before.metrics["p_holm"] == pytest.approx(2 * before.metrics["p"])
    assert after.metrics["p_holm"] == pytest.approx(after.metrics["p"])
    assert before.digest(None) != after.digest(None)


def test_divergence_is_counted_and_a_failure_is_a_hole(tmp_path: Path) -> None:
    store, study = Store(tmp_path), make_study()
    save(store, study, "none", "0", diverged=True)
    save(store, study, "none", "1")
    store.save_failure(study.variant("none").keys["2"], Failure(reason="OutOfMemoryError: no room", created=""))
    record = parent_record(picture(store, study), study.variant("none"), running=False)
    assert {name: record.metrics[name] for name in ("n", "diverged", "failed")} == {"n": 1, "diverged": 1, "failed": 1}
    assert record.status == "FAILED"
    note = record.tags[mlflow_notes.NOTE]
    assert "| 0 | – | – | `100000000000` diverged |" in note
    assert "| 2 | – | – | `100000000002` failed |" in note


# -- children


def test_a_trials_record_is_its_result(whole: Picture) -> None:
    study, variant = whole.study, whole.study.variant("none")
    record = child_record(study, variant, "1", whole.outcomes[variant.keys["1"]], shared=None)
    result = make_result(study, "none", "1")
    assert record.metrics["top1_error"] == 12.5
    assert record.history["train_loss"] == {epoch.epoch: epoch.loss for epoch in result.history}
    images = study.data.train // variant.config.train.batch * variant.config.train.batch
    assert images == 256
    assert record.history["images_per_second"] == {number: images / seconds for number, seconds in enumerate(LAPS, 1)}
    assert record.history["epoch_seconds"] == dict(enumerate(LAPS, 1))
    assert record.name == "none seed=001"
    assert set(record.artifacts) == {"result.json", "config.json", "correct.npz", "curve.svg"}
    assert record.tags["mlflow.source.git.commit"] == "abc"


def test_an_epoch_without_a_loss_that_is_a_number_shows_the_rest() -> None:
    study = make_study()
    metrics = epoch_metrics(study, study.variant("none"), Epoch.model_construct(epoch=1, loss=float("nan"), error=50.0, lr=0.1), None)
    assert metrics == {"train_error": 50.0, "lr": 0.1}


def test_parameters_say_what_the_variants_differ_in(whole: Picture) -> None:
    study = whole.study
    assert parent_record(whole, study.variant("r=16"), running=False).params == {"block": "se", "preset": "quick"}
    budget = {"epochs": "3", "lr": "0.1", "batch": "128", "network": "resnet", "seed": "2"}
    child = child_record(study, study.variant("none"), "2", None, shared=None)
    assert child.params == {"block": "none", "preset": "quick"} | budget


def test_a_second_network_of_the_same_kind_does_not_rename_parameters() -> None:
    study = make_study()
    own = study.variant("none")
    other = own.model_copy(update={"name": "wide", "changes": {"net.name": ("resnet", "wide"), "net.block.name": ("se", "eca")}})
    record = child_record(study.model_copy(update={"variants": (*study.variants, other)}), own, "0", None, shared=None)
    assert {"block": "none", "net": "resnet"}.items() <= record.params.items()


def test_names_of_runs_sort_by_their_seeds() -> None:
    study = make_study(seeds=("2", "10", "1"))
    names = [child_record(study, study.variant("none"), seed, None, shared=None).name for seed in ("2", "10", "1")]
    assert sorted(names) == ["none seed=001", "none seed=002", "none seed=010"]


def test_a_shared_trial_names_all_its_places(tmp_path: Path) -> None:
    store, first, second = Store(tmp_path), make_study(), make_study("placement-quick-digits", "placement", ("0", "1"))
    store.save_study(first)
    store.save_study(second)
    shared = shared_places(store)
    assert set(shared) == {key for _, _, key in second.trials()}
    assert shared[first.variant("none").keys["0"]] == "placement: none, seed 0; reduction: none, seed 0"


# -- notes, curves, views


def test_a_note_says_the_finding_and_lists_the_seeds(whole: Picture) -> None:
    note = parent_record(whole, whole.study.variant("none"), running=False).tags[mlflow_notes.NOTE]
    assert note.startswith("**none** errs on 12.5 ± 1.2 % (n = 3). Against **r=16**: **open, about ")
    assert "+1.3 [−0.6, +3.2] points over 3 pairs of seeds; Holm-adjusted p 0.094." in note
    assert "| 0 | 12.00 | +2.00 | `100000000000` |" in note


def test_a_note_of_many_seeds_fits_into_a_tag() -> None:
    study = make_study(seeds=tuple(map(str, range(900))))
    lines = [mlflow_notes.SeedLine(seed, "f" * 12, 10.0, 11.0, "done") for seed in study.seeds]
    variant = study.variant("none")
    note = mlflow_notes.variant_note(study, variant, interval([]), None, lines)
    assert len(note) < 8000
    shown = note.count("`ffffffffffff`")
    assert note.endswith(f"and {900 - shown} more seeds")


def test_a_description_escapes_what_would_be_markdown() -> None:
    line = mlflow_notes.StudyLine("a|b", "recipe", 1, {"table": "#/x"})
    note = mlflow_notes.suite_note("Is *this* it?", "Table 1", [line])
    assert note == "Is \\*this\\* it?\n\nTable 1\n\n- **a\\|b**: [table](#/x)\n\n  recipe; 1 seed"


def test_a_curve_is_valid_svg_with_a_point_an_epoch_and_no_text_of_its_own() -> None:
    drawn = ElementTree.fromstring(curve("Training error of <r & 2>", {"seed=000": [60.0, 40.0, 30.0], "seed=001": [50.0], "none": []}))
    texts = [one.text for one in drawn.iter() if one.text and one.text.strip()]
    assert "Training error of <r & 2>" in texts
    assert {"seed=000", "seed=001"} <= set(texts)
    assert "none" not in texts
    space = "{http://www.w3.org/2000/svg}"
    (line,) = [one for one in drawn.iter(f"{space}path") if one.get("fill") == "none"]
    points = [tuple(map(float, pair.split())) for pair in (line.get("d") or "")[1:].split(" L")]
    assert len(points) == 3
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted(y for _, y in points)  # a falling error goes down, where y is greater
    assert len(list(drawn.iter(f"{space}circle"))) == 1


def test_views_sort_the_variants_by_error_and_average_the_seeds() -> None:
    study = make_study()
    found = {name: json.loads(value) for name, value in mlflow_views.views(study, 1).items()}
    table, curves = (json.loads(one["state"]) for one in found.values())
    assert [one["name"] for one in found.values()] == ["Variants by error · quick-digits", "Curves over seeds · quick-digits"]
    assert (table["orderByKey"], table["orderByAsc"]) == ("metrics.`top1_error_mean`", True)
    assert table["searchFilter"] == "tags.`ablate.study` = 'reduction-quick-digits' AND tags.`ablate.kind` = 'parent'"
    assert curves["groupBy"] == {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "ablate.variant"}]}
    for kind, tag in zip(("table", "curves"), found, strict=True):
        assert f"viewStateShareKey={tag.removeprefix(mlflow_views.TAG)}" in mlflow_views.link("7", study, kind)


def test_every_column_of_the_table_is_one_that_parents_have(whole: Picture) -> None:
    record = parent_record(whole, whole.study.variant("none"), running=False)
    there = {f"metrics.`{name}`" for name in record.metrics} | {f"tags.`{name}`" for name in record.tags}
    assert set(mlflow_views.TABLE) <= there
    child = child_record(whole.study, whole.study.variant("none"), "0", whole.outcomes[whole.study.variant("none").keys["0"]], None)
    assert set(mlflow_views.CURVES) <= child.metrics.keys() | child.history.keys()


def test_a_view_is_the_same_whenever_it_was_written() -> None:
    first, second = (mlflow_views.views(make_study(), created) for created in (1, 2))
    assert first != second
    assert all(mlflow_views.same(first[name], second[name]) for name in first)
    assert not mlflow_views.same(first[next(iter(first))], "no view")


def test_the_page_of_names_lists_every_metric_and_tag(whole: Picture) -> None:
    page = (Path(__file__).parent.parent / "docs" / "mlflow.md").read_text()
    variant = whole.study.variant("none")
    parent = parent_record(whole, variant, running=False)
    child = child_record(whole.study, variant, "0", whole.outcomes[variant.keys["0"]], "everywhere")
    names = {*parent.metrics, *parent.tags, *child.metrics, *child.history, *child.tags}
    assert not {name for name in names if not name.startswith("mlflow.") and f"`{name}`" not in page}
    listed = set(re.findall(r"`(ablate\.[a-z_]+)`", page))
    assert listed - names == {"ablate.same_as", "ablate.reason", "ablate.mean"}  # of other runs than these
