"""`/v1/sandbox/clock`: reads the sandbox clock and moves it; not there without a sandbox."""

from __future__ import annotations

from datetime import timedelta

from shared.clock import Clock, SandboxClock
from shared.errors import Unprocessable
from shared.http.auth import SANDBOX
from shared.http.body import Body, Instant
from shared.http.routing import Reply, Router
from shared.time import format_instant

FARTHEST = timedelta(days=100 * 366)


class ClockIn(Body):
    """Where to move the sandbox clock."""

    now: Instant


def clock_routes(clock: Clock) -> list[Router]:
    """The routes of a sandbox clock; none for another."""
    if not isinstance(clock, SandboxClock):
        return []
    router = Router(tags=["sandbox"])

    @router.get("/v1/sandbox/clock", scopes=())
    async def read_clock() -> Reply:
        """Domain time."""
        return {"now": format_instant(clock.now())}

    @router.put("/v1/sandbox/clock", scopes=(SANDBOX,), gated=False, timeout_s=None, refusals=(409,))
    async def move_clock(body: ClockIn) -> Reply:
        """Move domain time forward; answers once every running service follows."""
        if body.now > clock.now() + FARTHEST:
            raise Unprocessable.field("/now", "At most 100 years ahead.")
        return {"now": format_instant(await clock.move(body.now))}

    return [router]
