"""Entries as iCalendar. Source: RFC 5545, RFC 7986 (name, refresh interval)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from icalendar import Calendar, Event, Timezone, vDuration

from services.notifier.calendar.entries import Entry
from shared.time import zone

PRODUCT = "-//Onbelay//Onbelay//EN"
BEFORE_DUE = timedelta(minutes=30)
"""A deadline is the end of an event of this length: the end of a day stands on that day, not on the next one."""
REFRESHED_EVERY = timedelta(hours=1)
_YEAR = timedelta(days=366)
_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""What a TEXT cannot hold in any form (3.3.11)."""


@dataclass(frozen=True, slots=True)
class Words:
    """The feed's words in a language. `check_in` and `deadline` have a place `{title}`."""

    name: str
    deadline: str
    check_in: str


def feed(entries: Sequence[Entry], words: Words, time_zone: str) -> bytes:
    """The calendar that holds the entries; the same bytes for the same arguments.

    Without any it holds `time_zone`, the reader's own: a calendar has at least one component (3.6).
    """
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("name", words.name)
    calendar.add("x-wr-calname", words.name)
    calendar.add("refresh-interval", REFRESHED_EVERY, parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", vDuration(REFRESHED_EVERY))
    if not entries:
        calendar.add_component(Timezone.from_tzinfo(zone(time_zone)))
    for entry in entries:
        calendar.add_component(_event(entry, words))
    ends = [entry.due_at for entry in entries if entry.due_at is not None]
    if ends:
        calendar.add_missing_timezones((min(ends) - _YEAR).date(), (max(ends) + _YEAR).date())
    return bytes(calendar.to_ical())


def _event(entry: Entry, words: Words) -> Event:
    event = Event()
    event.add("uid", entry.uid)
    event.add("dtstamp", entry.changed_at)
    event.add("last-modified", entry.changed_at)
    event.add("sequence", entry.sequence)
    event.add("status", "CANCELLED" if entry.cancelled else "CONFIRMED")
    # Nobody is busy for it: meetings can be put there.
    event.add("transp", "TRANSPARENT")
    text = words.deadline if entry.kind == "deadline" else words.check_in
    event.add("summary", text.format(title=_NO_TEXT.sub(" ", entry.title)))
    if entry.due_at is not None:
        event.add("dtstart", _local(entry.due_at - BEFORE_DUE, entry.time_zone))
        event.add("dtend", _local(entry.due_at, entry.time_zone))
    elif entry.on is not None:
        event.add("dtstart", entry.on)
        event.add("dtend", entry.on + timedelta(days=1))
    return event


def _local(instant: datetime, time_zone: str) -> datetime:
    return instant.astimezone(zone(time_zone))
