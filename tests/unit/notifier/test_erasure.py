"""An erasure that arrives late: what was provided before it goes, what was provided since stays."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.notifier.domain.person import EVERYWHERE, Absence, Channel, Person, Recipient
from services.notifier.domain.recipients import absent, erased, provided, silenced, snoozed
from services.notifier.scim.ages import aged
from services.notifier.scim.mapping import applied
from services.notifier.scim.model import POLICY, User
from services.notifier.scim.store import Stored
from services.notifier.scim.users import Users
from shared.clock import Clock
from tests.builders import NOW

BEFORE, ERASED, AFTER = NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=2)
MAIL = Channel(kind="email", address="ada@old.example")
CHAT = Channel(kind="chat", url="https://chat.example.com/old")
NOBODY = Person(person_id="ada", org_id="org")
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def put(at: datetime, person: Person = NOBODY, **chosen: Any) -> Person:
    values: dict[str, Any] = {"time_zone": "Asia/Tokyo", "channels": (MAIL, CHAT), "display_name": "Ada"}
    return provided(person, Recipient(**{**values, **chosen}, put_at=at))


def away(person: Person, id_: str, at: datetime) -> Person:
    return absent(person, Absence(absence_id=id_, first=date(2027, 1, 1), last=date(2027, 1, 2)), at)


class TestWhatWasPut:
    def test_before_it_goes_whole(self) -> None:
        person = away(snoozed(put(BEFORE), AFTER, None, BEFORE), "a", BEFORE)
        left = erased(person, ERASED)
        assert left.recipient is None
        assert (left.snoozes, left.absences, left.erased) == ({}, (), True)

    def test_after_it_stands_whole(self) -> None:
        chosen = put(AFTER, put(BEFORE), daily_budget=1, language="de")
        left = erased(chosen, ERASED)
        assert left.recipient == chosen.recipient
        assert not left.erased

    def test_after_it_stands_without_older_snoozes_and_absences(self) -> None:
        until = AFTER + timedelta(days=9)
        person = snoozed(away(put(BEFORE), "old", BEFORE), until, "goal-1", BEFORE)
        person = snoozed(away(put(AFTER, person), "new", AFTER), until, None, AFTER)
        left = erased(person, ERASED)
        assert left.snoozes == {EVERYWHERE: until}
        assert [absence.absence_id for absence in left.absences] == ["new"]

    def test_counts_for_what_was_kept_without_an_instant(self) -> None:
        absence = Absence(absence_id="a", first=date(2027, 1, 1), last=date(2027, 1, 2))
        for at, left in ((BEFORE, 0), (AFTER, 1)):
            person = msgspec.structs.replace(put(at), snoozes={EVERYWHERE: AFTER}, absences=(absence,))
            after = erased(person, ERASED)
            assert (len(after.snoozes), len(after.absences)) == (left, left)

    def test_before_it_goes_however_often_it_was_changed_since(self) -> None:
        assert erased(silenced(put(BEFORE)), ERASED).recipient is None


# --- what an identity provider tells


class Kept:
    """Users and a person in memory, as the two stores keep them; `between` happens before a person is changed."""

    def __init__(self) -> None:
        self.user: Stored | None = None
        self.person = NOBODY
        self.now = BEFORE
        self.between: datetime | None = None

    async def add(self, stored: Stored) -> None:
        self.user = stored

    async def change(self, before: Stored, after: Stored) -> None:
        assert before == self.user
        self.user = after

    async def find(self, org_id: str, id: str) -> Stored | None:
        return self.user

    async def change_person(self, org_id: str, person_id: str, now: datetime, change: Any) -> Person:
        if self.between is not None:
            self.erase(self.between)
        self.person = change(self.person)
        return self.person

    def erase(self, at: datetime) -> None:
        assert self.user is not None
        self.person, self.user = erased(self.person, at), self.user.after(at)


class Fixed(Clock):
    """The time of what is kept."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def now(self) -> datetime:
        return self._kept.now


@pytest.fixture
async def kept() -> Kept:
    """A user who was provided before the erasure, and chose a chat."""
    made = Kept()
    made.person = put(BEFORE, channels=(CHAT,), daily_budget=1)
    await users(made).create("org", ada())
    return made


def users(kept: Kept) -> Users:
    return Users(kept, kept.change_person, Fixed(kept), "https://scim.example")  # type: ignore[arg-type]


