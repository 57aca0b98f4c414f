"""HTTP: events as they come, as server-sent events, to coordinators' tools.

Delivery: at least once while connected, and over a reconnection that names `Last-Event-ID`: the stream then begins
with what was published since that event was made, a little of which may have been seen (tell by `id`). Each
connection reads Kafka itself, without a group, so a slow client holds up nobody, and nothing is stored for it.
On failure the connection ends, and the client comes back.
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

from shared import events as contract
from shared import http
from shared.errors import Unavailable
from shared.http import Caller, Reply, Router
from shared.settings import Settings

log = structlog.get_logger(__name__)

MOST_LISTENERS = 64
"""Each reads all topics; more than this, and the service would be busy with them alone."""
LIFE_S = 600.0
"""A connection ends after this, and the client comes back with a token that still holds."""
QUIET_S = 15.0
"""A comment is sent after this, so that proxies keep the connection, and a client that is gone is noticed."""
START_S = 4.0
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
        )
        self._listeners += 1
        listening = Listening(consumer, self._topics, org_id, self._gone)
        try:
            async with asyncio.timeout(START_S):
                await consumer.start()
                await _position(consumer, last_event_id)
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

    async def frames(self) -> AsyncIterator[bytes]:
        """Server-sent events, until the connection has lived long enough or Kafka is lost."""
        begun = time.monotonic()
        yield b"retry: 2000\n\n"
        while time.monotonic() - begun < LIFE_S:
            try:
                batches = await self._consumer.getmany(timeout_ms=int(QUIET_S * 1000), max_records=200)
            except KafkaError as error:
                log.warning("a live stream ended", error=repr(error))
                return
            if not batches:
                yield b": quiet\n\n"
            for tp, records in batches.items():
                for record in records:
                    frame = _frame(record, self._topics[tp.topic], self._org_id, self._seen)
                    if frame is not None:
                        yield frame

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


async def _position(consumer: AIOKafkaConsumer, last_event_id: str | None) -> None:
    tps = list(consumer.assignment())
    since = _made_at(last_event_id)
    # Ends first: what is published while the rest is looked up is not to be missed.
    offsets = await consumer.end_offsets(tps)
    if since is not None:
        found = await consumer.offsets_for_times(dict.fromkeys(tps, since))
        offsets |= {tp: at.offset for tp, at in found.items() if at is not None}
    for tp in tps:
        consumer.seek(TopicPartition(tp.topic, tp.partition), offsets[tp])


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
