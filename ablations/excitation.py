"""The role of excitation in a stored variant: which trials to look at, what is computed from their weights, and where that is kept.

``excitation/<key>.json`` in the workspace holds what was found with the weights of one trial, and the digest of those weights, so that
nothing is computed twice and a page is redrawn without torch. Gates by class come from the trial's own ``gates.npz``; for a trial that was
trained before those were kept they stand in ``excitation/<key>.npz``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ablations import gates_file
from ablations.execution.provenance import commit, versions
from ablations.planning import DataSource
from ablations.result import Result
from ablations.selection import meant, selected
from ablations.store import DamagedStore, Store
from ablations.study import Study, StudyVariant
from senet_core.class_gates import ClassGates
from senet_core.config import Frozen
from senet_core.errors import InputError, unknown
from senet_core.files import publish_text, sha256
from senet_core.seeds import seed_label

if TYPE_CHECKING:
    from senet_core.excitation import Examination, Excited
    from senet_core.training.execution import Machine

VERSION = 1
"""Of what a record says; one of another version is made anew."""


class BlockRecord(Frozen):
    """What was found with the weights for one block, by its path.

    ``share`` is the share of its gates' variance between classes (0 to 1), ``limit`` the 95 % point of that share under shuffled labels and
    ``p`` the p of the true labels; all None where the gates do not vary. ``mean`` and ``shuffled`` are the top-1 errors (%) with its gates
    replaced by their mean over images, or dealt out to other images; None where that was not asked for.
    """

    path: str
    share: float | None
    limit: float | None
    p: float | None
    mean: float | None
    shuffled: float | None


class Record(Frozen):
    """What was found with the weights of one trial on its evaluation images; ``error`` (%) is that of the network as it is, by the same
    code on the same machine. ``weights`` and ``gates`` are digests: of the trial's weights, and of the gates kept beside this record,
    where the trial kept none."""

    version: int
    key: str
    weights: str
    gates: str | None
    images: int
    permutations: int
    knockout: bool
    error: float
    blocks: tuple[BlockRecord, ...]
    created: str
    commit: str | None
    dirty: bool | None
    versions: dict[str, str]
    device: str
    execution: dict[str, str | int | bool]


@dataclass(frozen=True)
class Look:
    """What is stored of one seed: the gates of each block by class, and what was found with the weights, if they were looked at."""

    seed: str
    key: str
    error: float
    gates: tuple[ClassGates, ...]
    record: Record | None

    def block(self, path: str) -> BlockRecord | None:
        """What was found with the weights for one block."""
        found = self.record.blocks if self.record else ()
        return next((block for block in found if block.path == path), None)


# -- which trials


def chosen(store: Store, suite: str, variant: str, preset: str | None, dataset: str | None) -> tuple[Study, StudyVariant]:
    """The one stored study that a command means, and its variant.

    :raises InputError: if there is none or several, or the variant is unknown or has no block with a gate.
    """
    studies = meant(selected(store, [suite], preset), suite)
    studies = [study for study in studies if dataset in (None, study.variants[0].recipe.data.name)]
    if not studies:
        raise InputError(f"No study of '{suite}' in this workspace was trained on the data set '{dataset}'.")
    if len(studies) > 1:
        several = ", ".join(study.name for study in studies)
        raise InputError(f"'{suite}' is several studies here; name one of them, or give --preset or --dataset: {several}.")
    (study,) = studies
    names = [each.name for each in study.variants]
    if variant not in names:
        raise unknown(f"variant of the study '{study.name}'", variant, names)
    found = study.variant(variant)
    if found.recipe.net.block is None:
        raise InputError(f"The variant '{variant}' has no block, so it has no gates to look at.")
    return study, found


def trials(study: Study, variant: StudyVariant, store: Store, seed: str | None = None) -> dict[str, Result]:
    """{seed: result} of the variant's finished trials, or of that one seed.

    :raises InputError: if there is none, or the seed is not one of the study's.
    """
    if seed is not None and seed not in variant.keys:
        raise unknown(f"seed of the variant '{variant.name}'", seed, variant.keys)
    results = {text: store.result(key) for text, key in variant.keys.items() if seed in (None, text)}
    done = {text: result for text, result in results.items() if result is not None and result.errors is not None}
    if not done:
        which = f"seed {seed}" if seed is not None else "any seed"
        raise InputError(
            f"The variant '{variant.name}' of the study '{study.name}' has no finished trial of {which}; `ablate run` trains it."
        )
    if all(result.gates == () for result in done.values()):
        assert variant.recipe.net.block is not None
        raise InputError(f"The block '{variant.recipe.net.block.name}' computes no gate from its input, so there is nothing to look at.")
    return done


def read(study: Study, variant: StudyVariant, store: Store) -> list[Look]:
    """What is stored of every finished seed of a variant, in the order of the seeds; a seed of which nothing is known is left out."""
    found = []
    for seed, result in trials(study, variant, store).items():
        assert result.errors is not None
        one = record(store, result)
        gates = _gates(store, result, one)
        if gates is not None:
            found.append(Look(seed, result.key, result.errors.top1, gates, one))
    return found


def drawable(study: Study, store: Store) -> list[StudyVariant]:
    """The variants whose page can be made from what is stored: a finished trial kept its gates, or its weights were looked at."""

    def known(key: str) -> bool:
        return (store.trial(key) / "gates.npz").is_file() or _path(store, key, "json").is_file()

    return [variant for variant in study.variants if variant.same_as is None and any(map(known, variant.keys.values()))]


def record(store: Store, result: Result) -> Record | None:
    """What was found with a trial's weights; None where nobody looked, or with other weights or by older code.

    :raises DamagedStore: if the file is not one of these.
    """
    path = _path(store, result.key, "json")
    try:
        found = Record.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise DamagedStore(f"The file excitation/{path.name} is damaged; move it away and it is computed anew.") from None
    known = found.version == VERSION and found.key == result.key and found.weights == result.provenance.digests.get("weights.pt")
    return found if known else None


def _gates(store: Store, result: Result, one: Record | None) -> tuple[ClassGates, ...] | None:
    kept = store.class_gates(result.key)
    if kept is not None or one is None or one.gates is None:
        return kept
    path = _path(store, result.key, "npz")
    if not path.is_file() or sha256(path) != one.gates:
        raise DamagedStore(f"The file excitation/{path.name} is missing or damaged; move the .json beside it away and both are made anew.")
    return gates_file.read(path)


def _path(store: Store, key: str, kind: str) -> Path:
    return store.root / "excitation" / f"{key}.{kind}"


# -- what is computed


def examine(
    study: Study,
    variant: StudyVariant,
    store: Store,
    source: DataSource,
    machine: Callable[[], Machine],
    *,
    seed: str | None,
    knockout: bool,
) -> Iterator[str]:
    """Compute what is missing of the finished trials, each stored when it is there; yields a sentence for each trial that is looked at
    or cannot be. The evaluation images are read again for it: to measure a trained network, and nothing is chosen by what comes out.

    :raises InputError: if the data are not those of the trial, the code of its network has changed since, or there is nothing to look at.
    """
    for text, result in trials(study, variant, store, seed).items():
        name, known = f"{variant.name}, {seed_label(text)}", record(store, result)
        if known is not None and (known.knockout or not knockout):
            continue
        if (store.trial(result.key) / "weights.pt").is_file():
            yield f"{name}: looking at its gates{', with each block knocked out' if knockout else ''} …"
            here = machine()
            _save(store, result, _examined(study, store, result, source, here, knockout), here, knockout)
        elif store.class_gates(result.key) is not None:
            yield f"{name}: weights.pt is not in the trial's folder, so there are no shuffled labels and no knockouts; its gates were kept."
        else:
            yield f"{name}: weights.pt is not in the trial's folder and its gates were not kept, so there is nothing to look at."


def _examined(study: Study, store: Store, result: Result, source: DataSource, machine: Machine, knockout: bool) -> Examination:
    """Build the trial's network, fill in its weights and examine it on its evaluation images."""
    import torch

    from senet_core.build import build
    from senet_core.excitation import Subject, examine
    from senet_core.training.batches import Batches
    from senet_core.training.kernels import autocast

    _refuse_other_code(study, result)
    weights = store.trial(result.key) / "weights.pt"
    if sha256(weights) != result.provenance.digests.get("weights.pt"):
        raise DamagedStore(f"The file trials/{result.key}/weights.pt is not what its result.json was written for; restore it from a copy.")
    _, facts = source.opened(result.recipe)
    if facts.fingerprint != study.images.fingerprint:
        raise InputError("The images are not those that the study was trained on: their fingerprint is another one. See --data-root.")
    execution = machine.execution
    execution.apply()
    batches = Batches(source.arrays(result.recipe), result.recipe, result.seed, machine.device, execution.memory_format)
    if not np.array_equal(batches.evaluation_labels, store.correctness(result.key).labels):
        raise InputError("The evaluation images are not those that the trial was evaluated on: their labels differ. See --data-root.")
    network = build(result.recipe, facts, result.seed).to(machine.device)
    network.load_state_dict(torch.load(weights, map_location=machine.device, weights_only=True))
    bf16, kernels = result.recipe.train.precision == "bf16", execution.kernels
    subject = Subject(
        execution.formatted(network), batches.evaluation, batches.evaluation_labels, lambda: autocast(machine.device.type, bf16, kernels)
    )
    return examine(subject, len(facts.classes), result.seed, knockout=knockout)


