"""A batch of events folded in memory: which documents it changes, and how.

Pure: what is stored already is given, what to store is returned. Cells are sums, so batches commute across topics
and however they are cut: a check-in may come before its goal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from services.metrics.domain import diary, goal, mentorship
from services.metrics.domain.days import day_of, month_of
from services.metrics.domain.diary import DiaryKey, Entry
from services.metrics.domain.goal import Goal, Line
from services.metrics.domain.mentorship import Mentorship
from services.metrics.domain.nudges import OUTCOMES, Nudge
from services.metrics.domain.numbers import NO_ROLE, NUMBERS, ROLES, Weight

PROGRAMS = "programs"
ORGS = "orgs"

PATHS = {role: {number: f"{role}.{number}" for number in NUMBERS} for role in (*ROLES, NO_ROLE)}
"""Where a cell keeps a number of a role."""


class Event(Protocol):
    """What a fold needs of an event: its envelope, and its data as a struct of the contract."""

    @property
    def type(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def time(self) -> datetime: ...
    @property
    def data(self) -> Any: ...


class CellKey(NamedTuple):
    """A cell holds what counts on one day and was recorded on one day, of a program or of the organization."""

    org_id: str
    scope: str
    id: str
    day: int
    recorded: int


@dataclass(slots=True)
class Cell:
    """Sums by path (`mentee.met`), and of a program who was engaged."""

    sums: dict[str, int] = field(default_factory=dict)
    engaged: set[str] = field(default_factory=set)


class MonthKey(NamedTuple):
    """A month, `2026-12`, of a program or of the organization."""

    org_id: str
    scope: str
    id: str
    month: str


@dataclass(slots=True)
class Month:
    """What a batch adds to a month, whenever it was recorded: sums of it whole, and by the day of the month."""

    total: dict[str, int] = field(default_factory=dict)
    days: dict[int, dict[str, int]] = field(default_factory=dict)
    engaged: dict[int, set[str]] = field(default_factory=dict)


class Diary(Struct):
    """What a batch adds to a diary."""

    org_id: str
    program_id: str
    mentorship_id: str
    goal_id: str | None
    entries: list[Entry] = []


@dataclass(slots=True)
class Changes:
    """What a batch changes: whole goals and mentorships, what is added to goals, diaries and cells, and nudges."""

    goals: dict[str, Goal] = field(default_factory=dict)
    lines: dict[str, list[Line]] = field(default_factory=dict)
    mentorships: dict[str, Mentorship] = field(default_factory=dict)
    diaries: dict[DiaryKey, Diary] = field(default_factory=dict)
    cells: dict[CellKey, Cell] = field(default_factory=dict)
    nudges: dict[str, Nudge] = field(default_factory=dict)
    _programs: dict[tuple[str, str, int, int], Cell] = field(default_factory=dict)
    """The cells of programs, by organization, program, day, and day recorded: what events are added to."""

    def goals_touched(self) -> dict[str, set[str]]:
        """The ids of the goals that anything happened to, by organization."""
        touched: dict[str, set[str]] = {}
        for id_, found in self.goals.items():
            touched.setdefault(found.org_id, set()).add(id_)
        for page in self.diaries.values():
            if page.goal_id is not None:
                touched.setdefault(page.org_id, set()).add(page.goal_id)
        return touched

    def weigh(self, event: Any, role: str, recorded: int, weights: Sequence[Weight]) -> None:
        """Add weights to the sums of the event's program, and thereby of its organization."""
        paths = PATHS[role]
        last, sums = None, None
        for number, day, amount in weights:
            if sums is None or day != last:
                last, sums = day, self._program(event, day, recorded).sums
            path = paths[number]
            sums[path] = sums.get(path, 0) + amount

    def engage(self, event: Any, person: str, day: int, recorded: int) -> None:
        """Note that a person was engaged in a program; of an organization they are those of its programs.

        To note them there once more would cost each event a look at everybody of that day.
        """
        self._program(event, day, recorded).engaged.add(person)

    def sum_up(self) -> None:
        """Once all events are taken: the cells of programs, and of their organizations, whose sums are theirs."""
        for (org_id, program_id, day, recorded), program in self._programs.items():
            self.cells[CellKey(org_id, PROGRAMS, program_id, day, recorded)] = program
            org = self.cells.setdefault(CellKey(org_id, ORGS, org_id, day, recorded), Cell())
            for path, amount in program.sums.items():
                org.sums[path] = org.sums.get(path, 0) + amount

    def months(self) -> dict[MonthKey, Month]:
        """The same as the cells, summed up by month: what is read when nobody asks how it was known before."""
        months: dict[MonthKey, Month] = {}
        for (org_id, scope, id_, day, _), cell in self.cells.items():
            key = MonthKey(org_id, scope, id_, month_of(day))
            if (month := months.get(key)) is None:
                month = months[key] = Month()
            of_day = month.days.setdefault(day, {})
            for path, amount in cell.sums.items():
                month.total[path] = month.total.get(path, 0) + amount
                of_day[path] = of_day.get(path, 0) + amount
            if cell.engaged:
                month.engaged.setdefault(day, set()).update(cell.engaged)
        return months

    def _program(self, event: Any, day: int, recorded: int) -> Cell:
        key = (event.org_id, event.program_id, day, recorded)
        cell = self._programs.get(key)
        if cell is None:
            cell = self._programs[key] = Cell()
        return cell


