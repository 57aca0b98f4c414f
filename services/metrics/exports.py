"""HTTP: resources as CSV or Parquet, streamed, so that an export's size is not the service's memory."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import Query
from starlette.responses import Response, StreamingResponse

from services.metrics.domain import table
from services.metrics.domain.table import Column, Row
from services.metrics.store import Exporting
from shared import http
from shared.clock import Clock
from shared.http import Caller, Id, Params, Reply, Router

_LINES_TOGETHER = 200
_ROW_GROUP = 20_000
"""Rows that are held until they are compressed together; a few MB."""

_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "instant": pa.timestamp("ms", tz="UTC"),
    "integer": pa.int32(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "json": pa.string(),
}

Rows = AsyncIterator[Row]
Stream = Callable[[Sequence[Column], Rows], AsyncIterator[str | bytes]]


class ExportIn(Params):
    """Which part of the organization."""

    program_id: Id | None = None


class Exports:
    """The rows of each export, read as they are sent."""

    def __init__(self, store: Exporting, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def goals(self, org_id: str, program_id: str | None) -> Rows:
        """All goals."""
        now = self._clock.now()
        async for goal, entries in self._store.goals(org_id, program_id):
            yield table.goal_row(goal, entries, now)

    async def checkins(self, org_id: str, program_id: str | None) -> Rows:
        """All check-ins, without private words; sensitive ones are known to nobody here."""
        async for diary in self._store.diaries(org_id, program_id):
            for row in table.check_in_rows(diary):
                yield row

    async def mentorships(self, org_id: str, program_id: str | None) -> Rows:
        """All mentorships."""
        async for mentorship in self._store.mentorships(org_id, program_id):
            yield table.mentorship_row(mentorship)


def routes(store: Exporting, clock: Clock) -> Router:
    """The routes of the exports. What breaks off half way is cut short, and never looks whole: it ends chunked."""
    router = Router(tags=["exports"])
    exports = Exports(store, clock)
    for name, columns, rows in (
        ("goals", table.GOALS, exports.goals),
        ("checkins", table.CHECK_INS, exports.checkins),
        ("mentorships", table.MENTORSHIPS, exports.mentorships),
    ):
        _route(router, f"{name}.csv", "text/csv; charset=utf-8", csv_of, columns, rows)
        _route(router, f"{name}.parquet", "application/vnd.apache.parquet", parquet_of, columns, rows)
    return router


def _route(
    router: Router,
    name: str,
    media_type: str,
    stream: Stream,
    columns: Sequence[Column],
    rows: Callable[[str, str | None], Rows],
) -> None:
    content: dict[str, Any] = {media_type.partition(";")[0]: {}}

    @router.get(
        f"/v1/export/{name}",
        scopes=[http.PROGRAMS],
        summary=f"Export {name}",
        responses={200: {"content": content, "description": "The whole organization, or one program of it"}},
    )
    async def export(params: Annotated[ExportIn, Query()], caller: Caller) -> Reply:
        """What is known, without private words. CSV is RFC 4180 with a header row; no cell begins a formula."""
        return _attached(name, media_type, stream(columns, rows(caller.org_id, params.program_id)))


def _attached(name: str, media_type: str, content: AsyncIterator[str | bytes]) -> Response:
    return StreamingResponse(
        content,
        media_type=media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "private, no-store",
        },
    )


async def csv_of(columns: Sequence[Column], rows: Rows) -> AsyncIterator[str | bytes]:
    """The rows as CSV with a header row."""
    waiting: list[Row] = [[column.name for column in columns]]
    async for row in rows:
        waiting.append(row)
        if len(waiting) >= _LINES_TOGETHER:
            yield table.lines(waiting)
            waiting = []
    yield table.lines(waiting)


async def parquet_of(columns: Sequence[Column], rows: Rows) -> AsyncIterator[str | bytes]:
    """The rows as Parquet, a row group at a time. A spreadsheet runs nothing of it, so cells are left as they are."""
    schema = pa.schema([pa.field(column.name, _TYPES[column.kind]) for column in columns])
    sink = _Sink()
    writer = pq.ParquetWriter(sink, schema, compression="zstd")
    waiting: list[Row] = []
    async for row in rows:
        waiting.append([table.typed(value) for value in row])
        if len(waiting) >= _ROW_GROUP:
            await asyncio.to_thread(_write, writer, schema, waiting)
            waiting = []
            yield sink.taken()
    if waiting:
        await asyncio.to_thread(_write, writer, schema, waiting)
    writer.close()
    yield sink.taken()


def _write(writer: pq.ParquetWriter, schema: pa.Schema, rows: Sequence[Row]) -> None:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


class _Sink(io.RawIOBase):
    """Where a writer puts bytes that are sent on and not kept: it can tell how many there were, and not go back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, part: object) -> int:
        found = bytes(memoryview(part))  # type: ignore[arg-type]
        self._parts.append(found)
        self._at += len(found)
        return len(found)

    def tell(self) -> int:
        return self._at

    def taken(self) -> bytes:
        """What was written since this was last asked."""
        found = b"".join(self._parts)
        self._parts.clear()
        return found
