"""When a reminder's time comes. Kept as a rule, not as an instant: its recipient may change zone or workdays."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from msgspec import Struct

from services.notifier.domain.rhythm import NINE, Rhythm
from shared.time import workdays_after, workdays_before

GATHERING = timedelta(seconds=1)
"""What is to be told at once waits this long for what happens together with it, to share one message."""
_DAY = timedelta(days=1)


class AtOnce(Struct, frozen=True, kw_only=True, tag="at_once"):
    """When it happened."""

    since: datetime


class WorkdaysLater(Struct, frozen=True, kw_only=True, tag="workdays_later"):
    """Some own workdays after it happened, at the same local time."""

    since: datetime
    days: int


class Morning(Struct, frozen=True, kw_only=True, tag="morning"):
    """At 09:00 on a date, or `workdays_before` own workdays before it.

    With `on_workday` it is the last own workday up to the date.
    """

    date: date
    workdays_before: int = 0
    on_workday: bool = False


Moment = AtOnce | WorkdaysLater | Morning


def time_of(moment: Moment, rhythm: Rhythm) -> datetime:
    """The instant that the contract's table names, for a person of this rhythm."""
    if isinstance(moment, AtOnce):
        return moment.since
    if isinstance(moment, WorkdaysLater):
        wall = rhythm.wall(moment.since)
        day = workdays_after(wall.date(), moment.days, rhythm.workdays)
        return rhythm.at(day, wall.time())
    day = workdays_before(moment.date, moment.workdays_before, rhythm.workdays)
    if moment.on_workday and day.weekday() not in rhythm.workdays:
        day = workdays_before(day, 1, rhythm.workdays)
    return rhythm.at(day, NINE)


def due_time(moment: Moment, rhythm: Rhythm) -> datetime:
    """The instant from which on it may be told."""
    found = time_of(moment, rhythm)
    return found + GATHERING if isinstance(moment, AtOnce) else found
