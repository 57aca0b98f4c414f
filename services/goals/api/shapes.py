"""The shapes of requests, refused with a pointer where they do not hold."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from services.goals.domain.deadline import Deadline
from services.goals.domain.goal import Change, Changes
from services.goals.domain.goal import Words as PrivateWords
from services.goals.domain.mentorship import Role
from services.goals.domain.progress import Kind, Measure
from shared.http import (
    Body,
    Day,
    Days90,
    ExternalRef,
    Id,
    Instant,
    Number,
    Params,
    PersonId,
    QueryInstant,
    TimeZone,
    Title,
    Unit,
    Words,
)
from shared.time import valid_cutoff

DISTINCT = "Mentor, mentee and leader are three different people."


class DeadlineIn(Body):
    """A date in a zone, up to a time of day; the end of the day by default."""

    date: Day
    time_zone: TimeZone
    cutoff: str = "24:00"

    @field_validator("cutoff")
    @classmethod
    def _is_time(cls, cutoff: str) -> str:
        if not valid_cutoff(cutoff):
            raise ValueError("HH:MM or HH:MM:SS, up to 24:00.")
        return cutoff

    def deadline(self) -> Deadline:
        """As the rules know it."""
        return Deadline(date=self.date, time_zone=self.time_zone, cutoff=self.cutoff)


class MeasureIn(Body):
    """How progress is told: a number on its way to `target`, milestones, or being done."""

    kind: Kind
    unit: Unit | None = Field(default=None, validate_default=True)
    baseline: Number | None = Field(default=None, validate_default=True)
    target: Number | None = Field(default=None, validate_default=True)
    milestones: Annotated[list[Title], Field(min_length=1, max_length=50)] | None = Field(
        default=None, validate_default=True
    )

    @field_validator("unit", "baseline", "target", "milestones")
    @classmethod
    def _belongs(cls, value: Any, info: ValidationInfo) -> Any:
        """What belongs to another kind is unknown to this one; what this one needs is missing without."""
        kind, name = info.data.get("kind"), info.field_name
        if kind is None:
            return value
        if value is not None and (kind == "done" or (kind == "milestones") != (name == "milestones")):
            raise PydanticCustomError("not_of_kind", "That does not belong to this kind of measure.")
        needed = {"number": "target", "milestones": "milestones"}.get(kind)
        if value is None and name == needed and cls.whole():
            raise PydanticCustomError("missing", "This kind of measure needs it.")
        return value

    @field_validator("target")
    @classmethod
    def _leads_somewhere(cls, target: float | None, info: ValidationInfo) -> float | None:
        if target is not None and target == (info.data.get("baseline") or 0.0):
            raise ValueError("The target differs from the baseline (0 unless given).")
        return target

    @field_validator("milestones")
    @classmethod
    def _different(cls, milestones: list[str] | None) -> list[str] | None:
        if milestones is not None and len(set(milestones)) != len(milestones):
            raise ValueError("Milestones are different from each other.")
        return milestones

    @classmethod
    def whole(cls) -> bool:
        """Whether what the kind needs must be there."""
        return True

    def measure(self) -> Measure:
        """As the rules know it."""
        milestones = tuple(self.milestones) if self.milestones is not None else None
        return Measure(
            kind=self.kind,
            unit=self.unit,
            baseline=self.baseline,
            target=self.target,
            milestones=milestones,
        )


class MeasureDraft(MeasureIn):
    """A measure to assess; it may lack what its kind needs."""

    @classmethod
    def whole(cls) -> bool:
        """A draft need not be."""
        return False


class MentorshipIn(Body):
    """A mentorship to start."""

    program_id: Id
    mentor_id: PersonId
    mentee_id: PersonId
    leader_id: PersonId | None = None
    coordinator_id: PersonId | None = None
    time_zone: TimeZone
    check_in_every_days: Days90 = 7
    focus: Words | None = None
    external_ref: ExternalRef | None = None

    @field_validator("mentee_id", "leader_id")
    @classmethod
    def _distinct(cls, person: str | None, info: ValidationInfo) -> str | None:
        if person is not None and person in (info.data.get("mentor_id"), info.data.get("mentee_id")):
            raise ValueError(DISTINCT)
        return person


class MentorshipPatch(Body):
    """What to change of a mentorship; null removes what is optional."""

    leader_id: PersonId | None = None
    coordinator_id: PersonId | None = None
    time_zone: TimeZone | None = None
    check_in_every_days: Days90 | None = None
    focus: Words | None = None

    @field_validator("time_zone", "check_in_every_days", mode="before")
    @classmethod
    def _stays(cls, value: Any) -> Any:
        return _kept(value)


class MentorshipFilters(Params):
    """By what mentorships can be listed."""

    program_id: Id | None = None
    person_id: Id | None = None
    state: Literal["active", "paused", "ended"] | None = None
    external_ref: ExternalRef | None = None


class ItemIn(Body):
    """What is expected of one of them."""

    role: Role
    text: Annotated[Words, Field(min_length=1)]


class ExpectationsIn(Body):
    """A version of the expectations to propose."""

    items: Annotated[list[ItemIn], Field(min_length=1, max_length=50)]
    review_on: Day
    escalate_to_coordinator: bool = False
    support_contact_id: PersonId | None = None


class ExpectationsFilters(Params):
    """By what versions can be listed."""

    state: Literal["proposed", "agreed", "superseded"] | None = None


class GoalIn(Body):
    """A goal to set."""

    mentorship_id: Id
    title: Title
    measure: MeasureIn
    deadline: DeadlineIn
    check_in_every_days: Days90 | None = None
    why: Words | None = None
    owner_id: PersonId | None = None
    external_ref: ExternalRef | None = None


class GoalDraft(Body):
    """As much of a goal's body as there is, to assess."""

    mentorship_id: Id | None = None
    title: Title | None = None
    measure: MeasureDraft | None = None
    deadline: DeadlineIn | None = None
    check_in_every_days: Days90 | None = None
    why: Words | None = None
    owner_id: PersonId | None = None
    external_ref: ExternalRef | None = None


