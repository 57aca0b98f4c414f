"""Histories: what might have happened in an organization, as events that keep the contract's promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from shared import events as contract

ORG = "org-1"
BEGIN = datetime(2026, 1, 1, 8, tzinfo=UTC)
ROLES = ("mentor", "mentee", "leader")


@dataclass(frozen=True)
class Happened:
    """An event with its envelope, as a fold receives it."""

    type: str
    id: str
    subject: str
    time: datetime
    data: Any


@dataclass
class History:
    """Events of an organization by topic, each subject's in sequence."""

    org_id: str = ORG
    events: dict[str, list[Happened]] = field(
        default_factory=lambda: {"goals": [], "checkins": [], "nudges": []}
    )

    def add(self, data: contract.Event, time: datetime, subject: str | None = None) -> None:
        """Record an event."""
        name = type(data).__name__
        topic = contract.topic_of(name)
        happened = Happened(
            name,
            f"{self.org_id}-{topic}-{len(self.events[topic])}",
            subject or contract.subject_of(data),
            time,
            data,
        )
        self.events[topic].append(happened)

    @property
    def all(self) -> list[Happened]:
        """Every event."""
        return [event for events in self.events.values() for event in events]


def random_history(rng: Random, org_id: str = ORG) -> History:
    """Some mentorships of two programs, their goals and check-ins, over about ten weeks."""
    history = History(org_id)
    for number in range(rng.randint(1, 7)):
        _mentorship(rng, history, number)
    for topic, events in history.events.items():
        # Across subjects nothing is promised: mix them, each kept in its own order.
        history.events[topic] = mixed(rng, events)
    return history


def mixed(rng: Random, events: Sequence[Happened]) -> list[Happened]:
    """The events in another order that keeps each subject's sequence."""
    queues: dict[str, list[Happened]] = {}
    for event in events:
        queues.setdefault(event.subject, []).append(event)
    drawn = []
    left = list(queues.values())
    while left:
        queue = rng.choice(left)
        drawn.append(queue.pop(0))
        if not queue:
            left.remove(queue)
    return drawn


def batches(rng: Random, events: Sequence[Happened]) -> list[list[Happened]]:
    """The events cut into batches at random."""
    cut, rest = [], list(events)
    while rest:
        size = rng.choice((1, 1, 2, 3, 10, 100))
        cut.append(rest[:size])
        rest = rest[size:]
    return cut


def _later(rng: Random, time: datetime, days: float = 6) -> datetime:
    return time + timedelta(minutes=rng.randint(0, int(days * 1440)))


def _mentorship(rng: Random, history: History, number: int) -> None:
    common: dict[str, Any] = {
        "org_id": history.org_id,
        "program_id": rng.choice(("program-1", "program-1", "program-2")),
        "mentorship_id": f"{history.org_id}-mentorship-{number}",
    }
    people: dict[str, str] = {
        "mentor": f"mentor-{rng.randint(0, 5)}",
        "mentee": f"mentee-{number}",
    }
    if rng.random() < 0.5:
        people["leader"] = f"leader-{rng.randint(0, 3)}"
    facts: dict[str, Any] = {"time_zone": "Europe/Berlin", "check_in_every_days": 7}
    time = _later(rng, BEGIN, 14)
    started = contract.MentorshipStarted(
        **common,
        **facts,
        mentor_id=people["mentor"],
        mentee_id=people["mentee"],
        leader_id=people.get("leader"),
    )
    history.add(started, time)
    for goal in range(rng.randint(0, 3)):
        _goal(rng, history, common, people, f"{history.org_id}-goal-{number}-{goal}", time)
    for report in range(rng.randint(0, 4)):
        _check_in(rng, history, common, people, None, f"{history.org_id}-checkin-{number}-{report}", time)
    while rng.random() < 0.4:
        time = _later(rng, time, 20)
        leader = rng.choice((None, "leader-1", "leader-2"))
        history.add(
            contract.MentorshipChanged(
                **common,
                **facts,
                mentor_id=people["mentor"],
                mentee_id=people["mentee"],
                leader_id=leader,
                changed=["leader_id"],
            ),
            time,
        )
    if rng.random() < 0.4:
        time = _later(rng, time, 20)
        history.add(contract.MentorshipEnded(**common, at=time), time)


