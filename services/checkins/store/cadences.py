"""Cadences: each an aggregate with the lapses of a goal, and when to look at it next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pymongo import ASCENDING, IndexModel, UpdateOne

from services.checkins.domain.cadence import Period
from services.checkins.domain.known import Goal
from shared import events as contract
from shared.aggregates import Aggregates, Change, Outbox
from shared.mongo import Database, Doc, Mongo, Session

CADENCES = "cadences"
SESSIONS = "sessions"
WORKER = "lapses"
CADENCE_BYTES = 8 * 1024 * 1024
"""Room for a lapse a day through ten years, the farthest deadline."""


@dataclass(frozen=True, slots=True)
class StoredCadence:
    """What is kept of a goal's cadence, and the document it was read from."""

    goal_id: str
    mentorship_id: str
    next_at: datetime
    lapsed: Period | None
    document: Doc


class Cadences:
    """When to look at each goal's cadence, and what lapsed."""

    def __init__(self, mongo: Mongo, database: Database, outbox: Outbox) -> None:
        self._mongo = mongo
        self._sessions = database[SESSIONS]
        self.collection = database[CADENCES]
        self._aggregates = Aggregates(mongo, self.collection, outbox, max_bytes=CADENCE_BYTES)

    async def make_indexes(self) -> None:
        """Create the indexes; repeatable."""
        await self._aggregates.make_indexes(
            IndexModel(
                [("partition", ASCENDING), ("next_at", ASCENDING)],
                name="due",
                partialFilterExpression={"next_at": {"$exists": True}},
            )
        )

    async def look_at(
        self, when: Mapping[str, datetime | None], goals: Mapping[str, Goal], partition: int, session: Session
    ) -> None:
        """Note when to look at some goals next (None: not at all), in the transaction of what they are told by."""
        operations = []
        for goal_id, at in when.items():
            goal = goals[goal_id]
            update: Doc = {
                "$inc": {"v": 1},
                "$setOnInsert": {
                    "org_id": goal.org_id,
                    "key": goal.mentorship_id,
                    "subject": f"cadence/{goal_id}",
                    "seq": 0,
                    "published": 0,
                    "events": [],
                    "partition": partition,
                },
            }
            update["$unset" if at is None else "$set"] = {"next_at": at or ""}
            operations.append(UpdateOne({"_id": goal_id}, update, upsert=True))
        if operations:
            await self.collection.bulk_write(operations, ordered=False, session=session)

    async def due(self, until: Mapping[int, datetime], limit: int) -> list[StoredCadence]:
        """The cadences to look at that come first, all of one instant; `until` says how far each partition may be."""
        if not until:
            return []
        reach: list[Doc] = [{"partition": number, "next_at": {"$lte": at}} for number, at in until.items()]
        found = (
            await self.collection.find({"$or": reach})
            .sort([("next_at", ASCENDING)])
            .limit(limit)
            .to_list(None)
        )
        return [
            StoredCadence(
                document["_id"],
                document["key"],
                document["next_at"],
                _period(document.get("lapsed")),
                document,
            )
            for document in found
            if document["next_at"] == found[0]["next_at"]
        ]

    def change(
        self,
        stored: StoredCadence,
        *,
        now: datetime,
        events: Sequence[contract.Event],
        lapsed: Period | None,
        next_at: datetime | None,
    ) -> Change:
        """What is to be kept of a cadence once it was looked at."""
        setting: Doc = {}
        if next_at is not None:
            setting["next_at"] = next_at
        if lapsed is not None:
            setting["lapsed"] = {"period": lapsed.period.isoformat(), "expected_by": lapsed.expected_by}
        return self._aggregates.change(
            stored.document, now=now, events=events, fields=setting, unset=() if next_at else ("next_at",)
        )

    @asynccontextmanager
    async def deciding(self) -> AsyncIterator[Session]:
        """The session of the one who decides lapses.

        A transaction that the one before died in is undone first: else its locks would hold up all lapses of that
        instant for a minute.
        """
        async with self._mongo.session() as session:
            await self._mongo.take_over(self._sessions, WORKER, session)
            yield session

    async def commit(self, changes: Sequence[Change], session: Session) -> None:
        """Store them, all or none.

        Raises:
            StaleWrite: one was changed since it was read.
        """
        await self._mongo.transaction(
            lambda opened: self._aggregates.commit(*changes, session=opened), session=session
        )
        self._aggregates.kicked(changes)


def _period(document: Mapping[str, Any] | None) -> Period | None:
    if document is None:
        return None
    return Period(date.fromisoformat(document["period"]), document["expected_by"])
