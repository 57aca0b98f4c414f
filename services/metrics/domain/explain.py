"""The events behind a number: each with the day it counts on and the weight it has there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from services.metrics.domain import diary
from services.metrics.domain.days import Asked, day_of, shown_day
from services.metrics.domain.diary import Entry
from services.metrics.domain.goal import Line
from services.metrics.domain.numbers import EXPLAINED, NO_ROLE, Contribution
from shared.errors import Unprocessable


@dataclass(frozen=True, slots=True)
class Item:
    """An event and its weights, in the role of whom it counts for."""

    type: str
    id: str
    subject: str
    time: datetime
    role: str
    weights: Iterable[tuple[str, int, int]]

    @classmethod
    def of_line(cls, goal_id: str, role: str | None, line: Line) -> Item:
        """A goal's event."""
        return cls(line.type, line.id, f"goal/{goal_id}", line.time, role or NO_ROLE, line.weights)

    @classmethod
    def of_entry(cls, entry: Entry) -> Item:
        """A check-in event."""
        return cls(entry.type, entry.id, entry.subject, entry.time, entry.role, diary.weights(entry))


class Reason(NamedTuple):
    """One weight of one event; `key` orders and pages: newest first, then by it."""

    time: datetime
    key: str
    item: Item
    counts_on: int
    weight: int

    def shown(self) -> dict[str, Any]:
        """As an answer shows it."""
        return {
            "type": self.item.type,
            "id": self.item.id,
            "subject": self.item.subject,
            "time": self.time,
            "counts_on": shown_day(self.counts_on),
            "weight": self.weight,
        }


def contributions(items: Iterable[Item], as_of: int) -> list[Contribution]:
    """What events contribute, by what had been recorded up to the end of `as_of`."""
    return [
        Contribution(item.role, number, day, amount)
        for item in items
        if day_of(item.time) <= as_of
        for number, day, amount in item.weights
    ]


def sums_of(number: str) -> tuple[str, ...]:
    """The sums that a number, named as in answers (`goals.missed`), is made of.

    Raises:
        Unprocessable: there is no such number, or it is not made of events.
    """
    found = EXPLAINED.get(number)
    if found is None:
        raise Unprocessable.parameter("number", f"One of {', '.join(EXPLAINED)}.")
    return found


def reasons(items: Iterable[Item], asked: Asked, number: str, role: str | None = None) -> list[Reason]:
    """The events behind a number, newest first; the weights of a plain count add up to it.

    Of a share these are the events of both its sides; of `confidence_mean` the check-ins that told one. `open`
    counts from the beginning, all else from the window's start.
    """
    names = frozenset(sums_of(number))
    start, end = asked.window
    found = [
        Reason(item.time, f"{item.id}.{index}", item, day, amount)
        for item in items
        if day_of(item.time) <= asked.as_of and role in (None, item.role)
        for index, (name, day, amount) in enumerate(item.weights)
        if name in names and day <= end and (day >= start or name == "open")
    ]
    found.sort(key=lambda reason: (reason.time, reason.key), reverse=True)
    return found
