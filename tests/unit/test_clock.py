from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from shared.clock import SystemClock


class TestTheSystemsClock:
    def test_it_is_utc_in_whole_milliseconds(self) -> None:
        now = SystemClock().now()
        assert now.tzinfo is UTC
        assert now.microsecond % 1000 == 0
        assert abs(now - datetime.now(UTC)) < timedelta(seconds=1)

    def test_it_never_goes_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = SystemClock()
        before = clock.now()
        monkeypatch.setattr(time, "time_ns", lambda: 0)
        assert clock.now() == before

    def test_it_was_never_moved(self) -> None:
        assert SystemClock().floor is None

    async def test_it_lets_every_decision_through(self) -> None:
        clock = SystemClock()
        async with asyncio.timeout(1), clock.deciding(), clock.deciding():
            assert clock.now()

    async def test_it_pauses_for_real_seconds(self) -> None:
        begun = time.monotonic()
        await SystemClock().pause(0.05)
        assert 0.04 < time.monotonic() - begun < 2
