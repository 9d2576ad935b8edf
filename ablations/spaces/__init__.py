"""The spaces that a search can go through, one in each file."""
