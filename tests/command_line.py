"""What a command line gives when a test runs it in its own process; ``conftest.py`` has the fixture."""

from __future__ import annotations

from collections.abc import Callable

Ablate = Callable[..., tuple[int, str, str]]
"""Called with the words of a command; returns exit code, output, error output."""
