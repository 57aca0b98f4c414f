"""What several ask at the same moment is answered in one go, each as if it were alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from services.notifier.together import IN_FLIGHT, MOST, Together


class Doubling:
    """Answers with the double, once it is let; 13 it refuses."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.let = asyncio.Event()

    async def __call__(self, questions: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(questions))
        await self.let.wait()
        return [ValueError("unlucky") if question == 13 else 2 * question for question in questions]


async def asked(together: Together[int, int], questions: Sequence[int]) -> list[asyncio.Task[int]]:
    """Ask all of these at once."""
    tasks = [asyncio.create_task(together.ask(question)) for question in questions]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_questions_of_one_moment_go_in_one_group() -> None:
    doubling = Doubling()
    tasks = await asked(Together(doubling), range(5))
    doubling.let.set()
    assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8]
    assert doubling.groups == [[0, 1, 2, 3, 4]]


async def test_those_that_come_later_collect_while_groups_are_on_their_way() -> None:
    doubling = Doubling()
    together: Together[int, int] = Together(doubling)
    first = [await asked(together, [number]) for number in range(IN_FLIGHT)]
    later = await asked(together, range(100, 100 + MOST + 1))
    assert len(doubling.groups) == IN_FLIGHT
    doubling.let.set()
    for task in [task for tasks in first for task in tasks] + later:
        await task
    assert [len(group) for group in doubling.groups] == [1] * IN_FLIGHT + [MOST, 1]


async def test_an_exception_is_for_who_asked_alone() -> None:
    doubling = Doubling()
    doubling.let.set()
    tasks = await asked(Together(doubling), [12, 13, 14])
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert (answers[0], answers[2]) == (24, 28)
    assert isinstance(answers[1], ValueError)


async def test_a_failure_of_the_group_is_everybody_s_and_ends_nothing() -> None:
    async def fail_once(questions: Sequence[int]) -> list[int | Exception]:
        if 1 in questions:
            raise OSError("away")
        return list(questions)

    together: Together[int, int] = Together(fail_once)
    tasks = await asked(together, [1, 2])
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [OSError, OSError]
    assert await together.ask(3) == 3


async def test_who_gives_up_is_not_asked_for_and_keeps_nobody() -> None:
    doubling = Doubling()
    together: Together[int, int] = Together(doubling)
    for number in range(IN_FLIGHT):
        await asked(together, [number])
    gone, stays = await asked(together, [7, 8])
    gone.cancel()
    doubling.let.set()
    assert await stays == 16
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert doubling.groups[-1] == [8]
