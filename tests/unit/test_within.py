"""The bound of a request's time: whoever is over it is cancelled, and nobody else."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref

import pytest
import uvloop

from shared.http.within import within


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


class TestWithin:
    async def test_what_takes_longer_is_cancelled(self) -> None:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            async with within(0.1):
                await for_ever()
        assert time.monotonic() - begun >= 0.1
        await asyncio.sleep(0)  # nothing of it is left to meet
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]

    async def test_what_is_done_in_time_is_left_alone(self) -> None:
        for _ in range(3):
            async with within(0.06):
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.15)

    async def test_each_is_bound_by_its_own_beginning(self) -> None:
        ended: list[int] = []

        async def one(number: int) -> None:
            await asyncio.sleep(0.1 * number)
            with pytest.raises(TimeoutError):
                async with within(0.25):
                    await for_ever()
            ended.append(number)

        await asyncio.gather(*(one(number) for number in (2, 0, 1)))
        assert ended == [0, 1, 2]

    async def test_another_error_of_the_cancelled_is_a_timeout_too(self) -> None:
        async def driver() -> None:
            try:
                await for_ever()
            except asyncio.CancelledError:
                raise RuntimeError("a lock, not held") from None

        with pytest.raises(TimeoutError) as raised:
            async with within(0.05):
                await driver()
        assert isinstance(raised.value.__cause__, RuntimeError)

    async def test_an_error_in_time_is_itself(self) -> None:
        with pytest.raises(LookupError):
            async with within(5):
                raise LookupError

    async def test_a_cancellation_by_others_is_one(self) -> None:
        inside = asyncio.Event()

        async def bound() -> None:
            async with within(5):
                inside.set()
                await for_ever()

        task = asyncio.create_task(bound())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_a_cancellation_by_others_outlasts_the_bound(self) -> None:
        async def bound() -> None:
            async with within(0.05):
                try:
                    await for_ever()
                except asyncio.CancelledError:
                    asyncio.current_task().cancel()  # type: ignore[union-attr]
                    raise

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(bound())

    async def test_the_inner_of_two_ends_alone(self) -> None:
        async with within(5):
            with pytest.raises(TimeoutError):
                async with within(0.05):
                    await for_ever()
            await asyncio.sleep(0.1)

    async def test_none_is_never(self) -> None:
        async with within(None):
            await asyncio.sleep(0.1)


def test_a_loop_that_has_ended_is_not_kept() -> None:
    async def bound() -> weakref.ref[asyncio.AbstractEventLoop]:
        async with within(5):
            return weakref.ref(asyncio.get_running_loop())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        kept = runner.run(bound())
    del runner
    gc.collect()
    assert kept() is None
