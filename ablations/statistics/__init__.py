"""Floor 2: what the numbers of two arms can say. Differences, power, comparisons decided together, claims and verdicts."""
