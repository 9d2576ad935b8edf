"""The documents say what is true: snippets run, names exist, files are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import runner
from ablations.presets import PRESETS
from ablations.suite import SUITES

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_block_of_the_documentation_runs_through_a_suite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
    file = tmp_path / "channel_scale.py"
    file.write_text(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], encoding="utf-8")
    small = [
        "--data.train",
        "400",
        "--data.test",
        "200",
        "--train.epochs",
        "1",
        "--net.units",
        "1,1,1",
        "--net.widths",
        "8,16,16",
        "--net.stem",
        "8",
    ]
    words = ["run", "stages", "--preset", "smoke", "--load", str(file), "--net.block", "channel_scale", *small]
    assert runner.main([*words, "--seeds", "1", "--workspace", str(tmp_path / "w"), "--no-mlflow", "--threads", "1"]) == 0
    assert "5 trained" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_every_link_of_a_page_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for line in re.findall(r"^ablate (.*?)(?: #.*)?$", text, re.MULTILINE):
        rest, _ = runner.take_recipe(line.split())
        options = runner.parser(runner.COMMANDS).parse_args(rest)
        assert set(getattr(options, "suites", [])) <= set(SUITES.names()), line
        assert getattr(options, "preset", None) in (None, *PRESETS), line
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", text):
        assert (page.parent / target).exists(), target


def test_the_readme_names_every_suite_and_preset() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in [*SUITES.names(), *PRESETS])
