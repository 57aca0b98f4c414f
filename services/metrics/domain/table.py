"""Tables for spreadsheets: resources as rows, without private words, and with no cell that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from services.metrics.domain import risk
from services.metrics.domain.diary import Entry
from services.metrics.domain.fold import Diary
from services.metrics.domain.goal import Goal
from services.metrics.domain.mentorship import Mentorship
from services.metrics.domain.numbers import NO_ROLE
from shared.time import format_instant

GOALS = (
    "goal_id",
    "mentorship_id",
    "program_id",
    "owner_id",
    "owner_role",
    "counterpart_id",
    "title",
    "measure",
    "deadline",
    "due_at",
    "check_in_every_days",
    "state",
    "revision",
    "fraction",
    "set_at",
    "met_at",
    "missed_at",
    "dispute",
)
CHECK_INS = (
    "checkin_id",
    "mentorship_id",
    "program_id",
    "goal_id",
    "author_id",
    "author_role",
    "occurred_at",
    "logged_at",
    "progress",
    "confidence",
    "realistic",
    "attainable",
    "acknowledgements",
)
MENTORSHIPS = (
    "mentorship_id",
    "program_id",
    "mentor_id",
    "mentee_id",
    "leader_id",
    "coordinator_id",
    "time_zone",
    "check_in_every_days",
    "state",
    "started_at",
    "ended_at",
)
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet take a cell for a formula when it comes first (OWASP, CSV injection)."""

Row = Sequence[Any]


def goal_row(goal: Goal, entries: Sequence[Entry], now: datetime) -> Row:
    """A goal as a row of `GOALS`."""
    return (
        goal.goal_id,
        goal.mentorship_id,
        goal.program_id,
        goal.owner_id,
        goal.owner_role,
        goal.counterpart_id,
        goal.title,
        goal.measure,
        goal.deadline,
        goal.due_at,
        goal.check_in_every_days,
        goal.state,
        len(goal.revisions) or None,
        risk.progress(goal.measure, risk.in_order(entries), now),
        goal.set_at,
        goal.met_at,
        goal.missed_at,
        goal.dispute,
    )


def check_in_rows(diary: Diary) -> Iterable[Row]:
    """The check-ins about one thing, as rows of `CHECK_INS`."""
    acknowledged: dict[str | None, list[dict[str, Any]]] = {}
    for entry in diary.entries:
        if entry.type == "CheckInAcknowledged":
            said = {"by": entry.by, "role": entry.role, "at": format_instant(entry.at)}
            if entry.role == NO_ROLE:
                del said["role"]
            acknowledged.setdefault(entry.checkin_id, []).append(said)
    for entry in diary.entries:
        if entry.type == "CheckInLogged":
            yield (
                entry.checkin_id,
                diary.mentorship_id,
                diary.program_id,
                diary.goal_id,
                entry.by,
                entry.role,
                entry.at,
                entry.logged_at,
                entry.progress,
                entry.confidence,
                entry.realistic,
                entry.attainable,
                acknowledged.get(entry.checkin_id),
            )


def mentorship_row(mentorship: Mentorship) -> Row:
    """A mentorship as a row of `MENTORSHIPS`."""
    crew = mentorship.crews[-1] if mentorship.crews else None
    return (
        mentorship.mentorship_id,
        mentorship.program_id,
        crew and crew.mentor_id,
        crew and crew.mentee_id,
        crew and crew.leader_id,
        mentorship.coordinator_id,
        mentorship.time_zone,
        mentorship.check_in_every_days,
        mentorship.state,
        mentorship.started_at,
        mentorship.ended_at,
    )


def lines(rows: Iterable[Row]) -> str:
    """Rows as CSV (RFC 4180)."""
    out = io.StringIO()
    csv.writer(out).writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


def cell(value: Any) -> str:
    """A value as the text of a cell: instants as in JSON, what has parts as JSON, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULAS) else value
    if isinstance(value, datetime):
        return format_instant(value)
    return msgspec.json.encode(value).decode()
