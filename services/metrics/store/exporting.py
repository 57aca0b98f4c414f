"""Whole resources, read as they are sent: in the order of an index, a part at a time, for as long as it takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pymongo
from pymongo import ASCENDING

from services.metrics.domain.diary import Entry
from services.metrics.domain.fold import Diary
from services.metrics.domain.goal import Goal
from services.metrics.domain.mentorship import Mentorship
from services.metrics.store.generations import Generation, Generations
from services.metrics.store.reading import entries_about
from shared.mongo import Doc

GOALS_TOGETHER = 500
"""Goals whose check-in events are read together."""
PART_S = 60.0
"""How long a part may take: longer than a request may wait, since its answer has begun."""
BY_MENTORSHIP = "org_id_1_mentorship_id_1"
BY_MENTORSHIP_AND_MONTH = "org_id_1_mentorship_id_1_month_1"


class Exporting:
    """All resources of an organization, or of a program of it, of the generation that is live."""

    def __init__(self, generations: Generations) -> None:
        self._generations = generations

    @property
    def _kept(self) -> Generation:
        return self._generations.live

    async def goals(self, org_id: str, program_id: str | None) -> AsyncIterator[tuple[Goal, list[Entry]]]:
        """All goals, those of a mentorship together, each with its check-in events."""
        kept = self._kept
        # By hint: a sort in memory would make the first row wait for the last, and has a bound.
        found = kept.goals.find(_of(org_id, program_id), {"lines": 0}, hint=BY_MENTORSHIP)
        chunk: list[Goal] = []
        async for document in _patiently(found.sort("mentorship_id", ASCENDING)):
            chunk.append(msgspec.convert(document, Goal))
            if len(chunk) == GOALS_TOGETHER:
                for each in await _with_entries(kept, org_id, chunk):
                    yield each
                chunk = []
        for each in await _with_entries(kept, org_id, chunk):
            yield each

    async def diaries(self, org_id: str, program_id: str | None) -> AsyncIterator[Diary]:
        """All check-in events, those about one thing together, and those of a mentorship."""
        last: str | None = None
        diaries: dict[str, Diary] = {}
        found = self._kept.diaries.find(_of(org_id, program_id), hint=BY_MENTORSHIP_AND_MONTH)
        async for document in _patiently(found.sort([("mentorship_id", ASCENDING), ("month", ASCENDING)])):
            if document["mentorship_id"] != last:
                for each in diaries.values():
                    yield each
                last, diaries = document["mentorship_id"], {}
            goal_id = document.get("goal_id")
            about = diaries.setdefault(
                goal_id or "",
                Diary(document["org_id"], document["program_id"], document["mentorship_id"], goal_id),
            )
            about.entries += msgspec.convert(document.get("entries", []), list[Entry])
        for each in diaries.values():
            yield each

    async def mentorships(self, org_id: str, program_id: str | None) -> AsyncIterator[Mentorship]:
        """All mentorships, those of a program together."""
        found = self._kept.mentorships.find(_of(org_id, program_id), hint="org_id_1_program_id_1")
        async for document in _patiently(found.sort("program_id", ASCENDING)):
            yield msgspec.convert(document, Mentorship)


async def _with_entries(
    kept: Generation, org_id: str, goals: Sequence[Goal]
) -> list[tuple[Goal, list[Entry]]]:
    if not goals:
        return []
    with pymongo.timeout(PART_S):
        entries = await entries_about(kept, org_id, [goal.goal_id for goal in goals])
    return [(goal, entries.get(goal.goal_id, [])) for goal in goals]


async def _patiently(cursor: Any) -> AsyncIterator[Doc]:
    while True:
        with pymongo.timeout(PART_S):
            document: Doc | None = await anext(cursor, None)
        if document is None:
            return
        yield document


def _of(org_id: str, program_id: str | None) -> Doc:
    return {"org_id": org_id} if program_id is None else {"org_id": org_id, "program_id": program_id}
