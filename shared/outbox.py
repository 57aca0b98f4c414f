"""The publisher: what aggregates have stored and not yet published goes to Kafka, in order, for certain.

Delivery: at least once. Per aggregate one flight at a time in this process: its next events, in order, as many as go in
one batch, which Kafka keeps whole or not at all. What follows is sent only when they are acknowledged, and `published`
advances over that contiguous prefix alone. Two processes that publish the same aggregate can duplicate, never reorder
first occurrences, never lose. Idempotency key: the event's `ce_id` (and subject and sequence), stored with it.

On failure the aggregate stays marked by `outbox_at`, and the sweeper comes back for it. Many aggregates are in
flight at once; acknowledgements are written back in groups.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata
from pymongo import UpdateMany
from pymongo.errors import PyMongoError

from shared import events as contract
from shared import levers, telemetry
from shared.kafka import Outgoing, Producer, partition_of
from shared.mongo import Collection, Doc
from shared.tasks import together

log = structlog.get_logger(__name__)

MAX_FLIGHTS = 10_000
MAX_EVENTS = 30_000
"""Of what a crash left, or a new cluster lacks: no more is read while so many events are in memory, some 2 KB each."""
PAGE = 500
SWEEP_S = 1.0
GRACE_S = 2.0
"""The sweeper leaves younger work to the process that stored it."""
MARK_S = 0.1
"""Acknowledgements of so long are recorded together, unless they are many, or an aggregate's next event waits for them.

