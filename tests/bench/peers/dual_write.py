"""The baseline of R1: FastAPI, pydantic, `insert_one`, then `send_and_wait` to Kafka; no token.

A dual write: what is stored when the process dies between the two is never told. The event is what the product
sends: the same fields, keyed by the mentorship, its CloudEvents attributes as headers.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer
from fastapi import FastAPI
from pymongo import AsyncMongoClient

from tests.bench.peers.model import CheckIn, Created, uuid7


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client and one producer for the process; the producer's acknowledgement is of all replicas."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(os.environ["PEER_MONGO"])
    app.state.checkins = client[os.environ["PEER_DATABASE"]]["checkins"]
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["PEER_KAFKA"], acks="all", enable_idempotence=True
    )
    await producer.start()
    app.state.producer = producer
    yield
    await producer.stop()
    await client.close()


app = FastAPI(lifespan=lifespan)
TOPIC = os.environ.get("PEER_TOPIC", "")


@app.post("/v1/checkins", status_code=201)
async def log_check_in(body: CheckIn) -> Created:
    """Validate, store, send, answer."""
    id_, now = uuid7(), datetime.now(UTC)
    fields = body.model_dump(exclude_none=True)
    await app.state.checkins.insert_one({"_id": id_, "logged_at": now, **fields})
    told = {name: value for name, value in fields.items() if name not in ("note", "feeling")}
    await app.state.producer.send_and_wait(
        TOPIC,
        json.dumps({"checkin_id": id_, "logged_at": now.isoformat(), **told}).encode(),
        key=body.mentorship_id.encode(),
        headers=[
            ("ce_specversion", b"1.0"),
            ("ce_id", uuid7().encode()),
            ("ce_source", b"/peer/checkins"),
            ("ce_type", b"peer.CheckInLogged.v1"),
            ("ce_subject", f"checkin/{id_}".encode()),
            ("ce_time", now.isoformat().encode()),
            ("content-type", b"application/json"),
        ],
    )
    return Created(checkin_id=id_, **fields)
