"""Follows Onbelay's events as a service of yours would: `python examples/follow.py 127.0.0.1:9092`.

Prints a line per event, each once. It needs aiokafka and nothing of this repository; what it relies on is the contract:
attributes in `ce_*` headers, JSON in the value, at least once, in sequence per subject.

In a service of yours, keep `seen` where you keep what you make of the events, in the same transaction, with the offset:
then neither a crash nor a redelivery makes a difference.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer

TOPICS = ("onbelay.goals.v1", "onbelay.checkins.v1", "onbelay.nudges.v1")


async def events(bootstrap: str, topics: tuple[str, ...], *, follow: bool) -> AsyncIterator[dict[str, Any]]:
    """The events of the topics from the beginning, each once; without `follow` those that stand there now."""
    # A `group_id` of your own would share the partitions among your processes.
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        seen: dict[tuple[str, str], int] = {}
        ends = await consumer.end_offsets(consumer.assignment())
        while follow or any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    headers = {name: value.decode() for name, value in record.headers if value is not None}
                    if "ce_sequence" not in headers:
                        continue  # a watermark: it says how far the check-ins are complete, and tells no event
                    subject, sequence = headers["ce_subject"], int(headers["ce_sequence"])
                    if sequence <= seen.get((record.topic, subject), 0):
                        continue  # a redelivery
                    seen[record.topic, subject] = sequence
                    yield {
                        "type": headers["ce_type"],
                        "time": headers["ce_time"],
                        "subject": subject,
                        "sequence": sequence,
                        "data": json.loads(record.value),
                    }
    finally:
        await consumer.stop()


async def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap", help="where Kafka is, host:port")
    parser.add_argument("topics", nargs="*", default=TOPICS, help=f"default: {' '.join(TOPICS)}")
    parser.add_argument("--once", action="store_true", help="end with what stands there now")
    options = parser.parse_args()
    async for event in events(options.bootstrap, tuple(options.topics), follow=not options.once):
        print(json.dumps(event), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