def _refuse_other_code(study: Study, result: Result) -> None:
    """A block or network whose version was raised, or a loaded file that was edited, since the trial was trained makes another key."""
    from senet_core.identity import trial_key

    if trial_key(result.recipe, result.seed, study.images.fingerprint) != result.key:
        raise InputError(
            f"The network of trial {result.key} is another one in today's code (a block, a network or a loaded file has changed), so its "
            "weights cannot be looked at with it."
        )


def _save(store: Store, result: Result, found: Examination, machine: Machine, knockout: bool) -> None:
    from senet_core.excitation import PERMUTATIONS
    from senet_core.training.execution import device_name

    kept = None
    if store.class_gates(result.key) is None:
        kept = gates_file.write(_path(store, result.key, "npz"), [block.gates for block in found.blocks])
    revision, dirty = commit()
    made = Record(
        version=VERSION,
        key=result.key,
        weights=result.provenance.digests["weights.pt"],
        gates=kept,
        images=int(found.blocks[0].gates.counts.sum()),
        permutations=PERMUTATIONS,
        knockout=knockout,
        error=found.error,
        blocks=tuple(BlockRecord(path=block.gates.path, share=block.gates.share, **_tests(block)) for block in found.blocks),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=revision,
        dirty=dirty,
        versions=versions(),
        device=device_name(machine.device),
        execution=machine.execution.plain(),
    )
    publish_text(_path(store, result.key, "json"), made.model_dump_json(indent=1) + "\n")


def _tests(block: Excited) -> dict[str, float | None]:
    null, lost = block.null, block.knockout
    return {
        "limit": null.limit if null else None,
        "p": null.p if null else None,
        "mean": lost.mean if lost else None,
        "shuffled": lost.shuffled if lost else None,
    }
