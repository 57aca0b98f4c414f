"""What every service is made of: the engines' clients, the clock, the publisher, the intake, and its workers.

A composition root makes a `Runtime`, builds its own parts on it, and gives `runtime.lifespan` to its HTTP
application. Making one does no I/O; entering the lifespan does.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
import uvicorn
from aiokafka.errors import KafkaError
from fastapi import FastAPI
from pymongo.errors import PyMongoError

from shared import levers, telemetry
from shared.clock import Clock, SandboxClock, SystemClock
from shared.http.corked import CorkedProtocol
from shared.intake import Fold, Intake
from shared.kafka import Producer, cluster_id
from shared.leases import Leases
from shared.mongo import Collection, Database, Mongo
from shared.outbox import Publisher
from shared.settings import Settings
from shared.tasks import end, together

log = structlog.get_logger(__name__)

START_S = 20.0
CLUSTER_WATCH_S = 10.0
GC_THRESHOLD = 50_000
"""The cyclic collector costs a fold a quarter of its speed at CPython's default of 700 (measured)."""
DRAIN_S = 3.0

Check = Callable[[], Awaitable[None]]


class TakesIn(Protocol):
    """An intake, or what stands for one: runs until cancelled, and tells how it goes."""

    @property
    def halted(self) -> bool: ...
    @property
    def caught_up_once(self) -> bool: ...
    async def run(self, cluster_id: str) -> None: ...


class NotReady(Exception):
    """Why a readiness check fails, in words for an operator."""


