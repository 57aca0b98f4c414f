"""A goal as the numbers see it: its present state, and what each of its events weighs.

A goal is *open* on a day when, by all that counts up to that day, it is set and in its last revision neither met,
missed nor dropped. Each event changes on which days that holds; the change is weighed as steps of +1 and -1.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from services.metrics.domain.days import day_of
from services.metrics.domain.numbers import Weight
from shared import events as contract

State = Literal["proposed", "active", "met", "missed", "dropped", "declined"]
SYSTEM = "system"


class Revision(Struct, array_like=True):
    """One revision: the day it was recorded on, and the days on which it was decided, as far as it was."""

    since: int
    met_on: int | None = None
    late: bool = False
    missed_on: int | None = None
    dropped_on: int | None = None


class Goal(Struct, kw_only=True):
    """A goal; owner and terms are missing while it is proposed only."""

    goal_id: str = field(name="_id")
    org_id: str
    program_id: str
    mentorship_id: str
    state: State = "proposed"
    revisions: list[Revision] = field(default_factory=list)
    owner_id: str | None = None
    owner_role: str | None = None
    counterpart_id: str | None = None
    title: str | None = None
    measure: contract.Measure | None = None
    deadline: contract.Deadline | None = None
    due_at: datetime | None = None
    check_in_every_days: int | None = None
    set_at: datetime | None = None
    met_at: datetime | None = None
    missed_at: datetime | None = None
    dispute: Literal["open", "upheld", "rejected"] | None = None


class Line(Struct, kw_only=True, omit_defaults=True):
    """An event of a goal, kept with its weights: what explains numbers.

    `by`: whose deed it was, if a person's. `of`: which proposal or revision it was about. `at`: the instant it tells
    of: a deadline set or revised, or when the goal was met or missed.
    """

    type: str
    id: str
    time: datetime
    by: str | None = None
    of: str | None = None
    at: datetime | None = None
    weights: list[tuple[str, int, int]] = field(default_factory=list)


def take(goal: Goal, name: str, event: Any, time: datetime) -> list[Weight]:
    """Change `goal` by an event of its own, recorded at `time`; what the event weighs.

    The goal is the caller's to give away: it is changed in place, since a batch takes in thousands.
    """
    return _TAKES[name](goal, event, time)


def deed(name: str, event: Any) -> tuple[str | None, str | None]:
    """Whose deed an event was, and what it was about: a proposal, or a revision."""
    if name in ("GoalSet", "GoalRevised"):
        return getattr(event, "revised_by", event.owner_id), event.proposal_id
    if name == "RevisionProposed":
        return event.proposed_by, event.proposal_id
    if name == "RevisionDeclined":
        return event.declined_by, event.proposal_id
    if name in ("MissDisputed", "DisputeRejected"):
        return event.by, str(event.revision)
    if name == "GoalMissRetracted" and event.because == "dispute_upheld":
        return None, str(event.revision)
    return None, None


def told(name: str, event: Any) -> datetime | None:
    """The instant that an event tells of, if any."""
    instants = {"GoalSet": "due_at", "GoalRevised": "due_at", "GoalMet": "met_at", "GoalMissed": "missed_at"}
    found: datetime | None = getattr(event, instants[name]) if name in instants else None
    return found


def _set(goal: Goal, event: contract.GoalSet, time: datetime) -> list[Weight]:
    day = day_of(time)
    _terms(goal, event)
    goal.set_at = time
    goal.state = "active"
    goal.revisions = [Revision(day)]
    return [Weight("set", day, 1), Weight("open", day, 1)]


def _revised(goal: Goal, event: contract.GoalRevised, time: datetime) -> list[Weight]:
    day = day_of(time)
    _terms(goal, event)
    goal.state = "active"
    goal.met_at = goal.missed_at = goal.dispute = None
    last = len(goal.revisions) - 1
    weights = _steps(goal, last, -1)
    goal.revisions.append(Revision(day))
    weights += _steps(goal, last, 1) + _steps(goal, last + 1, 1)
    if event.revised_by != SYSTEM:
        weights.append(Weight("revised", day, 1))
    if event.eased:
        weights.append(Weight("eased", day, 1))
    return _netted(weights)


def _met(goal: Goal, event: contract.GoalMet, _: datetime) -> list[Weight]:
    day = day_of(event.met_at)
    late = event.met_at >= event.due_at
    goal.state = "met"
    goal.met_at = event.met_at
    weights = []
    index = _index(goal, event.revision)
    if index is not None:
        revision = goal.revisions[index]
        weights += _steps(goal, index, -1)
        if revision.met_on is not None:
            # Of several GoalMet of a revision the last counts.
            weights.append(Weight("met_late" if revision.late else "met", revision.met_on, -1))
        revision.met_on, revision.late = day, late
        weights += _steps(goal, index, 1)
    return [*_netted(weights), Weight("met_late" if late else "met", day, 1)]


def _missed(goal: Goal, event: contract.GoalMissed, _: datetime) -> list[Weight]:
    day = day_of(min(event.due_at, event.missed_at))
    goal.state = "missed"
    goal.missed_at = event.missed_at
    return [Weight("missed", day, 1), *_decided(goal, event.revision, "missed_on", day)]


def _retracted(goal: Goal, event: contract.GoalMissRetracted, _: datetime) -> list[Weight]:
    day = day_of(min(event.due_at, event.missed_at))
    goal.state = "active"
    goal.missed_at = None
    goal.dispute = "upheld" if event.because == "dispute_upheld" else None
    return [
        Weight("missed", day, -1),
        Weight("retracted", day, 1),
        *_decided(goal, event.revision, "missed_on", None),
    ]


def _dropped(goal: Goal, event: contract.GoalDropped, time: datetime) -> list[Weight]:
    day = day_of(time)
    goal.state = "dropped"
    return [Weight("dropped", day, 1), *_decided(goal, event.revision, "dropped_on", day)]


def _proposed(goal: Goal, event: contract.RevisionProposed, _: datetime) -> list[Weight]:
    return []


def _declined(goal: Goal, event: contract.RevisionDeclined, _: datetime) -> list[Weight]:
    if not goal.revisions:
        goal.state = "declined"
    return []


def _disputed(goal: Goal, event: contract.MissDisputed, _: datetime) -> list[Weight]:
    goal.dispute = "open"
    return []


def _rejected(goal: Goal, event: contract.DisputeRejected, _: datetime) -> list[Weight]:
    goal.dispute = "rejected"
    return []


_TAKES: dict[str, Callable[[Goal, Any, datetime], list[Weight]]] = {
    "GoalSet": _set,
    "GoalRevised": _revised,
    "GoalMet": _met,
    "GoalMissed": _missed,
    "GoalMissRetracted": _retracted,
    "GoalDropped": _dropped,
    "RevisionProposed": _proposed,
    "RevisionDeclined": _declined,
    "MissDisputed": _disputed,
    "DisputeRejected": _rejected,
}

EVENTS = frozenset(_TAKES)
"""The types that a goal takes in."""


def _terms(goal: Goal, event: contract.GoalSet) -> None:
    goal.owner_id = event.owner_id
    goal.owner_role = event.owner_role
    goal.counterpart_id = event.counterpart_id
    goal.title = event.title
    goal.measure = event.measure
    goal.deadline = event.deadline
    goal.due_at = event.due_at
    goal.check_in_every_days = event.check_in_every_days


def _index(goal: Goal, revision: int) -> int | None:
    return revision - 1 if 1 <= revision <= len(goal.revisions) else None


def _decided(goal: Goal, revision: int, what: str, day: int | None) -> list[Weight]:
    """Note what became of a revision; how that changes on which days the goal is open."""
    index = _index(goal, revision)
    if index is None:
        return []
    weights = _steps(goal, index, -1)
    setattr(goal.revisions[index], what, day)
    return _netted(weights + _steps(goal, index, 1))


def _steps(goal: Goal, index: int, sign: int) -> list[Weight]:
    """The days on which the goal is open in a revision, as a step up and a step down; `sign` -1 takes them back."""
    if index < 0:
        return []
    revision = goal.revisions[index]
    ends = [day for day in (revision.met_on, revision.missed_on, revision.dropped_on) if day is not None]
    if index + 1 < len(goal.revisions):
        ends.append(goal.revisions[index + 1].since)
    if not ends:
        return [Weight("open", revision.since, sign)]
    end = min(ends)
    if end <= revision.since:
        return []
    return [Weight("open", revision.since, sign), Weight("open", end, -sign)]


def _netted(weights: list[Weight]) -> list[Weight]:
    """One weight per number and day, without those that cancel out."""
    sums: dict[tuple[str, int], int] = {}
    for number, day, amount in weights:
        sums[number, day] = sums.get((number, day), 0) + amount
    return [Weight(number, day, amount) for (number, day), amount in sums.items() if amount]
