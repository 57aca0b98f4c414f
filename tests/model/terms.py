"""What a goal asks for, and rule 6: what eases it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.model import instants
from tests.model.steps import Deadline, Measure, Refusal, Revise, Terms

AHEAD = timedelta(minutes=5)
BACKDATE = timedelta(days=7)
EASE_WORKDAYS = 2


def due_at(deadline: Deadline) -> datetime:
    return instants.due_at(deadline.day, deadline.zone, deadline.cutoff)


def later(deadline: Deadline, days: int) -> Deadline:
    return replace(deadline, day=deadline.day + days * instants.DAY)


def started_days(start: datetime, end: datetime) -> int:
    """Every started 24 h are a day."""
    days = 0
    while start + days * instants.DAY < end:
        days += 1
    return days


def require_ahead(deadline: Deadline, now: datetime) -> None:
    leap_day = (now.month, now.day) == (2, 29)
    farthest = now.replace(year=now.year + 10, day=28 if leap_day else now.day)
    if not now < due_at(deadline) <= farthest:
        raise Refusal(422)


def require_reportable(occurred_at: datetime, now: datetime) -> None:
    if not now - BACKDATE <= occurred_at <= now + AHEAD:
        raise Refusal(422)


def asked(step: Revise, terms: Terms) -> Terms:
    """The terms as somebody wants them."""
    wanted = {name: getattr(step, name) for name in ("title", "measure", "deadline", "every")}
    return replace(terms, **{name: value for name, value in wanted.items() if value is not None})


def eased(new: Terms, old: Terms) -> bool:
    """Rule 6: a later `due_at`, a target nearer to the old baseline, fewer milestones, or another kind."""
    if due_at(new.deadline) > due_at(old.deadline) or new.measure.kind != old.measure.kind:
        return True
    if new.measure.kind == "number":
        assert new.measure.target is not None
        assert old.measure.target is not None
        start = old.measure.start or 0.0
        return abs(new.measure.target - start) < abs(old.measure.target - start)
    return len(new.measure.milestones) < len(old.measure.milestones)


def measure_told(measure: Measure) -> dict[str, Any]:
    """As an event tells it."""
    told: dict[str, Any] = {"kind": measure.kind, "baseline": measure.start, "target": measure.target}
    if measure.kind == "milestones":
        told["milestones"] = list(measure.milestones)
    return {name: value for name, value in told.items() if value is not None}
