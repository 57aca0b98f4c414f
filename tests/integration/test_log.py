"""The outbox and the intake over real engines: what is stored is published, what is published is folded once."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import uuid4

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from prometheus_client import REGISTRY
from pymongo import UpdateOne
from pymongo.errors import AutoReconnect

from shared import events as contract
from shared import outbox, tasks
from shared.aggregates import MAX_UNPUBLISHED, Aggregates, Change, Duplicate, StaleWrite
from shared.clock import SystemClock
from shared.errors import Conflict, Unavailable, Unprocessable
from shared.idempotency import Answer, Idem
from shared.ids import uuid7
from shared.intake import FOLD_TRIES, Batch, Folded, Intake
from shared.kafka import Outgoing, Producer, cluster_id
from shared.mongo import Database, Driver, Mongo, Session
from shared.outbox import Publisher
from shared.tasks import end
from tests.builders import NOW, Pair, Record, record
from tests.support.polling import eventually
from tests.support.records import read_all

pytestmark = pytest.mark.engines
PARTITIONS = 3
CONSUMER = "metrics"


class Engines(Protocol):
    """What this needs of the `engines` fixture."""

    kafka: str
    mongo: str


@dataclass
class Counts:
    """A fold that counts how often each (subject, sequence) was folded, in the transaction that it is given."""

    database: Database
    fail: Callable[[], None] = lambda: None
    rejects: frozenset[str] = frozenset()
    batches: list[int] = field(default_factory=list)
    trusted: list[int] = field(default_factory=list)

    async def fold(self, batch: Batch, session: Session) -> Folded:
        self.batches.append(len(batch.records))
        self.trusted.append(len(batch.new))
        kept = [each for each in batch.records if each.type not in self.rejects]
        if kept:
            await self.database["seen"].bulk_write(
                [
                    UpdateOne(
                        {"_id": f"{each.subject}#{each.sequence}"},
                        {"$inc": {"n": 1}, "$push": {"at": each.offset}},
                        upsert=True,
                    )
                    for each in kept
                ],
                session=session,
            )
        self.fail()
        return Folded(
            rejected=[(each, "rejected: not wanted") for each in batch.records if each.type in self.rejects]
        )

    async def seen(self) -> dict[str, int]:
        """How often each was folded."""
        return {found["_id"]: found["n"] async for found in self.database["seen"].find()}


@dataclass
class Crowded(Counts):
    """Somebody else writes what it is about in the midst of each batch of more than so many records."""

    more_than: int = 0

    async def begin(self) -> None:
        await self.database["busy"].insert_one({"_id": "it", "n": 0})

    async def fold(self, batch: Batch, session: Session) -> Folded:
        folded = await super().fold(batch, session)
        if len(batch.records) > self.more_than:
            busy = self.database["busy"]
            await busy.update_one({"_id": "it"}, {"$inc": {"n": 1}})
            await busy.update_one({"_id": "it"}, {"$inc": {"n": 1}}, session=session)
        return folded


@dataclass
class Stumbling(Counts):
    """Fails over some subjects, whatever else is in the batch."""

    over: frozenset[str] = frozenset()

    async def fold(self, batch: Batch, session: Session) -> Folded:
        folded = await super().fold(batch, session)
        if any(each.subject in self.over for each in batch.records):
            raise OverflowError("date value out of range")
        return folded


class Log:
    """Topics and databases of one test."""

    def __init__(self, engines: Engines, driver: Driver = "pymongo") -> None:
        name = uuid4().hex[:12]
        self.kafka = engines.kafka
        self.prefix = f"log-{name}."
        self.mongo = Mongo.connect(engines.mongo, driver)
        self.database = self.mongo.database(f"log_{name}")
        self.producer = Producer(engines.kafka, client_id="test")
        self.counts = Counts(self.database)
        self.cluster = ""
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        await admin.create_topics(
            [
                NewTopic(self.prefix + topic, 1 if name == "dead-letters" else PARTITIONS, 1)
                for name, topic in contract.TOPICS.items()
            ]
        )
        await admin.close()
        self.cluster = await cluster_id(self.kafka)
        await self.database.create_collection("subjects")
        await self.database.create_collection("seen")

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.producer.stop()
        await self.mongo.drop_database(self.database.name)
        await self.mongo.close()

    def begin(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.append(task)
        return task

    @staticmethod
    async def crash(task: asyncio.Task[None]) -> None:
        """End it wherever it is."""
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def publisher(self, *names: str) -> Publisher:
        return Publisher(
            self.producer,
            [self.database[name] for name in names],
            topic_prefix=self.prefix,
            cluster=self.database["meta"],
        )

    async def intake(self, *topics: str, fold: Counts | None = None, **options: Any) -> Intake:
        publisher = self.publisher()
        intake = Intake(
            consumer=CONSUMER,
            bootstrap=self.kafka,
            topics=topics or ("goals",),
            mongo=self.mongo,
            database=self.database,
            fold=fold or self.counts,
            publisher=publisher,
            clock=SystemClock(),
            topic_prefix=self.prefix,
            **options,
        )
        publisher.add(intake.dead_letters)
        await intake.make_indexes()
        self.begin(publisher.run())
        return intake

    def run(self, intake: Intake) -> asyncio.Task[None]:
        return self.begin(intake.run(self.cluster))

    async def publish(self, *records: Record) -> None:
        futures = [
            await self.producer.send(
                Outgoing(self.prefix + contract.TOPICS[each.topic], each.key, each.value, each.headers)
            )
            for each in records
        ]
        await asyncio.gather(*futures)

    async def read(self, topic: str, count: int) -> list[ConsumerRecord]:
        """The first `count` records of a topic."""
        name = self.prefix + contract.TOPICS[topic]
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka, auto_offset_reset="earliest")
        await consumer.start()
        try:
            tps = [
                TopicPartition(name, number) for number in range(1 if topic == "dead-letters" else PARTITIONS)
            ]
            consumer.assign(tps)
            found: list[ConsumerRecord] = []
            async with asyncio.timeout(15):
                while len(found) < count:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found += records
            return found
        finally:
            await consumer.stop()


@asynccontextmanager
async def opened(engines: Engines, driver: Driver = "pymongo") -> AsyncIterator[Log]:
    log = Log(engines, driver)
    await log.open()
    try:
        yield log
    finally:
        await log.close()


@pytest.fixture
async def log(engines: Engines) -> AsyncIterator[Log]:
    async with opened(engines) as made:
        yield made


@pytest.fixture(params=["pymongo", "motor"])
async def either_log(engines: Engines, request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    async with opened(engines, request.param) as made:
        yield made


def many(subjects: int, each: int, org_id: str = "org-1") -> list[Record]:
    """The records of some goals, `each` events a goal, interleaved as a partition would hold them."""
    pairs = [Pair(org_id=org_id) for _ in range(subjects)]
    goals = [(pair, uuid7()) for pair in pairs]
    return [
        record(pair.goal_set(goal_id, revision=number), sequence=number)
        for number in range(1, each + 1)
        for pair, goal_id in goals
    ]


def keys_of(records: Sequence[Record]) -> set[str]:
    found = set()
    for each in records:
        headers = dict(each.headers)
        found.add(f"{headers['ce_subject'].decode()}#{int(headers['ce_sequence'])}")
    return found


async def all_once(counts: Counts, records: Sequence[Record]) -> None:
    """Every record is folded exactly once."""
    expected = keys_of(records)

    async def complete() -> bool:
        return (await counts.seen()).keys() >= expected

    await eventually(complete, seconds=20)
    assert await counts.seen() == dict.fromkeys(expected, 1)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class TestAnAggregate:
    async def test_state_and_events_are_one_write_and_its_events_are_published_in_sequence(
        self, either_log: Log
    ) -> None:
        log = either_log
        publisher = log.publisher("goals")
        goals = Aggregates(log.mongo, log.database["goals"], publisher)
        await goals.make_indexes()
        log.begin(publisher.run())
        pair, id_ = Pair(), uuid7()
        change = goals.new(
            id=id_, org_id="org-1", key=pair.mentorship_id, subject=f"goal/{id_}", now=NOW,
            events=[pair.goal_set(id_)], fields={"state": "active"},
        )  # fmt: skip
        await goals.commit(change)
        for revision in range(2, 8):
            document = await goals.find("org-1", id_)
            assert document is not None
            await goals.commit(
                goals.change(document, now=NOW, events=[pair.goal_set(id_, revision=revision)])
            )

        async def marked() -> bool:
            stored = await goals.find("org-1", id_)
            return stored is not None and stored["published"] == 7 and "outbox_at" not in stored

        await eventually(marked)
        records = await read_all(log.kafka, log.prefix + contract.TOPICS["goals"])
        first = {
            int(each.headers["ce_sequence"]): json.loads(each.value or b"")["revision"] for each in records
        }
        assert list(first.items()) == [(number, number) for number in range(1, 8)]

    async def test_another_organization_does_not_find_it(self, log: Log) -> None:
        goals = Aggregates(log.mongo, log.database["goals"], log.publisher("goals"))
        await goals.commit(goals.new(id="1", org_id="org-1", key="m", subject="goal/1", now=NOW))
        assert await goals.find("org-2", "1") is None
        assert await goals.find("org-1", "1") is not None

    async def test_a_write_on_what_was_changed_meanwhile_is_stale(self, either_log: Log) -> None:
        log = either_log
        goals = Aggregates(log.mongo, log.database["goals"], log.publisher("goals"))
        first = goals.new(id="1", org_id="org-1", key="m", subject="goal/1", now=NOW, fields={"n": 0})
        await goals.commit(first)
        await goals.commit(goals.change(first.after, now=NOW, fields={"n": 1}))
        with pytest.raises(StaleWrite):
            await goals.commit(goals.change(first.after, now=NOW, fields={"n": 2}))

    async def test_several_changes_are_stored_all_or_none(self, either_log: Log) -> None:
        log = either_log
        goals = Aggregates(log.mongo, log.database["goals"], log.publisher("goals"))
        first = goals.new(id="1", org_id="org-1", key="m", subject="goal/1", now=NOW, fields={"n": 0})
        await goals.commit(first)
        await goals.commit(goals.change(first.after, now=NOW, fields={"n": 1}))
        with pytest.raises(StaleWrite):
            await goals.commit(
                goals.new(id="2", org_id="org-1", key="m", subject="goal/2", now=NOW),
                goals.change(first.after, now=NOW, fields={"n": 2}),
            )
        assert await goals.find("org-1", "2") is None

    async def test_one_that_is_there_already_is_a_duplicate(self, either_log: Log) -> None:
        log = either_log
        goals = Aggregates(log.mongo, log.database["goals"], log.publisher("goals"))
        await goals.make_indexes()
        key = Idem("k", "fp")
        answer = Answer(201, {"goal_id": "1"}, {"Location": "/v1/goals/1"})
        await goals.commit(
            goals.new(id="1", org_id="o", key="m", subject="goal/1", now=NOW, idem=key, answer=answer)
        )
        with pytest.raises(Duplicate, match=r"idem\.k"):
            await goals.commit(
                goals.new(id="2", org_id="o", key="m", subject="goal/2", now=NOW, idem=key, answer=answer)
            )
        replayed = await goals.replay(key, NOW + timedelta(hours=23))
        assert replayed == msgspec.structs.replace(answer, replayed=True)
        with pytest.raises(Unprocessable):
            await goals.replay(Idem("k", "another"), NOW)
        assert await goals.replay(key, NOW + timedelta(hours=24)) is None

    async def test_its_bounds_are_refusals(self, log: Log) -> None:
        goals = Aggregates(log.mongo, log.database["goals"], log.publisher("goals"))
        pair = Pair()
        change = goals.new(id="1", org_id="org-1", key="m", subject="goal/1", now=NOW)
        for _ in range(MAX_UNPUBLISHED):
            change = goals.change(change.after, now=NOW, events=[pair.goal_set("1")])
        with pytest.raises(Unavailable) as refused:
            goals.change(change.after, now=NOW, events=[pair.goal_set("1")])
        assert refused.value.retry_after
        with pytest.raises(Conflict):
            goals.change(change.after, now=NOW, fields={"words": "x" * 256 * 1024})


class MakesAnOutageOfIt:
    """A driver that answers its first cancellations with an error, as of a store that is away."""

    def __init__(self) -> None:
        self.inside = asyncio.Event()
        self._enough = asyncio.Event()
        self._outages = 0

    async def works(self) -> None:
        self.inside.set()
        try:
            await self._enough.wait()
        except asyncio.CancelledError:
            self._outages += 1
            if self._outages < 3:
                raise AutoReconnect("cancelled") from None
            raise
        raise RuntimeError("the test is over")

    async def lets_end(self, task: asyncio.Task[None]) -> bool:
        """Whether `end` ends a task in which it works; in any case it has ended afterwards."""
        ending = asyncio.ensure_future(end([task]))
        done, _ = await asyncio.wait([ending], timeout=15)
        self._enough.set()
        await ending
        return bool(done) and task.cancelled()


def _batches_of(producer: Producer, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What `producer` sends from now on: each batch's topic and how many records went in it."""
    sent: list[tuple[str, int]] = []
    send_batch = producer.send_batch

    async def watched(topic: str, partition: int, records: Iterable[Outgoing]) -> Any:
        future, taken = await send_batch(topic, partition, records)
        sent.append((topic.rsplit(".", 2)[-2], taken))
        return future, taken

    monkeypatch.setattr(producer, "send_batch", watched)
    return sent


