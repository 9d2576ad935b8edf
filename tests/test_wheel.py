"""The built wheel works outside the checkout, package data included, whatever lies in the folder where it is called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_installed_wheel_works_from_a_folder_with_a_report_and_a_runner_of_its_own(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source, site, elsewhere = tmp_path / "source", tmp_path / "site", tmp_path / "elsewhere"
    subprocess.run(["git", "clone", "--quiet", ROOT, source], check=True)  # a build leaves folders behind; not in the checkout
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, source], check=True, capture_output=True)
    wheel = next(tmp_path.glob("*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True, capture_output=True)
    (elsewhere / "report").mkdir(parents=True)
    for name in ("runner.py", "report/__init__.py", "report/document.py", "senet_core.py"):
        (elsewhere / name).write_text("raise SystemExit('the wrong module')\n")
    small = ["--data.train", "256", "--data.test", "64", "--train.epochs", "1", "--net.units", "1", "--net.widths", "8", "--net.stem", "8"]
    words = ["run", "squeeze", "--preset", "smoke", *small, "--seeds", "1", "--no-mlflow", "--threads", "1"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([site / "bin" / "ablate", *words], cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "2 trained" in done.stdout, done.stdout + done.stderr
    page = next((elsewhere / "runs" / "reports").glob("*/report.md")).read_text()
    assert "22.57" in page, "the paper's numbers come with the wheel"
