"""Learning rate over a complete schedule, as a plain function of the step."""

from __future__ import annotations

from senet_core.config import Train


def learning_rate(train: Train, step: int, steps_per_epoch: int) -> float:
    """The rate of one step, counted from 0 over the whole training.

    "one_cycle": linearly from 0 to ``lr`` over the share ``warmup`` of all steps, then linearly to 0. "multi_step": ``lr`` times
    ``gamma`` for each milestone passed, milestones being shares of all epochs, with ``warmup_epochs`` at a tenth before.
    """
    if train.schedule == "one_cycle":
        total = train.epochs * steps_per_epoch
        top = train.warmup * total
        place = step + 0.5
        return train.lr * (place / top if place < top else (total - place) / (total - top))
    epoch = step // steps_per_epoch
    if epoch < train.warmup_epochs:
        return train.lr / 10
    return train.lr * train.gamma ** sum(epoch >= milestone * train.epochs for milestone in train.milestones)
