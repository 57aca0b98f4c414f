"""Rebuilding: replay the topics into a new generation beside the live one, and compare generations.

    python -m services.metrics rebuild [--no-switch]   replay, and go over to it when it has caught up
    python -m services.metrics verify                  compare the live generation with the other one
    python -m services.metrics forget                  remove the generation that is not live

A rebuild that is broken off goes on where it was when it is begun again: its offsets are in its own generation. The
services read and fold the live one meanwhile, and go over together, each in one step, within a second. The one before
is kept, though not folded further, until it is forgotten or the next rebuild begins.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import FastAPI
from pymongo.errors import PyMongoError

from services.metrics.risks import Risks
from services.metrics.settings import MetricsSettings
from services.metrics.store import Folding, Generation, Generations, RiskStore
from services.metrics.store.compare import Difference, Offsets, differences, offsets_of, still_differs
from services.metrics.stream import TOPICS, Projection
from shared import events as contract
from shared import telemetry
from shared.kafka import cluster_id
from shared.service import Runtime
from shared.tasks import end

log = structlog.get_logger(__name__)
T = TypeVar("T")

RETRY_S = (0.5, 1.0, 2.0, 4.0, 8.0)
HANDOVER_S = 3.0
"""How long a rebuilt generation is folded from here after the switch: the services take over within that time."""
LOOK_S = 0.5
SETTLE_S = 30.0
"""For how long a difference must stand while both generations are folded as far, to be told."""
MOST_TOLD = 50


class Rebuild:
    """One run of a command; `runtime` is entered while it works."""

    def __init__(self, settings: MetricsSettings) -> None:
        self._runtime = Runtime("metrics", settings)
        self._generations = Generations(self._runtime.mongo, self._runtime.database)
        self._settings = settings

    async def rebuild(self, *, switch: bool) -> int:
        """Replay into a new generation, or go on with one; returns the exit status."""
        generation = await _patiently(self._begun)
        risks = Risks(RiskStore(self._generations, generation), self._runtime.clock)
        async with self._folding(generation):
            await self._caught_up(generation)
            while await _patiently(risks.refresh):
                pass
            await self._caught_up(generation)
            if not switch:
                _say(f"{_name(generation)} has caught up; `rebuild` again goes over to it")
                return 0
            await _patiently(lambda: self._generations.switch(generation))
            _say(f"{_name(generation)} is live")
            await asyncio.sleep(HANDOVER_S)
        return 0

    async def _begun(self) -> Generation:
        previous = await self._generations.previous()
        if previous is not None and await self._generations.rebuilding() is None:
            await self._generations.forget(previous)
        return await self._generations.begin()

    async def verify(self) -> int:
        """Compare the live generation with the other; returns 1 when they differ, 2 when there is no other."""
        await _patiently(self._generations.load)
        live = self._generations.live
        other = await self._generations.rebuilding() or await self._generations.previous()
        if other is None:
            _say("There is one generation only: `rebuild --no-switch` makes another to compare with.")
            return 2
        await _patiently(other.make_indexes)
        async with self._folding(other):
            await self._caught_up(other)
            found = [each async for each in differences(live, other)]
            found = await self._settled(live, other, found)
        for each in found[:MOST_TOLD]:
            _say(str(each))
        _say(f"{_name(live)} and {_name(other)}: {len(found) or 'no'} differences")
        return 1 if found else 0

    async def forget(self) -> int:
        """Remove the generation that is not live."""
        await _patiently(self._generations.load)
        for generation in (await self._generations.rebuilding(), await self._generations.previous()):
            if generation is not None:
                await self._generations.forget(generation)
                _say(f"{_name(generation)} is removed")
        return 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The clients' life, without an intake of the live generation."""
        async with self._runtime.lifespan(FastAPI()):
            yield

    @asynccontextmanager
    async def _folding(self, generation: Generation) -> AsyncIterator[None]:
        """Fold into a generation meanwhile."""
        intake = self._runtime.new_intake(TOPICS, Projection(Folding(generation)), generation=generation.name)
        self._runtime.publisher.add(intake.dead_letters)
        await _patiently(intake.make_indexes)
        task = asyncio.create_task(intake.run(await cluster_id(self._settings.kafka_bootstrap)))
        try:
            yield
        finally:
            await end([task])

    async def _caught_up(self, generation: Generation) -> None:
        """Wait until all that stands in the topics now has been folded, and say how far it is."""
        ends = await self._ends()
        total = sum(ends.values())
        said = -1
        while True:
            offsets = await _patiently(lambda: offsets_of(generation))
            folded = sum(min(offsets.get(tp, 0), end) for tp, end in ends.items())
            percent = 100 * folded // total if total else 100
            if percent != said:
                said = percent
                _say(f"{_name(generation)}: {folded:,} of {total:,} records, {percent} %")
            if folded >= total:
                return
            await asyncio.sleep(LOOK_S)

    async def _ends(self) -> Offsets:
        names = [self._settings.topic(contract.TOPICS[topic]) for topic in TOPICS]
        consumer = AIOKafkaConsumer(*names, bootstrap_servers=self._settings.kafka_bootstrap)
        await consumer.start()
        try:
            tps: list[TopicPartition] = sorted(consumer.assignment())
            ends = await consumer.end_offsets(tps)
        finally:
            await consumer.stop()
        return {(tp.topic, tp.partition): end for tp, end in ends.items()}

    async def _settled(
        self, live: Generation, other: Generation, found: Sequence[Difference]
    ) -> list[Difference]:
        """Those differences that stand while both are folded as far: the others were a matter of time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + SETTLE_S
        left = list(found)
        while left:
            before = await offsets_of(live), await offsets_of(other)
            left = [each for each in left if await still_differs(live, other, each)]
            after = await offsets_of(live), await offsets_of(other)
            if (before == after and after[0] == after[1]) or loop.time() > until:
                break
            await asyncio.sleep(LOOK_S)
        return left


def run(arguments: Sequence[str]) -> int:
    """Run a command of `python -m services.metrics`; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m services.metrics", description=(__doc__ or "").split("\n")[0]
    )
    commands = parser.add_subparsers(dest="command", required=True)
    rebuild = commands.add_parser(
        "rebuild", help="replay the topics into a new generation, and go over to it"
    )
    rebuild.add_argument("--no-switch", action="store_true", help="leave the present one live")
    commands.add_parser("verify", help="compare the live generation with the other one")
    commands.add_parser("forget", help="remove the generation that is not live")
    chosen = parser.parse_args(arguments)
    settings = MetricsSettings(instance=f"metrics-{chosen.command}:{os.getpid()}")
    telemetry.configure("metrics", "WARNING")

    async def main() -> int:
        work = Rebuild(settings)
        async with work.running():
            if chosen.command == "rebuild":
                return await work.rebuild(switch=not chosen.no_switch)
            return await (work.verify() if chosen.command == "verify" else work.forget())

    return asyncio.run(main())


async def _patiently(step: Callable[[], Awaitable[T]]) -> T:
    """Do a repeatable step, again while MongoDB is away or slow, as beside a live service it may be."""
    for pause in (*RETRY_S, None):
        try:
            return await step()
        except PyMongoError as error:
            if pause is None:
                raise
            log.warning("trying again", error=repr(error))
            await asyncio.sleep(pause)
    raise AssertionError("unreachable")


def _name(generation: Generation) -> str:
    return generation.name.rstrip(".") or "the first generation"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
