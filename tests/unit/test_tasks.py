"""Tasks end, whatever their drivers make of it."""

from __future__ import annotations

import asyncio

import pytest

from shared.tasks import end, to_the_end, together
from tests.support.polling import eventually


class Stubborn:
    """Work that takes its first cancellations for outages."""

    def __init__(self) -> None:
        self.outages = 0
        self.begun = asyncio.Event()

    async def work(self) -> None:
        self.begun.set()
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.outages += 1
                if self.outages > 2:
                    raise


async def fails() -> None:
    raise ValueError("no")


class TestEnd:
    async def test_a_task_that_takes_its_cancellation_for_an_outage_ends_all_the_same(self) -> None:
        stubborn = Stubborn()
        task = asyncio.create_task(stubborn.work())
        await stubborn.begun.wait()
        (outcome,) = await end([task])
        assert isinstance(outcome, asyncio.CancelledError)
        assert stubborn.outages == 3

    async def test_who_is_cancelled_while_it_waits_learns_of_it_when_all_have_ended(self) -> None:
        stubborn = Stubborn()
        task = asyncio.create_task(stubborn.work())
        await stubborn.begun.wait()
        ending = asyncio.create_task(end([task]))
        await eventually(task.cancelling)
        ending.cancel()
        try:
            with pytest.raises(asyncio.CancelledError):
                await ending
            assert task.cancelled()
        finally:
            await end([task])

    async def test_tells_what_each_came_to(self) -> None:
        async def answers() -> int:
            return 7

        tasks = [asyncio.create_task(answers()), asyncio.create_task(fails())]
        await asyncio.wait(tasks)
        answered, failed = await end(tasks)
        assert answered == 7
        assert isinstance(failed, ValueError)


class TestTogether:
    async def test_cancelled_it_ends_them_all_whatever_they_make_of_it(self) -> None:
        stubborn, patient = Stubborn(), Stubborn()
        running = asyncio.create_task(together(stubborn.work(), patient.work()))
        await stubborn.begun.wait()
        await patient.begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 10)
        assert stubborn.outages == patient.outages == 3

    async def test_of_one_that_fails_the_others_are_ended(self) -> None:
        stubborn = Stubborn()
        with pytest.raises(ValueError, match="no"):
            await asyncio.wait_for(together(stubborn.work(), fails()), 10)
        assert stubborn.outages == 3

    async def test_it_is_done_when_all_are(self) -> None:
        done = asyncio.Event()

        async def waits() -> None:
            await done.wait()

        async def does() -> None:
            done.set()

        await asyncio.wait_for(together(waits(), does()), 10)


class TestToTheEnd:
    async def test_who_is_cancelled_meanwhile_learns_of_it_afterwards(self) -> None:
        go, done = asyncio.Event(), False

        async def closes() -> None:
            nonlocal done
            await go.wait()
            done = True

        running = asyncio.create_task(to_the_end(closes()))
        for _ in range(4):
            ended, _pending = await asyncio.wait([running], timeout=0.01)
            assert not ended
            running.cancel()
        ended, _pending = await asyncio.wait([running], timeout=0.01)
        assert not ended
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert done

    async def test_it_answers_what_the_work_does(self) -> None:
        async def answers() -> int:
            return 7

        assert await to_the_end(answers()) == 7
        with pytest.raises(ValueError, match="no"):
            await to_the_end(fails())
