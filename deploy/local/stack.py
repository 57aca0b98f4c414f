"""The stack on one machine: Kafka, MongoDB, the mail sink and the four services, started, kept up and stopped."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import KafkaError

from deploy import topics
from deploy.local import kafka, mail, mongo, services
from deploy.local.children import Child, Probe, Program, StartFailed, together
from deploy.local.folder import Folder
from shared.settings import Settings

PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Before a child that died is started again: the longer, the more often it died one time after another."""
SETTLED_S = 30.0
"""A child that lived this long died for a new reason."""


def say(line: str) -> None:
    """Tell the person at the terminal; standard output is kept for the description."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Options:
    """How to run a stack: ports free ones or the default ones, children that die started again or not, the
    services too or the engines and the mail sink alone."""

    free_ports: bool = False
    restart: bool = True
    only_engines: bool = False


class Stack:
    """The children of one folder, which the caller holds locked.

    Start it in the main thread (see `Child`). `tell` is given lines for a person.
    """

    def __init__(self, folder: Folder, options: Options, tell: Callable[[str], None] = say) -> None:
        self._folder = folder
        self._options = options
        self._tell = tell
        self._begun = time.monotonic()
        self._ports: dict[str, int] = {}
        self._children: dict[str, Child] = {}
        self._probes: dict[str, Probe] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self.description: dict[str, Any] = {}

    # -- starting

    async def start(self) -> None:
        """Start everything, return when all of it is ready, and describe it in `stack.json`.

        Raises:
            PortTaken: a port is taken.
            StartFailed: something did not come up; the message has what it logged last. What was started is
                stopped by `stop`.
        """
        self._folder.describe(None)
        self._ports = await asyncio.to_thread(self._folder.ports, free=self._options.free_ports)
        self._folder.rotate_logs()
        self._folder.issuer()
        await together(self._start_kafka(), self._start_mongo(), self._start_mail())
        if not self._options.only_engines:
            await together(*(self._start_service(name) for name in services.NAMES))
        self._describe()
        for name in self._children:
            self._keepers.append(asyncio.create_task(self._keep(name), name=f"keep {name}"))

    async def _start_kafka(self) -> None:
        node = kafka.Node(1, self._ports["kafka"], self._ports["kafka-controller"], self._folder.kafka)
        program = await kafka.Cluster((node,)).program(node, self._folder.log("kafka"))
        await self._start("kafka", program, lambda: kafka.answers(node))
        settings = Settings()
        wanted = topics.wanted(settings.topic_prefix, settings.partitions)
        try:
            made = await topics.ensure(node.address, wanted)
        except (KafkaError, TimeoutError, OSError) as error:
            raise StartFailed(self._children["kafka"].told(f"made no topics ({error!r})")) from error
        for difference in made.differences:
            self._tell(f"topics: {difference}")

    async def _start_mongo(self) -> None:
        node = mongo.Node(self._ports["mongo"], self._folder.mongo)
        await self._start("mongo", node.program(self._folder.log("mongo")), lambda: mongo.primary([node], 5))

    async def _start_mail(self) -> None:
        port = self._ports["mail"]
        program = mail.program(port, self._folder.mail, self._folder.log("mail"))
        await self._start("mail", program, lambda: mail.answers(port))

    async def _start_service(self, name: str) -> None:
        port = self._ports[name]
        program = self._surroundings().program(name, self._folder.log(name))
        await self._start(name, program, lambda: services.answers(port))

    async def _start(self, name: str, program: Program, probe: Probe) -> None:
        self._probes[name] = probe
        self._children[name] = await Child.start(program)
        await self._children[name].ready(probe)
        self._tell(f"{name} is ready after {time.monotonic() - self._begun:.1f} s")

    def _surroundings(self) -> services.Surroundings:
        return services.Surroundings(
            kafka=self._kafka,
            mongo=self._mongo,
            mail_port=self._ports["mail"],
            jwks=self._folder.issuer().jwks,
            link_secret=self._folder.link_secret(),
            ports={name: self._ports[name] for name in services.NAMES},
        )

    @property
    def _kafka(self) -> str:
        return kafka.Node(
            1, self._ports["kafka"], self._ports["kafka-controller"], self._folder.kafka
        ).address

    @property
    def _mongo(self) -> str:
        return mongo.url([mongo.Node(self._ports["mongo"], self._folder.mongo)])

    def _describe(self) -> None:
        urls = {} if self._options.only_engines else self._surroundings().urls()
        order = (*services.NAMES, "kafka", "mongo", "mail")
        self.description = {
            "kafka": self._kafka,
            "mongo": self._mongo,
            **urls,
            "maildir": str(self._folder.mail),
            "pids": {name: self._children[name].pid for name in order if name in self._children},
        }
        self._folder.describe(self.description)

    # -- keeping up

    async def _keep(self, name: str) -> None:
        """Say so when the child dies, and unless told otherwise start it again, for as long as the stack runs."""
        died_in_a_row = 0
        while True:
            child, begun = self._children[name], time.monotonic()
            how = await child.wait()
            if not self._options.restart:
                self._tell(f"{name} (process {child.pid}) {how}")
                return
            died_in_a_row = 1 if time.monotonic() - begun > SETTLED_S else died_in_a_row + 1
            pause = PAUSES_S[min(died_in_a_row, len(PAUSES_S)) - 1]
            self._tell(f"{name} (process {child.pid}) {how}; it is started again")
            await asyncio.sleep(pause)
            await self._again(name, child.program)

    async def _again(self, name: str, program: Program) -> None:
        child = self._children[name] = await Child.start(program)
        self._describe()
        try:
            await child.ready(self._probes[name])
        except StartFailed as error:
            self._tell(str(error))
            await child.stop()
        else:
            self._tell(f"{name} is back (process {child.pid})")

    # -- stopping

    async def stop(self) -> None:
        """Stop all that runs: first the services, whose last events still reach Kafka, then what they rest on."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._folder.describe(None)
        for names in (services.NAMES, ("mail", "kafka", "mongo")):
            await asyncio.gather(*(self._children[name].stop() for name in names if name in self._children))

    def kill(self) -> None:
        """End all children at once, for who cannot wait."""
        for child in self._children.values():
            child.kill()
