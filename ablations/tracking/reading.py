"""A workspace made again from MLflow alone: its studies and results, every file held against its digest. What is there is only read.

Checkpoints and weights are not among it: such a workspace makes reports, and cannot go on training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ablations.store import DamagedStore, Store
from ablations.study import Study
from ablations.tracking.client import opened, scratch
from ablations.tracking.place import need_mlflow, public_uri, reason, unchanged
from ablations.tracking.runs import ARTIFACTS, CLAIMED, RUNS_A_PAGE, digests
from ablations.tracking.suites import SUITE, Suites
from senet_core.errors import InputError, unknown
from senet_core.files import publish

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SCHEME = "mlflow:"
FILES = ("result.json", "config.json", "failure.json", "log.txt")
PARALLEL = 8
"""Files that are fetched at a time: a server answers many requests at once."""


@contextmanager
def restored(origin: str, default: str, wanted: Collection[str]) -> Iterator[Store]:
    """A temporary workspace with what MLflow holds of the ``wanted`` studies (by suite or by name; of all, if none is named).

    ``origin`` is "mlflow:URI", or "mlflow:" alone for the ``default`` URI.

    :raises InputError: if it is no such address, if MLflow cannot be read there, or has not those studies.
    :raises DamagedStore: if a file is not what was uploaded.
    """
    if not origin.startswith(SCHEME):
        raise InputError(f"'{public_uri(origin)}' is no place that is known here; it takes mlflow:URI, e.g. mlflow:http://HOST:PORT.")
    uri = origin.removeprefix(SCHEME) or default
    if "://" not in uri:
        raise InputError(f"'{public_uri(origin)}' is no address of MLflow; it takes e.g. mlflow:http://HOST:PORT or mlflow:sqlite:///FILE.")
    need_mlflow()
    with scratch() as folder, unchanged(uri) as place:
        try:
            _fetch(opened(place), uri, Store(folder), wanted)
        except InputError:
            raise
        except Exception as error:  # servers, databases and their drivers have no common one
            raise InputError(f"MLflow at {public_uri(uri)} cannot be read ({reason(error, uri)}).") from None
        yield Store(folder)


@dataclass(frozen=True)
class _File:
    """A file of a run: whose it is, its name there, where it goes, and the digest of what was uploaded."""

    run_id: str
    name: str
    path: Path
    digest: str


def _fetch(client: MlflowClient, uri: str, store: Store, wanted: Collection[str]) -> None:
    suites = {str(one.experiment_id): str(one.tags[SUITE]) for one in Suites(client, None).all()}
    parents: dict[str, list[Run]] = {}
    for run in _search(client, list(suites), "tags.`ablate.kind` = 'parent'"):
        parents.setdefault(run.data.tags["ablate.study"], []).append(run)
    known = {name for study, runs in parents.items() for name in (study, suites[str(runs[0].info.experiment_id)])}
    for name in wanted:
        if name not in known:
            raise unknown(f"study or suite in MLflow at {public_uri(uri)}", name, known)
    if not parents:
        raise InputError(f"MLflow at {public_uri(uri)} has no studies; `ablate sync` brings them there.")
    for name, runs in parents.items():
        experiment = str(runs[0].info.experiment_id)
        if not wanted or {name, suites[experiment]} & set(wanted):
            store.save_study(_study(client, name, runs))
            children = _search(client, [experiment], f"tags.`ablate.study` = '{name}' AND tags.`ablate.kind` = 'child'")
            _download(client, [file for run in children for file in _files(run, store)])


def _search(client: MlflowClient, experiments: list[str], condition: str) -> Iterator[Run]:
    token: str | None = None
    while experiments and token != "":
        page = client.search_runs(experiments, condition, max_results=RUNS_A_PAGE, page_token=token)
        yield from page
        token = page.token or ""


def _study(client: MlflowClient, name: str, parents: list[Run]) -> Study:
    """The study, as the parents carry it. While a driver writes they may differ: of those with the most seeds any will do."""
    found: dict[str, Study] = {}
    for run in sorted(parents, key=lambda run: run.data.tags.get(CLAIMED, "")):
        digest = digests(run).get("study.json")
        if digest is not None and digest not in found:
            with scratch() as folder:
                _get(client, _File(run.info.run_id, "study.json", folder / "study.json", digest))
                found[digest] = Study.model_validate_json((folder / "study.json").read_text(encoding="utf-8"))
    if not found:
        raise DamagedStore(f"The runs of the study '{name}' carry no study.json; `ablate sync` from its workspace mends that.")
    return max(found.values(), key=lambda study: len(study.seeds))


def _files(run: Run, store: Store) -> list[_File]:
    """What a trial's run carries and a workspace holds; a trial that several studies share comes once."""
    key, there = run.data.tags.get("ablate.key", ""), digests(run)
    if ("result.json" not in there and "failure.json" not in there) or store.trial(key).exists():
        return []
    store.trial(key).mkdir(parents=True)
    names = [name for name in there if name in FILES or name.endswith(".npz")]
    return [_File(run.info.run_id, name, store.trial(key) / name, there[name]) for name in names]


def _download(client: MlflowClient, files: list[_File]) -> None:
    with ThreadPoolExecutor(PARALLEL) as pool:
        for _ in pool.map(lambda file: _get(client, file), files):
            pass


def _get(client: MlflowClient, file: _File) -> None:
    with scratch() as folder:
        content = Path(client.download_artifacts(file.run_id, file.name, str(folder))).read_bytes()
    if hashlib.sha256(content).hexdigest() != file.digest:
        raise DamagedStore(f"The artifact '{file.name}' of the run {file.run_id} is not what its tag {ARTIFACTS} says was uploaded.")
    publish(file.path, lambda temporary: temporary.write_bytes(content))
