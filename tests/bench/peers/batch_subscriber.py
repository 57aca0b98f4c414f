"""The peer of P1 and P5: a FastStream batch subscriber that writes each batch by `bulk_write`.

FastStream decodes the JSON; the handler turns each event into updates, and writes one unordered bulk a collection.
The offset is committed after the handler. No transaction, no fence, no check of schemas or tenants, no order: a crash
between a bulk and the commit counts twice.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from pymongo import AsyncMongoClient, UpdateOne

from services.metrics.store.generations import Generation
from shared.mongo import Mongo
from tests.bench import told
from tests.bench.peers.projection import updates_of
from tests.bench.peers.topics import topics


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Project `events` records in batches of up to `batch`."""
    mongo = Mongo.connect(os.environ["PEER_MONGO"])
    await Generation(mongo, mongo.database(os.environ["PEER_DATABASE"]), "").make_indexes()
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(os.environ["PEER_MONGO"])
    database = client[os.environ["PEER_DATABASE"]]
    broker = KafkaBroker(os.environ["PEER_KAFKA"], logger=None)
    meter, enough, projected = told.Meter(), asyncio.Event(), 0

    @broker.subscriber(
        *topics(os.environ["PEER_TOPIC_PREFIX"]),
        batch=True,
        group_id=os.environ["PEER_DATABASE"],
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        max_records=asked["batch"],
    )
    async def project(events: list[dict[str, Any]], message: KafkaMessage) -> None:
        nonlocal projected
        meter.begin()
        bulks: dict[str, list[UpdateOne]] = {}
        for data, headers in zip(events, message.batch_headers, strict=True):
            type_ = headers["ce_type"].split(".")[1]
            for collection, update in updates_of(
                type_, headers["ce_id"], headers["ce_subject"], headers["ce_time"], data
            ):
                bulks.setdefault(collection, []).append(update)
        for collection, updates in bulks.items():
            await database[collection].bulk_write(updates, ordered=False)
        projected += len(events)
        if projected >= asked["events"]:
            enough.set()

    if asked["tuned"]:
        told.tune_collector()
    await broker.start()
    await asyncio.wait_for(enough.wait(), asked.get("timeout_s", 300))
    answer = meter.told(projected)
    await broker.stop()
    await client.close()
    await mongo.close()
    return answer


if __name__ == "__main__":
    told.answer(main)
