"""Check-ins: each an aggregate with its acknowledgements, its events and kept answers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from pymongo import ASCENDING, DESCENDING, IndexModel

from services.checkins.domain.check_in import MOST_PER_GOAL, Acknowledgement, CheckIn
from services.checkins.domain.privacy import Reader, answer_without_words_of, without_words_of
from shared import events as contract
from shared.aggregates import Aggregates, Outbox, StaleWrite
from shared.errors import Conflict
from shared.http.pages import Page
from shared.idempotency import Answer, Idem
from shared.mongo import Database, Doc, Mongo

CHECKINS = "checkins"
PROGRESS = {"number": "value", "milestones": "milestones", "done": "done"}
"""The field of a progress by the kind of measure."""
NUMBERS_KEPT = 50_000
ERASED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Stored:
    """A check-in, and the document that it was read from."""

    check_in: CheckIn
    document: Doc

    @property
    def version(self) -> int:
        """For its ETag."""
        return int(self.document["v"])


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to: ids, and instants of `occurred_at` (`until` exclusive)."""

    mentorship_id: str | None = None
    goal_id: str | None = None
    author_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class CheckIns:
    """The check-ins of all organizations."""

    def __init__(self, mongo: Mongo, database: Database, outbox: Outbox) -> None:
        self._mongo = mongo
        self.collection = database[CHECKINS]
        self._aggregates = Aggregates(mongo, self.collection, outbox)
        self._numbers: OrderedDict[str, int] = OrderedDict()

    async def make_indexes(self) -> None:
        """Create the indexes; repeatable."""
        newest = [("occurred_at", DESCENDING), ("_id", DESCENDING)]
        of_a_goal = {"goal_id": {"$exists": True}}
        await self._aggregates.make_indexes(
            IndexModel([("org_id", ASCENDING), *newest], name="organization"),
            IndexModel([("mentorship_id", ASCENDING), *newest], name="mentorship"),
            IndexModel([("org_id", ASCENDING), ("author_id", ASCENDING), *newest], name="author"),
            IndexModel(
                [("org_id", ASCENDING), ("routed_to", ASCENDING), *newest],
                name="routed",
                partialFilterExpression={"routed_to": {"$exists": True}},
            ),
            # The last field is for the cadence, which then reads nothing but this index.
            IndexModel(
                [("goal_id", ASCENDING), *newest, ("logged_at", DESCENDING)],
                name="goal",
                partialFilterExpression=of_a_goal,
            ),
            IndexModel(
                [("goal_id", ASCENDING), ("number", ASCENDING)],
                name="number",
                unique=True,
                partialFilterExpression=of_a_goal,
            ),
            IndexModel(
                [("link", ASCENDING)],
                name="link",
                unique=True,
                partialFilterExpression={"link": {"$exists": True}},
            ),
            IndexModel(
                [("org_id", ASCENDING), ("acknowledgements.by", ASCENDING)],
                name="acknowledger",
                partialFilterExpression={"acknowledgements.by": {"$exists": True}},
            ),
        )

    async def add(
        self,
        check_in: CheckIn,
        events: Sequence[contract.Event],
        *,
        partition: int,
        number: int | None,
        link: str | None = None,
        idem: Idem | None = None,
        answer: Answer | None = None,
    ) -> None:
        """Store a new check-in with its events, in one write.

        Raises:
            Duplicate: of `idem.k`: the key was used before; of `goal_id`: the number was; of `link`: the link was.
        """
        added: Doc = {"partition": partition}
        if number is not None:
            added["number"] = number
        if link is not None:
            added["link"] = link
        change = self._aggregates.new(
            id=check_in.checkin_id,
            org_id=check_in.org_id,
            key=check_in.mentorship_id,
            subject=f"checkin/{check_in.checkin_id}",
            now=check_in.logged_at,
            events=events,
            fields={**_check_in_document(check_in), **added},
            idem=idem,
            answer=answer,
        )
        await self._aggregates.commit(change)

    async def change(
        self,
        stored: Stored,
        check_in: CheckIn,
        events: Sequence[contract.Event],
        *,
        now: datetime,
        idem: Idem | None = None,
        answer: Answer | None = None,
    ) -> None:
        """Store what became of a check-in.

        Raises:
            StaleWrite: it was changed since it was read.
            Duplicate: of `idem.k`: the key was used before.
        """
        document = _check_in_document(check_in)
        change = self._aggregates.change(
            stored.document, now=now, events=events, fields=document, idem=idem, answer=answer
        )
        await self._aggregates.commit(change)

    async def find(self, org_id: str, checkin_id: str) -> Stored | None:
        """A check-in of an organization."""
        found = await self._aggregates.find(org_id, checkin_id)
        return Stored(_check_in(found), found) if found else None

    async def by_link(self, link: str) -> CheckIn | None:
        """The check-in that came by a one-tap link, if one did."""
        found = await self.collection.find_one({"link": link})
        return _check_in(found) if found else None

    async def replay(self, idem: Idem | None, now: datetime) -> Answer | None:
        """The answer kept for an idempotency key.

        Raises:
            Unprocessable: the key was used with another body.
        """
        return await self._aggregates.replay(idem, now)

    async def forget_answers(self, before: datetime) -> int:
        """Drop the answers kept since before `before`; returns from how many check-ins."""
        return await self._aggregates.forget_answers(before)

    async def page(
        self, org_id: str, reader: Reader, mentorships: Sequence[str], filters: Filters, page: Page
    ) -> list[Stored]:
        """A page of the check-ins that exist for a reader, newest first by `occurred_at`.

        `mentorships`: the ids of those that the reader is a participant of.
        """
        plain = {"sensitive": False}
        own = {} if reader.in_person else plain
        exist: list[Doc] = [
            {**plain} if reader.coordinates else {"mentorship_id": {"$in": list(mentorships)}, **plain},
            {"author_id": reader.person_id, **own},
            {"routed_to": reader.person_id, **own},
        ]
        wanted = {
            name: value
            for name in ("mentorship_id", "goal_id", "author_id")
            if (value := getattr(filters, name)) is not None
        }
        between: Doc = {}
        if filters.since is not None:
            between["$gte"] = filters.since
        if filters.until is not None:
            between["$lt"] = filters.until
        query: Doc = {"org_id": org_id, "$and": [{"$or": exist}, wanted, page.older("occurred_at")]}
        if between:
            query["occurred_at"] = between
        query["$and"] = [part for part in query["$and"] if part]
        found = (
            await self.collection.find(query, {"events": 0, "idem": 0})
            .sort([("occurred_at", -1), ("_id", -1)])
            .limit(page.fetch)
            .to_list(None)
        )
        return [Stored(_check_in(document), document) for document in found]

    async def latest_progress(self, goal_id: str, kind: str) -> contract.Progress | None:
        """The progress of a goal, by the latest check-in that reports it in the measure's kind."""
        found = await self.collection.find_one(
            {"goal_id": goal_id, f"progress.{PROGRESS[kind]}": {"$exists": True}},
            {"progress": 1},
            sort=[("occurred_at", -1), ("_id", -1)],
        )
        return msgspec.convert(found["progress"], contract.Progress) if found else None

    async def logged_on(self, goal_ids: Sequence[str]) -> dict[str, list[datetime]]:
        """When the check-ins on each of some goals were logged, sensitive ones too."""
        found = self.collection.find(
            {"goal_id": {"$in": list(goal_ids)}}, {"_id": 0, "goal_id": 1, "logged_at": 1}
        ).hint("goal")
        logged: dict[str, list[datetime]] = {goal_id: [] for goal_id in goal_ids}
        async for document in found:
            logged[document["goal_id"]].append(document["logged_at"])
        return logged

    # numbers: at most so many check-ins a goal, whoever logs at the same time

    async def number(self, goal_id: str) -> int:
        """The number that a new check-in on a goal is to try.

        Numbers are unique on a goal, so that two processes can never store more than the bound. They are handed out
        from memory; when the store refuses one (`Duplicate` of `goal_id`), `forget_numbers` and ask again.

        Raises:
            Conflict: the goal has as many check-ins as it can have.
        """
        if goal_id not in self._numbers:
            last = await self.collection.find_one(
                {"goal_id": goal_id}, {"_id": 0, "number": 1}, sort=[("number", -1)]
            )
            self._numbers.setdefault(goal_id, last["number"] if last else 0)
        number = self._numbers[goal_id] + 1
        if number > MOST_PER_GOAL:
            return await self._free_number(goal_id)
        self._numbers[goal_id] = number
        self._numbers.move_to_end(goal_id)
        while len(self._numbers) > NUMBERS_KEPT:
            self._numbers.popitem(last=False)
        return number

    def give_back(self, goal_id: str, number: int) -> None:
        """A number was not used after all."""
        if self._numbers.get(goal_id) == number:
            self._numbers[goal_id] = number - 1

    def forget_numbers(self, goal_id: str) -> None:
        """Another process has handed out numbers on this goal."""
        self._numbers.pop(goal_id, None)

    async def _free_number(self, goal_id: str) -> int:
        """A number that was handed out and never stored; for a goal near its bound."""
        found = self.collection.find({"goal_id": goal_id}, {"_id": 0, "number": 1})
        used = {document["number"] async for document in found}
        free = next((number for number in range(1, MOST_PER_GOAL + 1) if number not in used), None)
        if free is None:
            raise Conflict(f"This goal has {MOST_PER_GOAL} check-ins, as many as a goal can have.")
        return free

    # what the watermark asks

    async def oldest_unpublished(self) -> dict[int, datetime]:
        """Per partition the least `logged_at` of a check-in whose CheckInLogged Kafka may not have yet."""
        found = await self._mongo.aggregate(
            self.collection,
            [
                {"$match": {"outbox_at": {"$exists": True}, "published": 0, "sensitive": False}},
                {"$group": {"_id": "$partition", "oldest": {"$min": "$logged_at"}}},
            ],
        )
        return {document["_id"]: document["oldest"] for document in found}

    # erasure

    async def erase_words(self, org_id: str, person_id: str, until: datetime) -> int:
        """Remove the private words that a person stored up to `until`, also from kept answers; returns from how many.

        Idempotent; each check-in is one guarded write, tried again when somebody else's comes between.
        """
        words = [{name: {"$exists": True}} for name in ("note", "feeling", "help_text")]
        query: Doc = {
            "org_id": org_id,
            "$or": [
                {
                    "author_id": person_id,
                    "logged_at": {"$lte": until},
                    "$or": [*words, {"idem.body.note": {"$exists": True}}],
                },
                {
                    "acknowledgements.by": person_id,
                    "acknowledgements": {
                        "$elemMatch": {"by": person_id, "at": {"$lte": until}, "comment": {"$exists": True}}
                    },
                },
            ],
        }
        erased = 0
        while found := await self.collection.find(query).limit(ERASED_AT_ONCE).to_list(None):
            for document in found:
                erased += await self._erase_one(document, person_id, until)
        return erased

    async def _erase_one(self, document: Doc, person_id: str, until: datetime) -> int:
        before = _check_in(document)
        after = without_words_of(before, person_id, until)
        setting = {"acknowledgements": _check_in_document(after)["acknowledgements"]}
        if "idem" in document:
            setting["idem"] = [
                {**entry, "body": answer_without_words_of(entry["body"] or {}, person_id, until)}
                for entry in document["idem"]
            ]
        dropped = [
            name
            for name in ("note", "feeling", "help_text")
            if name in document and getattr(after, name) is None
        ]
        change = self._aggregates.change(document, now=until, fields=setting, unset=dropped)
        try:
            await self._aggregates.commit(change)
        except StaleWrite:
            return 0
        return 1


