"""Why a run ends before its work is done: a signal, a limit that the user set, or a file system that refuses."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType


class Stop:
    """Asked at every step. Set by the first Ctrl-C or SIGTERM (a second one leaves at once), by the time that a run may take, or with a
    reason in words."""

    def __init__(self, minutes: float | None = None) -> None:
        self.signal: int | None = None
        self.reason: str | None = None
        self._minutes = minutes
        self._deadline = None if minutes is None else time.monotonic() + 60 * minutes

    def __call__(self) -> bool:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.because(f"Time is up: --max-minutes {self._minutes:g} have passed.")
        return self.signal is not None or self.reason is not None

    def because(self, reason: str) -> None:
        """End the run for a reason, told as a sentence; the first one stands."""
        self.reason = self.reason or reason

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take over both signals for a while."""
        before = {number: signal.signal(number, self._heard) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number


@dataclass
class Patience:
    """How many failures a run bears: any number, none (``fail_fast``), or fewer than ``failures`` of one cause."""

    fail_fast: bool = False
    failures: int | None = None
    _causes: Counter[str] = field(default_factory=Counter)

    def lost(self, reason: str) -> str | None:
        """Count a failure; returns why the run is to stop, or None while it goes on."""
        self._causes[cause(reason)] += 1
        count = self._causes[cause(reason)]
        if self.fail_fast:
            return "Stopped at the first failure, as --fail-fast asks."
        if self.failures is not None and count >= self.failures:
            return f"Stopped after {count} failures of one cause, as --max-failures {self.failures} asks."
        return None


def cause(reason: str) -> str:
    """A failure's reason without what differs from trial to trial: numbers, addresses, quoted names."""
    return re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{12}\b|\d+(\.\d+)?|'[^']*'", "…", reason)
