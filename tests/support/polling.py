"""What is eventual is asserted by polling with a deadline, never by sleeping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, overload

T = TypeVar("T")

EVERY_S = 0.05


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], seconds: float = 10, *, every: float = EVERY_S
) -> T: ...
@overload
async def eventually(condition: Callable[[], T], seconds: float = 10, *, every: float = EVERY_S) -> T: ...
async def eventually(
    condition: Callable[[], T | Awaitable[T | None] | None], seconds: float = 10, *, every: float = EVERY_S
) -> T:
    """The first true value of `condition`, asked again and again for at most `seconds`.

    `condition` is a function, or one that returns an awaitable. It may assert: a failed assertion counts as not
    yet, and is what is raised in the end.

    Raises:
        AssertionError: it did not come to pass in time; tells the last value or assertion.
    """
    deadline = time.monotonic() + seconds
    while True:
        failed: AssertionError | None = None
        value: T | None = None
        try:
            answer = condition()
            value = await answer if inspect.isawaitable(answer) else answer
        except AssertionError as error:
            failed = error
        if value:
            return value
        if time.monotonic() > deadline:
            if failed is not None:
                raise failed
            raise AssertionError(f"it did not come to pass within {seconds:g} s; last was {value!r}")
        await asyncio.sleep(every)


def only(found: Sequence[T]) -> T:
    """The one thing that was found; asserts that it is one, which inside of `eventually` means: not yet."""
    assert len(found) == 1, f"{len(found)} instead of one"
    return found[0]
