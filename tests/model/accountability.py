"""Rules 1 to 7 and 9: one mentorship, its goals and check-ins, as they have to be.

Nothing is kept that could be found out: whether a goal is missed, say, is asked of its story each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from tests.model import instants
from tests.model.steps import (
    ROLES,
    SYSTEM,
    Acknowledge,
    Answer,
    Deadline,
    Dispute,
    Log,
    Measure,
    Progress,
    Refusal,
    Revise,
    Rule,
    Say,
    SetGoal,
    Step,
    Terms,
    Told,
    Turn,
)

GRACE = timedelta(seconds=60)
AHEAD = timedelta(minutes=5)
BACKDATE = timedelta(days=7)
DISPUTABLE = timedelta(days=14)
EASE_WORKDAYS = 2


@dataclass
class CheckIn:
    """`said`: evidence that was no check-in but an outcome said. `noticed`: the counterpart's acknowledgement."""

    name: str
    author: str
    goal: str | None
    occurred_at: datetime
    logged_at: datetime
    progress: Progress | None
    sensitive: bool = False
    said: bool = False
    acknowledged_by: list[str] = field(default_factory=list)
    noticed: bool = False


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


class Accountability:
    """The model. `people` are by role; `told` are all events, in order."""

    def __init__(self, people: dict[str, str], now: datetime) -> None:
        self.people = people
        self.started_at = now
        self.state = "active"
        self.paused_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.goals: dict[str, Goal] = {}
        self.check_ins: dict[str, CheckIn] = {}
        self.told: list[Told] = []

    # -- what people do

    def take(self, step: Step, now: datetime) -> list[Told]:
        """What a step brings about at once; raises `Refusal`."""
        before = len(self.told)
        match step:
            case SetGoal():
                self._set(step, now)
            case Revise():
                self._revise(step, now)
            case Answer():
                self._answer(step, now)
            case Say():
                self._say(step, now)
            case Dispute():
                self._dispute(step, now)
            case Rule():
                self._rule(step, now)
            case Log():
                self._log(step, now)
            case Acknowledge():
                self._acknowledge(step, now)
            case Turn():
                self._turn(step, now)
        return self.told[before:]

    def _set(self, step: SetGoal, now: datetime) -> None:
        require_ahead(step.terms.deadline, now)
        self._require(self.state == "active", 409)
        role = next(role for role in ROLES if self.people.get(role) == step.owner)
        counterpart = self.people["mentor" if role == "mentee" else "mentee"]
        goal = Goal(step.goal, step.owner, counterpart, role, step.terms)
        self.goals[goal.name] = goal
        if step.by == step.owner:
            self._goal_set(goal, None, now)
        else:
            goal.proposals.append(Proposal(step.proposal, step.by, step.owner, 0, 0, None))
            self._proposed(goal, goal.proposals[-1], eases=False, now=now)

    def _goal_set(self, goal: Goal, proposal: str | None, now: datetime) -> None:
        goal.state, goal.revision, goal.person_revision = "active", 1, 1
        self._tell_terms("GoalSet", goal, now, proposal_id=proposal)

    def _revise(self, step: Revise, now: datetime) -> None:
        """Rule 6."""
        goal = self.goals[step.goal]
        if step.deadline is not None:
            require_ahead(step.deadline, now)
        self._require(step.by in (goal.owner, goal.counterpart), 403)
        self._require_revisable(goal, now)
        wanted = asked(step, goal.terms)
        if goal.state == "missed":
            self._require(step.deadline not in (None, goal.terms.deadline), 422)
        if wanted == goal.terms:
            return
        if step.by == goal.owner and goal.state == "active":
            horizon = replace(
                goal.terms.deadline, day=instants.workdays_before(goal.terms.deadline.day, EASE_WORKDAYS)
            )
            if not eased(wanted, goal.terms) or now < due_at(horizon):
                self._revised(goal, wanted, by=step.by, agreed_by=[], proposal=None, now=now)
                return
        waits_for = goal.counterpart if step.by == goal.owner else goal.owner
        proposal = Proposal(step.proposal, step.by, waits_for, goal.revision, goal.person_revision, step)
        goal.proposals.append(proposal)
        self._proposed(goal, proposal, eases=eased(wanted, goal.terms), now=now)

    def _answer(self, step: Answer, now: datetime) -> None:
        goal = self.goals[step.goal]
        proposal = next((each for each in goal.proposals if each.name == step.proposal), None)
        if proposal is None:
            raise Refusal(404)
        if not step.accepts:
            self._require(step.by in (proposal.by, proposal.waits_for), 403)
            self._require(proposal.open and self.state != "ended", 409)
            self._declined(goal, proposal, step.by, now)
            return
        self._require(step.by == proposal.waits_for, 403)
        self._require(proposal.open, 409)
        if proposal.asks is None:
            self._require(self.state == "active" and goal.due_at > now, 409)
            proposal.open = False
            self._goal_set(goal, proposal.name, now)
            return
        self._require_revisable(goal, now)
        self._require(goal.person_revision == proposal.person_revision, 409)
        asks = proposal.asks
        self._require(goal.state == "active" or asks.deadline is not None, 409)
        self._require(asks.deadline is None or due_at(asks.deadline) > now, 409)
        proposal.open = False
        self._revised(
            goal,
            asked(asks, goal.terms),
            by=proposal.by,
            agreed_by=[step.by],
            proposal=proposal.name,
            now=now,
        )

    def _say(self, step: Say, now: datetime) -> None:
        """Rule 9."""
        goal = self.goals[step.goal]
        if step.outcome == "met":
            self._say_met(goal, step, now)
            return
        self._require(step.by == goal.owner, 403)
        self._require(self.state == "active" if step.outcome == "missed" else self.state != "ended", 409)
        self._require(goal.state == "active" and not self.is_being_decided(goal, now), 409)
        if step.outcome == "dropped":
            self._dropped(goal, now)
        else:
            self._missed(goal, goal.known, now)

    def _say_met(self, goal: Goal, step: Say, now: datetime) -> None:
        occurred_at = step.occurred_at or now
        require_reportable(occurred_at, now)
        self._require(step.by in (goal.owner, goal.counterpart), 403)
        if goal.state == "missed":
            self._require(step.by == goal.counterpart, 403)
        clears_a_late_one = (
            goal.state == "met"
            and goal.miss_stands
            and step.by == goal.counterpart
            and occurred_at < goal.due_at
        )
        self._require(self.state != "ended", 409)
        self._require(goal.state in ("active", "missed") or clears_a_late_one, 409)
        said = CheckIn(
            step.check_in, step.by, goal.name, occurred_at, now, whole(goal.terms.measure), said=True
        )
        goal.known.append(said)
        self._weigh(goal, now)

    def _dispute(self, step: Dispute, now: datetime) -> None:
        """Rule 5."""
        goal = self.goals[step.goal]
        self._require(step.by == goal.owner, 403)
        self._require(goal.miss_stands and goal.dispute is None, 409)
        assert goal.missed_at is not None
        self._require(now <= goal.missed_at + DISPUTABLE, 409)
        self._require(step.occurred_at < goal.due_at, 422)
        goal.dispute, goal.disputed_at = "open", step.occurred_at
        self._tell("MissDisputed", goal, now, revision=goal.revision, by=step.by, at=now)

    def _rule(self, step: Rule, now: datetime) -> None:
        goal = self.goals[step.goal]
        self._require(step.by == goal.counterpart, 403)
        self._require(goal.dispute == "open", 409)
        if not step.upheld:
            goal.dispute = "rejected"
            self._tell("DisputeRejected", goal, now, revision=goal.revision, by=step.by, at=now)
            return
        assert goal.disputed_at is not None
        self._retracted(goal, "dispute_upheld", now)
        self._met(goal, goal.disputed_at, now)

    def _log(self, step: Log, now: datetime) -> None:
        occurred_at = step.occurred_at or now
        require_reportable(occurred_at, now)
        goal = self.goals[step.goal] if step.goal is not None else None
        if goal is not None:
            self._require(step.by in (goal.owner, goal.counterpart), 403)
        self._require(self.state != "ended", 409)
        if goal is not None:
            self._require(goal.state not in ("proposed", "declined", "dropped"), 409)
            if step.progress is not None:
                self._require(step.progress.kind == goal.terms.measure.kind, 422)
                self._require(set(step.progress.reached) <= set(goal.terms.measure.milestones), 422)
        check_in = CheckIn(
            step.check_in, step.by, step.goal, occurred_at, now, step.progress, sensitive=step.sensitive
        )
        self.check_ins[check_in.name] = check_in
        subject = f"checkin/{check_in.name}"
        if step.sensitive:
            self._say_of(
                subject, "HelpRequested", now,
                checkin_id=step.check_in, goal_id=step.goal, author_id=step.by, route_to="coordinator", sensitive=True,
            )  # fmt: skip
            return
        self._say_of(
            subject,
            "CheckInLogged",
            now,
            checkin_id=step.check_in,
            goal_id=step.goal,
            author_id=step.by,
            author_role=self.role_of(step.by),
            occurred_at=occurred_at,
            logged_at=now,
            progress=_progress(step.progress, goal.terms.measure) if step.progress and goal else None,
            confidence=step.confidence,
            realistic=step.realistic,
            attainable=step.attainable,
        )

    def _acknowledge(self, step: Acknowledge, now: datetime) -> None:
        check_in = self.check_ins[step.check_in]
        concerned = [self.people["mentor"], self.people["mentee"]]
        if check_in.goal is not None:
            goal = self.goals[check_in.goal]
            concerned = [goal.owner, goal.counterpart]
        self._require(not check_in.sensitive, 403 if step.by == check_in.author else 404)
        self._require(step.by in concerned and step.by != check_in.author, 403)
        self._require(step.by not in check_in.acknowledged_by, 409)
        check_in.acknowledged_by.append(step.by)
        self._say_of(
            f"checkin/{check_in.name}", "CheckInAcknowledged", now,
            checkin_id=check_in.name, goal_id=check_in.goal, acknowledged_by=step.by,
            acknowledger_role=self.role_of(step.by), acknowledged_at=now,
        )  # fmt: skip

    def _turn(self, step: Turn, now: datetime) -> None:
        """Rule 7."""
        self._require(self.state != "ended", 409)
        if step.to == "paused":
            self._require(self.state == "active", 409)
            self.state, self.paused_at = "paused", now
            self._say_of("mentorship", "MentorshipPaused", now, at=now)
        elif step.to == "resumed":
            self._require(self.state == "paused", 409)
            assert self.paused_at is not None
            paused_at, self.state, self.paused_at = self.paused_at, "active", None
            self._say_of("mentorship", "MentorshipResumed", now, at=now)
            days = started_days(paused_at, now)
            for goal in self.goals.values() if days else ():
                self._move(goal, days, paused_at, now)
        else:
            self.state, self.ended_at = "ended", now
            self._say_of("mentorship", "MentorshipEnded", now, at=now)
            for goal in self.goals.values():
                for proposal in goal.proposals:
                    if proposal.open:
                        self._declined(goal, proposal, SYSTEM, now)

    def _move(self, goal: Goal, days: int, after: datetime, now: datetime) -> None:
        for proposal in goal.proposals:
            asks = proposal.asks
            if proposal.open and asks is not None and asks.deadline and due_at(asks.deadline) > after:
                proposal.asks = replace(asks, deadline=later(asks.deadline, days))
        if goal.due_at <= after:
            return
        moved = replace(goal.terms, deadline=later(goal.terms.deadline, days))
        if goal.state == "proposed":
            goal.terms = moved
        elif goal.state == "active":
            self._revised(goal, moved, by=SYSTEM, agreed_by=[], proposal=None, now=now)

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
            self._missed(goal, [each for each in goal.known if self._before_the_end(each)], now)
            self._weigh(goal, now)

    def _weigh(self, goal: Goal, now: datetime) -> None:
        """Rules 2 to 4: what follows from all evidence that is known."""
        evidence = [
            each
            for each in goal.known
            if reaches(each.progress, goal.terms.measure) and self._before_the_end(each)
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

    def _before_the_end(self, check_in: CheckIn) -> bool:
        return self.ended_at is None or check_in.logged_at < self.ended_at

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
            measure=_measure(terms.measure),
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

    def _require_revisable(self, goal: Goal, now: datetime) -> None:
        self._require(self.state == "active", 409)
        self._require(goal.state in ("active", "missed"), 409)
        self._require(not self.is_being_decided(goal, now), 409)

    @staticmethod
    def _require(holds: bool, status: int) -> None:
        if not holds:
            raise Refusal(status)


# --- terms


def due_at(deadline: Deadline) -> datetime:
    return instants.due_at(deadline.day, deadline.zone, deadline.cutoff)


def later(deadline: Deadline, days: int) -> Deadline:
    return replace(deadline, day=deadline.day + days * instants.DAY)


def started_days(start: datetime, end: datetime) -> int:
    """Every started 24 h are a day."""
    days = 0
    while start + days * instants.DAY < end:
        days += 1
    return days


def require_ahead(deadline: Deadline, now: datetime) -> None:
    leap_day = (now.month, now.day) == (2, 29)
    farthest = now.replace(year=now.year + 10, day=28 if leap_day else now.day)
    if not now < due_at(deadline) <= farthest:
        raise Refusal(422)


def require_reportable(occurred_at: datetime, now: datetime) -> None:
    if not now - BACKDATE <= occurred_at <= now + AHEAD:
        raise Refusal(422)


def asked(step: Revise, terms: Terms) -> Terms:
    """The terms as somebody wants them."""
    wanted = {name: getattr(step, name) for name in ("title", "measure", "deadline", "every")}
    return replace(terms, **{name: value for name, value in wanted.items() if value is not None})


def eased(new: Terms, old: Terms) -> bool:
    """Rule 6: a later `due_at`, a target nearer to the old baseline, fewer milestones, or another kind."""
    if due_at(new.deadline) > due_at(old.deadline) or new.measure.kind != old.measure.kind:
        return True
    if new.measure.kind == "number":
        assert new.measure.target is not None
        assert old.measure.target is not None
        start = old.measure.start or 0.0
        return abs(new.measure.target - start) < abs(old.measure.target - start)
    return len(new.measure.milestones) < len(old.measure.milestones)


# --- progress and evidence


def fraction(progress: Progress, measure: Measure) -> float:
    """Rule 1, of progress that fits the measure."""
    if measure.kind == "done":
        return 1.0 if progress.done else 0.0
    if measure.kind == "milestones":
        return len(set(progress.reached) & set(measure.milestones)) / len(measure.milestones)
    start, target = measure.start or 0.0, measure.target
    assert target is not None
    return max(0.0, min(1.0, (progress.number - start) / (target - start)))


def reaches(progress: Progress | None, measure: Measure) -> bool:
    return progress is not None and progress.kind == measure.kind and fraction(progress, measure) == 1.0


def whole(measure: Measure) -> Progress:
    """What reaches the target, as saying that a goal is met does."""
    return Progress(measure.kind, number=measure.target or 0.0, reached=measure.milestones)


def fraction_at(known: Iterable[CheckIn], measure: Measure, at: datetime) -> float:
    """Rule 1: progress at an instant is that of the latest check-in up to it that fits."""
    latest: CheckIn | None = None
    for each in known:
        if each.progress is None or each.progress.kind != measure.kind or each.occurred_at > at:
            continue
        if latest is None or (each.occurred_at, each.logged_at, each.name) > (
            latest.occurred_at,
            latest.logged_at,
            latest.name,
        ):
            latest = each
    return fraction(latest.progress, measure) if latest is not None and latest.progress is not None else 0.0


def is_timely(evidence: CheckIn, due: datetime) -> bool:
    """Rule 2."""
    return evidence.occurred_at < due and evidence.logged_at < due + GRACE


def _measure(measure: Measure) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": measure.kind, "baseline": measure.start, "target": measure.target}
    if measure.kind == "milestones":
        told["milestones"] = list(measure.milestones)
    return {name: value for name, value in told.items() if value is not None}


def _progress(progress: Progress, measure: Measure) -> dict[str, Any]:
    if progress.kind == "number":
        return {"value": progress.number}
    if progress.kind == "milestones":
        return {"milestones": [name for name in measure.milestones if name in progress.reached]}
    return {"done": progress.done}
