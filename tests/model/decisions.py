"""Rules 2, 3, 4 and 7: what becomes of goals by what is known of them, and by time; and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tests.model import instants
from tests.model.evidence import GRACE, CheckIn, fraction_at, is_timely, reaches
from tests.model.steps import SYSTEM, Revise, Terms, Told
from tests.model.terms import due_at, eased, measure_told


@dataclass
class Proposal:
    """`asks` None: it is the goal itself."""

    name: str
    by: str
    waits_for: str
    revision: int
    person_revision: int
    asks: Revise | None
    open: bool = True


@dataclass
class Goal:
    """`known` is the evidence that goals has taken in; `missed_at` and `dispute` are the present revision's."""

    name: str
    owner: str
    counterpart: str
    role: str
    terms: Terms
    state: str = "proposed"
    revision: int = 0
    person_revision: int = 0
    missed_at: datetime | None = None
    early: bool = False
    retracted: bool = False
    dispute: str | None = None
    disputed_at: datetime | None = None
    met_at: datetime | None = None
    proposals: list[Proposal] = field(default_factory=list)
    known: list[CheckIn] = field(default_factory=list)

    @property
    def due_at(self) -> datetime:
        return due_at(self.terms.deadline)

    @property
    def miss_stands(self) -> bool:
        return self.missed_at is not None and not self.retracted


