"""Plans kept by the hash of all that they follow from, so that a command with nothing to do answers without loading torch."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from ablations.execution.provenance import versions
from ablations.planning import DataSource, Order, base_config, keyed, plan_study
from ablations.study import Study
from senet_core.config import canonical
from senet_core.files import publish_text
from senet_core.registry import loaded_sources


def planned(name: str, order: Order, source: DataSource) -> Study:
    """``plan_study``, from the cache where the same code was asked the same before.

    :raises InputError: as ``plan_study`` does.
    """
    if source.cache is None:
        return plan_study(name, order, source)
    _, facts = source.opened(base_config(order))
    asked = [name, order.preset.model_dump(mode="json"), dict(order.overrides), list(order.seeds), order.vary, asdict(facts)]
    text = canonical([asked, sources("senet_core", "ablations"), loaded_sources(), versions()])
    place = source.cache / "plans" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
    with suppress(OSError, ValueError):
        return Study.model_validate_json(place.read_text(encoding="utf-8"))
    # The networks are built once, for no seeds: those add nothing but keys.
    study = keyed(planned(name, replace(order, seeds=()), source), order.seeds) if order.seeds else plan_study(name, order, source)
    with suppress(OSError):  # a workspace that cannot be written keeps no plans; whether that matters is for the command to say
        place.parent.mkdir(parents=True, exist_ok=True)
        publish_text(place, study.model_dump_json())
    return study


@cache
def sources(*floors: str) -> str:
    """The hash of all code, tables and templates of some floors."""
    home, seen = Path(__file__).resolve().parent.parent, hashlib.sha256()
    for file in sorted(file for floor in floors for file in (home / floor).rglob("*") if file.suffix in (".py", ".csv", ".j2")):
        seen.update(file.relative_to(home).as_posix().encode() + b"\0" + file.read_bytes())
    return seen.hexdigest()
