"""Engines of one test's own, to be killed, emptied and started again."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from deploy.local import kafka, mongo
from deploy.local.children import Child, together
from deploy.local.ports import pick
from tests.support.engines import Engines


class OwnEngines:
    """A Kafka and a MongoDB whose addresses stay the same; they end with the tests, whatever ends those."""

    def __init__(self, folder: Path) -> None:
        port, controller_port, mongo_port = pick(3)
        self._folder = folder
        self._broker = kafka.Node(1, port, controller_port, folder / "kafka")
        self._cluster = kafka.Cluster((self._broker,))
        self._mongod = mongo.Node(mongo_port, folder / "mongo")
        self._children: dict[str, Child] = {}
        self.engines = Engines(self._cluster.bootstrap, mongo.url([self._mongod]))

    async def start(self) -> None:
        """Start both."""
        await together(self.start_kafka(), self.start_mongo())

    async def start_kafka(self) -> None:
        """Start Kafka, again after it was killed, and wait until it answers."""
        child = await Child.start(await self._cluster.program(self._broker, self._folder / "kafka.log"))
        self._children["kafka"] = child
        await child.ready(lambda: kafka.answers(self._broker))

    async def start_mongo(self) -> None:
        """Start MongoDB, again after it was killed, and wait until it is primary."""
        child = await Child.start(self._mongod.program(self._folder / "mongo.log"))
        self._children["mongo"] = child
        await child.ready(lambda: mongo.primary([self._mongod], 5))

    async def kill(self, engine: str) -> None:
        """End one at once, as a power cut does."""
        self._children[engine].kill()
        await self._children[engine].wait()

    async def empty_kafka(self) -> None:
        """Remove all that Kafka has stored; it must not run. Started again it is another cluster."""
        await asyncio.to_thread(shutil.rmtree, self._folder / "kafka")

    async def stop(self) -> None:
        """End both."""
        await asyncio.gather(*(child.stop() for child in self._children.values()))
