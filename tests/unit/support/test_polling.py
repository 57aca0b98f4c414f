"""What the tests' own `eventually` promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.polling import eventually


def counting() -> Iterator[int]:
    yield from range(1_000_000)


class TestEventually:
    async def test_it_returns_the_first_true_value(self) -> None:
        numbers = counting()
        assert await eventually(lambda: next(numbers), every=0.001) == 1

    async def test_it_awaits_what_is_awaitable(self) -> None:
        numbers = counting()

        async def ask() -> int:
            return next(numbers)

        assert await eventually(ask, every=0.001) == 1

    async def test_a_failed_assertion_counts_as_not_yet(self) -> None:
        numbers = counting()

        def condition() -> bool:
            assert next(numbers) > 3
            return True

        assert await eventually(condition, every=0.001)

    async def test_it_tells_the_last_assertion(self) -> None:
        def condition() -> bool:
            raise AssertionError("of its own")

        with pytest.raises(AssertionError, match="of its own"):
            await eventually(condition, 0.02, every=0.001)

    async def test_it_tells_the_last_value(self) -> None:
        with pytest.raises(AssertionError, match=r"within 0\.02 s; last was \[\]"):
            await eventually(list, 0.02, every=0.001)
