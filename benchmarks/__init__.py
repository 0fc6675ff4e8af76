"""Ours against the libraries that people use today; see README.md."""
