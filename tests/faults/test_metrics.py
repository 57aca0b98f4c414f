"""Numbers that stay right while metrics crashes, is taken over, comes back as a zombie, and is rebuilt."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import date
from random import Random
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from services.metrics.store import Folding, Generations
from services.metrics.stream import TOPICS, Projection
from shared import events as contract
from shared.clock import SystemClock
from shared.intake import Intake, _Partition
from shared.kafka import Producer, cluster_id
from shared.mongo import Mongo
from shared.outbox import Publisher
from tests.conftest import NewSystem
from tests.integration.metrics.published import (
    END,
    PARTITIONS,
    START,
    a_big_history,
    client,
    get,
    numbers_of,
    records,
    without_withheld,
)
from tests.integration.metrics.raw import Raw
from tests.support.polling import eventually
from tests.support.records import Record
from tests.support.system import System
from tests.unit.metrics.histories import Happened

pytestmark = [pytest.mark.engines, pytest.mark.faults]

AS_OF = (date(2026, 1, 25), date(2026, 2, 20), None)


def shuffled(rng: Random, system: System, topics: list[list[Happened]]) -> list[Record]:
    """Records of the topics: each topic in its order, across topics in any, some of them again later on."""
    queues = [records(system, topic) for topic in topics if topic]
    sent: list[Record] = []
    while queues:
        queue = rng.choice(queues)
        sent.append(queue.pop(0))
        if rng.random() < 0.15:
            sent.append(rng.choice(sent))
        if not queue:
            queues.remove(queue)
    return sent


async def are_right(system: System, orgs: list[str], url: str | None = None) -> None:
    """What the service answers becomes what the raw records say, for every organization and as of several days."""
    raw = [record for topic in TOPICS for record in await system.records(topic)]
    for org in orgs:
        counted = Raw(raw, org)
        asking = client(system, org)
        if url is not None:
            asking.base_url = url
        for as_of in AS_OF:
            params = {} if as_of is None else {"as_of": as_of.isoformat()}

            async def as_counted(
                asking: Any = asking, params: dict[str, str] = params, counted: Raw = counted, org: str = org
            ) -> bool:
                answer = await get(asking, f"/v1/metrics/orgs/{org}", **params)
                known = date.fromisoformat(answer["as_of"])
                people, engaged = counted.people(START, END, known)
                if len(people) < 5:
                    return "withheld" in answer
                assert "withheld" not in answer
                expected = counted.numbers(START, END, known)
                assert numbers_of(answer) == without_withheld(answer, expected)
                assert (answer["people"], answer["engaged"]) == (len(people), engaged)
                return True

            await eventually(as_counted, seconds=60, every=0.3)


class Crashed(BaseException):
    """The process ended here, as far as MongoDB can tell."""


class Crashes:
    """Ends the process, as it were, at one step after another of a batch's transaction."""

    def __init__(self) -> None:
        self.step = 0
        self.at = 0
        self.down = False
        self.reached: set[str] = set()

    def begin(self, at: int) -> None:
        """A process starts that will end at its `at`-th step; 0: it will not."""
        self.step, self.at, self.down = 0, at, False

    def take(self, name: str) -> None:
        """One step of a transaction."""
        self.step += 1
        if self.at and self.step == self.at:
            self.down = True
            self.reached.add(name)
            raise Crashed(name)


@contextmanager
def crashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crashes]:
    """Counts what a transaction does; a crash leaves it open, as a process that is killed does."""
    crashes = Crashes()
    for name in ("find", "update_one", "insert_one", "bulk_write"):
        original = getattr(AsyncCollection, name)

        def counted(
            self: Any, *args: Any, _original: Any = original, _name: str = name, **options: Any
        ) -> Any:
            session = options.get("session")
            if session is not None and session.in_transaction:
                crashes.take(f"{'read' if _name == 'find' else 'write'} {self.name}")
            return _original(self, *args, **options)

        monkeypatch.setattr(AsyncCollection, name, counted)
    command = AsyncDatabase.command

    async def commanded(self: Any, spec: Any, *args: Any, **options: Any) -> Any:
        session = options.get("session")
        if session is not None and session.in_transaction:
            crashes.take(f"write {next(iter(spec.values()))}")
        return await command(self, spec, *args, **options)

    monkeypatch.setattr(AsyncDatabase, "command", commanded)
    commit, abort = AsyncClientSession.commit_transaction, AsyncClientSession.abort_transaction

    async def committed(self: Any) -> None:
        crashes.take("before the commit")
        await commit(self)
        crashes.take("after the commit")

    async def aborted(self: Any) -> None:
        if not crashes.down:
            await abort(self)

    monkeypatch.setattr(AsyncClientSession, "commit_transaction", committed)
    monkeypatch.setattr(AsyncClientSession, "abort_transaction", aborted)
    yield crashes
    monkeypatch.undo()


