"""Rules 1 and 2: what check-ins say of a goal, and whether they came in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.model.steps import Measure, Progress

GRACE = timedelta(seconds=60)


@dataclass
class CheckIn:
    """`said`: evidence that was no check-in but an outcome said. `noticed`: the counterpart's acknowledgement."""

    name: str
    author: str
    goal: str | None
    occurred_at: datetime
    logged_at: datetime
    progress: Progress | None
    sensitive: bool = False
    said: bool = False
    acknowledged_by: list[str] = field(default_factory=list)
    noticed: bool = False


def fraction(progress: Progress, measure: Measure) -> float:
    """Rule 1, of progress that fits the measure."""
    if measure.kind == "done":
        return 1.0 if progress.done else 0.0
    if measure.kind == "milestones":
        return len(set(progress.reached) & set(measure.milestones)) / len(measure.milestones)
    start, target = measure.start or 0.0, measure.target
    assert target is not None
    return max(0.0, min(1.0, (progress.number - start) / (target - start)))


def reaches(progress: Progress | None, measure: Measure) -> bool:
    return progress is not None and progress.kind == measure.kind and fraction(progress, measure) == 1.0


def whole(measure: Measure) -> Progress:
    """What reaches the target, as saying that a goal is met does."""
    return Progress(measure.kind, number=measure.target or 0.0, reached=measure.milestones)


def fraction_at(known: Iterable[CheckIn], measure: Measure, at: datetime) -> float:
    """Rule 1: progress at an instant is that of the latest check-in up to it that fits."""
    latest: CheckIn | None = None
    for each in known:
        if each.progress is None or each.progress.kind != measure.kind or each.occurred_at > at:
            continue
        if latest is None or (each.occurred_at, each.logged_at, each.name) > (
            latest.occurred_at,
            latest.logged_at,
            latest.name,
        ):
            latest = each
    return fraction(latest.progress, measure) if latest is not None and latest.progress is not None else 0.0


def is_timely(evidence: CheckIn, due: datetime) -> bool:
    """Rule 2."""
    return evidence.occurred_at < due and evidence.logged_at < due + GRACE


def progress_told(progress: Progress, measure: Measure) -> dict[str, Any]:
    """As an event tells it."""
    if progress.kind == "number":
        return {"value": progress.number}
    if progress.kind == "milestones":
        return {"milestones": [name for name in measure.milestones if name in progress.reached]}
    return {"done": progress.done}
