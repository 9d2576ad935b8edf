"""What MLflow should show of a study, as plain records made from the store; no MLflow in here.

A run's identity is the triple (study, variant, key): a parent run for each variant (no key), a child run for each of its seeds.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ablations.result import Epoch, Result
from ablations.statistics import Estimate, interval, paired_difference
from ablations.store import DamagedStore, Store
from ablations.study import Study, StudyVariant
from senet_core.config import canonical, flat
from senet_core.errors import InputError

RunStatus = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED"]
NOTE = "mlflow.note.content"
NOTE_LIMIT = 4000
"""Characters of a note or a reason; servers take 5000 in a tag."""


@dataclass(frozen=True)
class Outcome:
    """What the store holds of a trial that has ended: its result, or the reason why there is none."""

    status: Literal["done", "diverged", "failed", "damaged"]
    result: Result | None = None
    reason: str = ""
    artifacts: Mapping[str, str] = field(default_factory=dict)

    @property
    def top1(self) -> float | None:
        """The top-1 error (%), where there is one."""
        return self.result.errors.top1 if self.result and self.result.errors else None


Outcomes = Mapping[str, Outcome]
"""By key; a trial that has not ended is not in it."""


@dataclass(frozen=True)
class RunRecord:
    """One MLflow run as it should be. Times are milliseconds since 1970, ``history`` is {metric: {epoch: value}}.

    ``final`` means that nothing will be added: what a run shows beyond this record is then wrong.
    """

    variant: str
    key: str | None
    name: str
    status: RunStatus
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float] = field(default_factory=dict)
    history: dict[str, dict[int, float]] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    dataset: tuple[str, str] | None = None
    start: int | None = None
    end: int | None = None
    final: bool = False

    def digest(self, parent: str | None) -> str:
        """The identity of all this as the child of one parent run: a run that bears it is up to date."""
        artifacts = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in self.artifacts.items()}
        history = {name: sorted(points.items()) for name, points in self.history.items()}
        content = [parent, self.name, self.status, self.tags, self.params, self.metrics, history, artifacts, self.dataset]
        return hashlib.sha256(canonical(content).encode()).hexdigest()[:16]


def outcome(store: Store, key: str) -> Outcome | None:
    """How a trial ended, or None while it is to be trained or being trained."""
    try:
        result = store.result(key)
    except DamagedStore as damage:
        return Outcome("damaged", reason=str(damage))
    if result is not None:
        paths = [store.trial(key) / name for name in ("result.json", "config.json")]
        return Outcome(result.status, result, artifacts={path.name: path.read_text(encoding="utf-8") for path in paths if path.is_file()})
    failure = store.failure(key)
    return Outcome("failed", reason=failure.reason[:NOTE_LIMIT]) if failure else None


def shared_keys(store: Store) -> set[str]:
    """The trials that stand in more than one place: in several studies, or under several variants of one."""
    places: Counter[str] = Counter()
    for name in store.studies():
        try:
            places.update(key for _, _, key in store.study(name).trials())
        except InputError:
            continue  # a damaged study is named by the command that asks for it; here it only shares nothing
    return {key for key, count in places.items() if count > 1}


def parent_record(study: Study, variant: StudyVariant, outcomes: Outcomes, running: bool) -> RunRecord:
    """The run of a variant: its mean and difference over seeds, and the study itself as an artifact."""
    own = [outcomes[key] for key in variant.keys.values() if key in outcomes]
    times = [_span(one.result) for one in own if one.result]
    return RunRecord(
        variant=variant.name,
        key=None,
        name=f"{variant.name} · {study.preset}",
        status="RUNNING" if running else _parent_status(variant, own),
        tags=_tags(study, variant, "parent") | {NOTE: _note(study, variant)},
        params=_params(study, variant),
        metrics=_aggregate(study, variant, outcomes),
        artifacts={"study.json": study.model_dump_json(indent=1) + "\n"},
        start=min((start for start, _ in times), default=None),
        end=max((end for _, end in times), default=None),
        final=True,
    )


def child_record(study: Study, variant: StudyVariant, seed: str, ended: Outcome | None, shared: bool) -> RunRecord:
    """The run of one trial: RUNNING without an outcome; FINISHED when done or diverged, which is an outcome too; else FAILED."""
    result = ended.result if ended else None
    status: RunStatus = "RUNNING" if ended is None else "FINISHED" if result else "FAILED"
    start, end = _span(result) if result else (None, None)
    return RunRecord(
        variant=variant.name,
        key=variant.keys[seed],
        name=f"{variant.name} seed={seed.zfill(3) if seed.isdigit() else seed}",
        status=status,
        tags=_child_tags(study, variant, seed, ended, shared),
        params=_child_params(study, variant, seed),
        metrics=_finals(result) if result else {},
        history=_history(result) if result else {},
        times=_clock(result) if result else {},
        artifacts=ended.artifacts if ended else {},
        dataset=(study.data.label, _data_digest(study, variant)) if result else None,
        start=start,
        end=end,
        final=result is not None,
    )


def epoch_metrics(epoch: Epoch) -> dict[str, float]:
    """One line of history under its metric names; a number that is none is left out (the status tells of divergence)."""
    return _finite({"train_loss": epoch.loss, "train_error": epoch.error, "lr": epoch.lr})


# -- the parts of a record


def _tags(study: Study, variant: StudyVariant, kind: str) -> dict[str, str]:
    tags = {"study": study.name, "variant": variant.name, "preset": study.preset, "kind": kind}
    if variant.same_as:
        tags["same_as"] = variant.same_as
    return {f"ablate.{name}": value for name, value in tags.items()}


def _child_tags(study: Study, variant: StudyVariant, seed: str, ended: Outcome | None, shared: bool) -> dict[str, str]:
    tags = {"key": variant.keys[seed], "seed": seed, "status": ended.status if ended else "running"}
    if shared:
        tags["shared"] = "true"
    if ended and ended.reason:
        tags["reason"] = ended.reason
    if ended and ended.result:
        tags |= _provenance(ended.result)
    return _tags(study, variant, "child") | {f"ablate.{name}": value for name, value in tags.items()}


def _provenance(result: Result) -> dict[str, str]:
    origin = result.provenance
    tags = {"device": origin.device, "created": origin.created, "sittings": str(origin.sittings), "evaluated_on": result.evaluated_on}
    if origin.commit:
        tags["commit"] = origin.commit + ("+changes" if origin.dirty else "")
    return tags | {f"version.{name}": version for name, version in origin.versions.items()}


def _params(study: Study, variant: StudyVariant) -> dict[str, str]:
    """What the variants of the study differ in, under the shortest names that tell them apart, and the preset."""
    paths = sorted({path.removesuffix(".name") for other in study.variants for path in other.changes})
    last = Counter(path.rpartition(".")[2] for path in paths)
    values = flat(variant.config.tree())
    params = {"preset": study.preset}
    for path in paths:
        value = values.get(f"{path}.name", values.get(path, ...))
        short = path.rpartition(".")[2]
        if value is not ...:
            params[short if last[short] == 1 else ".".join(path.split(".")[-2:])] = _text(value)
    return params


def _child_params(study: Study, variant: StudyVariant, seed: str) -> dict[str, str]:
    train = variant.config.train
    budget = {"epochs": train.epochs, "lr": train.lr, "batch": train.batch, "network": variant.config.net.name, "seed": seed}
    return _params(study, variant) | {name: _text(value) for name, value in budget.items()}


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    return "none" if value is None else value if isinstance(value, str) else canonical(value)


def _aggregate(study: Study, variant: StudyVariant, outcomes: Outcomes) -> dict[str, float]:
    own = _top1(variant, outcomes)
    statuses = Counter(outcomes[key].status for key in variant.keys.values() if key in outcomes)
    metrics = _estimate("top1_error", interval(own.values())) | {"n": float(len(own))}
    reference = study.reference_of(variant)
    if variant.name != reference:
        metrics |= _estimate("difference", paired_difference(own, _top1(study.variant(reference), outcomes)))
    cost = {"parameters": float(variant.cost.parameters), "macs": float(variant.cost.macs)}
    return metrics | cost | {"diverged": float(statuses["diverged"]), "failed": float(statuses["failed"] + statuses["damaged"])}


def _top1(variant: StudyVariant, outcomes: Outcomes) -> dict[str, float]:
    found = {seed: outcomes[key].top1 for seed, key in variant.keys.items() if key in outcomes}
    return {seed: value for seed, value in found.items() if value is not None}


def _estimate(name: str, estimate: Estimate) -> dict[str, float]:
    bounds = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
    return _finite({f"{name}_{bound}": value for bound, value in bounds.items() if value is not None})


def _parent_status(variant: StudyVariant, own: list[Outcome]) -> RunStatus:
    """SCHEDULED is MLflow's word for what is still to be run."""
    if any(one.result is None for one in own):
        return "FAILED"
    return "FINISHED" if len(own) == len(variant.keys) else "SCHEDULED"


