"""Floor 4: the command line. Parse, look up, call; `ablate --help` says what there is.

Exit codes: 0 done, 1 a run with holes or a damaged store, 2 bad input, 130 / 143 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ablations import asked, tracking
from ablations.made import remember, remembered
from ablations.options import parser, take_recipe
from ablations.plans import sources
from ablations.presets import PRESETS
from ablations.selection import places, selected
from ablations.store import DamagedStore, Store
from ablations.study import Study
from ablations.suite import SUITES, Setting
from senet_core.errors import InputError, unknown
from senet_core.files import publish_text
from senet_core.registry import load_file

if TYPE_CHECKING:
    from ablations.execution import Observer, Summary
    from ablations.trial import Trial

console, errors = Console(), Console(stderr=True)


# -- commands


def list_names(options: argparse.Namespace) -> int:
    """Suites, presets, data sets, networks, blocks."""
    from report.console import print_list

    config = PRESETS["quick"].config
    setting = Setting(base=config, stages=len(config.net.arguments["units"]), preset="quick")
    print_list(console, [SUITES[name].value(setting) for name in SUITES.names()])
    return 0


def plan(options: argparse.Namespace) -> int:
    """What a run would do, and what it would take."""
    from ablations.execution import trials
    from ablations.pricing import is_left, prices
    from report.console import print_plan

    store, source = Store(options.workspace), asked.source(options)
    studies = asked.studies(options, store, source)
    queue = trials(studies, asked.seed_texts(options))
    states = {trial.key: store.state(trial.key) for trial in queue}
    left = [trial for trial in queue if is_left(states[trial.key])]
    seconds = prices(left, source, asked.machine(options)) if left else {}
    for study in studies:
        print_plan(console, study, states, seconds, options.diff)
        console.print()
    total = sum(seconds.values()) / 60
    _say(f"{len(states)} trials in all, {len(left)} left to train: about {total:.0f} minutes here.")
    return 0


def run(options: argparse.Namespace) -> int:
    """Train what is missing, then report."""
    from ablations.execution import Stop, trials
    from ablations.execution import run as execute
    from ablations.pricing import is_left
    from ablations.progress import Progress

    store, source = Store(options.workspace), asked.source(options)
    store.usable()
    _writable(_out(options))
    with store.exclusively():
        studies = asked.studies(options, store, source)
        queue = trials(studies, asked.seed_texts(options))
        left = [trial for trial in queue if is_left(store.state(trial.key), options.retry_failed)]
        for config in {trial.config.data.model_dump_json(): trial.config for trial in left}.values():
            source.prepare(config)
        machine = asked.machine(options) if left else None
        for study in studies:
            store.save_study(study)
    stop, tracker = Stop(), _tracker(options, store, studies, left)
    with stop.listening(), Progress(console, places(studies), left, len(queue) - len(left)) as progress:
        observers: list[Observer] = [progress, tracker]
        summary = execute(queue, store, source, machine, observers, stop=stop, retry_failed=options.retry_failed, warn=_warn)
    if summary.signal is not None:
        _warn("Stopped. Everything up to the last finished epoch is kept; run the same command again to go on.")
        return 128 + summary.signal
    for study in studies:
        tracker.mirror(study)
    if not tracker.off:
        remember(store, _uri(options), studies)
    return _ended(options, store, studies, summary)


def status(options: argparse.Namespace) -> int:
    """What a workspace holds, cell by cell."""
    from report.console import print_status

    store = Store(options.workspace)
    counts = [print_status(console, store, study) for study in _stored(store, options)]
    return 1 if any(count.get("damaged") or count.get("failed") for count in counts) else 0


def show(options: argparse.Namespace) -> int:
    """One trial in full."""
    from report.console import print_trial

    store = Store(options.workspace)
    stored = store.keys()
    matching = [key for key in stored if key.startswith(options.key)]
    if len(matching) != 1:
        raise unknown("trial", options.key, stored[:20]) if not matching else InputError(f"'{options.key}' begins several keys.")
    print_trial(console, store, matching[0], places(map(store.study, store.studies())).get(matching[0], []))
    return 0


def report(options: argparse.Namespace) -> int:
    """Pages from what is stored, complete or not."""
    from report.document import write

    store = Store(options.workspace)
    for study in _stored(store, options):
        _say(f"Report: {write(study.name, store, _out(options))}")
    return 0


def sync(options: argparse.Namespace) -> int:
    """Bring MLflow up to what is stored."""
    tracking.need_mlflow()
    store, uri = Store(options.workspace), _uri(options)
    studies = _stored(store, options)
    tracker = tracking.open_tracker(uri, store, _warn)
    done = tracking.sync([study.name for study in studies], store, tracker)
    if tracker.off:
        return 1
    remember(store, uri, studies)
    _say(f"{tracking.public_uri(uri)}: {done.created} runs created, {done.updated} updated, {done.unchanged} unchanged.")
    return 0


def ui(options: argparse.Namespace) -> int:
    """The MLflow UI on this machine only."""
    from ablations.mlflow_ui import ui as serve

    serve(_uri(options), options.workspace, options.port, _say)
    return 0


def cost(options: argparse.Namespace) -> int:
    """Published parameters and multiply-adds beside ours, with what explains a difference."""
    from ablations.costs import compare, scores
    from report.costs import csv_text, markdown, print_costs

    formats = list(dict.fromkeys(options.format or ()))
    if options.out is None and len(formats) > 1:
        raise InputError("Several formats need --out DIR, a folder for their files.")
    if options.out is not None:
        _writable(options.out)
    with errors.status("Counting about a hundred networks …"):
        lines = compare()
    if options.out is None and not formats:
        print_costs(console, lines, scores(lines))
        return 0
    for kind in formats or ("md", "csv"):
        text = markdown(lines, scores(lines)) if kind == "md" else csv_text(lines)
        if options.out is None:
            sys.stdout.write(text)
        else:
            publish_text(options.out / f"costs.{kind}", text)
            _say(f"Written: {options.out / f'costs.{kind}'}")
    return 0


def describe(options: argparse.Namespace) -> int:
    """The network of one variant, or of --net.name, layer by layer."""
    from ablations.describing import chosen
    from report.description import print_description
    from senet_core.describe import by_unit
    from senet_core.describe import describe as described

    config, facts = chosen(options.suite, options.variant, asked.order(options), asked.source(options), options.size)
    found = described(config, facts)
    name = f"{options.suite}: {options.variant}" if options.suite else config.net.name
    lines = by_unit(found.lines) if options.units else found.lines
    print_description(console, f"{name} on {facts.label}, {len(facts.classes)} classes", lines, found.cost)
    return 0


# -- what the commands share


def _stored(store: Store, options: argparse.Namespace) -> list[Study]:
    return selected(store, options.suites, options.preset)


def _uri(options: argparse.Namespace) -> str:
    return tracking.tracking_uri(options.workspace, options.tracking_uri)


def _tracker(options: argparse.Namespace, store: Store, studies: Sequence[Study], left: Sequence[Trial]) -> tracking.Tracker:
    """No tracker where none is wanted, or where nothing will train and the mirror shows everything already."""
    if options.no_mlflow:
        return tracking.Tracker()
    uri = _uri(options)
    gone = uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists()
    if not left and not gone and remembered(store, uri, studies):
        return tracking.Tracker()
    return tracking.open_tracker(uri, store, _warn, studies)


def _ended(options: argparse.Namespace, store: Store, studies: Sequence[Study], summary: Summary) -> int:
    """Tell what came out: the holes, a small table and the page of each study, the way to the UI."""
    for key, reason in {**summary.failed, **summary.damaged}.items():
        _warn(f"{places(studies)[key][0]} ({key}): {reason}")
    for study in studies:
        _say(f"\n{study.title}\n{_page(study, store, _out(options))}")
    trained, failed, damaged = len(summary.trained), len(summary.failed), len(summary.damaged)
    _say(f"\n{trained} trained, {summary.diverged} of them diverged; {failed} failed, {damaged} damaged.")
    if not options.no_mlflow:
        _say(f"Compare the runs: ablate ui{'' if options.workspace == Path('runs') else f' --workspace {options.workspace}'}")
    return 1 if summary.holes else 0


def _page(study: Study, store: Store, out: Path) -> str:
    """The study's small table and where its page is; the page is written unless it shows these very results already."""
    from report.document import page, summary, write

    where = f"report in {out.resolve()} by {sources('senet_core', 'ablations', 'report')}"
    if not (page(study.name, out).exists() and remembered(store, where, [study])):
        write(study.name, store, out)
        remember(store, where, [study])
    return f"{summary(study, store)}\nReport: {page(study.name, out)}"


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot write reports into '{folder}': {error.strerror}.") from None


def _out(options: argparse.Namespace) -> Path:
    chosen: Path | None = options.out
    return chosen if chosen is not None else options.workspace / "reports"


def _say(text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _warn(sentence: str) -> None:
    errors.print(sentence, style="yellow", highlight=False, markup=False, soft_wrap=True)


# -- the way in

COMMANDS = {"list": list_names, **{function.__name__: function for function in (plan, describe, cost, run, status, show, report, sync, ui)}}


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        rest, recipe = take_recipe(sys.argv[1:] if words is None else words)
        options = parser(COMMANDS).parse_args(rest)
        if recipe and options.command not in ("plan", "run", "describe"):
            raise InputError(f"--{next(iter(recipe))}: only plan, run and describe take recipe fields.")
        options.recipe = recipe
        if getattr(options, "load", None):
            load_file(options.load)
        return int(options.function(options))
    except DamagedStore as error:
        _warn(str(error))
        return 1
    except InputError as error:
        _warn(str(error))
        return 2
    except KeyboardInterrupt:
        _warn("Stopped.")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _warn(
            f"The file system refuses: {error.strerror or error}{f' ({error.filename})' if error.filename else ''}. Nothing stored is lost."
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
