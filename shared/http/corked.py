"""HTTP/1.1 connections that say in one write what they have to say in one turn of the event loop.

uvicorn writes an answer's head and its body one after the other, and uvloop sends each at once: two system calls, and a
client that is woken for the head alone. Held back until the turn ends, they leave together. Who knows of the extension
`WHOLE` takes a request, and gives its answer, past ASGI's messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from weakref import ref

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

WHOLE = "onbelay.whole"
"""The extension of a scope that holds the request's `Whole`."""
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


class Whole:
    """A request and its answer, each as a whole, where ASGI passes them on in messages.

    `status` is that of the answer that was written here; 0: none was.
    """

    __slots__ = ("_held_elsewhere", "status")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        # The cycle holds the scope, which holds this: held in turn, all of a request would wait for the collector.
        self._held_elsewhere = ref(cycle)
        self.status = 0

    @property
    def _cycle(self) -> RequestResponseCycle:
        cycle = self._held_elsewhere()
        assert cycle is not None  # noqa: S101 - narrows; it runs what asks
        return cycle

    @property
    def body(self) -> bytes | None:
        """The body if all of it has come; ASGI's `receive` still gives it. None: it has not, or the client has gone."""
        cycle = self._cycle
        return None if cycle.more_body or cycle.disconnected else bytes(cycle.body)

    def answer(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write an answer, whose headers must tell the length of its body.

        Returns:
            Whether it was written. Not to a client that has gone or does not keep up: ASGI's `send` knows what to do.

        Raises:
            ValueError: a header holds a line's end.
        """
        cycle = self._cycle
        if cycle.disconnected or cycle.flow.write_paused:
            return False
        parts = [STATUS_LINE[status]]
        ends = 2
        for name, value in (*cycle.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
            ends += 1
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
            ends += 1
        parts.append(b"\r\n")
        head = b"".join(parts)
        if head.count(b"\n") != ends or head.count(b"\r") != ends:
            raise ValueError("a header holds a line's end")
        cycle.response_started = cycle.response_complete = True
        self.status = status
        cycle.transport.write(head + body)
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True


class CorkedProtocol(HttpToolsProtocol):
    """uvicorn's protocol over such a transport, whose scopes have `Whole`s.

    How long a connection may be idle is watched by one timer that looks when it is due, not by one a request.
    """

    _idle_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(CorkedTransport(transport, self.loop))  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def on_response_complete(self) -> None:
        """A request is answered: on to the next that has come, or wait for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_in(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for long enough; what is asked meanwhile is waited for."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_in(left)
        else:
            super().timeout_keep_alive_handler()

    def _unset_keepalive_if_required(self) -> None:
        # uvicorn calls it when anything comes.
        self._idle_since = None

    def _look_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.scope["extensions"] = {WHOLE: Whole(cycle)}  # type: ignore[dict-item]
        super()._start_asgi_task(cycle, app)
