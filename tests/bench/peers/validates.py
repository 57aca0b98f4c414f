"""The ceiling of R3: FastAPI that validates a check-in and answers; no storage, no events, no token."""

from __future__ import annotations

from fastapi import FastAPI

from tests.bench.peers.model import CheckIn, Created, uuid7

app = FastAPI()


@app.post("/v1/checkins", status_code=201)
async def log_check_in(body: CheckIn) -> Created:
    """Validate, and answer."""
    return Created(checkin_id=uuid7(), **body.model_dump())
