"""The options of the command line, command by command, and recipe fields by their dotted names."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ablations.option_types import budget, condition, count, device, margin, minutes, pixels, points, seed_list, share, span, whole, workers
from ablations.presets import PRESETS
from ablations.templating import KINDS
from senet_core.errors import InputError, nearest, unknown
from senet_core.seeds import STREAMS

RECIPE = ("net.", "data.", "train.")
_FORMATS = ("md", "html", "pdf", "tex", "csv")
_TRAINING = ("plan", "run", "tune")
"""The commands that take suites, a preset and seeds."""


class Once(argparse.Action):
    """Store a value; a second use of the option is an error, never a silent replacement."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        if self.dest in vars(namespace).setdefault("given", set()):
            parser.error(f"{option_string} is given twice")
        namespace.given.add(self.dest)
        setattr(namespace, self.dest, values)


def take_recipe(words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """The command line without its dotted options, and those as {path: value}: ``--train.epochs 12`` or ``--train.epochs=12``.

    :raises InputError: for one without a value, or given twice.
    """
    rest, recipe, words = [], {}, list(words)
    while words:
        word = words.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not (word.startswith("--") and name.startswith(RECIPE)):
            rest.append(word)
            continue
        if name in recipe:
            raise InputError(f"--{name} is given twice.")
        if not equals:
            if not words or words[0].startswith("--"):
                raise InputError(f"--{name} needs a value.")
            value = words.pop(0)
        recipe[name] = recipe_value(value)
    return rest, recipe


def recipe_value(text: str) -> Any:
    """JSON where it is JSON, a list where it has commas, else a word."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return [recipe_value(part) for part in text.split(",")] if "," in text else text


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are a sentence with the nearest known name."""

    def error(self, message: str) -> NoReturn:
        option, command = (message.partition(start)[2] for start in ("unrecognized arguments: ", "COMMAND: invalid choice: '"))
        if option:
            wrong = option.split()[0]
            known = self._known()
            told = f"This command takes no '{wrong}'." if wrong in known else f"There is no option '{wrong}'{nearest(wrong, known) or '.'}"
            message = f"{told} See: {self.prog} COMMAND --help"
        elif command:
            raise unknown("command", command.partition("'")[0], self._commands())
        raise InputError(message[:1].upper() + message[1:])

    def _commands(self) -> dict[str, argparse.ArgumentParser]:
        found = (action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction))
        return next(found, {})

    def _known(self) -> list[str]:
        """All options, of all commands."""
        parsers = (self, *self._commands().values())
        return [option for parser in parsers for action in parser._actions for option in action.option_strings]


def parser(commands: Mapping[str, Callable[[argparse.Namespace], int]]) -> argparse.ArgumentParser:
    """The parser of the whole command line; each command's docstring is its help, and its function lands in ``function``."""
    whole = _Parser(
        prog="ablate",
        description="Ablation studies whose answers can be trusted.",
        epilog="Any recipe field can be set by its dotted name, e.g. --train.epochs 12 --net.block.reduction 8. "
        "A typical day: ablate plan reduction; ablate run reduction; ablate ui; ablate report reduction.",
        allow_abbrev=False,
    )
    places = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, function in commands.items():
        line = (function.__doc__ or "").strip()
        command = places.add_parser(name, help=line[:1].lower() + line[1:].rstrip("."), description=line, allow_abbrev=False)
        command.set_defaults(function=function)
        _options(command, name)
    return whole


