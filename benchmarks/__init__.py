"""What was measured, and how to measure it again: ratios within one run, arms in turn, because machines are shared and noisy."""
