"""The store refuses what is not what was written, shares nothing by accident, and loses nothing."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ablations import upkeep
from ablations.execution import attempts
from ablations.result import Epoch, Errors, Provenance, Result, Timing
from ablations.store import Correctness, DamagedStore, Failure, Store, write_correctness
from ablations.study import Cost
from senet_core.config import Config
from senet_core.errors import InputError

KEY = "0123456789ab"


def correctness(images: int = 11) -> Correctness:
    top1 = np.arange(images) % 3 == 0
    return Correctness(top1, np.ones(images, bool), np.arange(images, dtype=np.int64))


def stored(root: Path) -> Store:
    """A store with one finished trial."""
    store = Store(root)
    digests = {"correct.npz": store.save_correctness(KEY, correctness())}
    provenance = Provenance(
        created="2026-01-01T00:00:00+00:00", commit=None, dirty=None, versions={}, device="x", execution={}, sittings=1, digests=digests
    )
    result = Result(
        key=KEY,
        config=Config(),
        seed=0,
        status="done",
        errors=Errors(top1=1 / 3, top5=0.0, loss=0.1, images=11),
        cost=Cost(parameters=1, macs=1),
        evaluated_on="test",
        data_label="x",
        history=(Epoch(epoch=1, loss=0.1, error=1.0, lr=0.1),),
        timing=Timing(epochs=(1.0,), evaluation=0.1, total=1.1, images_per_second=1.0),
        provenance=provenance,
    )
    store.save_result(result)
    return store


def test_a_stored_trial_comes_back_as_it_was(tmp_path: Path) -> None:
    store, one = stored(tmp_path), correctness()
    result, back = store.result(KEY), store.correctness(KEY)
    assert result is not None and result.errors is not None and result.errors.top1 == 1 / 3
    assert store.state(KEY) == "done" and store.keys() == [KEY]
    assert all(np.array_equal(getattr(one, name), getattr(back, name)) for name in ("top1", "top5", "labels"))


def test_a_copied_folder_is_as_good_as_the_original(tmp_path: Path) -> None:
    source = stored(tmp_path / "a").trial(KEY)
    target = Store(tmp_path / "b")
    target.trial(KEY).mkdir(parents=True)
    for name in ("result.json", "correct.npz"):
        (target.trial(KEY) / name).write_bytes((source / name).read_bytes())
    assert target.state(KEY) == "done"


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "result.json").write_text((f / "result.json").read_text().replace("0.3333333333333333", "0.25")),
        lambda f: (f / "result.json").write_text((f / "result.json").read_text()[:200]),
        lambda f: (f / "result.json").write_text("{}"),
        lambda f: (f / "result.json").write_text((f / "result.json").read_text().replace("0.1", "NaN")),
        lambda f: (f / "result.json").write_bytes(b"\xff\xfe"),
        lambda f: (f / "correct.npz").unlink(),
        lambda f: (f / "correct.npz").write_bytes((f / "correct.npz").read_bytes() + b"x"),
        lambda f: f.rename(f.with_name("ba9876543210")),
    ],
    ids=["edited", "cut", "empty", "nan", "bytes", "no correctness", "other correctness", "under another key"],
)
def test_damage_is_named_refused_and_never_overwritten(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    store = stored(tmp_path)
    damage(store.trial(KEY))
    key = store.keys()[0]
    before = {file.name: file.read_bytes() for file in store.trial(key).iterdir()}
    assert store.state(key) == "damaged"
    with pytest.raises(DamagedStore, match=r"result\.json|correct\.npz"):
        store.result(key)
    assert {file.name: file.read_bytes() for file in store.trial(key).iterdir()} == before


def test_a_result_is_never_overwritten_and_clears_an_old_failure(tmp_path: Path) -> None:
    Store(tmp_path).save_failure(KEY, Failure(reason="disk full", created=""))
    assert Store(tmp_path).state(KEY) == "failed"
    store = stored(tmp_path)
    assert store.state(KEY) == "done" and store.failure(KEY) is None
    result = store.result(KEY)
    assert result is not None
    with pytest.raises(DamagedStore, match="not overwritten"):
        store.save_result(result)


def test_an_old_result_is_not_called_edited_when_results_get_a_new_field(tmp_path: Path) -> None:
    """The digest is of the stored JSON: a result written without today's optional fields keeps it."""
    store = stored(tmp_path)
    path = store.trial(KEY) / "result.json"
    tree = json.loads(path.read_text())
    del tree["cost"]["hidden_widths"]
    from ablations.store import digest

    tree["provenance"]["digests"]["result.json"] = digest(tree)
    path.write_text(json.dumps(tree))
    assert store.state(KEY) == "done"


