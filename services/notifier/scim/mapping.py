"""From a SCIM user to a recipient. No clock, no I/O.

The person's id is the user's `externalId`, else the `userName`. What SCIM does not tell of, such as quiet hours, stays
as the person chose it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from services.notifier.domain.person import UNKNOWN_ZONE, Channel, Person, Recipient
from services.notifier.domain.recipients import deleted, provided
from services.notifier.scim.model import User, language_of


def person_of(user: User) -> str:
    """The person's id that a user stands for; whether it is one is for the caller to check."""
    return user.external_id or user.user_name or ""


def is_active(user: User) -> bool:
    """Whether the user is to be reminded; so it is unless told otherwise."""
    return user.active is not False


def applied(person: Person, user: User, ages: Mapping[str, Any], now: datetime) -> Person:
    """The person after what SCIM says of them: provided, or forgotten when the user is inactive.

    `ages` are those of the user: see `ages`.
    """
    if not is_active(user):
        return deleted(person) if person.recipient is not None else person
    wanted = _recipient(user, ages, person.recipient, now)
    before = person.recipient
    if before is not None and msgspec.structs.replace(wanted, since=before.since) == before:
        # Told again: the same recipient, of a later day.
        return msgspec.structs.replace(person, recipient=wanted)
    return provided(person, wanted)


def _recipient(user: User, ages: Mapping[str, Any], known: Recipient | None, now: datetime) -> Recipient:
    base = known or Recipient(time_zone=UNKNOWN_ZONE, put_at=now)
    told: dict[str, tuple[str, datetime]] = {}
    if user.timezone:
        told["time_zone"] = user.timezone, ages["timezone"]
    if language := language_of(user.preferred_language):
        told["language"] = language, ages["preferredLanguage"]
    if user.display_name:
        told["display_name"] = user.display_name, ages["displayName"]
    elif user.name is not None and user.name.formatted:
        told["display_name"] = user.name.formatted, ages["name"]["formatted"]
    since = {**base.since, **{part: at for part, (_, at) in told.items()}}
    mail: tuple[Channel, ...] = ()
    index = _address(user)
    if index is not None and user.emails is not None:
        mail = (Channel(kind="email", address=user.emails[index].value),)
        since["email"] = ages["emails"][index]
    return msgspec.structs.replace(
        base,
        channels=(*mail, *(channel for channel in base.channels if channel.kind != "email")),
        since=since,
        **{part: value for part, (value, _) in told.items()},
    )


def _address(user: User) -> int | None:
    """Which of the addresses: the primary one, else the one for work, else the first."""
    emails = [(index, email) for index, email in enumerate(user.emails or ()) if email.value]
    ranked = sorted(emails, key=lambda each: (each[1].primary is not True, each[1].type != "work"))
    return ranked[0][0] if ranked else None
