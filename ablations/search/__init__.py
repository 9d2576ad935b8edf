"""Search and tuning: designs and settings proposed, trained on held-out images, and confirmed; Optuna is imported here alone, and late."""
