"""The model that MLflow gets: it loads without this project, takes images as they are, and says what the trained network says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from stored_study import artifacts, make_result, make_study, runs, save

from ablations.result import Result
from ablations.store import Store
from ablations.tracking.model import save as save_model
from ablations.tracking.place import tracking_uri
from ablations.tracking.tracker import Extras, MlflowTracker
from senet_core.build import build
from senet_core.config import Config
from senet_core.dataset import Arrays, Facts
from senet_core.files import sha256
from senet_core.resolve import resolve
from senet_core.training.batches import Batches

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # MLflow's about type hints of its own, when its pyfunc is imported


class Source:
    """A data source that has the tiny images."""

    def __init__(self, arrays: Arrays, facts: Facts) -> None:
        self._arrays, self._facts = arrays, facts

    def opened(self, config: Config) -> tuple[None, Facts]:
        return None, self._facts

    def arrays(self, config: Config) -> Arrays:
        return self._arrays


@pytest.fixture
def source(arrays: Arrays, facts: Facts) -> Source:
    """Where the images of the trial are."""
    return Source(arrays, facts)


@pytest.fixture
def config(facts: Facts) -> Config:
    """A small residual network with SE."""
    net = {"name": "resnet", "units": [1, 1], "widths": [8, 16], "block": {"name": "se", "reduction": 4}}
    return resolve(Config.of({"net": net, "train": {"epochs": 1, "batch": 32}}), facts)


def trained(config: Config, facts: Facts, folder: Path) -> tuple[torch.nn.Module, Path]:
    """A network whose statistics and weights are not those of the start, and its stored weights."""
    network = build(config, facts, 0)
    generator = torch.Generator().manual_seed(0)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.add_(torch.rand(value.shape, generator=generator) * 0.2)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), folder / "weights.pt")
    return network.eval(), folder / "weights.pt"


def result_of(config: Config) -> Result:
    """A stored result of that network."""
    study = make_study()
    return make_result(study, "r=16", "0").model_copy(update={"config": config})


def test_a_loaded_model_says_what_the_network_says(config: Config, facts: Facts, arrays: Arrays, source: Source, tmp_path: Path) -> None:
    import mlflow.pytorch

    network, weights = trained(config, facts, tmp_path)
    save_model(tmp_path / "model", result_of(config), weights, source)
    model = mlflow.pytorch.load_model(str(tmp_path / "model"))
    batches = Batches(arrays, config, 0, torch.device("cpu"))
    normalised = torch.cat([x for x, _ in batches.evaluation()]).float()
    pixels = torch.from_numpy(arrays.test_images).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        for count in (1, 7, len(pixels)):
            np.testing.assert_allclose(model(pixels[:count]), network(normalised[:count]), atol=1e-3, rtol=1e-3)


def test_a_run_carries_its_model_once_and_only_on_request(
    config: Config, facts: Facts, source: Source, mirrored: Store, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    study = make_study()
    mirrored.save_study(study)
    key = study.variant("r=16").keys["0"]
    _, weights = trained(config, facts, mirrored.trial(key))
    monkeypatch.setattr("stored_study.make_result", lambda *words, **options: sealed(result_of(config), weights))
    save(mirrored, study, "r=16", "0")
    uri = tracking_uri(mirrored.root, None)
    MlflowTracker(uri, mirrored, warnings.append).mirror(study)
    assert "model" not in artifacts(mirrored, runs(mirrored)["r=16", "0"])
    MlflowTracker(uri, mirrored, warnings.append, extras=Extras(models=source)).mirror(study)
    run = runs(mirrored)["r=16", "0"]
    assert "model/MLmodel" in artifacts(mirrored, run, "model")
    before = mlflow.get_tracking_uri()
    try:
        mlflow.set_tracking_uri(uri)
        model = mlflow.pytorch.load_model(f"runs:/{run.info.run_id}/model")
    finally:
        mlflow.set_tracking_uri(before)
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 4)
    weights.write_bytes(b"other")
    MlflowTracker(uri, mirrored, warnings.append, extras=Extras(models=source)).mirror(study)
    assert not warnings  # the model that is there already is not made again


def sealed(result: Result, weights: Path) -> Result:
    """The result with the digest of its weights, as training writes it."""
    provenance = result.provenance.model_copy(update={"digests": {"weights.pt": sha256(weights)}})
    return result.model_copy(update={"provenance": provenance})


def test_weights_that_are_not_the_results_are_refused(
    config: Config, facts: Facts, source: Source, mirrored: Store, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study()
    mirrored.save_study(study)
    _, weights = trained(config, facts, mirrored.trial(study.variant("r=16").keys["0"]))
    monkeypatch.setattr("stored_study.make_result", lambda *words, **options: sealed(result_of(config), weights))
    save(mirrored, study, "r=16", "0")
    weights.write_bytes(b"other")
    tracker = MlflowTracker(tracking_uri(mirrored.root, None), mirrored, warnings.append, extras=Extras(models=source))
    tracker.mirror(study)
    tracker.mirror(study)
    assert [told.partition(" (")[0] for told in warnings] == ["The weights of r=16 seed=000"]
    assert not tracker.off
