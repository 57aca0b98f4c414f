"""Leases in MongoDB: one worker of a name at a time, by the server's clock.

Each term of a lease has a fencing token, greater than every earlier one's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, PyMongoError

from shared.mongo import Collection
from shared.tasks import end, to_the_end

log = structlog.get_logger(__name__)

TTL_S = 6.0
RELEASE_S = 2.0
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Leases:
    """The leases kept in one collection, as seen by `holder` (unique among running processes)."""

    def __init__(self, collection: Collection, holder: str) -> None:
        self._collection = collection
        self._holder = holder

    async def acquire(self, name: str, ttl_s: float = TTL_S) -> int | None:
        """Take or renew the lease; its fencing token, or None while somebody else holds it.

        Raises:
            PyMongoError: MongoDB did not answer; the lease is as good as lost.
        """
        mine: dict[str, Any] = {"$eq": ["$holder", self._holder]}
        free: dict[str, Any] = {"$lt": ["$until", "$$NOW"]}
        update = [
            {
                "$set": {
                    "token": {
                        "$cond": [{"$and": [mine, {"$not": [free]}]}, "$token", {"$add": ["$token", 1]}]
                    },
                    "holder": self._holder,
                    "until": {"$add": ["$$NOW", int(ttl_s * 1000)]},
                }
            }
        ]
        for _ in range(2):
            lease = await self._collection.find_one_and_update(
                {"_id": name, "$expr": {"$or": [mine, free]}},
                update,
                return_document=ReturnDocument.AFTER,
            )
            if lease is not None:
                return int(lease["token"])
            try:
                await self._collection.insert_one({"_id": name, "holder": "", "token": 0, "until": _LONG_AGO})
            except DuplicateKeyError:
                return None
        return None

    async def release(self, name: str) -> None:
        """Give the lease back, so that another may take it at once."""
        await self._collection.update_one(
            {"_id": name, "holder": self._holder}, [{"$set": {"until": {"$subtract": ["$$NOW", 1]}}}]
        )

    async def run(self, name: str, work: Callable[[int], Awaitable[None]], *, ttl_s: float = TTL_S) -> None:
        """Run `work(token)` for as long as this process holds the lease; wait for it otherwise. Never returns.

        Delivery: at most one holder by the server's clock; `work` is cancelled when a renewal fails, and what it
        writes must still be guarded (by version or token), since a paused process may wake up late.
        On failure: an exception of `work` is logged, and it starts again after a renewal period.
        """
        while True:
            token = await self._try(name, ttl_s)
            if token is None:
                await asyncio.sleep(ttl_s / 6)
                continue
            task = asyncio.ensure_future(work(token))
            try:
                while not task.done():
                    await asyncio.wait([task], timeout=ttl_s / 3)
                    if not task.done() and await self._try(name, ttl_s) != token:
                        log.warning("lease lost", lease=name)
                        break
            finally:
                # All of it, else a process that is told to stop keeps the lease from others until it runs out.
                await to_the_end(self._let_go(name, task))
            await asyncio.sleep(ttl_s / 6)

    async def _let_go(self, name: str, task: asyncio.Future[None]) -> None:
        (outcome,) = await end([task])
        if isinstance(outcome, Exception):
            log.error("leased work failed", lease=name, error=repr(outcome), exc_info=outcome)
        with contextlib.suppress(PyMongoError, TimeoutError):
            async with asyncio.timeout(RELEASE_S):
                await self.release(name)

    async def _try(self, name: str, ttl_s: float) -> int | None:
        try:
            async with asyncio.timeout(ttl_s / 2):
                return await self.acquire(name, ttl_s)
        except (PyMongoError, TimeoutError) as error:
            log.warning("lease not renewed", lease=name, error=repr(error))
            return None
