"""Erasures in MongoDB, and the words that go with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.goals.domain import goal as g
from services.goals.domain.goal import Goal
from services.goals.store.base import Base, builtins, convert
from services.goals.store.goals import writers_of
from shared import events as contract
from shared.aggregates import Change, retry_stale
from shared.idempotency import Answer, Idem
from shared.mongo import Doc


@dataclass(frozen=True, slots=True)
class Erasure:
    """A person whose private words have to go, as far as they were stored up to `at`."""

    erasure_id: str
    org_id: str
    person_id: str
    at: datetime


class Erasures(Base):
    """What is kept of erasures, and what they remove."""

    def new_erasure(self, erasure: Erasure, *, now: datetime, idem: Idem | None, answer: Answer) -> Change:
        """A person's erasure with its event; `pending` until the words are gone."""
        event = contract.PersonErased(org_id=erasure.org_id, person_id=erasure.person_id, at=erasure.at)
        return self.erasures.new(
            id=erasure.erasure_id,
            org_id=erasure.org_id,
            key=erasure.person_id,
            subject=f"erasure/{erasure.erasure_id}",
            now=now,
            events=[event],
            fields={"person_id": erasure.person_id, "at": erasure.at, "pending": True},
            idem=idem,
            answer=answer,
        )

    async def pending_erasures(self, limit: int) -> list[Erasure]:
        """Erasures whose words are not all gone yet."""
        rows = self.erasures.collection.find({"pending": {"$exists": True}}).limit(limit)
        return [
            Erasure(doc["_id"], doc["org_id"], doc["person_id"], doc["at"])
            for doc in await rows.to_list(None)
        ]

    async def erased(self, erasure: Erasure) -> None:
        """Note that the words are gone."""
        await self.erasures.collection.update_one({"_id": erasure.erasure_id}, {"$unset": {"pending": ""}})

    async def erase_words(self, erasure: Erasure, now: datetime) -> None:
        """Remove a person's private words from goals, check-ins, expectations and kept answers.

        Repeatable; what was stored after the erasure stays.
        """
        mine: Doc = {"org_id": erasure.org_id, "author_id": erasure.person_id, "note": {"$type": "string"}}
        await self._check_ins.update_many(
            {**mine, "logged_at": {"$lte": erasure.at}}, {"$set": {"note": None}}
        )
        of_goals = {"org_id": erasure.org_id, "writers": erasure.person_id}
        async for found in self.goals.collection.find(of_goals, {"_id": 1}):
            await retry_stale(lambda id=found["_id"]: self._erase_from_goal(erasure, id, now))  # type: ignore[misc]
        of_versions = {
            "org_id": erasure.org_id,
            "proposed_by": erasure.person_id,
            "proposed_at": {"$lte": erasure.at},
        }
        async for found in self.expectations.collection.find(of_versions, {"_id": 1}):
            await retry_stale(lambda id=found["_id"]: self._erase_version(erasure, id, now))  # type: ignore[misc]

    async def _erase_from_goal(self, erasure: Erasure, goal_id: str, now: datetime) -> None:
        doc = await self.goals.find(erasure.org_id, goal_id)
        if doc is None:
            return
        before = convert(doc, Goal)
        goal = g.without_words(before, erasure.person_id, erasure.at)
        story = [
            {name: value for name, value in entry.items() if name != "reason"}
            if entry["by"] == erasure.person_id and entry["at"] <= erasure.at
            else entry
            for entry in doc["story"]
        ]
        still = writers_of(goal, story)
        fields: Doc = {
            **builtins(goal),
            "story": story,
            "writers": sorted(still | ({*doc["writers"]} - {erasure.person_id})),
        }
        if "idem" in doc:
            fields["idem"] = [
                _without(entry, "why") if _shows_why_of(erasure, before, doc["events"], entry) else entry
                for entry in doc["idem"]
            ]
        await self._roomy_goals.commit(self._roomy_goals.change(doc, now=now, fields=fields))

    async def _erase_version(self, erasure: Erasure, id: str, now: datetime) -> None:
        doc = await self.expectations.find(erasure.org_id, id)
        if doc is None:
            return
        fields: Doc = {"items": []}
        if "idem" in doc:
            # All of them are of whose version it is, whenever they were kept.
            fields["idem"] = [_without(entry, "items") for entry in doc["idem"]]
        await self.expectations.commit(self.expectations.change(doc, now=now, fields=fields))


def _without(entry: Doc, name: str) -> Doc:
    """A kept answer without one field of its body."""
    return {**entry, "body": {key: value for key, value in (entry["body"] or {}).items() if key != name}}


def _shows_why_of(erasure: Erasure, goal: Goal, events: Iterable[Doc], entry: Doc) -> bool:
    """Whether a kept answer about a goal shows a why that goes with a person.

    It may have been kept after the erasure, with a why from before it.
    """
    text = (entry["body"] or {}).get("why")
    if text is None:
        return False
    why = goal.terms.why
    if why is not None and why.text == text:
        by, at = why.by, why.at
    else:
        by, at = _who_wrote_why(goal, [event for event in events if event["time"] <= entry["at"]])
    return by == erasure.person_id and at <= erasure.at


def _who_wrote_why(goal: Goal, events: Iterable[Doc]) -> tuple[str, datetime]:
    """Whose a goal's why was after these of its events, and since when, though it was written over later."""
    proposals = {proposal.proposal_id: proposal for proposal in goal.proposals}
    setters = [proposal.proposed_by for proposal in goal.proposals if proposal.revision == 0]
    by, at = (*setters, goal.owner_id)[0], goal.created_at
    for event in events:
        data = event["data"]
        if "why" in data.get("changed", ()):
            proposal = proposals.get(data.get("proposal_id"))
            by, at = data["revised_by"], event["time"] if proposal is None else proposal.proposed_at
    return by, at
