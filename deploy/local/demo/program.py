"""What a program's file says, checked while it is read; moments become instants once the first Monday is known."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from shared.time import END_OF_DAY, due_at, local_instant, zone

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
GOAL_NUMBERS = ("set", "met", "met_late", "missed", "retracted", "dropped", "revised", "eased", "open")
CHECK_IN_NUMBERS = ("logged", "lapsed", "acknowledged")
NUMBERS = frozenset(
    {
        *(f"goals.{name}" for name in GOAL_NUMBERS),
        *(f"check_ins.{name}" for name in CHECK_IN_NUMBERS),
        *("follow_through", "check_in_rate", "confidence_mean", "unrealistic", "unattainable"),
        *("people", "engaged", "engaged_share"),
    }
)
"""The numbers of a program, by their paths in an answer of metrics."""
FEWEST_PEOPLE = 5
"""Numbers of programs over fewer are withheld."""
_MOMENT = re.compile(rf"week (\d+) ({'|'.join(DAYS)})(?: ((?:[01]\d|2[0-3]):[0-5]\d))?")


class ProgramError(Exception):
    """The file does not make a program; the message says where and why."""


class Mentorship(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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


class Measure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As in the contract."""

    kind: Literal["number", "milestones", "done"]
    unit: str | None = None
    target: float | None = None
    milestones: list[str] | None = None


class SetGoal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person sets themself a goal; `goal` names it in this file."""

    goal: str
    mentorship: str
    title: str
    measure: Measure
    due: str
    every_days: int = 7
    why: str | None = None


class CheckIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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


class Acknowledge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person acknowledges the last check-in on a goal."""

    goal: str
    comment: str | None = None


class Revise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The owner gives a goal another deadline."""

    goal: str
    due: str
    reason: str | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One expectation."""

    role: Literal["mentor", "mentee"]
    text: str


