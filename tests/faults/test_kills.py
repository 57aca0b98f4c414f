"""`kill -9` of each service at random moments while a program plays: the numbers come out the same."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from tests.conftest import NewSystem
from tests.support.play import Play
from tests.support.records import Record
from tests.support.system import DEFAULT_SERVICES, System

pytestmark = [pytest.mark.engines, pytest.mark.faults, pytest.mark.timeout(300)]
ROUNDS = int(os.environ.get("ONBELAY_FAULTS_ROUNDS", "1"))
SEED = int(os.environ.get("ONBELAY_FAULTS_SEED", "20261102"))


async def kill_in_turn(system: System, chance: random.Random) -> None:
    """Kill one service after the other, each at a random moment, and start it again a little later; never ends."""
    while True:
        for service in chance.sample(DEFAULT_SERVICES, len(DEFAULT_SERVICES)):
            await asyncio.sleep(chance.uniform(0.2, 1.5))
            system.kill(service)
            await asyncio.sleep(chance.uniform(0, 0.5))
            await system.start(service)


class TestKilledAtAnyMoment:
    @pytest.mark.parametrize("round_", range(ROUNDS))
    async def test_a_program_comes_out_the_same(self, new_system: NewSystem, round_: int) -> None:
        system = await new_system()
        play = Play(system)
        killing = asyncio.create_task(kill_in_turn(system, random.Random(SEED + round_)))
        try:
            await play.perform()
        finally:
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)
        for service in DEFAULT_SERVICES:
            if not system.running(service):
                await system.start(service)
        await play.came_out_right()


class TestDeliveredTwice:
    async def test_every_record_once_more_changes_no_number_and_no_ledger_entry(
        self, new_system: NewSystem
    ) -> None:
        system = await new_system()
        play = Play(system)
        await play.perform()
        await play.came_out_right()
        numbers, ledger = await play.numbers(), await play.ledger()
        records = {topic: await system.records(topic) for topic in ("goals", "checkins", "nudges")}

        await again(system, [record for found in records.values() for record in found])
        await system.folded()
        assert await play.numbers() == numbers
        assert await play.ledger() == ledger
        await play.came_out_right()
        for topic, before in records.items():
            assert len(await system.records(topic)) >= 2 * len(before)
        assert await system.records("dead-letters") == []


async def again(system: System, records: list[Record]) -> None:
    """Publish records once more, byte for byte."""
    await system.publish(records)
