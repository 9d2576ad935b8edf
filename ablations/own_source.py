"""The identity of a user's own code: a file, and all modules beside it or below that it imports, directly or by another one."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from senet_core.config import canonical
from senet_core.errors import InputError

OURS = ("ablations", "benchmarks", "report", "runner", "senet_core")
"""Modules of this project, which may lie beside a file; what they do is not the file's."""


def source_of(train: Callable[..., Any]) -> str:
    """The hash of the code of a function: 12 hex digits.

    Found by reading, not by what happens to be imported, so that every process finds the same.

    :raises InputError: for something else than a function in a file.
    """
    function = inspect.unwrap(train)
    file = getattr(sys.modules.get(getattr(function, "__module__", "")), "__file__", None)
    if not inspect.isfunction(function) or file is None:
        raise InputError("A training loop must be a function in a file, for its code is part of each trial's identity.")
    return code_of(Path(file))


def code_of(file: Path) -> str:
    """The hash of a Python file and of what it imports from beside it or below: 12 hex digits."""
    home = file.resolve().parent
    while (home / "__init__.py").exists():  # a module of a package is known from where the package lies
        home = home.parent
    files = _reached(file.resolve(), home)
    if len(files) == 1:
        return str(digest(files[0]))
    seen = [digest(files[0]), *([path.relative_to(home).as_posix(), digest(path)] for path in sorted(files[1:]))]
    return hashlib.sha256(canonical(seen).encode()).hexdigest()[:12]


def digest(path: Path) -> str | None:
    """12 hex digits of a file's content; None where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else None


def _reached(first: Path, home: Path) -> list[Path]:
    """The file itself first, then those below ``home`` that it imports, and what they import."""
    found, waiting = [first], [first]
    while waiting:
        for path in _neighbours(waiting.pop(), home):
            if path not in found:
                found.append(path)
                waiting.append(path)
    return found


def _neighbours(file: Path, home: Path) -> Iterator[Path]:
    for name in _imports(file, home):
        parts = name.split(".")
        if parts[0] in OURS:
            continue
        for base in dict.fromkeys((home, file.parent)):
            for length in range(1, len(parts) + 1):
                place = base.joinpath(*parts[:length])
                yield from (path for path in (place.with_name(f"{place.name}.py"), place / "__init__.py") if path.is_file())


def _imports(file: Path, home: Path) -> Iterator[str]:
    """The dotted names that a file imports, anywhere in it; relative ones as seen from ``home``."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            place = file.parents[node.level - 1] if node.level else home
            if not place.is_relative_to(home):
                continue
            package = place.relative_to(home).parts
            base = ".".join([*package, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)
