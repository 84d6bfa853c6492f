"""Owns the long seeded runs of the configuration cycle; `python -m tests.soak --help`."""
