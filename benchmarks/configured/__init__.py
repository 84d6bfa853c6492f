"""Parts of benchmarks/config.py: a gateway with a store, and what is measured of it."""
