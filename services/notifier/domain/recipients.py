"""What a person, or who provides for them, changes of their preferences. Each change is a new version."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from services.notifier.domain.person import (
    DEFAULT_BUDGET,
    EVERYWHERE,
    UNKNOWN_ZONE,
    Absence,
    Person,
    Recipient,
)

_PAST_KEPT = timedelta(days=2)
"""An absence is over everywhere on earth two days after its last date."""


def provided(person: Person, wanted: Recipient) -> Person:
    """The person with all of what was chosen; who was erased begins anew."""
    version = person.recipient.version + 1 if person.recipient is not None else wanted.version
    recipient = msgspec.structs.replace(wanted, version=version)
    return msgspec.structs.replace(person, recipient=recipient, erased_at=None)


def deleted(person: Person) -> Person:
    """The person without contact data and choices; the agenda stays, for the ledger to tell what was not sent."""
    return msgspec.structs.replace(person, recipient=None, snoozes={}, snoozed_at={}, absences=())


def erased(person: Person, at: datetime) -> Person:
    """The person without contact data and choices provided up to `at`; what was provided later stays."""
    forgotten_up_to = max(at, person.forgotten_up_to or at)
    left = _provided_after(person.recipient, at) if person.recipient is not None else None
    if left is None:
        return msgspec.structs.replace(
            deleted(person), erased_at=max(at, person.erased_at or at), forgotten_up_to=forgotten_up_to
        )
    snoozed_at = {goal: person.snoozed_at.get(goal, left.put_at) for goal in person.snoozes}
    return msgspec.structs.replace(
        person,
        recipient=left,
        snoozes={goal: until for goal, until in person.snoozes.items() if snoozed_at[goal] > at},
        snoozed_at={goal: asked for goal, asked in snoozed_at.items() if asked > at},
        absences=tuple(a for a in person.absences if (a.made_at or left.put_at) > at),
        forgotten_up_to=forgotten_up_to,
    )


def _provided_after(recipient: Recipient, at: datetime) -> Recipient | None:
    """What of a recipient was provided after an instant, the rest being as by default; None: nothing was."""
    since = {part: told for part, told in recipient.since.items() if told > at}
    put = recipient.put_at > at
    if not put and not since:
        return None
    nothing = Recipient(time_zone=UNKNOWN_ZONE, version=recipient.version, put_at=recipient.put_at)
    parts = {
        part: getattr(recipient if recipient.provided_at(part) > at else nothing, part)
        for part in ("time_zone", "language", "display_name")
    }
    channels = tuple(each for each in recipient.channels if recipient.provided_at(each.kind) > at)
    left = msgspec.structs.replace(recipient if put else nothing, channels=channels, since=since, **parts)
    return left if left == recipient else msgspec.structs.replace(left, version=left.version + 1)


def snoozed(person: Person, until: datetime, goal_id: str | None, now: datetime) -> Person:
    """The person with quiet until an instant, about one goal or at all."""
    about = goal_id or EVERYWHERE
    running = {goal: end for goal, end in person.snoozes.items() if end > now}
    asked = {goal: at for goal, at in person.snoozed_at.items() if goal in running}
    return _next(person, snoozes={**running, about: until}, snoozed_at={**asked, about: now})


def woken(person: Person) -> Person:
    """The person without a snooze."""
    return _next(person, snoozes={}, snoozed_at={})


def absent(person: Person, absence: Absence, now: datetime) -> Person:
    """The person with one more absence; those long past are forgotten."""
    kept = tuple(known for known in person.absences if known.last >= (now - _PAST_KEPT).date())
    return _next(person, absences=(*kept, msgspec.structs.replace(absence, made_at=now)))


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