What a crash leaves unrecorded is published again; else a watermark of every few seconds is all that waits."""
MANY_MARKS = 1_000
BATCH = 1_000
COLLECT_S = 0.025
"""Lanes that have sent all they had collect for so long what they send next, and send it together, which is one request
to a broker. Who comes after a pause does not wait."""
DEAD_LETTER = "dead-letters"
PUBLISHED_OF = dict.fromkeys(("key", "subject", "org_id", "seq", "published", "events"), 1)
"""What the publisher needs of a document."""


@dataclass(slots=True)
class _Flight:
    collection: Collection
    document: Doc
    acked: int
    """Events acknowledged by Kafka, from the first."""
    sent: int
    """Events handed over to be sent, from the first; those after `acked` are in the air."""
    marked: int
    """Events known to be recorded as published."""
    id: tuple[str, str]
    weight: int
    """Events in memory."""
    newer: Doc | None = None


@dataclass(slots=True)
class _Lane:
    """What waits to be sent to one partition."""

    topic: str
    partition: int
    flights: deque[_Flight] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None


class Publisher:
    """Publishes the aggregates of some collections of one service.

    Args:
        producer: the idempotent producer.
        collections: what to sweep.
        topic_prefix: put before every topic's name.
        cluster: documents of the service's own database; remembers which Kafka cluster was filled.
    """

    def __init__(
        self,
        producer: Producer,
        collections: Sequence[Collection],
        *,
        topic_prefix: str = "",
        cluster: Collection | None = None,
    ) -> None:
        self._producer = producer
        self._collections = list(collections)
        self._prefix = topic_prefix
        self._cluster = cluster
        self._flights: dict[tuple[str, str], _Flight] = {}
        self._weight = 0
        self._queue: deque[_Flight] = deque()
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._wake = asyncio.Event()
        self._marks: dict[str, dict[int, list[_Flight]]] = {}
        self._mark_wake = asyncio.Event()
        self._mark_now = asyncio.Event()
        self._unmarked = 0
        self._collected: asyncio.Event | None = None
        self._landed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._by_name = {collection.name: collection for collection in collections}
        self.acknowledged = 0
        """How many events of this process Kafka has acknowledged."""
        self.published = 0
        """How many events this process has published, and recorded as published."""
        self.refilling = False
        """Whether a new cluster is being filled with everything that the service has ever published."""

    def add(self, collection: Collection) -> None:
        """Sweep one more collection."""
        self._collections.append(collection)
        self._by_name[collection.name] = collection

    @property
    def kafka_away(self) -> bool:
        """Whether Kafka does not acknowledge at present."""
        return self._producer.away

    def kick(self, collection: Collection, document: Doc) -> None:
        """Publish what `document`, as just committed, has unpublished; returns at once."""
        id_ = (collection.name, document["_id"])
        known = self._flights.get(id_)
        if known is not None:
            if document["seq"] > (known.newer or known.document)["seq"]:
                known.newer = document
                if known.acked == known.document["seq"]:
                    self._mark_now.set()
            return
        published: int = document["published"]
        if len(self._flights) >= MAX_FLIGHTS or document["seq"] <= published:
            return
        flight = _Flight(collection, document, published, published, published, id_, len(document["events"]))
        self._flights[id_] = flight
        self._weight += flight.weight
        self._idle.clear()
        self._queue.append(flight)
        self._wake.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        await together(self._send_loop(), self._mark_loop(), self._sweep_loop())

    async def drain(self, seconds: float) -> bool:
        """Wait until all that is stored is published and marked; False when Kafka or the time does not allow it."""
        deadline = time.monotonic() + seconds
        try:
            async with asyncio.timeout(seconds):
                while not self._producer.away:
                    await self._sweep(grace_s=0)
                    self._mark_now.set()
                    if not self._flights and not await self._depth():
                        return True
                    remaining = deadline - time.monotonic()
                    try:
                        await asyncio.wait_for(self._idle.wait(), min(0.5, max(remaining, 0.01)))
                    except TimeoutError:
                        continue
        except (TimeoutError, PyMongoError) as error:
            log.warning("outbox not drained", error=repr(error))
        return False

    async def oldest_unpublished(self, collection: Collection) -> float | None:
        """Age in seconds of the oldest unpublished event of a collection, or None."""
        oldest = await collection.find_one(
            {"outbox_at": {"$exists": True}}, {"outbox_at": 1}, sort=[("outbox_at", 1)]
        )
        if oldest is None:
            return None
        age: timedelta = datetime.now(UTC) - oldest["outbox_at"]
        return age.total_seconds()

    async def adopt_cluster(self, cluster_id: str) -> None:
        """Publish everything again when this is not the cluster that was filled before.

        Raises:
            PyMongoError: the store does not answer; nothing may be published before this has succeeded.
        """
        if self._cluster is None:
            return
        known = await self._cluster.find_one({"_id": "kafka"})
        if known is not None and known["cluster_id"] == cluster_id and not known.get("refilling"):
            return
        if known is None:
            await self._cluster.update_one(
                {"_id": "kafka"}, {"$set": {"cluster_id": cluster_id, "refilling": False}}, upsert=True
            )
            return
        self.refilling = True
        log.warning("a new Kafka cluster: publishing everything again", cluster_id=cluster_id)
        if known["cluster_id"] != cluster_id:
            now = datetime.now(UTC)
            for collection in self._collections:
                if collection.name == DEAD_LETTERS_COLLECTION:
                    continue
                await collection.update_many(
                    {"seq": {"$gt": 0}}, {"$set": {"published": 0, "outbox_at": now - timedelta(hours=1)}}
                )
            await self._cluster.update_one(
                {"_id": "kafka"}, {"$set": {"cluster_id": cluster_id, "refilling": True}}
            )

    # -- sending

    async def _send_loop(self) -> None:
        """Sort what is to be sent to lanes, one for each partition of a topic."""
        counts: dict[str, int] = {}
        try:
            while True:
                if not self._queue:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                flight = self._queue.popleft()
                topic = self._prefix + contract.TOPICS[_next_event(flight)["topic"]]
                try:
                    count = counts.get(topic) or await self._producer.partitions(topic)
                except (KafkaError, TimeoutError, OSError) as error:
                    self._queue.appendleft(flight)
                    await self._given_up(error)
                    continue
                counts[topic] = count
                self._join(flight, topic, count)
        finally:
            for lane in self._lanes.values():
                if lane.task is not None:
                    lane.task.cancel()

    def _join(self, flight: _Flight, topic: str, count: int) -> None:
        """Put a flight in the lane of its partition, whose task sends what is in it."""
        event = _next_event(flight)
        key = event["key"] if event["topic"] == DEAD_LETTER else flight.document["key"]
        if isinstance(key, bytes):
            key = key.decode("latin-1")
        partition = partition_of(key, count) if key else random.randrange(count)  # noqa: S311 - not a secret
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(topic, partition)
        lane.flights.append(flight)
        if lane.task is None:
            lane.task = asyncio.create_task(self._send_lane(lane))

    async def _send_lane(self, lane: _Lane) -> None:
        """Send a lane's flights, batch by batch, until it is empty.

        Flights collect while a batch waits for the one before it to leave, and up to `COLLECT_S` where it need not, so
        that batches grow with the load.
        """
        try:
            while lane.flights:
                try:
                    future, taken = await self._send(lane, self._waiting_in(lane))
                except (KafkaError, TimeoutError, OSError) as error:
                    self._queue.extend(lane.flights)
                    lane.flights.clear()
                    await self._given_up(error)
                    continue  # others may have joined meanwhile
                sent = _depart(lane, taken)
                future.add_done_callback(lambda done, sent=sent: self._settled(sent, done))  # type: ignore[misc]
                if not lane.flights:
                    await self._collect()
        finally:
            lane.task = None

    async def _collect(self) -> None:
        """Wait until what has been collected is to be sent: `COLLECT_S` after the first of all lanes began to wait."""
        if self._collected is None:
            self._collected = asyncio.Event()
            asyncio.get_running_loop().call_later(COLLECT_S, self._collected_now)
        await self._collected.wait()

    def _collected_now(self) -> None:
        assert self._collected is not None  # noqa: S101 - narrows; whoever set the timer made it
        self._collected.set()
        self._collected = None

    async def _send(
        self, lane: _Lane, records: Iterator[Outgoing]
    ) -> tuple[asyncio.Future[RecordMetadata], int]:
        if levers.on(levers.RECORD_BATCHES):
            return await self._producer.send_batch(lane.topic, lane.partition, records)
        return await self._producer.send(next(records)), 1

    async def _given_up(self, error: Exception) -> None:
        """Leave what waits behind a failure to the sweeper; it is marked in the store."""
        subject = self._queue[0].document.get("subject") if self._queue else None
        log.warning("not published yet", subject=subject, error=repr(error))
        while self._queue:
            self._land(self._queue.popleft())
        await asyncio.sleep(0.2)

    def _waiting_in(self, lane: _Lane) -> Iterator[Outgoing]:
        """The records of what waits in a lane, each made when it is asked for; as it stands at this moment."""
        for flight in tuple(itertools.islice(lane.flights, BATCH)):
            for event in flight.document["events"][flight.acked : _next_end(flight)]:
                yield outgoing(flight.document, event, self._prefix)

    def _settled(self, sent: Sequence[_Flight], done: asyncio.Future[Any]) -> None:
        if done.cancelled() or done.exception() is not None:
            log.warning(
                "not published", subject=sent[0].document.get("subject"), n=len(sent), error=repr(done)
            )
            for flight in sent:
                self._land(flight)
            return
        count = sum(flight.sent - flight.acked for flight in sent)
        telemetry.PUBLISHED.labels(_next_event(sent[0])["topic"]).inc(count)
        self.acknowledged += count
        for flight in sent:
            self._acked(flight)

    def _acked(self, flight: _Flight) -> None:
        flight.acked = flight.sent
        if flight.newer is not None:
            flight.document, flight.newer = flight.newer, None
        if flight.acked < flight.document["seq"]:
            self._queue.append(flight)
            self._wake.set()
        else:
            self._land(flight)

    def _land(self, flight: _Flight) -> None:
        """The flight has ended, well or not: record how far it came."""
        if flight.acked > flight.marked:
            self._marks.setdefault(flight.collection.name, {}).setdefault(flight.acked, []).append(flight)
            self._mark_wake.set()
            self._unmarked += 1
            if self._unmarked >= MANY_MARKS:
                self._mark_now.set()
        else:
            self._forget(flight)

    def _forget(self, flight: _Flight) -> None:
        if self._flights.pop(flight.id, None) is not None:
            self._weight -= flight.weight
        self._landed.set()
        if not self._flights:
            self._idle.set()

    # -- recording

    async def _mark_loop(self) -> None:
        while True:
            await self._mark_wake.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._mark_now.wait(), MARK_S)
            self._mark_wake.clear()
            self._mark_now.clear()
            self._unmarked = 0
            marks, self._marks = self._marks, {}
            for name, by_count in marks.items():
                await self._mark(self._by_name[name], by_count)

    async def _mark(self, collection: Collection, by_count: dict[int, list[_Flight]]) -> None:
        operations = []
        for count, flights in by_count.items():
            whole = [flight.document["_id"] for flight in flights if flight.document["seq"] == count]
            part = [flight.document["_id"] for flight in flights if flight.document["seq"] != count]
            if whole:
                operations.append(
                    UpdateMany(
                        {"_id": {"$in": whole}, "seq": count},
                        {"$set": {"published": count}, "$unset": {"outbox_at": ""}},
                    )
                )
            if part:
                operations.append(
                    UpdateMany(
                        {"_id": {"$in": part}, "published": {"$lt": count}}, {"$set": {"published": count}}
                    )
                )
        while True:
            try:
                await collection.bulk_write(operations, ordered=False)
                break
            except PyMongoError as error:
                log.warning("acknowledgements not recorded yet", error=repr(error))
                await asyncio.sleep(0.5)
        for count, flights in by_count.items():
            for flight in flights:
                self.published += count - flight.marked
                flight.marked = count
                if flight.newer is not None and flight.newer["seq"] > flight.acked:
                    flight.document, flight.newer = flight.newer, None
                    self._queue.append(flight)
                    self._wake.set()
                else:
                    self._forget(flight)

    # -- sweeping

    async def _depth(self) -> int:
        return sum(
            [
                await collection.count_documents({"outbox_at": {"$exists": True}})
                for collection in self._collections
            ]
        )

    async def _sweep_loop(self) -> None:
        while True:
            try:
                await self._observe()
                if not self._producer.away or not self._flights:
                    await self._sweep(grace_s=GRACE_S)
                if self.refilling and not self._flights and not await self._depth():
                    await self._refilled()
            except PyMongoError as error:
                log.warning("sweep failed", error=repr(error))
            await asyncio.sleep(SWEEP_S)

    async def _refilled(self) -> None:
        if self._cluster is not None:
            await self._cluster.update_one({"_id": "kafka"}, {"$set": {"refilling": False}})
        self.refilling = False
        log.info("the new cluster has everything")

    async def _sweep(self, *, grace_s: float) -> None:
        """Kick all that was left unpublished for longer than `grace_s`, as fast as there is room for flights.

        By one cursor a collection: what is refilled all has one `outbox_at`, by which no pages could be told apart.
        """
        before = datetime.now(UTC) - timedelta(seconds=grace_s)
        for collection in self._collections:
            found = collection.find({"outbox_at": {"$lte": before}}, PUBLISHED_OF)
            found = found.sort([("outbox_at", 1)]).batch_size(PAGE)
            try:
                while page := await found.to_list(PAGE):
                    while len(self._flights) > MAX_FLIGHTS - PAGE or self._weight > MAX_EVENTS:
                        if self._producer.away:
                            return
                        self._landed.clear()
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(self._landed.wait(), SWEEP_S)
                    for document in page:
                        self.kick(collection, document)
            finally:
                await found.close()

    async def _observe(self) -> None:
        telemetry.KAFKA_AWAY.set(1 if self._producer.away else 0)
        for collection in self._collections:
            age = await self.oldest_unpublished(collection)
            telemetry.OUTBOX_AGE.labels(collection.name).set(age or 0.0)
            depth = 0 if age is None else await collection.count_documents({"outbox_at": {"$exists": True}})
            telemetry.OUTBOX_DEPTH.labels(collection.name).set(depth)


DEAD_LETTERS_COLLECTION = "dead_letters"


def _next_event(flight: _Flight) -> Doc:
    event: Doc = flight.document["events"][flight.acked]
    return event


def _next_end(flight: _Flight) -> int:
    """Where that ends which a flight sends next: all that follows to the same topic, and so to the same partition."""
    events: Sequence[Doc] = flight.document["events"]
    topic, end = events[flight.acked]["topic"], flight.acked + 1
    while end < len(events) and events[end]["topic"] == topic:
        end += 1
    return end


def _depart(lane: _Lane, taken: int) -> list[_Flight]:
    """Take from a lane the flights that the first `taken` of its records belong to."""
    departed = []
    while taken:
        flight = lane.flights.popleft()
        flight.sent = min(_next_end(flight), flight.acked + taken)
        taken -= flight.sent - flight.acked
        departed.append(flight)
    return departed


def outgoing(document: Doc, event: Doc, prefix: str) -> Outgoing:
    """The Kafka record of a stored event; the same bytes on every redelivery."""
    if event["topic"] == DEAD_LETTER:
        return Outgoing(
            topic=prefix + contract.TOPICS[DEAD_LETTER],
            key=event["key"],
            value=event["value"],
            headers=[(name, value) for name, value in event["headers"]],
        )
    return Outgoing(
        topic=prefix + contract.TOPICS[event["topic"]],
        key=document["key"].encode(),
        value=contract.encode_document(event["type"], event["data"]),
        headers=contract.headers_of(
            type_=event["type"],
            id_=event["id"],
            subject=document["subject"],
            time=event["time"],
            key=document["key"],
            sequence=event["seq"],
            org_id=document["org_id"],
            traceparent=event.get("tp"),
        ),
    )


def dead_letter(
    id_: str, reason: str, record: Outgoing, extra: Iterable[tuple[str, bytes]], at: datetime
) -> Doc:
    """The outbox document of a record that goes to the dead letters, untouched but for the headers added."""
    return {
        "_id": id_,
        "org_id": "",
        "key": "",
        "subject": f"dead-letter/{id_}",
        "v": 1,
        "seq": 1,
        "published": 0,
        "outbox_at": datetime.now(UTC),
        "reason": reason,
        "at": at,
        "events": [
            {
                "topic": DEAD_LETTER,
                "seq": 1,
                "key": record.key,
                "value": record.value,
                "headers": [[name, value] for name, value in [*record.headers, *extra]],
            }
        ],
    }
