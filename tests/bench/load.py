"""A closed loop of HTTP requests over some connections, cheap enough to share two cores with what it measures.

As a program it is told what to do on standard input, as JSON (`Load`), and prints `Told` as JSON. Each connection
sends its next request when the answer to the last has come. Answers are read by their length alone, and their
statuses are counted.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import cast

import msgspec
import uvloop


class Load(msgspec.Struct, kw_only=True):
    """What to send: `requests` names a file of JSON lines, each `{"head", "body"}`; sent in turn for `seconds`.

    With a `rate` no more than so many a second. Where `head` has `{key}`, each request gets a key of its own that
    begins with `keys`.
    """

    port: int
    requests: str
    keys: str
    connections: int = 32
    seconds: float = 3.0
    rate: float | None = None
    host: str = "127.0.0.1"


class Told(msgspec.Struct, kw_only=True):
    """What came of it; latencies in milliseconds, of all answers."""

    rate: float
    p50: float
    p99: float
    statuses: dict[int, int]


class Template(msgspec.Struct):
    """A request: its head with `{key}` where it wants one, and its body."""

    head: str
    body: str


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._buffer = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        self._run.answered(int(head[9:12]), time.perf_counter() - self._sent)
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.lost(exc)

    def _next(self) -> None:
        assert self._transport is not None
        request = self._run.request()
        if request is None:
            self._transport.close()
            return
        wait = self._run.wait_s()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._write, request)
        else:
            self._write(request)

    def _write(self, request: bytes) -> None:
        assert self._transport is not None
        self._sent = time.perf_counter()
        self._transport.write(request)


class _Run:
    def __init__(self, load: Load, requests: list[tuple[bytes, bytes, bytes]]) -> None:
        self._requests = requests
        self._keys = load.keys
        self._sent = 0
        self._open = load.connections
        self._latencies: list[float] = []
        self._statuses: dict[int, int] = {}
        self._rate = load.rate
        self._begun = time.perf_counter()
        self._until = self._begun + load.seconds
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.error: Exception | None = None

    def request(self) -> bytes | None:
        if time.perf_counter() >= self._until:
            return None
        before, after, body = self._requests[self._sent % len(self._requests)]
        self._sent += 1
        return before + b"%s-%d" % (self._keys.encode(), self._sent) + after + body

    def wait_s(self) -> float:
        """How long the request given out last has to wait, for the rate."""
        if self._rate is None:
            return 0.0
        return self._begun + self._sent / self._rate - time.perf_counter()

    def answered(self, status: int, seconds: float) -> None:
        self._statuses[status] = self._statuses.get(status, 0) + 1
        self._latencies.append(seconds)

    def lost(self, error: Exception | None) -> None:
        self.error = self.error or error
        self._open -= 1
        if self._open == 0 and not self.done.done():
            self.done.set_result(None)

    def told(self, seconds: float) -> Told:
        found = sorted(self._latencies)

        def quantile(share: float) -> float:
            return found[min(len(found) - 1, int(len(found) * share))] * 1000

        return Told(rate=len(found) / seconds, p50=quantile(0.5), p99=quantile(0.99), statuses=self._statuses)


def _lines(file: str) -> list[bytes]:
    return Path(file).read_bytes().splitlines()


async def run(load: Load) -> Told:
    """Send for as long as it says.

    Raises:
        OSError: a connection broke.
    """
    templates = [msgspec.json.decode(line, type=Template) for line in _lines(load.requests)]
    requests = []
    for template in templates:
        body = template.body.encode()
        before, _, after = template.head.partition("{key}")
        requests.append((before.encode(), f"{after}content-length: {len(body)}\r\n\r\n".encode(), body))
    loop = asyncio.get_running_loop()
    running = _Run(load, requests)
    began = time.perf_counter()
    for _ in range(load.connections):
        await loop.create_connection(lambda: _Connection(running), load.host, load.port)
    await running.done
    if running.error is not None:
        raise running.error
    return running.told(time.perf_counter() - began)


def main() -> None:
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        told = runner.run(run(load))
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")


if __name__ == "__main__":
    main()
