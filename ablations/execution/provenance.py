"""With what code and libraries a trial ran; no path, host or user name."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from types import ModuleType

PACKAGES: tuple[str, ...] = ("torch", "torchvision", "numpy", "pydantic", "scikit-learn", "pillow", "scipy", "senet-ablations")


@cache
def commit() -> tuple[str | None, bool | None]:
    """The commit of the checkout that this code runs from, and whether it has changes or new files; (None, None) for a wheel.

    Asked at the start of a run and kept: the checkout may move on while the loaded code does not.
    """
    home = Path(__file__).resolve().parents[2]
    if not (home / ".git").exists():
        return None, None
    head, changes = _git(home, "rev-parse", "HEAD"), _git(home, "status", "--porcelain")
    return (head.strip(), bool(changes.strip())) if head is not None and changes is not None else (None, None)


def _git(folder: Path, *words: str) -> str | None:
    try:
        return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def versions(*more: str) -> dict[str, str]:
    """Releases of Python and of the libraries that a number can depend on, and of ``more``; those not installed are left out."""
    found = {"python": platform.python_version()}
    for package in dict.fromkeys((*PACKAGES, *more)):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def packages_of(module: ModuleType) -> list[str]:
    """The installed packages that a module takes something from, by the names of their releases."""
    names = set()
    for value in vars(module).values():
        home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(home, str):
            names.add(home.partition(".")[0])
    releases = packages_distributions()
    return sorted({release for name in names for release in releases.get(name, ())})
