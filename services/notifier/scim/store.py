"""Users in MongoDB; nothing else of SCIM speaks to it.

    scim_users  one per (organization, user): {_id, org_id, person_id, user_name, user, ages, created_at, changed_at, v}

`user_name` is the name as it is compared; `user` is what the client provided, `ages` when (see `ages`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from unicodedata import normalize

from pymongo import ASCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from services.notifier.scim.ages import aged, later
from shared.aggregates import Duplicate, StaleWrite
from shared.mongo import Database, Doc, Session, duplicate_key

_OURS = ("schemas", "externalId")
"""What stays of a user whose person is erased."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A user as kept; `ages` are those of `user`, and `version` grows with each change."""

    id: str
    org_id: str
    person_id: str
    user: Mapping[str, Any]
    ages: Mapping[str, Any]
    created_at: datetime
    changed_at: datetime
    version: int = 1

    def after(self, at: datetime) -> Stored | None:
        """The user with no more than was provided after an instant; None: nothing was.

        The person's id stays, by which it is found, and the name, if that is all of it. Any other name may be an
        address: the user's own id takes its place.
        """
        found = later({name: part for name, part in self.user.items() if name not in _OURS}, self.ages, at)
        if found is None:
            return None
        user, ages = found
        name = self.id if "externalId" in self.user else self.user["userName"]
        always = {part: self.user[part] for part in _OURS if part in self.user}
        return replace(
            self,
            user={**always, "userName": name, **user},
            ages={**{part: self.ages[part] for part in (*always, "userName")}, **ages},
        )


class Store:
    """The users of all organizations."""

    def __init__(self, database: Database) -> None:
        self._users = database["scim_users"]

    async def make_indexes(self) -> None:
        """Create every index; again is no change."""
        await self._users.create_indexes(
            [
                IndexModel([("org_id", ASCENDING), ("user_name", ASCENDING)], unique=True),
                IndexModel([("org_id", ASCENDING), ("person_id", ASCENDING)], unique=True),
            ]
        )

    async def add(self, stored: Stored) -> None:
        """Keep a new user.

        Raises:
            Duplicate: the organization has one of that name, or for that person.
        """
        try:
            await self._users.insert_one(_document(stored))
        except DuplicateKeyError as error:
            raise Duplicate(duplicate_key(error) or "user_name") from error

    async def change(self, before: Stored, after: Stored) -> None:
        """Replace a user as it was read.

        Raises:
            StaleWrite: it was changed or deleted meanwhile.
            Duplicate: another one has that name, or is for that person.
        """
        try:
            written = await self._users.replace_one(
                {"_id": before.id, "org_id": before.org_id, "v": before.version},
                {**_document(after), "v": before.version + 1},
            )
        except DuplicateKeyError as error:
            raise Duplicate(duplicate_key(error) or "user_name") from error
        if written.matched_count == 0:
            raise StaleWrite

    async def find(self, org_id: str, id: str) -> Stored | None:
        """A user, or None when the organization has none of that id."""
        found = await self._users.find_one({"_id": id, "org_id": org_id})
        return None if found is None else _stored(found)

    async def some(
        self, org_id: str, *, user_name: str | None = None, person_id: str | None = None
    ) -> AsyncIterator[Stored]:
        """The users of an organization, of that name (whatever its case) or person, in the order of their making."""
        wanted: Doc = {"org_id": org_id}
        if user_name is not None:
            wanted["user_name"] = _compared(user_name)
        if person_id is not None:
            wanted["person_id"] = person_id
        async for found in self._users.find(wanted).sort("_id", ASCENDING):
            yield _stored(found)

    async def page(self, org_id: str, skip: int, limit: int) -> tuple[int, list[Stored]]:
        """How many there are, and some of them."""
        total = await self._users.count_documents({"org_id": org_id})
        if limit == 0:
            return total, []
        found = self._users.find({"org_id": org_id}).sort("_id", ASCENDING).skip(skip).limit(limit)
        return total, [_stored(row) for row in await found.to_list(None)]

    async def delete(self, org_id: str, id: str) -> Stored | None:
        """Forget a user; what it was, or None."""
        found = await self._users.find_one_and_delete({"_id": id, "org_id": org_id})
        return None if found is None else _stored(found)

    async def forget(
        self, org_id: str, person_id: str, until: datetime | None = None, session: Session | None = None
    ) -> None:
        """Forget the user that stands for a person, but for what was provided after `until`."""
        wanted: Doc = {"org_id": org_id, "person_id": person_id}
        found = await self._users.find_one(wanted, session=session) if until is not None else None
        left = _stored(found).after(until) if found is not None and until is not None else None
        if left is None:
            await self._users.delete_many(wanted, session=session)
        else:
            changed = {**_document(left), "v": left.version + 1}
            await self._users.replace_one({"_id": left.id, "org_id": org_id}, changed, session=session)


def _compared(name: str) -> str:
    """A name as it is compared: without its case, composed (RFC 8265's UsernameCaseMapped, in the main)."""
    return normalize("NFC", normalize("NFC", name).lower())


def _document(stored: Stored) -> Doc:
    return {
        "_id": stored.id,
        "org_id": stored.org_id,
        "person_id": stored.person_id,
        "user_name": _compared(str(stored.user["userName"])),
        "user": dict(stored.user),
        "ages": dict(stored.ages),
        "created_at": stored.created_at,
        "changed_at": stored.changed_at,
        "v": stored.version,
    }


def _stored(row: Doc) -> Stored:
    return Stored(
        row["_id"],
        row["org_id"],
        row["person_id"],
        row["user"],
        # Of one that was kept without, all is as old as its last change.
        row.get("ages") or aged(row["user"], row["changed_at"]),
        row["created_at"],
        row["changed_at"],
        row["v"],
    )
