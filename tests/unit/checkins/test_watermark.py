"""Up to when everything that was logged stands in the topic."""

from __future__ import annotations

from datetime import timedelta

from services.checkins.domain.watermark import stored_until, watermarks
from tests.unit.checkins.world import NOW

TIMEOUT = timedelta(seconds=5)


def test_a_write_may_take_its_timeout() -> None:
    assert stored_until(NOW, None, TIMEOUT) == NOW - TIMEOUT


def test_what_was_decided_before_the_clock_was_moved_had_been_stored() -> None:
    assert stored_until(NOW, NOW - timedelta(seconds=1), TIMEOUT) == NOW - timedelta(seconds=1)
    assert stored_until(NOW, NOW - timedelta(days=1), TIMEOUT) == NOW - TIMEOUT


def test_what_is_unpublished_holds_back_its_own_partition_alone() -> None:
    oldest = {1: NOW - timedelta(seconds=30), 2: NOW + timedelta(seconds=1)}
    assert watermarks(NOW, oldest, 3) == {0: NOW, 1: NOW - timedelta(seconds=30), 2: NOW}
