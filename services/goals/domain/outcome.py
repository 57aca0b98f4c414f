"""Rule 9: what owner and counterpart may say of a goal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.goals.domain.evidence import CheckIn
from services.goals.domain.goal import Dropped, Fact, Goal, require_decided
from services.goals.domain.mentorship import Mentorship
from services.goals.domain.pause import decision_at
from services.goals.domain.progress import complete
from services.goals.domain.rules import AHEAD, Rules
from services.goals.domain.verdict import missed, weigh
from shared.errors import Conflict, Forbidden, Unprocessable


def drop(
    goal: Goal, mentorship: Mentorship, *, by: str, note: str | None, now: datetime, grace: timedelta
) -> list[Fact]:
    """The owner gives an active goal up.

    Raises:
        Forbidden: it is not the owner.
        Conflict: it is not active, the mentorship has ended, or its deadline is being decided.
    """
    _require_owner(goal, by)
    mentorship.require_running()
    _require_active(goal)
    require_decided(goal, decision_at(goal, mentorship, grace), now)
    return [Dropped(by=by, at=now, reason=note)]


def say_missed(
    goal: Goal,
    mentorship: Mentorship,
    check_ins: Sequence[CheckIn],
    *,
    by: str,
    note: str | None,
    now: datetime,
    grace: timedelta,
) -> list[Fact]:
    """The owner says of an active goal that it will not be met, before its deadline.

    Raises:
        Forbidden: it is not the owner.
        Conflict: it is not active, the mentorship does not run, or its deadline is being decided.
    """
    _require_owner(goal, by)
    mentorship.require_active()
    _require_active(goal)
    require_decided(goal, decision_at(goal, mentorship, grace), now)
    return [missed(goal, check_ins, by=by, now=now, reason=note)]


def say_met(
    goal: Goal,
    mentorship: Mentorship,
    check_ins: Sequence[CheckIn],
    *,
    id: str,
    by: str,
    occurred_at: datetime,
    note: str | None,
    now: datetime,
    rules: Rules,
) -> tuple[CheckIn, list[Fact]]:
    """Owner or counterpart says that a goal is met: evidence from them, and what follows from it.

    Of a missed goal, the counterpart alone: its owner logs a check-in, or disputes. One that was met late is
    taken for missed as long as it would clear the miss.

    Raises:
        Forbidden: neither of them, or the owner of a missed goal.
        Conflict: nothing can be met any more, or the mentorship has ended.
    """
    if by not in (goal.owner_id, goal.counterpart_id):
        raise Forbidden("A goal is said to be met by its owner or counterpart.")
    miss_stands = goal.standing_miss is not None
    if miss_stands and goal.state == "missed" and by != goal.counterpart_id:
        raise Forbidden("Of a missed goal the counterpart may say so; log a check-in, or dispute the miss.")
    mentorship.require_running()
    clears_late = miss_stands and by == goal.counterpart_id and occurred_at < goal.due_at
    if goal.state not in ("active", "missed") and not (goal.state == "met" and clears_late):
        raise Conflict(f"The goal is {goal.state}.")
    said = CheckIn(
        id=id,
        author_id=by,
        occurred_at=occurred_at,
        logged_at=now,
        progress=complete(goal.terms.measure),
        said=True,
        note=note,
    )
    return said, weigh(goal, [*check_ins, said], grace=rules.grace, now=now)


def _require_owner(goal: Goal, by: str) -> None:
    if by != goal.owner_id:
        raise Forbidden("Only the goal's owner may say so.")


def _require_active(goal: Goal) -> None:
    if goal.state != "active":
        raise Conflict(f"The goal is {goal.state}.")


def require_reportable(occurred_at: datetime, now: datetime, backdate: timedelta) -> None:
    """Rule 4: what is reported occurred at most so long ago, and not ahead.

    Raises:
        Unprocessable: it did not; `/occurred_at`.
    """
    if occurred_at > now + AHEAD:
        raise Unprocessable.field("/occurred_at", "That lies ahead.")
    if occurred_at < now - backdate:
        raise Unprocessable.field("/occurred_at", f"That is more than {backdate.days} days ago.")
