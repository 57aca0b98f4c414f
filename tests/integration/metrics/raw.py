"""The numbers from the raw records: JSON as it stands in Kafka, counted with polars. No code of the product's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import polars as pl

from tests.support.records import Record

ROLES = ("mentor", "mentee", "leader")
INSTANTS = ("due_at", "missed_at", "met_at", "occurred_at", "acknowledged_at", "expected_by", "at")
COLUMNS: dict[str, Any] = {
    **dict.fromkeys(("topic", "type", "subject", "sequence", "time", *INSTANTS), pl.String),
    **dict.fromkeys(("mentorship_id", "goal_id", "owner_id", "owner_role", "revised_by"), pl.String),
    **dict.fromkeys(("author_id", "author_role", "acknowledged_by", "acknowledger_role"), pl.String),
    **dict.fromkeys(("mentor_id", "mentee_id", "leader_id"), pl.String),
    **dict.fromkeys(("revision", "confidence"), pl.Int64),
    **dict.fromkeys(("eased", "realistic", "attainable"), pl.Boolean),
}


class Raw:
    """An organization's events, each once, as a table with a row an event."""

    def __init__(self, records: Sequence[Record], org: str) -> None:
        rows = []
        for record in records:
            event = record.structured()
            if event.get("orgid") != org:
                continue
            told = {**event["data"], **{name: event[name] for name in ("subject", "sequence", "time")}}
            told |= {"topic": record.topic, "type": event["type"].split(".")[1]}
            rows.append({name: told.get(name) for name in COLUMNS})
        table = pl.DataFrame(rows, schema=COLUMNS).unique(["topic", "subject", "sequence"], keep="first")
        days = [
            pl.col(name).str.to_datetime(time_zone="UTC", strict=False).alias(name)
            for name in ("time", *INSTANTS)
        ]
        self.events = table.with_columns(pl.col("sequence").cast(pl.Int64), *days)

    def numbers(self, start: date, end: date, as_of: date) -> dict[str, Any]:
        """All numbers of the organization in a window, by what had been recorded up to the end of `as_of`."""
        known = self.events.filter(pl.col("time").dt.date() <= as_of)
        return {
            **_numbers(known, start, end),
            "by_role": {role: _numbers(known.filter(_whose() == role), start, end) for role in ROLES},
        }

    def people(self, start: date, end: date, as_of: date) -> tuple[set[str], int]:
        """The participants of the mentorships in a window as they are at its end, and how many were engaged."""
        known = self.events.filter(pl.col("time").dt.date() <= as_of)
        began = known.filter((pl.col("type") == "MentorshipStarted") & (pl.col("time").dt.date() <= end))
        gone = known.filter((pl.col("type") == "MentorshipEnded") & (pl.col("at").dt.date() < start))
        crews = (
            known.filter(pl.col("mentor_id").is_not_null() & (pl.col("time").dt.date() <= end))
            .join(began.select("mentorship_id").unique(), on="mentorship_id", how="semi")
            .join(gone.select("mentorship_id").unique(), on="mentorship_id", how="anti")
            .sort("sequence")
            .unique("mentorship_id", keep="last")
        )
        people = {person for role in ROLES for person in crews[f"{role}_id"].to_list() if person is not None}
        active = {
            *_within(_of(known, "CheckInLogged"), "occurred_at", start, end)["author_id"].to_list(),
            *_within(_of(known, "CheckInAcknowledged"), "acknowledged_at", start, end)[
                "acknowledged_by"
            ].to_list(),
        }
        return people, len(people & active)


def _whose() -> pl.Expr:
    return pl.coalesce("owner_role", "author_role", "acknowledger_role")


def _of(events: pl.DataFrame, *types: str) -> pl.DataFrame:
    return events.filter(pl.col("type").is_in(types))


def _within(events: pl.DataFrame, column: str, start: date, end: date) -> pl.DataFrame:
    return events.filter(pl.col(column).dt.date().is_between(start, end))


def _numbers(known: pl.DataFrame, start: date, end: date) -> dict[str, Any]:
    revision = ["goal_id", "revision"]
    mets = _of(known, "GoalMet").sort("sequence").unique(revision, keep="last")
    misses = _of(known, "GoalMissed").with_columns(
        pl.min_horizontal("due_at", "missed_at").alias("missed_on")
    )
    taken_back = _of(known, "GoalMissRetracted").select(revision).unique()
    standing = misses.join(taken_back, on=revision, how="anti")
    met_here = _within(mets, "met_at", start, end)
    revised = _within(_of(known, "GoalRevised"), "time", start, end)
    logged = _within(_of(known, "CheckInLogged"), "occurred_at", start, end)
    lapsed = _within(_of(known, "CheckInLapsed"), "expected_by", start, end).height
    met = met_here.filter(pl.col("met_at") < pl.col("due_at")).height
    missed = _within(standing, "missed_on", start, end).height
    last = (
        _of(known, "GoalSet", "GoalRevised")
        .filter(pl.col("time").dt.date() <= end)
        .group_by("goal_id")
        .agg(pl.col("revision").max())
    )
    closed = pl.concat(
        [
            mets.filter(pl.col("met_at").dt.date() <= end).select(revision),
            standing.filter(pl.col("missed_on").dt.date() <= end).select(revision),
            _of(known, "GoalDropped").filter(pl.col("time").dt.date() <= end).select(revision),
        ]
    )
    told = logged["confidence"].drop_nulls()
    return {
        "goals": {
            "set": _within(_of(known, "GoalSet"), "time", start, end).height,
            "met": met,
            "met_late": met_here.height - met,
            "missed": missed,
            "retracted": _within(
                misses.join(taken_back, on=revision, how="semi"), "missed_on", start, end
            ).height,
            "dropped": _within(_of(known, "GoalDropped"), "time", start, end).height,
            "revised": revised.filter(pl.col("revised_by") != "system").height,
            "eased": revised.filter("eased").height,
            "open": last.join(closed, on=revision, how="anti").height,
        },
        "follow_through": _share(met, met + missed),
        "check_ins": {
            "logged": logged.height,
            "lapsed": lapsed,
            "acknowledged": _within(_of(known, "CheckInAcknowledged"), "acknowledged_at", start, end).height,
        },
        "check_in_rate": _share(logged.height, logged.height + lapsed),
        "confidence_mean": _share(int(told.sum()), len(told)),
        "unrealistic": logged.filter(~pl.col("realistic")).height,
        "unattainable": logged.filter(~pl.col("attainable")).height,
    }


def _share(some: int, of: int) -> float | None:
    return some / of if of else None
