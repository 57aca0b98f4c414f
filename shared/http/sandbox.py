"""`/v1/sandbox/clock`: reads the sandbox clock and moves it; not there without a sandbox."""

from __future__ import annotations

from shared.clock import Clock
from shared.http.routing import Router


def clock_routes(clock: Clock) -> list[Router]:
    """The routes of a sandbox clock; none for another."""
    return []
