"""What other services are told of a fact: the contract's event. It carries no private words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from services.goals.domain import goal as g
from services.goals.domain import mentorship as m
from services.goals.domain.goal import Goal
from services.goals.domain.mentorship import Mentorship
from shared import events as contract

DAY = timedelta(days=1)


def goal_event(after: Goal, fact: g.Fact) -> contract.Event | None:
    """The event of a fact, given the goal after it; None for what nobody else need know."""
    common: dict[str, Any] = {
        "org_id": after.org_id,
        "program_id": after.program_id,
        "mentorship_id": after.mentorship_id,
        "goal_id": after.goal_id,
    }
    owner: dict[str, Any] = {**common, "owner_id": after.owner_id, "owner_role": after.owner_role}
    of_revision: dict[str, Any] = {**owner, "revision": after.revision}
    match fact:
        case g.GoalSet():
            return contract.GoalSet(**of_revision, **_terms(after), proposal_id=fact.proposal_id)
        case g.Revised():
            return contract.GoalRevised(
                **of_revision,
                **_terms(after),
                changed=list(fact.changed),
                eased=fact.eased,
                revised_by=fact.by,
                agreed_by=list(fact.agreed_by),
                proposal_id=fact.proposal_id,
            )
        case g.RevisionProposed(proposal=proposal):
            return contract.RevisionProposed(
                **common,
                proposal_id=proposal.proposal_id,
                revision=proposal.revision,
                proposed_by=proposal.proposed_by,
                waits_for=proposal.waits_for,
                eased=proposal.eased,
                proposed_at=proposal.proposed_at,
            )
        case g.RevisionDeclined():
            return contract.RevisionDeclined(
                **common, proposal_id=fact.proposal_id, declined_by=fact.by, declined_at=fact.at
            )
        case g.ProposedMoved():
            return None
        case g.Met():
            return contract.GoalMet(
                **of_revision,
                met_at=fact.met_at,
                due_at=after.due_at,
                days_early=(after.due_at - fact.met_at) / DAY,
            )
        case g.Missed():
            return contract.GoalMissed(
                **of_revision,
                due_at=after.due_at,
                missed_at=fact.at,
                fraction=fact.fraction,
                last_check_in_at=fact.last_check_in_at,
            )
        case g.Retracted():
            return contract.GoalMissRetracted(
                **of_revision,
                due_at=after.due_at,
                missed_at=after.miss.missed_at if after.miss is not None else fact.at,
                retracted_at=fact.at,
                because=fact.because,
            )
        case g.Disputed():
            return contract.MissDisputed(**common, revision=after.revision, by=fact.by, at=fact.at)
        case g.DisputeRejected():
            return contract.DisputeRejected(**common, revision=after.revision, by=fact.by, at=fact.at)
        case g.Dropped():
            return contract.GoalDropped(**of_revision, dropped_at=fact.at)
    raise TypeError(f"no event for {type(fact).__name__}")


def mentorship_event(after: Mentorship, fact: m.Fact) -> contract.Event:
    """The event of a fact, given the mentorship after it."""
    common: dict[str, Any] = {
        "org_id": after.org_id,
        "program_id": after.program_id,
        "mentorship_id": after.mentorship_id,
    }
    people: dict[str, Any] = {
        "mentor_id": after.mentor_id,
        "mentee_id": after.mentee_id,
        "leader_id": after.facts.leader_id,
        "coordinator_id": after.facts.coordinator_id,
        "time_zone": after.facts.time_zone,
        "check_in_every_days": after.facts.check_in_every_days,
    }
    match fact:
        case m.Started():
            return contract.MentorshipStarted(**common, **people)
        case m.Changed():
            return contract.MentorshipChanged(**common, **people, changed=list(fact.changed))
        case m.Paused():
            return contract.MentorshipPaused(**common, at=fact.at)
        case m.Resumed():
            return contract.MentorshipResumed(**common, at=fact.at)
        case m.Ended():
            return contract.MentorshipEnded(**common, at=fact.at)
        case m.ExpectationsProposed():
            return contract.ExpectationsProposed(
                **common,
                version=fact.version,
                proposed_by=fact.proposed_by,
                waits_for=fact.waits_for,
                review_on=fact.review_on,
            )
        case m.ExpectationsAgreed():
            return contract.ExpectationsAgreed(
                **common,
                version=fact.version,
                agreed_by=list(fact.agreed_by),
                review_on=fact.review_on,
                escalate_to_coordinator=fact.escalate_to_coordinator,
                support_contact_id=fact.support_contact_id,
            )
    raise TypeError(f"no event for {type(fact).__name__}")


def _terms(goal: Goal) -> dict[str, Any]:
    terms = goal.terms
    measure, deadline = terms.measure, terms.deadline
    return {
        "counterpart_id": goal.counterpart_id,
        "title": terms.title,
        "measure": contract.Measure(
            kind=measure.kind,
            unit=measure.unit,
            baseline=measure.baseline,
            target=measure.target,
            milestones=list(measure.milestones) if measure.milestones is not None else None,
        ),
        "deadline": contract.Deadline(
            date=deadline.date.isoformat(), time_zone=deadline.time_zone, cutoff=deadline.cutoff
        ),
        "due_at": goal.due_at,
        "check_in_every_days": terms.check_in_every_days,
    }
