"""T1: a herd of due goals, missed by the product in batches; or, as its peer, each claimed and decided alone.

Both go through the same rules and the same store, publish nothing, and must leave exactly one GoalMissed a goal.
"""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from functools import partial
from typing import Any

from msgspec.structs import replace
from pymongo import ReturnDocument

from services.goals import misses
from services.goals.domain.deadline import Deadline
from services.goals.domain.goal import GoalSet
from services.goals.domain.mentorship import Started
from services.goals.domain.rules import Rules
from services.goals.store import Store
from shared import telemetry
from shared.aggregates import Change
from shared.clock import SystemClock
from shared.ids import uuid7
from shared.mongo import Collection, Doc, Mongo, Session
from tests.bench import told
from tests.unit.goals.world import a_goal, a_mentorship

PARTITIONS = 6
AT_ONCE = 32
FILL = 1_000


class _Nobody:
    def kick(self, collection: Collection, document: Doc) -> None:
        """Publish nothing: what is measured is deciding."""


async def fill(store: Store, goals: int) -> None:
    """Store so many active goals of half as many mentorships, all due in the past."""
    now = SystemClock().now()
    begun = now - timedelta(days=60)
    deadline = Deadline(date=(now - timedelta(days=2)).date(), time_zone="Europe/Berlin", cutoff="17:00")
    changes = []
    for _ in range(goals // 2):
        mentorship = a_mentorship(mentorship_id=uuid7())
        changes.append(store.new_mentorship(mentorship, [Started(at=begun)], now=begun))
        for owner in ("mentee", "mentor"):
            goal = replace(
                a_goal(owner, deadline=deadline),
                goal_id=uuid7(),
                mentorship_id=mentorship.mentorship_id,
                state="proposed",
            )
            changes.append(store.new_goal(goal, [GoalSet(by=owner, at=begun)], mentorship, now=begun))
    for start in range(0, len(changes), FILL):
        by_collection: dict[str, list[Doc]] = {}
        for change in changes[start : start + FILL]:
            by_collection.setdefault(change.collection.name, []).append(change.after)
        for name, documents in by_collection.items():
            collection = store.goals.collection.database[name]
            await collection.insert_many([{**each, "published": each["seq"]} for each in documents])
    await store.goals.collection.update_many({}, {"$unset": {"outbox_at": ""}})


async def each_alone(deadlines: misses.Deadlines, store: Store, horizons: dict[int, Any]) -> None:
    """Claim a due goal by one command, decide it in a transaction of its own; 32 at once, until there is none."""
    goals = store.goals.collection

    async def worker() -> None:
        while True:
            claimed = await goals.find_one_and_update(
                {
                    "decide_at": {"$lte": horizons[0]},
                    "part": {"$in": list(horizons)},
                    "claimed": {"$exists": False},
                },
                {"$set": {"claimed": True}},
                projection={"_id": 1},
                return_document=ReturnDocument.AFTER,
            )
            if claimed is None:
                return
            await store.in_transaction(partial(_decided_alone, deadlines, store, claimed["_id"], horizons))

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def _decide_all(lane: misses.Deadlines) -> None:
    while await lane.decide_due():
        pass


async def _decided_alone(
    deadlines: misses.Deadlines, store: Store, goal_id: str, horizons: dict[int, Any], session: Session
) -> list[Change]:
    goals = await store.goals_by_id([goal_id], session)
    return await deadlines.decided(list(goals.values()), horizons, session)


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Decide `goals` goals in batches of `batch`; 0: each alone."""
    telemetry.configure("goals", "WARNING")
    mongo = Mongo.connect(os.environ["PEER_MONGO"])
    rules, clock = Rules(), SystemClock()
    store = Store(
        mongo,
        mongo.database(os.environ["PEER_DATABASE"]),
        _Nobody(),
        partitions=PARTITIONS,
        grace=rules.grace,
    )
    await store.make_indexes()
    await fill(store, asked["goals"])
    horizons = dict.fromkeys(range(PARTITIONS), clock.now())

    async def watermarks() -> dict[int, Any]:
        return horizons

    misses.BATCH = asked["batch"] or misses.BATCH
    lanes = [
        misses.Deadlines(store, clock, rules, watermarks, lane=lane, lanes=misses.LANES)
        for lane in range(misses.LANES)
    ]
    told.tune_collector()
    meter = told.Meter()
    meter.begin()
    if asked["batch"]:
        await asyncio.gather(*(_decide_all(lane) for lane in lanes))
    else:
        await each_alone(misses.Deadlines(store, clock, rules, watermarks), store, horizons)
    answer = meter.told(asked["goals"])
    missed = await store.goals.collection.count_documents(
        {"state": "missed", "events": {"$elemMatch": {"type": "GoalMissed"}}, "seq": 2}
    )
    await mongo.close()
    if missed != asked["goals"]:
        raise RuntimeError(f"{missed} of {asked['goals']} goals were missed exactly once")
    return answer


if __name__ == "__main__":
    told.answer(main)
