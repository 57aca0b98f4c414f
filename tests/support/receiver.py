"""An HTTP endpoint on loopback that keeps what it is sent, and answers as a test says."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Reply = Callable[["Request"], bytes | None]
"""The whole answer to a request, as bytes; None: none is given."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request: the target, its headers by lower-case name, the body."""

    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The body as JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """An answer with that status and body."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Receiver:
    """What came in at `url`; `reply` can be changed at any time."""

    url: str
    reply: Reply
    requests: list[Request] = field(default_factory=list)

    def to(self, target: str) -> list[Request]:
        """Those to one path."""
        return [request for request in self.requests if request.target == target]


@asynccontextmanager
async def receiver(
    reply: Reply | None = None, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """A receiver that runs meanwhile; it answers 204 unless told otherwise."""
    found = Receiver("", reply or (lambda _: answer(204)))
    stopped = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            found.requests.append(request)
            content = found.reply(request)
            if content is None:
                await stopped.wait()
            else:
                writer.write(content)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, host, port, ssl=tls)
    taken = server.sockets[0].getsockname()[1]
    found.url = f"{'http' if tls is None else 'https'}://{host}:{taken}"
    try:
        yield found
    finally:
        stopped.set()
        server.close()
        await server.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(head[0].split(" ")[1], headers, body)
