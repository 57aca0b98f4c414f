"""Rule 1: what a check-in says about a goal, as a fraction of the way."""

from __future__ import annotations

import math
from typing import Literal

from msgspec import Struct

Kind = Literal["number", "milestones", "done"]


class Measure(Struct, frozen=True, kw_only=True):
    """How progress is told: by a number on its way to `target`, by milestones reached, or by being done.

    A number starts from `baseline` (0 unless given) and may count down. Only what belongs to `kind` has a value.
    """

    kind: Kind
    unit: str | None = None
    baseline: float | None = None
    target: float | None = None
    milestones: tuple[str, ...] | None = None

    @property
    def start(self) -> float:
        """Where a number begins."""
        return self.baseline or 0.0

    @property
    def end(self) -> float:
        """Where a number shall arrive."""
        return self.target or 0.0


class Progress(Struct, frozen=True, kw_only=True):
    """What was reached by then: exactly one of a value, all the milestones so far, or whether it is done."""

    value: float | None = None
    milestones: tuple[str, ...] | None = None
    done: bool | None = None


def fits(progress: Progress | None, measure: Measure) -> bool:
    """Whether a report speaks of what is measured."""
    if progress is None:
        return False
    told = {"number": progress.value, "milestones": progress.milestones, "done": progress.done}
    return told[measure.kind] is not None


def reaches(progress: Progress | None, measure: Measure) -> bool:
    """Whether a report says that the target is reached."""
    if progress is None or not fits(progress, measure):
        return False
    if progress.value is not None:
        up = measure.end > measure.start
        return progress.value >= measure.end if up else progress.value <= measure.end
    if progress.milestones is not None:
        return set(measure.milestones or ()) <= set(progress.milestones)
    return progress.done is True


def fraction(progress: Progress | None, measure: Measure) -> float:
    """How much of the way a report says is gone, 0 to 1; 0 when it does not fit the measure."""
    if progress is None or not fits(progress, measure):
        return 0.0
    if reaches(progress, measure):
        return 1.0
    if progress.value is not None:
        return _share(progress.value, measure.start, measure.end)
    if progress.milestones is not None:
        wanted = set(measure.milestones or ())
        return len(wanted & set(progress.milestones)) / len(wanted)
    return 0.0


def complete(measure: Measure) -> Progress:
    """The report that reaches the target, and no more."""
    if measure.kind == "number":
        return Progress(value=measure.end)
    if measure.kind == "milestones":
        return Progress(milestones=measure.milestones)
    return Progress(done=True)


def _share(value: float, start: float, end: float) -> float:
    way, gone = end - start, value - start
    if not (math.isfinite(way) and math.isfinite(gone)):
        # The differences of huge numbers overflow; those of their halves do not.
        way, gone = end / 2 - start / 2, value / 2 - start / 2
    return min(1.0, max(0.0, gone / way))
