"""What stands in a person's calendar, by what is known of their goals. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from services.notifier.domain.goal import Goal, expected
from services.notifier.domain.mentorship import Mentorship


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `uid` stays the same whatever becomes of it, and `sequence` grows with each change.

    A deadline is an instant in the zone that was agreed on, a check-in is expected on a date. `cancelled`: it is
    nothing to keep any more, since the goal was met, missed or dropped, or no check-in is expected on it.
    """

    kind: Literal["deadline", "check_in"]
    uid: str
    title: str
    time_zone: str
    due_at: datetime | None
    on: date | None
    sequence: int
    changed_at: datetime
    cancelled: bool


def entries(goals: Iterable[Goal], mentorships: Mapping[str, Mentorship]) -> list[Entry]:
    """The entries of goals: of each its deadline and the check-in that is expected next, or was last."""
    found: list[Entry] = []
    for goal in goals:
        if goal.known and goal.due_at is not None and goal.changed_at is not None:
            found.append(_entry(goal, "deadline", due_at=goal.due_at, cancelled=goal.state != "active"))
            found.extend(_check_in(goal, mentorships.get(goal.mentorship_id)))
    return found


def _check_in(goal: Goal, mentorship: Mentorship | None) -> Iterable[Entry]:
    paused = mentorship is not None and mentorship.state != "active"
    resumed_at = mentorship.resumed_at if mentorship is not None else None
    coming = expected(goal, resumed_at)
    if coming is not None:
        yield _entry(goal, "check_in", on=coming.period, cancelled=paused)
    elif goal.checked_in_at is not None or goal.state != "active":
        # It stood there perhaps: a cancelled entry takes it out of calendars that keep what they saw.
        yield _entry(goal, "check_in", on=goal.deadline_date, cancelled=True)


def _entry(
    goal: Goal,
    kind: Literal["deadline", "check_in"],
    *,
    cancelled: bool,
    due_at: datetime | None = None,
    on: date | None = None,
) -> Entry:
    assert goal.changed_at is not None  # noqa: S101 - narrows; `entries` has looked
    return Entry(
        kind=kind,
        uid=f"{kind.replace('_', '-')}-{goal.goal_id}@onbelay",
        title=goal.title,
        time_zone=goal.time_zone,
        due_at=due_at,
        on=on,
        sequence=goal.changes,
        changed_at=goal.changed_at,
        cancelled=cancelled,
    )
