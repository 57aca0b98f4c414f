"""Expectations: the agreement that mentor and mentee discuss first; versioned, signed by both."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from services.goals.domain.mentorship import (
    ExpectationsAgreed,
    ExpectationsProposed,
    Fact,
    Mentorship,
    Role,
)
from shared.errors import Conflict, Forbidden

State = Literal["proposed", "agreed", "superseded"]


class Item(Struct, frozen=True, kw_only=True):
    """What is expected of one of them; the text is private."""

    role: Role
    text: str


class Expectations(Struct, frozen=True, kw_only=True):
    """One version. `signed_by` holds its author first."""

    mentorship_id: str
    version: int
    items: tuple[Item, ...]
    review_on: date
    escalate_to_coordinator: bool
    support_contact_id: str | None
    proposed_by: str
    proposed_at: datetime
    signed_by: tuple[str, ...]
    state: State = "proposed"
    agreed_at: datetime | None = None


class Draft(Struct, frozen=True, kw_only=True):
    """What somebody proposes."""

    items: tuple[Item, ...]
    review_on: date
    escalate_to_coordinator: bool
    support_contact_id: str | None


def propose(
    mentorship: Mentorship, draft: Draft, *, by: str, now: datetime
) -> tuple[Expectations, list[Fact]]:
    """A new version, signed by its author. It replaces one not yet agreed; the agreed one stays in force.

    Raises:
        Forbidden: neither mentor nor mentee.
        Conflict: the mentorship has ended.
    """
    other = _other(mentorship, by)
    mentorship.require_running()
    version = Expectations(
        mentorship_id=mentorship.mentorship_id,
        version=mentorship.expectations + 1,
        items=draft.items,
        review_on=draft.review_on,
        escalate_to_coordinator=draft.escalate_to_coordinator,
        support_contact_id=draft.support_contact_id,
        proposed_by=by,
        proposed_at=now,
        signed_by=(by,),
    )
    proposed = ExpectationsProposed(
        at=now,
        version=version.version,
        proposed_by=by,
        waits_for=other,
        review_on=version.review_on.isoformat(),
    )
    return version, [proposed]


def sign(
    mentorship: Mentorship, version: Expectations, *, by: str, now: datetime
) -> tuple[Expectations, list[Fact]]:
    """Agree to a version; once both have, it holds. Signing again changes nothing.

    Raises:
        Forbidden: neither mentor nor mentee.
        Conflict: the mentorship has ended, or the version was superseded.
    """
    _other(mentorship, by)
    mentorship.require_running()
    if version.state == "superseded":
        raise Conflict("This version was superseded by a later one.")
    if by in version.signed_by:
        return version, []
    signed = replace(version, signed_by=(*version.signed_by, by), state="agreed", agreed_at=now)
    agreed = ExpectationsAgreed(
        at=now,
        version=version.version,
        agreed_by=signed.signed_by,
        review_on=version.review_on.isoformat(),
        escalate_to_coordinator=version.escalate_to_coordinator,
        support_contact_id=version.support_contact_id,
    )
    return signed, [agreed]


def superseded(version: Expectations) -> Expectations:
    """What becomes of a version when a later one takes its place."""
    return replace(version, state="superseded")


def _other(mentorship: Mentorship, by: str) -> str:
    role = mentorship.role_of(by)
    if role not in ("mentor", "mentee"):
        raise Forbidden("Expectations are agreed by mentor and mentee.")
    return mentorship.mentee_id if role == "mentor" else mentorship.mentor_id
