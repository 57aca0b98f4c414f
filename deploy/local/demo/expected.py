"""What a program's file says must come of it: the numbers, and the instants of what becomes due.

A second opinion, not a second implementation: it walks through one goal's story at a time, knows only what such files
can say, and takes nothing from the services.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from deploy.local.demo.program import (
    CHECK_IN_NUMBERS,
    FEWEST_PEOPLE,
    GOAL_NUMBERS,
    Acknowledge,
    Calendar,
    CheckIn,
    Measure,
    Program,
    Revise,
    SetGoal,
    Step,
)
from shared.time import end_of_day, local_date, workdays_before

GRACE = timedelta(seconds=60)
DAY = timedelta(days=1)
ROLES = ("mentor", "mentee", "leader")
WITHHELD = {"withheld": f"fewer than {FEWEST_PEOPLE} people"}
REMINDED_AT = time(9)


@dataclass(frozen=True, slots=True)
class Due:
    """Something that happens by itself at `at`: an event of that type about that goal, of a reminder that `kind`."""

    at: datetime
    type: str
    goal: str
    kind: str | None = None


@dataclass(slots=True)
class Tally:
    """Counts of one goal, or of several added up."""

    goals: Counter[str] = field(default_factory=Counter)
    check_ins: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    confidences: list[int] = field(default_factory=list)

    def numbers(self) -> dict[str, Any]:
        """As metrics answers them."""
        goals = {name: self.goals[name] for name in GOAL_NUMBERS}
        check_ins = {name: self.check_ins[name] for name in CHECK_IN_NUMBERS}
        mean = math.fsum(self.confidences) / len(self.confidences) if self.confidences else None
        return {
            "goals": goals,
            "follow_through": _share(goals["met"], goals["missed"]),
            "check_ins": check_ins,
            "check_in_rate": _share(check_ins["logged"], check_ins["lapsed"]),
            "confidence_mean": mean,
            "unrealistic": self.said["unrealistic"],
            "unattainable": self.said["unattainable"],
        }


def added(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    total = Tally()
    for tally in tallies:
        total.goals.update(tally.goals)
        total.check_ins.update(tally.check_ins)
        total.said.update(tally.said)
        total.confidences += tally.confidences
    return total


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come of a program.

    `program` and `mentorships` (by name) are numbers as metrics answers them. `due` is what happens by itself, in the
    order of time; `follows` the events that goals records because of a step, by the step's index: types and goals.
    """

    program: dict[str, Any]
    mentorships: dict[str, dict[str, Any]]
    due: list[Due]
    follows: dict[int, list[tuple[str, str]]]


def expected(program: Program, calendar: Calendar) -> Expected:
    """What must come of `program` by the end of its last week."""
    stories = [_Story(program, calendar, goal) for goal in program.goals]
    tallies: dict[tuple[str, str], list[Tally]] = defaultdict(list)
    follows: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for story in stories:
        story.walk()
        for index, types in story.follows.items():
            follows[index] += [(type_, story.goal_name) for type_ in types]
        for role, tally in story.tallies.items():
            tallies[story.mentorship_name, role].append(tally)

    def numbers(names: Iterable[str]) -> dict[str, Any]:
        roles = {role: added(tally for name in names for tally in tallies[name, role]) for role in ROLES}
        by_role = {role: tally.numbers() for role, tally in roles.items()}
        return {**added(roles.values()).numbers(), "by_role": by_role}

    return Expected(
        _whole(program, numbers(list(program.mentorships))),
        {name: numbers([name]) for name in program.mentorships},
        sorted((due for story in stories for due in story.due), key=lambda each: each.at),
        follows,
    )


