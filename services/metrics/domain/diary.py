"""Check-in events as the numbers see them: logged, acknowledged, lapsed.

A *diary* holds a month of them about one goal, or about a mentorship where they name no goal. Nothing here depends
on a goal or on the order of events, so they may come before the goal they are about.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import Struct

from services.metrics.domain.days import day_of
from services.metrics.domain.numbers import CONFIDENCE, CONFIDENCES, NO_ROLE, Weight
from shared import events as contract


class DiaryKey(NamedTuple):
    """Which diary: `about` is the goal's id, or the mentorship's; `month` is `2026-12`, of the days counted on."""

    about: str
    month: str


class Entry(Struct, kw_only=True, omit_defaults=True):
    """One event. `at` is the instant it counts on, `by` whose number it is: author, acknowledger, or goal's owner."""

    type: str
    id: str
    subject: str
    time: datetime
    at: datetime
    by: str
    role: str = NO_ROLE
    checkin_id: str | None = None
    logged_at: datetime | None = None
    progress: contract.Progress | None = None
    confidence: int | None = None
    realistic: bool | None = None
    attainable: bool | None = None
    period: str | None = None


EVENTS = frozenset({"CheckInLogged", "CheckInAcknowledged", "CheckInLapsed"})
"""The types that make entries."""


def entry(name: str, id_: str, subject: str, time: datetime, event: Any) -> Entry:
    """The entry of an event; `name` is one of `EVENTS`."""
    if name == "CheckInLogged":
        return Entry(
            type=name,
            id=id_,
            subject=subject,
            time=time,
            at=event.occurred_at,
            by=event.author_id,
            role=event.author_role,
            checkin_id=event.checkin_id,
            logged_at=event.logged_at,
            progress=event.progress,
            confidence=event.confidence,
            realistic=event.realistic,
            attainable=event.attainable,
        )
    if name == "CheckInAcknowledged":
        return Entry(
            type=name,
            id=id_,
            subject=subject,
            time=time,
            at=event.acknowledged_at,
            by=event.acknowledged_by,
            role=event.acknowledger_role or NO_ROLE,
            checkin_id=event.checkin_id,
        )
    return Entry(
        type=name,
        id=id_,
        subject=subject,
        time=time,
        at=event.expected_by,
        by=event.owner_id,
        role=event.owner_role,
        period=event.period,
    )


def weights(entry: Entry) -> Sequence[Weight]:
    """What an entry weighs."""
    day = day_of(entry.at)
    if entry.type == "CheckInLogged":
        return _of_logged(day, entry.confidence, entry.realistic, entry.attainable)
    return _of_another(day, entry.type)


@lru_cache(maxsize=4096)
def _of_logged(
    day: int, confidence: int | None, realistic: bool | None, attainable: bool | None
) -> Sequence[Weight]:
    found = [Weight("logged", day, 1)]
    if confidence is not None:
        found += [Weight(CONFIDENCE, day, confidence), Weight(CONFIDENCES, day, 1)]
    if realistic is False:
        found.append(Weight("unrealistic", day, 1))
    if attainable is False:
        found.append(Weight("unattainable", day, 1))
    return tuple(found)


@lru_cache(maxsize=4096)
def _of_another(day: int, name: str) -> Sequence[Weight]:
    if name == "CheckInAcknowledged":
        return (Weight("acknowledged", day, 1),)
    return (Weight("lapsed", day, 1),)


def engages(entry: Entry) -> bool:
    """Whether the entry shows its person engaged: they logged or acknowledged."""
    return entry.type != "CheckInLapsed"
