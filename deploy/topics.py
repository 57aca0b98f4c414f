"""Makes the contract's topics on a cluster that lacks them: `python -m deploy.topics`.

Where to, under which prefix and with how many partitions is what the services are told too: the variables
`ONBELAY_KAFKA_BOOTSTRAP`, `ONBELAY_TOPIC_PREFIX` and `ONBELAY_PARTITIONS`. A topic that is there is left as it is;
where it differs from what the services count on, that is said, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from shared import events as contract
from shared.settings import Settings

DEAD_LETTERS = "dead-letters"
DAY_MS = 24 * 60 * 60 * 1000
READY_S = 60.0
_ALREADY_EXISTS = 36


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be."""

    name: str
    partitions: int
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Result:
    """What was done: topics made, topics that were there, and in words how those differ."""

    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


def wanted(prefix: str = "", partitions: int = 12) -> list[Topic]:
    """The contract's topics: events are kept without limit, dead letters for 30 days."""
    events = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    dead_letters = {
        "cleanup.policy": "delete",
        "retention.ms": str(30 * DAY_MS),
        # A dead letter is the original record, which may have been as large as allowed, and more headers.
        "max.message.bytes": str(2 * 1024 * 1024),
    }
    return [
        Topic(prefix + topic, 1, dead_letters)
        if name == DEAD_LETTERS
        else Topic(prefix + topic, partitions, events)
        for name, topic in contract.TOPICS.items()
    ]


async def ensure(bootstrap: str, topics: Sequence[Topic], *, copies: int | None = None) -> Result:
    """Make those of `topics` that the cluster lacks, and return once all are there to be used.

    Repeatable, and safe to run by several at once. `copies` is the replication factor; by default three, or one
    for each broker where there are fewer. With three copies a write is acknowledged by two.

    Raises:
        KafkaError, TimeoutError: the cluster cannot be reached, or refuses.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=10_000)
    try:
        await admin.start()
        there = await _there(admin)
        missing = [topic for topic in topics if topic.name not in there]
        if missing:
            brokers = len((await admin.describe_cluster())["brokers"])
            await _make(admin, missing, copies or min(3, brokers))
            there = await _appeared(admin, topics)
        made = [topic.name for topic in missing]
        kept = [topic for topic in topics if topic.name not in made]
        differences = list(_differences(kept, there, await _configs(admin, kept)))
        return Result(made, [topic.name for topic in kept], differences)
    finally:
        await admin.close()


async def _make(admin: AIOKafkaAdminClient, topics: Sequence[Topic], copies: int) -> None:
    in_sync = {"min.insync.replicas": str(max(1, copies - 1))}
    answer = await admin.create_topics(
        [
            NewTopic(topic.name, topic.partitions, copies, topic_configs={**topic.configs, **in_sync})
            for topic in topics
        ]
    )
    for name, code, message in answer.topic_errors:
        if code not in (0, _ALREADY_EXISTS):
            raise for_code(code)(f"{name}: {message}")


async def _there(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """The cluster's topics and their numbers of partitions; asked for by name, a broker might make them."""
    return {found["topic"]: len(found["partitions"]) for found in await admin.describe_topics()}


async def _appeared(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> dict[str, int]:
    async with asyncio.timeout(READY_S):
        while True:
            found = await admin.describe_topics()
            usable = {topic["topic"] for topic in found if _has_leaders(topic)}
            if all(topic.name in usable for topic in topics):
                return {topic["topic"]: len(topic["partitions"]) for topic in found}
            await asyncio.sleep(0.05)


def _has_leaders(topic: Mapping[str, Any]) -> bool:
    return all(partition["leader"] >= 0 for partition in topic["partitions"])


async def _configs(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> dict[str, dict[str, str]]:
    if not topics:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    found: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(resources):
        for code, message, _, name, entries in answer.resources:
            if code:
                raise for_code(code)(f"{name}: {message}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


def _differences(
    topics: Sequence[Topic], there: Mapping[str, int], configs: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    for topic in topics:
        if there[topic.name] != topic.partitions:
            yield f"{topic.name} has {there[topic.name]} partitions, not {topic.partitions}"
        for key, value in topic.configs.items():
            found = configs[topic.name].get(key)
            if found != value:
                yield f"{topic.name} has {key}={found}, not {value}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the topics, say what was done; 0 when all is as wanted, 1 when it is not or could not be done."""
    parser = argparse.ArgumentParser(prog="python -m deploy.topics", description=__doc__)
    parser.add_argument(
        "--copies", type=int, help="replication factor (default: 3, or fewer brokers' number)"
    )
    options = parser.parse_args(arguments)
    settings = Settings()
    topics = wanted(settings.topic_prefix, settings.partitions)
    try:
        result = asyncio.run(ensure(settings.kafka_bootstrap, topics, copies=options.copies))
    except (KafkaError, TimeoutError, OSError) as error:
        print(f"{settings.kafka_bootstrap}: {error!r}", file=sys.stderr)
        return 1
    for name in result.made:
        print(f"made {name}")
    for name in result.kept:
        print(f"{name} is there")
    for difference in result.differences:
        print(f"differs: {difference}", file=sys.stderr)
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main())
