"""The assessments of open goals, kept by the worst, and which of them are not up to date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from pymongo import ASCENDING, DESCENDING, DeleteMany, ReplaceOne

from services.metrics.domain.diary import Entry
from services.metrics.domain.goal import Goal
from services.metrics.domain.risk import Risk
from services.metrics.store.generations import Generation, Generations
from services.metrics.store.reading import entries_about
from shared.mongo import Doc

After = tuple[int, datetime, str]


@dataclass(frozen=True, slots=True)
class Stale:
    """Goals to be assessed anew, and the notes that say so."""

    notes: list[Any]
    goals: set[str]


class RiskStore:
    """Assessments of the generation that is live, or of a given one."""

    def __init__(self, generations: Generations, generation: Generation | None = None) -> None:
        self._generations = generations
        self._given = generation

    @property
    def _kept(self) -> Generation:
        return self._given or self._generations.live

    async def worst(
        self, org_id: str, program_id: str | None, owner_id: str | None, limit: int, after: After | None
    ) -> list[Risk]:
        """Assessments with a signal, most signals first, then by deadline, from after a rank on."""
        where: Doc = {"org_id": org_id, "count": {"$gt": 0}}
        if program_id is not None:
            where["program_id"] = program_id
        if owner_id is not None:
            where["owner_id"] = owner_id
        if after is not None:
            negative, due_at, goal_id = after
            count = -negative
            where["count"] = {"$gt": 0, "$lte": count}
            where["$or"] = [
                {"count": {"$lt": count}},
                {"count": count, "due_at": {"$gt": due_at}},
                {"count": count, "due_at": due_at, "_id": {"$gt": goal_id}},
            ]
        found = self._kept.risks.find(where).limit(limit)
        found = found.sort([("count", DESCENDING), ("due_at", ASCENDING), ("_id", ASCENDING)])
        return [msgspec.convert(document, Risk) for document in await found.to_list(None)]

    async def touched(self, org_id: str | None, limit: int) -> Stale:
        """Goals that something happened to since they were assessed, of `limit` notes, oldest first."""
        where: Doc = {} if org_id is None else {"org_id": org_id}
        notes = await self._kept.stale.find(where).sort("_id", ASCENDING).limit(limit).to_list(None)
        return Stale([note["_id"] for note in notes], {id_ for note in notes for id_ in note["goals"]})

    async def due(self, org_id: str | None, now: datetime, limit: int) -> set[str]:
        """Goals that time may have changed since they were assessed."""
        where: Doc = {"next_at": {"$lte": now}}
        if org_id is not None:
            where["org_id"] = org_id
        found = await self._kept.risks.find(where, {"_id": 1}).limit(limit).to_list(None)
        return {document["_id"] for document in found}

    async def open_goals(self, ids: Iterable[str]) -> list[tuple[Goal, list[Entry]]]:
        """Those of some goals that are open, each with its check-in events."""
        where: Doc = {"_id": {"$in": list(ids)}, "state": "active"}
        found = await self._kept.goals.find(where, {"lines": 0}).to_list(None)
        goals = [msgspec.convert(document, Goal) for document in found]
        by_org: dict[str, list[str]] = {}
        for goal in goals:
            by_org.setdefault(goal.org_id, []).append(goal.goal_id)
        entries: dict[str, list[Entry]] = {}
        for org_id, of_org in by_org.items():
            entries |= await entries_about(self._kept, org_id, of_org)
        return [(goal, entries.get(goal.goal_id, [])) for goal in goals]

    async def keep(self, risks: Iterable[Risk], closed: Iterable[str]) -> None:
        """Store assessments, and remove those of goals that are open no more."""
        writes: list[ReplaceOne[Doc] | DeleteMany] = [
            ReplaceOne({"_id": risk.goal_id}, _plain(risk), upsert=True) for risk in risks
        ]
        gone = list(closed)
        if gone:
            # In one: mostly there is nothing to remove, and to find that out for each by itself costs far more.
            writes.append(DeleteMany({"_id": {"$in": gone}}))
        if writes:
            await self._kept.risks.bulk_write(writes, ordered=False)

    async def settle(self, stale: Stale) -> None:
        """Remove notes whose goals have been assessed since they were read."""
        if stale.notes:
            await self._kept.stale.delete_many({"_id": {"$in": stale.notes}})


def _plain(risk: Risk) -> Doc:
    plain: Doc = msgspec.to_builtins(risk, builtin_types=(datetime,))
    if risk.next_at is None:
        del plain["next_at"]
    return plain
