"""Tasks beside each other, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
AGAIN_S = 0.3


async def end(tasks: Iterable[asyncio.Task[Any] | asyncio.Future[Any]]) -> list[Any]:
    """Cancel tasks, and again until all have ended; what each answered or raised, in their order.

    Once is not enough: a driver that is cancelled while it works may end with an error of its own, which who carries
    on after errors takes for an outage. Who is cancelled while it waits here learns of it when all have ended.
    """
    ending = list(tasks)
    waiting: set[asyncio.Future[Any]] = {task for task in ending if not task.done()}
    interrupted = False
    while waiting:
        for task in waiting:
            task.cancel()
        try:
            _, waiting = await asyncio.wait(waiting, timeout=AGAIN_S)
        except asyncio.CancelledError:
            interrupted = True
            waiting = {task for task in waiting if not task.done()}
    if interrupted:
        raise asyncio.CancelledError
    return [_outcome(task) for task in ending]


async def together(*works: Coroutine[Any, Any, None]) -> None:
    """Run works beside each other until all are done, or one fails, or this is cancelled: then the others are ended.

    A `TaskGroup` cancels its tasks once, and waits for one that took that for an outage as long as it runs.

    Raises:
        Whatever one of them raised.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        outcomes = await end(tasks)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, all of it: who is cancelled meanwhile, however often, learns of it afterwards."""
    task = asyncio.create_task(work)
    interrupted = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            interrupted = True
    if interrupted:
        raise asyncio.CancelledError from (None if task.cancelled() else task.exception())
    return task.result()


def _outcome(task: asyncio.Future[Any]) -> Any:
    if task.cancelled():
        return asyncio.CancelledError()
    return task.exception() or task.result()
