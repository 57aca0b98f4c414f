"""A goal: its state, what can happen to it, and what that makes of it.

What happens is told as facts; `evolve` is the only place where a goal changes. `announce` tells the contract's
event of a fact, for other services.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from services.goals.domain.deadline import Deadline
from services.goals.domain.mentorship import Mentorship, Role
from services.goals.domain.progress import Measure
from services.goals.domain.rules import SYSTEM
from shared.errors import Conflict, Unprocessable

State = Literal["proposed", "active", "met", "missed", "dropped", "declined"]
Because = Literal["late_evidence", "dispute_upheld"]
Change = Literal["title", "measure", "deadline", "check_in_every_days", "why"]


class Words(Struct, frozen=True, kw_only=True):
    """Private words, whose they are and since when: an erasure asks for both."""

    by: str
    at: datetime
    text: str


class Terms(Struct, frozen=True, kw_only=True):
    """What a revision of a goal says."""

    title: str
    measure: Measure
    deadline: Deadline
    check_in_every_days: int
    why: Words | None = None


class Changes(Struct, frozen=True, kw_only=True):
    """What a revision asks for: `names` are asked for, each with the value beside it."""

    names: tuple[Change, ...]
    title: str | None = None
    measure: Measure | None = None
    deadline: Deadline | None = None
    check_in_every_days: int | None = None
    why: Words | None = None

    def applied(self, terms: Terms) -> Terms:
        """The terms with these changes."""
        return Terms(
            title=self.title if "title" in self.names and self.title is not None else terms.title,
            measure=self.measure if "measure" in self.names and self.measure is not None else terms.measure,
            deadline=self.deadline
            if "deadline" in self.names and self.deadline is not None
            else terms.deadline,
            check_in_every_days=self.check_in_every_days
            if "check_in_every_days" in self.names and self.check_in_every_days is not None
            else terms.check_in_every_days,
            why=self.why if "why" in self.names else terms.why,
        )


class Proposal(Struct, frozen=True, kw_only=True):
    """What one asked another to agree to.

    `revision` is the one it would change; 0 is the goal itself, then `changes` names nothing.
    """

    proposal_id: str
    revision: int
    changes: Changes
    proposed_by: str
    waits_for: str
    eased: bool
    proposed_at: datetime
    reason: Words | None = None
    state: Literal["open", "accepted", "declined"] = "open"
    decided_by: str | None = None
    decided_at: datetime | None = None


class Miss(Struct, frozen=True, kw_only=True):
    """The miss of the present revision. `early`: said before the deadline had passed."""

    missed_at: datetime
    early: bool
    retracted: bool = False


class Dispute(Struct, frozen=True, kw_only=True):
    """What the owner holds against a miss: that it was done at `occurred_at`."""

    state: Literal["open", "upheld", "rejected"]
    by: str
    occurred_at: datetime


class Goal(Struct, frozen=True, kw_only=True):
    """A commitment of one person, with a measure and a deadline.

    `revision` counts from 1 (0: it is but proposed); `person_revision` is the last that a person made;
    `revised_at` is when the present terms were made. `miss` and `dispute` are those of the present revision.
    """

    org_id: str
    program_id: str
    mentorship_id: str
    goal_id: str
    owner_id: str
    owner_role: Role
    counterpart_id: str
    terms: Terms
    created_at: datetime
    revised_at: datetime
    external_ref: str | None = None
    state: State = "proposed"
    revision: int = 0
    person_revision: int = 0
    set_at: datetime | None = None
    met_at: datetime | None = None
    miss: Miss | None = None
    dispute: Dispute | None = None
    proposals: tuple[Proposal, ...] = ()

    @property
    def due_at(self) -> datetime:
        """When it is due by its present terms."""
        return self.terms.deadline.due_at

    @property
    def standing_miss(self) -> Miss | None:
        """The present revision's miss, unless it was taken back."""
        return self.miss if self.miss is not None and not self.miss.retracted else None

    @property
    def open_dispute(self) -> Dispute | None:
        """The dispute that waits for the counterpart's ruling."""
        return self.dispute if self.dispute is not None and self.dispute.state == "open" else None

    @property
    def open_proposals(self) -> tuple[Proposal, ...]:
        """What waits for somebody."""
        return tuple(proposal for proposal in self.proposals if proposal.state == "open")

    @property
    def undecided(self) -> bool:
        """Whether something may still come of it: active, proposed, or waiting for an answer about a miss."""
        return (
            self.state in ("active", "proposed")
            or self.open_dispute is not None
            or bool(self.open_proposals and self.state == "missed")
        )


