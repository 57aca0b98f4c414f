"""Lists the dead letters, and publishes them once more: `python -m deploy.deadletters list|replay`.

    python -m deploy.deadletters list --consumer goals --reason schema
    python -m deploy.deadletters replay --consumer goals

A dead letter is a record that a service could not take in, untouched, with headers that say why and from where. To
replay one is to publish the record as it was to the partition that it came from: what the reader has taken in by
now it drops as a duplicate, and what it can read by now it takes in. A record that several services refused is
published once.

Where Kafka is, and under which prefix, is what the services are told too: `ONBELAY_KAFKA_BOOTSTRAP`,
`ONBELAY_TOPIC_PREFIX`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from shared import events as contract
from shared.kafka import Outgoing, Producer
from shared.settings import Settings

PREFIX = "onbelay-dead-letter-"
ACK_S = 30.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused record: where it stood, who refused it and why, and the record itself."""

    offset: int
    consumer: str
    reason: str
    failed_at: str
    topic: str
    partition: int
    original_offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, record: ConsumerRecord) -> DeadLetter:
        """The dead letter in a record of the dead letters' topic."""
        told = {
            name.removeprefix(PREFIX): (content or b"").decode(errors="replace")
            for name, content in record.headers
            if name.startswith(PREFIX)
        }
        return cls(
            record.offset, told["consumer"], told["reason"], told["failed-at"], told["topic"],
            int(told["partition"]), int(told["offset"]), record.key, record.value,
            tuple((name, content) for name, content in record.headers if not name.startswith(PREFIX)),
        )  # fmt: skip

    def shown(self) -> str:
        """One line of JSON; never the record's content, which may be anything."""
        told = {
            "dead_letter": self.offset,
            "consumer": self.consumer,
            "reason": self.reason,
            "failed_at": self.failed_at,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.original_offset,
        }
        for name, content in self.headers:
            if name in ("ce_type", "ce_subject", "ce_id"):
                told[name] = (content or b"").decode(errors="replace")
        return json.dumps(told)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which ones are meant; what is not given does not matter."""

    consumer: str | None = None
    reason: str | None = None
    dead_letters: frozenset[int] = frozenset()

    def holds(self, letter: DeadLetter) -> bool:
        """Whether this one is meant. `reason` is the beginning of the letter's."""
        return (
            self.consumer in (None, letter.consumer)
            and letter.reason.startswith(self.reason or "")
            and (not self.dead_letters or letter.offset in self.dead_letters)
        )


async def read(bootstrap: str, topic_prefix: str = "") -> list[DeadLetter]:
    """All dead letters that are kept now, the oldest first.

    Raises:
        KafkaError: the cluster does not answer, or has no such topic.
    """
    tp = TopicPartition(topic_prefix + contract.TOPICS["dead-letters"], 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    await consumer.start()
    try:
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        await consumer.seek_to_beginning(tp)
        found: list[DeadLetter] = []
        while await consumer.position(tp) < end:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [DeadLetter.of(record) for record in records if record.offset < end]
        return found
    finally:
        await consumer.stop()


async def replay(bootstrap: str, letters: Iterable[DeadLetter]) -> int:
    """Publish the records as they were to where they came from; returns how many there were.

    Raises:
        KafkaError, TimeoutError: not all were acknowledged; to replay again does no harm.
    """
    records = {(each.topic, each.partition, each.original_offset): each for each in letters}
    producer = Producer(bootstrap, client_id="onbelay-deadletters")
    try:
        futures = [
            await producer.send(
                Outgoing(each.topic, each.key, each.value, list(each.headers), partition=each.partition)
            )
            for each in records.values()
        ]
        async with asyncio.timeout(ACK_S):
            await asyncio.gather(*futures)
    finally:
        await producer.stop()
    return len(records)


async def _run(arguments: argparse.Namespace) -> int:
    settings = Settings()
    chosen = Selection(arguments.consumer, arguments.reason, frozenset(arguments.dead_letters))
    letters = [
        letter
        for letter in await read(settings.kafka_bootstrap, settings.topic_prefix)
        if chosen.holds(letter)
    ]
    if arguments.command == "list":
        for letter in letters:
            print(letter.shown())
        return 0
    count = await replay(settings.kafka_bootstrap, letters)
    print(f"{count} records published once more")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.deadletters", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("command", choices=["list", "replay"])
    parser.add_argument(
        "dead_letters", nargs="*", type=int, help="offsets in the dead letters' topic; default all"
    )
    parser.add_argument("--consumer", help="of those that this service refused")
    parser.add_argument("--reason", help="of those whose reason begins so")
    try:
        return asyncio.run(_run(parser.parse_args(arguments)))
    except (KafkaError, TimeoutError) as error:
        print(f"Kafka does not answer as it should: {error!r}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