def _options(command: argparse.ArgumentParser, name: str) -> None:
    def add(*flags: str, **details: Any) -> None:
        command.add_argument(*flags, **{"action": Once, **details})

    if name in ("plan", "run", "tune", "status", "report", "sync"):
        what = "suites" if name in _TRAINING else "suites or studies of the workspace (all of them if none is named)"
        command.add_argument("suites", nargs="*", metavar="SUITE", help=what)
        default = "quick" if name in _TRAINING else None
        add("--preset", default=default, help=f"one of {', '.join(PRESETS)}" + (f" (default {default})" if default else ""))
    if name == "describe":
        command.add_argument("suite", nargs="?", metavar="SUITE", help="a suite; none for the preset's own network or that of --net.name")
        command.add_argument("variant", nargs="?", metavar="VARIANT", help="one of its variants")
        add("--preset", default="quick", help=f"one of {', '.join(PRESETS)} (default quick)")
        add("--size", type=pixels, metavar="PIXELS", help="for images of that size and 1000 classes instead of the data")
        add("--units", action="store_true", help="a line for each unit instead of each layer")
    if name == "excitation":
        command.add_argument("suite", metavar="SUITE", help="a suite of the workspace, or one of its studies by its own name")
        command.add_argument("variant", metavar="VARIANT", help="one of its variants")
        add("--preset", help=f"one of {', '.join(PRESETS)}, where the suite is there at several")
        add("--seed", metavar="N", help="look at the trial of this seed only (default: all finished ones)")
        add("--knockout", action="store_true", help="also the error with each block's gates replaced by their mean, and by other images'")
        add("--out", type=Path, metavar="DIR", help="where the page is written (default: reports/ in the workspace)")
        add("--format", nargs="+", choices=_FORMATS, help="what the page is: Markdown, HTML, PDF, LaTeX tables, CSV (default md)")
        add("--dataset", help="the study on that data set, where the suite is there on several")
        add("--data-root", type=Path, metavar="DIR", help="where its files are")
        add("--load", type=Path, metavar="FILE.py", help="the file that registers what the study was trained with")
        add("--device", type=device, default="auto", help="auto, cpu, cuda or cuda:N (default auto)")
        add("--threads", type=count, help="CPU threads (default: all cores)")
    if name == "cost":
        add("--format", nargs="+", choices=("md", "csv"), help="Markdown or CSV; with --out both unless one is named")
        add("--out", type=Path, metavar="DIR", help="write costs.md and costs.csv there instead of printing")
    if name in _TRAINING:
        add("--all", action="store_true", help="all suites")
        seeds = command.add_mutually_exclusive_group()
        seeds.add_argument("--seeds", type=count, action=Once, help="how many seeds, from 0 (default 3)")
        seeds.add_argument("--seed-list", type=seed_list, action=Once, metavar="0,1,2", help="which seeds")
        _seed_rules(add)
    if name in (*_TRAINING, "search"):
        add("--device", type=device, default="auto", help="auto, cpu, cuda or cuda:N (default auto)")
        add("--threads", type=count, help="CPU threads of a trial (default: all cores, shared among --workers)")
        what = "train N trials at a time, each in a process of its own; auto: as many as tries find fastest (needs Ray)"
        add("--workers", type=workers, metavar="N", help=what)
    if name == "search":
        _searching(command, add)
    if name in (*_TRAINING, "search", "describe"):
        add("--dataset", help="a data set instead of the preset's")
        add("--data-root", type=Path, metavar="DIR", help="where its files are")
        add("--block", metavar="NAME", help="a block instead of the preset's, with its options as --net.block.OPTION VALUE")
        add("--load", type=Path, metavar="FILE.py", help="a file of your own with blocks, networks, data sets, suites or training loops")
    if name == "plan":
        add("--diff", action="store_true", help="show what each variant changes against the reference")
        what = "standard deviation of one arm's error over seeds, where no stored seeds tell the noise"
        add("--noise", type=points, metavar="POINTS", help=what)
    if name == "tune":
        _tuning(add)
    if name in ("run", "tune", "search"):
        add("--address", metavar="ADDRESS", help="train on the Ray cluster at that address; with --workers N at most N trials at a time")
        add("--gpu-share", type=share, metavar="PART", help="with --workers or --address: the part of a GPU that a trial gets (default 1)")
        add("--retry-failed", action="store_true", help="train failed trials again")
        add("--fail-fast", action="store_true", help="stop at the first failure instead of going on with the other trials")
        add("--max-failures", type=count, metavar="K", help="stop after K failures of one cause")
        add("--max-minutes", type=minutes, metavar="M", help="stop training after M minutes; the same command goes on later")
        add("--no-mlflow", action="store_true", help="leave MLflow alone; `ablate sync` can fill it later")
        add("--model", action="store_true", help="also give MLflow the trained networks, to be loaded without this project")
        add("--system-metrics", action="store_true", help="also give MLflow the load of processor, memory and GPU (needs psutil)")
    if name in ("run", "tune", "search", "report"):
        add("--out", type=Path, metavar="DIR", help="where reports are written (default: reports/ in the workspace)")
        also = "; a run always writes Markdown" if name != "report" else "; of several studies also one document of all"
        what = f"what the pages are: Markdown, HTML, PDF, LaTeX tables, CSV (default md{also})"
        add("--format", nargs="+", choices=_FORMATS, help=what)
    if name == "report":
        what = "what an MLflow server or database holds, instead of the workspace (mlflow: alone means $MLFLOW_TRACKING_URI)"
        add("--from", dest="origin", metavar="mlflow:URI", help=what)
    if name == "prune":
        add("--yes", action="store_true", help="remove them without asking")
    if name == "new":
        command.add_argument("kind", metavar="KIND", choices=tuple(KINDS), help=f"one of {', '.join(KINDS)}")
        command.add_argument("name", metavar="NAME", help="what it is to be called, in small letters")
        add("--out", type=Path, metavar="DIR", default=Path(), help="the folder of the new file (default: here)")
    if name == "check":
        command.add_argument("load", type=Path, metavar="FILE.py", help="a file that registers blocks")
    if name == "compare":
        for side in ("a", "b"):
            forms = "SUITE:VARIANT, SUITE or STUDY, FOLDER/STUDY[:VARIANT] of another workspace, or a workspace's folder"
            command.add_argument(side, metavar=side.upper(), help=forms)
        add("--out", type=Path, metavar="DIR", help="write compare.md there instead of printing")
    if name == "show":
        command.add_argument("key", metavar="KEY", help="a trial's key, or how it begins")
    if name in ("run", "tune", "search", "sync", "ui"):
        add(
            "--tracking-uri",
            metavar="URI",
            help="an MLflow server or database (default: $MLFLOW_TRACKING_URI, else SQLite in the workspace)",
        )
    if name == "ui":
        add("--port", type=int, help="a port on 127.0.0.1 (default: a free one)")
    if name == "judge":
        _judge_options(command, add)
    if name not in ("list", "cost", "judge"):
        add("--workspace", type=Path, default=Path("runs"), metavar="DIR", help="where everything is kept (default runs/)")


