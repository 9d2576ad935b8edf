"""What a disturbed workspace and its mirror must have in common with one that was left alone."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ablations.store import Store


def outcomes(workspace: Path) -> dict[str, Any]:
    """By key: all of a result but its timing and provenance, and the digests of its companions."""
    store, found = Store(workspace), dict[str, Any]()
    for key in store.keys():  # noqa: SIM118
        result = store.result(key)  # verified against its own digests
        if result is not None:
            digests = {name: value for name, value in result.provenance.digests.items() if name != "result.json"}
            found[key] = [json.loads(result.model_dump_json(exclude={"timing", "provenance"})), digests]
    return found


def differences(workspace: Path, expected: dict[str, Any], uri: str) -> list[str]:
    """What differs from the undisturbed results, what was left lying about, and what MLflow shows wrongly."""
    found, store = outcomes(workspace), Store(workspace)
    told = [f"trial {key} is lost" for key in expected.keys() - found.keys()]
    told += [f"trial {key} should not be there" for key in found.keys() - expected.keys()]
    told += [f"trial {key} has another result" for key in found.keys() & expected.keys() if found[key] != expected[key]]
    for name in store.studies():
        study = store.study(name)
        if any(set(variant.keys) != set(study.seeds) for variant in study.variants):
            told.append(f"study {name} lost seeds")
    remains = [path for path in workspace.glob("trials/*/*") if path.name.startswith((".", "checkpoint", "attempts", "begun"))]
    return told + [f"{path.relative_to(workspace)} was left behind" for path in remains] + _mirror(store, uri)


def _mirror(store: Store, uri: str) -> list[str]:
    from mlflow import MlflowClient

    client, told = MlflowClient(tracking_uri=uri), list[str]()
    studies = {name: store.study(name) for name in store.studies()}
    cells: set[Any] = {(name, v.name, key) for name, study in studies.items() for v, _, key in study.trials()}
    cells |= {(name, v.name, None) for name, study in studies.items() for v in study.variants}
    shown: Counter[Any] = Counter()
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], max_results=1000):
            tags = run.data.tags
            key = tags.get("ablate.key")
            place = (tags.get("ablate.study"), tags.get("ablate.variant"), key)
            shown[place] += 1
            if run.info.status != "FINISHED":
                told.append(f"MLflow shows {place} as {run.info.status}")
            result = store.result(key) if key else None
            if result is not None and result.errors is not None:
                epochs = [point.step for point in client.get_metric_history(run.info.run_id, "train_loss")]
                if run.data.metrics.get("top1_error") != result.errors.top1 or sorted(epochs) != [e.epoch for e in result.history]:
                    told.append(f"MLflow shows other numbers for {place}")
    told += [f"MLflow has {place} {count} times" for place, count in shown.items() if count > 1]
    told += [f"MLflow lacks {place}" for place in cells - shown.keys()]
    return told + [f"MLflow has {place}, which is in no study" for place in shown.keys() - cells]
