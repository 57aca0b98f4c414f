"""Kafka as a test reads it: every record that stands in a topic, as it is, by a decoder of the tests' own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition


@dataclass(frozen=True, slots=True)
class Record:
    """A record; `headers` by name, the last of each."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]

    def structured(self) -> dict[str, Any]:
        """The CloudEvent in structured form: the attributes without `ce_`, and `data`."""
        attributes = {
            name.removeprefix("ce_"): value.decode()
            for name, value in self.headers.items()
            if name.startswith("ce_") or name == "traceparent"
        }
        return {**attributes, "data": json.loads(self.value or b"null")}


async def read_all(bootstrap: str, topic: str) -> list[Record]:
    """All records that stand in `topic` now, partition by partition in their order."""
    consumer = AIOKafkaConsumer(
        topic,  # without a group: all partitions are this consumer's
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=16 * 1024 * 1024,
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    try:
        assigned = sorted(consumer.assignment())
        ends = await consumer.end_offsets(assigned)
        begins = await consumer.beginning_offsets(assigned)
        waiting = {tp for tp in assigned if ends[tp] > begins[tp]}
        found: dict[TopicPartition, list[Record]] = {tp: [] for tp in assigned}
        while waiting:
            for tp, batch in (await consumer.getmany(*waiting, timeout_ms=200)).items():
                found[tp] += [_record(message) for message in batch if message.offset < ends[tp]]
            for tp in list(waiting):
                if await consumer.position(tp) >= ends[tp]:
                    waiting.discard(tp)
        return [record for tp in assigned for record in found[tp]]
    finally:
        await consumer.stop()


def _record(message: Any) -> Record:
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers={name: value for name, value in message.headers if value is not None},
    )
