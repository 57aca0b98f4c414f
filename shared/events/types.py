"""Every event of the contract, as a typed struct of its data.

Names and fields are the contract's. Instants are aware datetimes in UTC; optional fields that have no value are
left out of the JSON. Readers ignore fields that they do not know.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from shared.time import CUTOFF_PATTERN, zone

# `$` alone would let a trailing newline pass in Python.
_ID_PATTERN = r"^[A-Za-z0-9._:-]{1,128}$(?!\n)"
_DATE_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$(?!\n)"
_CUTOFF_PATTERN = rf"^(?:{CUTOFF_PATTERN})$(?!\n)"

OutsideId = Annotated[str, Meta(pattern=_ID_PATTERN)]
"""An id that comes from outside: of an organization, a program, a person."""
OwnId = Annotated[str, Meta(min_length=1, max_length=128)]
"""An id of what Onbelay created, a UUIDv7."""
Instant = Annotated[datetime, Meta(tz=True)]
Day = Annotated[str, Meta(pattern=_DATE_PATTERN, extra_json_schema={"format": "date"})]
Role = Literal["mentor", "mentee", "leader"]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Ordinal = Annotated[int, Meta(ge=1, le=2**53)]
"""Whole numbers that JSON's readers agree on."""
Days = Annotated[int, Meta(ge=1, le=90)]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


def _require_date(text: str) -> None:
    """A date of the calendar: the pattern lets 30 February pass."""
    date.fromisoformat(text)


def _require_zone(name: str) -> None:
    try:
        zone(name)
    except ValueError:
        raise ValueError("no such time zone") from None


class Deadline(Struct, frozen=True, kw_only=True):
    """A date, a zone and a time of day: what a person agreed to. `due_at` is the instant it stands for."""

    date: Day
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)]
    cutoff: Annotated[str, Meta(pattern=_CUTOFF_PATTERN)] = "24:00"

    def __post_init__(self) -> None:
        _require_date(self.date)
        _require_zone(self.time_zone)


class Measure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a goal's progress is measured: `target` belongs to a number, `milestones` to milestones."""

    kind: Literal["number", "milestones", "done"]
    unit: Annotated[str, Meta(max_length=40)] | None = None
    baseline: float | None = None
    target: float | None = None
    milestones: Annotated[list[Title], Meta(min_length=1, max_length=50)] | None = None

    def __post_init__(self) -> None:
        if self.kind == "number" and self.target is None:
            raise ValueError("a number has a target")
        if self.kind == "milestones" and self.milestones is None:
            raise ValueError("milestones are named")


