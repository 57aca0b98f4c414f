"""N1: the product's publisher: events that are stored and unpublished, until all are acknowledged and marked so."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.aggregates import Aggregates, Change
from shared.kafka import Producer
from shared.mongo import Collection, Doc, Mongo
from shared.outbox import Publisher
from tests.bench import told
from tests.builders import NOW, Pair

LOOK_S = 0.01


class _Nobody:
    """An outbox that publishes nothing: what a crash leaves."""

    def kick(self, collection: Collection, document: Doc) -> None:
        """Leave it."""


def stored(mongo: Mongo, collection: Collection, events: int) -> list[Doc]:
    """Documents of check-ins with an unpublished event each, as the checkins service stores them."""
    aggregates = Aggregates(mongo, collection, _Nobody())
    pairs = [Pair(mentor_id=f"mentor-{n}", mentee_id=f"mentee-{n}") for n in range(500)]
    left = datetime.now(UTC) - timedelta(minutes=1)

    def change(n: int) -> Change:
        pair = pairs[n % len(pairs)]
        event = pair.logged(goal_id=pair.mentorship_id, confidence=7, realistic=True, attainable=True)
        id_ = event.checkin_id
        return aggregates.new(
            id=id_,
            org_id=pair.org_id,
            key=pair.mentorship_id,
            subject=f"checkin/{id_}",
            now=NOW,
            events=[event],
            fields={"note": "Two of the seven papers are read; the third is harder than it looked."},
        )

    return [{**change(n).after, "outbox_at": left} for n in range(events)]


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Store `events` events, then publish them."""
    mongo = Mongo.connect(os.environ["PEER_MONGO"])
    collection = mongo.database(os.environ["PEER_DATABASE"])["stored"]
    await Aggregates(mongo, collection, _Nobody()).make_indexes()
    documents = stored(mongo, collection, asked["events"])
    for start in range(0, len(documents), 5_000):
        await collection.insert_many(documents[start : start + 5_000])
    documents.clear()
    producer = Producer(os.environ["PEER_KAFKA"], client_id="relay")
    await producer.partitions(os.environ["PEER_TOPIC"])
    publisher = Publisher(producer, [collection], topic_prefix=os.environ["PEER_TOPIC_PREFIX"])
    told.tune_collector()
    meter = told.Meter()
    meter.begin()
    running = asyncio.create_task(publisher.run())
    begun = time.monotonic()
    acked_s = 0.0
    while publisher.published < asked["events"]:
        if not acked_s and publisher.acknowledged >= asked["events"]:
            acked_s = time.monotonic() - begun
        if running.done() or time.monotonic() - begun > asked.get("timeout_s", 120):
            raise RuntimeError(f"not all was published: {running!r}")
        await asyncio.sleep(LOOK_S)
    answer = meter.told(asked["events"])
    left = await collection.count_documents({"outbox_at": {"$exists": True}})
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await producer.stop()
    await mongo.close()
    if left:
        raise RuntimeError(f"{left} are not recorded as published")
    return {**answer, "acked_rate": asked["events"] / (acked_s or answer["seconds"])}


if __name__ == "__main__":
    told.answer(main)
