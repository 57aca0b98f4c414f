"""A pair's page: each goal as a timeline, what happened to it in words, and what is next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.metrics.dashboard.words import EVENTS, STATES, percent
from services.metrics.domain import risk
from services.metrics.domain.diary import Entry
from services.metrics.domain.goal import SYSTEM, Goal, Line
from shared.time import local_date

WIDTH, HEIGHT = 760, 64
LEFT, RIGHT = 12, 12
BASE = 30
DISPUTABLE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something on a timeline: `kind` is its class, `x` where, `text` what it says."""

    kind: str
    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Happened:
    """Something in words, with when it counts."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """One goal: its bar from `start` to `due`, how far it is, its marks, its story, and what is next."""

    goal_id: str
    title: str
    owner: str
    state: str
    state_name: str
    due: str
    percent: str
    fraction: float
    start: float
    reached: float
    due_x: float | None
    today: float | None
    marks: Sequence[Mark]
    story: Sequence[Happened]
    next_steps: Sequence[str] = field(default_factory=list)
    width: int = WIDTH
    height: int = HEIGHT
    base: int = BASE


Told = tuple[Goal, Sequence[Line], Sequence[Entry]]


def timelines(goals: Sequence[Told], now: datetime) -> tuple[list[Timeline], tuple[str, str] | None]:
    """The timelines of a pair's goals, the open ones first, then by deadline; and the ends of their one scale."""
    instants = [at for goal in goals for at in _instants(goal)]
    if not instants:
        return [], None
    begin, end = min(instants), max(max(instants), now)
    scale = _Scale(begin, end + (end - begin) * 0.02)
    ordered = sorted(
        goals, key=lambda told: (told[0].state != "active", told[0].due_at or end, told[0].goal_id)
    )
    return [_timeline(told, scale, now) for told in ordered], (_day(begin), _day(end))


@dataclass(frozen=True, slots=True)
class _Scale:
    begin: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        span = (self.end - self.begin).total_seconds() or 1.0
        share = min(1.0, max(0.0, (at - self.begin).total_seconds() / span))
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _instants(told: Told) -> list[datetime]:
    goal, lines, entries = told
    found = [line.time for line in lines] + [line.at for line in lines if line.at is not None]
    found += [entry.at for entry in entries]
    if goal.due_at is not None:
        found.append(goal.due_at)
    return found


def _timeline(told: Told, scale: _Scale, now: datetime) -> Timeline:
    goal, lines, entries = told
    # A goal may be met by what its owner or counterpart said, without a check-in that shows it.
    met = goal.state == "met"
    fraction = 1.0 if met else risk.progress(goal.measure, risk.in_order(entries), now)
    begun = goal.set_at or (lines[0].time if lines else now)
    story = sorted(_story(goal, lines, entries), key=lambda happened: happened.at)
    start = scale.x(begun)
    due_x = None if goal.due_at is None else scale.x(goal.due_at)
    return Timeline(
        goal_id=goal.goal_id,
        title=goal.title or "A goal that waits to be accepted",
        owner=f"{goal.owner_id} ({goal.owner_role})" if goal.owner_id else "",
        state=goal.state,
        state_name=STATES[goal.state],
        due="" if goal.due_at is None else _instant(goal.due_at),
        percent=percent(fraction),
        fraction=fraction,
        start=start,
        reached=0.0 if due_x is None else round(max(0.0, due_x - start) * fraction, 1),
        due_x=due_x,
        today=scale.x(now),
        marks=_marks(lines, entries, scale),
        story=story,
        next_steps=_next(goal, entries, now),
    )


_MARKED = {
    "GoalMet": ("met", "at"),
    "GoalMissed": ("missed", "at"),
    "GoalMissRetracted": ("back", "time"),
    "GoalDropped": ("dropped", "time"),
    "GoalRevised": ("revised", "time"),
}


