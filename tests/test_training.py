"""Training: exact resume, counted randomness, schedules, divergence, and what a batch is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from senet_core import augment
from senet_core.augment import AUGMENTATIONS, Sampling, sample
from senet_core.build import build
from senet_core.config import Config, Train
from senet_core.dataset import Arrays, Facts
from senet_core.errors import InputError
from senet_core.registry import Registry
from senet_core.resolve import resolve
from senet_core.training.batches import PADDING, Batches, split
from senet_core.training.checkpoint import Checkpoints
from senet_core.training.execution import Execution, choose, pick_device
from senet_core.training.kernels import choose_kernels
from senet_core.training.loop import Interrupted, Outcome, fit
from senet_core.training.probe import seconds_per_trial
from senet_core.training.schedule import learning_rate
from senet_core.training.step import Step, parameter_groups

CPU = torch.device("cpu")
NET = {"units": [1, 1], "widths": [8, 16], "stem": 8, "block": {"name": "se", "reduction": 2}}
TRAIN = {"epochs": 3, "batch": 32, "lr": 0.2, "weight_decay": 5e-4}


def recipe(facts: Facts, **changes: Any) -> Config:
    config = resolve(Config.of({"net": NET, "data": {"name": "digits"}, "train": TRAIN}), facts)
    return resolve(config.but(changes), facts)


def trained(config: Config, arrays: Arrays, facts: Facts, seed: Any = 0, **options: Any) -> Outcome:
    return fit(config, seed, arrays, facts, device=CPU, execution=Execution(threads=1), **options)


def same(a: Outcome, b: Outcome) -> bool:
    equal = all(torch.equal(a.weights[name], b.weights[name]) for name in a.weights)
    return equal and a.progress.history == b.progress.history and a.evaluation is not None and a.evaluation.loss == b.evaluation.loss


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_learns_and_repeats_bit_for_bit(arrays: Arrays, facts: Facts, precision: str) -> None:
    config = recipe(facts, **{"train.precision": precision, "train.epochs": 6})
    first = trained(config, arrays, facts)
    assert first.status == "done" and first.evaluation is not None
    assert first.evaluation.top1_error < 30 < first.progress.history[0].error
    assert first.evaluation.top5_error == 0 and len(first.evaluation.top1) == facts.test
    assert same(first, trained(config, arrays, facts)) and not same(first, trained(config, arrays, facts, seed=1))


@pytest.mark.parametrize("steps", [3, 8, 17])
def test_a_resume_equals_an_uninterrupted_run_bit_for_bit(arrays: Arrays, facts: Facts, tmp_path: Path, steps: int) -> None:
    config, whole = recipe(facts), trained(recipe(facts), arrays, facts)
    asked = iter(range(1000))
    with pytest.raises(Interrupted):
        trained(config, arrays, facts, checkpoints=Checkpoints(tmp_path), should_stop=lambda: next(asked) >= steps)
    assert (tmp_path / "checkpoint.pt").exists() == (steps >= 8)
    resumed = trained(config, arrays, facts, checkpoints=Checkpoints(tmp_path))
    assert same(whole, resumed)
    assert resumed.progress.sittings == (2 if steps >= 8 else 1)


def test_a_resume_repeats_the_kernels_that_the_checkpoint_states(arrays: Arrays, facts: Facts, tmp_path: Path) -> None:
    config, asked = recipe(facts, **{"train.precision": "bf16"}), iter(range(1000))
    rounded, native = Execution(threads=1, kernels="rounded"), Execution(threads=1)
    whole = fit(config, 0, arrays, facts, device=CPU, execution=rounded)
    with pytest.raises(Interrupted):
        options = {"checkpoints": Checkpoints(tmp_path), "should_stop": lambda: next(asked) >= 10}
        fit(config, 0, arrays, facts, device=CPU, execution=rounded, **options)
    resumed = fit(config, 0, arrays, facts, device=CPU, execution=native, checkpoints=Checkpoints(tmp_path))
    assert resumed.execution == rounded and same(whole, resumed)


def test_the_gates_of_a_trained_network_are_looked_at_without_moving_anything(arrays: Arrays, facts: Facts) -> None:
    outcome = trained(recipe(facts), arrays, facts)
    assert outcome.gates is not None
    assert [(g.path, g.channels) for g in outcome.gates] == [("stages.stage1.unit1.standard", 8), ("stages.stage2.unit1.standard", 16)]
    assert all(0 <= g.dead <= g.channels and 0 < g.mean < 1 for g in outcome.gates)
    assert trained(recipe(facts, **{"net.block": None}), arrays, facts).gates == ()


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_used(arrays: Arrays, facts: Facts, tmp_path: Path) -> None:
    config, said, asked = recipe(facts), [], iter(range(1000))
    with pytest.raises(Interrupted):
        trained(config, arrays, facts, checkpoints=Checkpoints(tmp_path), should_stop=lambda: next(asked) >= 20)
    content = (tmp_path / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(content[: len(content) // 2])
    resumed = trained(config, arrays, facts, checkpoints=Checkpoints(tmp_path, said.append))
    assert same(trained(config, arrays, facts), resumed)
    assert "damaged" in said[0] and (tmp_path / "checkpoint.damaged").exists()


@pytest.mark.parametrize(("stream", "moves"), [("init", True), ("order", True), ("augment", True), ("noise", False), ("split", False)])
def test_each_stream_moves_what_it_is_for(arrays: Arrays, facts: Facts, stream: str, moves: bool) -> None:
    """Without a hold-out the split draws nothing, and this network has no noise."""
    streams = {"split": 0, "init": 0, "order": 0, "augment": 0, "noise": 0}
    config = recipe(facts, **{"train.epochs": 1})
    assert same(trained(config, arrays, facts, seed=0), trained(config, arrays, facts, seed=streams | {stream: 1})) is not moves


def test_a_loss_that_is_not_finite_is_a_diverged_outcome(arrays: Arrays, facts: Facts) -> None:
    outcome = trained(recipe(facts, **{"train.lr": 1e18}), arrays, facts)
    assert outcome.status == "diverged" and outcome.evaluation is None and outcome.gates is None
    assert all(np.isfinite([record.loss for record in outcome.progress.history]))


def test_a_hold_out_is_balanced_and_the_test_set_is_then_not_read(arrays: Arrays, facts: Facts) -> None:
    kept, held = split(arrays.train_labels, 40, 0)
    assert np.bincount(arrays.train_labels[held]).tolist() == [10] * 4 and len(kept) == 216 and not set(kept) & set(held)
    assert not np.array_equal(held, split(arrays.train_labels, 40, 1)[1])
    poisoned = Arrays(arrays.train_images, arrays.train_labels, np.zeros_like(arrays.test_images), np.zeros_like(arrays.test_labels))
    config = recipe(facts, **{"data.holdout": 40})
    one, other = trained(config, arrays, facts), trained(config, poisoned, facts)
    assert same(one, other) and one.evaluation is not None and len(one.evaluation.labels) == 40


def test_a_batch_is_what_cropping_and_flipping_the_images_gives(arrays: Arrays, facts: Facts) -> None:
    """The gather against a plain loop over the same draws."""
    batches = Batches(arrays, recipe(facts), 0, CPU)
    images, rows, columns = next(iter(batches.draws(0)))
    x, y = batches.fetch(images, rows, columns)
    assert x.shape == (32, 3, 8, 8) and x.is_contiguous(memory_format=torch.channels_last)
    for place in range(32):
        source = np.pad(arrays.train_images[images[place]], ((PADDING, PADDING), (PADDING, PADDING), (0, 0)))
        expected = (source[rows[place].numpy()][:, columns[place].numpy()] - np.array(batches.mean)) / np.array(batches.std)
        assert np.allclose(x[place].permute(1, 2, 0).numpy(), expected, atol=1e-4)
        assert y[place] == arrays.train_labels[images[place]]
    shifts = (columns.float().diff(dim=1) == -1).all(1)
    assert 0 < shifts.sum() < 32, "some images are mirrored and some are not"


def test_the_last_partial_batch_is_dropped_and_every_image_comes_once(arrays: Arrays, facts: Facts) -> None:
    batches = Batches(arrays, recipe(facts, **{"train.batch": 48}), 0, CPU)
    drawn = torch.cat([draw[0] for draw in batches.draws(0)])
    assert batches.steps == 5 and len(drawn) == 240 == len(set(drawn.tolist()))
    assert not torch.equal(drawn, torch.cat([draw[0] for draw in batches.draws(1)]))


def test_what_happens_to_an_image_does_not_depend_on_the_order(arrays: Arrays, facts: Facts) -> None:
    """Two order streams, one augment stream: every image keeps its rows and columns, in another batch."""
    streams = {"split": 0, "init": 0, "order": 0, "augment": 0, "noise": 0}

    def happened(seed: Any) -> dict[int, tuple[Any, Any]]:
        draws = list(Batches(arrays, recipe(facts), seed, CPU).draws(0))
        return {int(i): (r.tolist(), c.tolist()) for images, rows, columns in draws for i, r, c in zip(images, rows, columns, strict=True)}

    one, other = happened(streams), happened(streams | {"order": 1})
    assert list(one) != list(other) and one == other
    assert one != happened(streams | {"augment": 1})


def test_cutout_blanks_at_most_a_quarter_and_crops_reach_no_farther_than_the_padding() -> None:
    drawn = sample(("crop", "flip", "cutout"), 200, 16, np.random.default_rng(7))
    assert drawn.rows.min() == -PADDING and drawn.rows.max() == 15 + PADDING and drawn.keep is not None
    holes = (~drawn.keep).sum((1, 2))
    assert holes.max() == 64 and holes.min() >= 16


def test_a_smaller_shift_moves_images_less_far() -> None:
    drawn = sample(("crop", "flip"), 200, 16, np.random.default_rng(7), 2)
    assert drawn.rows.min() == -2 and drawn.rows.max() == 15 + 2 and drawn.columns.min() == -2


def test_an_augmentation_of_ones_own_leaves_the_shift_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Registry("augmentation")
    own.add("same")(lambda sampling, rng: Sampling(sampling.rows, sampling.columns, sampling.keep))
    own.add("crop")(AUGMENTATIONS["crop"].value)
    monkeypatch.setattr(augment, "AUGMENTATIONS", own)
    assert sample(("same", "crop"), 200, 16, np.random.default_rng(7), 1).rows.min() == -1


def test_a_shift_reaches_the_batches(arrays: Arrays, facts: Facts) -> None:
    def moved(**changes: Any) -> int:
        draws = list(Batches(arrays, recipe(facts, **changes), 0, CPU).draws(0))
        return max(int(rows.max()) for _, rows, _ in draws) - (facts.size - 1) - PADDING

    assert moved() == 4 and moved(**{"data.shift": 1}) == 1


def test_augmentations_golden_draws() -> None:
    """Pins version 1 of each: if a number moves, raise the augmentation's version."""
    found = {}
    for name in AUGMENTATIONS.names():
        result = AUGMENTATIONS[name].value(Sampling.identity(64, 8), np.random.Generator(np.random.Philox(key=5)))
        weights = np.arange(64)[:, None]
        kept = 0 if result.keep is None else int((result.keep * weights[:, :, None]).sum())
        found[name] = (int((result.rows * weights).sum()), int((result.columns * weights * np.arange(8)).sum()), kept)
    assert found == GOLDEN_DRAWS


