"""Ports of 127.0.0.1: whether one is free, and free ones to pick."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"
PICKED_FROM = range(20_000, 32_768)
"""Below what Linux gives to outgoing connections by default: a port from there could be taken by one while the
child that listened on it is being restarted."""


def is_free(port: int) -> bool:
    """Whether one could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: without it, a port just left counts as taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def pick(count: int) -> list[int]:
    """That many different free ports.

    Raises:
        RuntimeError: hardly any is free.
    """
    found: set[int] = set()
    for port in random.sample(PICKED_FROM, k=len(PICKED_FROM)):
        if len(found) == count:
            return list(found)
        if is_free(port):
            found.add(port)
    raise RuntimeError("there are hardly any free ports")