class Decisions:
    """A mentorship and its goals. `people` are by role; `told` are all events, in order.

    `end_is_heard`: whether checkins knows of an end; until it does, it answers check-ins as before.
    """

    def __init__(self, people: dict[str, str]) -> None:
        self.people = people
        self.state = "active"
        self.paused_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.end_is_heard = True
        self.goals: dict[str, Goal] = {}
        self.check_ins: dict[str, CheckIn] = {}
        self.told: list[Told] = []

    # -- what goals comes to know

    def reaches_goals(self, name: str, now: datetime) -> list[Told]:
        """A check-in is taken in by goals, perhaps again, or perhaps with an acknowledgement that is new."""
        before = len(self.told)
        check_in = self.check_ins[name]
        if check_in.goal is not None:
            goal = self.goals[check_in.goal]
            if all(each.name != name for each in goal.known):
                goal.known.append(replace(check_in, noticed=False))
            self._weigh(goal, now)
        return self.told[before:]

    def notice_reaches_goals(self, name: str, by: str, now: datetime) -> list[Told]:
        """An acknowledgement is taken in by goals."""
        before = len(self.told)
        goal = self.goals[self.check_ins[name].goal or ""]
        for check_in in goal.known:
            if check_in.name == name and by == goal.counterpart:
                check_in.noticed = True
        self._weigh(goal, now)
        return self.told[before:]

    def time_passes(self, now: datetime, all_known_before: datetime) -> list[Told]:
        """Rules 3 and 7: decide what is due; every check-in logged before `all_known_before` is known to goals."""
        before = len(self.told)
        for goal in self.goals.values():
            if goal.state != "active":
                continue
            if self._decided_by_its_deadline(goal):
                if goal.due_at + GRACE <= all_known_before:
                    self._decide(goal, now)
            elif self.state == "ended" and self.ended_at is not None and self.ended_at <= all_known_before:
                self._weigh(goal, now)
                if goal.state == "active":
                    self._dropped(goal, now)
        return self.told[before:]

    def _decided_by_its_deadline(self, goal: Goal) -> bool:
        """What falls due in a pause, or after the end, is not."""
        if self.state == "active":
            return True
        stopped_at = self.paused_at if self.paused_at is not None else self.ended_at
        assert stopped_at is not None
        return goal.due_at <= stopped_at

    def is_being_decided(self, goal: Goal, now: datetime) -> bool:
        return goal.state == "active" and goal.due_at <= now and self._decided_by_its_deadline(goal)

    def _decide(self, goal: Goal, now: datetime) -> None:
        self._weigh(goal, now)
        if goal.state == "active":
            self._missed(goal, [each for each in goal.known if self._before_the_end(each, goal)], now)
            self._weigh(goal, now)

    def _weigh(self, goal: Goal, now: datetime) -> None:
        """Rules 2 to 4: what follows from all evidence that is known."""
        evidence = [
            each
            for each in goal.known
            if reaches(each.progress, goal.terms.measure) and self._before_the_end(each, goal)
        ]
        timely = [each for each in evidence if is_timely(each, goal.due_at)]
        if goal.state == "active":
            if timely:
                self._met(goal, min(each.occurred_at for each in timely), now)
            return
        if goal.state not in ("missed", "met") or not goal.miss_stands:
            return
        clearing = [each for each in evidence if self._clears(each, goal)]
        if clearing:
            self._retracted(goal, "late_evidence", now)
            self._met(goal, min(each.occurred_at for each in clearing), now)
        elif goal.state == "missed":
            late = [each.occurred_at for each in evidence if each.occurred_at >= goal.due_at]
            if late:
                self._met(goal, min(late), now)

    def _clears(self, evidence: CheckIn, goal: Goal) -> bool:
        """Rule 4."""
        assert goal.missed_at is not None
        if evidence.occurred_at >= goal.due_at:
            return False
        if evidence.author == goal.counterpart or evidence.noticed:
            return True
        if goal.early:
            return evidence.logged_at < goal.missed_at
        return is_timely(evidence, goal.due_at)

    def _before_the_end(self, check_in: CheckIn, goal: Goal) -> bool:
        """Rule 7: or, where the goal was due before it, up to the end of the grace that check-ins have as ever."""
        if self.ended_at is None or check_in.logged_at < self.ended_at:
            return True
        return self._decided_by_its_deadline(goal) and check_in.logged_at < goal.due_at + GRACE

    # -- what happens to goals

    def _revised(
        self, goal: Goal, terms: Terms, *, by: str, agreed_by: list[str], proposal: str | None, now: datetime
    ) -> None:
        before = goal.terms
        names = {
            "title": "title",
            "measure": "measure",
            "deadline": "deadline",
            "every": "check_in_every_days",
        }
        changed = [told for name, told in names.items() if getattr(terms, name) != getattr(before, name)]
        goal.terms = terms
        goal.revision += 1
        if by != SYSTEM:
            goal.person_revision += 1
        goal.state, goal.missed_at, goal.early, goal.retracted = "active", None, False, False
        goal.dispute = goal.disputed_at = goal.met_at = None
        self._tell_terms(
            "GoalRevised",
            goal,
            now,
            changed=changed,
            eased=by != SYSTEM and eased(terms, before),
            revised_by=by,
            agreed_by=agreed_by,
            proposal_id=proposal,
        )
        self._weigh(goal, now)

    def _proposed(self, goal: Goal, proposal: Proposal, *, eases: bool, now: datetime) -> None:
        self._tell(
            "RevisionProposed",
            goal,
            now,
            proposal_id=proposal.name,
            revision=proposal.revision,
            proposed_by=proposal.by,
            waits_for=proposal.waits_for,
            eased=eases,
            proposed_at=now,
        )

    def _declined(self, goal: Goal, proposal: Proposal, by: str, now: datetime) -> None:
        proposal.open = False
        if goal.state == "proposed":
            goal.state = "declined"
        self._tell("RevisionDeclined", goal, now, proposal_id=proposal.name, declined_by=by, declined_at=now)

    def _met(self, goal: Goal, met_at: datetime, now: datetime) -> None:
        goal.state, goal.met_at = "met", met_at
        days_early = (goal.due_at - met_at) / instants.DAY
        self._tell_owned("GoalMet", goal, now, met_at=met_at, due_at=goal.due_at, days_early=days_early)

    def _missed(self, goal: Goal, known: Iterable[CheckIn], now: datetime) -> None:
        at = min(goal.due_at, now)
        known = list(known)
        goal.state, goal.missed_at, goal.early, goal.retracted = "missed", now, now < goal.due_at, False
        reported = [each.occurred_at for each in known if each.occurred_at <= at and not each.said]
        self._tell_owned(
            "GoalMissed",
            goal,
            now,
            due_at=goal.due_at,
            missed_at=now,
            fraction=fraction_at(known, goal.terms.measure, at),
            last_check_in_at=max(reported, default=None),
        )

    def _retracted(self, goal: Goal, because: str, now: datetime) -> None:
        goal.retracted = True
        if goal.dispute == "open":
            goal.dispute = "upheld" if because == "dispute_upheld" else None
        self._tell_owned(
            "GoalMissRetracted",
            goal,
            now,
            due_at=goal.due_at,
            missed_at=goal.missed_at,
            retracted_at=now,
            because=because,
        )

    def _dropped(self, goal: Goal, now: datetime) -> None:
        goal.state = "dropped"
        self._tell_owned("GoalDropped", goal, now, dropped_at=now)

    # -- telling

    def role_of(self, person: str) -> str:
        return next(role for role, who in self.people.items() if who == person)

    def _tell_terms(self, type_: str, goal: Goal, now: datetime, **data: Any) -> None:
        terms = goal.terms
        self._tell_owned(
            type_,
            goal,
            now,
            counterpart_id=goal.counterpart,
            title=terms.title,
            measure=measure_told(terms.measure),
            deadline={
                "date": terms.deadline.day.isoformat(),
                "time_zone": terms.deadline.zone,
                "cutoff": terms.deadline.cutoff,
            },
            due_at=goal.due_at,
            check_in_every_days=terms.every,
            **data,
        )

    def _tell_owned(self, type_: str, goal: Goal, now: datetime, **data: Any) -> None:
        self._tell(
            type_, goal, now, owner_id=goal.owner, owner_role=goal.role, revision=goal.revision, **data
        )

    def _tell(self, type_: str, goal: Goal, now: datetime, **data: Any) -> None:
        self._say_of(f"goal/{goal.name}", type_, now, goal_id=goal.name, **data)

    def _say_of(self, subject: str, type_: str, now: datetime, **data: Any) -> None:
        kept = {name: value for name, value in data.items() if value is not None}
        self.told.append(Told(subject, type_, now, kept))
