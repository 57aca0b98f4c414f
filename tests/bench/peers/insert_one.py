"""The baseline of R2: FastAPI, pydantic, PyMongo's async `insert_one`; no events, no token."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from pymongo import AsyncMongoClient

from tests.bench.peers.model import CheckIn, Created, uuid7


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for the process."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(os.environ["PEER_MONGO"])
    app.state.checkins = client[os.environ["PEER_DATABASE"]]["checkins"]
    yield
    await client.close()


app = FastAPI(lifespan=lifespan)


@app.post("/v1/checkins", status_code=201)
async def log_check_in(body: CheckIn) -> Created:
    """Validate, store, answer."""
    id_ = uuid7()
    fields = body.model_dump(exclude_none=True)
    await app.state.checkins.insert_one({"_id": id_, "logged_at": datetime.now(UTC), **fields})
    return Created(checkin_id=id_, **fields)
