"""Rule 8: which check-ins did not come, found by walking through a goal's story from period to period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tests.model import instants
from tests.model.steps import Told

GRACE = timedelta(seconds=60)


@dataclass(frozen=True)
class Lapse:
    """A check-in on `goal` was expected by the end of the day `period`."""

    goal: str
    owner: str
    role: str
    period: date
    expected_by: datetime


@dataclass
class _Standing:
    """What is known of a goal at some instant. It is expected up to the earliest of `bounds`."""

    zone: str
    every: int
    due_at: datetime
    counted_from: datetime | date
    closed: bool = False
    missed_at: datetime | None = None
    paused_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def bounds(self) -> list[datetime]:
        stops = (self.missed_at, self.paused_at, self.ended_at)
        return [self.due_at, *(stop for stop in stops if stop is not None)]


def lapses(story: Sequence[Told], goal: str, logged: Sequence[datetime], until: datetime) -> list[Lapse]:
    """The lapses of a goal that are decided by `until`.

    `story` is all that goals recorded, in order; `logged` when check-ins about the goal were logged.
    """
    facts = [each for each in story if each.subject in (f"goal/{goal}", "mentorship")]
    begin = next((number for number, each in enumerate(facts) if each.type == "GoalSet"), None)
    if begin is None:
        return []
    first = facts[begin].data
    standing = _Standing(
        zone=first["deadline"]["time_zone"],
        every=first["check_in_every_days"],
        due_at=first["due_at"],
        counted_from=facts[begin].time,
    )
    # A resumption counts as a check-in does, where what was expected before the pause is still to be decided.
    marks = sorted(logged)
    found: list[Lapse] = []

    def decide(before: datetime | None) -> None:
        """Decide what can be decided before an instant, or all by `until`."""
        while True:
            day = _expected(standing, [mark for mark in marks if before is None or mark < before])
            end = instants.end_of(day, standing.zone)
            if standing.closed or any(end > bound for bound in standing.bounds):
                return
            if end + GRACE > until or (before is not None and end + GRACE >= before):
                return
            found.append(Lapse(goal, first["owner_id"], first["owner_role"], day, end))
            standing.counted_from = day

    for fact in facts[begin + 1 :]:
        decide(fact.time)
        _apply(standing, fact, marks)
    decide(None)
    return found


def _expected(standing: _Standing, marks: Sequence[datetime]) -> date:
    """The day on which the next check-in is expected: every one that came in its period begins the next."""
    while True:
        origin, zone = standing.counted_from, standing.zone
        if isinstance(origin, datetime):
            day, since = instants.day_in(zone, origin), origin
        else:
            day, since = origin, instants.end_of(origin, zone)
        day += standing.every * instants.DAY
        came = [mark for mark in marks if since < mark <= instants.end_of(day, zone)]
        if not came:
            return day
        standing.counted_from = min(came)


def _apply(standing: _Standing, fact: Told, marks: list[datetime]) -> None:
    match fact.type:
        case "GoalMet":
            standing.closed = True
        case "GoalDropped":
            # What was expected before the end is decided as ever, though the end drops the goal.
            standing.closed = standing.closed or standing.ended_at is None
        case "GoalMissed":
            standing.missed_at = fact.time
        case "MentorshipPaused":
            standing.paused_at = fact.time
        case "MentorshipEnded":
            standing.ended_at = fact.time
        case "MentorshipResumed":
            day = _expected(standing, [mark for mark in marks if mark < fact.time])
            end = instants.end_of(day, standing.zone)
            if end <= min(standing.bounds) and not standing.closed:
                # It saves nothing of what was expected before the pause, however short that was.
                marks.append(max(fact.time, end + timedelta(microseconds=1)))
                marks.sort()
            else:
                standing.counted_from = fact.time
            standing.paused_at = None
        case "GoalRevised":
            _revise(standing, fact.data, fact.time)


def _revise(standing: _Standing, data: dict[str, Any], at: datetime) -> None:
    if standing.missed_at is not None or data["check_in_every_days"] != standing.every:
        standing.counted_from = at
    standing.missed_at = None
    standing.zone = data["deadline"]["time_zone"]
    standing.every = data["check_in_every_days"]
    standing.due_at = data["due_at"]
