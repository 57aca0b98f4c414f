"""Group commit: the inserts of the same moment in one command, each answered by its own result.

MongoDB spends more on a command, and on the journal's flush that a majority write waits for, than on a document.
So inserts that come while a command is in flight collect, and go together when there is room: nobody waits for
others unless the store is busy anyway.
"""

from __future__ import annotations

import asyncio
from collections import deque

from pymongo.errors import BulkWriteError, PyMongoError

from shared.mongo import Collection, Doc

IN_FLIGHT = 2
"""Commands at once: one is being written while the next one's documents arrive."""
MOST = 500


class GroupCommit:
    """Inserts into one collection. Belongs to the event loop in which it is used."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self._waiting: deque[tuple[Doc, asyncio.Future[None]]] = deque()
        self._flights: set[asyncio.Task[None]] = set()
        self._scheduled = False

    async def insert(self, document: Doc) -> None:
        """Insert a document; returns once a majority has it.

        A caller that is cancelled meanwhile takes nothing back, as with any write in flight.

        Raises:
            BulkWriteError: a unique index refuses this document; its details tell of this one alone.
            PyMongoError: the command failed, for all that went in it.
        """
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[None] = loop.create_future()
        self._waiting.append((document, stored))
        if not self._scheduled and len(self._flights) < IN_FLIGHT:
            # Soon, not now: what else this turn of the loop brings goes along.
            self._scheduled = True
            loop.call_soon(self._depart)
        await stored

    def _depart(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._flights) < IN_FLIGHT:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
            # Who gave up while waiting was told that nothing was stored, and so it stays.
            group = [waiting for waiting in group if not waiting[1].done()]
            if not group:
                continue
            flight = asyncio.create_task(self._fly(group))
            self._flights.add(flight)
            flight.add_done_callback(self._landed)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        self._depart()

    async def _fly(self, group: list[tuple[Doc, asyncio.Future[None]]]) -> None:
        failed: dict[int, PyMongoError] = {}
        of_all: BaseException | None = None
        try:
            await self.collection.insert_many([document for document, _ in group], ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            if details.get("writeConcernErrors"):
                of_all = error
            for wrong in details.get("writeErrors", ()):
                failed[wrong["index"]] = BulkWriteError({**details, "writeErrors": [wrong]})
        except (PyMongoError, asyncio.CancelledError) as error:
            of_all = error
        for index, (_, stored) in enumerate(group):
            if stored.done():
                continue
            error_of_one = failed.get(index) or of_all
            if error_of_one is None:
                stored.set_result(None)
            elif isinstance(error_of_one, asyncio.CancelledError):
                stored.cancel()
            else:
                stored.set_exception(error_of_one)
        if isinstance(of_all, asyncio.CancelledError):
            raise of_all
