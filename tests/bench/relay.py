"""N1: the product's publisher: events that are stored and unpublished, until all are acknowledged and marked so."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from shared import events as contract
from shared.aggregates import Aggregates, Change
from shared.ids import uuid7
from shared.kafka import Producer
from shared.mongo import Collection, Doc, Mongo
from shared.outbox import Publisher
from tests.bench import told
from tests.builders import NOW, Pair

LOOK_S = 0.01


class _Nobody:
    """An outbox that publishes nothing: what a crash leaves."""

    def kick(self, collection: Collection, document: Doc) -> None:
        """Leave it."""


def stored(mongo: Mongo, collection: Collection, events: int, each: int) -> list[Doc]:
    """Documents with unpublished events, as the services store them: goals of `each`, or check-ins of one."""
    aggregates = Aggregates(mongo, collection, _Nobody())
    pairs = [Pair(mentor_id=f"mentor-{n}", mentee_id=f"mentee-{n}") for n in range(500)]
    left = datetime.now(UTC) - timedelta(minutes=1)
    made = (
        (_goal if each > 1 else _check_in)(aggregates, pairs[n % len(pairs)], each)
        for n in range(events // each)
    )
    return [{**change.after, "outbox_at": left} for change in made]


def _check_in(aggregates: Aggregates, pair: Pair, _: int) -> Change:
    event = pair.logged(goal_id=pair.mentorship_id, confidence=7, realistic=True, attainable=True)
    note = "Two of the seven papers are read; the third is harder than it looked."
    return _new(aggregates, pair, "checkin", event.checkin_id, [event], {"note": note})


def _goal(aggregates: Aggregates, pair: Pair, each: int) -> Change:
    """A goal that is set, and then changed, or not, by one proposal after the other."""
    goal = pair.goal_set()
    told = {name: getattr(goal, name) for name in goal.__struct_fields__}
    by_both = [pair.mentee_id, pair.mentor_id]
    events: list[contract.Event] = [goal]
    while len(events) < each:
        revision = len(events)
        proposal = {**pair.common, "goal_id": goal.goal_id, "proposal_id": uuid7()}
        events.append(
            contract.RevisionProposed(
                **proposal, revision=revision, proposed_by=pair.mentee_id, waits_for=pair.mentor_id,
                eased=True, proposed_at=NOW,
            )
        )  # fmt: skip
        if revision % 4 == 1:
            events.append(contract.RevisionDeclined(**proposal, declined_by=pair.mentor_id, declined_at=NOW))
        else:
            events.append(
                contract.GoalRevised(
                    **{**told, "revision": revision, "proposal_id": proposal["proposal_id"]},
                    changed=["deadline"], eased=True, revised_by=pair.mentee_id, agreed_by=by_both,
                )
            )  # fmt: skip
    return _new(aggregates, pair, "goal", goal.goal_id, events[:each], {"title": goal.title})


def _new(
    aggregates: Aggregates, pair: Pair, kind: str, id_: str, events: list[contract.Event], fields: Doc
) -> Change:
    return aggregates.new(
        id=id_,
        org_id=pair.org_id,
        key=pair.mentorship_id,
        subject=f"{kind}/{id_}",
        now=NOW,
        events=events,
        fields=fields,
    )


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Store `events` events, then publish them."""
    mongo = Mongo.connect(os.environ["PEER_MONGO"])
    collection = mongo.database(os.environ["PEER_DATABASE"])["stored"]
    await Aggregates(mongo, collection, _Nobody()).make_indexes()
    documents = stored(mongo, collection, asked["events"], asked["each"])
    for start in range(0, len(documents), 5_000):
        await collection.insert_many(documents[start : start + 5_000])
    documents.clear()
    producer = Producer(os.environ["PEER_KAFKA"], client_id="relay")
    await producer.partitions(os.environ["PEER_TOPIC"])
    publisher = Publisher(producer, [collection], topic_prefix=os.environ["PEER_TOPIC_PREFIX"])
    told.tune_collector()
    meter = told.Meter()
    meter.begin()
    running = asyncio.create_task(publisher.run())
    begun = time.monotonic()
    acked_s = 0.0
    while publisher.published < asked["events"]:
        if not acked_s and publisher.acknowledged >= asked["events"]:
            acked_s = time.monotonic() - begun
        if running.done() or time.monotonic() - begun > asked.get("timeout_s", 120):
            raise RuntimeError(f"not all was published: {running!r}")
        await asyncio.sleep(LOOK_S)
    answer = meter.told(asked["events"])
    left = await collection.count_documents({"outbox_at": {"$exists": True}})
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await producer.stop()
    await mongo.close()
    if left:
        raise RuntimeError(f"{left} are not recorded as published")
    return {**answer, "acked_rate": asked["events"] / (acked_s or answer["seconds"])}


if __name__ == "__main__":
    told.answer(main)
