"""Mentorships and goals as checkins knows them: a small replica, folded from the goals topic.

Events of one mentorship, and of one goal, come in sequence; a goal's may come before its mentorship's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from services.checkins.domain.cadence import Fact, Terms, remembered
from shared import events as contract
from shared.events.types import Role

GoalState = Literal["proposed", "declined", "active", "met", "missed", "dropped"]

MentorshipEvent = (
    contract.MentorshipStarted
    | contract.MentorshipChanged
    | contract.MentorshipPaused
    | contract.MentorshipResumed
    | contract.MentorshipEnded
    | contract.ExpectationsAgreed
)
GoalEvent = (
    contract.GoalSet
    | contract.GoalRevised
    | contract.RevisionProposed
    | contract.RevisionDeclined
    | contract.GoalMet
    | contract.GoalMissed
    | contract.GoalDropped
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentorship:
    """A mentorship: its people, whether it has ended, and its pauses (`facts`, for the cadence)."""

    mentorship_id: str
    org_id: str
    program_id: str
    mentor_id: str
    mentee_id: str
    leader_id: str | None = None
    coordinator_id: str | None = None
    support_contact_id: str | None = None
    ended: bool = False
    facts: tuple[Fact, ...] = ()

    @property
    def participants(self) -> tuple[str, ...]:
        """Mentor, mentee and, if there is one, leader."""
        everyone = (self.mentor_id, self.mentee_id, self.leader_id)
        return tuple(person for person in everyone if person is not None)

    def role_of(self, person_id: str) -> Role | None:
        """A participant's role; None for anybody else."""
        if person_id == self.mentor_id:
            return "mentor"
        if person_id == self.mentee_id:
            return "mentee"
        return "leader" if person_id == self.leader_id else None

    def counterpart_of(self, person_id: str) -> str:
        """Who a participant answers to: the mentee to the mentor, mentor and leader to the mentee."""
        return self.mentor_id if person_id == self.mentee_id else self.mentee_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A goal: whose it is, how it is measured, where it stands, and its history as the cadence needs it.

    Of a goal that is proposed only its owner is known: `owner_role`, `counterpart_id` and `measure` come with GoalSet.
    """

    goal_id: str
    org_id: str
    program_id: str
    mentorship_id: str
    owner_id: str
    state: GoalState
    owner_role: Role | None = None
    counterpart_id: str | None = None
    title: str = ""
    measure: contract.Measure | None = None
    proposal_id: str | None = None
    facts: tuple[Fact, ...] = ()


def mentorship_after(
    known: Mentorship | None, event: MentorshipEvent, recorded: datetime
) -> Mentorship | None:
    """The mentorship after one of its events; `recorded` is the event's `ce_time`."""
    if isinstance(event, contract.MentorshipStarted):  # MentorshipChanged is one, with all of its fields
        return Mentorship(
            mentorship_id=event.mentorship_id,
            org_id=event.org_id,
            program_id=event.program_id,
            mentor_id=event.mentor_id,
            mentee_id=event.mentee_id,
            leader_id=event.leader_id,
            coordinator_id=event.coordinator_id,
            support_contact_id=known.support_contact_id if known else None,
            ended=known.ended if known else False,
            facts=known.facts if known else (),
        )
    if known is None:
        return None
    if isinstance(event, contract.ExpectationsAgreed):
        return replace(known, support_contact_id=event.support_contact_id)
    fact = Fact(kind=_PAUSES[type(event)], recorded=recorded, at=event.at)
    ended = known.ended or isinstance(event, contract.MentorshipEnded)
    return replace(known, ended=ended, facts=remembered(known.facts, fact))


def goal_after(known: Goal | None, event: GoalEvent, recorded: datetime) -> Goal | None:
    """The goal after one of its events; `recorded` is the event's `ce_time`."""
    if isinstance(event, contract.GoalSet):  # GoalRevised is one, with all of its fields
        revised = isinstance(event, contract.GoalRevised)
        terms = Terms(event.check_in_every_days, event.deadline.time_zone, event.due_at)
        fact = Fact(kind="revised" if revised else "set", recorded=recorded, at=recorded, terms=terms)
        return Goal(
            goal_id=event.goal_id,
            org_id=event.org_id,
            program_id=event.program_id,
            mentorship_id=event.mentorship_id,
            owner_id=event.owner_id,
            owner_role=event.owner_role,
            counterpart_id=event.counterpart_id,
            title=event.title,
            measure=event.measure,
            state="active",
            facts=remembered(known.facts if known else (), fact),
        )
    if isinstance(event, contract.RevisionProposed):
        if known is not None or event.revision > 0:
            return known
        return Goal(
            goal_id=event.goal_id,
            org_id=event.org_id,
            program_id=event.program_id,
            mentorship_id=event.mentorship_id,
            owner_id=event.waits_for,
            state="proposed",
            proposal_id=event.proposal_id,
        )
    if known is None:
        return None
    if isinstance(event, contract.RevisionDeclined):
        mine = known.state == "proposed" and known.proposal_id == event.proposal_id
        return replace(known, state="declined") if mine else known
    state = _CLOSES[type(event)]
    return replace(
        known, state=state, facts=remembered(known.facts, Fact(kind=state, recorded=recorded, at=recorded))
    )


_PAUSES: dict[type, Literal["paused", "resumed", "ended"]] = {
    contract.MentorshipPaused: "paused",
    contract.MentorshipResumed: "resumed",
    contract.MentorshipEnded: "ended",
}
_CLOSES: dict[type, Literal["met", "missed", "dropped"]] = {
    contract.GoalMet: "met",
    contract.GoalMissed: "missed",
    contract.GoalDropped: "dropped",
}
