"""Rules 2 to 4: whether a goal is met, missed, or a miss is to be taken back.

Each function looks at the goal as it is and at all of its check-ins, and answers the facts that are missing. So
whatever comes in whichever order, and however often it is looked at, the same is decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.goals.domain.evidence import CheckIn, fraction_at, last_check_in_at, timing
from services.goals.domain.goal import Fact, Goal, Met, Miss, Missed, Retracted, evolved
from services.goals.domain.mentorship import Mentorship
from services.goals.domain.progress import reaches
from services.goals.domain.rules import SYSTEM


def weigh(
    goal: Goal,
    check_ins: Sequence[CheckIn],
    *,
    grace: timedelta,
    now: datetime,
    mentorship: Mentorship | None = None,
) -> list[Fact]:
    """What follows from the evidence that is known now.

    - Timely evidence meets an active goal; belated and late evidence wait until the miss is decided.
    - Evidence that clears a miss retracts it and meets the goal, also when it was met late meanwhile.
    - Late evidence meets a missed goal late.
    - Whatever else is reported: what was met stays met, what was dropped stays dropped.

    `mentorship`: the goal's, where it may have ended; what was logged too late for its end is no evidence.
    """
    evidence = [c for c in _before_the_end(check_ins, goal, mentorship, grace) if _counts(c, goal)]
    if goal.state == "active":
        return _met([c for c in evidence if timing(c, goal.due_at, grace) == "timely"], now)
    miss = goal.standing_miss
    if miss is None or goal.state not in ("missed", "met"):
        return []
    clearing = [c for c in evidence if _clears(c, goal, miss, grace)]
    if clearing:
        return [
            Retracted(by=_first(clearing).author_id, at=now, because="late_evidence"),
            *_met(clearing, now),
        ]
    if goal.state == "missed":
        return _met([c for c in evidence if timing(c, goal.due_at, grace) == "late"], now)
    return []


def miss(
    goal: Goal,
    check_ins: Sequence[CheckIn],
    *,
    grace: timedelta,
    now: datetime,
    mentorship: Mentorship | None = None,
) -> list[Fact]:
    """Decide a goal whose deadline has passed: every check-in answered before the grace's end is among these.

    Exactly one miss, unless there is timely evidence; evidence that is belated or late follows it.
    """
    met = weigh(goal, check_ins, grace=grace, now=now, mentorship=mentorship)
    if met or goal.state != "active":
        return met
    known = _before_the_end(check_ins, goal, mentorship, grace)
    facts: list[Fact] = [missed(goal, known, by=SYSTEM, now=now)]
    return facts + weigh(evolved(goal, facts), check_ins, grace=grace, now=now, mentorship=mentorship)


def missed(
    goal: Goal, check_ins: Sequence[CheckIn], *, by: str, now: datetime, reason: str | None = None
) -> Missed:
    """A miss with what was known of the goal at its deadline, or now if that is earlier."""
    instant = min(goal.due_at, now)
    return Missed(
        by=by,
        at=now,
        reason=reason,
        fraction=fraction_at(check_ins, goal.terms.measure, instant),
        last_check_in_at=last_check_in_at(check_ins, instant),
    )


def _before_the_end(
    check_ins: Sequence[CheckIn], goal: Goal, mentorship: Mentorship | None, grace: timedelta
) -> list[CheckIn]:
    """Rule 7: what counts of what was reported: all that was logged before an end.

    What was due at or before the end is decided as ever, so there it is also what was logged within the grace:
    checkins may have answered it before it heard of the end.
    """
    if mentorship is None or mentorship.ended_at is None:
        return list(check_ins)
    until = mentorship.ended_at
    if mentorship.decides_as_ever(goal.due_at):
        until = max(until, goal.due_at + grace)
    return [c for c in check_ins if c.logged_at < until]


def _counts(check_in: CheckIn, goal: Goal) -> bool:
    return check_in.author_id in (goal.owner_id, goal.counterpart_id) and reaches(
        check_in.progress, goal.terms.measure
    )


def _clears(check_in: CheckIn, goal: Goal, standing: Miss, grace: timedelta) -> bool:
    """Rule 4: whether evidence takes a miss back.

    Timely evidence that had been logged before the miss does so at once. What came after it (belated, or timely
    where the goal was said missed early) does if the counterpart logged it, or has acknowledged it.
    """
    when = timing(check_in, goal.due_at, grace)
    if when == "late":
        return False
    if when == "timely" and (not standing.early or check_in.logged_at < standing.missed_at):
        return True
    return check_in.author_id == goal.counterpart_id or check_in.acknowledged


def _met(evidence: Sequence[CheckIn], now: datetime) -> list[Fact]:
    if not evidence:
        return []
    first = _first(evidence)
    return [Met(by=first.author_id, at=now, met_at=first.occurred_at, reason=first.note)]


def _first(evidence: Sequence[CheckIn]) -> CheckIn:
    return min(evidence, key=lambda c: (c.occurred_at, c.logged_at, c.id))