def goal_set(goals: Aggregates, pair: Pair, id_: str, *, revisions: int = 1) -> Change:
    """A new goal with an event for each revision."""
    return goals.new(
        id=id_, org_id="org-1", key=pair.mentorship_id, subject=f"goal/{id_}", now=NOW,
        events=[pair.goal_set(id_, revision=number) for number in range(1, revisions + 1)],
    )  # fmt: skip


async def left_behind(log: Log, id_: str, titles: Sequence[str], pair: Pair | None = None) -> None:
    """A goal with an event for each title, which nobody has published; since long enough for the sweeper."""
    pair = pair or Pair()
    goals = Aggregates(log.mongo, log.database["goals"], log.publisher(), max_bytes=4_000_000)
    events = [
        pair.goal_set(id_, revision=number, title=title) for number, title in enumerate(titles, start=1)
    ]
    change = goals.new(
        id=id_, org_id="org-1", key=pair.mentorship_id, subject=f"goal/{id_}", now=NOW, events=events
    )
    await goals.collection.insert_one({**change.after, "outbox_at": datetime.now(UTC) - timedelta(minutes=1)})


async def published(log: Log, id_: str, count: int, collection: str = "goals") -> None:
    """Wait until so many events of an aggregate are recorded as published, and nothing of it waits."""

    async def recorded() -> bool:
        found = await log.database[collection].find_one({"_id": id_})
        return found is not None and found["published"] == count and "outbox_at" not in found

    await eventually(recorded, seconds=20)


