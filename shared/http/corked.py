"""HTTP/1.1 connections that say in one write what they have to say in one turn of the event loop.

uvicorn writes an answer's head and its body one after the other, and uvloop sends each at once: two system calls, and a
client that is woken for the head alone. Held back until the turn ends, they leave together.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HELD = 16 * 1024
"""Bytes. More goes at once, so that a stream meets the transport's own bound."""


class CorkedTransport:
    """A transport that writes at the end of the loop's turn; all else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Write, soon."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > MOST_HELD:
            self._flush()

    def close(self) -> None:
        """Write what is held back, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held, self._size = self._held, [], 0
            self._transport.write(b"".join(held))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class CorkedProtocol(HttpToolsProtocol):
    """uvicorn's protocol over such a transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(CorkedTransport(transport, self.loop))  # type: ignore[arg-type]
