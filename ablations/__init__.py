"""Floor 2: which questions are asked and what came back. Suites, trials, store, execution, statistics, tracking; no torch at import."""
