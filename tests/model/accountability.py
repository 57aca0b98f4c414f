"""Rules 5, 6, 7 and 9: what people may do, and what it brings about."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from tests.model import instants
from tests.model.decisions import Decisions, Goal, Proposal
from tests.model.evidence import CheckIn, progress_told, whole
from tests.model.steps import (
    ROLES,
    SYSTEM,
    Acknowledge,
    Answer,
    Dispute,
    Log,
    Refusal,
    Revise,
    Rule,
    Say,
    SetGoal,
    Step,
    Told,
    Turn,
)
from tests.model.terms import (
    EASE_WORKDAYS,
    asked,
    due_at,
    eased,
    later,
    require_ahead,
    require_reportable,
    started_days,
)

DISPUTABLE = timedelta(days=14)


class Accountability(Decisions):
    """The model: every step that people can take."""

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
        self._require(self.state != "ended" or not self.end_is_heard, 409)
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
            progress=progress_told(step.progress, goal.terms.measure) if step.progress and goal else None,
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

    def _require_revisable(self, goal: Goal, now: datetime) -> None:
        self._require(self.state == "active", 409)
        self._require(goal.state in ("active", "missed"), 409)
        self._require(not self.is_being_decided(goal, now), 409)

    @staticmethod
    def _require(holds: bool, status: int) -> None:
        if not holds:
            raise Refusal(status)