class TestThePublisher:
    async def test_the_sweeper_publishes_what_a_crash_left(self, log: Log) -> None:
        idle = log.publisher("goals")
        goals = Aggregates(log.mongo, log.database["goals"], idle)
        pair = Pair()
        await goals.commit(goal_set(goals, pair, "1", revisions=2))
        log.begin(log.publisher("goals").run())
        records = await log.read("goals", 2)
        assert [json.loads(each.value)["revision"] for each in records] == [1, 2]

    async def test_all_that_an_aggregate_has_goes_in_one_flight(
        self, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batches = _batches_of(log.producer, monkeypatch)
        await left_behind(log, "1", [f"revision {number}" for number in range(1, 41)])
        publisher = log.publisher("goals")
        log.begin(publisher.run())
        await published(log, "1", 40)
        assert publisher.acknowledged == publisher.published == 40
        assert batches == [("goals", 40)]
        records = await log.read("goals", 40)
        assert [int(dict(each.headers)["ce_sequence"]) for each in records] == list(range(1, 41))

    async def test_what_one_batch_cannot_hold_follows_in_its_order(
        self, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batches = _batches_of(log.producer, monkeypatch)
        titles = [f"{number} {'x' * 20_000}" for number in range(1, 41)]
        others = ["2", "3"]
        await left_behind(log, "1", titles)
        for other in others:
            await left_behind(log, other, titles[:5], Pair())
        publisher = log.publisher("goals")
        log.begin(publisher.run())
        for id_, count in (("1", 40), ("2", 5), ("3", 5)):
            await published(log, id_, count)
        assert max(count for _, count in batches) < 40
        assert sum(count for _, count in batches) == publisher.published == 50
        sequences: dict[bytes, list[int]] = {}
        for each in await log.read("goals", 50):
            headers = dict(each.headers)
            sequences.setdefault(headers["ce_subject"], []).append(int(headers["ce_sequence"]))
        assert sequences == {
            b"goal/1": list(range(1, 41)), b"goal/2": list(range(1, 6)), b"goal/3": list(range(1, 6))
        }  # fmt: skip

    async def test_an_aggregates_events_of_several_topics_go_to_theirs(
        self, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batches = _batches_of(log.producer, monkeypatch)
        pair = Pair()
        store = Aggregates(log.mongo, log.database["checkins"], log.publisher())
        asked = contract.HelpRequested(
            **pair.common, checkin_id="1", author_id=pair.mentee_id, route_to=pair.mentor_id, sensitive=False
        )
        taken = contract.CheckInAcknowledged(
            **pair.common, checkin_id="1", acknowledged_by=pair.mentor_id, acknowledged_at=NOW
        )
        change = store.new(
            id="1", org_id=pair.org_id, key=pair.mentorship_id, subject="checkin/1", now=NOW,
            events=[pair.logged("1"), asked, taken, taken],
        )  # fmt: skip
        await store.commit(change)
        publisher = log.publisher("checkins")
        log.begin(publisher.run())
        await published(log, "1", 4, "checkins")
        assert batches == [("checkins", 1), ("support", 1), ("checkins", 2)]
        assert publisher.published == 4

    async def test_of_a_batch_that_fails_nothing_counts_as_published(
        self, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        send_batch = log.producer.send_batch
        failed = asyncio.Event()

        async def failing(topic: str, partition: int, records: Iterable[Outgoing]) -> Any:
            monkeypatch.setattr(log.producer, "send_batch", send_batch)
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            future.set_exception(KafkaError("refused"))
            future.add_done_callback(lambda _: failed.set())
            return future, len(list(records))

        monkeypatch.setattr(log.producer, "send_batch", failing)
        publisher = log.publisher("goals")
        store = Aggregates(log.mongo, log.database["goals"], publisher)
        log.begin(publisher.run())
        await store.commit(goal_set(store, Pair(), "1", revisions=2))
        await failed.wait()
        assert publisher.acknowledged == publisher.published == 0
        found = await store.find("org-1", "1")
        assert found is not None
        assert found["published"] == 0
        assert "outbox_at" in found
        # The sweeper, in time.
        await published(log, "1", 2)
        assert publisher.published == 2
        records = await log.read("goals", 2)
        assert [json.loads(each.value)["revision"] for each in records] == [1, 2]

    async def test_what_is_read_to_be_published_is_bounded_by_its_events(
        self, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbox, "PAGE", 4)
        monkeypatch.setattr(outbox, "MAX_EVENTS", 50)
        for number in range(40):
            await left_behind(log, str(number), ["one"] * 20, Pair())
        publisher = log.publisher("goals")
        kick, weights = publisher.kick, []

        def kicking(collection: Any, document: Any) -> None:
            kick(collection, document)
            weights.append(sum(len(each.document["events"]) for each in publisher._flights.values()))

        monkeypatch.setattr(publisher, "kick", kicking)
        log.begin(publisher.run())
        for number in range(40):
            await published(log, str(number), 20)
        # Up to the bound, and one page more.
        assert max(weights) <= 50 + 4 * 20
        assert publisher._weight == 0

    async def test_who_comes_after_a_pause_does_not_wait_for_others(
        self, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbox, "COLLECT_S", 3_600)
        publisher = log.publisher("goals")
        goals = Aggregates(log.mongo, log.database["goals"], publisher)
        log.begin(publisher.run())
        pair = Pair()

        async def commit(id_: str) -> None:
            await goals.commit(goal_set(goals, pair, id_))

        await commit("1")
        await eventually(lambda: publisher.acknowledged == 1)
        # Who comes right behind is collected.
        await commit("2")
        await commit("3")
        await eventually(lambda: sum(len(lane.flights) for lane in publisher._lanes.values()) == 2)
        assert publisher.acknowledged == 1
        batches = _batches_of(log.producer, monkeypatch)
        publisher._collected_now()
        await eventually(lambda: publisher.acknowledged == 3)
        assert batches == [("goals", 2)]

    async def test_what_waits_for_a_record_of_acknowledgements_has_it_at_once(
        self, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbox, "MARK_S", 3_600)
        publisher = log.publisher("goals")
        goals = Aggregates(log.mongo, log.database["goals"], publisher)
        await goals.make_indexes()
        log.begin(publisher.run())
        pair = Pair()

        async def recorded(count: int) -> bool:
            return await goals.collection.count_documents({"published": {"$gt": 0}}) == count

        # An aggregate's next event, though the one before it has landed.
        first = goal_set(goals, pair, "1")
        await goals.commit(first)
        await log.read("goals", 1)
        await eventually(lambda: publisher.acknowledged == 1)
        assert await recorded(0)
        await goals.commit(goals.change(first.after, now=NOW, events=[pair.goal_set("1", revision=2)]))
        await log.read("goals", 2)
        # Many.
        monkeypatch.setattr(outbox, "MANY_MARKS", 2)
        await goals.commit(goal_set(goals, pair, "2"))
        await eventually(lambda: recorded(2))
        # Whoever is to leave.
        monkeypatch.setattr(outbox, "MANY_MARKS", 1_000)
        await goals.commit(goal_set(goals, pair, "3"))
        assert await publisher.drain(10)
        assert await recorded(3)

    async def test_two_of_them_on_the_same_aggregates_never_reorder_first_occurrences(self, log: Log) -> None:
        publishers = [log.publisher("goals"), log.publisher("goals")]
        for publisher in publishers:
            log.begin(publisher.run())
        stores = [Aggregates(log.mongo, log.database["goals"], publisher) for publisher in publishers]
        pair = Pair()
        ids = [uuid7() for _ in range(20)]
        for id_ in ids:
            await stores[0].commit(goal_set(stores[0], pair, id_))
        for revision in range(2, 11):
            for id_ in ids:
                document = await stores[0].find("org-1", id_)
                assert document is not None
                change = stores[0].change(document, now=NOW, events=[pair.goal_set(id_, revision=revision)])
                await random.choice(stores).commit(change)
                # Both believe it is theirs to publish.
                stores[revision % 2].kicked([change])

        async def drained() -> bool:
            return await log.database["goals"].count_documents({"outbox_at": {"$exists": True}}) == 0

        await eventually(drained, seconds=20)
        records = await log.read("goals", 200)
        first: dict[bytes, list[int]] = {}
        ids_of: dict[tuple[bytes, int], set[bytes]] = {}
        for each in records:
            headers = dict(each.headers)
            sequence = int(headers["ce_sequence"])
            ids_of.setdefault((headers["ce_subject"], sequence), set()).add(headers["ce_id"])
            seen = first.setdefault(headers["ce_subject"], [])
            if sequence not in seen:
                seen.append(sequence)
        assert list(first.values()) == [list(range(1, 11))] * 20
        assert all(len(found) == 1 for found in ids_of.values())

    async def test_it_ends_though_a_driver_makes_an_outage_of_being_cancelled(
        self, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publisher = log.publisher("goals")
        driver = MakesAnOutageOfIt()
        monkeypatch.setattr(publisher, "_observe", driver.works)
        running = log.begin(publisher.run())
        await driver.inside.wait()
        assert await driver.lets_end(running)

    async def test_a_new_cluster_gets_everything_again(self, log: Log) -> None:
        publisher = log.publisher("goals")
        goals = Aggregates(log.mongo, log.database["goals"], publisher)
        await publisher.adopt_cluster("cluster-1")
        running = log.begin(publisher.run())
        pair = Pair()
        await goals.commit(goal_set(goals, pair, "1"))
        await log.read("goals", 1)
        assert await publisher.drain(5)
        await log.crash(running)

        successor = log.publisher("goals")
        await successor.adopt_cluster("cluster-2")
        assert successor.refilling
        log.begin(successor.run())
        first, second = await log.read("goals", 2)
        assert (first.value, first.headers) == (second.value, second.headers)

        async def filled() -> bool:
            return not successor.refilling

        await eventually(filled)


class TestTheIntake:
    async def test_it_ends_though_a_driver_makes_an_outage_of_being_cancelled(
        self, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        intake = await log.intake()
        driver = MakesAnOutageOfIt()
        monkeypatch.setattr(intake, "_cover", driver.works)
        running = log.run(intake)
        await driver.inside.wait()
        assert await driver.lets_end(running)

    async def test_its_consumer_is_closed_in_peace(self, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tasks, "AGAIN_S", 0.001)
        intake = await log.intake()
        running = log.run(intake)
        await eventually(lambda: intake.caught_up_once)
        broker = intake._broker
        assert broker is not None
        stop, stopped = broker.stop, False

        async def stops(*errors: Any) -> None:
            nonlocal stopped
            await stop(*errors)
            stopped = True

        monkeypatch.setattr(broker, "stop", stops)
        await asyncio.wait_for(end([running]), 20)
        assert stopped

    async def test_an_idle_one_waits_in_kafkas_client_and_does_not_ask_again_and_again(
        self, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[float] = []
        getmany = AIOKafkaConsumer.getmany

        async def counted(self: AIOKafkaConsumer, *partitions: Any, **options: Any) -> Any:
            asked.append(time.monotonic())
            return await getmany(self, *partitions, **options)

        monkeypatch.setattr(AIOKafkaConsumer, "getmany", counted)
        intake = await log.intake()
        log.run(intake)
        await eventually(lambda: intake.caught_up_once)
        begun = len(asked)
        await eventually(lambda: len(asked) >= begun + 10)
        assert asked[begun + 9] - asked[begun] > 0.5

    async def test_what_it_is_assigned_while_it_leaves_is_not_begun(
        self, log: Log, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        intake = await log.intake()
        running = log.run(intake)
        await eventually(lambda: intake.caught_up_once)
        assigned, broker = list(intake._partitions), intake._broker
        assert len(assigned) == PARTITIONS
        assert broker is not None
        stop = broker.stop

        async def stops(*errors: Any) -> None:
            # As when another member has left before.
            await intake.on_partitions_assigned(assigned)
            await stop(*errors)

        monkeypatch.setattr(broker, "stop", stops)
        await end([running])
        assert not intake._partitions
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("fold ")]

    async def test_every_record_is_folded_once_though_all_come_twice(self, either_log: Log) -> None:
        log = either_log
        records = many(30, 4)
        log.run(await log.intake())
        await log.publish(*records)
        await log.publish(*records)
        await all_once(log.counts, records)

    async def test_a_batch_that_fails_after_its_writes_is_folded_again_from_its_start(self, log: Log) -> None:
        failures = iter([AutoReconnect("away"), ValueError("a bug, for a moment"), None])

        def fail() -> None:
            if (error := next(failures, None)) is not None:
                raise error

        log.counts.fail = fail
        log.run(await log.intake())
        records = many(5, 3)
        await log.publish(*records)
        await all_once(log.counts, records)
        assert len(log.counts.batches) >= 3

    async def test_a_batch_that_people_keep_writing_into_is_made_smaller_until_it_gets_through(
        self, log: Log
    ) -> None:
        """After an outage batches are large, and people go on with what these are about."""
        crowded = Crowded(log.database, more_than=3)
        await crowded.begin()
        records = many(6, 8)
        await log.publish(*records)
        log.run(await log.intake(fold=crowded))
        await all_once(crowded, records)
        assert max(crowded.batches) > 3

    async def test_crashes_at_any_moment_lose_and_double_nothing(self, log: Log) -> None:
        records = many(60, 12)
        publishing = asyncio.ensure_future(log.publish(*records))
        whole = keys_of(records)
        chance = random.Random(7)
        lives = 1.0
        while (await log.counts.seen()).keys() < whole:
            running = log.run(await log.intake(max_batch=40))
            await asyncio.wait([running], timeout=lives * chance.uniform(0.3, 1.2))
            await log.crash(running)
            # On a machine that is busy with other things a short life does not even join its group.
            lives *= 1.2
        await publishing
        await all_once(log.counts, records)

    async def test_two_members_share_the_partitions_and_a_third_takes_over(self, log: Log) -> None:
        records = many(60, 6)
        first = log.run(await log.intake(max_batch=20))
        log.run(await log.intake(max_batch=20))
        await log.publish(*records[:200])
        await log.crash(first)
        log.run(await log.intake(max_batch=20))
        await log.publish(*records[200:])
        await all_once(log.counts, records)

    async def test_a_zombie_is_fenced(self, log: Log) -> None:
        """It fell asleep with a batch in hand, and another went on: two groups on the same stored offsets."""
        records = many(4, 10)
        early = [each for each in records if int(dict(each.headers)["ce_sequence"]) <= 5]
        late = [each for each in records if each not in early]
        zombie, living = await log.intake(), await log.intake()
        living._group = f"{living._group}.living"
        log.run(zombie)
        await log.publish(*early)
        await all_once(log.counts, early)

        asleep, awake, woken = asyncio.Event(), asyncio.Event(), asyncio.Event()
        take_in = zombie._take_in

        async def sleepy(*batch: Any) -> None:
            asleep.set()
            await awake.wait()
            try:
                await take_in(*batch)
            finally:
                woken.set()

        zombie._take_in = sleepy  # type: ignore[method-assign, assignment]
        await log.publish(*late)
        await asleep.wait()
        log.run(living)
        await all_once(log.counts, records)
        awake.set()
        await woken.wait()

        async def gone_on() -> bool:
            places = [(each.tp.partition, each.expected) for each in living._partitions.values()]
            return all(
                zombie._partitions[TopicPartition(f"{log.prefix}{contract.TOPICS['goals']}", n)].expected
                == at
                for n, at in places
            )

        await eventually(gone_on)
        await all_once(log.counts, records)

    async def test_what_was_fetched_before_a_seek_is_passed_over(self, log: Log) -> None:
        first, second, third = many(1, 3)
        intake = await log.intake()
        log.run(intake)
        await log.publish(first)
        await all_once(log.counts, [first])
        (part,) = [part for part in intake._partitions.values() if part.expected]
        ahead = part.expected + 1
        stale = ConsumerRecord(
            part.tp.topic, part.tp.partition, ahead, 0, 0, third.key, third.value, None, 0, 0, third.headers
        )
        await intake.take((stale,))
        assert not part.queue
        await log.publish(second, third)
        await all_once(log.counts, [first, second, third])

    async def test_a_gap_parks_its_subject_alone_until_the_missing_record_comes(self, log: Log) -> None:
        gappy, whole = many(1, 4), many(1, 4)
        intake = await log.intake()
        log.run(intake)
        await log.publish(gappy[0], gappy[3], gappy[2], *whole)
        await all_once(log.counts, [gappy[0], *whole])

        async def shown() -> bool:
            return metric("onbelay_parked_subjects", consumer=CONSUMER) == 1

        await eventually(shown)
        await log.publish(gappy[1])
        await all_once(log.counts, [*gappy, *whole])

        async def cleared() -> bool:
            return metric("onbelay_parked_subjects", consumer=CONSUMER) == 0

        await eventually(cleared)

    async def test_first_events_that_come_again_are_looked_for_and_then_trusted_again(
        self, either_log: Log
    ) -> None:
        log = either_log
        pair = Pair()
        told = [record(pair.goal_set(uuid7()), sequence=1) for _ in range(40)]
        await log.publish(*told[:10])
        running = log.run(await log.intake())
        await all_once(log.counts, told[:10])
        # Another process: it has no memory of them.
        await log.crash(running)
        counts = Counts(log.database)
        await log.publish(*told[:20])
        running = log.run(await log.intake(fold=counts))
        await all_once(counts, told[:20])
        assert 0 in counts.trusted, "after a refusal nothing is taken for new"
        await log.publish(*told[20:30])
        await all_once(counts, told[:30])
        await log.publish(*told[30:])
        await all_once(counts, told)
        assert counts.trusted[-1] > 0, "when nothing has come again, first events are trusted again"

    async def test_a_first_event_lets_follow_what_another_process_has_parked(self, log: Log) -> None:
        pair, goal_id = Pair(), uuid7()
        first, second, third = (
            record(pair.goal_set(goal_id, revision=number), sequence=number) for number in (1, 2, 3)
        )
        await log.publish(second)
        running = log.run(await log.intake())

        async def parked() -> bool:
            return await log.database["parked"].count_documents({}) == 1

        await eventually(parked)
        await log.crash(running)
        log.run(await log.intake())
        await log.publish(first, third)
        await all_once(log.counts, [first, second, third])
        assert await log.database["parked"].count_documents({}) == 0

    async def test_bad_records_are_dead_letters_and_their_neighbours_unharmed(self, log: Log) -> None:
        good = many(6, 2)
        pair = Pair()
        whole = record(pair.started(), sequence=1)
        bad = {
            "header: ce_type is missing": Record("goals", b"k", b"{}", []),
            "value: there is none": Record("goals", whole.key, None, whole.headers),
            "json: Input data was truncated": Record("goals", whole.key, b'{"org_id": ', whole.headers),
            "header: ce_subject is not UTF-8": whole.with_header("ce_subject", b"\xff\xfe"),
            "schema: ": record(pair.started(), data={"mentor_id": 7}),
            "json: JSON is malformed": Record("goals", whole.key, b"x" * 1_000_000, whole.headers),
            "tenant: ": whole.with_header("ce_orgid", b"org-9"),
        }
        log.run(await log.intake())
        mixed = [*bad.values(), *good]
        random.Random(3).shuffle(mixed)
        in_order = sorted(good, key=lambda each: int(dict(each.headers)["ce_sequence"]))
        await log.publish(*[each for each in mixed if each not in good], *in_order)
        await all_once(log.counts, good)

        letters = await log.read("dead-letters", len(bad))
        reasons = {dict(each.headers)["onbelay-dead-letter-reason"].decode(): each for each in letters}
        for reason, original in bad.items():
            letter = next(each for found, each in reasons.items() if found.startswith(reason))
            assert (letter.key, letter.value) == (original.key, original.value)
            headers = list(letter.headers)
            assert headers[: len(original.headers)] == list(original.headers)
            added = dict(headers[len(original.headers) :])
            assert set(added) == {
                f"onbelay-dead-letter-{name}"
                for name in ("reason", "topic", "partition", "offset", "consumer", "failed-at")
            }
            assert added["onbelay-dead-letter-topic"] == (log.prefix + contract.TOPICS["goals"]).encode()
            assert added["onbelay-dead-letter-consumer"] == CONSUMER.encode()

    async def test_what_a_fold_rejects_is_a_dead_letter_too(self, log: Log) -> None:
        log.counts.rejects = frozenset({"MentorshipStarted"})
        good, pair = many(1, 1), Pair()
        log.run(await log.intake())
        await log.publish(record(pair.started()), *good)
        await all_once(log.counts, good)
        (letter,) = await log.read("dead-letters", 1)
        assert dict(letter.headers)["onbelay-dead-letter-reason"] == b"rejected: not wanted"

    async def test_records_over_which_the_fold_stumbles_are_dead_letters_and_their_neighbours_unharmed(
        self, log: Log
    ) -> None:
        pair = Pair()
        told = [record(pair.goal_set(uuid7())) for _ in range(40)]
        subjects = [dict(each.headers)["ce_subject"].decode() for each in told]
        counts = Stumbling(log.database, over=frozenset((subjects[0], subjects[17], subjects[18])))
        await log.publish(*told)
        log.run(await log.intake(fold=counts))
        good = [each for each, subject in zip(told, subjects, strict=True) if subject not in counts.over]
        await all_once(counts, good)
        letters = await log.read("dead-letters", 3)
        assert {dict(each.headers)["ce_subject"].decode() for each in letters} == counts.over
        assert {dict(each.headers)["onbelay-dead-letter-reason"] for each in letters} == {
            b"fold: OverflowError"
        }
        more = [record(pair.goal_set(uuid7())) for _ in range(20)]
        await log.publish(*more)
        await all_once(counts, good + more)
        assert await log.database["dead_letters"].count_documents({}) == 3

    async def test_what_comes_while_the_fold_stumbles_over_a_record_is_folded(self, log: Log) -> None:
        pair = Pair()
        bad, *good = (record(pair.goal_set(uuid7())) for _ in range(10))
        counts = Stumbling(log.database, over=frozenset((dict(bad.headers)["ce_subject"].decode(),)))
        log.run(await log.intake(fold=counts))
        await log.publish(bad)
        await eventually(lambda: len(counts.batches) == FOLD_TRIES, seconds=20)
        await log.publish(*good)
        await all_once(counts, good)
        await log.read("dead-letters", 1)
        assert await log.database["dead_letters"].count_documents({}) == 1

    async def test_a_record_over_which_the_fold_stumbles_for_a_moment_is_folded(self, log: Log) -> None:
        failures = iter([ValueError("for a moment"), KeyError("and for another")])

        def fail() -> None:
            if (error := next(failures, None)) is not None:
                raise error

        log.counts.fail = fail
        log.run(await log.intake())
        records = many(1, 1)
        await log.publish(*records)
        await all_once(log.counts, records)
        assert await log.database["dead_letters"].count_documents({}) == 0

    @pytest.mark.parametrize("named", ["for the first time", "once more"])
    async def test_a_subject_of_another_organization_is_a_dead_letter(self, log: Log, named: str) -> None:
        pair, goal_id = Pair(org_id="org-1"), uuid7()
        thief = Pair(org_id="org-2", mentorship_id=pair.mentorship_id)
        owned = [record(pair.started()), record(pair.goal_set(goal_id))]
        log.run(await log.intake("goals", "checkins"))
        await log.publish(*owned)
        await all_once(log.counts, owned)
        if named == "once more":
            honest = record(pair.logged(goal_id=goal_id))
            await log.publish(honest)
            owned.append(honest)
            await all_once(log.counts, owned)
        await log.publish(
            record(thief.goal_set(goal_id), sequence=2),
            record(thief.goal_set(uuid7())),
            record(thief.logged(goal_id=goal_id)),
        )
        letters = await log.read("dead-letters", 3)
        reasons = Counter(
            dict(each.headers)["onbelay-dead-letter-reason"].decode().partition(":")[0] for each in letters
        )
        assert reasons == {"tenant": 3}
        assert (await log.counts.seen()).keys() == keys_of(owned)

    async def test_a_goal_in_a_mentorship_of_another_organization_is_one_though_both_come_at_once(
        self, log: Log
    ) -> None:
        pair = Pair(org_id="org-1")
        thief = Pair(org_id="org-2", mentorship_id=pair.mentorship_id)
        owned = [record(pair.started()), record(pair.goal_set(uuid7()))]
        await log.publish(*owned, record(thief.goal_set(uuid7())))
        log.run(await log.intake())
        (letter,) = await log.read("dead-letters", 1)
        reason = f"tenant: mentorship/{pair.mentorship_id} belongs to another organization"
        assert dict(letter.headers)["onbelay-dead-letter-reason"].decode() == reason
        await all_once(log.counts, owned)
        assert log.counts.batches == [2], "all three came in one batch"

    async def test_a_type_that_nobody_knows_is_passed_over_and_leaves_no_gap(self, log: Log) -> None:
        first, unknown, last = many(1, 3)
        log.run(await log.intake())
        await log.publish(first, unknown.with_header("ce_type", b"onbelay.GoalShared.v1"), last)
        await all_once(log.counts, [first, last])
        assert metric("onbelay_unknown_types_total", consumer=CONSUMER, topic="goals") >= 1

    async def test_watermarks_are_kept_and_the_greatest_counts(self, log: Log) -> None:
        intake = await log.intake("checkins")
        log.run(intake)
        for up_to in (NOW, NOW + timedelta(minutes=2), NOW + timedelta(minutes=1)):
            watermark = contract.CheckInsWatermark(partition=1, up_to=up_to)
            sent = record(watermark, sequence=None, subject="partition/1")
            future = await log.producer.send(
                Outgoing(
                    log.prefix + contract.TOPICS["checkins"], sent.key, sent.value, sent.headers, partition=1
                )
            )
            await future

            async def taken_in(offset: int = (await future).offset) -> bool:
                return any(part.expected > offset for part in intake._partitions.values())

            await eventually(taken_in)
        assert await intake.watermarks() == {1: NOW + timedelta(minutes=2)}

    async def test_an_offset_out_of_range_halts_and_is_never_reset(self, log: Log) -> None:
        intake = await log.intake()
        name = log.prefix + contract.TOPICS["goals"]
        stored = {"cluster": log.cluster, "topic": name, "partition": 0, "next": 1_000_000}
        await log.database["offsets"].insert_one({"_id": f"{log.cluster}|{name}|0", **stored})
        log.run(intake)

        async def halted() -> bool:
            return intake.halted

        await eventually(halted)
        assert metric("onbelay_intake_halted", consumer=CONSUMER, topic=name, partition="0") == 1
        kept = await log.database["offsets"].find_one({"_id": f"{log.cluster}|{name}|0"})
        assert kept is not None
        assert kept["next"] == 1_000_000

    async def test_it_tells_up_to_when_it_has_folded_everything(self, log: Log) -> None:
        intake = await log.intake()
        log.run(intake)
        records = many(10, 2)
        await log.publish(*records)
        published_at = datetime.now(UTC)

        async def covered() -> bool:
            up_to = intake.covered("goals")
            return up_to is not None and up_to > published_at

        await eventually(covered, seconds=20)
        assert await log.counts.seen() == dict.fromkeys(keys_of(records), 1)
        assert intake.caught_up_once
        assert not intake.behind("goals", 0)
