"""Domain time: what users see. Leases, timeouts, tokens and retries keep the real clock instead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta


def to_ms(instant: datetime) -> datetime:
    """The instant truncated to milliseconds, MongoDB's precision."""
    return instant - timedelta(microseconds=instant.microsecond % 1000)


class Clock:
    """Domain time, and the gate around decisions made by it.

    This one is the system's: `deciding` lets everything through. The sandbox's can be moved.
    """

    def __init__(self) -> None:
        self._latest = datetime.min.replace(tzinfo=UTC)

    @property
    def floor(self) -> datetime | None:
        """The instant that the sandbox clock was last moved to; None where it never was.

        Everything decided before it is stored, and published unless Kafka was away.
        """
        return None

    def now(self) -> datetime:
        """Domain time: aware, UTC, whole milliseconds, never going back within a process."""
        self._latest = max(self._latest, to_ms(datetime.now(UTC)))
        return self._latest

    @asynccontextmanager
    async def deciding(self) -> AsyncIterator[None]:
        """Hold the clock for a decision: around anything that reads `now` and stores what follows from it.

        While the sandbox clock is being moved it waits to enter; may be nested.
        """
        yield

    async def pause(self, seconds: float) -> None:
        """Wait for real seconds, or until the clock is moved, whichever comes first."""
        await asyncio.sleep(seconds)


class SystemClock(Clock):
    """The clock of production."""
