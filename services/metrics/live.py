"""HTTP: events as they come, as server-sent events, to coordinators' tools.

Delivery: at least once while connected, and over a reconnection that names `Last-Event-ID`. Events are sent in the
order in which they were published, whatever partition they stand in, so that one of them tells what was sent before
it: who comes back gets all that stands after it, wherever the stream was cut. That holds as long as clocks of hosts
differ by less than a second, which is how long an event is held, so that an earlier one can go first. For what came
later than that, a stream that is taken up begins a little before: with what was published in the last five seconds
before that event, a hundred records of it at most. So some comes again (tell by `id`), and a client that takes more
than those at a time always gets on. Where the event is not found soon, the stream begins with what was published
since it was made, less the same five seconds. A stream that ends without having sent anything leaves its client an
id to come back with.

Each connection reads Kafka itself, without a group, so a slow client holds up nobody, and nothing is stored for it;
it keeps some hundred records a partition at most. On failure the connection ends, and the client comes back.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated
from uuid import UUID

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from fastapi import Header
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.metrics.domain.order import InOrder
from shared import events as contract
from shared import http
from shared.errors import Unavailable
from shared.http import Caller, Reply, Router
from shared.ids import uuid7
from shared.settings import Settings

log = structlog.get_logger(__name__)

MOST_LISTENERS = 64
"""Each reads all topics; more than this, and the service would be busy with them alone."""
LIFE_S = 600.0
"""A connection ends after this, and the client comes back with a token that still holds."""
QUIET_S = 15.0
"""A comment is sent after this, so that proxies keep the connection, and a client that is gone is noticed."""
START_S = 4.0
FIND_S = 3.0
"""For so long the event that a client names is looked for."""
SLACK_MS = 5_000
"""An event may have been published so much before its id says, and be stored so much later than its neighbours."""
AGAIN = 100
"""Of what was published in the slack, so many records come again: under a burst a client could else never get on."""
FETCHED = 128 * 1024
"""Bytes of a partition at a time."""
KEPT = 200
"""A partition of which more records wait is read no further."""
SEEN = 1_000


class Live:
    """The streams of one process.

    Args:
        settings: where Kafka is, and the topics' prefix.
        topics: short names of the topics to stream.
    """

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self._bootstrap = settings.kafka_bootstrap
        self._topics = {settings.topic(contract.TOPICS[topic]): topic for topic in topics}
        self._listeners = 0

    async def listen(self, org_id: str, last_event_id: str | None) -> Listening:
        """The events of an organization from now on, or since an event; returns once none can be missed.

        Raises:
            Unavailable: too many are listening, or Kafka does not answer.
        """
        if self._listeners >= MOST_LISTENERS:
            raise Unavailable("Too many are listening; try again later.", retry_after=5)
        consumer = AIOKafkaConsumer(
            *self._topics,
            bootstrap_servers=self._bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            fetch_max_wait_ms=200,
            max_partition_fetch_bytes=FETCHED,
        )
        self._listeners += 1
        listening = Listening(consumer, self._topics, org_id, self._gone)
        try:
            async with asyncio.timeout(START_S + FIND_S):
                await consumer.start()
                await listening.begin(last_event_id)
        except (KafkaError, TimeoutError, OSError) as error:
            await listening.close()
            raise Unavailable("Kafka does not answer just now; try again soon.", retry_after=2) from error
        except BaseException:
            await listening.close()
            raise
        return listening

    def _gone(self) -> None:
        self._listeners -= 1


class Listening:
    """One client's stream; has to be closed."""

    def __init__(
        self, consumer: AIOKafkaConsumer, topics: Mapping[str, str], org_id: str, gone: Callable[[], None]
    ) -> None:
        self._consumer = consumer
        self._topics = topics
        self._org_id = org_id
        self._gone: Callable[[], None] | None = gone
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._order: InOrder[TopicPartition, ConsumerRecord] = InOrder(())
        self._ends: dict[TopicPartition, int] = {}
        self._ended: set[TopicPartition] = set()
        self._come_back: str | None = None

    async def begin(self, last_event_id: str | None) -> None:
        """Go to where the stream begins: to now, or to where it was cut.

        Raises:
            KafkaError: the places cannot be had.
        """
        made = _made_at(last_event_id)
        if last_event_id is None or made is None:
            self._come_back = uuid7()
        tps = sorted(self._consumer.assignment())
        self._order = InOrder(tps)
        # Ends first: what is published while the rest is looked up is not to be missed.
        self._ends = starts = await self._consumer.end_offsets(tps)
        if last_event_id is not None and made is not None:
            starts = await _resumed(self._consumer, last_event_id, made, self._ends)
        for tp in tps:
            self._consumer.seek(tp, starts[tp])

    async def frames(self) -> AsyncIterator[bytes]:
        """Server-sent events, until the connection has lived long enough or Kafka is lost."""
        begun = time.monotonic()
        yield b"retry: 2000\n\n"
        while time.monotonic() - begun < LIFE_S:
            try:
                record = await self._next()
            except KafkaError as error:
                log.warning("a live stream ended", error=repr(error))
                break
            if record is None:
                yield b": quiet\n\n"
                continue
            frame = _frame(record, self._topics[record.topic], self._org_id, self._seen)
            if frame is not None:
                self._come_back = None
                yield frame
        if self._come_back is not None:
            # Without data this is no event to the client, but what it names when it comes back.
            yield b"id: %s\n\n" % self._come_back.encode()

    async def _next(self) -> ConsumerRecord | None:
        """The record that is next in the order of all partitions; None: there was none for a while."""
        quiet_at = _now() + int(QUIET_S * 1000)
        while (now := _now()) < quiet_at:
            record = self._order.take(self._ended, now)
            if record is not None:
                return record
            held = self._order.wait(self._ended, now)
            await self._fetch(quiet_at - now if held is None else min(held, quiet_at - now))
        return None

    async def _fetch(self, timeout_ms: int) -> None:
        full = {tp for tp in self._ends if self._order.waiting(tp) > KEPT}
        paused = self._consumer.paused()
        self._consumer.pause(*(full - paused))
        self._consumer.resume(*(paused - full))
        for tp, records in (await self._consumer.getmany(timeout_ms=timeout_ms)).items():
            for record in records:
                self._order.put(tp, record.timestamp, record, _now())
        for tp, end in self._ends.items():
            reached = await self._consumer.position(tp) >= max(end, self._consumer.highwater(tp) or 0)
            (self._ended.add if reached else self._ended.discard)(tp)

    async def close(self) -> None:
        """Leave Kafka; may be called again."""
        gone, self._gone = self._gone, None
        if gone is not None:
            gone()
            await self._consumer.stop()


