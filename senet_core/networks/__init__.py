"""The network families, one file each; each file registers itself under its own name."""
