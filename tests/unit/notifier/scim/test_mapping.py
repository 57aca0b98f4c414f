"""What a SCIM user makes of a person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from services.notifier.domain.person import Channel, Person, Recipient
from services.notifier.scim.ages import aged
from services.notifier.scim.mapping import applied, person_of
from services.notifier.scim.model import POLICY, User, language_of
from tests.builders import NOW

LATER = NOW + timedelta(hours=1)
NOBODY = Person(person_id="ada", org_id="org")


def user(**changes: Any) -> User:
    fields = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada", **changes}
    return User.model_validate(fields, scim_policy=POLICY)


def told(person: Person, provided: User, at: datetime) -> Person:
    """The person after a call that tells all of a user."""
    return applied(person, provided, aged(provided.model_dump(exclude_none=True), at), at)


def address(**changes: Any) -> str | None:
    recipient = told(NOBODY, user(**changes), NOW).recipient
    assert recipient is not None
    return recipient.channels[0].address if recipient.channels else None


def test_the_external_id_is_the_person_else_the_user_name() -> None:
    assert person_of(user()) == "ada"
    assert person_of(user(externalId="e-1")) == "e-1"


def test_the_primary_address_is_written_to_else_that_for_work_else_the_first() -> None:
    home, work = {"value": "h@x.org", "type": "home"}, {"value": "w@x.org", "type": "work"}
    assert address(emails=[home, work]) == "w@x.org"
    assert address(emails=[{**home, "primary": True}, work]) == "h@x.org"
    assert address(emails=[home]) == "h@x.org"
    assert address() is None


def test_who_is_told_nothing_of_has_a_zone_all_the_same() -> None:
    recipient = told(NOBODY, user(), NOW).recipient
    assert recipient is not None
    assert recipient.time_zone == "UTC"


def test_an_inactive_user_is_nobody_to_remind() -> None:
    known = told(NOBODY, user(), NOW)
    assert told(known, user(active=False), LATER).recipient is None
    assert told(NOBODY, user(active=False), LATER) == NOBODY


def test_the_same_again_changes_nothing() -> None:
    known = told(NOBODY, user(displayName="Ada"), NOW).recipient
    again = told(told(NOBODY, user(displayName="Ada"), NOW), user(displayName="Ada"), LATER).recipient
    assert known is not None
    assert again is not None
    assert again == msgspec.structs.replace(known, since={"display_name": LATER})
    changed = told(NOBODY, user(displayName="Ada"), NOW)
    changed = told(changed, user(displayName="A."), LATER)
    assert changed.recipient is not None
    assert changed.recipient.version == known.version + 1


def test_who_was_erased_begins_anew() -> None:
    erased = Person(person_id="ada", org_id="org", erased_at=NOW)
    assert told(erased, user(), LATER).erased_at is None


def test_what_the_person_chose_stays() -> None:
    chat = Channel(kind="chat", url="https://chat.example.com")
    chosen = Recipient(time_zone="Asia/Tokyo", channels=(chat,), daily_budget=1, language="de", put_at=NOW)
    known = Person(person_id="ada", org_id="org", recipient=chosen)
    recipient = told(known, user(emails=[{"value": "a@x.org"}]), LATER).recipient
    assert recipient is not None
    assert (recipient.time_zone, recipient.daily_budget, recipient.language) == ("Asia/Tokyo", 1, "de")
    assert recipient.channels[1:] == (chat,)


@pytest.mark.parametrize(
    ("text", "language"),
    [("de", "de"), ("en-GB", "en-GB"), ("de_DE", "de-DE"), ("fr-CH, fr;q=0.9, *;q=0.5", "fr-CH"), ("", None)],
)
def test_the_first_language_counts(text: str, language: str | None) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    "wrong",
    [
        {"timezone": "Mars/Base"},
        {"preferredLanguage": "not a language"},
        {"emails": [{"value": "nobody"}]},
        {"displayName": "two\nlines"},
        {"displayName": "a line and its end\n"},
        {"name": {"formatted": "a line and its end\r\n"}},
        {"userName": "ada\u2028"},
    ],
)
def test_what_could_not_be_used_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        user(**wrong)