class Progress(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was reached: a value, all milestones reached by then, or done. Exactly one."""

    value: float | None = None
    milestones: Annotated[list[Title], Meta(max_length=50)] | None = None
    done: bool | None = None

    def __post_init__(self) -> None:
        if (self.value, self.milestones, self.done).count(None) != 2:
            raise ValueError("exactly one of value, milestones, done")


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The data of an event."""


class _InMentorship(Event, frozen=True, kw_only=True, omit_defaults=True):
    org_id: OutsideId
    program_id: OutsideId
    mentorship_id: OwnId


# --- mentorships and expectations


class MentorshipStarted(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """A mentorship began."""

    mentor_id: OutsideId
    mentee_id: OutsideId
    leader_id: OutsideId | None = None
    coordinator_id: OutsideId | None = None
    time_zone: str
    check_in_every_days: Days

    def __post_init__(self) -> None:
        _require_zone(self.time_zone)


class MentorshipChanged(MentorshipStarted, frozen=True, kw_only=True, omit_defaults=True):
    """Some of its facts changed; all of them are told, `changed` names which."""

    changed: list[str]


class MentorshipPaused(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing is missed, lapses or nudges from `at` on."""

    at: Instant


class MentorshipResumed(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """The pause ended at `at`."""

    at: Instant


class MentorshipEnded(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """The mentorship ended at `at`."""

    at: Instant


class ExpectationsProposed(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """A version of the expectations waits for the other's signature."""

    version: Ordinal
    proposed_by: OutsideId
    waits_for: OutsideId
    review_on: Day

    def __post_init__(self) -> None:
        _require_date(self.review_on)


class ExpectationsAgreed(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """Mentor and mentee have both signed a version: it holds."""

    version: Ordinal
    agreed_by: list[OutsideId]
    review_on: Day
    escalate_to_coordinator: bool
    support_contact_id: OutsideId | None = None

    def __post_init__(self) -> None:
        _require_date(self.review_on)


# --- goals


class GoalSet(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """A goal is its owner's, from now on."""

    goal_id: OwnId
    owner_id: OutsideId
    owner_role: Role
    counterpart_id: OutsideId
    title: Title
    measure: Measure
    deadline: Deadline
    due_at: Instant
    check_in_every_days: Days
    revision: Ordinal
    proposal_id: OwnId | None = None


class GoalRevised(GoalSet, frozen=True, kw_only=True, omit_defaults=True):
    """A goal was changed; all its facts are told, `changed` names which are new."""

    changed: list[str]
    eased: bool
    revised_by: OutsideId
    agreed_by: list[OutsideId]


class RevisionProposed(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """A change waits for somebody; `revision` 0: the goal itself does."""

    goal_id: OwnId
    proposal_id: OwnId
    revision: Count
    proposed_by: OutsideId
    waits_for: OutsideId
    eased: bool
    proposed_at: Instant


class RevisionDeclined(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """A proposal was declined, or withdrawn."""

    goal_id: OwnId
    proposal_id: OwnId
    declined_by: OutsideId
    declined_at: Instant


class _OfOwner(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    goal_id: OwnId
    owner_id: OutsideId
    owner_role: Role


class GoalMet(_OfOwner, frozen=True, kw_only=True, omit_defaults=True):
    """A goal was met. `days_early`: days of 24 h from `met_at` to `due_at`; 0 or less is late."""

    revision: Ordinal
    met_at: Instant
    due_at: Instant
    days_early: float


class GoalDropped(_OfOwner, frozen=True, kw_only=True, omit_defaults=True):
    """A goal was given up."""

    revision: Ordinal
    dropped_at: Instant


class GoalMissed(_OfOwner, frozen=True, kw_only=True, omit_defaults=True):
    """A deadline passed unmet; exactly once per goal and revision."""

    revision: Ordinal
    due_at: Instant
    missed_at: Instant
    fraction: Fraction
    last_check_in_at: Instant | None = None


class GoalMissRetracted(_OfOwner, frozen=True, kw_only=True, omit_defaults=True):
    """A miss was taken back."""

    revision: Ordinal
    due_at: Instant
    missed_at: Instant
    retracted_at: Instant
    because: Literal["late_evidence", "dispute_upheld"]


class MissDisputed(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """The owner says that the goal was met in time."""

    goal_id: OwnId
    revision: Ordinal
    by: OutsideId
    at: Instant


class DisputeRejected(MissDisputed, frozen=True, kw_only=True, omit_defaults=True):
    """The counterpart does not agree: the miss stands."""


class PersonErased(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A person's contact data and private words are to be removed everywhere."""

    org_id: OutsideId
    person_id: OutsideId
    at: Instant


# --- check-ins


class CheckInLogged(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """A participant reported; never told of a sensitive check-in."""

    checkin_id: OwnId
    goal_id: OwnId | None = None
    author_id: OutsideId
    author_role: Role
    occurred_at: Instant
    logged_at: Instant
    progress: Progress | None = None
    confidence: Annotated[int, Meta(ge=0, le=10)] | None = None
    realistic: bool | None = None
    attainable: bool | None = None


class CheckInAcknowledged(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody took notice of a check-in. No role: the acknowledger is no participant."""

    checkin_id: OwnId
    goal_id: OwnId | None = None
    acknowledged_by: OutsideId
    acknowledger_role: Role | None = None
    acknowledged_at: Instant


class CheckInLapsed(_OfOwner, frozen=True, kw_only=True, omit_defaults=True):
    """A check-in that was expected by `expected_by` did not come; once per goal and `period` (a date)."""

    expected_by: Instant
    period: Day

    def __post_init__(self) -> None:
        _require_date(self.period)


class CheckInsWatermark(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Every check-in of this partition logged before `up_to` stands before this record."""

    partition: Count
    up_to: Instant


class HelpRequested(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody asked somebody for help."""

    checkin_id: OwnId
    goal_id: OwnId | None = None
    author_id: OutsideId
    route_to: OutsideId
    sensitive: bool


# --- nudges


class NudgeSent(_InMentorship, frozen=True, kw_only=True, omit_defaults=True):
    """A reminder went to a person."""

    nudge_id: OwnId
    message_id: str | None = None
    recipient_id: OutsideId
    goal_id: OwnId | None = None
    kind: str
    period: str
    channel: str | None = None
    reason: str | None = None
    at: Instant


class NudgeSuppressed(NudgeSent, frozen=True, kw_only=True, omit_defaults=True):
    """A reminder was not sent, for `reason`."""


class NudgeFailed(NudgeSent, frozen=True, kw_only=True, omit_defaults=True):
    """A reminder could not be delivered."""
