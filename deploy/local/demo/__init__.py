"""The demo: plays `examples/program.yaml` through the public APIs of a stack on this machine, by the sandbox clock.

It tells what happens as the events come from Kafka, and in the end holds Onbelay's numbers against those that follow
from the file by simple rules of its own.
"""
