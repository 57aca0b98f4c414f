"""Instants, deadlines and workdays: what the contract's chapter on time says, as pure functions.

Instants are aware datetimes in UTC with whole milliseconds. A wall time that a zone skips (a DST gap) stands for
the instant at which the gap ends; one that comes twice (a fold) for its first occurrence. Zones are those of the
IANA database.
"""

from __future__ import annotations

import re
from collections.abc import Set
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

MON_FRI = frozenset(range(5))
"""Monday is 0."""
END_OF_DAY = "24:00"

_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
CUTOFF_PATTERN = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?|24:00(?::00)?"
_CUTOFF = re.compile(CUTOFF_PATTERN)
_NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones()) - _NO_ZONES


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name, in its exact spelling.

    Raises:
        ValueError: there is none of that name.
    """
    if name not in _names():
        raise ValueError(f"no such time zone: {name[:64]}")
    return _zone(name)


def to_ms(instant: datetime) -> datetime:
    """The instant in UTC, truncated to whole milliseconds."""
    instant = instant.astimezone(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def parse_instant(text: str) -> datetime:
    """An RFC 3339 instant of any offset: UTC, truncated to milliseconds.

    Raises:
        ValueError: it is none, or lies outside of the years 1 to 9999.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError("not an RFC 3339 instant")
    try:
        return to_ms(datetime.fromisoformat(text.upper()))
    except OverflowError as error:
        raise ValueError("out of range") from error


def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with `Z`; milliseconds only where there are some."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return _shown(instant)


@lru_cache(4096)
def _shown(instant: datetime) -> str:
    # Each instant is shown several times: in an event, its headers, an answer, a log line. In UTC alone, where equal
    # instants are the same.
    shown = instant.isoformat(timespec="milliseconds" if instant.microsecond >= 1000 else "seconds")
    return shown[:-6] + "Z"


def valid_cutoff(text: str) -> bool:
    """Whether `text` is `HH:MM` or `HH:MM:SS`, up to `24:00`."""
    return _CUTOFF.fullmatch(text) is not None


@lru_cache(4096)
def due_at(day: date, time_zone: str, cutoff: str = END_OF_DAY) -> datetime:
    """The instant that a deadline stands for.

    Example: `due_at(date(2027, 3, 28), "Europe/Berlin", "02:30")` is 2027-03-28T01:00:00Z, the end of the gap.

    Raises:
        ValueError: an unknown zone, a malformed cutoff, or a date at the edge of the calendar.
    """
    if not valid_cutoff(cutoff):
        raise ValueError("a cutoff is HH:MM or HH:MM:SS, up to 24:00")
    hour, minute, second = (int(part) for part in f"{cutoff}:00".split(":")[:3])
    try:
        wall = datetime.combine(day, time()) + timedelta(hours=hour, minutes=minute, seconds=second)
        return _instant(wall, zone(time_zone))
    except OverflowError as error:
        raise ValueError("a date at the edge of the calendar") from error


def local_instant(day: date, wall: time, time_zone: str) -> datetime:
    """The instant of a wall time on a date in a zone.

    Raises:
        ValueError: an unknown zone, or a date at the edge of the calendar.
    """
    try:
        return _instant(datetime.combine(day, wall.replace(tzinfo=None)), zone(time_zone))
    except OverflowError as error:
        raise ValueError("a date at the edge of the calendar") from error


def end_of_day(day: date, time_zone: str) -> datetime:
    """The instant at which a date ends in a zone: the next one's midnight, or the first instant after it."""
    return due_at(day, time_zone, END_OF_DAY)


def local_date(instant: datetime, time_zone: str) -> date:
    """The date that an instant falls on in a zone."""
    return instant.astimezone(zone(time_zone)).date()


def _instant(wall: datetime, where: ZoneInfo) -> datetime:
    first = wall.replace(tzinfo=where, fold=0)
    found = first.astimezone(UTC)
    if found.astimezone(where).replace(tzinfo=None) == wall:
        return found
    # In a gap. By the offset before it the wall time comes after the transition, by the one after it before.
    before = first.utcoffset()
    early = wall.replace(tzinfo=where, fold=1).astimezone(UTC)
    low, high = 0, int((found - early) / _SECOND)
    while low < high:
        middle = (low + high) // 2
        if (early + middle * _SECOND).astimezone(where).utcoffset() == before:
            low = middle + 1
        else:
            high = middle
    return early + low * _SECOND


def is_workday(day: date, workdays: Set[int] = MON_FRI) -> bool:
    """Whether a date is one of `workdays` (Monday is 0)."""
    return day.weekday() in workdays


def workdays_before(day: date, count: int, workdays: Set[int] = MON_FRI) -> date:
    """The `count`-th workday before a date, which itself does not count.

    Raises:
        ValueError: there are no workdays at all.
    """
    return _walk(day, count, -_DAY, workdays)


def workdays_after(day: date, count: int, workdays: Set[int] = MON_FRI) -> date:
    """The `count`-th workday after a date, which itself does not count.

    Raises:
        ValueError: there are no workdays at all.
    """
    return _walk(day, count, _DAY, workdays)


def _walk(day: date, count: int, step: timedelta, workdays: Set[int]) -> date:
    if count > 0 and not workdays:
        raise ValueError("no workdays at all")
    while count > 0:
        day += step
        if day.weekday() in workdays:
            count -= 1
    return day
