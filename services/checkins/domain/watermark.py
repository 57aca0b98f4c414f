"""Rule 3's promise from this side: up to when every check-in is stored, and published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta


def stored_until(now: datetime, floor: datetime | None, write_timeout: timedelta) -> datetime:
    """The instant before which every accepted check-in was logged and stored, when `now` was read.

    A write that takes `write_timeout` is refused, so what was logged before that is stored or was never accepted; and
    before a sandbox clock was moved to `floor`, all that was decided had been stored.
    """
    settled = now - write_timeout
    return settled if floor is None else max(floor, settled)


def watermarks(
    stored: datetime, oldest_unpublished: Mapping[int, datetime], partitions: int
) -> dict[int, datetime]:
    """Per partition the instant before which every check-in stands in the topic.

    `oldest_unpublished` has to be read after `stored` was determined: then what was logged before `stored` is either
    in it, or published.
    """
    return {number: min(stored, oldest_unpublished.get(number, stored)) for number in range(partitions)}
