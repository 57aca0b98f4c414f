"""P8: how long a record on an idle stream waits to be received, and to be stored; the product's, or FastStream's."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import ConsumerRecord
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from pymongo import AsyncMongoClient

from services.metrics.app import build
from services.metrics.settings import MetricsSettings
from shared import intake, telemetry
from shared.kafka import Producer
from shared.mongo import Session
from tests.bench import told
from tests.bench.peers.projection import updates_of
from tests.bench.peers.topics import topics
from tests.bench.workload import BEGIN, outgoing
from tests.builders import Pair

Noted = Callable[[Sequence[str]], None]


@asynccontextmanager
async def product(received: Noted, stored: Noted) -> AsyncIterator[None]:
    """The application of metrics, as shipped."""
    take, take_in = intake.Intake.take, intake.Intake._take_in

    def ids(records: Sequence[ConsumerRecord]) -> list[str]:
        return [dict(record.headers)["ce_id"].decode() for record in records]

    async def taking(self: intake.Intake, records: tuple[ConsumerRecord, ...]) -> None:
        received(ids(records))
        await take(self, records)

    async def taking_in(
        self: intake.Intake,
        part: Any,
        records: Sequence[ConsumerRecord],
        session: Session,
        refused: str | None = None,
    ) -> None:
        await take_in(self, part, records, session, refused)
        stored(ids(records))

    intake.Intake.take, intake.Intake._take_in = taking, taking_in  # type: ignore[method-assign]
    app = build(MetricsSettings())
    async with app.router.lifespan_context(app):
        yield


@asynccontextmanager
async def faststream(received: Noted, stored: Noted) -> AsyncIterator[None]:
    """A FastStream batch subscriber with its defaults, that writes by `bulk_write`."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(os.environ["PEER_MONGO"])
    database = client[os.environ["PEER_DATABASE"]]
    broker = KafkaBroker(os.environ["PEER_KAFKA"], logger=None)

    @broker.subscriber(
        *topics(os.environ["PEER_TOPIC_PREFIX"]),
        batch=True,
        group_id=os.environ["PEER_DATABASE"],
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
    )
    async def project(events: list[dict[str, Any]], message: KafkaMessage) -> None:
        ids = [headers["ce_id"] for headers in message.batch_headers]
        received(ids)
        bulks: dict[str, list[Any]] = {}
        for data, headers in zip(events, message.batch_headers, strict=True):
            type_ = headers["ce_type"].split(".")[1]
            for collection, update in updates_of(
                type_, headers["ce_id"], headers["ce_subject"], headers["ce_time"], data
            ):
                bulks.setdefault(collection, []).append(update)
        for collection, updates in bulks.items():
            await database[collection].bulk_write(updates, ordered=False)
        stored(ids)

    await broker.start()
    try:
        yield
    finally:
        await broker.stop()
        await client.close()


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Send `events` records one by one, with pauses; quantiles in milliseconds of what each waited."""
    telemetry.configure("metrics", "WARNING")
    chance = random.Random(11)
    sent: dict[str, float] = {}
    waited: dict[str, dict[str, float]] = {"received": {}, "stored": {}}

    def noting(what: str) -> Noted:
        def note(ids: Sequence[str]) -> None:
            now = time.perf_counter()
            for id_ in ids:
                if id_ in sent:
                    waited[what].setdefault(id_, (now - sent[id_]) * 1000)

        return note

    run = product if asked["product"] else faststream
    producer = Producer(os.environ["PEER_KAFKA"], client_id="idle")
    async with run(noting("received"), noting("stored")):
        for n in range(-10, asked["events"]):
            pair = Pair()
            record = outgoing(
                (BEGIN, n, pair.started(), f"mentorship/{pair.mentorship_id}", 1),
                os.environ["PEER_TOPIC_PREFIX"],
            )
            id_ = dict(record.headers)["ce_id"] or b""
            if n >= 0:
                sent[id_.decode()] = time.perf_counter()
            await (await producer.send(record))
            await asyncio.sleep(chance.uniform(0.02, 0.25) if n >= 0 else 0.3)
        async with asyncio.timeout(30):
            while len(waited["stored"]) < asked["events"]:  # noqa: ASYNC110 - told by another's hook
                await asyncio.sleep(0.05)
    await producer.stop()

    def quantile(what: str, share: float) -> float:
        found = sorted(waited[what].values())
        return found[min(len(found) - 1, int(len(found) * share))]

    return {
        f"{what}_{name}": quantile(what, share)
        for what in waited
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
    }


if __name__ == "__main__":
    told.answer(main)
