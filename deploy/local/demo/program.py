"""What a program's file says, checked while it is read; moments become instants once the first Monday is known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from shared.time import END_OF_DAY, due_at, local_instant, zone

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOMENT = re.compile(rf"week (\d+) ({'|'.join(DAYS)})(?: (\d\d:\d\d))?")


class ProgramError(Exception):
    """The file does not make a program; the message says where and why."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields that are not known are told, since they are typing errors."""


class Mentorship(_Part):
    """Who is in it; `every_days` is how often to check in."""

    mentor: str
    mentee: str
    leader: str | None = None
    focus: str | None = None

    @property
    def participants(self) -> dict[str, str]:
        """People by role."""
        roles = {"mentor": self.mentor, "mentee": self.mentee}
        return roles if self.leader is None else {**roles, "leader": self.leader}

    def role(self, person: str) -> str:
        """The role of a participant."""
        return next(role for role, participant in self.participants.items() if participant == person)

    def counterpart(self, owner: str) -> str:
        """Who a goal's owner answers to."""
        return self.mentor if owner == self.mentee else self.mentee


class Measure(_Part):
    """As in the contract."""

    kind: Literal["number", "milestones", "done"]
    unit: str | None = None
    target: float | None = None
    milestones: list[str] | None = None


class SetGoal(_Part):
    """A person sets themself a goal; `goal` names it in this file."""

    goal: str
    mentorship: str
    title: str
    measure: Measure
    due: str
    every_days: int = 7
    why: str | None = None


class CheckIn(_Part):
    """A person reports on a goal, theirs or their counterpart's."""

    goal: str
    occurred: str | None = None
    value: float | None = None
    milestones: list[str] | None = None
    done: bool | None = None
    confidence: int | None = None
    realistic: bool | None = None
    attainable: bool | None = None
    feeling: str | None = None
    note: str | None = None
    help: dict[str, str] | None = None

    @property
    def progress(self) -> dict[str, Any] | None:
        """As in the contract, if it reports any."""
        said = {"value": self.value, "milestones": self.milestones, "done": self.done}
        return {name: value for name, value in said.items() if value is not None} or None


class Acknowledge(_Part):
    """A person acknowledges the last check-in on a goal."""

    goal: str
    comment: str | None = None


class Revise(_Part):
    """The owner gives a goal another deadline."""

    goal: str
    due: str
    reason: str | None = None


class Step(_Part):
    """What a person does at a moment: exactly one of the verbs."""

    at: str
    who: str
    set: SetGoal | None = None
    check_in: CheckIn | None = None
    acknowledge: Acknowledge | None = None
    revise: Revise | None = None
    pause: str | None = None
    resume: str | None = None

    @property
    def deed(self) -> SetGoal | CheckIn | Acknowledge | Revise | str:
        """The one thing that is done; of a pause and a resume the mentorship's name."""
        return next(deed for deed in self._deeds() if deed is not None)

    def _deeds(self) -> tuple[SetGoal | CheckIn | Acknowledge | Revise | str | None, ...]:
        return (self.set, self.check_in, self.acknowledge, self.revise, self.pause, self.resume)

    def __post_init__(self) -> None:
        if sum(deed is not None for deed in self._deeds()) != 1:
            raise ValueError(f"{self.at}: one thing at a time")


class Item(_Part):
    """One expectation."""

    role: Literal["mentor", "mentee"]
    text: str


class Expectations(_Part):
    """What every pair agrees on, and when."""

    proposed: str
    signed: str
    review: str
    items: list[Item]


class Program(_Part):
    """A whole file. People are named by short names, which are their ids too."""

    organization: str
    program: str
    time_zone: str
    weeks: int
    coordinator: str
    people: dict[str, str]
    mentorships: dict[str, Mentorship]
    expectations: Expectations
    steps: list[Step]

    @property
    def goals(self) -> dict[str, tuple[Step, SetGoal]]:
        """The goals by name, each with the step that sets it."""
        return {step.set.goal: (step, step.set) for step in self.steps if step.set is not None}

    def mentorship_of(self, goal: str) -> Mentorship:
        """The mentorship that a goal belongs to."""
        return self.mentorships[self.goals[goal][1].mentorship]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Turns a program's moments into instants: its first day, a Monday, and its time zone."""

    first_day: date
    time_zone: str

    def date(self, moment: str) -> date:
        """The date of `week 3 tue` or `week 3 tue 14:00`."""
        week, day, _ = _parts(moment)
        return self.first_day + timedelta(weeks=week - 1, days=DAYS.index(day))

    def instant(self, moment: str) -> datetime:
        """The instant of `week 3 tue 14:00`."""
        return self.local(self.date(moment), time.fromisoformat(_parts(moment)[2] or "00:00"))

    def local(self, day: date, at: time) -> datetime:
        """The instant of a wall time."""
        return local_instant(day, at, self.time_zone)

    def deadline(self, moment: str) -> dict[str, str]:
        """The contract's deadline of `week 3 fri` (the end of that day) or `week 3 fri 17:00`."""
        cutoff = _parts(moment)[2] or END_OF_DAY
        return {"date": self.date(moment).isoformat(), "time_zone": self.time_zone, "cutoff": cutoff}

    def due(self, moment: str) -> datetime:
        """The instant of that deadline."""
        return due_at(self.date(moment), self.time_zone, self.deadline(moment)["cutoff"])


def read(path: Path) -> Program:
    """The program of a file.

    Raises:
        ProgramError: it is none.
        OSError: it cannot be read.
    """
    try:
        program = msgspec.yaml.decode(path.read_bytes(), type=Program)
        for problem in _problems(program):
            raise ProgramError(f"{path}: {problem}")
    except (msgspec.MsgspecError, ValueError) as error:
        raise ProgramError(f"{path}: {error}") from error
    return program


def _problems(program: Program) -> Iterator[str]:
    zone(program.time_zone)
    calendar = Calendar(date(2024, 1, 1), program.time_zone)
    goals = program.goals
    latest = datetime.min.replace(tzinfo=zone(program.time_zone))
    known: set[str] = set()
    for step in sorted(program.steps, key=lambda step: calendar.instant(step.at)):
        deed = step.deed
        if step.who not in program.people:
            yield f"{step.at}: {step.who} is not among the people"
        if isinstance(deed, SetGoal):
            known.add(deed.goal)
            calendar.due(deed.due)
            if deed.mentorship not in program.mentorships:
                yield f"{step.at}: there is no mentorship {deed.mentorship}"
            elif step.who not in program.mentorships[deed.mentorship].participants.values():
                yield f"{step.at}: {step.who} is not in {deed.mentorship}"
        elif isinstance(deed, str):
            if deed not in program.mentorships:
                yield f"{step.at}: there is no mentorship {deed}"
        elif deed.goal not in known:
            yield f"{step.at}: the goal {deed.goal} is not set {'yet' if deed.goal in goals else 'at all'}"
        latest = max(latest, calendar.instant(step.at))
    if latest > calendar.instant(f"week {program.weeks} sun 24:00".replace("24:00", "23:59")):
        yield f"it goes on after its {program.weeks} weeks"
    for name, mentorship in program.mentorships.items():
        for person in mentorship.participants.values():
            if person not in program.people:
                yield f"{name}: {person} is not among the people"


def _parts(moment: str) -> tuple[int, str, str | None]:
    match = _MOMENT.fullmatch(moment)
    if match is None:
        raise ValueError(f"no moment such as `week 3 tue 14:00`: {moment}")
    return int(match[1]), match[2], match[3]
