"""Floor 2: MLflow as a mirror of the store, its page, and what can be read back from it."""
