"""Rule 7: what a pause, a resumption and an end do to the goals of a mentorship."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from services.goals.domain.evidence import CheckIn
from services.goals.domain.goal import (
    Dropped,
    Fact,
    Goal,
    ProposedMoved,
    Revised,
    RevisionDeclined,
    evolved,
)
from services.goals.domain.mentorship import Mentorship
from services.goals.domain.rules import SYSTEM
from services.goals.domain.verdict import miss, weigh

DAY = timedelta(days=1)


def days_paused(paused_at: datetime, resumed_at: datetime) -> int:
    """Every started 24 hours are a day."""
    return math.ceil((resumed_at - paused_at) / DAY)


def decision_at(goal: Goal, mentorship: Mentorship, grace: timedelta) -> datetime | None:
    """When an active goal is to be decided, if nothing comes before; None: not as things stand.

    It is decided once every check-in logged up to then has been taken into account. What was due at or before
    the beginning of a pause, or an end, is decided as ever: a grace after its deadline. What falls due in a
    pause waits for the resumption. The end drops the rest.
    """
    if goal.state != "active":
        return None
    if mentorship.decides_as_ever(goal.due_at):
        return goal.due_at + grace
    return mentorship.ended_at if mentorship.state == "ended" else None


def settle(
    goal: Goal, mentorship: Mentorship, check_ins: Sequence[CheckIn], *, grace: timedelta, now: datetime
) -> list[Fact]:
    """Decide an active goal whose `decision_at` has come: met, missed, or dropped with its mentorship."""
    if mentorship.decides_as_ever(goal.due_at):
        return miss(goal, check_ins, grace=grace, now=now, mentorship=mentorship)
    met = weigh(goal, check_ins, grace=grace, now=now, mentorship=mentorship)
    if met or mentorship.state != "ended" or goal.state != "active":
        return met
    return [Dropped(by=SYSTEM, at=now)]


def resume(
    goal: Goal, paused_at: datetime, check_ins: Sequence[CheckIn], *, grace: timedelta, now: datetime
) -> list[Fact]:
    """Deadlines that lay after the beginning of the pause move by the days paused, those proposed too."""
    days = days_paused(paused_at, now)
    facts: list[Fact] = []
    if days == 0:
        return facts
    if goal.open_proposals:
        facts.append(ProposedMoved(by=SYSTEM, at=now, days=days, after=paused_at))
    if goal.state == "active" and goal.due_at > paused_at:
        terms = replace(goal.terms, deadline=goal.terms.deadline.moved(days))
        facts.append(Revised(by=SYSTEM, at=now, terms=terms, changed=("deadline",), eased=False))
        facts += weigh(evolved(goal, facts), check_ins, grace=grace, now=now)
    return facts


def end(goal: Goal, now: datetime) -> list[Fact]:
    """What is proposed is withdrawn; active goals wait for the check-ins logged before the end (`settle`)."""
    return [
        RevisionDeclined(by=SYSTEM, at=now, proposal_id=proposal.proposal_id)
        for proposal in goal.open_proposals
    ]
