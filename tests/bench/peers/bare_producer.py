"""The ceiling of N1: aiokafka's producer, pipelined, sending the same records from memory; set as the product's."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from aiokafka import AIOKafkaProducer

from shared.mongo import Mongo
from shared.outbox import outgoing
from tests.bench import told
from tests.bench.relay import stored


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Send `events` records, each by `send`, and wait for all acknowledgements."""
    mongo = Mongo.connect(os.environ["PEER_MONGO"])
    collection = mongo.database(os.environ["PEER_DATABASE"])["never"]
    documents = stored(mongo, collection, asked["events"], asked["each"])
    prefix = os.environ["PEER_TOPIC_PREFIX"]
    records = [outgoing(document, event, prefix) for document in documents for event in document["events"]]
    documents.clear()
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["PEER_KAFKA"],
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=256 * 1024,
    )
    await producer.start()
    await producer.partitions_for(os.environ["PEER_TOPIC"])
    told.tune_collector()
    meter = told.Meter()
    meter.begin()
    futures = [
        await producer.send(each.topic, each.value, each.key, headers=list(each.headers)) for each in records
    ]
    await asyncio.gather(*futures)
    answer = meter.told(len(records))
    await producer.stop()
    await mongo.close()
    return answer


if __name__ == "__main__":
    told.answer(main)