class GoalPatch(Body):
    """What to change of a goal; null removes `why`."""

    title: Title | None = None
    measure: MeasureIn | None = None
    deadline: DeadlineIn | None = None
    check_in_every_days: Days90 | None = None
    why: Words | None = None
    reason: Words | None = None

    @field_validator("title", "measure", "deadline", "check_in_every_days", mode="before")
    @classmethod
    def _stays(cls, value: Any) -> Any:
        return _kept(value)

    def changes(self, by: str, at: dt.datetime) -> Changes:
        """What is asked for, by whom."""
        order: tuple[Change, ...] = ("title", "measure", "deadline", "check_in_every_days", "why")
        return Changes(
            names=tuple(name for name in order if name in self.model_fields_set),
            title=self.title,
            measure=self.measure.measure() if self.measure is not None else None,
            deadline=self.deadline.deadline() if self.deadline is not None else None,
            check_in_every_days=self.check_in_every_days,
            why=PrivateWords(by=by, at=at, text=self.why) if self.why else None,
        )


def _kept(value: Any) -> Any:
    """Null removes what is optional; this is not."""
    if value is None:
        raise ValueError("This can be changed, but not removed.")
    return value


class GoalFilters(Params):
    """By what goals can be listed."""

    mentorship_id: Id | None = None
    owner_id: Id | None = None
    state: Literal["proposed", "active", "met", "missed", "dropped", "declined"] | None = None
    due_before: QueryInstant | None = None
    external_ref: ExternalRef | None = None


class OutcomeIn(Body):
    """What is said of a goal."""

    outcome: Literal["met", "dropped", "missed"]
    occurred_at: Instant | None = None
    note: Annotated[str, Field(max_length=4000)] | None = None

    @field_validator("occurred_at")
    @classmethod
    def _only_met(cls, occurred_at: dt.datetime | None, info: ValidationInfo) -> dt.datetime | None:
        if occurred_at is not None and info.data.get("outcome") in ("dropped", "missed"):
            raise ValueError("Only what is met occurred at some time.")
        return occurred_at


class DisputeIn(Body):
    """Why a goal was met in time."""

    occurred_at: Instant
    reason: Annotated[Words, Field(min_length=1)]
