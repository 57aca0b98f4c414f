"""The pure rules of goals and checkins behind the model's interface: as the services, less Kafka and MongoDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from services.checkins.domain import cadence, known, privacy
from services.checkins.domain import check_in as check_ins
from services.checkins.domain.watermark import stored_until, watermarks
from services.goals.domain import deadline as deadlines
from services.goals.domain import dispute as disputes
from services.goals.domain import goal as g
from services.goals.domain import mentorship as m
from services.goals.domain import outcome as outcomes
from services.goals.domain import pause as pauses
from services.goals.domain import revision as revisions
from services.goals.domain.announce import goal_event, mentorship_event
from services.goals.domain.evidence import CheckIn as Evidence
from services.goals.domain.evidence import fraction_now, track
from services.goals.domain.progress import Measure, Progress
from services.goals.domain.rules import Rules
from services.goals.domain.verdict import weigh
from shared import events as contract
from shared.errors import NotFound, Refused
from tests.model import steps
from tests.model.steps import Refusal, Step, Told

RULES = Rules()
LAPSE_GRACE = timedelta(seconds=60)
WRITE_TIMEOUT = timedelta(seconds=5)
COORDINATOR = "coordinator"
COMMON = {"org_id": "org-1", "program_id": "program-1", "mentorship_id": "mentorship-1"}


@dataclass(frozen=True)
class Published:
    """An event of the contract, and when it was recorded."""

    event: contract.Event
    time: datetime


class Domain:
    """One mentorship in both services.

    `evidence` is what goals has taken in, by goal. `news` are the goals topic's events that checkins has not taken
    in yet.
    """

    def __init__(self, people: dict[str, str], now: datetime) -> None:
        self.mentorship = m.Mentorship(
            org_id=COMMON["org_id"],
            program_id=COMMON["program_id"],
            mentorship_id=COMMON["mentorship_id"],
            mentor_id=people["mentor"],
            mentee_id=people["mentee"],
            facts=m.Facts(
                leader_id=people.get("leader"),
                coordinator_id=COORDINATOR,
                time_zone="UTC",
                check_in_every_days=7,
            ),
            started_at=now,
        )
        self.goals: dict[str, g.Goal] = {}
        self.evidence: dict[str, list[Evidence]] = {}
        self.reported: dict[str, check_ins.CheckIn] = {}
        self.news: list[tuple[contract.Event, datetime]] = []
        self.published: list[Published] = []
        self.told: list[Told] = []
        self._known_mentorship: known.Mentorship | None = None
        self._known_goals: dict[str, known.Goal] = {}
        self._lapsed: dict[str, list[cadence.Period]] = {}
        self._turned(m.Started(at=now))
        self.told.clear()
        self.hear()

    # -- what people do

    def take(self, step: Step, now: datetime) -> list[Told]:
        """What a step brings about at once; raises `Refusal`."""
        before = len(self.told)
        with _refusals():
            match step:
                case steps.SetGoal():
                    self._set(step, now)
                case steps.Revise():
                    self._revise(step, now)
                case steps.Answer():
                    self._answer(step, now)
                case steps.Say():
                    self._say(step, now)
                case steps.Dispute():
                    goal = self.goals[step.goal]
                    self._happened(
                        goal,
                        disputes.dispute(
                            goal, by=step.by, occurred_at=step.occurred_at, reason="it was done", now=now
                        ),
                    )
                case steps.Rule():
                    goal = self.goals[step.goal]
                    rule = disputes.uphold if step.upheld else disputes.reject
                    self._happened(goal, rule(goal, by=step.by, now=now))
                case steps.Log():
                    self._log(step, now)
                case steps.Acknowledge():
                    self._acknowledge(step, now)
                case steps.Turn():
                    self._turn(step, now)
        return self.told[before:]

    def _set(self, step: steps.SetGoal, now: datetime) -> None:
        terms = _terms(step.terms)
        deadlines.require_ahead(terms.deadline, now)
        command = g.SetGoal(
            goal_id=step.goal,
            proposal_id=step.proposal,
            by=step.by,
            owner_id=step.owner,
            terms=terms,
            at=now,
        )
        goal, facts = g.set_goal(self.mentorship, command)
        self.evidence[goal.goal_id] = []
        self._happened(goal, facts)

    def _revise(self, step: steps.Revise, now: datetime) -> None:
        goal = self.goals[step.goal]
        changes = _changes(step)
        if changes.deadline is not None:
            deadlines.require_ahead(changes.deadline, now)
        command = revisions.Revise(
            by=step.by, changes=changes, reason=None, proposal_id=step.proposal, at=now
        )
        facts = revisions.revise(goal, self.mentorship, command, self.evidence[goal.goal_id], rules=RULES)
        self._happened(goal, facts)

    def _answer(self, step: steps.Answer, now: datetime) -> None:
        goal = self.goals[step.goal]
        if step.accepts:
            facts = revisions.accept(
                goal,
                self.mentorship,
                step.proposal,
                self.evidence[goal.goal_id],
                by=step.by,
                now=now,
                rules=RULES,
            )
        else:
            facts = revisions.decline(goal, self.mentorship, step.proposal, by=step.by, now=now)
        self._happened(goal, facts)

    def _say(self, step: steps.Say, now: datetime) -> None:
        goal, known_of_it = self.goals[step.goal], self.evidence[step.goal]
        if step.outcome == "dropped":
            facts = outcomes.drop(goal, self.mentorship, by=step.by, note=None, now=now, grace=RULES.grace)
        elif step.outcome == "missed":
            facts = outcomes.say_missed(
                goal, self.mentorship, known_of_it, by=step.by, note=None, now=now, grace=RULES.grace
            )
        else:
            if step.occurred_at is not None:
                outcomes.require_reportable(step.occurred_at, now, RULES.backdate)
            said, facts = outcomes.say_met(
                goal,
                self.mentorship,
                known_of_it,
                id=step.check_in,
                by=step.by,
                occurred_at=step.occurred_at or now,
                note=None,
                now=now,
                rules=RULES,
            )
            known_of_it.append(said)
        self._happened(goal, facts)

    def _log(self, step: steps.Log, now: datetime) -> None:
        mentorship = self._known_mentorship
        goal = self._known_goals.get(step.goal) if step.goal is not None else None
        if mentorship is None or (step.goal is not None and goal is None):
            raise NotFound(check_ins.NO_GOAL)
        command = check_ins.LogCheckIn(
            mentorship_id=COMMON["mentorship_id"],
            goal_id=step.goal,
            occurred_at=step.occurred_at,
            progress=_reported(step.progress) if step.progress is not None else None,
            confidence=step.confidence,
            realistic=step.realistic,
            attainable=step.attainable,
            sensitive=step.sensitive,
        )
        check_in, events = check_ins.log(
            command,
            step.by,
            mentorship,
            goal,
            occurred_at=check_ins.occurred(command, now, RULES.backdate),
            now=now,
            checkin_id=step.check_in,
        )
        self.reported[step.check_in] = check_in
        self._tell(events, now)

    def _acknowledge(self, step: steps.Acknowledge, now: datetime) -> None:
        check_in = self.reported[step.check_in]
        reader = privacy.Reader(step.by, in_person=True, participates=True, coordinates=False)
        if not privacy.exists_for(check_in, reader, participant=True):
            raise NotFound(check_ins.NO_CHECK_IN)
        after, events = check_ins.acknowledge(check_in, self._known_mentorship, step.by, None, now)
        self.reported[step.check_in] = after
        self._tell(events, now)

    def _turn(self, step: steps.Turn, now: datetime) -> None:
        turns: dict[str, Callable[[m.Mentorship, datetime], list[m.Fact]]] = {
            "paused": m.pause,
            "resumed": m.resume,
            "ended": m.end,
        }
        before = self.mentorship
        for fact in turns[step.to](before, now):
            self._turned(fact)
        for goal in list(self.goals.values()):
            if step.to == "resumed":
                assert before.paused_at is not None
                evidence = self.evidence[goal.goal_id]
                self._happened(
                    goal, pauses.resume(goal, before.paused_at, evidence, grace=RULES.grace, now=now)
                )
            elif step.to == "ended":
                self._happened(goal, pauses.end(goal, now))

    # -- what comes to be known

    def reaches_goals(self, name: str, now: datetime) -> list[Told]:
        """A check-in is taken in by goals, perhaps again."""
        before = len(self.told)
        check_in = self.reported[name]
        if check_in.goal_id is not None and not check_in.sensitive:
            progress = check_in.progress
            self.evidence[check_in.goal_id].append(
                Evidence(
                    id=name,
                    author_id=check_in.author_id,
                    occurred_at=check_in.occurred_at,
                    logged_at=check_in.logged_at,
                    progress=None
                    if progress is None
                    else Progress(
                        value=progress.value,
                        milestones=None if progress.milestones is None else tuple(progress.milestones),
                        done=progress.done,
                    ),
                )
            )
            self._weigh(check_in.goal_id, now)
        return self.told[before:]

    def notice_reaches_goals(self, name: str, by: str, now: datetime) -> list[Told]:
        """An acknowledgement is taken in by goals."""
        before = len(self.told)
        goal_id = self.reported[name].goal_id or ""
        if by == self.goals[goal_id].counterpart_id:
            self.evidence[goal_id] = [
                replace(each, acknowledged=True) if each.id == name else each
                for each in self.evidence[goal_id]
            ]
        self._weigh(goal_id, now)
        return self.told[before:]

    def _weigh(self, goal_id: str, now: datetime) -> None:
        goal, evidence = self.goals[goal_id], self.evidence[goal_id]
        facts = weigh(goal, evidence, grace=RULES.grace, now=now, mentorship=self.mentorship)
        self._happened(goal, facts)

    def hear(self) -> None:
        """Checkins takes in the oldest event of the goals topic that it has not taken in yet."""
        event, recorded = self.news.pop(0)
        if isinstance(event, known.MentorshipEvent):
            self._known_mentorship = known.mentorship_after(self._known_mentorship, event, recorded)
        elif isinstance(event, known.GoalEvent):
            after = known.goal_after(self._known_goals.get(event.goal_id), event, recorded)
            if after is not None:
                self._known_goals[event.goal_id] = after

    # -- what time brings

    def time_passes(self, now: datetime, oldest_unpublished: datetime | None) -> list[Told]:
        """Decide what is due, as far as the watermark goes."""
        before = len(self.told)
        oldest = {} if oldest_unpublished is None else {0: oldest_unpublished}
        up_to = watermarks(stored_until(now, None, WRITE_TIMEOUT), oldest, 1)[0]
        for goal in list(self.goals.values()):
            decide_at = pauses.decision_at(goal, self.mentorship, RULES.grace)
            if decide_at is not None and decide_at <= min(up_to, now):
                evidence = self.evidence[goal.goal_id]
                self._happened(
                    goal, pauses.settle(goal, self.mentorship, evidence, grace=RULES.grace, now=now)
                )
        return self.told[before:]

    def lapse(self, goal: str, now: datetime, past: datetime) -> list[cadence.Period]:
        """Decide the lapses of a goal up to an instant that is past, once all news is heard; all there are so far."""
        found = self._lapsed.setdefault(goal, [])
        heard = self._known_goals.get(goal)
        if heard is None or self._known_mentorship is None:
            return found
        facts = (*heard.facts, *self._known_mentorship.facts)
        logged = [each.logged_at for each in self.reported.values() if each.goal_id == goal]
        while True:
            period = cadence.next_period(facts, logged, found[-1] if found else None, LAPSE_GRACE)
            if period is None or period.expected_by + LAPSE_GRACE > past:
                return found
            found.append(period)
            assert heard.owner_role is not None
            lapsed = contract.CheckInLapsed(
                **COMMON,
                goal_id=goal,
                owner_id=heard.owner_id,
                owner_role=heard.owner_role,
                expected_by=period.expected_by,
                period=period.period.isoformat(),
            )
            self._tell([lapsed], now)

    def fraction(self, goal: str, now: datetime) -> float:
        """A goal's progress, as a list of goals tells it."""
        return fraction_now(track(self.evidence[goal], self.goals[goal].terms.measure, now), now)

    # -- inside

    def _happened(self, goal: g.Goal, facts: Sequence[g.Fact]) -> None:
        for fact in facts:
            goal = g.evolve(goal, fact)
            event = goal_event(goal, fact)
            if event is not None:
                self._tell([event], fact.at)
        self.goals[goal.goal_id] = goal

    def _turned(self, fact: m.Fact) -> None:
        self.mentorship = m.evolve(self.mentorship, fact)
        self._tell([mentorship_event(self.mentorship, fact)], fact.at)

    def _tell(self, events: Sequence[contract.Event], now: datetime) -> None:
        for event in events:
            name = type(event).__name__
            self.published.append(Published(event, now))
            if contract.topic_of(name) == "goals":
                self.news.append((event, now))
            data = cast("dict[str, Any]", msgspec.to_builtins(event, builtin_types=(datetime,)))
            subject = contract.subject_of(event).removesuffix(f"/{COMMON['mentorship_id']}")
            told = {key: value for key, value in data.items() if key not in COMMON}
            self.told.append(Told(subject, name, now, told))


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise Refusal(refused.status) from refused


