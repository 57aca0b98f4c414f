"""Group commit: many inserts in one command, and yet each has its own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from pymongo import IndexModel
from pymongo.errors import BulkWriteError

from shared.group_commit import IN_FLIGHT, GroupCommit
from shared.mongo import Collection, Mongo
from tests.support.engines import Engines

pytestmark = pytest.mark.engines


@pytest.fixture(params=["pymongo", "motor"])
async def collection(request: pytest.FixtureRequest, engines: Engines) -> AsyncIterator[Collection]:
    mongo = Mongo.connect(engines.mongo, request.param)
    name = f"group_{uuid4().hex[:12]}"
    made = mongo.database(name)["things"]
    await made.create_indexes([IndexModel([("name", 1)], unique=True)])
    yield made
    await mongo.drop_database(name)
    await mongo.close()


class TestGroupCommit:
    async def test_each_is_answered_by_its_own_result(self, collection: Collection) -> None:
        group = GroupCommit(collection)
        names = ["a", "b", "a", "c", "b", "d"]
        answers = await asyncio.gather(
            *(group.insert({"_id": number, "name": name}) for number, name in enumerate(names)),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [
            type(None), type(None), BulkWriteError, type(None), BulkWriteError, type(None),
        ]  # fmt: skip
        assert isinstance(answers[2], BulkWriteError)
        (wrong,) = answers[2].details["writeErrors"]
        assert wrong["keyPattern"] == {"name": 1}
        assert {each["name"] async for each in collection.find()} == {"a", "b", "c", "d"}

    async def test_what_comes_while_commands_are_in_flight_goes_together(
        self, collection: Collection
    ) -> None:
        group = GroupCommit(collection)
        await asyncio.gather(*(group.insert({"name": str(number)}) for number in range(2_000)))
        assert await collection.count_documents({}) == 2_000

    async def test_who_gives_up_while_waiting_has_stored_nothing(self, collection: Collection) -> None:
        group = GroupCommit(collection)
        done = asyncio.Event()
        busy = [asyncio.create_task(done.wait()) for _ in range(IN_FLIGHT)]
        for task in busy:
            group._flights.add(task)  # type: ignore[arg-type]
            task.add_done_callback(group._landed)  # type: ignore[arg-type]
        given_up = asyncio.create_task(group.insert({"name": "given up"}))
        patient = asyncio.create_task(group.insert({"name": "patient"}))
        await asyncio.sleep(0)
        given_up.cancel()
        done.set()
        await patient
        assert [each["name"] async for each in collection.find()] == ["patient"]
