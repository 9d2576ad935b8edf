"""What several test files share: the command line, a tiny data set, and the real images where they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import Ablate
from stored_study import make_study

import runner
from ablations.store import Store
from ablations.tracking.place import tracking_uri
from ablations.tracking.tracker import MlflowTracker
from senet_core.dataset import Arrays, Facts

IMAGES = Path(__file__).resolve().parent.parent / "data" / "cifar10-jpeg"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small tensors gain nothing from more, and machines that run tests are often busy."""
    torch.set_num_threads(1)


@pytest.fixture
def real_images() -> Path:
    """The folder of real images; the test is skipped, saying so, where it is absent."""
    if not IMAGES.is_dir():
        pytest.skip(f"the real images are not in {IMAGES.relative_to(IMAGES.parent.parent)}")
    return IMAGES


@pytest.fixture
def ablate(capsys: pytest.CaptureFixture[str]) -> Ablate:
    """Run a command line in this process; returns exit code, output, error output."""

    def call(*words: object) -> tuple[int, str, str]:
        code = runner.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="session")
def facts() -> Facts:
    """Four classes of 8x8 colour images, told apart by where they are bright."""
    return Facts("Tiny", ("a", "b", "c", "d"), 8, 3, 256, 96, ("crop", "flip"))


@pytest.fixture(scope="session")
def arrays(facts: Facts) -> Arrays:
    """Images that a small network learns in a few epochs."""
    return Arrays(*_side(facts.train, 0), *_side(facts.test, 1))


def _side(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 4
    images = rng.integers(0, 120, (count, 8, 8, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[..., label % 3] += np.uint8(60 + 50 * (label == 3))
    return images, labels


# -- MLflow


@pytest.fixture(autouse=True)
def no_server_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes to the server that a developer's environment names."""
    for name in ("URI", "USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database; its tables take seconds to make, a copy takes none."""
    from ablations.tracking.runs import Runs

    folder = tmp_path_factory.mktemp("template")
    Runs(f"sqlite:///{folder}/mlflow.db", folder)
    return folder / "mlflow.db"


@pytest.fixture
def mirrored(tmp_path: Path, mlflow_template: Path) -> Store:
    """A workspace that has an MLflow database; its name has a space, as users' folders do."""
    root = tmp_path / "my runs"
    root.mkdir()
    shutil.copy(mlflow_template, root / "mlflow.db")
    return Store(root)


@pytest.fixture
def warnings() -> list[str]:
    """What the tracker told the user."""
    return []


@pytest.fixture
def tracker(mirrored: Store, warnings: list[str]) -> Iterator[MlflowTracker]:
    """A tracker on that database, following the usual study; no test that asks for it may see a warning."""
    yield MlflowTracker(tracking_uri(mirrored.root, None), mirrored, warnings.append, [make_study()])
    assert not warnings