def _terms(terms: steps.Terms) -> g.Terms:
    return g.Terms(
        title=terms.title,
        measure=_measure(terms.measure),
        deadline=_deadline(terms.deadline),
        check_in_every_days=terms.every,
    )


def _measure(measure: steps.Measure) -> Measure:
    milestones = measure.milestones if measure.kind == "milestones" else None
    return Measure(kind=measure.kind, baseline=measure.start, target=measure.target, milestones=milestones)


def _deadline(deadline: steps.Deadline) -> deadlines.Deadline:
    return deadlines.Deadline(date=deadline.day, time_zone=deadline.zone, cutoff=deadline.cutoff)


def _changes(step: steps.Revise) -> g.Changes:
    wanted: dict[g.Change, Any] = {
        "title": step.title,
        "measure": step.measure,
        "deadline": step.deadline,
        "check_in_every_days": step.every,
    }
    return g.Changes(
        names=tuple(name for name, value in wanted.items() if value is not None),
        title=step.title,
        measure=_measure(step.measure) if step.measure is not None else None,
        deadline=_deadline(step.deadline) if step.deadline is not None else None,
        check_in_every_days=step.every,
    )


def _reported(progress: steps.Progress) -> contract.Progress:
    if progress.kind == "number":
        return contract.Progress(value=progress.number)
    if progress.kind == "milestones":
        return contract.Progress(milestones=list(progress.reached))
    return contract.Progress(done=progress.done)
