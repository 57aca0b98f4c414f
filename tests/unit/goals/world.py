"""Builders: a mentorship, its goals and check-ins, with defaults that fit.

The mentee's goal is due on a Friday at 17:00 in Berlin (`DUE`); it was set six weeks before (`NOW`, a Monday).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any, cast

from services.goals.domain import pause as pauses
from services.goals.domain.deadline import Deadline
from services.goals.domain.evidence import CheckIn
from services.goals.domain.goal import Change, Changes, Fact, Goal, GoalSet, Missed, Terms, Words, evolved
from services.goals.domain.mentorship import Ended, Facts, Mentorship, Paused, Resumed, Started, evolve
from services.goals.domain.progress import Measure, Progress
from services.goals.domain.revision import Revise
from services.goals.domain.rules import Rules

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
DUE = datetime(2026, 12, 18, 16, tzinfo=UTC)
DEADLINE = Deadline(date=date(2026, 12, 18), time_zone="Europe/Berlin", cutoff="17:00")
RULES = Rules()
GRACE = RULES.grace
DECIDED = DUE + GRACE
MS = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)

_numbers = count(1)


def a_mentorship(**changes: Any) -> Mentorship:
    facts = Facts(leader_id="leader", coordinator_id="coordinator", time_zone="UTC", check_in_every_days=7)
    values: dict[str, Any] = {
        "org_id": "org-1",
        "program_id": "program-1",
        "mentorship_id": "m-1",
        "mentor_id": "mentor",
        "mentee_id": "mentee",
        "facts": facts,
        "started_at": NOW,
    }
    return evolve(Mentorship(**{**values, **changes}), Started(at=NOW))


def paused(at: datetime) -> Mentorship:
    return evolve(a_mentorship(), Paused(at=at))


def resumed(paused_at: datetime, at: datetime) -> Mentorship:
    return evolve(paused(paused_at), Resumed(at=at))


def ended(at: datetime, *, paused_at: datetime | None = None) -> Mentorship:
    return evolve(paused(paused_at) if paused_at is not None else a_mentorship(), Ended(at=at))


def terms(**changes: Any) -> Terms:
    values: dict[str, Any] = {
        "title": "Read seven papers",
        "measure": Measure(kind="number", unit="papers", target=7.0),
        "deadline": DEADLINE,
        "check_in_every_days": 7,
    }
    return Terms(**{**values, **changes})


def a_goal(owner: str = "mentee", **of_terms: Any) -> Goal:
    """An active goal in its first revision, set at `NOW`."""
    proposed = Goal(
        org_id="org-1",
        program_id="program-1",
        mentorship_id="m-1",
        goal_id="g-1",
        owner_id=owner,
        owner_role=owner,  # type: ignore[arg-type]
        counterpart_id="mentor" if owner == "mentee" else "mentee",
        terms=terms(**of_terms),
        created_at=NOW,
        revised_at=NOW,
    )
    return evolved(proposed, [GoalSet(by=owner, at=NOW)])


def a_missed_goal(owner: str = "mentee", *, at: datetime = DECIDED) -> Goal:
    """One that was missed at its deadline, or said missed `at` some time before."""
    by = "system" if at >= DUE else owner
    return evolved(a_goal(owner), [Missed(by=by, at=at, fraction=0.0, last_check_in_at=None)])


def value(number: float) -> Progress:
    return Progress(value=number)


WHOLE = value(7)


def a_check_in(
    occurred_at: datetime = NOW,
    logged_at: datetime | None = None,
    *,
    progress: Progress | None = WHOLE,
    by: str = "mentee",
    **more: Any,
) -> CheckIn:
    """What reaches the target, logged as it occurred, unless said otherwise."""
    return CheckIn(
        id=f"c-{next(_numbers):04d}",
        author_id=by,
        occurred_at=occurred_at,
        logged_at=logged_at or occurred_at,
        progress=progress,
        **more,
    )


def belated(by: str = "mentee", **more: Any) -> CheckIn:
    """Evidence from the eve of the deadline, logged two hours after it."""
    return a_check_in(DUE - DAY, DUE + timedelta(hours=2), by=by, **more)


def late(by: str = "mentee") -> CheckIn:
    """Evidence from a day after the deadline."""
    return a_check_in(DUE + DAY, by=by)


def words(text: str, by: str = "mentee", at: datetime = NOW) -> Words:
    return Words(by=by, at=at, text=text)


def asked(by: str = "mentee", *, at: datetime = NOW, reason: str | None = None, **changes: Any) -> Revise:
    """A revision that somebody wants: only what is named changes."""
    return Revise(
        by=by,
        changes=Changes(names=cast(tuple[Change, ...], tuple(changes)), **changes),
        reason=reason,
        proposal_id=f"p-{next(_numbers):04d}",
        at=at,
    )


def due_on(day: date, cutoff: str = "17:00") -> Deadline:
    return Deadline(date=day, time_zone="Europe/Berlin", cutoff=cutoff)


def decided(
    goal: Goal, check_ins: Sequence[CheckIn] = (), *, mentorship: Mentorship | None = None, now: datetime
) -> tuple[Goal, list[Fact]]:
    """What the deadline's decision makes of a goal."""
    facts = pauses.settle(goal, mentorship or a_mentorship(), check_ins, grace=GRACE, now=now)
    return evolved(goal, facts), facts


def kinds(facts: Sequence[object]) -> list[str]:
    return [type(fact).__name__ for fact in facts]
