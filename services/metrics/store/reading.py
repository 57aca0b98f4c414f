"""What is read of the live generation: who and what is known, numbers, pairs, nudges."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

import msgspec
from pymongo import ASCENDING, DESCENDING

from services.metrics.domain.days import Asked, Granularity, Window, days_of, month_of
from services.metrics.domain.diary import Entry
from services.metrics.domain.explain import Item
from services.metrics.domain.fold import ORGS, PROGRAMS
from services.metrics.domain.goal import Goal, Line
from services.metrics.domain.mentorship import Mentorship
from services.metrics.domain.nudges import ANSWERED_WITHIN, Deeds, Nudge
from services.metrics.domain.numbers import NO_ROLE, ROLES, Contribution
from services.metrics.store.generations import Generation, Generations
from shared.mongo import BY_ID, Collection, Doc

_GOALS_BY = {"goals": "_id", "mentorships": "mentorship_id", "people": "owner_id", "programs": "program_id"}
_DIARIES_BY = {
    "goals": "goal_id",
    "mentorships": "mentorship_id",
    "people": "people",
    "programs": "program_id",
}


class Store:
    """What metrics has folded, of the generation that is live."""

    def __init__(self, generations: Generations) -> None:
        self._generations = generations

    @property
    def _kept(self) -> Generation:
        return self._generations.live

    # -- who and what is known

    async def mentorship(self, org_id: str, mentorship_id: str) -> Mentorship | None:
        """A mentorship, or None when it is not known."""
        document = await self._kept.mentorships.find_one({"_id": mentorship_id, "org_id": org_id}, hint=BY_ID)
        return None if document is None else msgspec.convert(document, Mentorship)

    async def mentorship_of_goal(self, org_id: str, goal_id: str) -> Mentorship | None:
        """The mentorship of a goal, or None when either is not known."""
        for collection, where in (
            (self._kept.goals, {"_id": goal_id}),
            (self._kept.diaries, {"goal_id": goal_id}),
        ):
            found = await collection.find_one({"org_id": org_id, **where}, {"mentorship_id": 1})
            if found is not None:
                return await self.mentorship(org_id, found["mentorship_id"])
        return None

    async def known(self, org_id: str, scope: str, id_: str) -> bool:
        """Whether any event ever told of this thing."""
        if scope == ORGS:
            return id_ == org_id and await self._any(
                (self._kept.mentorships, {"org_id": org_id}), (self._kept.cells, {"org_id": org_id})
            )
        places: list[tuple[Collection, Doc]] = [
            (self._kept.goals, {"org_id": org_id, _GOALS_BY[scope]: id_}),
            (self._kept.diaries, {"org_id": org_id, _DIARIES_BY[scope]: id_}),
        ]
        if scope != "goals":
            field = {"mentorships": "_id", "people": "people", "programs": "program_id"}[scope]
            places.insert(0, (self._kept.mentorships, {"org_id": org_id, field: id_}))
        return await self._any(*places)

    async def _any(self, *places: tuple[Collection, Doc]) -> bool:
        for collection, where in places:
            if await collection.find_one(where, {"_id": 1}) is not None:
                return True
        return False

    async def mentorships_of(self, org_id: str, person_id: str) -> list[Mentorship]:
        """The mentorships that a person ever took part in or coordinated, the latest first."""
        found = self._kept.mentorships.find({"org_id": org_id, "people": person_id}).sort("_id", DESCENDING)
        return [msgspec.convert(document, Mentorship) for document in await found.limit(200).to_list(None)]

    async def programs(self, org_id: str) -> list[str]:
        """The ids of the organization's programs."""
        return sorted(await self._kept.mentorships.distinct("program_id", {"org_id": org_id}))

    # -- numbers

    async def items(self, org_id: str, scope: str, id_: str, asked: Asked) -> AsyncIterator[Item]:
        """The events that count in a scope: all of its goals, and the check-in events of the window's months."""
        of_scope: Doc = {} if scope == ORGS else {_GOALS_BY[scope]: id_}
        fields = {"lines": 1, "owner_role": 1}
        async for document in self._kept.goals.find({"org_id": org_id, **of_scope}, fields):
            for line in document.get("lines", ()):
                yield Item.of_line(document["_id"], document.get("owner_role"), msgspec.convert(line, Line))
        where: Doc = {
            "org_id": org_id,
            "month": {"$gte": month_of(asked[0].start), "$lte": month_of(asked[0].end)},
        }
        if scope != ORGS:
            where[_DIARIES_BY[scope]] = id_
        async for document in self._kept.diaries.find(where, {"entries": 1}):
            for entry in _entries(document):
                if scope != "people" or entry.by == id_:
                    yield Item.of_entry(entry)

    async def sums(
        self, org_id: str, scope: str, id_: str, asked: Asked, granularity: Granularity | None
    ) -> tuple[list[Contribution], list[tuple[int, list[str]]]]:
        """The sums of a program or an organization, and who was engaged on which day of the window.

        Days may be summed up, as far as `granularity` does not tell them apart; of the days before the window
        there is one contribution a role: what was open when it began.
        """
        if asked.latest:
            return await self._by_months(org_id, scope, id_, asked.window, granularity)
        return await self._by_cells(org_id, scope, id_, asked)

    async def _by_months(
        self, org_id: str, scope: str, id_: str, window: Window, granularity: Granularity | None
    ) -> tuple[list[Contribution], list[tuple[int, list[str]]]]:
        first, last = month_of(window.start), month_of(window.end)
        whole = set() if granularity in ("day", "week") else _whole_months(window)
        of_scope: Doc = {"org_id": org_id, "scope": scope, "id": id_}
        contributions: list[Contribution] = []
        engaged: list[tuple[int, list[str]]] = []
        for months, fields in ((whole, "total"), (_months(window) - whole, "days")):
            if not months:
                continue
            found = self._kept.months.find(
                of_scope | {"month": {"$in": sorted(months)}}, {"_id": 0, "month": 1, fields: 1}
            )
            async for document in found:
                contributions += _contributions(document, fields, window)
        earlier = await self._kept.mongo.aggregate(
            self._kept.months,
            [
                {"$match": of_scope | {"month": {"$lt": first}}},
                {"$group": {"_id": None, **{role: {"$sum": f"$total.{role}.open"} for role in ROLES}}},
            ],
        )
        for document in earlier:
            contributions += [Contribution(role, "open", window.start - 1, document[role]) for role in ROLES]
        if first not in whole:
            of_first: Doc = of_scope | {"month": first}
            async for document in self._kept.months.find(of_first, {"_id": 0, "month": 1, "days": 1}):
                before = Window(days_of(first).start, window.start - 1)
                contributions += [
                    each for each in _contributions(document, "days", before) if each.number == "open"
                ]
        of_people: Doc = {"org_id": org_id, "month": {"$gte": first, "$lte": last}}
        if scope != ORGS:
            of_people["program_id"] = id_
        for months, fields in ((whole, "all"), (_months(window) - whole, "days")):
            if months:
                found = self._kept.engaged.find(
                    of_people | {"month": {"$in": sorted(months)}}, {"month": 1, fields: 1}
                )
                async for document in found:
                    engaged += _engaged(document, fields, window)
        return contributions, engaged

    async def _by_cells(
        self, org_id: str, scope: str, id_: str, asked: Asked
    ) -> tuple[list[Contribution], list[tuple[int, list[str]]]]:
        window, as_of, _ = asked
        of_scope: Doc = {"org_id": org_id, "scope": scope, "id": id_, "recorded": {"$lte": as_of}}
        contributions: list[Contribution] = []
        engaged: list[tuple[int, list[str]]] = []
        inside = of_scope | {"day": {"$gte": window.start, "$lte": window.end}}
        async for document in self._kept.cells.find(inside, {"_id": 0, "org_id": 0, "scope": 0, "id": 0}):
            day = document["day"]
            contributions += _by_role(document, day)
            if people := document.get("engaged"):
                engaged.append((day, people))
        if scope == ORGS:
            of_programs = {name: wanted for name, wanted in inside.items() if name != "id"}
            of_programs |= {"scope": PROGRAMS, "engaged": {"$exists": True}}
            found = self._kept.cells.find(of_programs, {"_id": 0, "day": 1, "engaged": 1})
            engaged += [(document["day"], document["engaged"]) async for document in found]
        earlier = await self._kept.mongo.aggregate(
            self._kept.cells,
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
        window, as_of, _ = asked
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
        found = await self._kept.mentorships.find(where, fields).to_list(None)
        return [msgspec.convert(document, Mentorship) for document in found]

    # -- for the dashboard

    async def goals_of_pair(
        self, org_id: str, mentorship_id: str
    ) -> list[tuple[Goal, list[Line], list[Entry]]]:
        """A mentorship's goals, the first set first, each with its own events and its check-in events."""
        where = {"org_id": org_id, "mentorship_id": mentorship_id}
        documents = await self._kept.goals.find(where).sort("_id", ASCENDING).limit(500).to_list(None)
        entries = await entries_about(self._kept, org_id, [document["_id"] for document in documents])
        return [
            (
                msgspec.convert(document, Goal),
                msgspec.convert(document.get("lines", []), list[Line]),
                entries.get(document["_id"], []),
            )
            for document in documents
        ]

    async def logged_by_week(self, org_id: str, program_id: str, window: Window) -> dict[str, dict[int, int]]:
        """How many check-ins were logged, by mentorship and by the Monday of the week they tell of."""
        months = {"$gte": month_of(window.start - 6), "$lte": month_of(window.end)}
        where: Doc = {"org_id": org_id, "program_id": program_id, "month": months}
        found: dict[str, dict[int, int]] = {}
        async for document in self._kept.diaries.find(where, {"_id": 0, "mentorship_id": 1, "weeks": 1}):
            of_pair = found.setdefault(document["mentorship_id"], {})
            for monday, count in document.get("weeks", {}).items():
                if window.start - 6 <= int(monday) <= window.end:
                    of_pair[int(monday)] = of_pair.get(int(monday), 0) + count
        return found

    # -- nudges

    async def nudges(self, org_id: str, program_id: str | None, window: Window) -> tuple[list[Nudge], Deeds]:
        """The nudges of a window, and what was done about their subjects."""
        where: Doc = {**_of_program(org_id, program_id), "at": _instants(window)}
        nudges = [
            msgspec.convert(document, Nudge) for document in await self._kept.nudges.find(where).to_list(None)
        ]
        goals = sorted({nudge.goal_id for nudge in nudges if nudge.goal_id is not None})
        mentorships = sorted({nudge.mentorship_id for nudge in nudges})
        deeds = Deeds()
        if not nudges:
            return nudges, deeds
        deeds.lines = {
            document["_id"]: msgspec.convert(document.get("lines", []), list[Line])
            async for document in self._kept.goals.find(
                {"org_id": org_id, "_id": {"$in": goals}}, {"lines": 1}
            )
        }
        deeds.signatures = {
            document["_id"]: msgspec.convert(document, Mentorship).signatures
            async for document in self._kept.mentorships.find({"org_id": org_id, "_id": {"$in": mentorships}})
        }
        entries: dict[str, list[Entry]] = {}
        acknowledgements: dict[str, list[Entry]] = {}
        # Months are those of what happened, which lies up to a week before it was told.
        months = {
            "$gte": month_of(window.start - 31),
            "$lte": month_of(window.end + ANSWERED_WITHIN.days + 2),
        }
        about = {"org_id": org_id, "mentorship_id": {"$in": mentorships}, "month": months}
        async for document in self._kept.diaries.find(about):
            for entry in _entries(document):
                if entry.type == "CheckInAcknowledged":
                    acknowledgements.setdefault(entry.checkin_id or "", []).append(entry)
                elif document.get("goal_id") is not None:
                    entries.setdefault(document["goal_id"], []).append(entry)
        deeds.entries, deeds.acknowledgements = entries, acknowledgements
        return nudges, deeds


async def entries_about(kept: Generation, org_id: str, goal_ids: Sequence[str]) -> dict[str, list[Entry]]:
    """The check-in events about some goals."""
    entries: dict[str, list[Entry]] = {}
    where = {"org_id": org_id, "goal_id": {"$in": list(goal_ids)}}
    async for document in kept.diaries.find(where, {"goal_id": 1, "entries": 1}):
        entries.setdefault(document["goal_id"], []).extend(_entries(document))
    return entries


def _instants(window: Window) -> Doc:
    """The instants of a window's days. Up to the last of them: the calendar's last day has no next midnight."""
    first, last = date.fromordinal(window.start), date.fromordinal(window.end)
    return {"$gte": datetime.combine(first, time.min, UTC), "$lte": datetime.combine(last, time.max, UTC)}


def _months(window: Window) -> set[str]:
    """The months that a window touches."""
    day, months = window.start, set()
    while day <= window.end:
        month = month_of(day)
        months.add(month)
        day = days_of(month).end + 1
    return months


def _whole_months(window: Window) -> set[str]:
    """The months of which a window has every day."""
    found = ((month, days_of(month)) for month in _months(window))
    return {month for month, days in found if window.start <= days.start and days.end <= window.end}


def _contributions(document: Mapping[str, Any], field: str, window: Window) -> Iterator[Contribution]:
    """What a month holds of a window: as a whole (`total`), told for its first day, or by its `days`."""
    if field == "total":
        yield from _by_role(document.get("total", {}), days_of(document["month"]).start)
        return
    for day, of_day in document.get("days", {}).items():
        if window.start <= int(day) <= window.end:
            yield from _by_role(of_day, int(day))


def _by_role(sums: Mapping[str, Any], day: int) -> Iterator[Contribution]:
    for role in (*ROLES, NO_ROLE):
        for number, amount in sums.get(role, {}).items():
            yield Contribution(role, number, day, amount)


def _engaged(document: Mapping[str, Any], field: str, window: Window) -> Iterator[tuple[int, list[str]]]:
    if field == "all":
        yield days_of(document["month"]).start, document["all"]
        return
    for day, people in document["days"].items():
        if window.start <= int(day) <= window.end:
            yield int(day), people


def _entries(document: Mapping[str, Any]) -> list[Entry]:
    return msgspec.convert(document.get("entries", []), list[Entry])


def _of_program(org_id: str, program_id: str | None) -> Doc:
    return {"org_id": org_id} if program_id is None else {"org_id": org_id, "program_id": program_id}
