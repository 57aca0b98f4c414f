"""HTTP: resources as CSV, streamed row by row, so that an export's size is not the service's memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import Query
from starlette.responses import StreamingResponse

from services.metrics.domain import table
from services.metrics.domain.table import Row
from services.metrics.store import Store
from shared import http
from shared.clock import Clock
from shared.http import Caller, Id, Params, Reply, Router

_ROWS_TOGETHER = 200


class ExportIn(Params):
    """Which part of the organization."""

    program_id: Id | None = None


def routes(store: Store, clock: Clock) -> Router:
    """The routes of the exports. What breaks off half way is cut short, and never looks whole: it ends chunked."""
    router = Router(tags=["exports"])
    csv = {200: {"content": {"text/csv": {}}, "description": "RFC 4180, with a header row"}}

    @router.get("/v1/export/goals.csv", scopes=[http.PROGRAMS], responses=csv)
    async def goals(params: Annotated[ExportIn, Query()], caller: Caller) -> Reply:
        """All goals."""
        now = clock.now()
        found = store.all_goals(caller.org_id, params.program_id)
        return _csv(
            "goals.csv", table.GOALS, (table.goal_row(goal, entries, now) async for goal, entries in found)
        )

    @router.get("/v1/export/checkins.csv", scopes=[http.PROGRAMS], responses=csv)
    async def checkins(params: Annotated[ExportIn, Query()], caller: Caller) -> Reply:
        """All check-ins, without private words; sensitive ones are known to nobody here."""
        found = store.all_diaries(caller.org_id, params.program_id)
        return _csv(
            "checkins.csv",
            table.CHECK_INS,
            (row async for diary in found for row in table.check_in_rows(diary)),
        )

    @router.get("/v1/export/mentorships.csv", scopes=[http.PROGRAMS], responses=csv)
    async def mentorships(params: Annotated[ExportIn, Query()], caller: Caller) -> Reply:
        """All mentorships."""
        found = store.all_mentorships(caller.org_id, params.program_id)
        return _csv(
            "mentorships.csv", table.MENTORSHIPS, (table.mentorship_row(each) async for each in found)
        )

    return router


def _csv(name: str, columns: Sequence[str], rows: AsyncIterator[Row]) -> StreamingResponse:
    return StreamingResponse(
        _lines(columns, rows),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "private, no-store",
        },
    )


async def _lines(columns: Sequence[str], rows: AsyncIterator[Row]) -> AsyncIterator[str]:
    waiting: list[Row] = [columns]
    async for row in rows:
        waiting.append(row)
        if len(waiting) >= _ROWS_TOGETHER:
            yield table.lines(waiting)
            waiting = []
    if waiting:
        yield table.lines(waiting)
