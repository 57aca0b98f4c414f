"""Days are UTC, and numbered: `date.toordinal()`, so that windows and buckets are ranges of integers."""

from __future__ import annotations

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Literal, NamedTuple

from shared.errors import FieldError, Unprocessable

Granularity = Literal["day", "week", "month"]

DEFAULT_DAYS = 28
MAX_YEARS = 5
FIRST, LAST = date.min.toordinal(), date.max.toordinal()
"""The days that a date can name. What is reckoned from a day may lie beyond them."""


class Window(NamedTuple):
    """Days from `start` to `end`, both inclusive."""

    start: int
    end: int


class Asked(NamedTuple):
    """What a request for numbers asks about: a window, by what had been recorded up to the end of `as_of`.

    `latest`: by all that is known, since `as_of` is today.
    """

    window: Window
    as_of: int
    latest: bool = False


def day_of(instant: datetime) -> int:
    """The number of the UTC day that an aware instant lies on."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return instant.toordinal()


@lru_cache(maxsize=4096)
def month_of(day: int) -> str:
    """The month of a day as `2026-12`; of one beyond the calendar its first, or its last."""
    when = date.fromordinal(min(max(day, FIRST), LAST))
    return f"{when.year:04d}-{when.month:02d}"


@lru_cache(maxsize=4096)
def week_of(day: int) -> int:
    """The Monday of the ISO week that a day lies in."""
    return day - date.fromordinal(day).weekday()


def days_of(month: str) -> Window:
    """The days of a month, `2026-12`."""
    first = date.fromisoformat(f"{month}-01").toordinal()
    return Window(first, _last_day(first, "month"))


def shown_day(day: int) -> str:
    """A day as `2026-12-18`."""
    return date.fromordinal(day).isoformat()


def asked(start: date | None, end: date | None, as_of: date | None, today: date) -> Asked:
    """The window of a request. By default the 28 days up to `end`, `end` being today; at most 5 years.

    Raises:
        Unprocessable: the window is empty or too long, or `as_of` lies ahead; names each parameter.
    """
    if end is None:
        end = today
    if start is None:
        start = first_of(DEFAULT_DAYS, end)
    errors = []
    if start > end:
        errors.append(FieldError("This is after the window's end.", parameter="from"))
    elif start < _years_before(end, MAX_YEARS):
        errors.append(FieldError(f"The window is over {MAX_YEARS} years long.", parameter="from"))
    if as_of is not None and as_of > today:
        errors.append(FieldError("This lies in the future.", parameter="as_of"))
    if errors:
        raise Unprocessable(errors[0].detail, errors=errors)
    known = as_of or today
    return Asked(Window(start.toordinal(), end.toordinal()), known.toordinal(), known == today)


def first_of(days: int, end: date) -> date:
    """The first of so many days up to `end`, as far as the calendar goes."""
    return date.fromordinal(max(FIRST, end.toordinal() - (days - 1)))


def _years_before(day: date, years: int) -> date:
    if day.year <= years:
        return date.min
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, day=28)


def buckets(window: Window, granularity: Granularity) -> list[Window]:
    """The window cut into days, ISO weeks or months; the first and the last are clipped to it."""
    cut = []
    start = window.start
    while start <= window.end:
        end = min(_last_day(start, granularity), window.end)
        cut.append(Window(start, end))
        start = end + 1
    return cut


def _last_day(day: int, granularity: Granularity) -> int:
    if granularity == "day":
        return day
    when = date.fromordinal(day)
    if granularity == "week":
        return day + 6 - when.weekday()
    return day + monthrange(when.year, when.month)[1] - when.day


def bucket_index(ends: Sequence[int], day: int) -> int:
    """The index of the bucket that a day lies in, by the ends of contiguous buckets."""
    return bisect_left(ends, day)
