"""The services as real processes in sandbox mode, on topics and databases of their own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from deploy import topics
from deploy.local import mail, services
from deploy.local.children import Child, last_lines, together
from deploy.local.issuer import Issuer
from deploy.local.ports import pick
from shared import events as contract
from shared.links import Links
from shared.mongo import Collection, Mongo
from shared.time import format_instant, parse_instant
from tests.support.engines import Engines
from tests.support.polling import eventually
from tests.support.records import Record, read_all

ACT_AS_HEADER = "Onbelay-Act-As"
CLOCK = "/v1/sandbox/clock"
DEFAULT_SERVICES = services.NAMES
READS = {
    "goals": ("checkins",),
    "checkins": ("goals",),
    "notifier": ("goals", "checkins", "support", "nudges"),
    "metrics": ("goals", "checkins", "nudges"),
}
"""What each service takes in."""


class System:
    """All four services, or some, for tests to use, kill and start again.

    `urls` are base URLs by service; `kafka` and `mongo` the engines; topics and databases begin with
    `topic_prefix` and `database_prefix`; what was mailed is in `maildir`.
    """

    def __init__(
        self,
        engines: Engines,
        folder: Path,
        *,
        names: Sequence[str] = DEFAULT_SERVICES,
        partitions: int = 12,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.kafka, self.mongo = engines.kafka, engines.mongo
        self.names = tuple(names)
        name = f"t{uuid4().hex[:12]}"
        self.topic_prefix, self.database_prefix = f"{name}.", f"{name}_"
        self.maildir = folder / "mail"
        self._folder = folder
        self._partitions = partitions
        self._issuer = Issuer.create(folder / "keys")
        self._mail_port, *ports = pick(1 + len(services.NAMES))
        self._surroundings = services.Surroundings(
            kafka=self.kafka,
            mongo=self.mongo,
            mail_port=self._mail_port,
            jwks=self._issuer.jwks,
            link_secret=uuid4().hex,
            ports=dict(zip(services.NAMES, ports, strict=True)),
            extra={
                "ONBELAY_TOPIC_PREFIX": self.topic_prefix,
                "ONBELAY_MONGO_DATABASE_PREFIX": self.database_prefix,
                "ONBELAY_PARTITIONS": str(partitions),
                **(env or {}),
            },
        )
        self.urls = {service: self._surroundings.url(service) for service in services.NAMES}
        self._children: dict[str, Child] = {}
        self._transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=200))

    # -- its life

    async def begin(self) -> None:
        """Make the topics, and start the mail sink and the services; returns when all are ready.

        Raises:
            StartFailed: one did not come up; tells what it logged last.
        """
        await topics.ensure(self.kafka, topics.wanted(self.topic_prefix, self._partitions))
        await together(self._start_mail(), *(self.start(name) for name in self.names))

    async def end(self) -> None:
        """Stop all, and remove the topics and databases."""
        await self.close()
        await asyncio.gather(self._delete_topics(), self._drop_databases())

    async def close(self) -> None:
        """Stop all; the engines, and what they hold, end otherwise."""
        await self._transport.aclose()
        await asyncio.gather(*(child.stop() for child in self._children.values()))

    async def start(self, service: str) -> None:
        """Start a service, again after it was killed, and wait until it is ready.

        Raises:
            StartFailed: it did not come up; tells what it logged last.
        """
        before = self._children.get(service)
        if before is not None:
            await before.wait()
        child = await Child.start(self._surroundings.program(service, self._log(service)))
        self._children[service] = child
        await child.ready(lambda: services.answers(self._surroundings.ports[service]))

    def kill(self, service: str, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a service; with the default it ends at once, with SIGSTOP it stands still."""
        self._children[service].signal(sig)

    async def ended(self, service: str) -> str:
        """Wait until a service's process has ended; how it did, such as `was ended by SIGKILL`."""
        return await self._children[service].wait()

    def environment(self) -> dict[str, str]:
        """What the services are told by environment variables, for a command beside them."""
        return self._surroundings.environment()

    def pid(self, service: str) -> int:
        """The process id of a service."""
        return self._children[service].pid

    def running(self, service: str) -> bool:
        """Whether a service's process runs."""
        return self._children[service].running

    def logs(self, service: str, lines: int = 200) -> str:
        """The last lines that a service logged."""
        return last_lines(self._log(service), lines)

    # -- what tests ask of it

    def token(self, sub: str, org: str, scope: str = "onbelay:participate", *, ttl: float = 3600) -> str:
        """A token of this system's issuer; `scope` with spaces between scopes."""
        return self._issuer.token(sub, org, scope, ttl=ttl)

    def client(
        self,
        service: str,
        *,
        sub: str,
        org: str,
        scope: str = "onbelay:participate",
        act_as: str | None = None,
    ) -> httpx.AsyncClient:
        """A client of one service that sends this token. It need not be closed."""
        headers = {"Authorization": f"Bearer {self.token(sub, org, scope)}"}
        if act_as is not None:
            headers[ACT_AS_HEADER] = act_as
        return self._client(service, headers)

    def anonymous(self, service: str) -> httpx.AsyncClient:
        """A client that sends no token, and follows no redirect. It need not be closed."""
        return self._client(service, {})

    def _client(self, service: str, headers: Mapping[str, str]) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.urls[service], headers=headers, transport=_Kept(self._transport), timeout=30
        )

    @property
    def links(self) -> Links:
        """What signs this system's links, for tests that follow one without waiting for the message."""
        return Links(self._surroundings.link_secret)

    async def now(self) -> datetime:
        """Domain time."""
        response = await self._mover().get(CLOCK)
        response.raise_for_status()
        return parse_instant(response.json()["now"])

    async def move(self, to: datetime | timedelta) -> datetime:
        """Move domain time forward, to an instant or by a duration; returns what it was moved to."""
        target = to if isinstance(to, datetime) else await self.now() + to
        response = await self._mover().put(CLOCK, json={"now": format_instant(target)})
        assert response.status_code == 200, response.text
        return parse_instant(response.json()["now"])

    def _mover(self) -> httpx.AsyncClient:
        running = next(name for name in self.names if self._children[name].running)
        return self.client(running, sub="clock", org="sandbox", scope="onbelay:sandbox")

    async def records(self, topic: str = "goals") -> list[Record]:
        """All records that stand in a topic (`goals`, `checkins`, ...), as they are."""
        return await read_all(self.kafka, self.topic_prefix + contract.TOPICS[topic])

    async def events(self, topic: str = "goals", org: str | None = None) -> list[dict[str, Any]]:
        """All events that stand in a topic as structured CloudEvents, of one organization if it is named."""
        found = [record.structured() for record in await self.records(topic)]
        return [event for event in found if org in (None, event.get("orgid"))]

    async def publish(self, records: Sequence[Record]) -> None:
        """Publish records as they are, each to the topic and partition that it names."""
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, max_request_size=4 * 1024 * 1024)
        await producer.start()
        try:
            futures = [
                await producer.send(
                    record.topic,
                    record.value,
                    record.key,
                    record.partition,
                    headers=list(record.headers.items()),
                )
                for record in records
            ]
            await asyncio.gather(*futures)
        finally:
            await producer.stop()

    async def folded(self, seconds: float = 20) -> None:
        """Wait until what was stored so far is published, and every service has taken in what it reads of it."""
        mongo = Mongo.connect(self.mongo)
        try:
            for service in self.names:
                database = self.database(mongo, service)
                kept = [database[name] for name in await database.list_collection_names()]

                async def published(kept: list[Collection] = kept) -> bool:
                    waiting = [await each.find_one({"outbox_at": {"$exists": True}}) for each in kept]
                    return not any(waiting)

                await eventually(published, seconds=seconds)
            ends: dict[tuple[str, int], int] = {}
            for topic in contract.TOPICS:
                for record in await self.records(topic):
                    ends[record.topic, record.partition] = record.offset + 1
            for service in self.names:
                offsets = self.database(mongo, service)["offsets"]
                read = {self.topic_prefix + contract.TOPICS[topic] for topic in READS[service]}

                async def taken_in(offsets: Collection = offsets, read: set[str] = read) -> bool:
                    stored = {
                        (each["topic"], each["partition"]): each["next"] async for each in offsets.find()
                    }
                    return all(stored.get(at, 0) >= end for at, end in ends.items() if at[0] in read)

                await eventually(taken_in, seconds=seconds)
        finally:
            await mongo.close()

    def database(self, mongo: Mongo, service: str) -> Any:
        """A service's database, to look into when there is no other way."""
        return mongo.database(self.database_prefix + service)

    # -- inside

    def _log(self, name: str) -> Path:
        return self._folder / "logs" / f"{name}.log"

    async def _start_mail(self) -> None:
        child = await Child.start(mail.program(self._mail_port, self.maildir, self._log("mail")))
        self._children["mail"] = child
        await child.ready(lambda: mail.answers(self._mail_port))

    async def _delete_topics(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            await admin.delete_topics([topic.name for topic in topics.wanted(self.topic_prefix)])
        finally:
            await admin.close()

    async def _drop_databases(self) -> None:
        mongo = Mongo.connect(self.mongo)
        try:
            for name in (*services.NAMES, "sandbox"):
                await mongo.drop_database(self.database_prefix + name)
        finally:
            await mongo.close()


class _Kept(httpx.AsyncBaseTransport):
    """One pool of connections under many clients; closed with the system, not with a client."""

    def __init__(self, pool: httpx.AsyncHTTPTransport) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._pool.handle_async_request(request)
