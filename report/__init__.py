"""Floor 3: from studies and results to pages. Rows, tables, figures, documents; no torch, no mlflow."""
