"""The worker that sends watermarks (rule 3): up to when every check-in stands in the topic."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from aiokafka.errors import KafkaError
from pymongo.errors import PyMongoError

from services.checkins.domain.watermark import stored_until, watermarks
from services.checkins.store import CheckIns, Cluster
from shared import events as contract
from shared import telemetry
from shared.clock import Clock
from shared.ids import uuid7
from shared.kafka import Outgoing, Producer, cluster_id

log = structlog.get_logger(__name__)

SEND_S = 10.0


class Watermarks:
    """Sends CheckInsWatermark to every partition of the checkins topic.

    Delivery: at least once, and the greatest `up_to` counts. What one says stays true for ever, so a second sender
    (a lease that ran out unnoticed) does no harm. Nothing is sent while Kafka is away, or to a cluster that does not
    have everything yet.
    On failure: logged; the next one says more.

    Args:
        bootstrap: where Kafka is, to ask which cluster it is.
        every_s: real seconds between two; a moved sandbox clock brings one at once.
    """

    def __init__(
        self,
        check_ins: CheckIns,
        cluster: Cluster,
        producer: Producer,
        clock: Clock,
        *,
        bootstrap: str,
        topic_prefix: str,
        partitions: int,
        write_timeout: timedelta,
        every_s: float,
    ) -> None:
        self._check_ins = check_ins
        self._cluster = cluster
        self._producer = producer
        self._clock = clock
        self._bootstrap = bootstrap
        self._topic = topic_prefix + contract.TOPICS["checkins"]
        self._partitions = partitions
        self._write_timeout = write_timeout
        self._every_s = every_s

    async def run(self, _: int) -> None:
        """Send until cancelled."""
        try:
            while True:
                try:
                    await self.send()
                except (KafkaError, PyMongoError, TimeoutError, OSError) as error:
                    log.warning("no watermark this time", error=repr(error))
                await self._clock.pause(self._every_s)
        finally:
            telemetry.WATERMARK_AGE.clear()

    async def send(self) -> None:
        """Send one to each partition.

        Raises:
            KafkaError, TimeoutError, OSError: Kafka does not take them.
            PyMongoError: the store does not answer.
        """
        if self._producer.away or await self._cluster.filled() != await cluster_id(
            self._bootstrap, seconds=3
        ):
            return
        async with self._clock.deciding():
            now = self._clock.now()
            stored = stored_until(now, self._clock.floor, self._write_timeout)
            # Read after `stored` is known: what was logged before it is then seen here, or published.
            oldest = await self._check_ins.oldest_unpublished()
        await self._publish(watermarks(stored, oldest, self._partitions), now)

    async def _publish(self, marks: Mapping[int, datetime], now: datetime) -> None:
        async with asyncio.timeout(SEND_S):
            sent = [
                await self._producer.send(self._record(number, mark, now)) for number, mark in marks.items()
            ]
            await asyncio.gather(*sent)
        for number, mark in marks.items():
            telemetry.WATERMARK_AGE.labels(number).set((now - mark).total_seconds())

    def _record(self, partition: int, up_to: datetime, now: datetime) -> Outgoing:
        event = contract.CheckInsWatermark(partition=partition, up_to=up_to)
        name = type(event).__name__
        subject = contract.subject_of(event)
        return Outgoing(
            topic=self._topic,
            key=subject.encode(),
            value=contract.encode_document(name, contract.to_document(event)),
            headers=contract.headers_of(
                type_=name,
                id_=uuid7(),
                subject=subject,
                time=now,
                key=subject,
                sequence=None,
                org_id=None,
                traceparent=telemetry.current_traceparent(),
            ),
            partition=partition,
        )