class Process:
    """A process of metrics as far as its folding goes, fed by hand; it may die at any step."""

    def __init__(self, system: System, mongo: Mongo, generations: Generations, cluster: str) -> None:
        self._mongo = mongo
        self._cluster = cluster
        self._intake = Intake(
            consumer="metrics",
            bootstrap=system.kafka,
            topics=TOPICS,
            mongo=mongo,
            database=system.database(mongo, "metrics"),
            fold=Projection(Folding(generations.live)),
            publisher=Publisher(Producer(system.kafka, client_id="unused"), []),
            clock=SystemClock(),
            topic_prefix=system.topic_prefix,
        )
        self._intake._cluster_id = cluster

    async def fold(self, logs: Mapping[TopicPartition, Sequence[ConsumerRecord]], size: int) -> None:
        """Fold what is left of each partition, in batches."""
        stored = await self._intake._stored_offsets(list(logs))
        for tp, log in logs.items():
            part = _Partition(tp, stored.get(tp, 0), len(log))
            async with self._mongo.session() as session:
                await self._intake._take_over(part, session)
                while batch := log[part.expected : part.expected + size]:
                    await self._intake._take_in(part, batch, session)


async def logs_of(system: System) -> dict[TopicPartition, list[ConsumerRecord]]:
    """The records of every partition that metrics reads."""
    names = [system.topic_prefix + contract.TOPICS[topic] for topic in TOPICS]
    consumer = AIOKafkaConsumer(*names, bootstrap_servers=system.kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        logs: dict[TopicPartition, list[ConsumerRecord]] = {tp: [] for tp in ends}
        while any(len(logs[tp]) < end for tp, end in ends.items()):
            for tp, found in (await consumer.getmany(timeout_ms=200)).items():
                logs[tp] += found
        return logs
    finally:
        await consumer.stop()


class TestCrashes:
    async def test_at_every_step_of_a_batch_nothing_is_lost_or_counted_twice(
        self, new_system: NewSystem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        system = await new_system(services=(), partitions=PARTITIONS)
        rng = Random(41)
        orgs = ["org-a", "org-b", "org-c"]
        for number, org in enumerate(orgs):
            await system.publish(shuffled(rng, system, a_big_history(org, 300 + number)[1]))
        logs = await logs_of(system)
        cluster = await cluster_id(system.kafka)
        # Clients that end well end their sessions: those of the dead are closed only when all is over.
        clients = [Mongo.connect(system.mongo)]
        generations = Generations(clients[0], system.database(clients[0], "metrics"))
        await generations.load()
        with crashing(monkeypatch) as crashes:
            turns = [(topic, at) for topic in ("goals", "checkins") for at in range(1, 19)]
            for topic, at in [*turns, ("", 0)]:
                clients.append(Mongo.connect(system.mongo))
                found = Generations(clients[-1], system.database(clients[-1], "metrics"))
                crashes.begin(at)
                of_topic = {tp: log for tp, log in logs.items() if topic in tp.topic}
                with suppress(Crashed):
                    await Process(system, clients[-1], found, cluster).fold(of_topic, 10)
        for client_ in clients:
            await client_.close()
        written = (
            "offsets",
            "subjects",
            "goals",
            "mentorships",
            "diaries",
            "cells",
            "months",
            "engaged",
            "stale",
        )
        steps = {f"write {name}" for name in written} | {"before the commit", "after the commit"}
        assert steps <= crashes.reached
        system.names = ("metrics",)
        await system.start("metrics")
        await are_right(system, orgs)


class TestTakeOver:
    async def test_by_a_second_process_from_a_zombie_with_a_rebuild_in_the_middle(
        self, new_system: NewSystem
    ) -> None:
        system = await new_system(services=("metrics",), partitions=PARTITIONS)
        rng = Random(42)
        orgs = ["org-a", "org-b"]
        sent = [
            record
            for number, org in enumerate(orgs)
            for record in shuffled(rng, system, a_big_history(org, 400 + number)[1])
        ]
        fourth = len(sent) // 4
        await system.publish(sent[:fourth])
        async with second(system) as url:
            # A rebalance: the partitions are shared out anew.
            await system.publish(sent[fourth : 2 * fourth])
            # The first process stands still for so long that it is taken for dead, and wakes as a zombie.
            system.kill("metrics", signal.SIGSTOP)
            await system.publish(sent[2 * fourth : 3 * fourth])
            rebuild = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.metrics", "rebuild", env={**os.environ, **system.environment()},
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            await are_right(system, orgs, url)
            system.kill("metrics", signal.SIGCONT)
            await system.publish([*sent[: fourth // 2], *sent[3 * fourth :]])
            async with asyncio.timeout(90):
                said, _ = await rebuild.communicate()
            assert rebuild.returncode == 0, said.decode()
            await are_right(system, orgs, url)
            await are_right(system, orgs)


@asynccontextmanager
async def second(system: System) -> AsyncIterator[str]:
    """Another metrics process beside the first; its base URL."""
    from deploy.local import services
    from deploy.local.ports import pick

    (port,) = pick(1)
    environment = {**os.environ, **system.environment(), "ONBELAY_METRICS_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.metrics", env=environment,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip

    async def ready() -> bool:
        with suppress(OSError, RuntimeError):
            await services.answers(port)
            return True
        return False

    try:
        await eventually(ready, seconds=60)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()
