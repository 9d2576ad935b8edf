"""An object in a process of its own, so that nothing that it does or holds reaches what is measured beside it."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing import get_context, get_start_method, set_start_method
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self


class LeftOut(Exception):
    """What this machine cannot run; says why."""


def serve(pipe: Connection, method: str, started: float, make: Callable[[float], Any]) -> None:
    """The child's side: make the object, then call what the parent asks of it, until the parent hangs up."""
    set_start_method(method, force=True)  # loader workers start as in any program, not as this process did
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and hangs up
    target = None
    while True:
        try:
            name, arguments = pipe.recv()
        except EOFError:
            return
        try:
            if target is None:
                target = make(started)
            answer = "done", getattr(target, name)(*arguments)
        except LeftOut as reason:
            answer = "left out", str(reason)
        except Exception:
            answer = "failed", traceback.format_exc()
        try:
            pipe.send(answer)
        except BrokenPipeError:
            return


class Remote:
    """An object in a process of its own, started afresh; it sleeps between calls."""

    def __init__(self, make: Callable[[float], Any]) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        # perf_counter is one clock for all processes of a Linux machine (CLOCK_MONOTONIC)
        self._process = context.Process(target=serve, args=(theirs, get_start_method(), time.perf_counter(), make))
        self._process.start()
        theirs.close()

    def __call__(self, method: str, *arguments: object) -> Any:
        """What the object's method gives.

        :raises LeftOut: if the object said so, or its process is gone.
        :raises RuntimeError: with the traceback of what else it raised.
        """
        try:
            self._pipe.send((method, arguments))
            kind, value = self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join()
            raise LeftOut(f"its process ended with exit code {self._process.exitcode}") from None
        if kind == "left out":
            raise LeftOut(value)
        if kind == "failed":
            raise RuntimeError(f"in a process of its own:\n{value}")
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        """Hang up; the process ends after its turn, and is ended where that takes long."""
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
