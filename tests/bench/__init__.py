"""Benchmarks: the product as it is shipped beside what one would write otherwise, on the same engines."""
