"""Deadlines, days and workdays, by looking at clocks instead of reckoning with offsets."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


@lru_cache(maxsize=100_000)
def due_at(day: date, zone: str, cutoff: str) -> datetime:
    """The first instant at which the clocks of a zone show the cutoff of a day, or have passed it."""
    hours, minutes, seconds = (int(part) for part in f"{cutoff}:00".split(":")[:3])
    wall = datetime(day.year, day.month, day.day) + timedelta(hours=hours, minutes=minutes, seconds=seconds)  # noqa: DTZ001
    instant = wall.replace(minute=0, second=0, tzinfo=UTC) - 30 * timedelta(hours=1)
    while shown(instant, zone) < wall:
        instant += QUARTER
    instant -= QUARTER
    while shown(instant, zone) < wall:
        instant += SECOND
    return instant


def shown(instant: datetime, zone: str) -> datetime:
    """What the clocks of a zone show."""
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def end_of(day: date, zone: str) -> datetime:
    """The instant at which a day ends."""
    return due_at(day, zone, "24:00")


def day_in(zone: str, instant: datetime) -> date:
    """The date that the calendars of a zone show."""
    return shown(instant, zone).date()


def workdays_before(day: date, count: int) -> date:
    """The `count`-th of Monday to Friday before a day."""
    while count > 0:
        day -= DAY
        if day.strftime("%a") not in ("Sat", "Sun"):
            count -= 1
    return day
