"""The end of tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 0.3


async def end(tasks: Iterable[asyncio.Task[Any] | asyncio.Future[Any]]) -> list[Any]:
    """Cancel tasks, and again until all have ended; what each answered or raised, in their order.

    Once is not enough: a driver that is cancelled while it works may end with an error of its own, which who carries
    on after errors takes for an outage.
    """
    ending = list(tasks)
    waiting: set[asyncio.Future[Any]] = {task for task in ending if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=AGAIN_S)
    return [_outcome(task) for task in ending]


def _outcome(task: asyncio.Future[Any]) -> Any:
    if task.cancelled():
        return asyncio.CancelledError()
    return task.exception() or task.result()
