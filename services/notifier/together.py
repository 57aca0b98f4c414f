"""What several ask at the same moment, answered in one go.

A command to the store costs more than what is in it. Questions that come while others are on their way collect, and
go together when there is room; who asks alone is answered at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")

IN_FLIGHT = 2
MOST = 64


class Together(Generic[Q, A]):
    """Asks in groups. Belongs to the event loop in which it is used.

    Args:
        answer: answers a group, one answer a question and in their order; an exception among them is raised to
            who asked, one that it raises itself to all.
    """

    def __init__(self, answer: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]]) -> None:
        self._answer = answer
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._flights: set[asyncio.Task[None]] = set()
        self._scheduled = False

    async def ask(self, question: Q) -> A:
        """The answer to a question.

        Raises:
            Whatever the answer is, if it is an exception.
        """
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[A] = loop.create_future()
        self._waiting.append((question, answered))
        if not self._scheduled and len(self._flights) < IN_FLIGHT:
            # Soon, not now: what else this turn of the loop brings goes along.
            self._scheduled = True
            loop.call_soon(self._depart)
        return await answered

    def _depart(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._flights) < IN_FLIGHT:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
            # Who was cancelled while waiting wants nothing any more.
            group = [waiting for waiting in group if not waiting[1].done()]
            if group:
                flight = asyncio.create_task(self._fly(group))
                self._flights.add(flight)
                flight.add_done_callback(self._landed)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        self._depart()

    async def _fly(self, group: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        answers: Sequence[A | Exception]
        try:
            answers = await self._answer([question for question, _ in group])
        except asyncio.CancelledError:
            for _, answered in group:
                answered.cancel()
            raise
        except Exception as error:  # whatever it is: theirs who asked
            answers = [error] * len(group)
        for (_, answered), answer in zip(group, answers, strict=True):
            if answered.done():
                continue
            if isinstance(answer, Exception):
                answered.set_exception(answer)
            else:
                answered.set_result(answer)