def test_correctness_has_the_same_bytes_whenever_it_is_written(tmp_path: Path) -> None:
    assert Store(tmp_path / "a").save_correctness(KEY, correctness()) == Store(tmp_path / "b").save_correctness(KEY, correctness())


def test_a_trial_has_one_driver_and_a_dead_one_frees_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from ablations.store import Store\n"
        f"with Store(Path({str(tmp_path)!r})).locked({KEY!r}) as mine: print(mine, flush=True); time.sleep(60)"
    )
    root = Path(__file__).resolve().parent.parent
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root)})
    assert holder.stdout is not None and holder.stdout.readline().strip() == "True"
    with Store(tmp_path).locked(KEY) as mine:
        assert not mine
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with Store(tmp_path).locked(KEY) as mine:
        assert mine


def test_a_workspace_that_cannot_be_one_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="is a file"):
        Store(file).usable()
    with pytest.raises(InputError, match="Cannot write into the workspace"):
        Store(Path("/proc/nowhere")).usable()


def test_a_damaged_study_file_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "studies").mkdir()
    store.study_path("x").write_text("{")
    with pytest.raises(DamagedStore, match=r"studies/x\.json is damaged"):
        store.study("x")
    with pytest.raises(InputError, match="no study in this workspace named 'y'"):
        store.study("y")


# -- locks, disks, leftovers


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    store = Store(tmp_path)
    for action in (store.usable, lambda: store.exclusively().__enter__(), lambda: store.locked(KEY).__enter__()):
        with pytest.raises(InputError, match="has no locks"):
            action()


def test_a_file_system_whose_locks_keep_nobody_out_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path).usable()
    monkeypatch.setattr(fcntl, "flock", lambda *arguments: None)
    with pytest.raises(InputError, match="grants one lock twice"):
        Store(tmp_path).usable()
    assert not list(tmp_path.iterdir())


def test_what_was_computed_elsewhere_is_published_by_renames_and_only_if_whole(tmp_path: Path) -> None:
    made = stored(tmp_path / "made").result(KEY)
    assert made is not None
    digests = {name: value for name, value in made.provenance.digests.items() if name != "result.json"}
    result = made.model_copy(update={"provenance": made.provenance.model_copy(update={"digests": digests})})
    store = Store(tmp_path / "runs")
    folder = attempts.new(store.trial(KEY))
    write_correctness(folder / "correct.npz", correctness(12))
    with pytest.raises(DamagedStore, match=r"correct\.npz is not what was computed"):
        store.adopt(folder, result)
    assert store.state(KEY) == "missing"
    write_correctness(folder / "correct.npz", correctness())
    (store.trial(KEY) / ".result.json.77").write_text("half")
    store.adopt(folder, result)
    assert store.result(KEY) == made
    assert sorted(path.name for path in store.trial(KEY).iterdir()) == ["correct.npz", "result.json"]


def test_trials_of_no_study_are_found_and_removed_unless_they_are_in_use(tmp_path: Path) -> None:
    from stored_study import make_study, save_all

    store, study = stored(tmp_path), make_study()
    save_all(store, study)
    store.trial("ba9876543210").mkdir()
    assert upkeep.unused(store) == [KEY, "ba9876543210"]
    before = upkeep.disk_used(tmp_path)
    with store.locked("ba9876543210") as mine:
        assert mine
        assert dict(upkeep.remove(store, [KEY, "ba9876543210", study.variants[0].keys["0"]])) == {
            KEY: True,
            "ba9876543210": False,
            study.variants[0].keys["0"]: False,
        }
    assert upkeep.unused(store) == ["ba9876543210"] and upkeep.disk_used(tmp_path) < before
    assert store.state(study.variants[0].keys["0"]) == "done"


def test_sizes_are_told_in_words() -> None:
    assert [upkeep.size(n) for n in (0, 999, 1000, 12_345_678, 5 * 10**12)] == ["0 bytes", "999 bytes", "1.0 kB", "12.3 MB", "5.0 TB"]


@pytest.mark.parametrize("name", ["../outside", "a/b", "", ".hidden", "a\0b", "a b"])
def test_a_study_has_the_name_of_a_file_in_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be named"):
        Store(tmp_path).study_path(name)
    assert Store(tmp_path).study_path("größe-quick-cifar-10-0da0b0").parent == tmp_path / "studies"
