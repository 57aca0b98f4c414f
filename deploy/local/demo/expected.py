"""What a program's file says must come of it: the numbers, and the instants of what becomes due.

A second opinion, not a second implementation: it walks through one goal's story at a time, knows only what such files
can say, and takes nothing from the services.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from deploy.local.demo.program import Acknowledge, Calendar, CheckIn, Measure, Program, Revise, SetGoal, Step
from shared.time import end_of_day, local_date

GRACE = timedelta(seconds=60)
DAY = timedelta(days=1)
FEWEST_PEOPLE = 5
ROLES = ("mentor", "mentee", "leader")
WITHHELD = {"withheld": f"fewer than {FEWEST_PEOPLE} people"}


@dataclass(frozen=True, slots=True)
class Due:
    """Something that happens by itself: an event of that type about that goal, decided from `at` on."""

    at: datetime
    type: str
    goal: str


@dataclass(slots=True)
class Tally:
    """Counts of one goal, or of several added up."""

    goals: Counter[str] = field(default_factory=Counter)
    check_ins: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    confidences: list[int] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add what another counted."""
        self.goals += other.goals
        self.check_ins += other.check_ins
        self.said += other.said
        self.confidences += other.confidences

    def numbers(self) -> dict[str, Any]:
        """As metrics answers them."""
        kinds = ("set", "met", "met_late", "missed", "retracted", "dropped", "revised", "eased", "open")
        goals = {kind: self.goals[kind] for kind in kinds}
        check_ins = {kind: self.check_ins[kind] for kind in ("logged", "lapsed", "acknowledged")}
        return {
            "goals": goals,
            "follow_through": _share(goals["met"], goals["missed"]),
            "check_ins": check_ins,
            "check_in_rate": _share(check_ins["logged"], check_ins["lapsed"]),
            "confidence_mean": math.fsum(self.confidences) / len(self.confidences)
            if self.confidences
            else None,
            "unrealistic": self.said["unrealistic"],
            "unattainable": self.said["unattainable"],
        }


@dataclass(frozen=True, slots=True)
class Expected:
    """The numbers of the whole program, and what becomes due on the way, in order."""

    numbers: dict[str, Any]
    due: list[Due]


def expected(program: Program, calendar: Calendar) -> Expected:
    """What must come of `program` by the end of its last week."""
    end = end_of_day(calendar.date(f"week {program.weeks} sun"), program.time_zone)
    due: list[Due] = []
    tallies = {role: Tally() for role in ROLES}
    for goal in program.goals:
        story = _Story(program, calendar, goal, end)
        story.walk()
        due += story.due
        for role, tally in story.tallies.items():
            tallies[role].add(tally)
    people = {role: _people(program, role) for role in ROLES}
    everyone = set().union(*people.values())
    engaged = {step.who for step in program.steps if step.check_in or step.acknowledge}
    total = Tally()
    for tally in tallies.values():
        total.add(tally)
    hidden = _withheld({role: len(found) for role, found in people.items()})
    numbers = {
        **total.numbers(),
        "by_role": {role: WITHHELD if role in hidden else tallies[role].numbers() for role in ROLES},
        "people": len(everyone),
        "engaged": len(engaged),
        "engaged_share": len(engaged) / len(everyone),
    }
    return Expected(numbers, sorted(due, key=lambda each: each.at))


