"""Rules 1 and 2: check-ins as evidence, weighed by their own times and never by when they came to be seen.

All functions look at the whole of a goal's check-ins, so that the order of arrival changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from services.goals.domain.progress import Measure, Progress, fits, fraction

Timing = Literal["timely", "belated", "late"]


class CheckIn(Struct, frozen=True, kw_only=True):
    """What was reported about a goal.

    `acknowledged`: the goal's counterpart has taken notice. `said`: it comes of an outcome that was said, and is
    evidence though it is no check-in; `note` are the private words said with it.
    """

    id: str
    author_id: str
    occurred_at: datetime
    logged_at: datetime
    progress: Progress | None = None
    acknowledged: bool = False
    said: bool = False
    note: str | None = None


class Step(Struct, frozen=True, kw_only=True):
    """From `at` on a goal's progress is `fraction`."""

    at: datetime
    fraction: float


def timing(check_in: CheckIn, due_at: datetime, grace: timedelta) -> Timing:
    """Rule 2: whether evidence is timely, belated or late."""
    if check_in.occurred_at >= due_at:
        return "late"
    return "timely" if check_in.logged_at < due_at + grace else "belated"


def fraction_at(check_ins: Iterable[CheckIn], measure: Measure, instant: datetime) -> float:
    """Rule 1: progress at an instant is what the latest fitting check-in up to it says; without one, 0."""
    known = [c for c in check_ins if c.occurred_at <= instant and fits(c.progress, measure)]
    return fraction(max(known, key=_order).progress, measure) if known else 0.0


def last_check_in_at(check_ins: Iterable[CheckIn], instant: datetime) -> datetime | None:
    """When the latest check-in up to an instant occurred; what was merely said is none."""
    return max((c.occurred_at for c in check_ins if c.occurred_at <= instant and not c.said), default=None)


def track(check_ins: Iterable[CheckIn], measure: Measure, now: datetime) -> tuple[Step, ...]:
    """How a goal's progress goes on from `now`: check-ins may lie some minutes ahead.

    Kept with the goal, so that a list of goals can tell their progress without their check-ins.
    """
    fitting = sorted((c for c in check_ins if fits(c.progress, measure)), key=_order)
    steps: list[Step] = []
    for check_in in fitting:
        step = Step(at=check_in.occurred_at, fraction=fraction(check_in.progress, measure))
        if steps and (step.at <= now or steps[-1].at == step.at):
            steps[-1] = step
        elif not steps or steps[-1].fraction != step.fraction:
            steps.append(step)
    return tuple(steps)


def fraction_now(steps: Sequence[Step], now: datetime) -> float:
    """Progress at `now`, by the track that was kept."""
    passed = [step.fraction for step in steps if step.at <= now]
    return passed[-1] if passed else 0.0


def _order(check_in: CheckIn) -> tuple[datetime, datetime, str]:
    return check_in.occurred_at, check_in.logged_at, check_in.id
