"""Lists: newest first, a bounded number at a time, an opaque cursor to go on from."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from shared.errors import Unprocessable

T = TypeVar("T")
DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_CHECK_BYTES = 6


@dataclass(frozen=True, slots=True)
class Position:
    """The last entry of a page: the next one begins after it."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """The page that a request asks for.

    Example, in a store and a route:

        rows = await goals.find({"org_id": org_id, **page.older("set_at")}) \\
            .sort([("set_at", -1), ("_id", -1)]).limit(page.fetch).to_list(None)
        return page.listing(rows, lambda row: Position(row["set_at"], row["_id"]), shown)
    """

    limit: int = DEFAULT_LIMIT
    after: Position | None = None

    @property
    def fetch(self) -> int:
        """How many to read: one more than the page, to know whether there is a next one."""
        return self.limit + 1

    def older(self, at: str, id: str = "_id") -> dict[str, Any]:
        """The MongoDB filter for what comes after the cursor, by `at`, then `id`, both falling."""
        if self.after is None:
            return {}
        return {
            "$or": [
                {at: {"$lt": self.after.at}},
                {at: self.after.at, id: {"$lt": self.after.id}},
            ]
        }

    def listing(
        self, rows: Sequence[T], position: Callable[[T], Position], shown: Callable[[T], Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The answer for `rows`, read with `fetch`: the items, and the cursor if there are more."""
        items = rows[: self.limit]
        more = len(rows) > self.limit
        return listing([shown(row) for row in items], encode_cursor(position(items[-1])) if more else None)


def listing(items: Sequence[Mapping[str, Any]], next_cursor: str | None = None) -> dict[str, Any]:
    """The body of a list. `next_cursor` is left out on the last page."""
    body: dict[str, Any] = {"items": list(items)}
    if next_cursor is not None:
        body["next_cursor"] = next_cursor
    return body


def page_of(limit: str | None, cursor: str | None) -> Page:
    """The page of the query parameters.

    Raises:
        Unprocessable: `limit` is no number from 1 to 200, or `cursor` is not one that a list gave out.
    """
    count = DEFAULT_LIMIT
    if limit is not None:
        if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= MAX_LIMIT):
            raise Unprocessable.parameter("limit", f"A whole number from 1 to {MAX_LIMIT}.")
        count = int(limit)
    return Page(count, None if cursor is None else decode_cursor(cursor))


def encode_cursor(position: Position) -> str:
    """A cursor: opaque to clients, who must not make their own."""
    plain = json.dumps([(position.at - _EPOCH) // _MS, position.id], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_check(plain) + plain).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> Position:
    """The position of a cursor.

    Raises:
        Unprocessable: it is none of ours.
    """
    refused = Unprocessable.parameter("cursor", "This is no cursor that a list gave out.")
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise refused from None
    check, plain = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if check != _check(plain):
        raise refused
    at, id = json.loads(plain)
    return Position(_EPOCH + at * _MS, id)


def _check(plain: bytes) -> bytes:
    # No secret: it tells garbage and handmade cursors from ours; the filters do the protecting.
    return hashlib.blake2b(plain, digest_size=_CHECK_BYTES, person=b"onbelay-cursor").digest()
