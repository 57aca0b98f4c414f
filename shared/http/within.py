"""The bound of a request's time."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Within:
    """See `within`. A class, since every request enters one, and a generator would cost more than the timer."""

    __slots__ = ("_limit",)

    def __init__(self, seconds: float | None) -> None:
        self._limit = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._limit.__aexit__(kind, error, trace)
        if isinstance(error, Exception) and self._limit.expired():
            raise TimeoutError from error


def within(seconds: float | None) -> Within:
    """Cancel the body of an `async with` after `seconds`; None: never.

    Raises:
        TimeoutError: it was cancelled, whatever it raised of that: a driver that is cancelled while it waits for
            a lock, in Python 3.11 and 3.12, ends with a RuntimeError instead.
    """
    return Within(seconds)