class Expectations(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every pair agrees on, and when."""

    proposed: str
    signed: str
    review: str
    items: list[Item]


class Program(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file. People are named by short names, which are their ids too.

    `expect` holds numbers of the program that its author vouches for, such as `goals.missed: 1`; they win over those
    that are worked out.
    """

    organization: str
    program: str
    time_zone: str
    weeks: int
    coordinator: str
    people: dict[str, str]
    mentorships: dict[str, Mentorship]
    expectations: Expectations
    steps: list[Step]
    expect: dict[str, int | float | None] = {}

    @property
    def participants(self) -> frozenset[str]:
        """Everybody who takes part."""
        return frozenset(
            person for mentorship in self.mentorships.values() for person in mentorship.participants.values()
        )

    @property
    def goals(self) -> dict[str, tuple[Step, SetGoal]]:
        """The goals by name, each with the step that sets it."""
        return {step.set.goal: (step, step.set) for step in self.steps if step.set is not None}

    def mentorship_of(self, goal: str) -> Mentorship:
        """The mentorship that a goal belongs to."""
        return self.mentorships[self.goals[goal][1].mentorship]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Turns a program's moments into instants: its first day, a Monday, and its time zone.

    Raises:
        ValueError: what should be a moment is none.
    """

    first_day: date
    time_zone: str

    def day(self, moment: str) -> date:
        """The date of `week 3 tue` or `week 3 tue 14:00`."""
        week, day, _ = _parts(moment)
        return self.first_day + timedelta(weeks=week - 1, days=DAYS.index(day))

    def instant(self, moment: str) -> datetime:
        """The instant of `week 3 tue 14:00`."""
        return self.local(self.day(moment), time.fromisoformat(_parts(moment)[2] or "00:00"))

    def local(self, day: date, at: time) -> datetime:
        """The instant of a wall time."""
        return local_instant(day, at, self.time_zone)

    def deadline(self, moment: str) -> dict[str, str]:
        """The contract's deadline of `week 3 fri` (the end of that day) or `week 3 fri 17:00`."""
        cutoff = _parts(moment)[2] or END_OF_DAY
        return {"date": self.day(moment).isoformat(), "time_zone": self.time_zone, "cutoff": cutoff}

    def end(self, deadline: Mapping[str, str]) -> datetime:
        """The instant of a deadline."""
        return due_at(date.fromisoformat(deadline["date"]), deadline["time_zone"], deadline["cutoff"])

    def due(self, moment: str) -> datetime:
        """The instant of that deadline."""
        return self.end(self.deadline(moment))


def read(path: Path) -> Program:
    """The program of a file.

    Raises:
        ProgramError: it is none; the message says where and why.
        OSError: it cannot be read.
    """
    try:
        program = msgspec.yaml.decode(path.read_bytes(), type=Program)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ProgramError(f"{path}: {error}") from error
    for problem in _problems(program):
        raise ProgramError(f"{path}: {problem}")
    return program


def _problems(program: Program) -> Iterator[str]:
    """What is wrong, in the order of time; what comes after the first may follow from it."""
    yield from _who_and_when(program)
    calendar = Calendar(date(2024, 1, 1), program.time_zone)
    goals: dict[str, SetGoal] = {}
    owners: dict[str, str] = {}
    checked_in: set[str] = set()
    for step in sorted(program.steps, key=lambda step: calendar.instant(step.at)):
        deed = step.deed
        if isinstance(deed, str):
            problem = None if deed in program.mentorships else f"there is no mentorship {deed}"
        elif isinstance(deed, SetGoal):
            problem = _set_problem(program, step.who, deed, goals)
            goals[deed.goal], owners[deed.goal] = deed, step.who
        elif deed.goal not in goals:
            problem = f"the goal {deed.goal} is not set {'yet' if deed.goal in program.goals else 'at all'}"
        else:
            goal, owner = goals[deed.goal], owners[deed.goal]
            pair = {owner, program.mentorships[goal.mentorship].counterpart(owner)}
            problem = _deed_problem(step.who, deed, goal, owner, pair, checked_in)
            checked_in |= {deed.goal} if isinstance(deed, CheckIn) else set()
        if problem is not None:
            yield f"{step.at}: {problem}"


def _who_and_when(program: Program) -> Iterator[str]:
    try:
        zone(program.time_zone)
    except ValueError as error:
        yield str(error)
    for name, mentorship in program.mentorships.items():
        people = list(mentorship.participants.values())
        yield from (f"{name}: {who} is not among the people" for who in people if who not in program.people)
        if len(set(people)) < len(people):
            yield f"{name}: its participants are different people"
    if program.coordinator not in program.people:
        yield f"the coordinator, {program.coordinator}, is not among the people"
    if not program.steps:
        yield "nobody does anything"
    if program.expect and len(program.participants) < FEWEST_PEOPLE:
        yield f"expect: the numbers of fewer than {FEWEST_PEOPLE} people are withheld"
    yield from (f"expect: there is no number {name}" for name in program.expect if name not in NUMBERS)
    agreed = program.expectations
    for moment in (agreed.proposed, agreed.signed, agreed.review):
        yield from _moment_problem("expectations", moment, 10 * program.weeks)
    for step in program.steps:
        yield from _moment_problem("steps", step.at, program.weeks)
        if step.who not in program.people:
            yield f"{step.at}: {step.who} is not among the people"
        deed = step.deed
        for told in (getattr(deed, "due", None), getattr(deed, "occurred", None)):
            if told is not None:
                yield from _moment_problem(step.at, told, 10 * program.weeks)


def _moment_problem(place: str, moment: str, weeks: int) -> Iterator[str]:
    try:
        week = _parts(moment)[0]
    except ValueError as error:
        yield f"{place}: {error}"
        return
    if not 1 <= week <= weeks:
        yield f"{place}: {moment} is not in weeks 1 to {weeks}"


def _set_problem(program: Program, who: str, deed: SetGoal, goals: Container[str]) -> str | None:
    if deed.goal in goals:
        return f"there is a goal {deed.goal} already"
    if deed.mentorship not in program.mentorships:
        return f"there is no mentorship {deed.mentorship}"
    if who not in program.mentorships[deed.mentorship].participants.values():
        return f"{who} is not in {deed.mentorship}"
    return None


def _deed_problem(
    who: str,
    deed: CheckIn | Acknowledge | Revise,
    goal: SetGoal,
    owner: str,
    pair: Container[str],
    checked_in: Container[str],
) -> str | None:
    if who not in pair:
        return f"{who} is neither owner nor counterpart of {deed.goal}"
    if isinstance(deed, Revise) and who != owner:
        return f"{who} does not own {deed.goal}"
    if isinstance(deed, Acknowledge) and deed.goal not in checked_in:
        return f"there is no check-in on {deed.goal} to acknowledge yet"
    if isinstance(deed, CheckIn):
        field = {"number": "value"}.get(goal.measure.kind, goal.measure.kind)
        if set(deed.progress or {}) - {field}:
            return f"progress on {deed.goal} is told by {field}"
        unknown = set(deed.milestones or ()) - set(goal.measure.milestones or ())
        if unknown:
            return f"{deed.goal} has no milestone {min(unknown)}"
    return None


def _parts(moment: str) -> tuple[int, str, str | None]:
    match = _MOMENT.fullmatch(moment)
    if match is None:
        raise ValueError(f"no moment such as `week 3 tue 14:00`: {moment}")
    return int(match[1]), match[2], match[3]