class Stream(StreamingResponse):
    """Closes what it streams whatever ends it, the client's going away before the first byte included."""

    def __init__(self, listening: Listening) -> None:
        self._listening = listening
        super().__init__(
            listening.frames(),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._listening.close()


async def _resumed(
    consumer: AIOKafkaConsumer, event_id: str, made: int, ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Where each partition is taken up by who has seen an event."""
    early = await _published(consumer, dict.fromkeys(ends, made - SLACK_MS), ends)
    seen = await _found(consumer, event_id, early, ends)
    if seen is None:
        return early
    here = TopicPartition(seen.topic, seen.partition)
    # Of the same instant, what stands in partitions before this one was sent before it.
    starts = await _published(consumer, {tp: seen.timestamp + (tp < here) for tp in ends}, ends)
    slack = await _published(consumer, dict.fromkeys(ends, seen.timestamp - SLACK_MS), ends)
    again = AGAIN // len(ends)
    return {tp: max(slack[tp], start - again) for tp, start in starts.items()} | {here: seen.offset + 1}


async def _published(
    consumer: AIOKafkaConsumer, since: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """The offset of what was first published at some instant or later, by partition; its end where there is nothing."""
    found = await consumer.offsets_for_times({tp: max(0, instant) for tp, instant in since.items()})
    return {tp: end if found.get(tp) is None else min(end, found[tp].offset) for tp, end in ends.items()}


async def _found(
    consumer: AIOKafkaConsumer,
    event_id: str,
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> ConsumerRecord | None:
    """The first record of an event, or None where it does not turn up soon."""
    wanted = ("ce_id", event_id.encode())
    unread = {tp for tp in ends if starts[tp] < ends[tp]}
    for tp in ends:
        consumer.seek(tp, starts[tp])
    until = time.monotonic() + FIND_S
    try:
        while unread and time.monotonic() < until:
            consumer.pause(*(ends.keys() - unread))
            for tp, records in (await consumer.getmany(*unread, timeout_ms=200)).items():
                for record in records:
                    if wanted in record.headers:
                        return record
                if records[-1].offset + 1 >= ends[tp]:
                    unread.discard(tp)
        return None
    finally:
        consumer.resume(*consumer.paused())


def _now() -> int:
    """Milliseconds since 1970 by the clock that records are stamped by, which no sandbox moves."""
    return time.time_ns() // 1_000_000


def _made_at(event_id: str | None) -> int | None:
    """When an event was made, in milliseconds since 1970: its id, a UUIDv7, tells. None if it is none."""
    try:
        made = UUID(event_id or "")
    except ValueError:
        return None
    return made.int >> 80 if made.version == 7 else None


def _frame(record: ConsumerRecord, topic: str, org_id: str, seen: OrderedDict[str, None]) -> bytes | None:
    """The record as a server-sent event, if it is an event of the organization that was not sent yet."""
    if ("ce_orgid", org_id.encode()) not in record.headers:
        return None
    try:
        event = contract.decode(record.headers, record.key, record.value, topic)
    except contract.BadRecord:
        return None  # the intake has made it a dead letter
    if not event.known or event.sequence is None or event.id in seen or not event.id.isprintable():
        return None
    seen[event.id] = None
    if len(seen) > SEEN:
        seen.popitem(last=False)
    cloudevent = contract.cloudevent(
        type=event.type,
        id=event.id,
        subject=event.subject,
        time=event.time,
        key=event.key,
        sequence=event.sequence,
        org_id=event.org_id,
        traceparent=event.traceparent,
        data=msgspec.json.decode(record.value),
    )
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        event.id.encode(),
        event.type.encode(),
        msgspec.json.encode(cloudevent),
    )


def routes(live: Live) -> Router:
    """The route of the stream."""
    router = Router(tags=["live"])

    @router.get(
        "/v1/live",
        scopes=[http.PROGRAMS],
        refusals=[503],
        timeout_s=None,
        responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events"}},
    )
    async def follow(
        caller: Caller, last_event_id: Annotated[str | None, Header(max_length=128)] = None
    ) -> Reply:
        """Events of the organization as they come: `id`, `event` the short type, `data` the CloudEvent."""
        return Stream(await live.listen(caller.org_id, last_event_id))

    return router
