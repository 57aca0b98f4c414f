"""A mentorship as the numbers see it: who takes part in it, from which day on."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from services.metrics.domain.days import day_of


class Crew(Struct):
    """The participants since a day."""

    since: int
    mentor_id: str
    mentee_id: str
    leader_id: str | None = None


class End(Struct):
    """The day on which a mentorship ended, and the day on which that was recorded."""

    day: int
    recorded: int


class Deed(Struct):
    """A signature under a version of the expectations."""

    by: str
    at: datetime
    version: int


class Mentorship(Struct, kw_only=True):
    """A mentorship; `crews` in order, one for each change of participants."""

    mentorship_id: str = field(name="_id")
    org_id: str
    program_id: str
    state: Literal["active", "paused", "ended"] = "active"
    crews: list[Crew] = field(default_factory=list)
    end: End | None = None
    coordinator_id: str | None = None
    time_zone: str | None = None
    check_in_every_days: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    people: list[str] = field(default_factory=list)
    """Everybody who ever took part in it or coordinated it."""
    signatures: list[Deed] = field(default_factory=list)

    def participants(self) -> frozenset[str]:
        """Who takes part in it at present."""
        if not self.crews:
            return frozenset()
        crew = self.crews[-1]
        return frozenset(p for p in (crew.mentor_id, crew.mentee_id, crew.leader_id) if p is not None)


EVENTS = frozenset(
    {
        "MentorshipStarted",
        "MentorshipChanged",
        "MentorshipPaused",
        "MentorshipResumed",
        "MentorshipEnded",
        "ExpectationsProposed",
        "ExpectationsAgreed",
    }
)
"""The types that a mentorship takes in."""


def take(mentorship: Mentorship, name: str, event: Any, time: datetime) -> None:
    """Change `mentorship`, which is the caller's to give away, by an event of its own, recorded at `time`."""
    if name in ("MentorshipStarted", "MentorshipChanged"):
        _facts(mentorship, event, time)
    elif name == "MentorshipPaused":
        mentorship.state = "paused"
    elif name == "MentorshipResumed":
        mentorship.state = "active"
    elif name == "MentorshipEnded":
        mentorship.state = "ended"
        mentorship.ended_at = event.at
        mentorship.end = End(day_of(event.at), day_of(time))
    elif name == "ExpectationsProposed":
        mentorship.signatures.append(Deed(event.proposed_by, time, event.version))
    else:
        mentorship.signatures += [Deed(person, time, event.version) for person in event.agreed_by]


def _facts(mentorship: Mentorship, event: Any, time: datetime) -> None:
    crew = Crew(day_of(time), event.mentor_id, event.mentee_id, event.leader_id)
    last = mentorship.crews[-1] if mentorship.crews else None
    if last is None:
        mentorship.started_at = time
    if last is not None and last.since == crew.since:
        # Of a day the last state counts: numbers know days only.
        mentorship.crews[-1] = crew
    elif last is None or (last.mentor_id, last.mentee_id, last.leader_id) != (
        crew.mentor_id,
        crew.mentee_id,
        crew.leader_id,
    ):
        mentorship.crews.append(crew)
    mentorship.coordinator_id = event.coordinator_id
    mentorship.time_zone = event.time_zone
    mentorship.check_in_every_days = event.check_in_every_days
    known = dict.fromkeys(mentorship.people)
    for person in (event.mentor_id, event.mentee_id, event.leader_id, event.coordinator_id):
        if person is not None:
            known[person] = None
    mentorship.people = list(known)
