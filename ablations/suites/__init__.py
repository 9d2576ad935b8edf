"""The suites, one question a file; each file registers itself under its own name."""