def touched(events: Iterable[Event]) -> tuple[set[str], set[str]]:
    """The ids of the goals and of the mentorships whose present state a batch of the goals topic needs."""
    goals, mentorships = set(), set()
    for event in events:
        if event.type in goal.EVENTS:
            goals.add(event.data.goal_id)
        elif event.type in mentorship.EVENTS:
            mentorships.add(event.data.mentorship_id)
    return goals, mentorships


def fold_goals(
    events: Iterable[Event], goals: Mapping[str, Goal], mentorships: Mapping[str, Mentorship]
) -> Changes:
    """Fold events of the goals topic onto the goals and mentorships that they touch, which it may change."""
    changes = Changes()
    for event in events:
        if event.type in goal.EVENTS:
            _take_goal(changes, event, goals)
        elif event.type in mentorship.EVENTS:
            id_ = event.data.mentorship_id
            found = changes.mentorships.get(id_) or mentorships.get(id_)
            if found is None:
                found = Mentorship(
                    mentorship_id=id_, org_id=event.data.org_id, program_id=event.data.program_id
                )
            mentorship.take(found, event.type, event.data, event.time)
            changes.mentorships[id_] = found
    changes.sum_up()
    return changes


def _take_goal(changes: Changes, event: Event, goals: Mapping[str, Goal]) -> None:
    data = event.data
    id_ = data.goal_id
    found = changes.goals.get(id_)
    if found is None:
        found = goals.get(id_) or Goal(
            goal_id=id_,
            org_id=data.org_id,
            program_id=data.program_id,
            mentorship_id=data.mentorship_id,
        )
        changes.goals[id_] = found
        changes.lines[id_] = []
    weights = goal.take(found, event.type, data, event.time)
    by, of = goal.deed(event.type, data)
    changes.lines[id_].append(
        Line(
            type=event.type,
            id=event.id,
            time=event.time,
            by=by,
            of=of,
            at=goal.told(event.type, data),
            weights=list(weights),
        )
    )
    if weights:
        changes.weigh(data, data.owner_role, day_of(event.time), weights)


def fold_checkins(events: Iterable[Event]) -> Changes:
    """Fold events of the check-ins topic."""
    changes = Changes()
    for event in events:
        if event.type not in diary.EVENTS:
            continue
        data = event.data
        entry = diary.entry(event.type, event.id, event.subject, event.time, data)
        day, recorded = day_of(entry.at), day_of(event.time)
        key = DiaryKey(data.goal_id or data.mentorship_id, month_of(day))
        if (page := changes.diaries.get(key)) is None:
            page = Diary(data.org_id, data.program_id, data.mentorship_id, data.goal_id)
            changes.diaries[key] = page
        page.entries.append(entry)
        changes.weigh(data, entry.role, recorded, diary.weights(entry))
        if diary.engages(entry):
            changes.engage(data, entry.by, day, recorded)
    changes.sum_up()
    return changes


def fold_nudges(events: Iterable[Event]) -> Changes:
    """Fold events of the nudges topic; of one nudge the last counts."""
    changes = Changes()
    for event in events:
        outcome = OUTCOMES.get(event.type)
        if outcome is None:
            continue
        data = event.data
        changes.nudges[data.nudge_id] = Nudge(
            nudge_id=data.nudge_id,
            org_id=data.org_id,
            program_id=data.program_id,
            mentorship_id=data.mentorship_id,
            goal_id=data.goal_id,
            recipient_id=data.recipient_id,
            kind=data.kind,
            period=data.period,
            outcome=outcome,
            reason=data.reason,
            at=data.at,
        )
    return changes
