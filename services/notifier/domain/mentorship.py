"""What the notifier knows of a mentorship, folded from its events."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from shared import events as contract


class Mentorship(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who takes part, whether it goes on, and which expectations hold.

    `proposed_version` is the newest version told of, `agreed_version` the one in force; 0 is none. `coordinated_by`
    has everybody who ever coordinated it.
    """

    mentorship_id: str
    org_id: str
    program_id: str
    mentor_id: str
    mentee_id: str
    leader_id: str | None = None
    coordinator_id: str | None = None
    coordinated_by: tuple[str, ...] = ()
    time_zone: str
    state: Literal["active", "paused", "ended"] = "active"
    resumed_at: datetime | None = None
    proposed_version: int = 0
    agreed_version: int = 0
    escalates: bool = False

    @property
    def pair(self) -> tuple[str, str]:
        """Mentor and mentee."""
        return self.mentor_id, self.mentee_id

    @property
    def escalates_to(self) -> str | None:
        """The coordinator, where the pair's expectations say so."""
        return self.coordinator_id if self.escalates else None


def begin(event: contract.MentorshipStarted) -> Mentorship:
    """The mentorship that an event begins."""
    return Mentorship(
        mentorship_id=event.mentorship_id,
        org_id=event.org_id,
        program_id=event.program_id,
        mentor_id=event.mentor_id,
        mentee_id=event.mentee_id,
        leader_id=event.leader_id,
        coordinator_id=event.coordinator_id,
        coordinated_by=_and((), event.coordinator_id),
        time_zone=event.time_zone,
    )


def evolve(known: Mentorship, event: contract.Event) -> Mentorship:
    """The mentorship after an event; the same where the event is none of its own."""
    change = msgspec.structs.replace
    match event:
        case contract.MentorshipChanged():
            return change(
                known,
                leader_id=event.leader_id,
                coordinator_id=event.coordinator_id,
                coordinated_by=_and(known.coordinated_by, event.coordinator_id),
                time_zone=event.time_zone,
            )
        case contract.MentorshipPaused():
            return change(known, state="paused")
        case contract.MentorshipResumed():
            return change(known, state="active", resumed_at=event.at)
        case contract.MentorshipEnded():
            return change(known, state="ended")
        case contract.ExpectationsProposed():
            return change(known, proposed_version=max(known.proposed_version, event.version))
        case contract.ExpectationsAgreed():
            return change(
                known,
                proposed_version=max(known.proposed_version, event.version),
                agreed_version=event.version,
                escalates=event.escalate_to_coordinator,
            )
        case _:
            return known


def _and(known: tuple[str, ...], coordinator_id: str | None) -> tuple[str, ...]:
    return known if coordinator_id is None or coordinator_id in known else (*known, coordinator_id)
