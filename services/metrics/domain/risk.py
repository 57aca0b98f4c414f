"""Goals at risk: rules over what is known, each a signal with a name. No scores, nothing learned.

Assessments are kept, since an organization may have a hundred thousand open goals; each says until when it holds if
nothing happens (`next_at`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, field

from services.metrics.domain.diary import Entry
from services.metrics.domain.goal import Goal
from shared import events as contract

DUE_SOON = timedelta(days=7)
CONFIDENCE_WINDOW = timedelta(days=28)
LOW_CONFIDENCE = 3
CONFIDENCE_FALL = 3
TIME_GONE = 0.25
PACE = 0.75
LOOK_AGAIN = timedelta(milliseconds=1)


class Risk(Struct, frozen=True, kw_only=True):
    """An open goal, how far it is, and its signals. From `next_at` on another look is due; None: time alone does not
    change it."""

    goal_id: str = field(name="_id")
    org_id: str
    program_id: str
    mentorship_id: str
    owner_id: str
    title: str
    due_at: datetime
    fraction: float
    signals: list[str]
    count: int
    next_at: datetime | None = None

    @property
    def rank(self) -> tuple[int, datetime, str]:
        """Sorts the most signals first, then the nearest deadline."""
        return -self.count, self.due_at, self.goal_id

    def holds(self, now: datetime) -> bool:
        """Whether time alone has not changed it."""
        return self.next_at is None or self.next_at > now


def assess(goal: Goal, entries: Sequence[Entry], now: datetime) -> Risk:
    """The signals of an open goal, by the check-in events about it that are known.

    - `due_soon`: due within 7 days.
    - `behind_pace`: a number or milestones, a quarter of the time gone, and the fraction under 0.75 of the share
      of time gone.
    - `check_in_lapsed`: a check-in lapsed, and none was logged since.
    - By the owner's check-ins in the order of `occurred_at`: `confidence_low` (the latest is 3 or less),
      `confidence_falling` (the latest is 3 or more below the best of the 28 days before it), `unrealistic` and
      `unattainable` (the latest answer is no).
    """
    logged = in_order(entries)
    due_at = _due(goal)
    reached = progress(goal.measure, logged, now)
    signals = []
    if due_at - now <= DUE_SOON:
        signals.append("due_soon")
    if _behind_pace(goal, reached, now):
        signals.append("behind_pace")
    if _lapsed(entries, logged):
        signals.append("check_in_lapsed")
    own = [entry for entry in logged if entry.by == goal.owner_id]
    signals += _confidence(own)
    for signal, answers in (
        ("unrealistic", [entry.realistic for entry in own if entry.realistic is not None]),
        ("unattainable", [entry.attainable for entry in own if entry.attainable is not None]),
    ):
        if answers and not answers[-1]:
            signals.append(signal)
    return Risk(
        goal_id=goal.goal_id,
        org_id=goal.org_id,
        program_id=goal.program_id,
        mentorship_id=goal.mentorship_id,
        owner_id=goal.owner_id or "",
        title=goal.title or "",
        due_at=due_at,
        fraction=reached,
        signals=signals,
        count=len(signals),
        next_at=_next_look(goal, logged, reached, signals, now),
    )


def shown(risk: Risk) -> dict[str, Any]:
    """A goal at risk as an answer shows it."""
    return {
        "goal_id": risk.goal_id,
        "mentorship_id": risk.mentorship_id,
        "owner_id": risk.owner_id,
        "due_at": risk.due_at,
        "fraction": risk.fraction,
        "signals": risk.signals,
    }


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    """The check-ins among events, in the order of `occurred_at`, `logged_at`, id."""
    return sorted((entry for entry in entries if entry.type == "CheckInLogged"), key=_order)


def progress(measure: contract.Measure | None, logged: Sequence[Entry], now: datetime) -> float:
    """The fraction that the latest check-in up to `now` whose progress fits the measure tells; 0 without one.

    `logged`: check-ins as `in_order` gives them.
    """
    if measure is None:
        return 0.0
    for entry in reversed(logged):
        if entry.progress is not None and entry.at <= now:
            found = fraction(measure, entry.progress)
            if found is not None:
                return found
    return 0.0


def fraction(measure: contract.Measure, reached: contract.Progress) -> float | None:
    """How much of the measure is reached, 0 to 1; None when the progress does not fit it."""
    if measure.kind == "number":
        if reached.value is None or measure.target is None:
            return None
        return _share(reached.value, measure.baseline or 0.0, measure.target)
    if measure.kind == "milestones":
        if reached.milestones is None or not measure.milestones:
            return None
        named = set(measure.milestones)
        return len(named.intersection(reached.milestones)) / len(named)
    return None if reached.done is None else float(reached.done)


def _share(value: float, start: float, end: float) -> float | None:
    if start == end:
        return None
    way, gone = end - start, value - start
    if not (math.isfinite(way) and math.isfinite(gone)):
        # The differences of huge numbers overflow; those of their halves do not.
        way, gone = end / 2 - start / 2, value / 2 - start / 2
    return min(1.0, max(0.0, gone / way))


def _behind_pace(goal: Goal, fraction: float, now: datetime) -> bool:
    if goal.measure is None or goal.measure.kind == "done" or goal.set_at is None:
        return False
    whole = (_due(goal) - goal.set_at).total_seconds()
    gone = min(1.0, (now - goal.set_at).total_seconds() / whole) if whole > 0 else 1.0
    return gone >= TIME_GONE and fraction < PACE * gone


def _next_look(
    goal: Goal, logged: Sequence[Entry], reached: float, signals: Sequence[str], now: datetime
) -> datetime | None:
    """When time alone may change the assessment: a deadline comes near, a pace is lost, a check-in said to be of a
    moment that lies ahead (clocks differ by minutes) comes true."""
    looks = [entry.at for entry in logged if entry.at > now]
    if "due_soon" not in signals:
        looks.append(_due(goal) - DUE_SOON)
    if "behind_pace" not in signals and goal.measure is not None and goal.measure.kind != "done":
        share = max(TIME_GONE, reached / PACE)
        if goal.set_at is not None and share < 1:
            # At that very moment the pace may just be kept: a look too early is followed by another.
            lost = goal.set_at + (_due(goal) - goal.set_at) * share
            looks.append(lost if lost > now else now + LOOK_AGAIN)
    return min(looks, default=None)


def _lapsed(entries: Sequence[Entry], logged: Sequence[Entry]) -> bool:
    lapses = [entry.at for entry in entries if entry.type == "CheckInLapsed"]
    if not lapses:
        return False
    last = max(lapses)
    return not any(entry.logged_at is not None and entry.logged_at > last for entry in logged)


def _confidence(own: Sequence[Entry]) -> list[str]:
    told = [(entry.at, entry.confidence) for entry in own if entry.confidence is not None]
    if not told:
        return []
    at, latest = told[-1]
    signals = []
    if latest <= LOW_CONFIDENCE:
        signals.append("confidence_low")
    before = [confidence for when, confidence in told[:-1] if when >= at - CONFIDENCE_WINDOW]
    if before and max(before) - latest >= CONFIDENCE_FALL:
        signals.append("confidence_falling")
    return signals


def _order(entry: Entry) -> tuple[datetime, datetime, str]:
    return entry.at, entry.logged_at or entry.at, entry.checkin_id or ""


def _due(goal: Goal) -> datetime:
    # An open goal has a deadline; what was never set is not asked about.
    assert goal.due_at is not None  # noqa: S101 - narrows
    return goal.due_at
