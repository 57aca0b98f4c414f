"""From a SCIM user to a recipient. No clock, no I/O.

The person's id is the user's `externalId`, else the `userName`. What SCIM does not tell of, such as quiet hours, stays
as the person chose it.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from services.notifier.domain.person import Channel, Person, Recipient
from services.notifier.domain.recipients import deleted, provided
from services.notifier.scim.model import User, language_of

UNKNOWN_ZONE = "UTC"


def person_of(user: User) -> str:
    """The person's id that a user stands for; whether it is one is for the caller to check."""
    return user.external_id or user.user_name or ""


def is_active(user: User) -> bool:
    """Whether the user is to be reminded; so it is unless told otherwise."""
    return user.active is not False


def applied(person: Person, user: User, now: datetime) -> Person:
    """The person after what SCIM says of them: provided, or forgotten when the user is inactive."""
    if not is_active(user):
        return deleted(person) if person.recipient is not None else person
    wanted = _recipient(user, person.recipient, now)
    before = person.recipient
    if before is not None and msgspec.structs.replace(wanted, put_at=before.put_at) == before:
        return person
    return provided(person, wanted)


def _recipient(user: User, known: Recipient | None, now: datetime) -> Recipient:
    base = known or Recipient(time_zone=UNKNOWN_ZONE, put_at=now)
    address = _address(user)
    mail = () if address is None else (Channel(kind="email", address=address),)
    name = user.display_name or (user.name.formatted if user.name is not None else None)
    return msgspec.structs.replace(
        base,
        time_zone=user.timezone or base.time_zone,
        channels=(*mail, *(channel for channel in base.channels if channel.kind != "email")),
        language=language_of(user.preferred_language) or base.language,
        display_name=name or base.display_name,
        put_at=now,
    )


def _address(user: User) -> str | None:
    """The primary address, else the one for work, else the first."""
    emails = [email for email in user.emails or () if email.value]
    ranked = sorted(emails, key=lambda email: (email.primary is not True, email.type != "work"))
    return ranked[0].value if ranked else None
