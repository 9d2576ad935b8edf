"""A note in the workspace of what MLflow was last brought in line with, so that a command with nothing to do need not open it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from ablations.files import publish_text
from ablations.store import Store
from ablations.study import Study
from senet_core.config import canonical

NOTE = "mirrored.json"


def remembered(store: Store, uri: str, studies: Sequence[Study]) -> bool:
    """Whether all of these studies, with just these results, are in MLflow at ``uri`` already."""
    known = _read(store)
    return all(known.get(study.name) == _digest(store, uri, study) for study in studies)


def remember(store: Store, uri: str, studies: Sequence[Study]) -> None:
    """Note that the studies are now in MLflow as they are stored."""
    known = _read(store) | {study.name: _digest(store, uri, study) for study in studies}
    publish_text(store.root / NOTE, json.dumps(known, indent=1) + "\n")


def _read(store: Store) -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads((store.root / NOTE).read_text(encoding="utf-8"))
        return known
    except (OSError, ValueError):
        return {}


def _digest(store: Store, uri: str, study: Study) -> str:
    """Of the URI too, but only in this hash: it may hold a password."""
    states = {key: store.state(key) for _, _, key in study.trials()}
    return hashlib.sha256(canonical([uri, study.model_dump(mode="json"), states]).encode()).hexdigest()