# --- what can happen


class Fact(Struct, frozen=True, kw_only=True):
    """Something that happened: by whom, and with what private words."""

    by: str
    at: datetime
    reason: str | None = None


class GoalSet(Fact, frozen=True, kw_only=True):
    """The goal is its owner's from now on."""

    proposal_id: str | None = None


class Revised(Fact, frozen=True, kw_only=True):
    """It has new terms; a missed one is active again."""

    terms: Terms
    changed: tuple[str, ...]
    eased: bool
    agreed_by: tuple[str, ...] = ()
    proposal_id: str | None = None


class RevisionProposed(Fact, frozen=True, kw_only=True):
    """A change of it, or the goal itself, waits for somebody."""

    proposal: Proposal


class RevisionDeclined(Fact, frozen=True, kw_only=True):
    """A proposal was declined, or withdrawn."""

    proposal_id: str


class ProposedMoved(Fact, frozen=True, kw_only=True):
    """The deadlines that were proposed moved with a pause; nobody else need know."""

    days: int
    after: datetime


class Met(Fact, frozen=True, kw_only=True):
    """It was met, at `met_at`."""

    met_at: datetime


class Missed(Fact, frozen=True, kw_only=True):
    """It was missed, or said to be."""

    fraction: float
    last_check_in_at: datetime | None


class Retracted(Fact, frozen=True, kw_only=True):
    """The miss was taken back."""

    because: Because


class Disputed(Fact, frozen=True, kw_only=True):
    """The owner holds that it was done at `occurred_at`."""

    occurred_at: datetime


class DisputeRejected(Fact, frozen=True, kw_only=True):
    """The counterpart does not agree."""


class Dropped(Fact, frozen=True, kw_only=True):
    """It was given up."""


# --- what that makes of it


def evolve(goal: Goal, fact: Fact) -> Goal:
    """The goal after a fact."""
    match fact:
        case GoalSet():
            return replace(
                goal,
                state="active",
                revision=1,
                person_revision=1,
                set_at=fact.at,
                revised_at=fact.at,
                proposals=_decided(goal, fact.proposal_id, "accepted", fact),
            )
        case Revised():
            revision = goal.revision + 1
            return replace(
                goal,
                state="active",
                revision=revision,
                person_revision=goal.person_revision if fact.by == SYSTEM else revision,
                terms=fact.terms,
                revised_at=fact.at,
                met_at=None,
                miss=None,
                dispute=None,
                proposals=_decided(goal, fact.proposal_id, "accepted", fact),
            )
        case RevisionProposed():
            return replace(goal, proposals=(*goal.proposals, fact.proposal))
        case RevisionDeclined():
            return replace(
                goal,
                state="declined" if goal.state == "proposed" else goal.state,
                proposals=_decided(goal, fact.proposal_id, "declined", fact),
            )
        case ProposedMoved():
            return _proposed_moved(goal, fact)
        case Met():
            return replace(goal, state="met", met_at=fact.met_at)
        case Missed():
            return replace(goal, state="missed", miss=Miss(missed_at=fact.at, early=fact.at < goal.due_at))
        case Retracted():
            dispute = goal.dispute
            if goal.open_dispute is not None:
                upheld = fact.because == "dispute_upheld"
                dispute = replace(goal.open_dispute, state="upheld") if upheld else None
            miss = replace(goal.miss, retracted=True) if goal.miss is not None else None
            return replace(goal, miss=miss, dispute=dispute)
        case Disputed():
            return replace(goal, dispute=Dispute(state="open", by=fact.by, occurred_at=fact.occurred_at))
        case DisputeRejected():
            dispute = replace(goal.dispute, state="rejected") if goal.dispute is not None else None
            return replace(goal, dispute=dispute)
        case Dropped():
            return replace(goal, state="dropped")
    raise TypeError(f"no such fact: {type(fact).__name__}")


def evolved(goal: Goal, facts: Iterable[Fact]) -> Goal:
    """The goal after all of these facts."""
    for fact in facts:
        goal = evolve(goal, fact)
    return goal


