"""The producer and the small questions asked of a Kafka cluster: its id, its partitions."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from aiokafka.structs import RecordMetadata

log = structlog.get_logger(__name__)

AWAY_AFTER_S = 3.0
"""A record that waits longer than this for its ack means that Kafka is away."""

Headers = Sequence[tuple[str, bytes | None]]


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A record to send. `partition` None: by the key's murmur2, as Java's and aiokafka's default does."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None


@lru_cache(16_384)
def partition_of(key: str, partitions: int) -> int:
    """The partition of a key among `partitions`, as the producers' default partitioner chooses it.

    Kept, since murmur2 in Python takes longer than all else that is done to send a record.
    """
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % partitions)


async def cluster_id(bootstrap: str, *, seconds: float = 5.0) -> str:
    """The id of the cluster at `bootstrap`.

    Raises:
        KafkaError, TimeoutError: it does not answer in time.
    """
    async with asyncio.timeout(seconds):
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=int(seconds * 1000))
        try:
            await admin.start()
            return str((await admin.describe_cluster())["cluster_id"])
        finally:
            with contextlib.suppress(KafkaError):
                await admin.close()


class Producer:
    """An idempotent producer (acks=all) that outlives outages and its own fatal errors.

    A record's future is never given up while the client may still deliver it, so nothing is sent a second time
    behind its own back; `away` tells that records have waited for `AWAY_AFTER_S`. After an error that ends an
    idempotent producer (OutOfOrderSequence and the like) the next send makes a new one.

    Linger is 0 and batches are 256 KiB: records collect while a request is in flight, which measured best.
    """

    def __init__(self, bootstrap: str, *, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._waiting: dict[int, float] = {}
        self._tickets = 0
        self._unreachable = False

    @property
    def away(self) -> bool:
        """Whether the last start failed, or a record has been waiting for its ack for `AWAY_AFTER_S`."""
        if self._unreachable:
            return True
        oldest = next(iter(self._waiting.values()), None)
        return oldest is not None and time.monotonic() - oldest > AWAY_AFTER_S

    async def send(self, record: Outgoing) -> asyncio.Future[RecordMetadata]:
        """Hand a record to the client; the future is done when all replicas in sync have it.

        Raises:
            KafkaError, TimeoutError: the client cannot take it now. Nothing was sent.
        """
        self._tickets += 1
        ticket = self._tickets
        self._waiting[ticket] = time.monotonic()
        try:
            producer = await self._running()
            if record.key is None and record.value is None:
                future = await self._send_empty(producer, record)
            else:
                future = await producer.send(
                    record.topic,
                    key=record.key,
                    value=record.value,
                    headers=list(record.headers),
                    partition=record.partition,
                )
        except BaseException:
            self._waiting.pop(ticket, None)
            raise
        future.add_done_callback(lambda done: self._settled(ticket, producer, done))
        return future

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has.

        Raises:
            KafkaError, TimeoutError: it cannot be told now.
        """
        producer = await self._running()
        return len(await producer.partitions_for(topic))

    async def send_batch(
        self, topic: str, partition: int, records: Iterable[Outgoing]
    ) -> tuple[asyncio.Future[RecordMetadata], int]:
        """Hand over as many of `records`, from the first, as go in one batch, in their order; and how many those are.

        What `send` does record by record, at a quarter of its cost; their `topic` and `partition` are not looked at.
        Of an iterator no more is taken than goes in, and one. Waits until the batch before it, of this partition, has
        left. The future is done when all replicas in sync have all of it, or failed for all of it: they keep a batch
        whole or not at all.

        Raises:
            KafkaError, TimeoutError: the client cannot take it now. Nothing was sent.
        """
        self._tickets += 1
        ticket = self._tickets
        self._waiting[ticket] = time.monotonic()
        try:
            producer = await self._running()
            batch = producer.create_batch()
            now = int(time.time() * 1000)
            taken = 0
            for record in records:
                headers = record.headers
                # None: it is full. The first is always taken, however large.
                if batch.append(timestamp=now, key=record.key, value=record.value, headers=headers) is None:
                    break
                taken += 1
            batch.close()
            future: asyncio.Future[RecordMetadata] = await producer.send_batch(
                batch, topic, partition=partition
            )
        except BaseException:
            self._waiting.pop(ticket, None)
            raise
        future.add_done_callback(lambda done: self._settled(ticket, producer, done))
        return future, taken

    @staticmethod
    async def _send_empty(producer: AIOKafkaProducer, record: Outgoing) -> asyncio.Future[RecordMetadata]:
        """Kafka allows a record without key and value (a dead letter may be one); aiokafka's `send` does not."""
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=None, headers=list(record.headers))
        sent: asyncio.Future[RecordMetadata] = await producer.send_batch(
            batch, record.topic, partition=record.partition or 0
        )
        return sent

    def _settled(self, ticket: int, producer: AIOKafkaProducer, done: asyncio.Future[RecordMetadata]) -> None:
        self._waiting.pop(ticket, None)
        if done.cancelled() or done.exception() is None:
            return
        sender = producer._sender
        if producer is self._producer and (sender.sender_task is None or sender.sender_task.done()):
            log.warning("producer ended, a new one follows", error=repr(done.exception()))
            self._producer = None
            closing = asyncio.ensure_future(self._close(producer))
            closing.add_done_callback(lambda _: None)

    async def _running(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    client_id=self._client_id,
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=0,
                    max_batch_size=256 * 1024,
                    max_request_size=4 * 1024 * 1024,
                    request_timeout_ms=10_000,
                    retry_backoff_ms=100,
                )
                try:
                    await asyncio.wait_for(producer.start(), 10)
                except BaseException:
                    self._unreachable = True
                    await self._close(producer)
                    raise
                self._producer = producer
                self._unreachable = False
        return self._producer

    @staticmethod
    async def _close(producer: AIOKafkaProducer) -> None:
        try:
            await asyncio.wait_for(producer.stop(), 3)
        except (TimeoutError, KafkaError) as error:
            log.warning("producer closed with records unsent", error=repr(error))

    async def stop(self) -> None:
        """Close the client; what it had not delivered stays unpublished in the store."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await self._close(producer)
