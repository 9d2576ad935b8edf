"""The live view of a run: a line of totals and the running trial on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ablations.execution.trial import Trial
from ablations.result import Epoch, Line, Result
from ablations.study import Settings


class Progress:
    """Counts trials and estimates the time to go from the seconds that epochs took here, priced by multiply-adds.

    ``names`` gives each key its places in words, of which the first is shown; ``left`` are the trials to train in this run, ``slots`` of
    them at a time.
    """

    def __init__(self, console: Console, names: Mapping[str, Sequence[str]], left: Sequence[Trial], stored: int, slots: int = 1) -> None:
        self._console, self._names = console, {key: found[0] for key, found in names.items()}
        self._left = {trial.key: _work(trial) for trial in left}
        self._total, self._stored, self._slots = len(left), stored, slots
        self._done = self._failed = 0
        self._seconds = self._worked = 0.0
        self._running: dict[str, str] = {}
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._view, transient=True)
        self._started = time.monotonic()

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._live.stop()

    def trial_started(self, trial: Trial) -> None:
        """A trial begins."""
        self._running[trial.key] = "starting"
        if not self._console.is_terminal:
            self._say(f"{self._place()} {self._names[trial.key]}  starts")

    def trial_epoch(self, trial: Trial, epoch: Epoch | Line, seconds: float) -> None:
        """An epoch is over."""
        if isinstance(epoch, Line) or isinstance(trial.config, Settings):
            self._running[trial.key] = f"epoch {epoch.epoch}"
            return
        share = _work(trial) / trial.config.train.epochs
        self._seconds, self._worked = self._seconds + seconds, self._worked + share
        self._left[trial.key] = max(0.0, _work(trial) - share * epoch.epoch)
        self._running[trial.key] = f"epoch {epoch.epoch} of {trial.config.train.epochs}, training error {epoch.error:.1f} %"

    def trial_ended(self, trial: Trial, result: Result | None, reason: str | None) -> None:
        """A trial is over; its line stays."""
        self._running.pop(trial.key, None)
        if reason == "interrupted":
            return
        self._left.pop(trial.key, None)
        if result is not None and result.measured is not None:  # how many epochs such a trial has is known to nobody before its end
            self._seconds, self._worked = self._seconds + result.timing.total, self._worked + _work(trial)
        self._done, self._failed = self._done + (result is not None), self._failed + (result is None)
        self._say(f"{self._place()} {self._names[trial.key]}  {_ending(trial, result, reason)}  {self._to_go()}")

    def _say(self, text: str) -> None:
        """As it is: names and reasons may hold what rich would read as markup."""
        self._console.print(text.rstrip(), markup=False, highlight=False, soft_wrap=True)

    def _place(self) -> str:
        return f"[{self._done + self._failed}/{self._total}]"

    def _view(self) -> Text:
        running = [f"{self._names[key]}: {now}" for key, now in self._running.items()] or ["between trials"]
        left = self._total - self._done - self._failed - len(self._running)
        text = f"{self._done} done, {self._failed} failed, {left} left ({self._stored} stored before)  {self._to_go()}"
        return Text("\n  ".join([text, *running]))

    def _to_go(self) -> str:
        if not self._worked or not self._left:
            return ""
        minutes = self._seconds / self._worked * sum(self._left.values()) / 60 / max(1, min(self._slots, len(self._left)))
        return f"about {minutes:.0f} min to go" if minutes >= 1 else "less than a minute to go"


def _work(trial: Trial) -> float:
    if trial.cost is None or isinstance(trial.config, Settings):
        return 1.0
    return float(trial.cost.macs * trial.config.train.epochs)


def _ending(trial: Trial, result: Result | None, reason: str | None) -> str:
    if result is None:
        return f"FAILED: {reason} (trials/{trial.key}/log.txt)"
    if result.number is None:
        return f"diverged after {len(result.history) or len(result.lines)} epochs"
    measured = f"{result.measured.metric} {result.number:.5g}" if result.measured else f"error {result.number:.2f} %"
    return f"{measured}, {result.timing.total:.0f} s"
