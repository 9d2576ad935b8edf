"""Floor 4: the command line. Parse, look up, call; `ablate --help` says what there is.

Exit codes: 0 done, 1 a run with holes or a damaged store, 2 bad input, 130 / 143 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ablations import asked
from ablations.made import remember, remembered
from ablations.options import parser, take_recipe
from ablations.plans import sources
from ablations.presets import PRESETS
from ablations.selection import companions, places, selected
from ablations.store import DamagedStore, Store
from ablations.study import Study
from ablations.suite import SUITES, Setting
from ablations.tracking import tracker as tracking
from ablations.tracking.place import need_mlflow, public_uri
from ablations.upkeep import disk_used, remove, size, unused
from senet_core.errors import InputError, unknown
from senet_core.files import publish_text
from senet_core.registry import load_file

if TYPE_CHECKING:
    from ablations.execution.loop import Summary
    from ablations.execution.session import Session
    from ablations.planning import DataSource
    from report.publishing import Published

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
    """What a run would do, what it would take, and what its seeds could tell."""
    from ablations.execution.loop import trials
    from ablations.execution.pricing import is_left, keys_in_order, makespan, prices
    from ablations.statistics.measured import arms
    from ablations.statistics.prospects import prospects
    from report.console import print_plan, print_prospects

    store, source = Store(options.workspace), asked.source(options)
    shares = asked.shares(options, store, source)
    studies, queue = [one.study for one in shares], trials(shares)
    states = {trial.key: store.state(trial.key) for trial in queue}
    left = [trial for trial in queue if is_left(states[trial.key])]
    if left:
        asked.arrange(options, source, _say)
    seconds = prices(left, queue, store, source, asked.machine(options)) if left else {}
    for study in studies:
        print_plan(console, study, states, seconds, options.diff)
        found = prospects(study, arms(study, store), stated=options.noise if study.metric is None else None)
        if study.metric is None or any(one.outlook for one in found.found):  # a noise that is stated is in points
            print_prospects(console, found)
        console.print()
    for sentence in (sentence for one in shares for sentence in one.said):
        _say(sentence)
    workers = options.workers if left else None
    minutes = [makespan(keys_in_order(left, seconds), slots) / 60 for slots in (1, workers or 1)]
    together = f", {workers} at a time about {minutes[1]:.0f}" if workers else ""
    price = f": about {minutes[0]:.0f} minutes here{together}" if len(seconds) == len(left) else "; what they take is not known yet"
    stage = " That is the first stage; how many seeds follow is known when it has ended." if any(one.first_stage for one in shares) else ""
    _say(f"{len(states)} trials in all, {len(left)} left to train{price}.{stage}")
    return 0


def run(options: argparse.Namespace) -> int:
    """Train what is missing, then report."""
    from ablations.execution.rounds import Rounds

    store, source = Store(options.workspace), asked.source(options)
    store.usable()
    _writable(_out(options))
    with _session(options, store, source) as session:
        turns = Rounds(lambda: asked.shares(options, store, source), session.engine, store, source, options.retry_failed)
        summary, studies = session.train_all(turns)
    return _ended(options, store, list(studies.values()), summary)


def tune(options: argparse.Namespace) -> int:
    """Tune learning rate and weight decay for every variant alike on held-out images, then run the suite at both settings."""
    from ablations.execution.loop import Summary
    from ablations.execution.rounds import Rounds
    from ablations.tuning.course import finals, held_out, tunings

    store, source = Store(options.workspace), asked.source(options)
    wanted = tunings(options, store, source)
    if options.dry_run:
        from ablations.tuning.forecast import forecast

        asked.arrange(options, source, _say)
        for sentence in forecast(wanted, store, source, partial(asked.machine, options), options.workers or 1):
            _say(sentence)
        return 0
    store.usable()
    _writable(_out(options))
    summary = Summary()
    studies: dict[str, Study] = {}
    with _session(options, store, source) as session:
        for part in (held_out,) if options.only_tuning else (held_out, finals):
            found, of_part = session.train_all(Rounds(partial(part, wanted), session.engine, store, source, options.retry_failed))
            summary, studies = summary + found, studies | of_part
            if summary.signal is not None or summary.stopped is not None or summary.refused or summary.holes:
                break
    return _ended(options, store, list(studies.values()), summary)


def search(options: argparse.Namespace) -> int:
    """Search a space for the designs that are best for their cost on held-out images, then confirm them on the test set."""
    from ablations.search.course import course

    store, source = Store(options.workspace), asked.source(options)
    store.usable()
    _writable(_out(options))
    with _session(options, store, source) as session:
        summary, studies = course(options, store, source, session, _say)
    return _ended(options, store, studies, summary)


def status(options: argparse.Namespace) -> int:
    """What a workspace holds, cell by cell."""
    from report.console import print_status

    store = Store(options.workspace)
    glance = cache(store.glance)  # studies share trials
    counts = [print_status(console, glance, study) for study in _stored(store, options)]
    idle = len(unused(store))
    more = f", {idle} of no study (`ablate prune` lists them)" if idle else ""
    _say(f"{size(disk_used(store.root))} on the disk, {len(store.keys())} trials{more}.")
    return 1 if any(count.get("damaged") or count.get("failed") for count in counts) else 0


def prune(options: argparse.Namespace) -> int:
    """List the stored trials that no study refers to, and remove them after asking."""
    store = Store(options.workspace)
    selected(store, (), None)  # a folder that is no workspace has nothing to remove
    keys = unused(store)
    for key in keys:
        _say(f"{key}  {store.state(key):<9}  {size(disk_used(store.trial(key)))}")
    if not keys:
        _say("Every stored trial belongs to a study.")
        return 0
    taken = size(sum(disk_used(store.trial(key)) for key in keys))
    if not options.yes and not _agreed(f"Remove these {len(keys)} trials ({taken})? They are gone for good. [y/N] "):
        _say("Nothing was removed.")
        return 0
    gone = [done for _, done in remove(store, keys)]
    _say(f"{sum(gone)} trials removed." + (f" {gone.count(False)} are in use and stay." if False in gone else ""))
    return 0


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
    from ablations.tracking.reading import restored

    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    with restored(options.origin, uri, options.suites) if options.origin else nullcontext(Store(options.workspace)) as store:
        _reports([study.name for study in _stored(store, options)], store, _out(options), options.format or ("md",))
    return 0


def sync(options: argparse.Namespace) -> int:
    """Bring MLflow up to what is stored."""
    need_mlflow()
    store, uri = Store(options.workspace), asked.uri(options)
    studies = _stored(store, options)
    tracker = tracking.open_tracker(uri, store, _warn)
    done = tracking.sync([study.name for study in studies], store, tracker)
    if not tracker.off:
        remember(store, asked.mirrored(options), studies)
        _attach_reports(options, store, studies, options.workspace / "reports")
    if tracker.off:
        return 1
    _say(f"{public_uri(uri)}: {done}.")
    return 0


def ui(options: argparse.Namespace) -> int:
    """The MLflow UI on this machine only."""
    from ablations.tracking.ui import ui as serve

    serve(asked.uri(options), options.workspace, options.port, _say)
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


def judge(options: argparse.Namespace) -> int:
    """Verdicts on numbers that you have already: a CSV file of runs, or an MLflow experiment."""
    from ablations.judging.judge import Asked, judge, runs
    from report.judgement_words import text

    table = runs(options.file, options.origin, options.experiment)
    names = {"metric": options.metric, "variant": options.variant_column, "seed": options.seed_column}
    asked_for = Asked(options.reference.strip(), **names, lower_is_better=options.lower_is_better, delta=options.delta, where=options.where)
    found = judge(table, asked_for)
    _say(text(found))
    if options.out is not None:
        from report.judgement import write  # late: matplotlib takes a second to import, and a terminal does not need it

        _say(f"Report: {write(found, options.out)}")
    return 0


def compare(options: argparse.Namespace) -> int:
    """Two variants, studies or workspaces beside each other."""
    from ablations.side_by_side import place, studies, variants, workspaces
    from report.side_by_side import studies_page, variants_page, workspaces_page

    a, b = place(options.a, options.workspace), place(options.b, options.workspace)
    if a.variant and b.variant:
        text = variants_page(variants(a, b))
    elif a.study and b.study and not a.variant and not b.variant:
        text = studies_page(studies(a, b))
    elif not a.study and not b.study:
        text = workspaces_page(workspaces(a, b))
    else:
        raise InputError("Compare like with like: two variants (SUITE:VARIANT), two studies, or the folders of two workspaces.")
    if options.out is None:
        sys.stdout.write(text)
    else:
        _writable(options.out)
        publish_text(options.out / "compare.md", text)
        _say(f"Written: {options.out / 'compare.md'}")
    return 0


def new(options: argparse.Namespace) -> int:
    """A file of your own to begin with: a block, a network, a data set or a suite."""
    from ablations.templating import new as write_new
    from ablations.templating import next_steps

    path = write_new(options.kind, options.name, options.out)
    _say("\n    ".join([f"Written: {path}. It runs as it is; go on with", *next_steps(options.kind, options.name, path)]))
    return 0


def check(options: argparse.Namespace) -> int:
    """Hold the blocks of a file of your own against the contract of a block."""
    from ablations.checking import checked
    from senet_core.registry import BLOCKS

    names = BLOCKS.loaded(options.source)
    if not names:
        raise InputError(f"'{options.load}' registers no block; `ablate new block NAME` writes one to begin with.")
    block = {path.removeprefix("net.block."): value for path, value in options.recipe.items()}
    found = [checked(name, block) for name in names]
    for one in found:
        _say(f"{one.name}: {'breaks' if one.faults else 'keeps'} the contract of a block")
        for told in (*one.faults, *one.notes):
            _say(f"  - {told}")
    return 1 if any(one.faults for one in found) else 0


def describe(options: argparse.Namespace) -> int:
    """The network of one variant, or of --net.name, layer by layer."""
    from ablations.describing import chosen
    from ablations.planning import network_mistakes
    from report.description import print_description
    from senet_core.describe import by_unit
    from senet_core.describe import describe as described

    config, facts = chosen(options.suite, options.variant, asked.order(options), asked.source(options), options.size)
    with network_mistakes(config):
        found = described(config, facts)
    name = f"{options.suite}: {options.variant}" if options.suite else config.net.name
    lines = by_unit(found.lines) if options.units else found.lines
    print_description(console, f"{name} on {facts.label}, {len(facts.classes)} classes", lines, found.cost)
    return 0


def excitation(options: argparse.Namespace) -> int:
    """What the gates of a trained variant do by class, and what the network loses without them."""
    from ablations.excitation import chosen, examine
    from report.excitation import write

    store, source = Store(options.workspace), asked.source(options)
    study, variant = chosen(store, options.suite, options.variant, options.preset, options.dataset)
    machine = partial(asked.machine, options)  # loads torch, so it is asked only where something is to be computed
    for sentence in examine(study, variant, store, source, machine, seed=options.seed, knockout=options.knockout):
        _say(sentence)
    _told([write(study, variant, store, _out(options), options.format or ("md",))])
    return 0


# -- what the commands share


def _stored(store: Store, options: argparse.Namespace) -> list[Study]:
    return selected(store, options.suites, options.preset)


def _session(options: argparse.Namespace, store: Store, source: DataSource) -> Session:
    from ablations.execution.session import Session

    return Session(options, store, source, console, _say, _warn)


def _broken_off(summary: Summary) -> int:
    """Tell why training ended before its time; returns the exit code."""
    if summary.signal is not None:
        _warn("Stopped. Everything up to the last finished epoch is kept; run the same command again to go on.")
        return 128 + summary.signal
    _warn(f"{summary.stopped} Mend that and run the same command again to go on.")
    return 1


def _ended(options: argparse.Namespace, store: Store, studies: Sequence[Study], summary: Summary) -> int:
    """Tell what came out: why training ended before its time, else the holes, a small table and the page of each study, the way to the UI;
    returns the exit code."""
    if summary.signal is not None or summary.refused:
        return _broken_off(summary)
    for key, reason in {**summary.failed, **summary.damaged}.items():
        _warn(f"{places(studies)[key][0]} ({key}): {reason}")
    for study in studies:
        _say(f"\n{study.title}\n{_page(study, store, _out(options))}")
    if options.format:
        _reports([study.name for study in studies], store, _out(options), options.format)
    trained, failed, damaged = len(summary.trained), len(summary.failed), len(summary.damaged)
    left = f", {summary.left} left" if summary.left else ""
    _say(f"\n{trained} trained, {summary.diverged} of them diverged; {failed} failed, {damaged} damaged{left}.")
    if summary.stopped is not None:
        _warn(f"{summary.stopped} Run the same command again to go on.")
    if not options.no_mlflow:
        _attach_reports(options, store, studies, _out(options))
        place = "" if options.workspace == Path("runs") else f" --workspace {options.workspace}"
        _say(f"Compare the runs: ablate ui{place}{f' --tracking-uri {public_uri(asked.uri(options))}' if options.tracking_uri else ''}")
    return 1 if summary.holes else 0


def _page(study: Study, store: Store, out: Path) -> str:
    """The study's small table and where its page is; the page is written unless it shows these very results already."""
    from report.document import page, summary, write

    where = f"report of {study.name} in {out.resolve()} by {sources('senet_core', 'ablations', 'report')}"
    shown = [study, *companions(study, store)]
    if not (page(study.name, out).exists() and remembered(store, where, shown)):
        write([study.name], store, out)
        remember(store, where, shown)
    return f"{summary(study, store)}\nReport: {page(study.name, out)}"


