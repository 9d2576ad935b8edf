"""The attention blocks, one file each; each file registers itself under its own name."""
