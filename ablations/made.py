"""Notes in the workspace of what was last made from which results, so that a command with nothing to do makes it not again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from ablations.store import Store
from ablations.study import Study
from senet_core.config import canonical
from senet_core.files import publish_text

NOTES = "made.json"


def remembered(store: Store, what: str, studies: Sequence[Study]) -> bool:
    """Whether ``what`` (a tracking URI, a folder of reports) was made from these studies with just these results."""
    known = _read(store)
    return all(_digest(store, what, study) in known for study in studies)


def remember(store: Store, what: str, studies: Sequence[Study]) -> None:
    """Note that ``what`` now shows the studies as they are stored."""
    known = _read(store) | {_digest(store, what, study): study.name for study in studies}
    publish_text(store.root / NOTES, json.dumps(known, indent=1) + "\n")


def _outcome(store: Store, key: str) -> str:
    """What is stored of a trial, down to the digest of its result or the reason of its failure."""
    state, failure = store.state(key), store.failure(key)
    result = store.result(key) if state in ("done", "diverged") else None
    detail = result.provenance.digests["result.json"] if result else failure.reason if failure else ""
    return f"{state} {detail}"


def _read(store: Store) -> dict[str, str]:
    try:
        known = json.loads((store.root / NOTES).read_text(encoding="utf-8"))
        return known if isinstance(known, dict) else {}
    except (OSError, ValueError):
        return {}


def _digest(store: Store, what: str, study: Study) -> str:
    """Of ``what`` only this hash is kept: a URI may hold a password."""
    states = {key: _outcome(store, key) for _, _, key in study.trials()}
    return hashlib.sha256(canonical([what, study.model_dump(mode="json"), states]).encode()).hexdigest()[:32]
