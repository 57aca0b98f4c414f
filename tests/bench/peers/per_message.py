"""The peer of P2: what anyone would write first: a FastStream subscriber per message, with `update_one`.

One message after the other; or, with `max_workers`, so many at once, which lets go of their order.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from pymongo import AsyncMongoClient

from services.metrics.store.generations import Generation
from shared.mongo import Mongo
from tests.bench import told
from tests.bench.peers.projection import updates_of
from tests.bench.peers.topics import topics


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Project `events` records, `workers` at once."""
    mongo = Mongo.connect(os.environ["PEER_MONGO"])
    await Generation(mongo, mongo.database(os.environ["PEER_DATABASE"]), "").make_indexes()
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(os.environ["PEER_MONGO"])
    database = client[os.environ["PEER_DATABASE"]]
    broker = KafkaBroker(os.environ["PEER_KAFKA"], logger=None)
    workers: int = asked["workers"]
    meter, enough, projected = told.Meter(), asyncio.Event(), 0

    @broker.subscriber(
        *topics(os.environ["PEER_TOPIC_PREFIX"]),
        group_id=os.environ["PEER_DATABASE"],
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK_FIRST,
        max_workers=workers,
    )
    async def project(data: dict[str, Any], message: KafkaMessage) -> None:
        nonlocal projected
        if projected >= asked["events"]:
            return
        meter.begin()
        headers = message.headers
        type_ = headers["ce_type"].split(".")[1]
        for collection, update in updates_of(
            type_, headers["ce_id"], headers["ce_subject"], headers["ce_time"], data
        ):
            await database[collection].update_one(update._filter, update._doc, upsert=True)
        projected += 1
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
