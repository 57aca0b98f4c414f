"""The store of metrics: the only file that speaks to MongoDB.

    goals        a goal's present state, and `lines`: its events with their weights
    mentorships  who takes part in a mentorship, from which day on
    diaries      a month of check-in events about one goal, or about a mentorship
    cells        sums of what counts on one `day` and was `recorded` on one day, of a program or an organization
    nudges       one document a nudge

Cells are partial: each partition of each topic has its own, so that consumers never contend; they are merged when
read. Goals and mentorships are written by the goals topic alone, diaries by the check-ins topic alone, and a
mentorship's events share a partition, so these do not contend either.

All of it can be rebuilt from the topics; `generation` stands before every collection's name, so that a rebuild
can run beside what is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from pymongo import ASCENDING, IndexModel, ReplaceOne, UpdateOne

from services.metrics.domain.days import Asked, month_of
from services.metrics.domain.diary import Entry
from services.metrics.domain.explain import Item
from services.metrics.domain.fold import ORGS, Cell, CellKey, Changes, Diary
from services.metrics.domain.goal import Goal, Line
from services.metrics.domain.mentorship import Mentorship
from services.metrics.domain.nudges import ANSWERED_WITHIN, Deeds, Nudge
from services.metrics.domain.numbers import NO_ROLE, ROLES, Contribution
from shared.mongo import Collection, Database, Doc, Mongo, Session

T = TypeVar("T")

_GOALS_BY = {"goals": "_id", "mentorships": "mentorship_id", "people": "owner_id", "programs": "program_id"}
_DIARIES_BY = {
    "goals": "goal_id",
    "mentorships": "mentorship_id",
    "people": "people",
    "programs": "program_id",
}
_READ = 500
"""Goals whose diaries are read together."""


class Store:
    """What metrics has folded, of one generation."""

    def __init__(self, mongo: Mongo, database: Database, generation: str = "") -> None:
        self._mongo = mongo
        self._goals: Collection = database[f"{generation}goals"]
        self._mentorships: Collection = database[f"{generation}mentorships"]
        self._diaries: Collection = database[f"{generation}diaries"]
        self._cells: Collection = database[f"{generation}cells"]
        self._nudges: Collection = database[f"{generation}nudges"]

    async def make_indexes(self) -> None:
        """Create the indexes; every one begins with the tenant."""

        def by(*fields: str) -> IndexModel:
            return IndexModel([(field, ASCENDING) for field in ("org_id", *fields)])

        await self._goals.create_indexes(
            [by("mentorship_id"), by("owner_id"), by("program_id"), by("state", "program_id")]
        )
        await self._mentorships.create_indexes([by("program_id"), by("people")])
        await self._diaries.create_indexes(
            [
                by("goal_id", "month"),
                by("mentorship_id", "month"),
                by("people", "month"),
                by("program_id", "month"),
            ]
        )
        await self._cells.create_indexes([by("scope", "id", "day", "recorded")])
        await self._nudges.create_indexes([by("at")])

    # -- what a fold needs, within its transaction

    async def goals(self, ids: Iterable[str], session: Session) -> dict[str, Goal]:
        """The present state of goals, as far as they are known."""
        found = self._goals.find({"_id": {"$in": list(ids)}}, {"lines": 0}, session=session)
        return {document["_id"]: msgspec.convert(document, Goal) for document in await found.to_list(None)}

    async def mentorships(self, ids: Iterable[str], session: Session) -> dict[str, Mentorship]:
        """The present state of mentorships, as far as they are known."""
        found = self._mentorships.find({"_id": {"$in": list(ids)}}, session=session)
        return {
            document["_id"]: msgspec.convert(document, Mentorship) for document in await found.to_list(None)
        }

    async def write(self, changes: Changes, part: str, session: Session) -> None:
        """Store what a batch changes: one bulk write per collection. `part` names the topic's partition."""
        if changes.goals:
            goals = [_goal_write(goal, changes.lines[id_]) for id_, goal in changes.goals.items()]
            await self._goals.bulk_write(goals, ordered=False, session=session)
        if changes.mentorships:
            mentorships = [
                ReplaceOne({"_id": id_}, _plain(found), upsert=True)
                for id_, found in changes.mentorships.items()
            ]
            await self._mentorships.bulk_write(mentorships, ordered=False, session=session)
        if changes.diaries:
            diaries = [_diary_write(about, month, diary) for (about, month), diary in changes.diaries.items()]
            await self._diaries.bulk_write(diaries, ordered=False, session=session)
        if changes.cells:
            cells = [_cell_write(key, cell, part) for key, cell in changes.cells.items()]
            await self._cells.bulk_write(cells, ordered=False, session=session)
        if changes.nudges:
            nudges = [
                ReplaceOne({"_id": id_}, _plain(nudge), upsert=True) for id_, nudge in changes.nudges.items()
            ]
            await self._nudges.bulk_write(nudges, ordered=False, session=session)

    # -- who and what is known

    async def mentorship(self, org_id: str, mentorship_id: str) -> Mentorship | None:
        """A mentorship, or None when it is not known."""
        document = await self._mentorships.find_one({"_id": mentorship_id, "org_id": org_id})
        return None if document is None else msgspec.convert(document, Mentorship)

    async def mentorship_of_goal(self, org_id: str, goal_id: str) -> Mentorship | None:
        """The mentorship of a goal, or None when either is not known."""
        for collection, where in ((self._goals, {"_id": goal_id}), (self._diaries, {"goal_id": goal_id})):
            found = await collection.find_one({"org_id": org_id, **where}, {"mentorship_id": 1})
            if found is not None:
                return await self.mentorship(org_id, found["mentorship_id"])
        return None

    async def known(self, org_id: str, scope: str, id_: str) -> bool:
        """Whether any event ever told of this thing."""
        if scope == ORGS:
            return id_ == org_id and await self._any(
                (self._mentorships, {"org_id": org_id}), (self._cells, {"org_id": org_id})
            )
        places: list[tuple[Collection, Doc]] = [
            (self._goals, {"org_id": org_id, _GOALS_BY[scope]: id_}),
            (self._diaries, {"org_id": org_id, _DIARIES_BY[scope]: id_}),
        ]
        if scope != "goals":
            field = {"mentorships": "_id", "people": "people", "programs": "program_id"}[scope]
            places.insert(0, (self._mentorships, {"org_id": org_id, field: id_}))
        return await self._any(*places)

    async def _any(self, *places: tuple[Collection, Doc]) -> bool:
        for collection, where in places:
            if await collection.find_one(where, {"_id": 1}) is not None:
                return True
        return False

    async def programs(self, org_id: str) -> list[str]:
        """The ids of the organization's programs."""
        return sorted(await self._mentorships.distinct("program_id", {"org_id": org_id}))

    # -- numbers

    async def items(self, org_id: str, scope: str, id_: str, asked: Asked) -> AsyncIterator[Item]:
        """The events that count in a scope: all of its goals, and the check-in events of the window's months."""
        of_scope = {} if scope == ORGS else {_GOALS_BY[scope]: id_}
        fields = {"lines": 1, "owner_role": 1}
        async for document in self._goals.find({"org_id": org_id, **of_scope}, fields):
            for line in document.get("lines", ()):
                yield Item.of_line(document["_id"], document.get("owner_role"), msgspec.convert(line, Line))
        where: Doc = {
            "org_id": org_id,
            "month": {"$gte": month_of(asked[0].start), "$lte": month_of(asked[0].end)},
        }
        if scope != ORGS:
            where[_DIARIES_BY[scope]] = id_
        async for document in self._diaries.find(where, {"entries": 1}):
            for entry in _entries(document):
                if scope != "people" or entry.by == id_:
                    yield Item.of_entry(entry)

    async def cells(
        self, org_id: str, scope: str, id_: str, asked: Asked
    ) -> tuple[list[Contribution], list[tuple[int, list[str]]]]:
        """The sums of a program or an organization, and who was engaged on which day of the window.

        Of the days before the window there is one contribution a role: what was open when it began.
        """
        window, as_of = asked
        of_scope: Doc = {"org_id": org_id, "scope": scope, "id": id_, "recorded": {"$lte": as_of}}
        contributions: list[Contribution] = []
        engaged: list[tuple[int, list[str]]] = []
        inside = of_scope | {"day": {"$gte": window.start, "$lte": window.end}}
        async for document in self._cells.find(inside, {"_id": 0, "org_id": 0, "scope": 0, "id": 0}):
            day = document["day"]
            for role in (*ROLES, NO_ROLE):
                for number, amount in document.get(role, {}).items():
                    contributions.append(Contribution(role, number, day, amount))
            if people := document.get("engaged"):
                engaged.append((day, people))
        earlier = await self._mongo.aggregate(
            self._cells,
            [
                {"$match": of_scope | {"day": {"$lt": window.start}}},
                {"$group": {"_id": None, **{role: {"$sum": f"${role}.open"} for role in ROLES}}},
            ],
        )
        for document in earlier:
            contributions += [Contribution(role, "open", window.start - 1, document[role]) for role in ROLES]
        return contributions, engaged

    async def mentorships_in(self, org_id: str, program_id: str | None, asked: Asked) -> list[Mentorship]:
        """The mentorships that may be in a window, of a program or of the whole organization."""
        window, as_of = asked
        where: Doc = {
            "org_id": org_id,
            "crews.0.since": {"$lte": min(window.end, as_of)},
            "$or": [
                {"end": None},
                {"end.day": {"$gte": window.start}},
                {"end.recorded": {"$gt": as_of}},
            ],
        }
        if program_id is not None:
            where["program_id"] = program_id
        fields = {"org_id": 1, "program_id": 1, "crews": 1, "end": 1}
        found = await self._mentorships.find(where, fields).to_list(None)
        return [msgspec.convert(document, Mentorship) for document in found]

    # -- goals at risk, and exports

    async def active_goals(
        self, org_id: str, program_id: str | None, owner_id: str | None
    ) -> AsyncIterator[tuple[Goal, list[Entry]]]:
        """The goals that are open at present, each with its check-in events."""
        where: Doc = {"org_id": org_id, "state": "active"}
        if program_id is not None:
            where["program_id"] = program_id
        if owner_id is not None:
            where["owner_id"] = owner_id
        async for found in self._with_entries(org_id, where):
            yield found

    async def all_goals(self, org_id: str, program_id: str | None) -> AsyncIterator[tuple[Goal, list[Entry]]]:
        """All goals of an organization or a program, each with its check-in events."""
        async for found in self._with_entries(org_id, _of_program(org_id, program_id)):
            yield found

    async def _with_entries(self, org_id: str, where: Doc) -> AsyncIterator[tuple[Goal, list[Entry]]]:
        chunk: list[Goal] = []
        async for document in self._goals.find(where, {"lines": 0}).sort("_id", ASCENDING):
            chunk.append(msgspec.convert(document, Goal))
            if len(chunk) == _READ:
                async for found in self._chunk(org_id, chunk):
                    yield found
                chunk = []
        async for found in self._chunk(org_id, chunk):
            yield found

    async def _chunk(self, org_id: str, goals: Sequence[Goal]) -> AsyncIterator[tuple[Goal, list[Entry]]]:
        if not goals:
            return
        entries = await self._entries_about(org_id, [goal.goal_id for goal in goals])
        for goal in goals:
            yield goal, entries.get(goal.goal_id, [])

    async def _entries_about(self, org_id: str, goal_ids: Sequence[str]) -> dict[str, list[Entry]]:
        entries: dict[str, list[Entry]] = {}
        where = {"org_id": org_id, "goal_id": {"$in": list(goal_ids)}}
        async for document in self._diaries.find(where, {"goal_id": 1, "entries": 1}):
            entries.setdefault(document["goal_id"], []).extend(_entries(document))
        return entries

    async def all_mentorships(self, org_id: str, program_id: str | None) -> AsyncIterator[Mentorship]:
        """All mentorships of an organization or a program."""
        async for document in self._mentorships.find(_of_program(org_id, program_id)).sort("_id", ASCENDING):
            yield msgspec.convert(document, Mentorship)

    async def all_diaries(self, org_id: str, program_id: str | None) -> AsyncIterator[Diary]:
        """All check-in events of an organization or a program, those about one thing together."""
        last: str | None = None
        diary: Diary | None = None
        async for document in self._diaries.find(_of_program(org_id, program_id)).sort("_id", ASCENDING):
            about = document["_id"].partition("|")[0]
            if diary is None or about != last:
                if diary is not None:
                    yield diary
                last = about
                diary = Diary(
                    document["org_id"],
                    document["program_id"],
                    document["mentorship_id"],
                    document.get("goal_id"),
                )
            diary.entries += _entries(document)
        if diary is not None:
            yield diary

    # -- nudges

    async def nudges(self, org_id: str, start: datetime, end: datetime) -> tuple[list[Nudge], Deeds]:
        """The nudges from `start` to `end` (exclusive), and what was done about their subjects."""
        where: Doc = {"org_id": org_id, "at": {"$gte": start, "$lt": end}}
        nudges = [
            msgspec.convert(document, Nudge) for document in await self._nudges.find(where).to_list(None)
        ]
        goals = sorted({nudge.goal_id for nudge in nudges if nudge.goal_id is not None})
        mentorships = sorted({nudge.mentorship_id for nudge in nudges})
        deeds = Deeds()
        if not nudges:
            return nudges, deeds
        deeds.lines = {
            document["_id"]: msgspec.convert(document.get("lines", []), list[Line])
            async for document in self._goals.find({"org_id": org_id, "_id": {"$in": goals}}, {"lines": 1})
        }
        deeds.signatures = {
            document["_id"]: msgspec.convert(document, Mentorship).signatures
            async for document in self._mentorships.find({"org_id": org_id, "_id": {"$in": mentorships}})
        }
        entries: dict[str, list[Entry]] = {}
        acknowledgements: dict[str, list[Entry]] = {}
        # Months are those of what happened, which lies up to a week before it was told.
        months = {
            "$gte": month_of(start.toordinal() - 31),
            "$lte": month_of((end + ANSWERED_WITHIN).toordinal() + 1),
        }
        about = {"org_id": org_id, "mentorship_id": {"$in": mentorships}, "month": months}
        async for document in self._diaries.find(about):
            for entry in _entries(document):
                if entry.type == "CheckInAcknowledged":
                    acknowledgements.setdefault(entry.checkin_id or "", []).append(entry)
                elif document.get("goal_id") is not None:
                    entries.setdefault(document["goal_id"], []).append(entry)
        deeds.entries, deeds.acknowledgements = entries, acknowledgements
        return nudges, deeds