def _decided(
    goal: Goal, proposal_id: str | None, state: Literal["accepted", "declined"], fact: Fact
) -> tuple[Proposal, ...]:
    # Who accepted a revision is not who revised: that is who proposed it.
    by = fact.agreed_by[0] if isinstance(fact, Revised) and fact.agreed_by else fact.by
    return tuple(
        replace(proposal, state=state, decided_by=by, decided_at=fact.at)
        if proposal.proposal_id == proposal_id
        else proposal
        for proposal in goal.proposals
    )


def _proposed_moved(goal: Goal, fact: ProposedMoved) -> Goal:
    def moved(deadline: Deadline) -> Deadline:
        return deadline.moved(fact.days) if deadline.due_at > fact.after else deadline

    proposals = tuple(
        replace(proposal, changes=replace(proposal.changes, deadline=moved(proposal.changes.deadline)))
        if proposal.state == "open" and proposal.changes.deadline is not None
        else proposal
        for proposal in goal.proposals
    )
    terms = goal.terms
    if goal.state == "proposed":
        terms = replace(terms, deadline=moved(terms.deadline))
    return replace(goal, proposals=proposals, terms=terms)


# --- setting one


class SetGoal(Struct, frozen=True, kw_only=True):
    """Somebody sets a goal, for themselves or for another participant; the ids are those it gets."""

    goal_id: str
    proposal_id: str
    by: str
    owner_id: str
    terms: Terms
    external_ref: str | None = None
    at: datetime = field()


def set_goal(mentorship: Mentorship, command: SetGoal) -> tuple[Goal, list[Fact]]:
    """A goal of one's own is set at once; one for somebody else is theirs only once they accept.

    Raises:
        Conflict: the mentorship is paused or has ended.
        Unprocessable: the owner is no participant.
    """
    mentorship.require_active()
    role = mentorship.role_of(command.owner_id)
    if role is None:
        raise Unprocessable.field("/owner_id", "The owner of a goal is a participant of the mentorship.")
    goal = Goal(
        org_id=mentorship.org_id,
        program_id=mentorship.program_id,
        mentorship_id=mentorship.mentorship_id,
        goal_id=command.goal_id,
        owner_id=command.owner_id,
        owner_role=role,
        counterpart_id=mentorship.counterpart_of(role),
        terms=command.terms,
        created_at=command.at,
        revised_at=command.at,
        external_ref=command.external_ref,
    )
    if command.by == command.owner_id:
        return goal, [GoalSet(by=command.by, at=command.at)]
    proposal = Proposal(
        proposal_id=command.proposal_id,
        revision=0,
        changes=Changes(names=()),
        proposed_by=command.by,
        waits_for=command.owner_id,
        eased=False,
        proposed_at=command.at,
    )
    return goal, [RevisionProposed(by=command.by, at=command.at, proposal=proposal)]


def require_decided(goal: Goal, decision_at: datetime | None, now: datetime) -> None:
    """Rule 3: from its deadline until it is decided, a goal cannot be revised, dropped or said missed.

    `decision_at` is when it will be (`pause.decision_at`), None while nothing is due.

    Raises:
        Conflict: with Retry-After.
    """
    if goal.state == "active" and decision_at is not None and goal.due_at <= now:
        wait = max(1, min(60, round((decision_at - now).total_seconds()) + 1))
        raise Conflict("The deadline has passed; whether it was met is being decided.", retry_after=wait)


# --- erasing a person


def without_words(goal: Goal, person_id: str, up_to: datetime) -> Goal:
    """The goal without the private words that a person left in it up to an instant.

    A `why` that was asked for is asked for no more: to ask for none would remove what another wrote.
    """

    def kept(words: Words | None) -> Words | None:
        return None if words is not None and words.by == person_id and words.at <= up_to else words

    def asked(changes: Changes) -> Changes:
        if kept(changes.why) is changes.why:
            return changes
        return replace(changes, why=None, names=tuple(name for name in changes.names if name != "why"))

    return replace(
        goal,
        terms=replace(goal.terms, why=kept(goal.terms.why)),
        proposals=tuple(
            replace(
                proposal,
                reason=kept(proposal.reason),
                changes=asked(proposal.changes),
            )
            for proposal in goal.proposals
        ),
    )
