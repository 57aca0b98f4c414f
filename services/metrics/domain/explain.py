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
from services.metrics.domain.numbers import EXPLAINED, NO_ROLE, ROLES, Contribution
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

    @property
    def order(self) -> tuple[datetime, str]:
        """Sorts and pages."""
        return self.time, self.key

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


class Explained(NamedTuple):
    """A number by the sums that it is made of, in one role or in all."""

    sums: tuple[str, ...]
    role: str | None = None


def part_of(number: str) -> Explained:
    """A number as it is named in answers: `goals.missed`, `by_role.mentor.goals.missed`.

    Raises:
        Unprocessable: there is no such number, or it is not made of events.
    """
    role, name = None, number
    head, _, rest = number.partition(".")
    if head == "by_role":
        role, _, name = rest.partition(".")
    found = EXPLAINED.get(name)
    if found is None or role not in (None, *ROLES):
        raise Unprocessable.parameter(
            "number",
            f"One of {', '.join(EXPLAINED)}; or such a one in a role, as by_role.mentor.goals.missed.",
        )
    return Explained(found, role)


def reasons(item: Item, asked: Asked, explained: Explained) -> Iterable[Reason]:
    """What an event has to do with a number; the weights of all events add up to a plain count.

    Of a share these are the events of both its sides; of `confidence_mean` the check-ins that told one. `open`
    counts from the beginning, all else from the window's start.
    """
    if day_of(item.time) > asked.as_of or explained.role not in (None, item.role):
        return
    start, end = asked.window
    for index, (name, day, amount) in enumerate(item.weights):
        if name in explained.sums and day <= end and (day >= start or name == "open"):
            yield Reason(item.time, f"{item.id}.{index}", item, day, amount)
