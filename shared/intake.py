"""The intake: records of the event topics, folded batch by batch, each batch in one MongoDB transaction.

Delivery: at least once from Kafka, exactly once in effect. A batch's changed documents, its dead letters and the
partition's next offset are written together, and the offset is guarded by the one expected: a redelivered batch, a
zombie consumer, a crash between any two steps change nothing. Offsets live in MongoDB, per Kafka cluster.
Idempotency key: (subject, topic, `ce_sequence`): what was folded is dropped, a gap parks its subject until the
missing record comes, and shows in `onbelay_parked_subjects`.

On failure: a record that is wrong goes to the dead letters with its reason, its neighbours are folded; so does one that
fits its schema and all the same makes the fold fail, which smaller and smaller batches find. A batch whose transaction
fails is tried again for as long as it takes. A stored offset outside of the log's range halts that
partition (`onbelay_intake_halted`) and is never reset silently. A type that is not known is passed over and counted.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, Protocol

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from bson.errors import BSONError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from opentelemetry import trace
from pymongo import ASCENDING, IndexModel, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from shared import events as contract
from shared import levers, telemetry
from shared.clock import Clock
from shared.kafka import Outgoing
from shared.mongo import Collection, Database, Doc, Mongo, Session, Writes, duplicate_key, write_all
from shared.outbox import Publisher, dead_letter
from shared.tasks import end, to_the_end, together

log = structlog.get_logger(__name__)

GOALS = "goals"
"""The topic that tells whose goals and mentorships are."""
MAX_BATCH = 2_000
HIGH_WATER = 2 * MAX_BATCH
QUEUED = 40_000
"""Records queued, of all partitions; about 3 KB each."""
BATCH_TIMEOUT_MS = 1
"""FastStream sleeps this long when there was nothing: all that a record waits for on an idle topic."""
WAIT_MS = 100
"""How long Kafka's client is asked to wait for a record, which ends the wait at once."""
TRANSACTION_S = 30.0
TRIES = 5
"""How often a batch may conflict with what people write before a smaller one is tried."""
FOLD_TRIES = 3
"""How often a record may make the fold fail alone before it is refused."""
OF_DATA = (ArithmeticError, AssertionError, AttributeError, BSONError, LookupError, TypeError, ValueError)
"""What a fold raises because of what is in a record; anything else may pass."""
FETCH_BYTES = 2 * 1024 * 1024
"""Of each partition at once: held beside what is queued. A larger record comes all the same."""
SUBJECTS_CACHED = 5_000
"""Of each partition; three topics of 12 take 60 MB."""
OWNERS_CACHED = 50_000
"""Goals, each with its mentorship."""
RETRY_S = (0.05, 0.2, 0.5, 1.0)
OBSERVE_S = 2.0
STOP_S = 5.0


_Fetched = dict[TopicPartition, list[ConsumerRecord]]
_Named = tuple[str | None, str | None]
"""The goal and the mentorship that an event names."""


class Received(msgspec.Struct, frozen=True, gc=False):
    """One event as folded: its envelope, and `data`, the typed struct of `shared.events`."""

    type: str
    id: str
    subject: str
    org_id: str
    sequence: int
    time: datetime
    key: str
    traceparent: str | None
    data: Any
    offset: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one partition of one topic (`goals`, `checkins`, ...), in order, each subject without gaps.

    `new`: subjects whose first event is among them. What is about them alone, and written by this topic alone, may be
    inserted without a look whether it is there; if it is, the batch begins again without `new`.
    """

    topic: str
    partition: int
    records: Sequence[Received]
    new: Set[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Folded:
    """What a fold leaves: a hook to run once committed, and records it rejects, with the reason."""

    after_commit: Callable[[], None] | None = None
    rejected: Sequence[tuple[Received, str]] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """Where a partition's stored offset was last seen: the `next` one, and `at` which real instant (monotonic)."""

    next: int
    at: float


class Fold(Protocol):
    """How a service takes in events."""

    async def fold(self, batch: Batch, session: Session) -> Folded:
        """Fold a batch, writing only through `session`; runs again from its start when the transaction does."""


class Fenced(Exception):
    """Another process has folded this partition further: this one's turn is over."""


class Crowded(Exception):
    """People keep writing what a batch is about: so large a one would begin again for ever."""


class _Parsed(msgspec.Struct, frozen=True, gc=False):
    """A record after its envelope was read: what it is, or why it is none."""

    raw: ConsumerRecord
    decoded: contract.Decoded | None = None
    reason: str | None = None
    subject: str = ""
    """The id of the subject's document."""


class _Subject(msgspec.Struct, gc=False):
    org_id: str
    seq: int
    parked: int


