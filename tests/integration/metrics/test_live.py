"""The stream of events, as a coordinator's tool follows it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from shared.ids import uuid7
from tests.builders import Pair, record
from tests.integration.metrics.published import PARTITIONS, client
from tests.support.records import Record
from tests.support.system import System

pytestmark = pytest.mark.engines


@asynccontextmanager
async def following(asking: httpx.AsyncClient, since: str | None = None) -> AsyncIterator[Any]:
    """A function that waits for the next event, as `(id, event, data)`."""
    headers = {} if since is None else {"Last-Event-ID": since}
    async with asking.stream("GET", "/v1/live", headers=headers, timeout=30) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()

        async def next_event() -> tuple[str, str, dict[str, Any]]:
            fields: dict[str, str] = {}
            async with asyncio.timeout(10):
                async for line in lines:
                    if not line and "data" in fields:
                        return fields["id"], fields["event"], json.loads(fields["data"])
                    name, _, value = line.partition(": ")
                    if name:
                        fields[name] = value
            raise AssertionError("the stream ended")

        yield next_event


async def say(metrics: System, pair: Pair, *ids: str) -> None:
    """Publish a GoalSet for each id of an event."""
    made = []
    for id_ in ids:
        found = record(pair.goal_set(), id=id_)
        made.append(
            Record(
                metrics.topic_prefix + "onbelay.goals.v1",
                int(id_[-1], 16) % PARTITIONS,
                0,
                found.key,
                found.value,
                dict(found.headers),
            )
        )
    await metrics.publish(made)


class TestLive:
    async def test_an_event_comes_as_a_cloudevent_once(self, metrics: System, org: str) -> None:
        pair = Pair(org)
        async with following(client(metrics, org)) as next_event:
            first, second = uuid7(), uuid7()
            await say(metrics, pair, first, first)
            await say(metrics, pair, second)
            id_, name, event = await next_event()
            assert (id_, name) == (first, "GoalSet")
            assert event["id"] == first
            assert event["type"] == "onbelay.GoalSet.v1"
            assert event["specversion"] == "1.0"
            assert event["orgid"] == org
            assert event["data"]["mentorship_id"] == pair.mentorship_id
            assert (await next_event())[0] == second

    async def test_another_organization_is_not_overheard(self, metrics: System, org: str) -> None:
        async with following(client(metrics, org)) as next_event:
            own = uuid7()
            await say(metrics, Pair(f"{org}-other"), uuid7())
            await say(metrics, Pair(org), own)
            assert (await next_event())[0] == own

    async def test_who_comes_back_misses_nothing(self, metrics: System, org: str) -> None:
        ids = [uuid7() for _ in range(4)]
        await say(metrics, Pair(org), *ids)
        async with following(client(metrics, org), since=ids[0]) as next_event:
            seen: set[str] = set()
            while not set(ids[1:]) <= seen:
                seen.add((await next_event())[0])

    async def test_it_needs_the_scope_of_a_coordinator(self, metrics: System, org: str) -> None:
        assert (await client(metrics, org, "onbelay:metrics").get("/v1/live")).status_code == 403
        assert (await metrics.anonymous("metrics").get("/v1/live")).status_code == 401
