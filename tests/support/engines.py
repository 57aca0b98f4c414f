"""The real engines for a session of tests: embedded, in containers, or some that run already.

- By default Apache Kafka and MongoDB are started as `deploy.local` does it, and end with the tests.
- `ENGINES=containers` takes the published images, by testcontainers.
- `ONBELAY_TEST_ENGINES` names a JSON file, `{"kafka": "host:port", "mongo": "mongodb://..."}`, of running ones.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local import kafka, mongo
from deploy.local.children import Child, together
from deploy.local.ports import pick
from tests.support.containers import running

KAFKA_IMAGE = "apache/kafka:4.3.1"
MONGO_IMAGE = "mongo:8.0"
START_S = 60.0


@dataclass(frozen=True, slots=True)
class Engines:
    """Where the engines are: `kafka` is `host:port`, `mongo` a URL."""

    kafka: str
    mongo: str

    @classmethod
    def read(cls, file: Path) -> Engines:
        """Those that a JSON file tells of."""
        return cls(**json.loads(file.read_text()))


@asynccontextmanager
async def engines_for_tests(folder: Path) -> AsyncIterator[Engines]:
    """The engines that the environment asks for; `folder` is for data and logs of embedded ones."""
    named = os.environ.get("ONBELAY_TEST_ENGINES")
    if named:
        yield Engines.read(Path(named))
    elif os.environ.get("ENGINES") == "containers":
        async with contained() as engines:
            yield engines
    else:
        async with embedded(folder) as engines:
            yield engines


@asynccontextmanager
async def embedded(folder: Path, *, mongo_cache_gb: float = 0.5) -> AsyncIterator[Engines]:
    """Fresh engines as child processes, which end with this one whatever ends it."""
    port, controller_port, mongo_port = pick(3)
    broker = kafka.Node(1, port, controller_port, folder / "kafka")
    cluster = kafka.Cluster((broker,))
    mongod = mongo.Node(mongo_port, folder / "mongo", mongo_cache_gb)

    async def start_kafka() -> Child:
        child = await Child.start(await cluster.program(broker, folder / "kafka.log"))
        stack.push_async_callback(child.stop)
        await child.ready(lambda: kafka.answers(broker))
        return child

    async def start_mongo() -> Child:
        child = await Child.start(mongod.program(folder / "mongo.log"))
        stack.push_async_callback(child.stop)
        await child.ready(lambda: mongo.primary([mongod], 5))
        return child

    async with AsyncExitStack() as stack:
        await together(start_kafka(), start_mongo())
        yield Engines(cluster.bootstrap, mongo.url([mongod]))


@asynccontextmanager
async def contained() -> AsyncIterator[Engines]:
    """Fresh engines in containers; skips the tests, saying so, where there is no Docker."""
    port, mongo_port = pick(2)
    broker = kafka.Node(1, port, 0, Path())
    mongod = mongo.Node(mongo_port, Path())
    # testcontainers' own MongoDbContainer makes no replica set, and members are told where they are as well.
    command = f"mongod --replSet {mongo.REPLICA_SET} --port {mongo_port} --bind_ip_all"
    # The same port inside and outside, since each tells clients where it is.
    async with (
        running(KAFKA_IMAGE, {port: port}, env=_kafka_settings(port)),
        running(MONGO_IMAGE, {mongo_port: mongo_port}, command=command),
    ):
        await _until(lambda: kafka.answers(broker))
        await mongo.primary([mongod], START_S)
        yield Engines(broker.address, mongo.url([mongod]))


def _kafka_settings(port: int) -> Mapping[str, str]:
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://127.0.0.1:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@127.0.0.1:9093",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }


async def _until(probe: Any) -> None:
    async with asyncio.timeout(START_S):
        while True:
            try:
                await probe()
                return
            except Exception as error:  # whatever it is: not ready yet
                last = error
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                raise TimeoutError(f"not ready within {START_S:g} s: {last!r}") from last
