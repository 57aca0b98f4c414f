"""A notifier that dies or stands still on the way of a delivery."""

from __future__ import annotations

import pytest

from tests.conftest import NewSystem
from tests.integration.webhooks.world import World
from tests.support.polling import eventually
from tests.support.receiver import answer, receiver

pytestmark = [pytest.mark.engines, pytest.mark.faults]


async def test_a_delivery_outlives_the_notifier_under_the_same_id(new_system: NewSystem) -> None:
    system = await new_system(("goals", "notifier"))
    async with receiver(lambda _: None) as found:
        world = World(system, found, "org-crash")
        hook = await world.hook()
        await world.start()
        (first,) = await world.came(1)
        system.kill("notifier")
        await system.ended("notifier")
        await world.start()  # told while nobody listens
        found.reply = lambda _: answer(200)
        await system.start("notifier")
        await world.came(3)

        ids = [request.headers["webhook-id"] for request in found.requests]
        assert len(ids) == 3, "one more than there are events: the one that nobody had recorded"
        assert len(set(ids)) == 2
        again = [request for request in found.requests if request.headers["webhook-id"] == ids[0]]
        assert [request.body for request in again] == [first.body] * 2

        async def delivered() -> bool:
            return len(await world.deliveries(hook, state="delivered")) == 2

        await eventually(delivered)