class _Story:
    """One goal, from being set to the end of the program."""

    def __init__(self, program: Program, calendar: Calendar, goal: str) -> None:
        self._program = program
        self._calendar = calendar
        self._end = end_of_day(calendar.day(f"week {program.weeks} sun"), program.time_zone)
        step, self._goal = program.goals[goal]
        self.goal_name, self.mentorship_name = goal, self._goal.mentorship
        self._mentorship = program.mentorships[self.mentorship_name]
        self._owner = step.who
        self._state = "not set yet"
        self._deadline = calendar.deadline(self._goal.due)
        self._since = self._agreed_on = calendar.day(step.at)
        self._paused_at: datetime | None = None
        self.tallies = {role: Tally() for role in self._mentorship.participants}
        self.due: list[Due] = []
        self.follows: dict[int, list[str]] = {}

    def walk(self) -> None:
        """Go through its steps in the order of time."""
        instant = self._calendar.instant
        for index, step in sorted(self._steps(), key=lambda each: instant(each[1].at)):
            self._until(instant(step.at))
            self._take(index, step, instant(step.at))
        self._until(self._end)
        self._owners.goals["open"] += self._state == "active"

    @property
    def _owners(self) -> Tally:
        return self.tallies[self._mentorship.role(self._owner)]

    @property
    def _due_at(self) -> datetime:
        return self._calendar.end(self._deadline)

    def _steps(self) -> Iterable[tuple[int, Step]]:
        for index, step in enumerate(self._program.steps):
            deed = step.deed
            if self._goal.mentorship == deed or getattr(deed, "goal", None) == self._goal.goal:
                yield index, step

    def _until(self, now: datetime) -> None:
        """What becomes due by itself before `now`: reminders, check-ins that lapse, then the deadline."""
        while self._state == "active" and self._paused_at is None:
            period = self._since + timedelta(days=self._goal.every_days)
            expected_by = end_of_day(period, self._program.time_zone)
            if expected_by > self._due_at:
                break
            self._remind(workdays_before(period + DAY, 1), "check_in_due", self._since, now)
            if expected_by + GRACE > now:
                break
            self._owners.check_ins["lapsed"] += 1
            self.due.append(Due(expected_by + GRACE, "CheckInLapsed", self._goal.goal))
            self._since = period
        if self._state == "active" and self._paused_at is None:
            two_workdays_ahead = workdays_before(date.fromisoformat(self._deadline["date"]), 2)
            self._remind(two_workdays_ahead, "goal_due_soon", self._agreed_on, now)
            if self._due_at + GRACE <= now:
                self._state = "missed"
                self._owners.goals["missed"] += 1
                self.due.append(Due(self._due_at + GRACE, "GoalMissed", self._goal.goal))

    def _remind(self, on: date, kind: str, since: date, now: datetime) -> None:
        """There is a reminder on the morning of `on`, if its cause, of the date `since`, is older."""
        reminder = Due(self._calendar.local(on, REMINDED_AT), "NudgeSent", self._goal.goal, kind)
        if since < on and reminder.at < now and reminder not in self.due:
            self.due.append(reminder)

    def _take(self, index: int, step: Step, now: datetime) -> None:
        deed = step.deed
        if isinstance(deed, SetGoal):
            self._owners.goals["set"] += 1
            self._state = "active"
        elif isinstance(deed, CheckIn):
            self._check_in(index, deed, step.who, now)
        elif isinstance(deed, Acknowledge):
            self.tallies[self._mentorship.role(step.who)].check_ins["acknowledged"] += 1
        elif isinstance(deed, Revise):
            before, self._deadline = self._due_at, self._calendar.deadline(deed.due)
            self._agreed_on = self._date(now)
            self._owners.goals["revised"] += 1
            self._owners.goals["eased"] += self._due_at > before
        elif step.pause:
            self._paused_at = now
        elif self._paused_at is not None:
            days = math.ceil((now - self._paused_at) / DAY)
            moved = date.fromisoformat(self._deadline["date"]) + timedelta(days=days)
            if self._state == "active":
                self._deadline = {**self._deadline, "date": moved.isoformat()}
                self.follows[index] = ["GoalRevised"]
            self._since, self._paused_at = self._date(now), None

    def _check_in(self, index: int, deed: CheckIn, who: str, now: datetime) -> None:
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
            self.follows[index] = ["GoalMet"]
        elif self._state == "active":
            self._owners.goals["met"] += 1
            self.follows[index] = ["GoalMet"]
        elif who != self._owner:
            self._owners.goals.update({"met": 1, "missed": -1, "retracted": 1})
            self.follows[index] = ["GoalMissRetracted", "GoalMet"]
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
    found = (mentorship.participants.get(role) for mentorship in program.mentorships.values())
    return {person for person in found if person is not None}


def _whole(program: Program, numbers: dict[str, Any]) -> dict[str, Any]:
    """The numbers of all mentorships as the program's: with people, and without what tells of too few."""
    if len(program.participants) < FEWEST_PEOPLE:
        return dict(WITHHELD)
    hidden = _withheld({role: _people(program, role) for role in ROLES})
    numbers["by_role"] |= dict.fromkeys(hidden, WITHHELD)
    return _vouched_for(numbers | _crowd(program), program.expect)


def _crowd(program: Program) -> dict[str, Any]:
    everyone = program.participants
    engaged = {step.who for step in program.steps if step.check_in or step.acknowledge}
    return {
        "people": len(everyone),
        "engaged": len(engaged),
        "engaged_share": _share(len(engaged), len(everyone - engaged)),
    }


def _withheld(people: Mapping[str, set[str]]) -> set[str]:
    """The roles whose numbers tell of too few: those of 1 to 4 people, and one more where those are still few."""
    hidden = {role for role, found in people.items() if 0 < len(found) < FEWEST_PEOPLE}
    others = [role for role in ROLES if len(people[role]) >= FEWEST_PEOPLE]
    if hidden and others and len(set().union(*(people[role] for role in hidden))) < FEWEST_PEOPLE:
        hidden.add(min(others, key=lambda role: len(people[role])))
    return hidden


def _vouched_for(numbers: dict[str, Any], expect: Mapping[str, float | None]) -> dict[str, Any]:
    """The numbers with those replaced that the file's author vouches for, by paths such as `goals.missed`."""
    for path, value in expect.items():
        *parents, name = path.split(".")
        part = numbers
        for parent in parents:
            part = part[parent]
        part[name] = value
    return numbers


def _share(part: int, rest: int) -> float | None:
    return part / (part + rest) if part + rest else None
