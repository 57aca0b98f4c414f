"""Rule 1, as far as a check-in goes: what it reports has to fit the goal's measure."""

from __future__ import annotations

from shared import events as contract
from shared.errors import FieldError, Unprocessable
from shared.events import Measure, Progress

_SAYS = {
    "number": 'This goal is measured by a number: report {"value": ...}.',
    "milestones": 'This goal is measured by milestones: report {"milestones": [...]}.',
    "done": 'This goal is done or not: report {"done": true}.',
}


def fitting(progress: Progress, measure: Measure | None) -> Progress:
    """The progress, each milestone once and in the measure's order.

    Raises:
        Unprocessable: it is of another kind than the measure, or names milestones that the goal has not.
    """
    if measure is None or kind_of(progress) != measure.kind:
        detail = _SAYS[measure.kind] if measure is not None else "This goal has no measure yet."
        raise Unprocessable.field("/progress", detail)
    if progress.milestones is None:
        return progress
    known = measure.milestones or []
    unknown = [
        FieldError("This goal has no such milestone.", pointer=f"/progress/milestones/{index}")
        for index, milestone in enumerate(progress.milestones)
        if milestone not in known
    ]
    if unknown:
        raise Unprocessable("This goal has no such milestone.", errors=unknown)
    reached = set(progress.milestones)
    return contract.Progress(milestones=[milestone for milestone in known if milestone in reached])


def kind_of(progress: Progress) -> str:
    """The kind of measure that a progress belongs to."""
    if progress.value is not None:
        return "number"
    return "milestones" if progress.milestones is not None else "done"
