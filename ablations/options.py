"""What the words of a command line mean: seeds, counts, and recipe fields by their dotted names."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from senet_core.errors import InputError

RECIPE = ("net.", "data.", "train.")


class Once(argparse.Action):
    """Store a value; a second use of the option is an error, never a silent replacement."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        if self.dest in vars(namespace).setdefault("given", set()):
            parser.error(f"{option_string} is given twice")
        namespace.given.add(self.dest)
        setattr(namespace, self.dest, values)


def count(text: str) -> int:
    """A count of seeds or threads.

    :raises argparse.ArgumentTypeError: unless it is a whole number from 1 to 1000.
    """
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"'{text}' is no count from 1 to 1000 (seeds themselves are named by --seed-list 0,1,2)")
    return int(text)


def seed_list(text: str) -> list[int]:
    """Seeds by name.

    :raises argparse.ArgumentTypeError: unless they are different whole numbers with commas between them.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts) or len({int(part) for part in parts}) < len(parts):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of different whole numbers like 0,1,2")
    return [int(part) for part in parts]


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
