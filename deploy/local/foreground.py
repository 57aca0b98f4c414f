"""Runs a stack for as long as something is to be done with it, or until a signal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from deploy.local.folder import Folder
from deploy.local.stack import Options, Stack, say

STOPPED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

T = TypeVar("T")


async def in_foreground(
    where: Folder,
    options: Options,
    work: Callable[[Stack], Coroutine[Any, Any, T]],
    tell: Callable[[str], None] = say,
) -> T | None:
    """Start a stack, do `work` with it, and stop it: what the work came to, or None when a signal ended it.

    SIGINT, SIGTERM and SIGHUP end it in order; a second one of them without waiting. The caller holds the folder
    locked, and calls this in the main thread.

    Raises:
        PortTaken, StartFailed: it did not come up.
        Exception: whatever the work raised. In any case all is stopped again.
    """
    stack = Stack(where, options, tell)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop() -> None:
        if stopped.is_set():
            stack.kill()
        stopped.set()

    async def start_and_work() -> T:
        await stack.start()
        return await work(stack)

    for number in STOPPED_BY:
        loop.add_signal_handler(number, stop)
    working = asyncio.create_task(start_and_work())
    stopping = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
        tell("stopping")
        await stack.stop()
