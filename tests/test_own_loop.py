"""A training loop of a user's own: from one file to verdicts, with the pairing, the store and the interruptions of our own loop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from stored_study import client, history, runs

import runner
from ablations.execution.own_trial import _Told
from ablations.own_loop import LOOPS
from ablations.store import Store
from ablations.tracking.reading import restored
from senet_core.errors import InputError
from senet_core.registry import load_file

ROOT = Path(__file__).resolve().parent.parent
NAMES = (f"loop{number}" for number in count())  # a registry keeps the names of all tests of this process

LOOP = """
from ablations.own_loop import loop

@loop("NAME", metric="score", better="higher", delta=0.5, reference="plain",
      variants={"plain": {"gain": 0.0}, "gain": {"gain": 2.0}, "nothing": {"gain": 0.01}})
def train(config, seed, out, report):
    for epoch in (1, 2, 3):
        (out / "state").write_text(str(epoch))
        report(epoch, train_loss=1.0 / epoch)
    return {"score": 10.0 + 0.7 * seed + (1 + 0.01 * seed) * config["gain"], "other": seed}
"""
ASKED = 'metric="score", better="lower", delta=1, reference="a", variants={"a": {}, "b": {"x": 1}}'
HEAD = f'from ablations.own_loop import loop\n@loop("NAME", {ASKED})\n'


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """No other test knows the loops of these."""
    before = set(LOOPS.names())
    yield
    for name in set(LOOPS.names()) - before:
        del LOOPS._entries[name]


def written(folder: Path, text: str, file: str = "mine.py") -> tuple[str, Path]:
    """A file with a loop of a new name."""
    name = next(NAMES)
    path = folder / file
    path.write_text(textwrap.dedent(text).replace("NAME", name))
    return name, path


def run(name: str, file: Path, workspace: Path, *more: str) -> int:
    return runner.main(["run", name, "--load", str(file), "--workspace", str(workspace), "--threads", "1", *more])


def result(workspace: Path, name: str, variant: str, seed: str = "0") -> Any:
    store = Store(workspace)
    return store.result(store.study(name).variant(variant).keys[seed])


def test_from_a_file_to_verdicts_and_mlflow(tmp_path: Path, mirrored: Store, capsys: pytest.CaptureFixture[str]) -> None:
    name, file = written(tmp_path, LOOP)
    assert run(name, file, mirrored.root, "--seeds", "3", "--format", "md", "html", "tex", "csv") == 0
    one = result(mirrored.root, name, "gain", "2")
    assert one.number == pytest.approx(13.44)
    assert one.measured.values == {"score": one.number, "other": 2.0}
    assert [(line.epoch, line.values["train_loss"]) for line in one.lines] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    page = (mirrored.root / "reports" / name / "report.md").read_text()
    assert "better: gain (+2.020 [" in page
    assert "better but negligible: nothing (+0.0101" in page
    assert {path.name for path in (mirrored.root / "reports" / name).iterdir()} >= {
        "report.html",
        "report.tex",
        "trials.csv",
        "verdicts.svg",
    }
    parent, child = runs(mirrored, name)["gain", None], runs(mirrored, name)["gain", "2"]
    assert parent.data.metrics["score_mean"] == pytest.approx(12.72)
    assert parent.data.metrics["difference_mean"] == pytest.approx(2.02)
    assert (parent.data.tags["ablate.verdict"], parent.data.params["gain"]) == ("better", "2.0")
    assert (parent.data.tags["ablate.mean"], parent.data.tags["ablate.smallest_delta"]) == ("12.7 ± 1.8", "±2.1")
    assert (child.data.metrics["score"], child.data.metrics["other"]) == (one.number, 2.0)
    assert history(mirrored, child, "train_loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert client(mirrored).search_runs(["0"]) == []
    capsys.readouterr()
    assert run(name, file, mirrored.root, "--seeds", "3") == 0
    assert "0 trained" in capsys.readouterr().out
    assert runner.main(["status", "--workspace", str(mirrored.root)]) == 0
    assert "13.44" in capsys.readouterr().out
    assert runner.main(["show", one.key, "--workspace", str(mirrored.root)]) == 0
    assert "train_loss" in capsys.readouterr().out


def test_a_report_can_be_made_from_mlflow_alone(tmp_path: Path, mirrored: Store) -> None:
    name, file = written(tmp_path, LOOP)
    assert run(name, file, mirrored.root, "--seeds", "3") == 0
    with restored(f"mlflow:sqlite:///{mirrored.root / 'mlflow.db'}", "", [name]) as store:
        study = store.study(name)
        assert study.metric is not None
        assert store.result(study.variant("gain").keys["1"]) == result(mirrored.root, name, "gain", "1")


def test_lower_is_better_turns_the_verdicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, file = written(tmp_path, LOOP.replace('"higher"', '"lower"'))
    assert run(name, file, tmp_path / "w", "--seeds", "3", "--no-mlflow") == 0
    assert "worse: gain" in capsys.readouterr().out


def test_an_edited_loop_trains_anew_and_its_numbers_stay_apart(tmp_path: Path) -> None:
    name, file = written(tmp_path, LOOP)
    load_file(file)
    before = LOOPS[name].value.source
    later, edited = written(tmp_path, LOOP.replace("10.0 +", "20.0 +"), "edited.py")
    load_file(edited)
    assert LOOPS[later].value.source != before


def test_an_edited_neighbour_trains_anew(tmp_path: Path) -> None:
    sources = []
    for text in ("FACTOR = 1\n", "FACTOR = 2\n"):
        folder = tmp_path / text.strip()[-1]
        folder.mkdir()
        neighbour = f"neighbour_{folder.name}"
        (folder / f"{neighbour}.py").write_text(text)
        name, file = written(folder, LOOP.replace("\nfrom", f"\nimport {neighbour}\nfrom", 1))
        load_file(file)
        alone = LOOPS[name].value.source
        sources.append(alone)
    assert sources[0] != sources[1]


def test_a_question_in_a_file_of_its_own_trains_nothing_anew(tmp_path: Path) -> None:
    (tmp_path / "trainer.py").write_text("def train(config, seed, out, report):\n    return {'score': seed + config['x']}\n")
    found = []
    for more in ("", ", 'c': {'x': 3}"):
        question = f"""
            import trainer
            from ablations.own_loop import loop
            asked = dict(metric="score", better="lower", delta=1, reference="a")
            loop("NAME", variants={{"a": {{"x": 1}}, "b": {{"x": 2}}{more}}}, **asked)(trainer.train)
        """
        name, file = written(tmp_path, question, f"question{len(found)}.py")
        load_file(file)
        found.append(LOOPS[name].value.source)
    assert found[0] == found[1]


def test_an_interrupted_loop_goes_on_from_what_it_left(tmp_path: Path) -> None:
    text = """
    import time
    from ablations.own_loop import loop
    @loop("NAME", metric="score", better="lower", delta=1, reference="a", variants={"a": {}, "b": {"x": 1}})
    def train(config, seed, out, report):
        state = out / "state"
        begun = int(state.read_text()) if state.exists() else 0
        for epoch in range(begun + 1, 6):
            state.write_text(str(epoch))
            try:
                report(epoch, loss=epoch, first=begun)
            except Exception:
                pass  # must not keep it from stopping
            time.sleep(0.0 if begun else 0.4)
        return {"score": 1.0}
    """
    name, file = written(tmp_path, text)
    words = [sys.executable, str(ROOT / "runner.py"), "run", name, "--load", str(file), "--workspace", str(tmp_path / "w"), "--seeds", "1"]
    process = subprocess.Popen([*words, "--no-mlflow"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not list(tmp_path.glob("w/trials/*/own/lines.jsonl")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    time.sleep(0.6)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[0]
    assert process.returncode == 130, told
    assert list(tmp_path.glob("w/trials/*/result.json")) == []
    assert runner.main(["status", "--workspace", str(tmp_path / "w")]) == 0
    assert subprocess.run([*words, "--no-mlflow"], capture_output=True, env={**os.environ}).returncode == 0
    found = result(tmp_path / "w", name, "a")
    assert [line.epoch for line in found.lines] == [1, 2, 3, 4, 5]
    assert found.lines[0].values["first"] == 0 < found.lines[-1].values["first"]
    assert found.provenance.sittings == 2


def test_numbers_of_a_loop_that_goes_on_after_it_was_stopped_are_not_taken(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
def train(config, seed, out, report):
    try:
        report(1)
    except BaseException:
        pass  # as a framework does that returns what it has
    return {"score": 1.0}
"""
    )
    name, file = written(tmp_path, text)
    load_file(file)
    from ablations.own_loop import Settings, Stopped, called

    one = LOOPS[name].value
    settings = Settings(loop=name, source=one.source, metric="score", settings={})
    with pytest.raises(Stopped):
        called(settings, 0, tmp_path, lambda line: None, lambda: True)
    assert called(settings, 0, tmp_path, lambda line: None, lambda: False) == {"score": 1.0}


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("return None", "returned NoneType and no 'score'"),
        ('return {"scores": 1.0}', "returned the numbers scores and no 'score'"),
        ('return {"score": "high"}', "reports and returns numbers"),
        ('raise ValueError("no data")', "ValueError: no data"),
        ('report(1, loss="high")', "reports and returns numbers"),
    ],
)
def test_what_a_loop_does_wrong_is_a_hole_with_a_reason(
    tmp_path: Path, ending: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the other trials go on."""
    body = f"def train(config, seed, out, report):\n    if config:\n        {ending}\n    return {{'score': 1.0 * seed}}\n"
    name, file = written(tmp_path, HEAD + body)
    assert run(name, file, tmp_path / "w", "--seeds", "2", "--no-mlflow") == 1
    assert reason in capsys.readouterr().err
    assert result(tmp_path / "w", name, "a", "1").number == 1.0
    page = (tmp_path / "w" / "reports" / name / "report.md").read_text()
    assert "b, seed 0, failed" in page


def test_a_number_that_is_none_is_a_divergence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = """
def train(config, seed, out, report):
    report(1, loss=float("inf"))
    return {"score": float("nan") if config else seed, "other": 3}
"""
    name, file = written(tmp_path, HEAD + body)
    assert run(name, file, tmp_path / "w", "--seeds", "3", "--no-mlflow") == 0
    found = result(tmp_path / "w", name, "b")
    assert (found.status, found.number, found.measured.values) == ("diverged", None, {"other": 3.0})
    assert found.lines[0].values == {}
    out = capsys.readouterr().out
    assert "diverged after 1 epochs" in out
    assert "3 of 3 diverged" in out


def test_an_edited_result_is_refused(tmp_path: Path) -> None:
    name, file = written(tmp_path, LOOP)
    assert run(name, file, tmp_path / "w", "--seeds", "2", "--no-mlflow") == 0
    path = tmp_path / "w" / "trials" / result(tmp_path / "w", name, "gain").key / "result.json"
    path.write_text(path.read_text().replace('"score": 12.0', '"score": 13.0'))
    assert run(name, file, tmp_path / "w", "--seeds", "2", "--no-mlflow") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ('metric="s", better="up", delta=1, reference="a", variants={"a": {}, "b": {"x": 1}}', "better is 'lower' or 'higher'"),
        ('metric="s", better="lower", delta=0, reference="a", variants={"a": {}, "b": {"x": 1}}', "delta is the difference of 's'"),
        ('metric="s", better="lower", delta=1, reference="c", variants={"a": {}, "b": {"x": 1}}', "There is no variant"),
        ('metric="s", better="lower", delta=1, reference="a", variants={"a": {}}', "one variant"),
        ('metric="s", better="lower", delta=1, reference="a", variants={"a": {}, "b": {}}', "'b' and 'a' have the same settings"),
        ('metric="s", better="lower", delta=1, reference="a", variants={"a": {}, "b": {"x": print}}', "must be numbers, words"),
        ('metric="s", delta=1, reference="a", variants={"a": {}, "b": {"x": 1}}', "does not say 'better'"),
        ('metrics="s", better="lower", delta=1, reference="a", variants={"a": {}, "b": {"x": 1}}', "metrics"),
    ],
)
def test_a_mistake_in_the_declaration_is_a_sentence(tmp_path: Path, words: str, told: str) -> None:
    body = f'from ablations.own_loop import loop\n@loop("NAME", {words})\ndef train(config, seed, out, report):\n    return {{}}\n'
    _, file = written(tmp_path, body)
    with pytest.raises(InputError, match=told.replace("(", r"\(")):
        load_file(file)


@pytest.mark.parametrize("option", [["--train.epochs", "3"], ["--dataset", "digits"], ["--block", "se"], ["--vary", "init"]])
def test_options_of_our_own_training_are_refused(tmp_path: Path, option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    name, file = written(tmp_path, LOOP)
    assert run(name, file, tmp_path / "w", *option) == 2
    assert f"reads no {option[0]}" in capsys.readouterr().err


def test_commands_that_look_at_networks_refuse_it_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, file = written(tmp_path, LOOP)
    assert run(name, file, tmp_path / "w", "--seeds", "1", "--no-mlflow") == 0
    for words in (["excitation", name, "gain"], ["compare", f"{name}:gain", f"{name}:plain"]):
        assert runner.main([*words, "--workspace", str(tmp_path / "w")]) == 2
        assert "user's own" in capsys.readouterr().err


# -- the question changes


QUESTION = """
    from ablations.own_loop import loop
    def train(config, seed, out, report):
        return {"score": seed + config["x"] + 0.01 * seed * config["x"], "accuracy": 90 - seed}
    loop("NAME", METRIC, delta=DELTA, reference="REFERENCE", variants={"a": {"x": 1}, "b": {"x": 3}})(train)
"""


def question(folder: Path, name: str, metric: str = "score", better: str = "lower", reference: str = "a", delta: float = 0.5) -> Any:
    """The study that a file makes of the same settings."""
    text = textwrap.dedent(QUESTION).replace("METRIC", f'metric="{metric}", better="{better}"').replace("NAME", name)
    path = folder / "question.py"
    path.write_text(text.replace("REFERENCE", reference).replace("DELTA", str(delta)))
    LOOPS._entries.pop(name, None)
    load_file(path)
    return LOOPS[name].value


@pytest.mark.parametrize("changed", [{"metric": "accuracy"}, {"better": "higher"}, {"reference": "b"}])
def test_another_question_is_another_study(tmp_path: Path, changed: dict[str, str]) -> None:
    from ablations.extension import settled
    from ablations.own_loop import study_of

    store, name = Store(tmp_path / "w"), next(NAMES)
    first = study_of(question(tmp_path, name), [0, 1])
    store.save_study(first)
    one = question(tmp_path, name, **changed)  # type: ignore[arg-type]
    other = settled(store, lambda seeds: study_of(one, seeds), [0, 1])
    assert other.name != first.name
    store.save_study(other)
    assert settled(store, lambda seeds: study_of(one, seeds), [0, 1, 2]).name == other.name


def test_numbers_of_one_metric_are_never_read_as_another(tmp_path: Path) -> None:
    from ablations.own_loop import Settings, trial_key

    keys = {trial_key(Settings(loop="x", source="y", metric=metric, settings={}), 0) for metric in ("error", "accuracy")}
    assert len(keys) == 2


def test_delta_stays_as_it_was_declared_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = next(NAMES)
    trainer = "def train(config, seed, out, report):\n    return {'score': seed + config['x']}\n"
    (tmp_path / f"trainer_{name}.py").write_text(trainer)
    for delta in (0.5, 50):
        file = tmp_path / f"question{delta:g}.py".replace(".5", "5")
        asked = 'metric="score", better="lower", reference="a", variants={"a": {"x": 1}, "b": {"x": 2}}'
        file.write_text(
            f"import trainer_{name} as t\nfrom ablations.own_loop import loop\nloop('{name}', {asked}, delta={delta})(t.train)\n"
        )
        LOOPS._entries.pop(name, None)
        assert run(name, file, tmp_path / "w", "--seeds", "2", "--no-mlflow") == 0
    assert "δ stays ±0.5, as it was declared before training" in capsys.readouterr().out


def test_declared_looks_and_seeds_added_later_stand_on_the_page(tmp_path: Path) -> None:
    name, file = written(tmp_path, LOOP)
    page = tmp_path / "w" / "reports" / name / "report.md"
    assert run(name, file, tmp_path / "w", "--seeds", "3", "--looks", "2", "--no-mlflow") == 0
    assert "2 looks were declared before the first" in page.read_text()
    assert "Holm's procedure at 2.5 %" in page.read_text()
    name, file = written(tmp_path, LOOP, "other.py")
    page = tmp_path / "w" / "reports" / name / "report.md"
    for seeds in ("3", "4"):
        assert run(name, file, tmp_path / "w", "--seeds", seeds, "--no-mlflow") == 0
    assert "**Extended after looking**" in page.read_text()


def test_seeds_for_only_what_is_open_make_a_page_and_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = LOOP.replace('"nothing": {"gain": 0.01}', '"open": {"gain": 0.0, "sway": 3.0}')
    text = text.replace('* config["gain"]', '* config["gain"] + config.get("sway", 0.0) * (-1) ** seed')
    name, file = written(tmp_path, text)
    page = tmp_path / "w" / "reports" / name / "report.md"
    assert run(name, file, tmp_path / "w", "--seeds", "4", "--no-mlflow") == 0
    assert run(name, file, tmp_path / "w", "--only-open", "--add-seeds", "4", "--no-mlflow") == 0
    told = page.read_text()
    keys = told.rpartition("Every trial by its key.")[2]
    gain = next(line for line in keys.splitlines() if line.startswith("| gain"))
    assert [cell.strip() for cell in gain.split("|")[-5:-1]] == ["–"] * 4
    first, then = (f"    ablate run {name} --load FILE.py {rest}\n" for rest in ("--seed-list 0,1,2,3", "--only-open --add-seeds 4"))
    assert first + then in told and "95 % for itself" in told
    capsys.readouterr()
    assert runner.main(["plan", name, "--load", str(file), "--workspace", str(tmp_path / "w"), "--seeds", "4"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "paired differences vary by" in out and "2 comparisons sees each of 2 differences from" in out and " points" not in out


# -- what frameworks do


def test_an_epoch_that_is_reported_twice_is_one_line(tmp_path: Path) -> None:
    body = """
def train(config, seed, out, report):
    for epoch in (1, 2):
        report(epoch, train_loss=epoch)
        report(epoch, val_loss=2 * epoch)
    return {"score": seed}
"""
    name, file = written(tmp_path, HEAD + body)
    assert run(name, file, tmp_path / "w", "--seeds", "1", "--no-mlflow") == 0
    found = result(tmp_path / "w", name, "a")
    assert [(line.epoch, line.values) for line in found.lines] == [
        (1, {"train_loss": 1.0, "val_loss": 2.0}),
        (2, {"train_loss": 2.0, "val_loss": 4.0}),
    ]
    assert len(found.timing.epochs) == 2


def test_a_loop_may_go_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = """
def train(config, seed, out, report):
    import os
    os.chdir(out)
    report(1, loss=1)
    (out / "there").write_text("x")
    return {"score": seed}
"""
    name, file = written(tmp_path, HEAD + body)
    monkeypatch.chdir(tmp_path)
    assert run(name, file, Path("w"), "--seeds", "2", "--no-mlflow") == 0
    assert Path.cwd() == tmp_path
    assert len(list(tmp_path.glob("w/trials/*/own/out/there"))) == 4
    assert len(list(tmp_path.glob("w/trials/*/log.txt"))) == 4


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("import sys; sys.exit(0)", "sys.exit(0)"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("open(out / 'nothing.pt')", "FileNotFoundError"),
    ],
)
def test_what_would_end_the_run_ends_the_trial_alone(tmp_path: Path, ending: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    body = f"def train(config, seed, out, report):\n    if not config:\n        {ending}\n    return {{'score': 1.0 * seed}}\n"
    name, file = written(tmp_path, HEAD + body)
    assert run(name, file, tmp_path / "w", "--seeds", "1", "--no-mlflow") == 1
    assert reason in capsys.readouterr().err
    assert result(tmp_path / "w", name, "b").number == 0.0


def test_a_stop_that_becomes_another_error_is_a_stop(tmp_path: Path) -> None:
    from ablations.own_loop import Settings, Stopped, called

    body = """
def train(config, seed, out, report):
    try:
        report(1)
    except BaseException:
        raise RuntimeError("cleanup failed")
"""
    name, file = written(tmp_path, HEAD + body)
    load_file(file)
    settings = Settings(loop=name, source=LOOPS[name].value.source, metric="score", settings={})
    with pytest.raises(Stopped):
        called(settings, 0, tmp_path, lambda line: None, lambda: True)


def test_names_that_mlflow_would_refuse_or_confuse_are_told_apart(
    tmp_path: Path, mirrored: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    body = """
from ablations.own_loop import loop
@loop("NAME", metric="seconds", better="lower", delta=1, reference="a",
      variants={"a": {"only|here": 1, "opt": {"name": "sgd", "lr": 1}}, "b": {"only|here": 2, "opt": {"name": "adam", "lr": 2}}})
def train(config, seed, out, report):
    report(1, **{"h//x": 1, "": 2})
    return {"seconds": 100.0 + seed, "acc%": 1, "acc$": 2, "../c": 3, "x" * 300: 4, "seed": 77, "variant": 88}
"""
    name, file = written(tmp_path, body)
    assert run(name, file, mirrored.root, "--seeds", "2", "--format", "csv") == 0
    assert "cannot be written" not in capsys.readouterr().err
    parent, child = runs(mirrored, name)["a", None], runs(mirrored, name)["a", "1"]
    assert parent.data.metrics["own.seconds_mean"] == 100.5
    assert parent.data.metrics["seconds_mean"] < 10
    assert (child.data.metrics["own.seconds"], child.data.metrics["acc_"], child.data.metrics["acc_ 2"]) == (101.0, 1.0, 2.0)
    assert child.data.params.items() >= {"only_here": "1", "opt": "sgd", "lr": "1", "seed": "1"}.items()
    rows = (mirrored.root / "reports" / name / "trials.csv").read_text().splitlines()
    assert rows[0].startswith("variant,seed,key,state,seconds,own seconds,")
    assert rows[1].startswith("a,0,")


def test_a_module_of_a_package_is_known_with_all_that_it_imports(tmp_path: Path) -> None:
    from ablations.own_source import code_of

    inner = tmp_path / "package" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").touch()
    (inner / "trainer.py").write_text("from ..common import FACTOR\n")
    found = set()
    for text in ("FACTOR = 1\n", "FACTOR = 2\n"):
        (inner.parent / "common.py").write_text(text)
        found.add(code_of(inner / "trainer.py"))
    assert len(found) == 2


# -- a program


PROGRAM = """
import json, sys, time
gain, seed, out = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
print("training", flush=True)
if gain < 0:
    sys.exit("gain must not be negative")
time.sleep(SLEEP)
open(out + "/result.json", "w").write(json.dumps({"score": seed + gain, "name": "text"}))
"""
DECLARED = """
from ablations.own_program import command
command("NAME", "PYTHON train.py {gain} {seed} {out}", metric="score", better="higher", delta=0.5, reference="a",
        variants={"a": {"gain": 0}, "b": {"gain": 1}})
"""


def program(folder: Path, sleep: float = 0.0) -> tuple[str, Path]:
    (folder / "train.py").write_text(PROGRAM.replace("SLEEP", str(sleep)))
    return written(folder, DECLARED.replace("PYTHON", sys.executable))


def test_a_program_is_a_loop(tmp_path: Path) -> None:
    name, file = program(tmp_path)
    assert run(name, file, tmp_path / "w", "--seeds", "2", "--no-mlflow") == 0
    found = result(tmp_path / "w", name, "b", "1")
    assert found.measured.values == {"score": 2.0}
    assert (tmp_path / "w" / "trials" / found.key / "own" / "out" / "output.txt").read_text() == "training\n"
    before = LOOPS[name].value.source
    later, file = program(tmp_path, sleep=0.01)
    load_file(file)
    assert LOOPS[later].value.source != before


def test_a_program_that_fails_tells_its_last_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, file = program(tmp_path)
    file.write_text(file.read_text().replace('"gain": 1', '"gain": -1'))
    assert run(name, file, tmp_path / "w", "--seeds", "1", "--no-mlflow") == 1
    assert "the command ended with 1: gain must not be negative" in capsys.readouterr().err


def test_a_program_is_found_from_any_folder_and_files_that_settings_name_are_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    name, file = program(home)
    assert run(name, file, Path("w"), "--seeds", "1", "--no-mlflow") == 0
    sources = []
    for text in ("1", "2"):
        (home / "b.json").write_text(text)
        declared = DECLARED.replace("PYTHON train.py {gain}", f"{sys.executable} train.py --gain={{gain}}").replace(
            '"gain": 1', '"gain": "b.json"'
        )
        name, file = written(home, declared, f"declared{text}.py")
        load_file(file)
        sources.append(LOOPS[name].value.source)
    assert sources[0] != sources[1]


def test_where_the_interpreter_lies_is_no_part_of_a_program(tmp_path: Path) -> None:
    sources = []
    for number, place in enumerate(("/usr/bin/python3", "/opt/elsewhere/bin/python3")):
        (tmp_path / str(number)).mkdir()
        name, file = written(tmp_path / str(number), DECLARED.replace("PYTHON", place))
        load_file(file)
        sources.append(LOOPS[name].value.source)
    assert sources[0] == sources[1]


def test_a_line_that_a_crash_cut_short_does_not_swallow_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('{"sitting": 1}\n{"line": {"epo')
    assert _Told.begun(path).sittings == 2
    assert _Told.begun(path).sittings == 3


def test_a_program_that_outlived_its_driver_is_ended_before_another_begins(tmp_path: Path) -> None:
    from ablations.own_program import _alone

    with _alone(tmp_path / "program") as held:
        left = subprocess.Popen(["sleep", "600"], pass_fds=(held.fileno(),), start_new_session=True)
        held.write(str(left.pid))
        held.flush()
    with _alone(tmp_path / "program") as held:
        assert left.wait(10) == -signal.SIGTERM
        assert held.read() == ""


def test_a_program_is_ended_with_the_run(tmp_path: Path) -> None:
    name, file = program(tmp_path, sleep=600)
    words = [sys.executable, str(ROOT / "runner.py"), "run", name, "--load", str(file), "--workspace", str(tmp_path / "w"), "--seeds", "1"]
    process = subprocess.Popen([*words, "--no-mlflow"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not any("training" in path.read_text() for path in tmp_path.glob("w/trials/*/own/out/output.txt")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=60)[0]
    assert process.returncode == 143, told
    listed = subprocess.run(["pgrep", "-f", f"{tmp_path}/w"], capture_output=True, text=True).stdout
    assert listed == ""


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("python x.py {seed} {gain}", "does not say {out}"),
        ("python x.py {out} {gain}", "does not say {seed}"),
        ("x {seed} {out}", "does not say {gain}, which 'a' sets"),
        ("x {seed} {out} {gain} {rate}", "rate"),
    ],
)
def test_a_mistake_in_the_command_is_a_sentence(tmp_path: Path, line: str, told: str) -> None:
    _, file = written(tmp_path, DECLARED.replace("PYTHON train.py {gain} {seed} {out}", line))
    with pytest.raises(InputError, match=told):
        load_file(file)


# -- several at a time


@pytest.mark.slow
def test_a_loop_on_ray_gives_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    name, file = written(tmp_path, LOOP)
    words = [sys.executable, str(ROOT / "runner.py"), "run", name, "--load", str(file), "--seeds", "2", "--no-mlflow", "--threads", "1"]
    for workspace, more in (("here", []), ("there", ["--workers", "2"])):
        done = subprocess.run([*words, "--workspace", str(tmp_path / workspace), *more], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    trees = {}
    for workspace in ("here", "there"):
        found = [json.loads(path.read_text()) for path in sorted(tmp_path.glob(f"{workspace}/trials/*/result.json"))]
        trees[workspace] = [{field: value for field, value in tree.items() if field not in ("timing", "provenance")} for tree in found]
        assert len(list(tmp_path.glob(f"{workspace}/trials/*/own/out/state"))) == 6
    assert trees["here"] == trees["there"]