def ada(**changes: Any) -> dict[str, Any]:
    emails = [{"value": "ada@old.example", "type": "work"}, {"value": "home@old.example", "type": "home"}]
    return {
        "schemas": [USER], "userName": "ada@old.example", "externalId": "ada", "displayName": "Ada L.",
        "timezone": "Asia/Tokyo", "emails": emails, "name": {"formatted": "Ada L.", "familyName": "L."}, **changes,
    }  # fmt: skip


async def patch(kept: Kept, path: str, value: Any) -> None:
    assert kept.user is not None
    kept.now = AFTER
    operations = [{"op": "replace", "path": path, "value": value}]
    await users(kept).patch("org", kept.user.id, {"schemas": [PATCH], "Operations": operations})


class TestWhatAnIdentityProviderTold:
    @pytest.mark.parametrize(
        ("path", "value", "left", "of_recipient"),
        [
            ("preferredLanguage", "de", {"preferredLanguage": "de"}, {"language": "de"}),
            ("displayName", "Ada L.", {"displayName": "Ada L."}, {"display_name": "Ada L."}),
            ("timezone", "Asia/Tokyo", {"timezone": "Asia/Tokyo"}, {"time_zone": "Asia/Tokyo"}),
            (
                'emails[type eq "work"].value',
                "ada@new.example",
                {"emails": [{"value": "ada@new.example", "type": "work"}]},
                {"channels": (Channel(kind="email", address="ada@new.example"),)},
            ),
            (
                "emails",
                [{"value": "ada@old.example", "type": "work"}],
                {"emails": [{"value": "ada@old.example", "type": "work"}]},
                {"channels": (MAIL,)},
            ),
            ("name.familyName", "Lovelace", {"name": {"familyName": "Lovelace"}}, {}),
        ],
    )
    async def test_of_one_attribute_since_is_all_that_stays(
        self, kept: Kept, path: str, value: Any, left: dict[str, Any], of_recipient: dict[str, Any]
    ) -> None:
        await patch(kept, path, value)
        kept.erase(ERASED)
        assert kept.user is not None
        assert kept.user.user == {
            "schemas": [USER], "externalId": "ada", "userName": kept.user.id, **left
        }  # fmt: skip
        recipient = kept.person.recipient
        if not of_recipient:
            assert recipient is None
            return
        assert recipient is not None
        expected = Recipient(**{"time_zone": "UTC", "put_at": BEFORE, **of_recipient})
        assert recipient == msgspec.structs.replace(
            expected, since=recipient.since, version=recipient.version
        )

    async def test_whole_since_stays_whole(self, kept: Kept) -> None:
        assert kept.user is not None
        kept.now = AFTER
        await users(kept).replace("org", kept.user.id, ada())
        before = kept.user
        kept.erase(ERASED)
        assert kept.user == before
        assert kept.person.recipient is not None
        assert kept.person.recipient.channels == (MAIL,), "the chat was chosen before"
        assert kept.person.recipient.display_name == "Ada L."
        assert kept.person.recipient.daily_budget == 3

    async def test_before_it_goes_whole(self, kept: Kept) -> None:
        kept.erase(ERASED)
        assert kept.user is None
        assert kept.person.recipient is None

    async def test_before_it_does_not_come_back_by_a_call_that_was_under_way(self, kept: Kept) -> None:
        kept.between = ERASED
        await patch(kept, "preferredLanguage", "de")
        assert kept.person.recipient is not None
        assert kept.person.recipient.channels == ()
        assert kept.person.recipient.display_name is None
        assert kept.person.recipient.language == "de"

    async def test_of_who_is_known_by_the_user_name_keeps_it(self, kept: Kept) -> None:
        await users(kept).create("org", {"schemas": [USER], "userName": "grace", "displayName": "G."})
        await patch(kept, "preferredLanguage", "de")
        kept.erase(ERASED)
        assert kept.user is not None
        assert kept.user.user == {"schemas": [USER], "userName": "grace", "preferredLanguage": "de"}

    def test_is_not_undone_by_an_address_that_was_put_since(self) -> None:
        provided_before = User.model_validate(ada(), scim_policy=POLICY)
        ages = aged(provided_before.model_dump(exclude_none=True), BEFORE)
        person = applied(put(AFTER, language="de"), provided_before, ages, AFTER)
        recipient = erased(person, ERASED).recipient
        assert recipient is not None
        assert recipient.channels == (CHAT,)
        assert (recipient.display_name, recipient.language) == (None, "de")