def _reports(names: Sequence[str], store: Store, out: Path, formats: Sequence[str]) -> None:
    """Write the pages of these studies and tell where they are."""
    from report.document import write

    _told(write(names, store, out, formats))


def _told(written: Sequence[Published]) -> None:
    """Tell where pages are, and which characters no font of theirs has."""
    from report.glyphs import named

    for done in written:
        others = f" ({', '.join(file.name for file in done.files[1:])})" if len(done.files) > 1 else ""
        _say(f"Report: {done.files[0]}{others}")
    missing = sorted({sign for done in written for sign in done.missing})
    if missing:
        _warn(f"No font of the figures and PDFs has {named(missing)}: there these characters stand as their code points.")


def _attach_reports(options: argparse.Namespace, store: Store, studies: Sequence[Study], out: Path) -> None:
    """Show the reports beside the runs, where the mirror is up to date and they are not there yet."""
    what = f"at {asked.uri(options)} by {sources('senet_core', 'ablations', 'report')}"
    seen = {study.name: [study, *companions(study, store)] for study in studies if remembered(store, asked.mirrored(options), [study])}
    stale = [name for name, on_page in seen.items() if not remembered(store, f"report of {name} {what}", on_page)]
    tracker = tracking.open_tracker(asked.uri(options), store, _warn) if stale else tracking.Tracker()
    for name in stale:
        _page(seen[name][0], store, out)
        tracker.attach_report(seen[name][0], out / name)
        if not tracker.off:
            remember(store, f"report of {name} {what}", seen[name])


def _agreed(question: str) -> bool:
    """Whether somebody at the terminal says yes; where nobody can, that is a no."""
    if not sys.stdin.isatty():
        return False
    try:
        return console.input(question, markup=False).strip().lower() in ("y", "yes")
    except EOFError:
        return False


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

_NAMED = (plan, describe, cost, run, tune, search, status, show, prune, report, excitation, compare, new, check, judge, sync, ui)
COMMANDS = {"list": list_names, **{function.__name__: function for function in _NAMED}}


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        rest, recipe = take_recipe(sys.argv[1:] if words is None else words)
        options = parser(COMMANDS).parse_args(rest)
        if recipe and options.command not in ("plan", "run", "tune", "search", "describe", "check"):
            raise InputError(f"--{next(iter(recipe))}: only plan, run, tune, search, describe and check take recipe fields.")
        options.recipe = recipe
        if getattr(options, "load", None):
            options.source = load_file(options.load)
            if options.command in ("plan", "run", "tune", "search"):
                from ablations.checking import refuse_broken

                refuse_broken(options.source, asked.order(options))
        asked.refuse_auto(options)
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