def _note(study: Study, variant: StudyVariant) -> str:
    same = f"\n\nThe same network as `{variant.same_as}`: the two share their trials." if variant.same_as else ""
    lines = "\n".join(f"- seed {seed}: `{key}`" for seed, key in variant.keys.items())
    return f"{study.title}, variant **{variant.name}**, reference **{study.reference_of(variant)}**.{same}\n\n{lines}"[:NOTE_LIMIT]


def _finals(result: Result) -> dict[str, float]:
    metrics: dict[str, float] = {"parameters": result.cost.parameters, "macs": result.cost.macs}
    metrics |= {"seconds": result.timing.total, "images_per_second": result.timing.images_per_second}
    if result.dead_gates is not None:
        metrics["dead_gates"] = result.dead_gates
    if result.errors:
        metrics |= {"top1_error": result.errors.top1, "top5_error": result.errors.top5, "evaluation_loss": result.errors.loss}
    return _finite(metrics)


def _history(result: Result) -> dict[str, dict[int, float]]:
    history: dict[str, dict[int, float]] = {}
    for index, epoch in enumerate(result.history):
        seconds = {"epoch_seconds": result.timing.epochs[index]} if index < len(result.timing.epochs) else {}
        for name, value in (epoch_metrics(epoch) | seconds).items():
            history.setdefault(name, {})[epoch.epoch] = value
    return history


def _clock(result: Result) -> dict[int, int]:
    """When each epoch ended, counting the epochs' seconds from the start."""
    start, elapsed, times = _span(result)[0], 0.0, {}
    for epoch, seconds in zip(result.history, result.timing.epochs, strict=False):
        elapsed += seconds
        times[epoch.epoch] = start + int(1000 * elapsed)
    return times


def _span(result: Result) -> tuple[int, int]:
    end = int(1000 * datetime.fromisoformat(result.provenance.created).timestamp())
    return end - int(1000 * result.timing.total), end


def _data_digest(study: Study, variant: StudyVariant) -> str:
    known = study.data.fingerprint or hashlib.sha256(canonical(variant.config.tree()["data"]).encode()).hexdigest()[:12]
    return known[:36]  # as long as MLflow lets a digest be


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
