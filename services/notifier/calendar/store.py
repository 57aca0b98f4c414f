"""What a calendar needs of the notifier's documents: read only, folded by the agendas' intake."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from pymongo import ASCENDING, DESCENDING, IndexModel

from services.notifier.domain.goal import Goal
from services.notifier.domain.mentorship import Mentorship
from shared.mongo import Database

MAX_GOALS = 500
KEPT_FOR = timedelta(days=180)
"""How long a deadline stays in the calendar after it passed."""


class Store:
    """A person's goals."""

    def __init__(self, database: Database) -> None:
        self._goals = database["goals"]
        self._mentorships = database["mentorships"]

    async def make_indexes(self) -> None:
        """Create every index; again is no change."""
        await self._goals.create_indexes(
            [
                IndexModel(
                    [("org_id", ASCENDING), ("owner_id", ASCENDING), ("due_at", DESCENDING)], name="of_owner"
                )
            ]
        )

    async def goals_of(self, org_id: str, person_id: str, now: datetime) -> list[Goal]:
        """The goals that a person owns, but for those long past; the last to be due first."""
        wanted = {"org_id": org_id, "owner_id": person_id, "due_at": {"$gte": now - KEPT_FOR}}
        found = self._goals.find(wanted).sort([("due_at", DESCENDING)]).limit(MAX_GOALS)
        return [msgspec.convert(row, Goal) for row in await found.to_list(None)]

    async def mentorships_of(self, goals: list[Goal]) -> dict[str, Mentorship]:
        """The mentorships of goals, by id."""
        ids = list({goal.mentorship_id for goal in goals})
        found = self._mentorships.find({"_id": {"$in": ids}})
        return {row["_id"]: msgspec.convert(row, Mentorship) for row in await found.to_list(None)}
