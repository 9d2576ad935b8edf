"""A trained network in MLflow's model format: ``mlflow.pytorch.load_model("runs:/RUN/model")`` gives it back, without this project.

It is PyTorch's exported graph in fp32 ("pt2"), not a pickle: nothing is executed on loading. It takes the images as they are, grey levels
0 to 255 as float32 (N, C, S, S) for any N, normalises them as training did, and returns logits (N, classes).
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ablations.planning import DataSource
from ablations.result import Result

if TYPE_CHECKING:
    from torch import nn

PLACE = "model"


def save(folder: Path, result: Result, weights: Path, source: DataSource) -> None:
    """Write the model of a trial into a new ``folder``; what it is normalised by is computed from the training images again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's and PyTorch's, about their own insides
        _save(folder, result, weights, source)


def _save(folder: Path, result: Result, weights: Path, source: DataSource) -> None:
    import mlflow.pytorch
    import numpy as np
    import torch
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    _, facts = source.opened(result.recipe)
    shape = (facts.channels, facts.size, facts.size)
    images, logits = (TensorSpec(np.dtype("float32"), (-1, *rest)) for rest in (shape, (len(facts.classes),)))
    mlflow.pytorch.save_model(
        _classifier(result, weights, source),
        str(folder),
        signature=ModelSignature(Schema([images]), Schema([logits])),
        input_example=np.zeros((2, *shape), dtype=np.float32),  # two: of one image the graph would take no more
        serialization_format="pt2",
        pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}", "mlflow", "numpy"],
        metadata={"key": result.key, "classes": list(facts.classes)},
    )


def _classifier(result: Result, weights: Path, source: DataSource) -> nn.Module:
    import torch
    from torch import nn

    from senet_core.build import build
    from senet_core.training.batches import Batches

    class OnPixels(nn.Module):
        """The network behind its own normalisation."""

        mean: torch.Tensor
        std: torch.Tensor

        def __init__(self, network: nn.Module, mean: list[float], std: list[float]) -> None:
            super().__init__()
            self.network = network
            self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
            self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network((images - self.mean) / self.std)
            return logits

    _, facts = source.opened(result.recipe)
    batches = Batches(source.arrays(result.recipe), result.recipe, result.seed, torch.device("cpu"))
    network = build(result.recipe, facts, result.seed)
    network.load_state_dict(torch.load(weights, weights_only=True))
    return OnPixels(network, batches.mean, batches.std).eval()