def _plain(struct: msgspec.Struct) -> Doc:
    plain: Doc = msgspec.to_builtins(struct, builtin_types=(datetime,))
    return plain


def _goal_write(goal: Goal, lines: Sequence[Line]) -> UpdateOne:
    state = _plain(goal)
    del state["_id"]
    return UpdateOne(
        {"_id": goal.goal_id},
        {"$set": state, "$push": {"lines": {"$each": [_plain(line) for line in lines]}}},
        upsert=True,
    )


def _diary_write(about: str, month: str, diary: Diary) -> UpdateOne:
    first: Doc = {
        "org_id": diary.org_id,
        "program_id": diary.program_id,
        "mentorship_id": diary.mentorship_id,
        "month": month,
    }
    if diary.goal_id is not None:
        first["goal_id"] = diary.goal_id
    return UpdateOne(
        {"_id": f"{about}|{month}"},
        {
            "$setOnInsert": first,
            "$push": {"entries": {"$each": [_plain(entry) for entry in diary.entries]}},
            "$addToSet": {"people": {"$each": sorted({entry.by for entry in diary.entries})}},
        },
        upsert=True,
    )


def _cell_write(key: CellKey, cell: Cell, part: str) -> UpdateOne:
    org_id, scope, id_, day, recorded = key
    update: Doc = {
        "$setOnInsert": {"org_id": org_id, "scope": scope, "id": id_, "day": day, "recorded": recorded}
    }
    sums = {path: amount for path, amount in cell.sums.items() if amount}
    if sums:
        update["$inc"] = sums
    if cell.engaged:
        update["$addToSet"] = {"engaged": {"$each": sorted(cell.engaged)}}
    return UpdateOne({"_id": f"{org_id}|{scope}|{id_}|{day}|{recorded}|{part}"}, update, upsert=True)


def _entries(document: Mapping[str, Any]) -> list[Entry]:
    return msgspec.convert(document.get("entries", []), list[Entry])


def _of_program(org_id: str, program_id: str | None) -> Doc:
    return {"org_id": org_id} if program_id is None else {"org_id": org_id, "program_id": program_id}
