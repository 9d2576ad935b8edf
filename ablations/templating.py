"""`ablate new`: a file of your own to begin with, which runs as it is."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from ablations.own_loop import LOOPS
from ablations.search.space import SPACES
from ablations.suite import SUITES
from senet_core.errors import InputError
from senet_core.registry import BLOCKS, DATASETS, NETWORKS, Registry

KINDS: dict[str, Registry[Any]] = {
    "block": BLOCKS,
    "network": NETWORKS,
    "dataset": DATASETS,
    "suite": SUITES,
    "loop": LOOPS,
    "space": SPACES,
}


def new(kind: str, name: str, folder: Path) -> Path:
    """Write ``folder/NAME.py`` from the template of that kind; return its path.

    :raises InputError: for a name that is taken or cannot be one, or a file that is there already.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise InputError(f"'{name}' cannot be a name; it takes small letters, digits and _, as in my_block.")
    if name in KINDS[kind].names():
        raise InputError(f"There is a {KINDS[kind].kind} '{name}' already; choose another name.")
    path = folder / f"{name}.py"
    template = Template(files("ablations").joinpath("templates", f"{kind}.txt").read_text(encoding="utf-8"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(template.substitute(name=name, Name="".join(part.capitalize() for part in name.split("_"))))
    except FileExistsError:
        raise InputError(f"'{path}' is there already, and is left as it is.") from None
    except OSError as error:
        raise InputError(f"Cannot write '{path}': {error.strerror}.") from None
    return path


def next_steps(kind: str, name: str, path: Path) -> list[str]:
    """The commands to go on with."""
    load = f"--load {path}"
    commands = {
        "block": [f"ablate check {path}", f"ablate run attention placement stages --preset smoke {load} --block {name}"],
        "network": [
            f"ablate describe --preset smoke {load} --net.name {name}",
            f"ablate run squeeze --preset smoke {load} --net.name {name}",
        ],
        "dataset": [f"ablate run squeeze --preset smoke {load} --dataset {name} --data-root FOLDER"],
        "suite": [f"ablate plan {name} --preset smoke {load} --diff", f"ablate run {name} --preset smoke {load}"],
        "space": [f"ablate search {name} --preset smoke {load} --budget 10"],
        "loop": [f"ablate plan {name} {load} --diff", f"ablate run {name} {load} --seeds 3"],
    }
    return commands[kind]
