"""The bound of a request's time."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Within:
    """See `within`. Every request enters one: a class and a timer cost half of `asyncio.timeout`."""

    __slots__ = ("_before", "_expired", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._expired = False

    async def __aenter__(self) -> None:
        if self._seconds is None:
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - narrows; a coroutine runs in one
        self._task, self._before = task, task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._expired:
            return
        by_others = self._task.uncancel() > self._before
        if isinstance(error, Exception) or (isinstance(error, asyncio.CancelledError) and not by_others):
            raise TimeoutError from error


def within(seconds: float | None) -> Within:
    """Cancel the body of an `async with` after `seconds`; None: never.

    Raises:
        TimeoutError: it was cancelled, whatever it raised of that: a driver that is cancelled while it waits for
            a lock, in Python 3.11 and 3.12, ends with a RuntimeError instead.
    """
    return Within(seconds)
