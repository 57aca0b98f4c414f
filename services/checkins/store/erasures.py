"""People whose private words are to be removed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pymongo import UpdateOne

from shared.mongo import Database, Session

ERASURES = "erasures"


@dataclass(frozen=True, slots=True)
class Erasure:
    """A person whose private words stored up to `at` are to be removed."""

    org_id: str
    person_id: str
    at: datetime


class Erasures:
    """The erasures that are not known to be complete."""

    def __init__(self, database: Database) -> None:
        self._collection = database[ERASURES]

    async def add(self, erasures: Iterable[Erasure], session: Session) -> None:
        """Note erasures, in the transaction of what they are told by."""
        operations = [
            UpdateOne(
                {"_id": _erasure_id(each)},
                {
                    "$set": {"org_id": each.org_id, "person_id": each.person_id},
                    "$max": {"at": each.at},
                },
                upsert=True,
            )
            for each in erasures
        ]
        if operations:
            await self._collection.bulk_write(operations, session=session)

    async def pending(self) -> list[Erasure]:
        """All that are noted."""
        found = await self._collection.find().to_list(None)
        return [Erasure(document["org_id"], document["person_id"], document["at"]) for document in found]

    async def done(self, erasure: Erasure) -> None:
        """It is complete, unless a later one of the same person has come."""
        await self._collection.delete_one({"_id": _erasure_id(erasure), "at": erasure.at})


def _erasure_id(erasure: Erasure) -> str:
    return f"{erasure.org_id}|{erasure.person_id}"