# --- documents

_ACKNOWLEDGED = Acknowledgement.__struct_fields__


def _check_in_document(check_in: CheckIn) -> Doc:
    """The fields of a check-in that have a value; the aggregate's own are not among them."""
    document: Doc = {
        name: value for name, value in msgspec.structs.asdict(check_in).items() if value is not None
    }
    del document["checkin_id"], document["org_id"]
    document["pair"] = list(check_in.pair)
    if check_in.progress is not None:
        document["progress"] = msgspec.to_builtins(check_in.progress)
    document["acknowledgements"] = [
        {name: value for name in _ACKNOWLEDGED if (value := getattr(each, name)) is not None}
        for each in check_in.acknowledgements
    ]
    return document


def _check_in(document: Mapping[str, Any]) -> CheckIn:
    progress = document.get("progress")
    return CheckIn(
        checkin_id=document["_id"],
        org_id=document["org_id"],
        program_id=document["program_id"],
        mentorship_id=document["mentorship_id"],
        goal_id=document.get("goal_id"),
        author_id=document["author_id"],
        author_role=document["author_role"],
        occurred_at=document["occurred_at"],
        logged_at=document["logged_at"],
        progress=msgspec.convert(progress, contract.Progress) if progress is not None else None,
        confidence=document.get("confidence"),
        realistic=document.get("realistic"),
        attainable=document.get("attainable"),
        feeling=document.get("feeling"),
        note=document.get("note"),
        help_text=document.get("help_text"),
        routed_to=document.get("routed_to"),
        sensitive=document["sensitive"],
        pair=(document["pair"][0], document["pair"][1]),
        acknowledgements=tuple(
            Acknowledgement(each["by"], each.get("role"), each["at"], each.get("comment"))
            for each in document["acknowledgements"]
        ),
    )
