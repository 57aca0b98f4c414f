"""Generations: sets of collections folded from the topics, one of which is read."""

from __future__ import annotations

from collections.abc import Sequence

import pymongo
from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.mongo import Collection, Database, Doc, Mongo

FOLDED = ("goals", "mentorships", "diaries", "cells", "months", "engaged", "nudges", "risks", "stale")
INDEX_S = 900.0
OF_THE_INTAKE = ("offsets", "subjects", "parked", "sessions")


class Generation:
    """The collections of one generation; `name` is empty for the first, and else ends with a dot."""

    def __init__(self, mongo: Mongo, database: Database, name: str) -> None:
        self.mongo = mongo
        self.name = name
        self._database = database
        self.goals = self.collection("goals")
        self.mentorships = self.collection("mentorships")
        self.diaries = self.collection("diaries")
        self.cells = self.collection("cells")
        self.months = self.collection("months")
        self.engaged = self.collection("engaged")
        self.nudges = self.collection("nudges")
        self.risks = self.collection("risks")
        self.stale = self.collection("stale")

    def collection(self, name: str) -> Collection:
        """A collection of this generation, by its plain name."""
        return self._database[f"{self.name}{name}"]

    async def make_indexes(self) -> None:
        """Create the indexes; every one begins with the tenant.

        On collections that are full already, as after an update that needs a new one, it takes its time, once.
        """
        with pymongo.timeout(INDEX_S):
            await self._make_indexes()

    async def _make_indexes(self) -> None:
        up, down = ASCENDING, DESCENDING

        def by(*fields: str | tuple[str, int]) -> IndexModel:
            named = [field if isinstance(field, tuple) else (field, up) for field in fields]
            return IndexModel([("org_id", up), *named])

        await self.goals.create_indexes([by("mentorship_id"), by("owner_id"), by("program_id")])
        await self.mentorships.create_indexes([by("program_id"), by("people")])
        await self.diaries.create_indexes(
            [
                by("goal_id", "month"),
                by("mentorship_id", "month"),
                by("people", "month"),
                by("program_id", "month"),
            ]
        )
        await self.cells.create_indexes([by("scope", "id", "day", "recorded")])
        await self.months.create_indexes([by("scope", "id", "month")])
        await self.engaged.create_indexes([by("program_id", "month"), by("month")])
        await self.nudges.create_indexes([by("at"), by("program_id", "at")])
        worst: Sequence[tuple[str, int]] = (("count", down), ("due_at", up), ("_id", up))
        await self.risks.create_indexes(
            [
                by(*worst),
                by("program_id", *worst),
                by("owner_id"),
                by("next_at"),
                IndexModel([("next_at", up)]),
            ]
        )
        await self.stale.create_indexes([by("_id")])

    async def drop(self) -> None:
        """Remove it, with the offsets of its intake."""
        for name in (*OF_THE_INTAKE, *FOLDED):
            await self.collection(name).drop()


class Generations:
    """Which generation is read, and which is being rebuilt.

    One document says so, `generations` in `meta`: `live`, `rebuilding` while one is, `previous` after a switch, and
    `made`, how many there ever were. Processes follow it within `FOLLOW_S`, each in one step.
    """

    def __init__(self, mongo: Mongo, database: Database) -> None:
        self._mongo = mongo
        self._database = database
        self._meta = database["meta"]
        self.live = self.named("")

    def named(self, name: str) -> Generation:
        """A generation by its name."""
        return Generation(self._mongo, self._database, name)

    async def load(self) -> None:
        """Read which generation is live, and make its indexes."""
        await self.follow()
        await self.live.make_indexes()

    async def follow(self) -> bool:
        """Read from the generation that is live now; whether it is another than before."""
        live = (await self._known()).get("live", "")
        if live == self.live.name:
            return False
        self.live = self.named(live)
        return True

    async def rebuilding(self) -> Generation | None:
        """The generation of a rebuild that has begun, if one has."""
        name = (await self._known()).get("rebuilding")
        return None if name is None else self.named(name)

    async def previous(self) -> Generation | None:
        """The generation that was live before the present one, as long as it is kept."""
        name = (await self._known()).get("previous")
        return None if name is None else self.named(name)

    async def begin(self) -> Generation:
        """The generation to rebuild into: that of a rebuild that was broken off, else a new one."""
        begun = await self.rebuilding()
        if begun is None:
            known = await self._known()
            made = int(known.get("made", 0)) + 1
            await self._meta.update_one(
                {"_id": "generations"}, {"$set": {"made": made, "rebuilding": f"g{made}."}}, upsert=True
            )
            begun = self.named(f"g{made}.")
        await begun.make_indexes()
        return begun

    async def switch(self, to: Generation) -> None:
        """Make a rebuilt generation the one that is read; the one before stays as `previous`."""
        live = (await self._known()).get("live", "")
        await self._meta.update_one(
            {"_id": "generations", "rebuilding": to.name},
            {"$set": {"live": to.name, "previous": live}, "$unset": {"rebuilding": ""}},
        )

    async def forget(self, generation: Generation) -> None:
        """Remove a generation that is not live."""
        await self._meta.update_one(
            {"_id": "generations", "previous": generation.name}, {"$unset": {"previous": ""}}
        )
        await self._meta.update_one(
            {"_id": "generations", "rebuilding": generation.name}, {"$unset": {"rebuilding": ""}}
        )
        await generation.drop()

    async def _known(self) -> Doc:
        return await self._meta.find_one({"_id": "generations"}) or {}
