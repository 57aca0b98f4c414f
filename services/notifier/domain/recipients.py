"""What a person, or who provides for them, changes of their preferences. Each change is a new version."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from services.notifier.domain.person import DEFAULT_BUDGET, EVERYWHERE, Absence, Person, Recipient

_PAST_KEPT = timedelta(days=2)
"""An absence is over everywhere on earth two days after its last date."""


def provided(person: Person, wanted: Recipient) -> Person:
    """The person with all of what was chosen; who was erased begins anew."""
    version = person.recipient.version + 1 if person.recipient is not None else wanted.version
    recipient = msgspec.structs.replace(wanted, version=version)
    return msgspec.structs.replace(person, recipient=recipient, erased_at=None)


def deleted(person: Person) -> Person:
    """The person without contact data and choices; the agenda stays, for the ledger to tell what was not sent."""
    return msgspec.structs.replace(person, recipient=None, snoozes={}, absences=())


def snoozed(person: Person, until: datetime, goal_id: str | None, now: datetime) -> Person:
    """The person with quiet until an instant, about one goal or at all."""
    running = {goal: end for goal, end in person.snoozes.items() if end > now}
    return _next(person, snoozes={**running, goal_id or EVERYWHERE: until})


def woken(person: Person) -> Person:
    """The person without a snooze."""
    return _next(person, snoozes={})


def absent(person: Person, absence: Absence, now: datetime) -> Person:
    """The person with one more absence; those long past are forgotten."""
    kept = tuple(known for known in person.absences if known.last >= (now - _PAST_KEPT).date())
    return _next(person, absences=(*kept, absence))


def returned(person: Person, absence_id: str) -> Person:
    """The person without that absence."""
    return _next(person, absences=tuple(a for a in person.absences if a.absence_id != absence_id))


def silenced(person: Person) -> Person:
    """The person with a budget of 0: nothing but requests for help reaches them."""
    return _with_budget(person, 0)


def unsilenced(person: Person) -> Person:
    """The person without a snooze, and with the usual budget if it was 0."""
    awake = woken(person)
    spends = awake.recipient is not None and awake.recipient.daily_budget > 0
    return awake if spends else _with_budget(awake, DEFAULT_BUDGET)


def _with_budget(person: Person, budget: int) -> Person:
    if person.recipient is None:
        return person
    return _next(
        msgspec.structs.replace(
            person, recipient=msgspec.structs.replace(person.recipient, daily_budget=budget)
        )
    )


def _next(person: Person, **changes: Any) -> Person:
    recipient = person.recipient
    if recipient is not None:
        changes["recipient"] = msgspec.structs.replace(recipient, version=recipient.version + 1)
    return msgspec.structs.replace(person, **changes)
