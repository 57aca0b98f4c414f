"""Rebuilding beside what is live: the same numbers, broken off and gone on with, switched to, and compared."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.mongo import Mongo
from tests.integration.metrics.published import (
    END,
    PARTITIONS,
    START,
    a_big_history,
    client,
    get,
    numbers_of,
    records,
    without_withheld,
)
from tests.support.engines import Engines
from tests.support.polling import eventually
from tests.support.records import Record
from tests.support.system import System
from tests.unit.metrics.recount import recount

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
async def own(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """A metrics service whose generations are these tests' own."""
    system = System(engines, tmp_path_factory.mktemp("rebuild"), names=("metrics",), partitions=PARTITIONS)
    try:
        await system.begin()
        yield system
    finally:
        await system.end()


async def command(system: System, *arguments: str) -> Process:
    """`python -m services.metrics ...`, where the services run."""
    environment = {**os.environ, **system.environment()}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.metrics", *arguments, stdout=PIPE, stderr=STDOUT, env=environment
    )


async def told(system: System, *arguments: str) -> tuple[int | None, str]:
    """The exit status of a command, and what it said."""
    process = await command(system, *arguments)
    async with asyncio.timeout(90):
        said, _ = await process.communicate()
    return process.returncode, said.decode()


async def comes_to(system: System, org: str, expected: dict[str, Any]) -> None:
    """The organization's numbers become those of a recount."""

    async def as_expected() -> bool:
        answer = await get(client(system, org), f"/v1/metrics/orgs/{org}")
        # Before the mentorships are folded the numbers are withheld.
        return "withheld" not in answer and numbers_of(answer) == without_withheld(answer, expected)

    await eventually(as_expected, seconds=30)


async def collections(system: System) -> set[str]:
    mongo = Mongo.connect(system.mongo)
    try:
        return set(await system.database(mongo, "metrics").list_collection_names())
    finally:
        await mongo.close()


class TestRebuild:
    async def test_it_comes_to_the_same_and_goes_on_from_there(self, own: System, org: str) -> None:
        events, topics = a_big_history(org, 21)
        made = [record for topic in topics for record in records(own, topic)]
        first, rest = made[: len(made) // 2], made[len(made) // 2 :]
        # Each topic is in order; the halves are cut across both.
        await own.publish(first)
        status, said = await told(own, "rebuild")
        assert status == 0, said
        assert "100 %" in said
        assert "is live" in said
        await own.publish([*first[:40], *rest])
        await comes_to(own, org, recount(events, START, END, END))
        own.kill("metrics")
        await own.ended("metrics")
        await own.start("metrics")
        await comes_to(own, org, recount(events, START, END, END))

    async def test_one_that_is_killed_goes_on_where_it_was(self, own: System, org: str) -> None:
        events, topics = a_big_history(org, 22)
        await own.publish([record for topic in topics for record in records(own, topic)])
        await comes_to(own, org, recount(events, START, END, END))
        begun = await command(own, "rebuild", "--no-switch")
        assert begun.stdout is not None
        line = (await begun.stdout.readline()).decode()
        begun.kill()
        await begun.communicate()
        generation = line.partition(":")[0]
        await comes_to(own, org, recount(events, START, END, END))
        status, said = await told(own, "rebuild")
        assert status == 0, said
        assert f"{generation} is live" in said
        await comes_to(own, org, recount(events, START, END, END))

    async def test_a_record_that_is_wrong_is_a_dead_letter_once(self, own: System, org: str) -> None:
        _, topics = a_big_history(org, 23)
        good = records(own, topics[0][:1])[0]
        wrong = Record(good.topic, 0, 0, good.key, b"{", good.headers)
        await own.publish([wrong])

        async def refused() -> list[Record]:
            return await own.records("dead-letters")

        before = len(await eventually(refused))
        status, said = await told(own, "rebuild")
        assert status == 0, said
        assert len(await own.records("dead-letters")) == before


class TestVerify:
    async def test_two_generations_are_the_same_until_one_is_touched(self, own: System, org: str) -> None:
        events, topics = a_big_history(org, 24)
        await own.publish([record for topic in topics for record in records(own, topic)])
        await comes_to(own, org, recount(events, START, END, END))
        assert (await told(own, "rebuild", "--no-switch"))[0] == 0
        status, said = await told(own, "verify")
        assert status == 0, said
        assert "no differences" in said
        mongo = Mongo.connect(own.mongo)
        try:
            database = own.database(mongo, "metrics")
            live = (await database["meta"].find_one({"_id": "generations"})).get("live", "")
            touched = await database[f"{live}goals"].find_one_and_update(
                {"org_id": org}, {"$set": {"due_at": None, "title": "Another"}}
            )
        finally:
            await mongo.close()
        status, said = await told(own, "verify")
        assert status == 1
        assert f"goals {touched['_id']}: due_at, title" in said

    async def test_what_is_forgotten_is_gone(self, own: System) -> None:
        assert (await told(own, "rebuild"))[0] == 0
        status, said = await told(own, "forget")
        assert status == 0, said
        left = {name.split(".")[0] for name in await collections(own) if "." in name}
        assert len(left) == 1
        status, said = await told(own, "verify")
        assert status == 2
        assert "one generation only" in said