def _tuning(add: Callable[..., None]) -> None:
    """What is tuned, and how much of it is done."""
    what = "settings that every variant is tried at on held-out images, the recipe's own among them (default 12)"
    add("--budget", type=budget, default=12, metavar="B", help=what)
    what = "range of the learning rate (default: from an eighth of the recipe's to four times it); the recipe's own value alone: not tuned"
    add("--lr", type=span, metavar="LOW,HIGH", help=what)
    what = "the same for the weight decay (default: from an eighth of the recipe's to eight times it)"
    add("--weight-decay", type=span, metavar="LOW,HIGH", help=what)
    add("--tune-seeds", type=count, default=1, metavar="N", help="seeds of each held-out trial, from 0 (default 1)")
    add("--only-tuning", action="store_true", help="end with the choice; no network sees the test set")
    add("--dry-run", action="store_true", help="tell what would be trained and how long that would take, and train nothing")


def _searching(command: argparse.ArgumentParser, add: Callable[..., None]) -> None:
    """Which space, how much of it is looked at and by what rule, and how the best designs are confirmed."""
    command.add_argument("space", metavar="SPACE", help="a space of designs")
    add("--preset", default="quick", help=f"one of {', '.join(PRESETS)} (default quick)")
    add("--budget", type=count, default=40, metavar="N", help="designs that are looked at, the default one among them (default 40)")
    what = "designs that are proposed without knowing of each other's results (default: as many as --workers, at least 8 with --storage)"
    add("--batch", type=count, metavar="N", help=what)
    add("--sampler", choices=("tpe", "random"), help="what proposes designs: Optuna's TPE for several objectives, or chance (default tpe)")
    add("--seed", type=whole, metavar="S", help="the seed of the proposals (default 0)")
    add("--no-rungs", action="store_true", help="train every design on the whole schedule at once")
    add("--name", metavar="WORD", help="a further search of the same space, kept apart from the others by this name")
    what = "a PostgreSQL or MySQL database that several machines share (default: $ABLATE_SEARCH_STORAGE, else the workspace's own)"
    add("--storage", metavar="URL", help=what)
    what = "where no design is free, train those of other workspaces; for machines that are gone, for a living one would train them too"
    add("--take-over", action="store_true", help=what)
    add(
        "--confirm",
        type=whole,
        default=5,
        metavar="K",
        help="designs of the front that are confirmed on the test set (default at most 5; 0: none)",
    )
    seeds = command.add_mutually_exclusive_group()
    seeds.add_argument("--seeds", type=count, action=Once, help="seeds of the confirmation, from 1 (default 3)")
    seeds.add_argument("--seed-list", type=seed_list, action=Once, metavar="1,2,3", help="which seeds; 0 chose the designs")


