"""Builders of events and records: the contract's shapes with defaults that fit, each field open to change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from shared import events as contract
from shared.ids import uuid7

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


@dataclass
class Pair:
    """A mentorship's ids, as its events carry them."""

    org_id: str = "org-1"
    program_id: str = "program-1"
    mentorship_id: str = field(default_factory=uuid7)
    mentor_id: str = "mentor-1"
    mentee_id: str = "mentee-1"

    @property
    def common(self) -> dict[str, Any]:
        return {"org_id": self.org_id, "program_id": self.program_id, "mentorship_id": self.mentorship_id}

    def started(self, **changes: Any) -> contract.MentorshipStarted:
        values: dict[str, Any] = {
            "mentor_id": self.mentor_id,
            "mentee_id": self.mentee_id,
            "time_zone": "Europe/Berlin",
            "check_in_every_days": 7,
        }
        return contract.MentorshipStarted(**self.common, **{**values, **changes})

    def goal_set(self, goal_id: str | None = None, **changes: Any) -> contract.GoalSet:
        values: dict[str, Any] = {
            "goal_id": goal_id or uuid7(),
            "owner_id": self.mentee_id,
            "owner_role": "mentee",
            "counterpart_id": self.mentor_id,
            "title": "Read seven papers",
            "measure": contract.Measure(kind="number", target=7.0),
            "deadline": contract.Deadline(date="2026-12-18", time_zone="Europe/Berlin", cutoff="17:00"),
            "due_at": datetime(2026, 12, 18, 16, tzinfo=UTC),
            "check_in_every_days": 7,
            "revision": 1,
        }
        return contract.GoalSet(**self.common, **{**values, **changes})

    def logged(self, checkin_id: str | None = None, **changes: Any) -> contract.CheckInLogged:
        values: dict[str, Any] = {
            "checkin_id": checkin_id or uuid7(),
            "author_id": self.mentee_id,
            "author_role": "mentee",
            "occurred_at": NOW,
            "logged_at": NOW + timedelta(milliseconds=250),
        }
        return contract.CheckInLogged(**self.common, **{**values, **changes})


@dataclass
class Record:
    """A record as Kafka holds it."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]

    def without(self, header: str) -> Record:
        """The same, less one header."""
        kept = [(name, content) for name, content in self.headers if name != header]
        return Record(self.topic, self.key, self.value, kept)

    def with_header(self, header: str, content: bytes) -> Record:
        """The same, one header being `content`."""
        return Record(self.topic, self.key, self.value, [*self.without(header).headers, (header, content)])


def record(
    event: contract.Event,
    *,
    sequence: int | None = 1,
    subject: str | None = None,
    id: str | None = None,
    time: datetime = NOW,
    data: Mapping[str, Any] | None = None,
) -> Record:
    """The record of an event, as a producer that keeps the contract sends it."""
    name = type(event).__name__
    document = contract.to_document(event)
    key = str(document.get("mentorship_id") or document.get("person_id") or subject)
    return Record(
        contract.topic_of(name),
        key.encode(),
        contract.encode_document(name, {**document, **(data or {})}),
        contract.headers_of(
            type_=name,
            id_=id or uuid7(),
            subject=subject or contract.subject_of(event),
            time=time,
            key=key,
            sequence=sequence,
            org_id=document.get("org_id"),
            traceparent=None,
        ),
    )
