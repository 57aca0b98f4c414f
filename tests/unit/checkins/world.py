"""Builders: a mentorship, its goals and check-ins, with defaults that fit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.checkins.domain.check_in import CheckIn, LogCheckIn, log
from services.checkins.domain.known import Goal, Mentorship
from shared import events as contract

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


def a_mentorship(**changes: Any) -> Mentorship:
    values: dict[str, Any] = {
        "mentorship_id": "m-1",
        "org_id": "org-1",
        "program_id": "program-1",
        "mentor_id": "mentor",
        "mentee_id": "mentee",
        "leader_id": "leader",
        "coordinator_id": "coordinator",
        "support_contact_id": None,
    }
    return Mentorship(**{**values, **changes})


def a_goal(**changes: Any) -> Goal:
    """The mentee's goal: seven papers."""
    values: dict[str, Any] = {
        "goal_id": "g-1",
        "org_id": "org-1",
        "program_id": "program-1",
        "mentorship_id": "m-1",
        "owner_id": "mentee",
        "owner_role": "mentee",
        "counterpart_id": "mentor",
        "title": "Read seven papers",
        "measure": contract.Measure(kind="number", target=7.0),
        "state": "active",
    }
    return Goal(**{**values, **changes})


def a_command(**changes: Any) -> LogCheckIn:
    return LogCheckIn(**{"mentorship_id": "m-1", **changes})


def logged(
    author: str = "mentee",
    *,
    mentorship: Mentorship | None = None,
    goal: Goal | None = None,
    now: datetime = NOW,
    **command: Any,
) -> tuple[CheckIn, list[contract.Event]]:
    """Log a check-in of `author`, on `goal` if there is one."""
    wanted = a_command(goal_id=goal.goal_id if goal else None, **command)
    return log(
        wanted,
        author,
        mentorship or a_mentorship(),
        goal,
        occurred_at=wanted.occurred_at or now,
        now=now,
        checkin_id="c-1",
    )
