"""The fold: events of the goals, check-ins and support topics, onto what is known and onto people's agendas.

A `Replica` is the part of the notifier's knowledge that a batch of events touches, in memory; `fold` changes it
event by event. The topics may come in any order: what is told of a goal that is not known yet waits with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from services.notifier.domain import causes, goal, mentorship
from services.notifier.domain.causes import Addressed, Happened
from services.notifier.domain.goal import Goal, Told, expected
from services.notifier.domain.mentorship import Mentorship
from services.notifier.domain.moments import time_of
from services.notifier.domain.person import UNKNOWN_ZONE, Person, Reminder
from shared import events as contract

_OF_MENTORSHIP = (
    contract.MentorshipStarted,
    contract.MentorshipPaused,
    contract.MentorshipResumed,
    contract.MentorshipEnded,
    contract.ExpectationsProposed,
    contract.ExpectationsAgreed,
)
OF_ALL_GOALS = (contract.MentorshipResumed, contract.MentorshipChanged, contract.ExpectationsAgreed)
"""What can put something on an agenda about any goal of a mentorship."""
_WITH_THEIR_GOAL = (contract.CheckInLogged, contract.CheckInLapsed, contract.HelpRequested)


@dataclass(slots=True)
class Replica:
    """What is known of mentorships and goals, and what a batch adds to it.

    Args:
        mentorships, goals: by id; of a mentorship of which a batch tells what concerns all its goals, all of them.
        addressed: reminders for agendas, in the order of their causes.
        acknowledged: (check-in, person).
        erased: (organization, person), and the instant of their erasure.
        changed_mentorships, changed_goals: ids of what is not as it was.
    """

    mentorships: dict[str, Mentorship] = field(default_factory=dict)
    goals: dict[str, Goal] = field(default_factory=dict)
    addressed: list[Addressed] = field(default_factory=list)
    acknowledged: set[tuple[str, str]] = field(default_factory=set)
    erased: dict[tuple[str, str], datetime] = field(default_factory=dict)
    changed_mentorships: set[str] = field(default_factory=set)
    changed_goals: set[str] = field(default_factory=set)

    def _zone(self, mentorship_id: str) -> str:
        known = self.mentorships.get(mentorship_id)
        return known.time_zone if known is not None else UNKNOWN_ZONE

    def _put_goal(self, known: Goal) -> None:
        self.goals[known.goal_id] = known
        self.changed_goals.add(known.goal_id)


def fold(replica: Replica, happened: Happened) -> None:
    """Take in one event. Events of one subject come in their order, each once."""
    event = happened.event
    if isinstance(event, contract.PersonErased):
        replica.erased[event.org_id, event.person_id] = event.at
    elif isinstance(event, contract.CheckInAcknowledged):
        replica.acknowledged.add((event.checkin_id, event.acknowledged_by))
    elif isinstance(event, _OF_MENTORSHIP):
        _fold_mentorship(replica, happened)
    else:
        if isinstance(event, contract.HelpRequested):
            replica.addressed.extend(causes.of_help(happened, replica._zone(event.mentorship_id)))
        if getattr(event, "goal_id", None) is not None:
            _fold_goal(replica, happened)


def _fold_mentorship(replica: Replica, happened: Happened) -> None:
    event = happened.event
    before = replica.mentorships.get(event.mentorship_id)
    # Per subject events come in order, so what is not known begins with this one.
    after = mentorship.begin(event) if before is None else mentorship.evolve(before, event)
    replica.mentorships[after.mentorship_id] = after
    replica.changed_mentorships.add(after.mentorship_id)
    replica.addressed.extend(causes.of_mentorship(happened, after))
    if before is None:
        return
    theirs = [known for known in replica.goals.values() if known.mentorship_id == after.mentorship_id]
    if after.escalates_to != before.escalates_to:
        for known in theirs:
            replica.addressed.extend(causes.of_escalation(happened, known, after))
    if after.resumed_at != before.resumed_at:
        for known in theirs:
            earlier, later = expected(known, before.resumed_at), expected(known, after.resumed_at)
            replica.addressed.extend(causes.of_cadence(happened, known, earlier, later, after.time_zone))


def _fold_goal(replica: Replica, happened: Happened) -> None:
    event = happened.event
    before = replica.goals.get(event.goal_id) or goal.unknown(event)
    if not before.known and isinstance(event, _WITH_THEIR_GOAL):
        told = Told(
            type=type(event).__name__, id=happened.id, at=happened.at, data=contract.to_document(event)
        )
        replica._put_goal(msgspec.structs.replace(before, waiting=(*before.waiting, told)))
        return
    after = goal.evolve(before, event, happened.at)
    replica._put_goal(after)
    if isinstance(event, contract.RevisionProposed):
        replica.addressed.extend(causes.of_proposal(happened, replica._zone(event.mentorship_id)))
    if not after.known:
        return
    around = replica.mentorships.get(event.mentorship_id)
    replica.addressed.extend(causes.of_goal(happened, before, after, around))
    if after.waiting:
        replica._put_goal(msgspec.structs.replace(after, waiting=()))
        for told in after.waiting:
            # Help was put on its agenda when it came; here it counts for the goal.
            _fold_goal(replica, Happened(contract.from_document(told.type, told.data), told.id, told.at))


# --- agendas


def put(person: Person, reminders: Iterable[Reminder]) -> Person:
    """The person with reminders on their agenda, each key once.

    One whose moment had passed when its cause arose is not said at all. A later cause of one that is there tells
    what holds by now: a check-in of the same date is expected by another instant where the deadline changed its zone.
    """
    known = {reminder.key: reminder for reminder in person.reminders}
    for reminder in reminders:
        passed = time_of(reminder.moment, person.rhythm_for(reminder)) < reminder.caused_at
        if not passed or reminder.key in known:
            known[reminder.key] = reminder
    return msgspec.structs.replace(person, reminders=tuple(known.values()))
