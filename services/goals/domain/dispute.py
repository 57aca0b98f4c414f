"""Rule 5: an owner who holds that a goal was met in time, and a counterpart who rules."""

from __future__ import annotations

from datetime import datetime

from services.goals.domain.goal import Dispute, Disputed, DisputeRejected, Fact, Goal, Met, Retracted
from services.goals.domain.rules import AHEAD, DISPUTABLE
from shared.errors import Conflict, Forbidden, Unprocessable


def dispute(goal: Goal, *, by: str, occurred_at: datetime, reason: str, now: datetime) -> list[Fact]:
    """The owner disputes the miss of the present revision: once, up to 14 days after it, also if met late.

    Raises:
        Forbidden: it is not the owner.
        Conflict: no miss stands, it was disputed before, or it is too long ago.
        Unprocessable: `occurred_at` does not lie before the deadline.
    """
    if by != goal.owner_id:
        raise Forbidden("A miss is disputed by the goal's owner.")
    miss = goal.standing_miss
    if miss is None:
        raise Conflict("There is no miss to dispute.")
    if goal.dispute is not None:
        raise Conflict("This miss was disputed before.")
    if now > miss.missed_at + DISPUTABLE:
        raise Conflict("A miss can be disputed for 14 days.")
    if occurred_at >= goal.due_at:
        raise Unprocessable.field("/occurred_at", "It was met in time only if before the deadline.")
    if occurred_at > now + AHEAD:
        raise Unprocessable.field("/occurred_at", "That lies ahead.")
    return [Disputed(by=by, at=now, occurred_at=occurred_at, reason=reason)]


def uphold(goal: Goal, *, by: str, now: datetime) -> list[Fact]:
    """The counterpart agrees: the miss is taken back, and the goal met when the owner said.

    Raises:
        Forbidden: it is not the counterpart.
        Conflict: no dispute is open.
    """
    held = _open(goal, by)
    return [
        Retracted(by=by, at=now, because="dispute_upheld"),
        Met(by=by, at=now, met_at=held.occurred_at),
    ]


def reject(goal: Goal, *, by: str, now: datetime) -> list[Fact]:
    """The counterpart does not agree: the miss stands.

    Raises:
        Forbidden: it is not the counterpart.
        Conflict: no dispute is open.
    """
    _open(goal, by)
    return [DisputeRejected(by=by, at=now)]


def _open(goal: Goal, by: str) -> Dispute:
    if by != goal.counterpart_id:
        raise Forbidden("A dispute is ruled on by the goal's counterpart.")
    held = goal.open_dispute
    if held is None:
        raise Conflict("No dispute is open.")
    return held