def _marks(lines: Sequence[Line], entries: Sequence[Entry], scale: _Scale) -> list[Mark]:
    marks = []
    for entry in entries:
        if entry.type != "CheckInAcknowledged":
            kind = "lapsed" if entry.type == "CheckInLapsed" else "checkin"
            marks.append(Mark(kind, scale.x(entry.at), f"{EVENTS[entry.type]}, {_day(entry.at)}"))
    deadline: datetime | None = None
    for line in lines:
        if line.type in ("GoalSet", "GoalRevised"):
            if deadline is not None and line.at != deadline:
                marks.append(Mark("was-due", scale.x(deadline), f"was due {_day(deadline)}"))
            deadline = line.at
        if line.type in _MARKED:
            kind, when = _MARKED[line.type]
            at = (line.at if when == "at" else None) or line.time
            marks.append(Mark(kind, scale.x(at), f"{EVENTS[line.type]}, {_day(at)}"))
    return marks


def _story(goal: Goal, lines: Sequence[Line], entries: Sequence[Entry]) -> list[Happened]:
    told = []
    for line in lines:
        text = EVENTS.get(line.type, line.type)
        at = line.time
        if line.type == "GoalMet" and line.at is not None:
            at = line.at
        if line.type in ("GoalSet", "GoalRevised") and line.at is not None:
            text += f", due {_instant(line.at)}"
        if line.by is not None:
            text += ", because of a pause" if line.by == SYSTEM else f", by {line.by}"
        told.append(Happened(at, text))
    for entry in entries:
        text = EVENTS[entry.type]
        if entry.type == "CheckInLogged":
            text += f" by {entry.by}{_said(goal, entry)}"
        elif entry.type == "CheckInAcknowledged":
            text += f" by {entry.by}"
        told.append(Happened(entry.at, text))
    return told


def _said(goal: Goal, entry: Entry) -> str:
    parts = []
    if entry.progress is not None and goal.measure is not None:
        fraction = risk.fraction(goal.measure, entry.progress)
        if fraction is not None:
            parts.append(f"{percent(fraction)} done")
    if entry.confidence is not None:
        parts.append(f"confidence {entry.confidence} of 10")
    if entry.realistic is False:
        parts.append("not realistic any more")
    if entry.attainable is False:
        parts.append("not attainable")
    return f": {', '.join(parts)}" if parts else ""


def _next(goal: Goal, entries: Sequence[Entry], now: datetime) -> list[str]:
    if goal.state == "proposed":
        return ["It is the owner's once they accept it."]
    if goal.state == "active" and goal.due_at is not None and goal.deadline is not None:
        steps = []
        expected = _next_check_in(goal, entries)
        if expected is not None:
            steps.append(f"Check-in by {goal.owner_id} or {goal.counterpart_id} up to {expected}")
        days = (goal.due_at - now) / timedelta(days=1)
        left = f"in {days:.0f} days" if days >= 2 else "within 2 days" if days > 0 else "being decided"
        steps.append(f"Deadline {_instant(goal.due_at)}, {left}")
        return steps
    if goal.state == "missed" and goal.missed_at is not None:
        if goal.dispute == "open":
            return [f"{goal.counterpart_id} rules on the dispute"]
        steps = ["It can be renegotiated with a new deadline"]
        if goal.dispute is None and goal.missed_at + DISPUTABLE > now:
            steps.append(f"{goal.owner_id} may dispute the miss until {_day(goal.missed_at + DISPUTABLE)}")
        return steps
    return []


def _next_check_in(goal: Goal, entries: Sequence[Entry]) -> str | None:
    """The day by which the next check-in is expected, in the deadline's zone; None when the deadline comes first."""
    if goal.deadline is None or goal.due_at is None or goal.check_in_every_days is None:
        return None
    logged = [entry.logged_at or entry.at for entry in entries if entry.type == "CheckInLogged"]
    lapsed = [entry.at for entry in entries if entry.type == "CheckInLapsed"]
    last = max([*logged, *lapsed, *([goal.set_at] if goal.set_at is not None else [])], default=None)
    if last is None:
        return None
    zone = goal.deadline.time_zone
    day = local_date(last, zone) + timedelta(days=goal.check_in_every_days)
    return day.isoformat() if day <= local_date(goal.due_at, zone) else None


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
