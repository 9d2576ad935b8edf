"""The data sets, one file each; each file registers itself under its own name."""