class Runtime:
    """The parts that all services share, wired for one of them.

    Args:
        service: `goals`, `checkins`, `notifier` or `metrics`; names the database and the consumer group.
        settings: where the engines are.
    """

    def __init__(self, service: str, settings: Settings) -> None:
        self.service = service
        self.settings = settings
        self.mongo = Mongo.connect(settings.mongo_url, settings.mongo_driver, name=f"onbelay-{service}")
        self.database: Database = self.mongo.database(settings.mongo_database_prefix + service)
        self.clock: Clock = self._make_clock()
        self.producer = Producer(settings.kafka_bootstrap, client_id=f"onbelay-{service}")
        self.publisher = Publisher(
            self.producer, [], topic_prefix=settings.topic_prefix, cluster=self.database["meta"]
        )
        self.leases = Leases(self.database["leases"], f"{settings.instance}/{os.getpid()}")
        self.intake: TakesIn | None = None
        self._prepare: list[Callable[[], Awaitable[None]]] = []
        self._workers: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._cluster_id: str | None = None

    def _make_clock(self) -> Clock:
        if not self.settings.sandbox:
            return SystemClock()
        clock = SandboxClock(
            self.mongo.database(self.settings.mongo_database_prefix + "sandbox"), self.settings.instance
        )
        clock.on_prepare(self._drain)
        return clock

    async def _drain(self) -> None:
        await self.publisher.drain(DRAIN_S)

    def outbox(self, *collections: Collection) -> None:
        """Publish what these aggregate collections have unpublished."""
        for collection in collections:
            self.publisher.add(collection)

    def take_in(self, topics: Sequence[str], fold: Fold, *, max_batch: int = 2_000) -> Intake:
        """Fold these topics (`goals`, `checkins`, ...) by `fold`."""
        intake = self.new_intake(topics, fold, max_batch=max_batch)
        self.intake = intake
        self.publisher.add(intake.dead_letters)
        self.on_start(intake.make_indexes)
        return intake

    def new_intake(
        self, topics: Sequence[str], fold: Fold, *, generation: str = "", max_batch: int = 2_000
    ) -> Intake:
        """An intake of these topics, to be run by who asks; `generation` as in `Intake`."""
        return Intake(
            consumer=self.service,
            bootstrap=self.settings.kafka_bootstrap,
            topics=topics,
            mongo=self.mongo,
            database=self.database,
            fold=fold,
            publisher=self.publisher,
            clock=self.clock,
            topic_prefix=self.settings.topic_prefix,
            generation=generation,
            max_batch=max_batch,
        )

    def on_start(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run `step` (indexes and the like; repeatable) before the first request."""
        self._prepare.append(step)

    def worker(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` for as long as the service lives; if it ends, the process does, to be started afresh."""
        self._workers.append((name, work))

    def leased(self, name: str, work: Callable[[int], Awaitable[None]]) -> None:
        """Run `work(token)` in one process of the service at a time."""
        self._workers.append((name, lambda: self.leases.run(name, work)))

    @property
    def checks(self) -> dict[str, Check]:
        """What `/readyz` asks."""
        return {"mongo": self.mongo.ping, "kafka": self._check_kafka, "intake": self._check_intake}

    async def _check_kafka(self) -> None:
        if self._cluster_id is None:
            raise NotReady("Kafka has not been reached yet")
        if self.producer.away:
            raise NotReady("records wait for Kafka")
        await cluster_id(self.settings.kafka_bootstrap, seconds=2)

    async def _check_intake(self) -> None:
        if self.intake is None:
            return
        if self.intake.halted:
            raise NotReady("a partition stands still: its stored offset is out of the log's range")
        if not self.intake.caught_up_once:
            raise NotReady("the intake has not caught up yet")

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Start what is needed before the first request, run the rest beside, and stop all in the end.

        Raises:
            PyMongoError, TimeoutError: MongoDB was not there within `START_S`; a supervisor starts again.
        """
        await self._prepared()
        if isinstance(self.clock, SandboxClock):
            self._begin("clock", self.clock.run)
        self._begin("kafka", self._with_kafka)
        for name, work in self._workers:
            self._begin(name, work)
        if levers.on(levers.FROZEN_COLLECTOR):
            gc.collect()
            gc.freeze()
            gc.set_threshold(GC_THRESHOLD, 20, 20)
        try:
            yield
        finally:
            await self.publisher.drain(1.0)
            await end(self._tasks)
            await self.producer.stop()
            if isinstance(self.clock, SandboxClock):
                with contextlib.suppress(PyMongoError):
                    await self.clock.leave()
            await self.mongo.close()

    async def _prepared(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                if isinstance(self.clock, SandboxClock):
                    await self.clock.load()
                for step in self._prepare:
                    await step()
                return
            except PyMongoError as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("MongoDB is not there yet", error=repr(error))
                await asyncio.sleep(0.5)

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        async def kept() -> None:
            try:
                await work()
            except asyncio.CancelledError:
                raise
            except BaseException:
                log.critical("a worker ended: so does this process", worker=name, exc_info=True)
                os.kill(os.getpid(), signal.SIGTERM)
                raise

        self._tasks.append(asyncio.create_task(kept(), name=name))

    async def _with_kafka(self) -> None:
        """Find the cluster, fill it if it is new, then publish and take in, for as long as it stays the same."""
        while self._cluster_id is None:
            try:
                found = await cluster_id(self.settings.kafka_bootstrap)
                await self.publisher.adopt_cluster(found)
                self._cluster_id = found
            except (KafkaError, PyMongoError, TimeoutError, OSError) as error:
                log.warning("Kafka is not there yet", error=repr(error))
                await asyncio.sleep(1)
        works = [self.publisher.run(), self._watch_cluster()]
        if self.intake is not None:
            works.append(self.intake.run(self._cluster_id))
        await together(*works)

    async def _watch_cluster(self) -> None:
        while True:
            await asyncio.sleep(CLUSTER_WATCH_S)
            try:
                found = await cluster_id(self.settings.kafka_bootstrap)
            except (KafkaError, TimeoutError, OSError):
                continue
            if found != self._cluster_id:
                raise RuntimeError("this is another Kafka cluster than before: starting afresh to fill it")


def serve(service: str, build: Callable[[], FastAPI], settings: Settings, port: int) -> None:
    """Run one service's HTTP application, and everything in its lifespan, until SIGINT or SIGTERM."""
    telemetry.configure(service, settings.log_level)

    async def main() -> None:
        config = uvicorn.Config(
            build(),
            host=settings.http_host,
            port=port,
            http=CorkedProtocol,
            log_config=None,
            access_log=False,
            server_header=False,
            # Nothing here asks for the client's address or scheme.
            proxy_headers=False,
            lifespan="on",
            timeout_graceful_shutdown=5,
        )
        server = uvicorn.Server(config)
        await server.serve()
        if not server.started:
            raise SystemExit(3)

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # a platform without it
        return None
    return uvloop.new_event_loop
