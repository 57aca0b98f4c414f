"""The ceiling of P4: consume and decode only: aiokafka's `getmany` of 500 and msgspec, no store."""

from __future__ import annotations

import os
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer

from shared.events import TYPES
from tests.bench import told
from tests.bench.peers.topics import topics


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Read `events` records into typed structs."""
    decoders = {f"onbelay.{name}.v1".encode(): msgspec.json.Decoder(struct) for name, struct in TYPES.items()}
    consumer = AIOKafkaConsumer(
        *topics(os.environ["PEER_TOPIC_PREFIX"]),
        bootstrap_servers=os.environ["PEER_KAFKA"],
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    meter, read = told.Meter(), 0
    if asked["tuned"]:
        told.tune_collector()
    await consumer.start()
    meter.begin()
    while read < asked["events"]:
        for records in (await consumer.getmany(timeout_ms=20, max_records=500)).values():
            for record in records:
                decoders[dict(record.headers)["ce_type"]].decode(record.value)
            read += len(records)
    answer = meter.told(read)
    await consumer.stop()
    return answer


if __name__ == "__main__":
    told.answer(main)
