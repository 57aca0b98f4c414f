"""The stream of events, as a coordinator's tool follows it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from services.metrics import live
from services.metrics.settings import MetricsSettings
from services.metrics.stream import TOPICS
from shared.ids import uuid7
from tests.builders import Pair, record
from tests.conftest import NewSystem
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


async def say_of(metrics: System, pair: Pair, told: Iterable[tuple[str, int, int]]) -> None:
    """Publish a GoalSet for each `(id, partition, milliseconds since 1970)`, in this order."""
    producer = AIOKafkaProducer(bootstrap_servers=metrics.kafka)
    await producer.start()
    try:
        sent = []
        for id_, partition, at in told:
            made = record(pair.goal_set(), id=id_)
            topic = metrics.topic_prefix + "onbelay.goals.v1"
            sent.append(
                await producer.send(
                    topic, made.value, made.key, partition, timestamp_ms=at, headers=made.headers
                )
            )
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def caught_up(
    metrics: System, org: str, since: str, wanted: set[str], at_once: int
) -> tuple[set[str], int]:
    """What a client sees that is cut after so many events, again and again; and how often it came back."""
    seen: set[str] = set()
    rounds = 0
    while not wanted <= seen:
        before, rounds = len(seen), rounds + 1
        async with following(client(metrics, org), since=since) as next_event:
            for _ in range(at_once):
                since = (await next_event())[0]
                seen.add(since)
                if wanted <= seen:
                    break
        assert len(seen) > before, f"it came back {rounds} times, and saw {len(seen)}"
    return seen, rounds


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


class TestComingBack:
    async def test_a_backlog_comes_whole_however_often_the_stream_is_cut(
        self, metrics: System, org: str
    ) -> None:
        pair, first, begun = Pair(org), uuid7(), now_ms()
        ids = [uuid7() for _ in range(1_200)]
        await say_of(metrics, pair, [(first, 0, begun)])
        await say_of(
            metrics, pair, [(id_, number % PARTITIONS, begun + number // 4) for number, id_ in enumerate(ids)]
        )
        _, rounds = await caught_up(metrics, org, first, set(ids), at_once=250)
        assert rounds <= 12

    async def test_a_quiet_partition_does_not_run_ahead_of_a_busy_one(
        self, new_system: NewSystem, org: str
    ) -> None:
        metrics = await new_system(("metrics",), partitions=PARTITIONS)
        pair, first, begun = Pair(org), uuid7(), now_ms() - 3_000
        busy = [(uuid7(), 0, begun + number * 3) for number in range(800)]
        quiet = [(uuid7(), 1, begun + number * 24) for number in range(100)]
        await say_of(metrics, pair, [(first, 2, begun - 1), *busy, *quiet])
        async with following(client(metrics, org), since=first) as next_event:
            seen = [(await next_event())[0] for _ in range(900)]
        instants = {id_: at for id_, _, at in (*busy, *quiet)}
        assert [instants[id_] for id_ in seen] == sorted(instants.values())
        await caught_up(metrics, org, first, set(instants), at_once=250)

    async def test_what_was_stored_after_its_time_is_not_passed_over(self, metrics: System, org: str) -> None:
        pair, seen, late, now = Pair(org), uuid7(), uuid7(), now_ms()
        await say_of(metrics, pair, [(seen, 0, now), (late, 1, now - 3_000)])
        await caught_up(metrics, org, seen, {late}, at_once=10)

    async def test_an_event_that_nobody_knows_is_come_back_from_by_when_it_was_made(
        self, metrics: System, org: str
    ) -> None:
        pair, unknown = Pair(org), uuid7()
        ids = [uuid7() for _ in range(4)]
        await say(metrics, pair, *ids)
        await caught_up(metrics, org, unknown, set(ids), at_once=10)

    async def test_what_came_when_a_streams_life_was_over_is_sent_to_who_comes_back(
        self, metrics: System, org: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live, "LIFE_S", 0.0)
        pair, ids = Pair(org), [uuid7() for _ in range(6)]
        settings = MetricsSettings(kafka_bootstrap=metrics.kafka, topic_prefix=metrics.topic_prefix)
        listening = await live.Live(settings, TOPICS).listen(org, None)
        try:
            await say(metrics, pair, *ids)
            frames = b"".join([frame async for frame in listening.frames()])
        finally:
            await listening.close()
        # It ended before anything could be sent, and left an id to come back with, which is no event.
        assert b"data:" not in frames
        (since,) = [line[4:].decode() for line in frames.split(b"\n") if line.startswith(b"id: ")]
        await caught_up(metrics, org, since, set(ids), at_once=20)