@dataclass(slots=True)
class _Partition:
    tp: TopicPartition
    expected: int
    end_at_start: int
    queue: deque[ConsumerRecord] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    paused: bool = False
    at_once: int = MAX_BATCH
    """How many records a batch may have at present."""
    repeats: bool = False
    """Whether the last batch had events that were folded before: then first events are looked for, not trusted."""
    subjects: OrderedDict[str, _Subject] = field(default_factory=OrderedDict)


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]
    """One consumer of some topics, as a member of its service's consumer group.

    Args:
        consumer: the service's name; the group, the metrics and the dead letters carry it.
        topics: short names, `goals`, `checkins`, ...
        database: the service's own; holds offsets, subjects, parked records and dead letters.
        fold: what to do with a batch.
        publisher: publishes the dead letters.
        generation: put before the names of the intake's collections; a rebuild has one of its own.
    """

    def __init__(
        self,
        *,
        consumer: str,
        bootstrap: str,
        topics: Sequence[str],
        mongo: Mongo,
        database: Database,
        fold: Fold,
        publisher: Publisher,
        clock: Clock,
        topic_prefix: str = "",
        generation: str = "",
        max_batch: int = MAX_BATCH,
    ) -> None:
        self._consumer_name = consumer
        self._topics = {topic_prefix + contract.TOPICS[topic]: topic for topic in topics}
        self._prefix = topic_prefix
        self._mongo = mongo
        self._fold = fold
        self._publisher = publisher
        self._clock = clock
        self._max_batch = max_batch
        self._offsets = database[f"{generation}offsets"]
        self._subjects = database[f"{generation}subjects"]
        self._parked = database[f"{generation}parked"]
        self._sessions = database[f"{generation}sessions"]
        self._dead_letters = database["dead_letters"]
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._halted: set[TopicPartition] = set()
        self._cluster_id = ""
        self._caught_up = False
        self._coverage: dict[TopicPartition, datetime] = {}
        self._seen: dict[TopicPartition, Seen] = {}
        self._owners: OrderedDict[_Named, str] = OrderedDict()
        self._turn = asyncio.Semaphore(10_000 if levers.on(levers.PARALLEL_PARTITIONS) else 1)
        self._assigned_once = False
        self._bootstrap = bootstrap
        self._group = f"{topic_prefix}onbelay.{consumer}{generation and '.' + generation}"
        self._failed: asyncio.Future[BaseException]
        self._broker: KafkaBroker | None = None
        self._subscriber: Any = None

    # -- what others ask

    @property
    def dead_letters(self) -> Collection:
        """The outbox of the dead letters, for the publisher to sweep."""
        return self._dead_letters

    @property
    def caught_up_once(self) -> bool:
        """Whether all that stood in the assigned partitions at their first assignment has been folded."""
        return self._caught_up

    @property
    def halted(self) -> bool:
        """Whether a partition stands still because its stored offset is out of range."""
        return bool(self._halted)

    def behind(self, topic: str, partition: int) -> bool:
        """Whether this process knows of records of an assigned partition that it has not folded yet."""
        tp = TopicPartition(self._topic_name(topic), partition)
        part = self._partitions.get(tp)
        if part is None:
            return False
        consumer: AIOKafkaConsumer | None = self._subscriber.consumer if self._subscriber else None
        high = consumer.highwater(tp) if consumer is not None else None
        return part.expected < max(part.end_at_start, high or 0)

    def stored(self, topic: str, partition: int) -> Seen | None:
        """How far a partition was folded, by whichever process, when last seen; several times a second."""
        return self._seen.get(TopicPartition(self._topic_name(topic), partition))

    def covered(self, topic: str, partition: int | None = None) -> datetime | None:
        """A domain instant up to which everything published is folded, by whichever process.

        Of one partition, or the least of the topic's. None while it is not known yet. Refreshed several times a
        second while Kafka answers, and stands still while it does not.
        """
        name = self._topic_name(topic)
        instants = [
            self._coverage.get(tp)
            for tp in self._all_partitions()
            if tp.topic == name and partition in (None, tp.partition)
        ]
        known = [instant for instant in instants if instant is not None]
        return min(known) if known and len(known) == len(instants) else None

    def covered_all(self) -> datetime | None:
        """The least of `covered` over all topics of this intake."""
        instants = [self.covered(topic) for topic in self._topics.values()]
        known = [instant for instant in instants if instant is not None]
        return min(known) if known and len(known) == len(instants) else None

    async def watermarks(self) -> dict[int, datetime]:
        """Per partition of the check-ins topic the greatest `up_to` folded on this cluster."""
        name = self._topic_name("checkins")
        found = await self._offsets.find(
            {"cluster": self._cluster_id, "topic": name, "up_to": {"$exists": True}},
            {"partition": 1, "up_to": 1},
        ).to_list(None)
        return {document["partition"]: document["up_to"] for document in found}

    async def make_indexes(self) -> None:
        """Create the indexes of the intake's own collections."""
        await self._offsets.create_indexes([IndexModel([("cluster", ASCENDING), ("topic", ASCENDING)])])
        await self._parked.create_indexes([IndexModel([("subject", ASCENDING)])])
        await self._dead_letters.create_indexes(
            [
                IndexModel(
                    [("outbox_at", ASCENDING)],
                    name="outbox",
                    partialFilterExpression={"outbox_at": {"$exists": True}},
                ),
                IndexModel([("at", ASCENDING)], name="kept_30_days", expireAfterSeconds=30 * 86_400),
            ]
        )

    # -- life

    async def run(self, cluster_id: str) -> None:
        """Consume until cancelled; starts again by itself when Kafka was away at the start."""
        self._cluster_id = cluster_id
        self._failed = asyncio.get_running_loop().create_future()
        try:
            await self._started()
            await together(self._observe_loop(), self._cover_loop(), self._worker_failed())
        finally:
            await to_the_end(self._stop())

    async def _worker_failed(self) -> None:
        """Ends the intake, and with it the process, when a partition's worker has ended by a bug."""
        raise await self._failed

    def _worker_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_result(error)

    async def _started(self) -> None:
        while True:
            try:
                await self._start()
                return
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("intake cannot start yet", error=repr(error))
                await to_the_end(self._stop())
                await asyncio.sleep(1)

    async def _start(self) -> None:
        broker = KafkaBroker(self._bootstrap, logger=None, client_id=self._group)
        subscriber = broker.subscriber(
            *self._topics,
            batch=True,
            group_id=self._group,
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            batch_timeout_ms=BATCH_TIMEOUT_MS,
            max_records=self._max_batch,
            max_partition_fetch_bytes=FETCH_BYTES,
            listener=self,
            parser=_parse,
            decoder=_decode,
        )
        subscriber(self.take)
        self._broker, self._subscriber = broker, subscriber
        async with asyncio.timeout(20):
            await broker.start()
        # FastStream has one number for both: how long the client waits, and how long it sleeps when nothing came.
        consumer: AIOKafkaConsumer = subscriber.consumer
        consumer.getmany = partial(_getmany, consumer.getmany)

    async def _stop(self) -> None:
        broker, self._broker = self._broker, None
        await self._drop(list(self._partitions))
        if broker is not None:
            stopping = asyncio.create_task(broker.stop())
            await asyncio.wait([stopping], timeout=STOP_S)
            if not stopping.done():
                log.warning("the consumer did not stop in time")
                stopping.cancel()
            elif not stopping.cancelled() and stopping.exception() is not None:
                log.warning("the consumer stopped with an error", error=repr(stopping.exception()))

    # -- rebalances

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let go: what was queued is not folded by this process any more."""
        await self._drop(list(self._partitions))

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Pause and seek synchronously, before anything can be fetched; then find the stored offsets and resume."""
        tps = list(assigned)
        consumer: AIOKafkaConsumer = self._subscriber.consumer
        consumer.pause(*tps)
        for tp in tps:
            consumer.seek(tp, 0)
        while self._broker is not None:
            try:
                stored = await self._stored_offsets(tps)
                begin = await consumer.beginning_offsets(tps)
                end = await consumer.end_offsets(tps)
                break
            except (PyMongoError, KafkaError) as error:
                log.warning("offsets not known yet", error=repr(error))
                await asyncio.sleep(0.5)
        if self._broker is None:
            # It leaves the group: what it began now, nobody would end.
            return
        for tp in tps:
            expected = stored.get(tp, begin[tp])
            if not begin[tp] <= expected <= end[tp]:
                self._halt(tp, expected, begin[tp], end[tp])
                continue
            self._halted.discard(tp)
            telemetry.HALTED.labels(self._consumer_name, tp.topic, tp.partition).set(0)
            part = _Partition(tp, expected, end[tp])
            consumer.seek(tp, expected)
            self._partitions[tp] = part
            part.task = asyncio.create_task(self._work(part), name=f"fold {tp.topic}/{tp.partition}")
            part.task.add_done_callback(self._worker_ended)
        consumer.resume(*(tp for tp in tps if tp in self._partitions))
        self._assigned_once = True
        self._note_caught_up()

    async def _drop(self, tps: Sequence[TopicPartition]) -> None:
        dropped = [part for tp in tps if (part := self._partitions.pop(tp, None)) is not None]
        await end(part.task for part in dropped if part.task is not None)

    def _halt(self, tp: TopicPartition, expected: int, begin: int, end: int) -> None:
        self._halted.add(tp)
        telemetry.HALTED.labels(self._consumer_name, tp.topic, tp.partition).set(1)
        log.critical(
            "stored offset out of range: this partition stands still",
            topic=tp.topic, partition=tp.partition, stored=expected, begin=begin, end=end,
        )  # fmt: skip

    # -- batches

    async def take(self, records: tuple[ConsumerRecord, ...]) -> None:
        """The subscriber: sort records to their partitions; pauses a partition that has enough queued.

        What was fetched before a partition was sought to its stored offset is passed over: it comes again in its
        turn, and taken in now it would let the offset leap over what lies between.
        """
        consumer: AIOKafkaConsumer = self._subscriber.consumer
        sorted_: dict[TopicPartition, list[ConsumerRecord]] = {}
        for record in records:
            sorted_.setdefault(TopicPartition(record.topic, record.partition), []).append(record)
        for tp, found in sorted_.items():
            if tp not in self._partitions or await consumer.position(tp) <= found[-1].offset:
                continue
            part = self._partitions.get(tp)
            if part is None:
                continue
            part.queue.extend(found)
            part.wake.set()
            if len(part.queue) > self._high_water and not part.paused:
                part.paused = True
                consumer.pause(tp)

    @property
    def _high_water(self) -> int:
        """How many records a partition may have queued, so that memory is bounded whatever their number."""
        return min(HIGH_WATER, QUEUED // max(1, len(self._partitions)))

    async def _work(self, part: _Partition) -> None:
        async with self._mongo.session() as session:
            await self._take_over(part, session)
            await self._fold_queued(part, session)

    async def _take_over(self, part: _Partition, session: Session) -> None:
        """End the session of who folded this partition before, so that a transaction it died in holds up nobody."""
        id_ = self._offset_id(part.tp)
        while True:
            try:
                await self._mongo.take_over(self._sessions, id_, session)
                return
            except PyMongoError as error:
                log.warning("partition not taken over yet", error=repr(error), topic=part.tp.topic)
                await asyncio.sleep(RETRY_S[-1])

    async def _fold_queued(self, part: _Partition, session: Session) -> None:
        consumer: AIOKafkaConsumer = self._subscriber.consumer
        failures = stumbles = 0
        refused: str | None = None
        # A driver that is cancelled may end with another error than that: then this worker is not to go on.
        while self._partitions.get(part.tp) is part:
            if not part.queue:
                part.wake.clear()
                await part.wake.wait()
            at_once = min(part.at_once, self._max_batch)
            records = list(islice(part.queue, at_once))
            fresh = [record for record in records if record.offset >= part.expected]
            if fresh:
                try:
                    await self._take_in(part, fresh, session, refused)
                    part.at_once = min(MAX_BATCH, 2 * part.at_once)
                    failures, stumbles, refused = 0, 0, None
                except Crowded:
                    part.at_once = max(1, len(records) // 4)
                    log.info("a crowded batch is made smaller", topic=part.tp.topic, records=part.at_once)
                    continue
                except Fenced:
                    log.warning(
                        "fenced: somebody else folds this partition", topic=part.tp.topic, n=part.tp.partition
                    )
                    await self._reposition(part)
                    continue
                except PyMongoError as error:
                    log.warning("batch not stored, trying again", error=repr(error), topic=part.tp.topic)
                    # It may have taken too long, and would again.
                    part.at_once = max(1, len(records) // 2)
                    await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                    failures += 1
                    continue
                except OF_DATA as error:
                    if len(fresh) > 1:
                        log.warning(
                            "a fold failed: smaller batches are tried", error=repr(error), topic=part.tp.topic
                        )
                        part.at_once = max(1, len(records) // 2)
                        continue
                    log.exception("a record makes the fold fail", topic=part.tp.topic, offset=fresh[0].offset)
                    # Alone next time as well, whatever comes meanwhile.
                    part.at_once = len(records)
                    stumbles += 1
                    if stumbles >= FOLD_TRIES:
                        refused = f"fold: {type(error).__name__}"
                    await asyncio.sleep(RETRY_S[min(stumbles, len(RETRY_S)) - 1])
                    continue
                except Exception:
                    log.exception("a fold failed: this partition stands still", topic=part.tp.topic)
                    await asyncio.sleep(RETRY_S[-1])
                    continue
            for _ in records:
                part.queue.popleft()
            if part.paused and len(part.queue) < self._high_water // 3:
                part.paused = False
                consumer.resume(part.tp)
            self._note_caught_up()

    async def _reposition(self, part: _Partition) -> None:
        """After fencing: go on from where the store says, unless this partition is taken away meanwhile."""
        while True:
            await asyncio.sleep(0.2)
            try:
                stored = await self._stored_offsets([part.tp])
                break
            except PyMongoError as error:
                log.warning("offset not known yet", error=repr(error))
        part.subjects.clear()
        part.expected = stored.get(part.tp, part.expected)
        part.queue.clear()
        self._subscriber.consumer.seek(part.tp, part.expected)

    async def _take_in(
        self,
        part: _Partition,
        records: Sequence[ConsumerRecord],
        session: Session,
        refused: str | None = None,
    ) -> None:
        """Fold records; or put them away for the reason `refused`."""
        topic = self._topics[part.tp.topic]
        if refused is None:
            parsed = [_parsed(record, topic) for record in records]
        else:
            parsed = [_Parsed(record, reason=refused) for record in records]
        started = time.perf_counter()
        trusting = levers.on(levers.NEW_SUBJECTS) and not part.repeats
        links = _links(parsed)
        async with self._turn, self._clock.deciding():
            with telemetry.tracer().start_as_current_span(
                f"fold {topic}", links=links, kind=trace.SpanKind.CONSUMER
            ):
                while True:
                    tried = _Attempt(self, part, topic, parsed, records[-1].offset + 1, trusting=trusting)
                    try:
                        folded = await self._mongo.transaction(
                            tried.run, seconds=TRANSACTION_S, session=session
                        )
                        break
                    except BulkWriteError as error:
                        if not trusting or duplicate_key(error) is None:
                            raise
                        trusting = False
        part.expected = tried.next_offset
        self._seen[part.tp] = Seen(part.expected, time.monotonic())
        tried.committed()
        if folded.after_commit is not None:
            folded.after_commit()
        telemetry.FOLD_SECONDS.labels(self._consumer_name).observe(time.perf_counter() - started)
        telemetry.FOLDED.labels(self._consumer_name, topic).inc(len(records))

    # -- helpers

    def _topic_name(self, topic: str) -> str:
        return self._prefix + contract.TOPICS[topic]

    def _offset_id(self, tp: TopicPartition) -> str:
        return f"{self._cluster_id}|{tp.topic}|{tp.partition}"

    async def _stored_offsets(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        ids = {self._offset_id(tp): tp for tp in tps}
        found = await self._offsets.find({"_id": {"$in": list(ids)}}, {"next": 1}).to_list(None)
        return {ids[document["_id"]]: int(document["next"]) for document in found}

    def _all_partitions(self) -> list[TopicPartition]:
        consumer: AIOKafkaConsumer | None = self._subscriber.consumer if self._subscriber else None
        if consumer is None:
            return []
        return [
            TopicPartition(name, partition)
            for name in self._topics
            for partition in sorted(consumer.partitions_for_topic(name) or ())
        ]

    def _note_caught_up(self) -> None:
        if not self._caught_up and self._assigned_once:
            self._caught_up = all(part.expected >= part.end_at_start for part in self._partitions.values())

    async def _observe_loop(self) -> None:
        while True:
            await asyncio.sleep(OBSERVE_S)
            try:
                await self._observe()
            except (KafkaError, PyMongoError, TimeoutError) as error:
                log.warning("lag not known", error=repr(error))

    async def _observe(self) -> None:
        telemetry.PARKED.labels(self._consumer_name).set(
            len(await self._parked.distinct("subject")) if await self._parked.find_one() else 0
        )
        consumer: AIOKafkaConsumer = self._subscriber.consumer
        parts = list(self._partitions.values())
        if not parts:
            return
        async with asyncio.timeout(5):
            ends = await consumer.end_offsets([part.tp for part in parts])
        for part in parts:
            end = ends[part.tp]
            telemetry.LAG.labels(self._consumer_name, part.tp.topic, part.tp.partition).set(
                max(0, end - part.expected)
            )
            if end < part.expected and part.tp in self._partitions:
                self._halt(part.tp, part.expected, 0, end)

    async def _cover_loop(self) -> None:
        """Sample the ends of the log, then note the instant when the stored offsets have passed them."""
        while True:
            try:
                await self._cover()
            except (KafkaError, PyMongoError, TimeoutError) as error:
                log.warning("coverage not known", error=repr(error))
            await self._clock.pause(0.2)

    async def _cover(self) -> None:
        consumer: AIOKafkaConsumer = self._subscriber.consumer
        sampled_at = self._clock.now()
        tps = self._all_partitions()
        if not tps:
            return
        async with asyncio.timeout(5):
            waiting = await consumer.end_offsets(tps)
        for attempt in range(50):
            asked_at = time.monotonic()
            stored = await self._stored_offsets(list(waiting))
            self._see(stored, asked_at)
            for tp in [tp for tp, last in waiting.items() if stored.get(tp, 0) >= last]:
                self._coverage[tp] = sampled_at
                del waiting[tp]
            if not waiting:
                return
            await asyncio.sleep(0.02 if attempt < 25 else 0.1)

    def _see(self, stored: Mapping[TopicPartition, int], asked_at: float) -> None:
        """Note how far partitions were folded; an answer asked for before this process went further is late."""
        for tp, next_offset in stored.items():
            seen = self._seen.get(tp)
            if seen is None or seen.at <= asked_at:
                self._seen[tp] = Seen(next_offset, asked_at)


class _Attempt:
    """One batch's transaction; `run` may be called several times, each from the start.

    `trusting`: a subject whose first event comes is taken for new, and not looked for. To look for what is not there is
    the dearest of reads: MongoDB walks over all that other transactions have inserted beside it. Was the event folded
    before, then the subject's insert is refused, and with it the whole transaction.
    """

    def __init__(
        self,
        intake: Intake,
        part: _Partition,
        topic: str,
        parsed: Sequence[_Parsed],
        next_offset: int,
        *,
        trusting: bool,
    ) -> None:
        self._intake = intake
        self._part = part
        self._topic = topic
        self._parsed = parsed
        self.next_offset = next_offset
        self._trusting = trusting
        self._learned: dict[str, _Subject] = {}
        self._new: set[str] = set()
        self._dead: list[Doc] = []
        self._released: list[Doc] = []
        self._duplicates = 0
        self._unknown = 0
        self._gaps = 0
        self._tries = 0

    async def run(self, session: Session) -> Folded:
        self._tries += 1
        if self._tries > TRIES and len(self._parsed) > 1:
            raise Crowded
        self._learned, self._dead, self._new, self._released = {}, [], set(), []
        self._duplicates = self._unknown = self._gaps = 0
        dead: list[tuple[ConsumerRecord | Doc, str]] = []
        await self._move_offset(session)
        known = await self._known(session)
        strangers = await self._strangers(session)
        accepted: list[Received] = []
        parking: list[Doc] = []
        for place, item in enumerate(self._parsed):
            if item.decoded is None:
                dead.append((item.raw, item.reason or "unreadable"))
                continue
            decoded = item.decoded
            if decoded.sequence is None:
                if not decoded.known:
                    self._unknown += 1
                continue
            id_ = item.subject
            subject = known.get(id_)
            foreign = strangers.get(place) if strangers else None
            if subject is not None and subject.org_id != decoded.org_id:
                foreign = decoded.subject
            elif self._topic == GOALS:
                mentorship = known.get(_mentorship_of(decoded))
                if mentorship is not None and mentorship.org_id != decoded.org_id:
                    foreign = f"mentorship/{decoded.key}"
            if foreign is not None:
                dead.append((item.raw, f"tenant: {foreign} belongs to another organization"))
                continue
            if subject is None:
                subject = known[id_] = _Subject(decoded.org_id, 0, 0)
                self._new.add(id_)
            if decoded.sequence <= subject.seq:
                self._duplicates += 1
                continue
            if decoded.sequence > subject.seq + 1:
                self._gaps += 1
                subject.parked += 1
                parking.append(self._parking(id_, item.raw, decoded))
                self._learned[id_] = subject
                continue
            self._accept(decoded, item.raw.offset, subject, accepted)
            self._learned[id_] = subject
            if subject.parked:
                await self._release(id_, subject, accepted, parking, session)
        new = frozenset(id_.partition("|")[2] for id_ in self._new) if self._trusting else frozenset[str]()
        batch = Batch(self._topic, self._part.tp.partition, accepted, new)
        folded = await self._intake._fold.fold(batch, session)
        if folded.rejected:
            raws: dict[int, ConsumerRecord | Doc] = {item.raw.offset: item.raw for item in self._parsed}
            raws |= {document["offset"]: document for document in self._released}
            dead += [(raws[received.offset], reason) for received, reason in folded.rejected]
        await self._write(parking, dead, session)
        return folded

    def committed(self) -> None:
        """The transaction stands: remember the subjects, count, and send the dead letters."""
        self._part.repeats = self._duplicates > 0
        cache = self._part.subjects
        for id_, subject in self._learned.items():
            cache[id_] = subject
            cache.move_to_end(id_)
        while len(cache) > SUBJECTS_CACHED:
            cache.popitem(last=False)
        name = self._intake._consumer_name
        telemetry.DUPLICATES.labels(name, self._topic).inc(self._duplicates)
        telemetry.UNKNOWN_TYPES.labels(name, self._topic).inc(self._unknown)
        telemetry.GAPS.labels(name, self._topic).inc(self._gaps)
        for document in self._dead:
            telemetry.DEAD_LETTERS.labels(name, self._topic, document["reason"].split(":")[0]).inc()
            log.error("dead letter", id=document["_id"], reason=document["reason"])
            self._intake._publisher.kick(self._intake._dead_letters, document)

    # -- steps

    async def _move_offset(self, session: Session) -> None:
        part, intake = self._part, self._intake
        id_ = intake._offset_id(part.tp)
        setting: Doc = {"next": self.next_offset}
        update: Doc = {"$set": setting}
        ups = [
            item.decoded.data.up_to
            for item in self._parsed
            if item.decoded is not None and item.decoded.type == "CheckInsWatermark"
        ]
        if ups:
            update["$max"] = {"up_to": max(ups)}
        moved = await intake._offsets.update_one({"_id": id_, "next": part.expected}, update, session=session)
        if moved.matched_count == 1:
            return
        if await intake._offsets.find_one({"_id": id_}, {"_id": 1}, session=session) is not None:
            raise Fenced
        document: Doc = {
            "_id": id_,
            "cluster": intake._cluster_id,
            "topic": part.tp.topic,
            "partition": part.tp.partition,
            "next": self.next_offset,
        }
        if ups:
            document["up_to"] = max(ups)
        try:
            await intake._offsets.insert_one(document, session=session)
        except DuplicateKeyError as error:
            raise Fenced from error

    async def _known(self, session: Session) -> dict[str, _Subject]:
        """The sequences of subjects, from the cache of this partition or from the store; copies, to be changed.

        Of the goals topic also those of the mentorships that its goals are in, for whose they are.
        """
        cache = self._part.subjects
        known: dict[str, _Subject] = {}
        wanted: list[str] = []
        met: set[str] = set()
        for item in self._parsed:
            decoded = item.decoded
            if decoded is None or decoded.sequence is None:
                continue
            # What begins in this batch comes before what is in it, and is not looked for.
            for id_ in (item.subject, _mentorship_of(decoded)) if self._topic == GOALS else (item.subject,):
                if id_ in met:
                    continue
                met.add(id_)
                if (cached := cache.get(id_)) is not None:
                    known[id_] = _Subject(cached.org_id, cached.seq, cached.parked)
                elif not (self._trusting and decoded.sequence == 1 and id_ == item.subject):
                    wanted.append(id_)
        if wanted:
            found = self._intake._subjects.find({"_id": {"$in": wanted}}, session=session)
            for document in await found.to_list(None):
                known[document["_id"]] = _Subject(
                    document["org_id"], document["seq"], document.get("parked", 0)
                )
        return known

    async def _strangers(self, session: Session) -> dict[int, str]:
        """Which records, by their place, name a goal or mentorship of another organization; and which that is.

        As far as it is known here whose they are.
        """
        if self._topic == GOALS or GOALS not in self._intake._topics.values():
            return {}
        checked = self._intake._owners if levers.on(levers.OWNERS_CACHE) else OrderedDict[_Named, str]()
        strangers: dict[int, str] = {}
        asked: list[tuple[int, str, _Named]] = []
        for place, item in enumerate(self._parsed):
            decoded = item.decoded
            if decoded is None or decoded.data is None:
                continue
            data = decoded.data
            named = (getattr(data, "goal_id", None), getattr(data, "mentorship_id", None))
            if checked.get(named) != decoded.org_id:
                asked.append((place, decoded.org_id, named))
        if not asked:
            return strangers
        wanted = {id_ for _, _, named in asked for id_ in _subjects_of(named)}
        found = self._intake._subjects.find({"_id": {"$in": list(wanted)}}, {"org_id": 1}, session=session)
        owners = {document["_id"]: document["org_id"] for document in await found.to_list(None)}
        for place, org_id, named in asked:
            subjects = _subjects_of(named)
            for id_ in subjects:
                if owners.get(id_, org_id) != org_id:
                    strangers[place] = id_.partition("|")[2]
            if all(owners.get(id_) == org_id for id_ in subjects):
                # Who owns a subject never changes, so it may be kept whatever becomes of this transaction.
                checked[named] = org_id
        while len(checked) > OWNERS_CACHED:
            checked.popitem(last=False)
        return strangers

    def _accept(
        self, decoded: contract.Decoded, offset: int, subject: _Subject, accepted: list[Received]
    ) -> None:
        assert decoded.sequence is not None  # noqa: S101 - narrows; the caller has looked
        subject.seq = decoded.sequence
        if not decoded.known:
            self._unknown += 1
            return
        received = Received(
            decoded.type, decoded.id, decoded.subject, decoded.org_id, decoded.sequence,
            decoded.time, decoded.key, decoded.traceparent, decoded.data, offset,
        )  # fmt: skip
        accepted.append(received)

    async def _release(
        self,
        id_: str,
        subject: _Subject,
        accepted: list[Received],
        parking: list[Doc],
        session: Session,
    ) -> None:
        """The missing record has come: let follow what was parked behind it."""
        waiting = await self._intake._parked.find({"subject": id_}, session=session).to_list(None)
        waiting += [document for document in parking if document["subject"] == id_]
        for document in sorted(waiting, key=lambda d: int(d["seq"])):
            if document["seq"] > subject.seq + 1:
                break
            subject.parked -= 1
            if document in parking:
                parking.remove(document)
            else:
                await self._intake._parked.delete_one({"_id": document["_id"]}, session=session)
            if document["seq"] == subject.seq + 1:
                decoded = contract.decode(
                    document["headers"], document["key"], document["value"], self._topic
                )
                self._released.append(document)
                self._accept(decoded, document["offset"], subject, accepted)

    def _parking(self, id_: str, raw: ConsumerRecord, decoded: contract.Decoded) -> Doc:
        log.error("gap in a subject's sequence: parked", subject=decoded.subject, sequence=decoded.sequence)
        return {
            "_id": f"{self._intake._offset_id(self._part.tp)}|{raw.offset}",
            "subject": id_,
            "seq": decoded.sequence,
            "offset": raw.offset,
            "key": raw.key,
            "value": raw.value,
            "headers": [[name, value] for name, value in raw.headers],
            "at": datetime.now(UTC),
        }

    async def _write(
        self, parking: Sequence[Doc], dead: Sequence[tuple[ConsumerRecord | Doc, str]], session: Session
    ) -> None:
        intake = self._intake
        subjects, inserting = Writes(), levers.on(levers.NEW_SUBJECTS)
        for id_, subject in self._learned.items():
            if inserting and id_ in self._new:
                subjects.insert(
                    {"_id": id_, "seq": subject.seq, "parked": subject.parked, "org_id": subject.org_id}
                )
            else:
                subjects.upsert(
                    id_,
                    {
                        "$set": {"seq": subject.seq, "parked": subject.parked},
                        "$setOnInsert": {"org_id": subject.org_id},
                    },
                )
        await write_all(intake._subjects, subjects, session)
        if parking:
            await intake._parked.bulk_write([InsertOne(document) for document in parking], session=session)
        if dead:
            now = self._intake._clock.now()
            documents = [self._dead_letter(raw, reason, now) for raw, reason in dead]
            # Whoever folds a record anew, into another generation, finds it refused already.
            done = await intake._dead_letters.bulk_write(
                [
                    UpdateOne({"_id": document["_id"]}, {"$setOnInsert": document}, upsert=True)
                    for document in documents
                ],
                session=session,
            )
            self._dead = [documents[index] for index in done.upserted_ids or {}]

    def _dead_letter(self, raw: ConsumerRecord | Doc, reason: str, now: datetime) -> Doc:
        tp = self._part.tp
        if isinstance(raw, dict):
            key, value, headers, offset = raw["key"], raw["value"], raw["headers"], raw["offset"]
        else:
            key, value, headers, offset = raw.key, raw.value, raw.headers, raw.offset
        extra = {
            "reason": reason,
            "topic": tp.topic,
            "partition": str(tp.partition),
            "offset": str(offset),
            "consumer": self._intake._consumer_name,
            "failed-at": contract.format_time(now),
        }
        return dead_letter(
            f"{self._intake._offset_id(tp)}|{offset}",
            reason,
            Outgoing(tp.topic, key, value, [(name, content) for name, content in headers]),
            [(f"onbelay-dead-letter-{name}", content.encode()) for name, content in extra.items()],
            now,
        )


def _parsed(record: ConsumerRecord, topic: str) -> _Parsed:
    try:
        decoded = contract.decode(record.headers, record.key, record.value, topic)
        return _Parsed(record, decoded, None, f"{topic}|{decoded.subject}")
    except contract.BadRecord as error:
        return _Parsed(record, reason=str(error))


def _mentorship_of(decoded: contract.Decoded) -> str:
    """The subject of the mentorship that an event of the goals topic is keyed by, by its document's id."""
    return f"{GOALS}|mentorship/{decoded.key}"


def _subjects_of(named: _Named) -> list[str]:
    """The subjects of the goals topic that an event's data name, by their documents' ids."""
    goal_id, mentorship_id = named
    found = [] if goal_id is None else [f"{GOALS}|goal/{goal_id}"]
    if mentorship_id is not None:
        found.append(f"{GOALS}|mentorship/{mentorship_id}")
    return found


def _links(parsed: Sequence[_Parsed]) -> list[trace.Link]:
    """The traces that the batch's first records belong to; a few, for a span has bounds."""
    links = []
    for item in parsed[:16]:
        traceparent = item.decoded.traceparent if item.decoded is not None else None
        if traceparent:
            link = telemetry.link_to(traceparent)
            if link is not None:
                links.append(link)
    return links


async def _getmany(
    getmany: Callable[..., Awaitable[_Fetched]], *, timeout_ms: int, max_records: int
) -> _Fetched:
    return await getmany(timeout_ms=max(timeout_ms, WAIT_MS), max_records=max_records)


async def _parse(message: tuple[ConsumerRecord, ...]) -> KafkaMessage:
    """Records as they are: FastStream's own parser decodes headers, and one bad header would end a whole batch."""
    return KafkaMessage(body=b"", raw_message=message, consumer=None)  # type: ignore[arg-type]


async def _decode(message: KafkaMessage) -> Any:
    return message.raw_message
