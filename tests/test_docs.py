"""The documents say what is true: what they tell to type is run as it stands, in order, page by page; names exist, files are there.

A page is run in an empty folder, its commands as they are printed. To take seconds they meet presets of their own names with a tiny
network, tiny data and one epoch. What is not run is listed below, word for word, and its page says why.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import runner
from ablations.presets import PRESETS
from ablations.suite import SUITES
from ablations.templating import KINDS
from senet_core.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

NOT_RUN = {
    ("README.md", "make demo"): "installs",
    ("README.md", "make test"): "proves it",
    ("README.md", "ablate ui"): "on 127.0.0.1",
    ("first_steps.md", "make demo"): "not run by the tests: downloads PyTorch",
    ("first_steps.md", "ablate ui"): "not run by the tests: serves until it is stopped",
    ("execution.md", "ablate run squeeze --preset smoke --seeds 2 --workers 2"): "Not run by\nthe tests that have no Ray",
    ("mlflow.md", "ablate ui"): "`ui` serves MLflow's page on 127.0.0.1",
    (
        "mlflow.md",
        "mlflow server --backend-store-uri postgresql+psycopg2://user@host/mlflow --artifacts-destination s3://bucket",
    ): "names a\nserver or a database instead",
    ("mlflow.md", "ablate run reduction --tracking-uri http://host:5000"): "names a\nserver or a database instead",
    ("mlflow.md", "ablate report reduction --from mlflow:http://host:5000"): "The server is enough to read from",
}
"""What a page tells to type and is not run here: (page, line) to the words, beside it on the page, that say why."""
BEFORE = {"judge.md": ["ablate run squeeze --preset smoke --seeds 2 --tracking-uri sqlite:///mlflow.db"]}
"""What a page takes to be there already."""
TYPED = ("ablate", "make", "python", "pip", "mlflow", "git", "cd", "export")
SHELL, SHOWN = ("sh", "bash", "shell", "console"), ("text", "json", "yaml", "toml", "csv")


@dataclass(frozen=True)
class Snippet:
    """A fenced part of a page: what kind it is, its text, and what stands beside it (the fence and the text before it)."""

    kind: str
    text: str
    beside: str


def snippets(page: Path) -> list[Snippet]:
    """All fences of a page. One without a language is for the shell where its first word is a command, and else only shown."""
    text, found = page.read_text(encoding="utf-8"), []
    for fence in re.finditer(r"^ *```(\w*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        kind, inside = fence[1], fence[2]
        typed = any(line.split()[:1] and line.split()[0] in TYPED for line in inside.splitlines())
        if not kind:
            first = next((line for line in inside.splitlines() if line.strip() and not line.startswith("#")), "")
            kind = "sh" if first.split()[:1] and first.split()[0] in TYPED else "text"
        assert kind in (*SHELL, "python", *SHOWN), f"{page.name}: a fence of the unknown kind '{kind}'"
        assert kind in SHELL or kind == "python" or not typed, f"{page.name}: commands in a fence that is only shown:\n{inside}"
        around = text[max(0, fence.start() - 400) : fence.end() + 400]
        found.append(Snippet("sh" if kind in SHELL else kind, inside, around))
    return found


def lines(snippet: Snippet) -> list[str]:
    """The commands of a snippet for the shell, comments left out, continued lines joined."""
    joined = snippet.text.replace("\\\n", " ").splitlines()
    return [shlex.join(words) for words in (shlex.split(line, comments=True) for line in joined) if words]


KNOWN = {kind: set(registry.names()) for kind, registry in KINDS.items()}


def forget() -> None:
    """What one command has loaded is not known to the next one, nor to another test: on a command line each is a process."""
    for kind, registry in KINDS.items():
        for name in set(registry.names()) - KNOWN[kind]:
            del registry._entries[name]
    for name in [name for name in sys.modules if name.startswith("loaded_")]:
        del sys.modules[name]


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Nothing of a page is left behind."""
    yield
    forget()


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mlflow_template: Path) -> Path:
    """An empty folder but for what a reader has: a folder of images called DIR, the documents' own files; and small presets."""
    monkeypatch.chdir(tmp_path)
    net = {"net.units": [1, 1, 1], "net.widths": [8, 16, 32], "net.stem": 8}
    rest = {"data.train": 96, "data.test": 64, "train.epochs": 1, "train.batch": 32, "train.precision": "fp32"}
    config = PRESETS["smoke"].config.but(net | rest)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})  # one thread is the fastest for so small a network
    for name, preset in PRESETS.items():
        monkeypatch.setitem(PRESETS, name, preset.model_copy(update={"config": config}))
    draw = np.random.default_rng(0)
    for side, count in (("train", 24), ("test", 8)):
        for label in ("cat", "dog"):
            folder = tmp_path / "DIR" / side / label
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "docs").mkdir()
    for file in (ROOT / "docs").glob("*.csv"):
        shutil.copy(file, tmp_path / "docs")
    (tmp_path / "runs").mkdir()
    shutil.copy(mlflow_template, tmp_path / "runs" / "mlflow.db")
    return tmp_path


