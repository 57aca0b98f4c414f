"""The limit of P3: one thread that writes, in transactions, what the projection writes, made beforehand.

PyMongo's synchronous driver, one transaction after the other, each with 2,000 new subjects, 1,700 diaries (one in five
of them new) and 150 sums: what a batch of 2,000 events comes to. Nothing is consumed, decoded or folded.
"""

from __future__ import annotations

import os
import time
from typing import Any

from bson.codec_options import CodecOptions
from pymongo import InsertOne, MongoClient, UpdateOne
from pymongo.client_session import ClientSession

from services.metrics.store.generations import Generation
from shared.ids import uuid7
from shared.mongo import Mongo
from tests.bench import told
from tests.builders import NOW

SUBJECTS, DIARIES, SUMS = 2_000, 1_700, 150


def batches(count: int) -> list[dict[str, list[Any]]]:
    """What so many transactions write."""
    known = [uuid7() for _ in range(DIARIES)]
    found: list[dict[str, list[Any]]] = []
    for n in range(count):
        known = [uuid7() if k % 5 == n % 5 else id_ for k, id_ in enumerate(known)]
        entry: dict[str, Any] = {
            "type": "CheckInLogged",
            "id": uuid7(),
            "subject": f"checkin/{uuid7()}",
            "time": NOW,
            "at": NOW,
        }
        entry |= {
            "by": "mentee-1",
            "role": "mentee",
            "checkin_id": uuid7(),
            "logged_at": NOW,
            "confidence": 7,
        }
        of = {"org_id": "org-1", "program_id": "program-1", "mentorship_id": uuid7(), "month": "2026-11"}
        found.append(
            {
                "subjects": [
                    InsertOne(
                        {"_id": f"checkins|checkin/{uuid7()}", "seq": 1, "parked": 0, "org_id": "org-1"}
                    )
                    for _ in range(SUBJECTS)
                ],
                "diaries": [
                    UpdateOne(
                        {"_id": f"{id_}|2026-11"},
                        {
                            "$setOnInsert": {**of, "goal_id": id_},
                            "$push": {"entries": {"$each": [entry]}},
                            "$addToSet": {"people": {"$each": ["mentee-1"]}},
                            "$inc": {"weeks.739000": 1},
                        },
                        upsert=True,
                    )
                    for id_ in known
                ],
                "cells": [
                    UpdateOne(
                        {"_id": f"org-1|programs|program-{k}|739000|739000|checkins/1"},
                        {
                            "$setOnInsert": {"org_id": "org-1"},
                            "$inc": {"mentee.logged": 3, "mentor.logged": 1},
                        },
                        upsert=True,
                    )
                    for k in range(SUMS)
                ],
            }
        )
    return found


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Write `batches` transactions; `documents_s` is documents written a second."""
    mongo = Mongo.connect(os.environ["PEER_MONGO"])
    await Generation(mongo, mongo.database(os.environ["PEER_DATABASE"]), "").make_indexes()
    await mongo.close()
    client: MongoClient[dict[str, Any]] = MongoClient(os.environ["PEER_MONGO"], w="majority")
    database = client.get_database(os.environ["PEER_DATABASE"], CodecOptions(tz_aware=True))
    made = batches(asked["batches"])

    def write(session: ClientSession, batch: dict[str, list[Any]]) -> None:
        for name, operations in batch.items():
            database[name].bulk_write(operations, ordered=False, session=session)

    told.tune_collector()
    begun = time.perf_counter()
    with client.start_session() as session:
        for batch in made:
            session.with_transaction(lambda opened, batch=batch: write(opened, batch))  # type: ignore[misc]
    seconds = time.perf_counter() - begun
    client.close()
    return {"documents_s": asked["batches"] * (SUBJECTS + DIARIES + SUMS) / seconds}


if __name__ == "__main__":
    told.answer(main)