def _seed_rules(add: Callable[..., None]) -> None:
    """How many seeds and which, where it is not just a count."""
    add(
        "--until-half-width",
        type=points,
        metavar="POINTS",
        help="as many seeds as make the 95 %% interval of each difference this narrow, by the spread of the first ones (Stein's procedure)",
    )
    add("--first-seeds", type=count, metavar="N", help="seeds that give that spread: the first of the list (default 5)")
    add("--max-seeds", type=count, metavar="N", help="the most that --until-half-width may lead to (default 30)")
    add(
        "--looks",
        type=count,
        metavar="N",
        help="declare so many looks before training: seeds are added between them, each decides at 5 %% / N",
    )
    add("--only-open", action="store_true", help="with --add-seeds: only for what is not settled, and what it is compared with")
    add("--add-seeds", type=count, metavar="N", help="with --only-open: so many more seeds, the next whole numbers")
    add(
        "--vary",
        choices=("all", *STREAMS),
        default="all",
        metavar="STREAM",
        help=f"the one source of randomness that seeds move, the others standing still: {', '.join(STREAMS)} (default all)",
    )


def _judge_options(command: argparse.ArgumentParser, add: Callable[..., None]) -> None:
    """Where the numbers are, which columns hold what, and what is better."""
    command.add_argument("file", nargs="?", type=Path, metavar="FILE.csv", help="a line a run, or a chart's export of W&B or MLflow")
    add("--from", dest="origin", metavar="mlflow:URI", help="an MLflow database, folder of runs or server instead of a file")
    add("--experiment", metavar="NAME", help="with --from: the experiment, where there are several")
    add("--reference", required=True, metavar="NAME", help="the variant that all others are compared with")
    add("--metric", metavar="COLUMN", help="the number to judge (default: the only one)")
    add("--variant-column", metavar="COLUMN", help="what names the variants (default: by its name, or because it holds the reference)")
    add("--seed-column", metavar="COLUMN", help="what tells the seed; runs are paired by it (default: by its name)")
    add("--where", type=condition, action="append", default=[], metavar="COLUMN=VALUE", help="only runs with that value; may be repeated")
    better = command.add_mutually_exclusive_group()
    for word, lower in (("lower", True), ("higher", False)):
        help = f"{word} numbers are better (default: by the metric's name, where that says it)"
        better.add_argument(f"--{word}-is-better", dest="lower_is_better", action="store_const", const=lower, help=help)
    add("--delta", type=margin, metavar="NUMBER", help="the difference that does not matter; without it nothing is called equivalent")
    add("--out", type=Path, metavar="DIR", help="write judgement.md and its figure there as well")
