from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Protocol
from uuid import uuid4

import pytest

from shared import tasks
from shared.leases import Leases
from shared.mongo import Database, Mongo
from tests.support.polling import eventually

pytestmark = pytest.mark.engines


class Engines(Protocol):
    """What this needs of the `engines` fixture."""

    mongo: str


@pytest.fixture(params=["pymongo", "motor"])
async def database(engines: Engines, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    mongo = Mongo.connect(engines.mongo, request.param)
    name = f"leases_{uuid4().hex}"
    yield mongo.database(name)
    await mongo.drop_database(name)
    await mongo.close()


async def expired(database: Database) -> None:
    """As if its term had passed by the server's clock."""
    await database["leases"].update_many({}, [{"$set": {"until": {"$subtract": ["$$NOW", 1]}}}])


class TestALease:
    async def test_one_holder_at_a_time(self, database: Database) -> None:
        first, second = Leases(database["leases"], "first"), Leases(database["leases"], "second")
        assert await first.acquire("miss") == 1
        assert await second.acquire("miss") is None
        assert await second.acquire("lapse") == 1

    async def test_a_renewal_keeps_the_token_and_a_new_term_has_a_greater_one(
        self, database: Database
    ) -> None:
        first, second = Leases(database["leases"], "first"), Leases(database["leases"], "second")
        assert [await first.acquire("miss"), await first.acquire("miss")] == [1, 1]
        await expired(database)
        assert await second.acquire("miss") == 2
        assert await first.acquire("miss") is None
        await second.release("miss")
        assert await first.acquire("miss") == 3

    async def test_one_who_comes_back_after_its_term_has_a_new_token(self, database: Database) -> None:
        first = Leases(database["leases"], "first")
        assert await first.acquire("miss") == 1
        await expired(database)
        assert await first.acquire("miss") == 2

    async def test_work_moves_to_another_when_its_holder_dies_and_only_then(self, database: Database) -> None:
        running: list[str] = []
        overlapped: list[str] = []

        def work(name: str) -> asyncio.Task[None]:
            async def held(_: int) -> None:
                overlapped.extend(running)
                running.append(name)
                try:
                    await asyncio.Event().wait()
                finally:
                    running.remove(name)

            return asyncio.create_task(Leases(database["leases"], name).run("miss", held, ttl_s=1.2))

        tasks = {name: work(name) for name in ("a", "b", "c")}
        try:
            for remaining in (3, 2, 1):
                assert len(tasks) == remaining
                await eventually(lambda: running)
                (holder,) = running
                task = tasks.pop(holder)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        assert overlapped == []

    async def test_work_that_fails_is_begun_again(self, database: Database) -> None:
        begun: list[int] = []

        async def work(token: int) -> None:
            begun.append(token)
            raise ValueError("a bug")

        task = asyncio.create_task(Leases(database["leases"], "a").run("miss", work, ttl_s=0.6))
        await eventually(lambda: len(begun) >= 2)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def test_who_is_told_to_stop_gives_it_back_though_its_work_takes_a_while_to_end(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tasks, "AGAIN_S", 0.01)
        working, told = asyncio.Event(), 0

        async def work(_: int) -> None:
            nonlocal told
            while told < 5:
                try:
                    working.set()
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    told += 1

        running = asyncio.create_task(Leases(database["leases"], "a").run("miss", work, ttl_s=60))
        await working.wait()
        await tasks.end([running])
        assert await Leases(database["leases"], "b").acquire("miss") is not None
