"""The bound of a request's time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def within(seconds: float | None) -> AsyncIterator[None]:
    """Cancel the body after `seconds`; None: never.

    Raises:
        TimeoutError: it was cancelled, whatever it raised of that: a driver that is cancelled while it waits for
            a lock, in Python 3.11 and 3.12, ends with a RuntimeError instead.
    """
    async with asyncio.timeout(seconds) as limit:
        try:
            yield
        except Exception as error:
            if limit.expired():
                raise TimeoutError from error
            raise
