"""Tasks end, whatever their drivers make of it."""

from __future__ import annotations

import asyncio

from shared.tasks import end


class TestEnd:
    async def test_a_task_that_takes_its_cancellation_for_an_outage_ends_all_the_same(self) -> None:
        outages = 0

        async def stubborn() -> None:
            nonlocal outages
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    outages += 1
                    if outages > 2:
                        raise

        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        (outcome,) = await end([task])
        assert isinstance(outcome, asyncio.CancelledError)
        assert outages == 3

    async def test_tells_what_each_came_to(self) -> None:
        async def answers() -> int:
            return 7

        async def fails() -> None:
            raise ValueError("no")

        tasks = [asyncio.create_task(answers()), asyncio.create_task(fails())]
        await asyncio.wait(tasks)
        answered, failed = await end(tasks)
        assert answered == 7
        assert isinstance(failed, ValueError)
