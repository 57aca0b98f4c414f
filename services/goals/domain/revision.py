"""Rule 6: changing a goal. Renegotiated is not missed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from services.goals.domain.evidence import CheckIn
from services.goals.domain.goal import (
    Changes,
    Fact,
    Goal,
    GoalSet,
    Proposal,
    Revised,
    RevisionDeclined,
    RevisionProposed,
    Terms,
    Words,
    evolved,
    require_decided,
)
from services.goals.domain.mentorship import Mentorship
from services.goals.domain.pause import decision_at
from services.goals.domain.progress import Measure
from services.goals.domain.rules import MAX_REVISIONS, Rules
from services.goals.domain.verdict import weigh
from shared.errors import Conflict, Forbidden, NotFound, Unprocessable


class Revise(Struct, frozen=True, kw_only=True):
    """Somebody wants a goal to be different; `proposal_id` is the id that it gets should it have to wait."""

    by: str
    changes: Changes
    reason: str | None
    proposal_id: str
    at: datetime


def eased(new: Terms, old: Terms) -> bool:
    """A later deadline, a target nearer to the old baseline, fewer milestones, or another kind of measure."""
    return new.deadline.due_at > old.deadline.due_at or _measure_eased(new.measure, old.measure)


def _measure_eased(new: Measure, old: Measure) -> bool:
    if new.kind != old.kind:
        return True
    if new.kind == "number":
        return abs(new.end / 2 - old.start / 2) < abs(old.end / 2 - old.start / 2)
    return len(new.milestones or ()) < len(old.milestones or ())


def changed(new: Terms, old: Terms) -> tuple[str, ...]:
    """The names of what differs."""
    names = ["title", "measure", "deadline", "check_in_every_days"]
    found = [name for name in names if getattr(new, name) != getattr(old, name)]
    if (new.why and new.why.text) != (old.why and old.why.text):
        found.append("why")
    return tuple(found)


def require_reviser(goal: Goal, by: str) -> None:
    """Only its owner and counterpart change a goal.

    Raises:
        Forbidden: it is somebody else.
    """
    if by not in (goal.owner_id, goal.counterpart_id):
        raise Forbidden("A goal is revised by its owner, or proposed to be by its counterpart.")


def revise(
    goal: Goal, mentorship: Mentorship, command: Revise, check_ins: Sequence[CheckIn], *, rules: Rules
) -> list[Fact]:
    """Change a goal at once, or propose to.

    The owner changes an active goal at once, except that easing it shortly before the deadline needs the
    counterpart. Reviving a missed one needs the counterpart and a new deadline. What the counterpart wants needs
    the owner. Nothing follows when nothing would change.

    Raises:
        Forbidden: neither owner nor counterpart.
        Conflict: the state of goal or mentorship does not allow it, or it was revised 500 times.
        Unprocessable: reviving without a new deadline.
    """
    now = command.at
    require_reviser(goal, command.by)
    _require_revisable(goal, mentorship, now, rules)
    terms = command.changes.applied(goal.terms)
    if goal.state == "missed":
        if mentorship.role_of(goal.owner_id) is None:
            raise Conflict("The goal's owner has left the mentorship.")
        if "deadline" not in command.changes.names or terms.deadline == goal.terms.deadline:
            raise Unprocessable.field("/deadline", "A missed goal is revived with a new deadline.")
    names = changed(terms, goal.terms)
    if not names:
        return []
    eases = eased(terms, goal.terms)
    owner = command.by == goal.owner_id
    if owner and goal.state == "active" and not (eases and _too_late_to_ease(goal, now, rules)):
        facts: list[Fact] = [
            Revised(by=command.by, at=now, terms=terms, changed=names, eased=eases, reason=command.reason)
        ]
        return facts + weigh(evolved(goal, facts), check_ins, grace=rules.grace, now=now)
    reason = Words(by=command.by, at=now, text=command.reason) if command.reason else None
    proposal = Proposal(
        proposal_id=command.proposal_id,
        revision=goal.revision,
        changes=command.changes,
        proposed_by=command.by,
        waits_for=goal.counterpart_id if owner else goal.owner_id,
        eased=eases,
        proposed_at=now,
        reason=reason,
    )
    return [RevisionProposed(by=command.by, at=now, proposal=proposal)]


def accept(
    goal: Goal,
    mentorship: Mentorship,
    proposal_id: str,
    check_ins: Sequence[CheckIn],
    *,
    by: str,
    now: datetime,
    rules: Rules,
) -> list[Fact]:
    """Agree to what was proposed; what it asks is checked again.

    Raises:
        NotFound: there is no such proposal.
        Forbidden: it does not wait for this person.
        Conflict: it was decided, its deadline has passed, or the goal was revised or closed meanwhile.
    """
    proposal = _proposal(goal, proposal_id)
    if by != proposal.waits_for:
        raise Forbidden("This proposal waits for somebody else.")
    if proposal.state != "open":
        raise Conflict(f"This proposal was {proposal.state} before.")
    if proposal.revision == 0:
        mentorship.require_active()
        if mentorship.role_of(goal.owner_id) is None:
            raise Conflict("The goal's owner has left the mentorship.")
        _require_ahead(goal.terms, now)
        return [GoalSet(by=by, at=now, proposal_id=proposal_id)]
    _require_revisable(goal, mentorship, now, rules)
    if goal.person_revision > proposal.revision:
        raise Conflict("The goal was revised since this was proposed.")
    terms = proposal.changes.applied(goal.terms)
    if goal.state == "missed":
        if "deadline" not in proposal.changes.names:
            raise Conflict("The goal was missed meanwhile, and this proposal brings no new deadline.")
        if mentorship.role_of(goal.owner_id) is None:
            raise Conflict("The goal's owner has left the mentorship.")
    if "deadline" in proposal.changes.names:
        _require_ahead(terms, now)
    facts: list[Fact] = [
        Revised(
            by=proposal.proposed_by,
            at=now,
            terms=terms,
            changed=changed(terms, goal.terms),
            eased=eased(terms, goal.terms),
            agreed_by=(by,),
            proposal_id=proposal_id,
        )
    ]
    return facts + weigh(evolved(goal, facts), check_ins, grace=rules.grace, now=now)


def decline(goal: Goal, mentorship: Mentorship, proposal_id: str, *, by: str, now: datetime) -> list[Fact]:
    """Who it waits for declines it, or the proposer takes it back.

    Raises:
        NotFound: there is no such proposal.
        Forbidden: it is somebody else's.
        Conflict: it was decided before, or the mentorship has ended.
    """
    proposal = _proposal(goal, proposal_id)
    if by not in (proposal.waits_for, proposal.proposed_by):
        raise Forbidden("A proposal is declined by who it waits for, or by who made it.")
    if proposal.state != "open":
        raise Conflict(f"This proposal was {proposal.state} before.")
    mentorship.require_running()
    return [RevisionDeclined(by=by, at=now, proposal_id=proposal_id)]


def _require_revisable(goal: Goal, mentorship: Mentorship, now: datetime, rules: Rules) -> None:
    mentorship.require_active()
    if goal.state not in ("active", "missed"):
        raise Conflict(f"A goal that is {goal.state} cannot be revised.")
    require_decided(goal, decision_at(goal, mentorship, rules.grace), now)
    if goal.revision >= MAX_REVISIONS:
        raise Conflict(f"A goal has at most {MAX_REVISIONS} revisions.")


def _too_late_to_ease(goal: Goal, now: datetime, rules: Rules) -> bool:
    return now >= goal.terms.deadline.workdays_before(rules.ease_workdays)


def _require_ahead(terms: Terms, now: datetime) -> None:
    if terms.deadline.due_at <= now:
        raise Conflict("The deadline that was proposed has passed.")


def _proposal(goal: Goal, proposal_id: str) -> Proposal:
    for proposal in goal.proposals:
        if proposal.proposal_id == proposal_id:
            return proposal
    raise NotFound("There is no such proposal.")
