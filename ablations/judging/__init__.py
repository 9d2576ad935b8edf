"""Floor 2: verdicts for numbers that somebody already has, from a file or from MLflow."""
