"""The limit of P3: one thread that writes, in transactions, what the projection writes, made beforehand.

The product's own folds make the operations, of the same events in the same batches; then PyMongo's synchronous driver
writes them, one transaction after the other. Nothing is consumed, decoded, folded or looked up, no offset is moved.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest.mock import patch

from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.client_session import ClientSession

from services.metrics.domain.fold import fold_checkins
from services.metrics.store import folding
from services.metrics.store.generations import Generation
from shared import events as contract
from shared.ids import uuid7
from shared.intake import Received
from shared.kafka import partition_of
from shared.mongo import Collection, Mongo, Operation, Writes
from tests.bench import told
from tests.bench.workload import PARTITIONS, Told, events

SIZE = 2_000
Batch = dict[str, list[Operation]]
"""A transaction: operations by collection."""


def _received(each: Told) -> Received:
    time_, _, event, subject, sequence = each
    data: Any = event
    return Received(
        type(event).__name__,
        uuid7(),
        subject,
        data.org_id,
        sequence,
        time_,
        data.mentorship_id,
        None,
        data,
        0,
    )


def _by_partition(pairs: int) -> Iterator[tuple[int, list[Told]]]:
    """Batches of the check-ins topic, of one partition each, as they become full."""
    waiting: dict[int, list[Told]] = {}
    for each in events(pairs):
        if contract.topic_of(type(each[2]).__name__) != "checkins":
            continue
        partition = partition_of(contract.to_document(each[2])["mentorship_id"], PARTITIONS)
        batch = waiting.setdefault(partition, [])
        batch.append(each)
        if len(batch) == SIZE:
            yield partition, waiting.pop(partition)


def _subjects(batch: list[Told]) -> list[Operation]:
    """The last sequence of each subject, as the intake stores it: inserted with a subject's first event."""
    last: dict[str, Told] = {}
    first: set[str] = set()
    for each in batch:
        last[each[3]] = each
        if each[4] == 1:
            first.add(each[3])
    writes = Writes()
    for subject, (_, _, event, _, sequence) in last.items():
        id_, org_id = f"checkins|{subject}", contract.to_document(event)["org_id"]
        if subject in first:
            writes.insert({"_id": id_, "seq": sequence, "parked": 0, "org_id": org_id})
        else:
            writes.upsert(id_, {"$set": {"seq": sequence, "parked": 0}, "$setOnInsert": {"org_id": org_id}})
    return writes.operations()


async def batches(generation: Generation, pairs: int) -> list[Batch]:
    """What the transactions of the check-ins topic write, for so many pairs; those that are full."""
    found: list[Batch] = []

    async def taken(collection: Collection, writes: Writes, _: Any) -> int:
        if operations := writes.operations():
            found[-1][collection.name] = operations
        return len(operations)

    store = folding.Folding(generation)
    with patch.object(folding, "write_all", taken):
        for partition, batch in _by_partition(pairs):
            found.append({"subjects": _subjects(batch)})
            changes = fold_checkins([_received(each) for each in batch])
            await store.write(changes, f"checkins/{partition}", set(), None)  # type: ignore[arg-type]
    return found


def _check(database: Any, expected: int) -> None:
    """All events are in the sums."""
    counted = sum(
        of_role.get("logged", 0) + of_role.get("acknowledged", 0)
        for cell in database["cells"].find({"scope": "orgs"})
        for of_role in cell.values()
        if isinstance(of_role, dict)
    )
    if counted != expected:
        raise RuntimeError(f"{counted} events are counted, of {expected}")


async def _made(asked: dict[str, Any]) -> list[Batch]:
    mongo = Mongo.connect(os.environ["PEER_MONGO"])
    generation = Generation(mongo, mongo.database(os.environ["PEER_DATABASE"]), "")
    await generation.make_indexes()
    made = await batches(generation, asked["pairs"])
    await mongo.close()
    return made


def _write(made: list[Batch]) -> dict[str, Any]:
    client: MongoClient[dict[str, Any]] = MongoClient(os.environ["PEER_MONGO"], w="majority")
    database = client.get_database(os.environ["PEER_DATABASE"], CodecOptions(tz_aware=True))

    def write(batch: Batch, session: ClientSession) -> int:
        written = 0
        for name, operations in batch.items():
            done = database[name].bulk_write(operations, ordered=False, session=session)
            written += done.inserted_count + done.matched_count + done.upserted_count
        return written

    told.tune_collector()
    begun = time.perf_counter()
    with client.start_session() as session:
        written = sum(session.with_transaction(partial(write, batch)) for batch in made)
    seconds = time.perf_counter() - begun
    _check(database, len(made) * SIZE)
    client.close()
    return {"documents_s": written / seconds, "documents": written}


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Write the transactions of `pairs` pairs; `documents_s` is documents written a second."""
    return await asyncio.to_thread(_write, await _made(asked))


if __name__ == "__main__":
    told.answer(main)