def _goal(
    rng: Random,
    history: History,
    common: dict[str, Any],
    people: dict[str, str],
    goal_id: str,
    begin: datetime,
) -> None:
    role = rng.choice(list(people))
    owner: dict[str, Any] = {"goal_id": goal_id, "owner_id": people[role], "owner_role": role}
    time = _later(rng, begin, 20)
    due_at = time + timedelta(days=rng.randint(1, 25))
    terms: dict[str, Any] = {
        "counterpart_id": people["mentee" if role != "mentee" else "mentor"],
        "title": "Read seven papers",
        "measure": contract.Measure(kind="number", target=7.0),
        "deadline": contract.Deadline(date="2026-12-18", time_zone="Europe/Berlin"),
        "check_in_every_days": 7,
    }
    history.add(contract.GoalSet(**common, **owner, **terms, due_at=due_at, revision=1), time)
    revision, state, missed_at = 1, "active", None
    for _ in range(rng.randint(0, 7)):
        time = _later(rng, time)
        move = rng.choice(("revise", "met", "missed", "drop", "retract", "late", "check"))
        decided = {**common, **owner, "revision": revision}
        if move == "check":
            _check_in(rng, history, common, people, goal_id, f"checkin-{goal_id}-{rng.random()}", time)
            if rng.random() < 0.5:
                lapsed = contract.CheckInLapsed(**common, **owner, expected_by=time, period="2026-03-01")
                history.add(lapsed, _later(rng, time, 1))
        elif move == "revise" and state in ("active", "missed"):
            revision += 1
            state, due_at = "active", time + timedelta(days=rng.randint(1, 25))
            by = rng.choice((people[role], "system"))
            history.add(
                contract.GoalRevised(
                    **common,
                    **owner,
                    **terms,
                    due_at=due_at,
                    revision=revision,
                    changed=["deadline"],
                    eased=by != "system" and rng.random() < 0.5,
                    revised_by=by,
                    agreed_by=[],
                ),
                time,
            )
        elif move == "missed" and state == "active":
            missed_at = time if rng.random() < 0.3 else max(time, due_at)
            time = missed_at
            state = "missed"
            history.add(
                contract.GoalMissed(**decided, due_at=due_at, missed_at=missed_at, fraction=0.5), time
            )
        elif move == "drop" and state == "active":
            state = "dropped"
            history.add(contract.GoalDropped(**decided, dropped_at=time), time)
        elif (move == "met" and state == "active") or (move == "late" and state == "missed"):
            met_at = time - timedelta(hours=rng.randint(0, 200))
            met_at = min(met_at, due_at - timedelta(minutes=1)) if move == "met" else max(time, due_at)
            state = "met" if move == "met" else "met late"
            history.add(_met(decided, met_at, due_at), time)
        elif move == "retract" and state in ("missed", "met late"):
            assert missed_at is not None
            state = "met"
            history.add(
                contract.GoalMissRetracted(
                    **decided, due_at=due_at, missed_at=missed_at, retracted_at=time, because="late_evidence"
                ),
                time,
            )
            time = _later(rng, time, rng.choice((0, 2)))
            history.add(_met(decided, due_at - timedelta(hours=rng.randint(1, 150)), due_at), time)


def _met(decided: dict[str, Any], met_at: datetime, due_at: datetime) -> contract.GoalMet:
    days = (due_at - met_at) / timedelta(days=1)
    return contract.GoalMet(**decided, met_at=met_at, due_at=due_at, days_early=days)


def _check_in(
    rng: Random,
    history: History,
    common: dict[str, Any],
    people: dict[str, str],
    goal_id: str | None,
    checkin_id: str,
    begin: datetime,
) -> None:
    logged_at = _later(rng, begin, 10)
    role: Any = rng.choice(list(people))
    history.add(
        contract.CheckInLogged(
            **common,
            checkin_id=checkin_id,
            goal_id=goal_id,
            author_id=people[role],
            author_role=role,
            occurred_at=logged_at - timedelta(hours=rng.choice((0, 1, 30, 160))),
            logged_at=logged_at,
            confidence=rng.choice((None, 0, 5, 10)),
            realistic=rng.choice((None, True, False)),
            attainable=rng.choice((None, True, False)),
        ),
        logged_at,
    )
    if rng.random() < 0.5:
        at = _later(rng, logged_at, 3)
        other: Any = rng.choice([*people, None])
        history.add(
            contract.CheckInAcknowledged(
                **common,
                checkin_id=checkin_id,
                goal_id=goal_id,
                acknowledged_by=people[other] if other else "coordinator-1",
                acknowledger_role=other,
                acknowledged_at=at,
            ),
            at,
        )