def run(line: str) -> None:
    """One command; `ablate` in this process, where the presets are small."""
    first, *words = shlex.split(line)
    if first == "ablate":
        forget()
        assert runner.main(words) == 0, line
    else:
        subprocess.run(["bash", "-ec", line], check=True, timeout=120)


def execute(snippet: Snippet, rest: list[Snippet], folder: Path, page: str) -> None:
    """Run a snippet; a Python file that is named in its first line is written, and something after it must use it."""
    if snippet.kind == "sh":
        for line in lines(snippet):
            if (page, line) not in NOT_RUN:
                run(line)
        return
    named = re.match(r"# (\w+\.py)\n", snippet.text)
    if named is None:
        exec(compile(snippet.text, page, "exec"), {"__name__": "__main__"})
        return
    uses = (named[1], f"from {named[1].removesuffix('.py')} import")
    assert any(use in later.text for later in rest for use in uses), f"{page}: nothing uses {named[1]}"
    (folder / named[1]).write_text(snippet.text, encoding="utf-8")


def run_page(page: Path, folder: Path) -> None:
    for line in BEFORE.get(page.name, []):
        run(line)
    found = [snippet for snippet in snippets(page) if snippet.kind not in SHOWN]
    for place, snippet in enumerate(found):
        execute(snippet, found[place + 1 :], folder, page.name)


WITH_SNIPPETS = [page for page in PAGES if any(snippet.kind not in SHOWN for snippet in snippets(page))]


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=lambda page: page.name)
def test_what_a_page_tells_to_type_runs(page: Path, empty_folder: Path, forgotten: None) -> None:
    run_page(page, empty_folder)


def test_what_is_not_run_is_listed_and_its_page_says_why() -> None:
    told = {
        (page.name, line): snippet.beside for page in PAGES for snippet in snippets(page) if snippet.kind == "sh" for line in lines(snippet)
    }
    assert set(NOT_RUN) <= set(told), "listed, and on no page any more"
    for place, why in NOT_RUN.items():
        assert why in told[place], place
    marked = {(page.name, snippet.text) for page in PAGES for snippet in snippets(page) if "not run by the tests" in snippet.text}
    for page, text in marked:  # a page that says so is listed
        assert any(where == page and line in text for where, line in NOT_RUN), text


def test_a_page_in_folders_without_its_files_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nablate describe --preset smoke --net.name no_such_network\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="no_such_network"):
        run_page(page, tmp_path)
    page.write_text("```python\n# never_used.py\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"nothing uses never_used\.py"):
        run_page(page, tmp_path)
    page.write_text("```text\nablate list\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="only shown"):
        run_page(page, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_every_link_of_a_page_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    made = set(re.findall(r"(?:@SUITES\.add|loop|command)\(\s*\"(\w+)\"", text)) | set(re.findall(r"ablate new (?:suite|loop) (\w+)", text))
    for line in re.findall(r"^ablate (.*?)(?: #.*)?$", text, re.MULTILINE):
        rest, _ = runner.take_recipe(shlex.split(line))
        options = runner.parser(runner.COMMANDS).parse_args(rest)
        assert set(getattr(options, "suites", [])) <= {*SUITES.names(), *made}, line
        assert getattr(options, "preset", None) in (None, *PRESETS), line
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", text):
        assert (page.parent / target.partition("#")[0]).exists(), target


def test_every_command_in_running_text_exists() -> None:
    for page in PAGES:
        for command in re.findall(r"`ablate ([a-z]+)", page.read_text(encoding="utf-8")):
            assert command in runner.COMMANDS, f"{page.name}: ablate {command}"


def test_every_file_that_a_page_names_is_there() -> None:
    for page in PAGES:
        for name in re.findall(r"`((?:senet_core|ablations|report|tests|benchmarks)/[\w/]+\.\w+)`", page.read_text(encoding="utf-8")):
            assert (ROOT / name).exists() or "NAME" in name, f"{page.name}: {name}"


def test_first_steps_say_what_make_demo_runs() -> None:
    (demo,) = re.findall(r"^\t\$\(ABLATE\) (run .*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert f"ablate {demo}\n" in (ROOT / "docs" / "first_steps.md").read_text(encoding="utf-8")


def test_own_block_says_which_suites_take_any_block() -> None:
    from ablations.suite import Setting

    text = " ".join((ROOT / "docs" / "own_block.md").read_text(encoding="utf-8").split())
    listed = set(re.findall(r"`(\w+)`", re.search(r"These suites take any block: (.*?)\. The suites", text)[1]))  # type: ignore[index]
    base, taking = PRESETS["smoke"].config.but({"net.block": {"name": "gct"}}), set()
    for name in SUITES.names():
        try:
            suite = SUITES[name].value(Setting(base=base, stages=3, preset="smoke"))
        except InputError:
            continue
        if any(variant.config.net.block is not None and variant.config.net.block.name == "gct" for variant in suite.variants):
            taking.add(name)
    assert listed <= taking, listed - taking


def test_the_readme_names_every_suite_and_preset() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in [*SUITES.names(), *PRESETS])