class _Story:
    """One goal, from being set to the end of the program."""

    def __init__(self, program: Program, calendar: Calendar, goal: str, end: datetime) -> None:
        self._program = program
        self._calendar = calendar
        self._mentorship = program.mentorship_of(goal)
        self._end = end
        step, self._goal = program.goals[goal]
        self._owner = step.who
        self._state = "active"
        self._due_at = calendar.due(self._goal.due)
        self._since: date | None = None
        self._paused_at: datetime | None = None
        self.tallies = {role: Tally() for role in self._mentorship.participants}
        self.due: list[Due] = []

    def walk(self) -> None:
        """Go through its steps in the order of time."""
        instant = self._calendar.instant
        for step in sorted(self._steps(), key=lambda each: instant(each.at)):
            self._until(instant(step.at))
            self._take(step, instant(step.at))
        self._until(self._end)
        self._owners.goals["open"] += self._state == "active"

    @property
    def _owners(self) -> Tally:
        return self.tallies[self._mentorship.role(self._owner)]

    def _steps(self) -> Iterable[Step]:
        for step in self._program.steps:
            deed = step.deed
            if self._goal.mentorship == deed or getattr(deed, "goal", None) == self._goal.goal:
                yield step

    def _until(self, now: datetime) -> None:
        """What becomes due by itself before `now`: check-ins that lapse, then the deadline."""
        while self._state == "active" and self._since is not None and self._paused_at is None:
            period = self._since + timedelta(days=self._goal.every_days)
            expected_by = end_of_day(period, self._program.time_zone)
            if expected_by > self._due_at or expected_by + GRACE > now:
                break
            self._owners.check_ins["lapsed"] += 1
            self.due.append(Due(expected_by + GRACE, "CheckInLapsed", self._goal.goal))
            self._since = period
        if self._state == "active" and self._paused_at is None and self._due_at + GRACE <= now:
            self._state = "missed"
            self._owners.goals["missed"] += 1
            self.due.append(Due(self._due_at + GRACE, "GoalMissed", self._goal.goal))

    def _take(self, step: Step, now: datetime) -> None:
        deed = step.deed
        if isinstance(deed, SetGoal):
            self._owners.goals["set"] += 1
            self._since = self._date(now)
        elif isinstance(deed, CheckIn):
            self._check_in(deed, step.who, now)
        elif isinstance(deed, Acknowledge):
            self.tallies[self._mentorship.role(step.who)].check_ins["acknowledged"] += 1
        elif isinstance(deed, Revise):
            due_at = self._calendar.due(deed.due)
            self._owners.goals["revised"] += 1
            self._owners.goals["eased"] += due_at > self._due_at
            self._due_at = due_at
        elif step.pause:
            self._paused_at = now
        elif self._paused_at is not None:
            self._due_at += math.ceil((now - self._paused_at) / DAY) * DAY
            self._since, self._paused_at = self._date(now), None

    def _check_in(self, deed: CheckIn, who: str, now: datetime) -> None:
        tally = self.tallies[self._mentorship.role(who)]
        tally.check_ins["logged"] += 1
        tally.said["unrealistic"] += deed.realistic is False
        tally.said["unattainable"] += deed.attainable is False
        tally.confidences += [] if deed.confidence is None else [deed.confidence]
        self._since = self._date(now)
        if self._state not in ("active", "missed") or not _reached(self._goal.measure, deed):
            return
        occurred = self._calendar.instant(deed.occurred) if deed.occurred else now
        if occurred >= self._due_at:
            self._owners.goals["met_late"] += 1
        elif self._state == "active":
            self._owners.goals["met"] += 1
        elif who != self._owner:
            self._owners.goals.update({"met": 1, "missed": -1, "retracted": 1})
        else:
            return  # belated and the owner's own: it waits for an acknowledgement
        self._state = "met"

    def _date(self, instant: datetime) -> date:
        return local_date(instant, self._program.time_zone)


def _reached(measure: Measure, deed: CheckIn) -> bool:
    if measure.kind == "number":
        return deed.value is not None and deed.value >= (measure.target or 0)
    if measure.kind == "milestones":
        return set(measure.milestones or ()) <= set(deed.milestones or ())
    return deed.done is True


def _people(program: Program, role: str) -> set[str]:
    return {
        mentorship.participants[role]
        for mentorship in program.mentorships.values()
        if role in mentorship.participants
    }


def _withheld(people: dict[str, int]) -> set[str]:
    """The roles whose numbers tell of too few: those of 1 to 4 people, and one more where those are still few."""
    hidden = {role for role, count in people.items() if 0 < count < FEWEST_PEOPLE}
    others = [role for role in ROLES if people[role] >= FEWEST_PEOPLE]
    if hidden and others and sum(people[role] for role in hidden) < FEWEST_PEOPLE:
        hidden.add(min(others, key=lambda role: people[role]))
    return hidden


def _share(part: int, rest: int) -> float | None:
    return part / (part + rest) if part + rest else None
