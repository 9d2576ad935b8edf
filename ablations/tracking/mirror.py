"""What MLflow should show of a study, as plain records made from the store; no MLflow in here.

A run's identity is the triple (study, variant, key): a parent run for each variant (no key), a child run for each of its seeds.
``docs/mlflow.md`` lists the names of metrics, parameters and tags.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from ablations.result import Epoch, Line, Result
from ablations.selection import places
from ablations.statistics.comparison import FEWEST, Arm, Comparison
from ablations.statistics.estimation import Estimate, interval
from ablations.statistics.own_unit import estimate_text
from ablations.statistics.rounding import NONE, error_text, p_text
from ablations.statistics.verdicts import Verdicts, decide
from ablations.store import DamagedStore, Store
from ablations.study import Cost, Settings, Study, StudyVariant
from ablations.tracking.curve import curve
from ablations.tracking.notes import LIMIT, NOTE, SeedLine, delta_of, difference_of, variant_note, verdict_text
from senet_core.config import canonical, flat
from senet_core.errors import InputError

RunStatus = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED"]
HEAVY = ("weights.pt",)
"""Companions of a result that no run carries: the model goes to MLflow on request, in a form that MLflow can load."""


@dataclass(frozen=True)
class Outcome:
    """What the store holds of a trial that has ended: its result, or the reason why there is none; and the files that its run carries."""

    status: Literal["done", "diverged", "failed", "damaged"]
    result: Result | None = None
    reason: str = ""
    artifacts: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def number(self) -> float | None:
        """The top-1 error (%), or what its loop is judged by, where there is one."""
        return self.result.number if self.result else None


Outcomes = Mapping[str, Outcome]
"""By key; a trial that has not ended is not in it."""


@dataclass(frozen=True)
class DataSet:
    """The data of a run for MLflow's own column: a name, a digest, what it was used for, and what is known of it."""

    name: str
    digest: str
    context: str
    profile: str


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
    artifacts: Mapping[str, bytes] = field(default_factory=dict)
    data: DataSet | None = None
    start: int | None = None
    end: int | None = None
    final: bool = False

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the artifacts by name."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(self.artifacts.items())}

    def digest(self, parent: str | None) -> str:
        """The identity of all this as the child of one parent run: a run that bears it is up to date."""
        history = {name: sorted(points.items()) for name, points in self.history.items()}
        data = None if self.data is None else [self.data.name, self.data.digest]
        content = [parent, self.name, self.status, self.tags, self.params, self.metrics, history, self.digests, data]
        return hashlib.sha256(canonical(content).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Picture:
    """A study and how its trials have ended, at one moment; everything that is shown of it comes from here."""

    study: Study
    outcomes: Outcomes

    @cached_property
    def verdicts(self) -> Verdicts:
        """All that the study declares to compare, decided by what is there: one more trial can change every row."""
        return decide(self.study, {variant.name: self._arm(variant) for variant in self.study.variants})

    def errors(self, variant: StudyVariant) -> dict[str, float]:
        """{seed: number} of the finished trials: the top-1 error in percent, or what their loop is judged by."""
        found = {seed: self.outcomes[key].number for seed, key in variant.keys.items() if key in self.outcomes}
        return {seed: value for seed, value in found.items() if value is not None}

    def _arm(self, variant: StudyVariant) -> Arm:
        ended = {seed: self.outcomes[key].status for seed, key in variant.keys.items() if key in self.outcomes}
        return Arm(self.errors(variant), frozenset(seed for seed, status in ended.items() if status == "diverged"))


def outcome(store: Store, key: str) -> Outcome | None:
    """How a trial ended, or None while it is to be trained or being trained."""
    try:
        result = store.result(key)
    except DamagedStore as damage:
        return Outcome("damaged", reason=str(damage)[:LIMIT])
    if result is not None:
        companions = [name for name in result.provenance.digests if name not in HEAVY]
        return Outcome(result.status, result, artifacts=_files(store, key, "config.json", *companions) | _curve_of(result))
    failure = store.failure(key)
    return Outcome("failed", reason=failure.reason[:LIMIT], artifacts=_files(store, key, "failure.json", "log.txt")) if failure else None


def shared_places(store: Store) -> dict[str, str]:
    """The trials that stand in more than one place, in several studies or under several variants of one, with all their places in words."""
    studies = []
    for name in store.studies():
        try:
            studies.append(store.study(name))
        except InputError:
            continue  # a damaged study is named by the command that asks for it; here it only shares nothing
    return {key: "; ".join(found)[:LIMIT] for key, found in places(studies).items() if len(found) > 1}


def parent_record(picture: Picture, variant: StudyVariant, running: bool) -> RunRecord:
    """The run of a variant: its mean, difference and verdict over seeds, and the study itself as an artifact."""
    study = picture.study
    own = [picture.outcomes[key] for key in variant.keys.values() if key in picture.outcomes]
    times = [_span(one.result) for one in own if one.result]
    error, comparison = interval(picture.errors(variant).values()), picture.verdicts.row(variant)
    is_reference = study.reference_of(variant) == variant.name
    told = {
        **({"error": error_text(error)} if study.metric is None else {"mean": estimate_text(error)}),
        "difference": difference_of(study, comparison),
        "p": p_text(comparison.adjusted if comparison else None),
        "smallest_delta": delta_of(study, comparison),
        "verdict": "cell" if variant.levels and comparison is None else verdict_text(comparison, is_reference),
    }
    tags = _tags(study, variant, "parent") | {f"ablate.{name}": text for name, text in told.items() if text != NONE}
    return RunRecord(
        variant=variant.name,
        key=None,
        name=f"{variant.name} · {recipe_name(study)}",
        status="RUNNING" if running else _parent_status(variant, own),
        tags=tags | {NOTE: variant_note(study, variant, error, comparison, _seed_lines(picture, variant))},
        params=_params(study, variant),
        metrics=_aggregate(picture, variant, error, comparison, own),
        artifacts={"study.json": (study.model_dump_json(indent=1) + "\n").encode()} | _curves(picture, variant),
        data=_data(study, variant),
        start=min((start for start, _ in times), default=None),
        end=max((end for _, end in times), default=None),
        final=True,
    )


def child_record(study: Study, variant: StudyVariant, seed: str, ended: Outcome | None, shared: str | None) -> RunRecord:
    """The run of one trial: RUNNING without an outcome; FINISHED when done or diverged, which is an outcome too; else FAILED.

    ``shared`` names all places of a trial that stands in several.
    """
    result = ended.result if ended else None
    status: RunStatus = "RUNNING" if ended is None else "FINISHED" if result else "FAILED"
    start, end = _span(result) if result else (None, None)
    return RunRecord(
        variant=variant.name,
        key=variant.keys[seed],
        name=f"{variant.name} {_seed_name(seed)}",
        status=status,
        tags=_child_tags(study, variant, seed, ended, shared),
        params=_child_params(study, variant, seed),
        metrics=_finals(result) if result else {},
        history=_history(study, variant, result) if result else {},
        times=_clock(result) if result else {},
        artifacts=ended.artifacts if ended else {},
        data=_data(study, variant),
        start=start,
        end=end,
        final=result is not None,
    )


def epoch_metrics(study: Study, variant: StudyVariant, epoch: Epoch | Line, seconds: float | None) -> dict[str, float]:
    """One line of history under its metric names; a number that is none is left out (the status tells of divergence).

    ``seconds`` are those of the epoch's training, None where they were not kept.
    """
    if isinstance(epoch, Line):
        lap, names = {"epoch_seconds": seconds} if seconds else {}, own_names(epoch.values)
        return _finite({names[name]: value for name, value in epoch.values.items()} | lap)
    metrics = {"train_loss": epoch.loss, "train_error": epoch.error, "lr": epoch.lr}
    if seconds:
        batch = variant.recipe.train.batch
        images = study.images.train // batch * batch  # the last partial batch of an epoch is dropped
        metrics |= {"epoch_seconds": seconds, "images_per_second": images / seconds}
    return _finite(metrics)


OURS = (
    *("n", "p", "p_holm", "p_equivalence", "difference", "difference_own", "smallest_delta", "diverged", "failed", "seconds"),
    *("parameters", "macs", "epoch_seconds", "images_per_second", "dead_gates"),
)
"""Names that the mirror gives itself; a number of a user's own loop that is called so gets "own." before it."""


def own_names(names: Iterable[str], ours: Collection[str] = OURS) -> dict[str, str]:
    """{a name: one that MLflow takes for a metric or parameter, and that no other of these has, and none of ``ours``}."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        parts = [re.sub(r"[^A-Za-z0-9_\-. :]", "_", part) for part in name.split("/")]
        taken = "/".join(part for part in parts if part.strip(" ."))[:200].strip() or "unnamed"
        taken = f"own.{taken}" if taken in ours else taken
        others, number = set(found.values()), 2
        while taken in others:
            taken, number = f"{taken.rpartition(' ')[0] if number > 2 else taken} {number}", number + 1
        found[name] = taken
    return found


def judged_by(study: Study) -> str:
    """MLflow's name of what the study is judged by."""
    return "top1_error" if study.metric is None else own_names([study.metric.name])[study.metric.name]


def recipe_name(study: Study) -> str:
    """What tells a suite's studies apart: preset, data, and a hash of what was overridden."""
    return study.name.removeprefix(f"{study.suite}-")


# -- the parts of a record


def _files(store: Store, key: str, *names: str) -> dict[str, bytes]:
    paths = [store.trial(key) / name for name in names]
    return {path.name: path.read_bytes() for path in paths if path.is_file()}


def _curve_of(result: Result) -> dict[str, bytes]:
    return {"curve.svg": curve("Training error", {"": [epoch.error for epoch in result.history]}).encode()} if result.history else {}


def _curves(picture: Picture, variant: StudyVariant) -> dict[str, bytes]:
    lines = {}
    for seed, key in variant.keys.items():
        result = picture.outcomes[key].result if key in picture.outcomes else None
        if result and result.history:
            lines[_seed_name(seed)] = [epoch.error for epoch in result.history]
    return {"curve.svg": curve(f"Training error of {variant.name}", lines).encode()} if lines else {}


def _seed_name(seed: str) -> str:
    """A seed so that names of runs sort: "seed=003", and "init=003" where one stream varies."""
    number = json.loads(seed)
    streams = {"seed": number} if isinstance(number, int) else {stream: n for stream, n in number.items() if n} or {"seed": 0}
    return " ".join(f"{stream}={n:03d}" for stream, n in streams.items())


def _seed_lines(picture: Picture, variant: StudyVariant) -> list[SeedLine]:
    own, reference = picture.errors(variant), picture.study.reference_of(variant)
    others = picture.errors(picture.study.variant(reference)) if reference != variant.name else {}
    states = {seed: picture.outcomes[key].status if key in picture.outcomes else "not ended" for seed, key in variant.keys.items()}
    return [SeedLine(seed, key, own.get(seed), others.get(seed), states[seed]) for seed, key in variant.keys.items()]


def _tags(study: Study, variant: StudyVariant, kind: str) -> dict[str, str]:
    tags = {"study": study.name, "variant": variant.name, "preset": study.preset, "kind": kind}
    if variant.same_as:
        tags["same_as"] = variant.same_as
    return {f"ablate.{name}": value for name, value in tags.items()} | {"mlflow.source.name": "ablate", "mlflow.source.type": "LOCAL"}


def _child_tags(study: Study, variant: StudyVariant, seed: str, ended: Outcome | None, shared: str | None) -> dict[str, str]:
    tags = {"key": variant.keys[seed], "seed": seed, "status": ended.status if ended else "running"}
    if shared:
        tags["shared"] = shared
    if ended and ended.reason:
        tags["reason"] = ended.reason
    if ended and ended.result:
        tags |= _provenance(ended.result)
    found = _tags(study, variant, "child") | {f"ablate.{name}": value for name, value in tags.items()}
    if ended and ended.result and ended.result.provenance.commit:
        found["mlflow.source.git.commit"] = ended.result.provenance.commit
    return found


def _provenance(result: Result) -> dict[str, str]:
    origin = result.provenance
    tags = {"device": origin.device, "sittings": str(origin.sittings)}
    if result.evaluated_on:
        tags["evaluated_on"] = result.evaluated_on
    if origin.commit:
        tags["commit"] = origin.commit + ("+changes" if origin.dirty else "")
    tags["execution"] = ", ".join(f"{name} {_text(value)}" for name, value in sorted(origin.execution.items()))
    return tags | {"versions": ", ".join(f"{name} {version}" for name, version in origin.versions.items())}


def _params(study: Study, variant: StudyVariant) -> dict[str, str]:
    """What the variants of the study differ in, under the shortest names that tell them apart, and the preset."""
    paths = sorted({path.removesuffix(".name") for other in study.variants for path in other.changes})
    last = Counter(path.rpartition(".")[2] for path in paths)
    own = variant.config.settings if isinstance(variant.config, Settings) else variant.config.tree()
    values = flat(own)
    params = {"preset": study.preset} if study.metric is None else {}
    for path in paths:
        value = values.get(f"{path}.name", values.get(path, ...))
        short = path.rpartition(".")[2]
        if value is not ...:
            params[short if last[short] == 1 else ".".join(path.split(".")[-2:])] = _text(value)
    if study.metric is None:
        return params
    names = own_names(params, ())
    return {names[name]: value for name, value in params.items()}


def _child_params(study: Study, variant: StudyVariant, seed: str) -> dict[str, str]:
    if isinstance(variant.config, Settings):
        return {"loop": variant.config.loop, "seed": seed} | _params(study, variant)
    train = variant.config.train
    budget = {"epochs": train.epochs, "lr": train.lr, "batch": train.batch, "network": variant.config.net.name, "seed": seed}
    return _params(study, variant) | {name: _text(value) for name, value in budget.items()}


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    return "none" if value is None else value if isinstance(value, str) else canonical(value)


def _aggregate(
    picture: Picture, variant: StudyVariant, error: Estimate, comparison: Comparison | None, own: list[Outcome]
) -> dict[str, float]:
    statuses = Counter(one.status for one in own)
    metrics = _estimate(judged_by(picture.study), error) | {"n": float(error.n)}
    metrics |= {"diverged": float(statuses["diverged"]), "failed": float(statuses["failed"] + statuses["damaged"])}
    metrics |= _compared(comparison) if comparison else {}
    seconds = [one.result.timing.total for one in own if one.result and one.status == "done"]
    if seconds:
        metrics["seconds_mean"] = sum(seconds) / len(seconds)
    return _finite(metrics | _costs(variant.cost))


def _costs(cost: Cost | None) -> dict[str, float]:
    return {} if cost is None else {"parameters": float(cost.parameters), "macs": float(cost.macs)}


def _compared(one: Comparison) -> dict[str, float]:
    """The difference and what is decided by it. Intervals stand from three pairs on, as in the report; ``difference_low`` and
    ``difference_high`` are those of its error table, which hold for all rows together. An arm that diverges is equivalent at no δ."""
    found = {"difference_mean": one.mean}
    if one.n >= FEWEST:
        found |= {"difference_low": one.all.low, "difference_high": one.all.high}
        found |= {"difference_own_low": one.own.low, "difference_own_high": one.own.high}
        found["smallest_delta"] = None if one.divergence else one.smallest_delta
    found |= {"p": one.p, "p_holm": one.adjusted, "p_equivalence": one.equivalence_p}
    return {name: value for name, value in found.items() if value is not None}


def _estimate(name: str, estimate: Estimate) -> dict[str, float]:
    bounds = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
    return {f"{name}_{bound}": value for bound, value in bounds.items() if value is not None}


def _parent_status(variant: StudyVariant, own: list[Outcome]) -> RunStatus:
    """SCHEDULED is MLflow's word for what is still to be run."""
    if any(one.result is None for one in own):
        return "FAILED"
    return "FINISHED" if len(own) == len(variant.keys) else "SCHEDULED"


def _finals(result: Result) -> dict[str, float]:
    metrics: dict[str, float] = _costs(result.cost) | {"seconds": result.timing.total}
    if result.measured is not None:
        names = own_names([result.measured.metric, *result.measured.values])  # the metric first, so that it has the same name everywhere
        metrics |= {names[name]: value for name, value in result.measured.values.items()}
    if result.dead_gates is not None:
        metrics["dead_gates"] = result.dead_gates
    if result.errors:
        metrics |= {"top1_error": result.errors.top1, "top5_error": result.errors.top5, "evaluation_loss": result.errors.loss}
    return _finite(metrics)


def _history(study: Study, variant: StudyVariant, result: Result) -> dict[str, dict[int, float]]:
    history: dict[str, dict[int, float]] = {}
    for index, epoch in enumerate(_epochs(result)):
        seconds = result.timing.epochs[index] if index < len(result.timing.epochs) else None
        for name, value in epoch_metrics(study, variant, epoch, seconds).items():
            history.setdefault(name, {})[epoch.epoch] = value
    return history


def _epochs(result: Result) -> Sequence[Epoch | Line]:
    return result.lines if result.measured else result.history


def _clock(result: Result) -> dict[int, int]:
    """When each epoch ended, counting the epochs' seconds from the start."""
    start, elapsed, times = _span(result)[0], 0.0, {}
    for epoch, seconds in zip(_epochs(result), result.timing.epochs, strict=False):
        elapsed += seconds
        times[epoch.epoch] = start + int(1000 * elapsed)
    return times


def _span(result: Result) -> tuple[int, int]:
    end = int(1000 * datetime.fromisoformat(result.provenance.created).timestamp())
    return end - int(1000 * result.timing.total), end


def _data(study: Study, variant: StudyVariant) -> DataSet | None:
    data = study.data
    if data is None:
        return None
    known = data.fingerprint or hashlib.sha256(canonical(variant.config.tree()["data"]).encode()).hexdigest()[:12]
    profile = {
        "training images": data.train,
        f"{data.evaluated_on} images": data.evaluated,
        "classes": len(data.classes),
        "pixels": data.size,
    }
    return DataSet(data.label, known[:36], f"training and {data.evaluated_on}", json.dumps(profile))  # MLflow's limit of a digest is 36


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
