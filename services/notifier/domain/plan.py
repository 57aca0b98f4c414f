"""What to do now about what is due to a person: one message, and what is not sent, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import msgspec

from services.notifier.domain.kinds import KINDS
from services.notifier.domain.moments import due_time
from services.notifier.domain.person import Attempt, Person, Reminder
from services.notifier.domain.reasons import Case, Facts, World, first_reason, goes_stale_at
from services.notifier.domain.rhythm import MIDNIGHT

PATIENCE = timedelta(seconds=5)
"""How soon to look again at a reminder whose mentorship or goal has not been told of yet."""
SPENT_KEPT = timedelta(days=14)
"""For how long it is remembered how many messages a day had: longer than anything can wait."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class NotSent:
    """A reminder that is not sent, the first reason, and the facts behind it."""

    reminder: Reminder
    reason: str
    because: Facts


@dataclass(slots=True)
class Plan:
    """What to do about a person now.

    Args:
        told: goes into one message.
        not_sent: goes to the ledger alone.
        dropped: leaves the agenda without a word: said before, or never meant for this person.
        unknown: waits until its mentorship has been told of.
    """

    told: list[Reminder] = field(default_factory=list)
    not_sent: list[NotSent] = field(default_factory=list)
    dropped: list[Reminder] = field(default_factory=list)
    unknown: list[Reminder] = field(default_factory=list)


def decided_at(person: Person, reminder: Reminder, now: datetime | None = None) -> datetime:
    """The first instant, from `now` on if given, at which the reminder can be decided.

    Quiet hours, days off, the daily message and a spent budget postpone; they decide nothing. A request for help
    waits for quiet hours and days off alone. For a person who cannot be written to at all there is nothing to
    wait for.
    """
    rhythm = person.rhythm_for(reminder)
    due = due_time(reminder.moment, rhythm)
    recipient = person.recipient
    urgent = KINDS[reminder.kind].urgent
    if recipient is None or (urgent and recipient.help_any_time):
        return due
    chance = rhythm.awake if urgent else rhythm.opportunity
    found = chance(due)
    if now is not None and found < now:
        # Late, after an outage: now, unless now is a time of rest.
        found = now if not rhythm.rests(now) else chance(now)
    if urgent:
        return found
    while person.is_spent(rhythm.day(found)):
        found = rhythm.opportunity(rhythm.at(rhythm.day(found) + _DAY, MIDNIGHT))
    return found


def next_at(person: Person, now: datetime | None = None) -> datetime | None:
    """When the person's agenda has to be looked at next; None: it is empty."""
    return min((decided_at(person, reminder, now) for reminder in person.reminders), default=None)


def due_now(person: Person, now: datetime, horizon: datetime) -> list[Reminder]:
    """What can be decided now, events being known up to `horizon`; the oldest first.

    While a message's fate is not known, it alone: to send more under its id would be to lose it to a mail
    program that knows the id already.
    """
    found = [
        (decided_at(person, reminder, now), reminder)
        for reminder in person.reminders
        if person.attempt is None or reminder.key in person.attempt.keys
    ]
    due = [
        (at, reminder)
        for at, reminder in found
        if at <= now and due_time(reminder.moment, person.rhythm_for(reminder)) <= horizon
    ]
    return [
        reminder for _, reminder in sorted(due, key=lambda pair: (pair[0], pair[1].caused_at, pair[1].key))
    ]


def plan(person: Person, world: World, now: datetime, horizon: datetime) -> Plan:
    """Decide what is due to a person.

    Args:
        person: with their agenda, as it is now.
        world: the present state of what the due reminders are about.
        now: domain time.
        horizon: up to when all events are known; what came due later waits.
    """
    decided = Plan()
    for reminder in due_now(person, now, horizon):
        _decide(reminder, person, world, now, decided)
    return decided


def _decide(reminder: Reminder, person: Person, world: World, now: datetime, into: Plan) -> None:
    if reminder.key in world.said or not _meant_for(reminder, world):
        into.dropped.append(reminder)
        return
    mentorship = world.mentorships.get(reminder.mentorship_id)
    goal = world.goals.get(reminder.goal_id) if reminder.goal_id is not None else None
    if mentorship is None:
        rhythm = person.rhythm_for(reminder)
        if now >= goes_stale_at(reminder, goal, rhythm):
            into.not_sent.append(NotSent(reminder, "stale", {"mentorship": "unknown"}))
        else:
            into.unknown.append(reminder)
        return
    found = first_reason(Case(reminder, person, mentorship, goal, world, now))
    if found is None:
        into.told.append(reminder)
    else:
        into.not_sent.append(NotSent(reminder, *found))


def _meant_for(reminder: Reminder, world: World) -> bool:
    """A withdrawal is for those who were told of the miss."""
    if reminder.kind != "miss_withdrawn":
        return True
    return (reminder.goal_id, reminder.revision) in world.told_of_miss


# --- what follows for the person


def look_again_at(person: Person, decided: Plan, now: datetime) -> datetime | None:
    """When to look at the person next, what was decided being done; None: nothing is on their agenda."""
    found = next_at(person, now)
    return max(found, now + PATIENCE) if decided.unknown and found is not None else found


def begin_attempt(person: Person, decided: Plan, message_id: str) -> Person:
    """The person once a plan is decided: without what is not sent, with the message that is about to go.

    `message_id` names a new message; one that was tried before keeps its own. The try counts from here, so that
    a crash in the middle of it is one, too.
    """
    gone = {found.reminder.key for found in decided.not_sent} | {r.key for r in decided.dropped}
    person = _without(person, gone)
    if decided.told:
        before = person.attempt or Attempt(message_id=message_id, keys=(), tried=0)
        keys = tuple(reminder.key for reminder in decided.told)
        attempt = Attempt(message_id=before.message_id, keys=keys, tried=before.tried + 1)
        return msgspec.structs.replace(person, attempt=attempt)
    if person.attempt is not None:
        left = {reminder.key for reminder in person.reminders}
        if not left.intersection(person.attempt.keys):
            return msgspec.structs.replace(person, attempt=None)
    return person


def end_attempt(person: Person, told: Sequence[Reminder], sent_on: date | None) -> Person:
    """The person once a message was sent on their own date `sent_on`, or given up (None).

    A message of nothing but requests for help is not counted against the budget.
    """
    person = msgspec.structs.replace(_without(person, {reminder.key for reminder in told}), attempt=None)
    if sent_on is None or all(KINDS[reminder.kind].urgent for reminder in told):
        return person
    oldest = (sent_on - SPENT_KEPT).isoformat()
    spent = {day: count for day, count in person.spent.items() if day >= oldest}
    spent[sent_on.isoformat()] = spent.get(sent_on.isoformat(), 0) + 1
    return msgspec.structs.replace(person, spent=spent)


def _without(person: Person, keys: Set[str]) -> Person:
    left = tuple(reminder for reminder in person.reminders if reminder.key not in keys)
    return msgspec.structs.replace(person, reminders=left)
