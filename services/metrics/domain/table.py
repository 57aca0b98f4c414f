"""Tables for spreadsheets: resources as rows, without private words, and with no cell that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from services.metrics.domain import risk
from services.metrics.domain.diary import Entry
from services.metrics.domain.fold import Diary
from services.metrics.domain.goal import Goal
from services.metrics.domain.mentorship import Mentorship
from services.metrics.domain.numbers import NO_ROLE
from shared.time import format_instant

Kind = Literal["text", "instant", "integer", "number", "boolean", "json"]


class Column(NamedTuple):
    """A column, and what its cells hold; `json` for what has parts."""

    name: str
    kind: Kind = "text"


GOALS = (
    Column("goal_id"),
    Column("mentorship_id"),
    Column("program_id"),
    Column("owner_id"),
    Column("owner_role"),
    Column("counterpart_id"),
    Column("title"),
    Column("measure", "json"),
    Column("deadline", "json"),
    Column("due_at", "instant"),
    Column("check_in_every_days", "integer"),
    Column("state"),
    Column("revision", "integer"),
    Column("fraction", "number"),
    Column("set_at", "instant"),
    Column("met_at", "instant"),
    Column("missed_at", "instant"),
    Column("dispute"),
)
CHECK_INS = (
    Column("checkin_id"),
    Column("mentorship_id"),
    Column("program_id"),
    Column("goal_id"),
    Column("author_id"),
    Column("author_role"),
    Column("occurred_at", "instant"),
    Column("logged_at", "instant"),
    Column("progress", "json"),
    Column("confidence", "integer"),
    Column("realistic", "boolean"),
    Column("attainable", "boolean"),
    Column("acknowledgements", "json"),
)
MENTORSHIPS = (
    Column("mentorship_id"),
    Column("program_id"),
    Column("mentor_id"),
    Column("mentee_id"),
    Column("leader_id"),
    Column("coordinator_id"),
    Column("time_zone"),
    Column("check_in_every_days", "integer"),
    Column("state"),
    Column("started_at", "instant"),
    Column("ended_at", "instant"),
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
            said = {
                "acknowledged_by": entry.by,
                "acknowledger_role": entry.role,
                "acknowledged_at": format_instant(entry.at),
            }
            if entry.role == NO_ROLE:
                del said["acknowledger_role"]
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


def typed(value: Any) -> Any:
    """A value for a column that knows its kind: as it is, but what has parts as JSON."""
    if value is None or isinstance(value, str | int | float | datetime):
        return value
    return msgspec.json.encode(value).decode()