GOLDEN_DRAWS = {"crop": (44576, 249760, 0), "cutout": (56448, 282240, 106257), "flip": (56448, 192276, 0)}


def test_one_cycle_climbs_to_the_rate_and_falls_to_zero() -> None:
    rates = [learning_rate(Train(epochs=10, lr=0.4, warmup=0.2), step, 10) for step in range(100)]
    assert max(rates) == pytest.approx(0.4, rel=0.03) and rates.index(max(rates)) in (19, 20)
    assert rates[0] == pytest.approx(0.01) and rates[-1] == pytest.approx(0.4 * 0.5 / 80)


def test_multi_step_drops_at_its_milestones_after_a_warm_up() -> None:
    train = Train(epochs=8, lr=0.1, schedule="multi_step", milestones=(0.5, 0.75), gamma=0.1, warmup_epochs=1)
    by_epoch = [learning_rate(train, epoch * 5, 5) for epoch in range(8)]
    assert by_epoch == pytest.approx([0.01, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_weight_decay_reaches_weights_by_their_module_and_never_normalisation(facts: Facts) -> None:
    network = build(recipe(facts), facts, 0)
    names = {id(p): name for name, p in network.named_parameters()}
    decayed, free = ([names[id(p)] for p in group["params"]] for group in parameter_groups(network, Train()))  # type: ignore[attr-defined]
    assert len(decayed) + len(free) == len(names)
    assert "stages.stage1.unit1.standard.down.weight" in decayed and "classifier.weight" in decayed
    assert all(name.endswith("bias") or "0.1.weight" in name or ".1.weight" in name for name in free)
    assert len(parameter_groups(network, Train(decay="all"))) == 1


def test_a_step_is_plain_nesterov_sgd(arrays: Arrays, facts: Facts) -> None:
    """One step against the update written out (Sutskever et al. 2013, as PyTorch states it)."""
    config = recipe(facts, **{"net.block": None, "train.momentum": 0.9})
    network = build(config, facts, 0)
    batches = Batches(arrays, config, 0, CPU)
    draw = next(iter(batches.draws(0)))
    x, y = batches.fetch(*draw)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    gradients = torch.autograd.grad(nn.functional.cross_entropy(network(x), y), list(network.parameters()))
    Step(network, batches, config.train, CPU)(draw, 0.1)
    for (name, after), gradient in zip(network.named_parameters(), gradients, strict=True):
        decayed = gradient + (5e-4 * before[name] if after.dim() > 1 else 0)
        expected = before[name] - 0.1 * (decayed + 0.9 * decayed)
        assert torch.allclose(after, expected, atol=1e-6), name


def test_devices_and_prices(facts: Facts) -> None:
    assert pick_device("cpu") == CPU and choose(1) == Execution(threads=1, kernels=choose_kernels(), fused=True)
    for wrong in ("gpu", "cpu:1", "cuda:x"):
        with pytest.raises(InputError, match="--device cannot be"):
            pick_device(wrong)
    with pytest.raises(InputError, match="CUDA devices"):
        pick_device("cuda:99")
    longer = seconds_per_trial(recipe(facts, **{"train.epochs": 300}), facts, CPU, Execution(threads=1))
    assert longer > 20 * seconds_per_trial(recipe(facts, **{"train.epochs": 3}), facts, CPU, Execution(threads=1)) > 0
