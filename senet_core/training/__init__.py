"""Training of one trial: batches, schedule, loop, evaluation, checkpoints."""
