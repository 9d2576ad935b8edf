"""What we use of MLflow: a release that drops one of these names or arguments is told here first, and a new use is added here by hand."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import ablations

CLIENT: dict[str, tuple[str, ...]] = {
    "create_experiment": ("name", "artifact_location", "tags"),
    "create_run": ("experiment_id", "start_time", "tags", "run_name"),
    "delete_run": ("run_id",),
    "delete_tag": ("run_id", "key"),
    "download_artifacts": ("run_id", "path", "dst_path"),
    "get_experiment": ("experiment_id",),
    "get_experiment_by_name": ("name",),
    "get_metric_history": ("run_id", "key"),
    "get_run": ("run_id",),
    "log_artifacts": ("run_id", "local_dir", "artifact_path"),
    "log_batch": ("run_id", "metrics", "params", "tags"),
    "log_inputs": ("run_id", "datasets"),
    "restore_experiment": ("experiment_id",),
    "search_experiments": ("view_type", "max_results", "filter_string", "order_by", "page_token"),
    "search_runs": ("experiment_ids", "filter_string", "run_view_type", "max_results", "order_by", "page_token"),
    "set_experiment_tag": ("experiment_id", "key", "value"),
    "set_tag": ("run_id", "key", "value"),
    "set_terminated": ("run_id", "status", "end_time"),
    "update_run": ("run_id", "status", "name"),
}
"""Methods of ``MlflowClient`` with the arguments that we give, in the order in which we rely on them."""
OTHERS: dict[str, dict[str, tuple[str, ...]]] = {
    "mlflow": {"MlflowClient": ("tracking_uri",)},
    "mlflow.entities": {
        "Dataset": ("name", "digest", "source_type", "source", "schema", "profile"),
        "DatasetInput": ("dataset", "tags"),
        "Experiment": (),
        "InputTag": ("key", "value"),
        "Metric": ("key", "value", "timestamp", "step"),
        "Param": ("key", "value"),
        "Run": (),
        "RunTag": ("key", "value"),
        "ViewType": (),
    },
    "mlflow.exceptions": {"MlflowException": ("message", "error_code")},
    "mlflow.models": {"ModelSignature": ("inputs", "outputs")},
    "mlflow.pytorch": {
        "save_model": ("pytorch_model", "path", "pip_requirements", "signature", "input_example", "metadata", "serialization_format"),
        "load_model": ("model_uri",),
    },
    "mlflow.system_metrics.system_metrics_monitor": {"SystemMetricsMonitor": ("run_id", "resume_logging", "tracking_uri")},
    "mlflow.types": {"Schema": ("inputs",), "TensorSpec": ("type", "shape")},
}
"""What else is imported, with the arguments that we give."""
SOURCES = sorted(Path(ablations.__file__).parent.rglob("*.py"))


def trees() -> Iterator[ast.Module]:
    """The code of this floor."""
    yield from (ast.parse(path.read_text()) for path in SOURCES)


def in_order(wanted: tuple[str, ...], there: list[str]) -> bool:
    """Whether all wanted names are there, in this order."""
    rest = iter(there)
    return all(name in rest for name in wanted)


@pytest.mark.parametrize("name", CLIENT)
def test_the_client_has_the_method_with_its_arguments(name: str) -> None:
    from mlflow import MlflowClient

    assert in_order(CLIENT[name], list(inspect.signature(getattr(MlflowClient, name)).parameters))


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in OTHERS.items() for name in names])
def test_what_is_imported_is_there_with_its_arguments(module: str, name: str) -> None:
    found = getattr(importlib.import_module(module), name)
    if OTHERS[module][name]:
        assert set(OTHERS[module][name]) <= set(inspect.signature(found).parameters)


def test_no_other_method_of_the_client_is_called() -> None:
    calls = [node.func for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    used = {call.attr for call in calls if isinstance(call, ast.Attribute) and ast.unparse(call.value) in ("client", "self._client")}
    assert used == CLIENT.keys()


def test_nothing_else_is_imported_and_the_fluent_interface_never() -> None:
    """``import mlflow.pytorch`` alone is a plain import, for its two functions; `mlflow.log_...` and their like keep a global state."""
    names: set[tuple[str, str]] = set()
    plain: set[str] = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mlflow":
                names |= {(node.module or "", alias.name) for alias in node.names}
            if isinstance(node, ast.Import):
                plain |= {alias.name for alias in node.names if alias.name.split(".")[0] == "mlflow"}
    assert names == {(module, name) for module, named in OTHERS.items() for name in named if module != "mlflow.pytorch"}
    assert plain == {"mlflow.pytorch"}
