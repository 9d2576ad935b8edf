"""The residual families' training step with fewer passes over memory: what lies between two convolutions, in one pass each way."""
