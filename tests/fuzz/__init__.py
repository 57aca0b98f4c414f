"""Random histories for long: `python -m tests.fuzz`."""
