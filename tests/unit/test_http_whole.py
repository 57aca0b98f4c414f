"""Answers written as a whole: over a connection they are the bytes that ASGI's messages would have made."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
import uvicorn
from prometheus_client import REGISTRY
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from deploy.local.ports import HOST, pick
from shared.clock import SystemClock
from shared.http import create_app
from shared.http.corked import CorkedProtocol, Whole
from shared.http.thin import MOST_BYTES
from shared.settings import Settings
from tests.support.polling import eventually
from tests.unit.test_http import ISSUER, KEY, publish, token
from tests.unit.test_http_thin import Things, things_router

ANSWER_S = 5.0


def request(title: str = "Read seven papers", *headers: str, more: int = 0) -> bytes:
    """A POST of a thing; `more`: so many blanks behind its body."""
    body = json.dumps({"title": title}).encode() + b" " * more
    lines = ["POST /v1/things HTTP/1.1", f"host: {HOST}", f"content-length: {len(body)}", *headers]
    lines.append(f"authorization: {token()['Authorization']}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    """One connection to the server, read answer by answer."""

    def __init__(self, site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._site = site
        self._reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, list[str], bytes]:
        """The next answer: its status, its header lines, its body."""
        async with asyncio.timeout(ANSWER_S):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
            length = [line for line in head if line.startswith("content-length: ")]
            body = await self._reader.readexactly(int(length[0].partition(": ")[2])) if length else b""
        return int(head[0].split(" ")[1]), head[1:], body

    async def asked(self, *parts: bytes) -> tuple[int, list[str], bytes]:
        """What is answered to a request that is sent in parts, each after the one before it was taken in."""
        for part in parts:
            taken = self._site.taken + len(part)
            self.writer.write(part)
            await eventually(lambda taken=taken: self._site.taken >= taken, every=0.005)  # type: ignore[misc]
        return await self.answer()

    async def ended(self) -> bool:
        """Whether the server closes the connection, with nothing more said."""
        async with asyncio.timeout(ANSWER_S):
            return await self._reader.read() == b""


class Site:
    """A server, what its things were made by, and how many bytes it has taken in."""

    def __init__(self, port: int, things: Things) -> None:
        self.port = port
        self.things = things
        self.taken = 0

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connection]:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            yield Connection(self, reader, writer)
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    folder: Path, protocol: type[HttpToolsProtocol] = CorkedProtocol, *, keep_alive_s: float = 600
) -> AsyncIterator[Site]:
    things = Things()
    settings = Settings(auth_issuer=ISSUER, auth_jwks=str(folder / "jwks.json"))
    publish(settings, KEY.as_dict(private=False))
    app = create_app("Onbelay things", settings, SystemClock(), routers=[things_router(things)])
    (port,) = pick(1)
    site = Site(port, things)

    class Counting(protocol):  # type: ignore[misc,valid-type]
        def data_received(self, data: bytes) -> None:
            site.taken += len(data)
            super().data_received(data)

    config = uvicorn.Config(
        app, host=HOST, port=port, http=Counting, log_config=None, server_header=False, lifespan="off",
        timeout_graceful_shutdown=1, timeout_keep_alive=keep_alive_s,  # type: ignore[arg-type]
    )  # fmt: skip
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    try:
        yield site
    finally:
        server.should_exit = True
        await running


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(tmp_path) as made:
        yield made


def without_date(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if not line.startswith("date: ")]


class TestAnAnswerAsAWhole:
    async def test_is_that_of_messages(self, site: Site, tmp_path: Path) -> None:
        async with serving(tmp_path, HttpToolsProtocol) as plain, plain.connected() as theirs:
            by_messages = await theirs.asked(request())
        async with site.connected() as ours:
            status, lines, body = await ours.asked(request())
        assert site.things.ways == plain.things.ways == ["thin"]
        assert (status, body) == (by_messages[0], by_messages[2])
        assert without_date(lines) == without_date(by_messages[1])
        assert "x-content-type-options: nosniff" in lines
        assert any(line.startswith("date: ") for line in lines)

    async def test_is_counted_with_its_status(self, site: Site) -> None:
        labels = {"service": "things", "method": "POST", "route": "/v1/things", "status": "2xx"}
        before = REGISTRY.get_sample_value("onbelay_http_requests_total", labels) or 0
        async with site.connected() as connection:
            await connection.asked(request())
        assert REGISTRY.get_sample_value("onbelay_http_requests_total", labels) == before + 1

    async def test_leaves_the_connection_open_for_the_next(self, site: Site) -> None:
        async with site.connected() as connection:
            found = [json.loads((await connection.asked(request(title)))[2]) for title in ("One", "Two")]
        assert [each["title"] for each in found] == ["One", "Two"]

    async def test_comes_in_the_order_of_requests_sent_at_once(self, site: Site) -> None:
        titles = ["One", "Taken", "Three"]
        async with site.connected() as connection:
            connection.writer.write(b"".join(request(title) for title in titles))
            found = [await connection.answer() for _ in titles]
        assert [status for status, _, _ in found] == [201, 409, 201]
        assert [json.loads(found[place][2])["title"] for place in (0, 2)] == ["One", "Three"]
        assert site.things.ways == ["thin"] * 3

    async def test_closes_where_the_client_asked_for_it(self, site: Site) -> None:
        async with site.connected() as connection:
            status, lines, _ = await connection.asked(request("One", "connection: close"))
            assert (status, lines.count("connection: close")) == (201, 1)
            assert await connection.ended()

    @pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
    async def test_holds_no_header_that_ends_a_line(self, site: Site, end: str) -> None:
        site.things.location = f"/v1/things/1{end}x-made: up"
        async with site.connected() as connection:
            status, lines, _ = await connection.asked(request())
            assert status == 500
            assert not any(line.startswith(("x-made", "location")) for line in lines)
            site.things.location = "/v1/things/1"
            assert (await connection.asked(request()))[0] == 201

    async def test_leaves_nothing_to_the_collector(self, site: Site) -> None:
        """Twenty containers a request would have it run, and everybody wait, every other second under load."""
        async with site.connected() as connection:
            gc.collect()
            gc.disable()
            try:
                for _ in range(10):
                    assert (await connection.asked(request()))[0] == 201
                alive = [each for each in gc.get_objects() if type(each) is RequestResponseCycle]
            finally:
                gc.enable()
        assert len(alive) <= 2


class TestARequestThatIsNotWhole:
    async def test_is_waited_for(self, site: Site) -> None:
        whole = request()
        head, body = whole[:-10], whole[-10:]
        async with site.connected() as connection:
            assert (await connection.asked(head, body[:4], body[4:]))[0] == 201
        assert site.things.ways == ["thin"]

    async def test_is_asked_for_where_the_client_waits(self, site: Site) -> None:
        whole = request("One", "expect: 100-continue")
        end = whole.index(b"\r\n\r\n") + 4
        async with site.connected() as connection:
            assert (await connection.asked(whole[:end]))[0] == 100
            assert (await connection.asked(whole[end:]))[0] == 201

    async def test_goes_the_ordinary_way_where_it_is_large(self, site: Site) -> None:
        async with site.connected() as connection:
            assert (await connection.asked(request(more=MOST_BYTES)))[0] == 201
            assert (await connection.asked(request("no\nline")))[0] == 422
        assert site.things.ways == ["ordinary"]

    async def test_whose_client_has_gone_harms_nobody(self, site: Site) -> None:
        site.things.hold.clear()
        async with site.connected() as leaving:
            leaving.writer.write(request("One"))
            await site.things.begun.wait()
        async with site.connected() as staying:
            site.things.hold.set()
            assert (await staying.asked(request("Two")))[0] == 201
        assert site.things.ways == ["thin", "thin"]


class TestAnIdleConnection:
    async def test_is_closed_when_its_time_is_over(self, tmp_path: Path) -> None:
        async with serving(tmp_path, keep_alive_s=0.3) as site, site.connected() as connection:
            for _ in range(4):
                assert (await connection.asked(request()))[0] == 201
                await asyncio.sleep(0.15)
            answered = time.monotonic()
            assert await connection.ended()
            assert time.monotonic() - answered > 0.1

    async def test_is_not_idle_while_something_comes_or_is_done(self, tmp_path: Path) -> None:
        whole = request()
        async with serving(tmp_path, keep_alive_s=0.15) as site, site.connected() as connection:
            assert (await connection.asked(whole))[0] == 201
            connection.writer.write(whole[:30])
            await asyncio.sleep(0.4)
            site.things.begun.clear()
            site.things.hold.clear()
            connection.writer.write(whole[30:])
            await site.things.begun.wait()
            await asyncio.sleep(0.4)
            site.things.hold.set()
            assert (await connection.answer())[0] == 201
            assert await connection.ended()

    async def test_leaves_no_timer_behind(self, tmp_path: Path) -> None:
        made: list[CorkedProtocol] = []

        class Noted(CorkedProtocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                made.append(self)
                super().connection_made(transport)

        async with serving(tmp_path, Noted) as site:
            async with site.connected() as connection:
                await connection.asked(request())
                assert made[0].timeout_keep_alive_task is not None
            await eventually(lambda: made[0].timeout_keep_alive_task is None)


class TestAWhole:
    @pytest.mark.parametrize(("gone", "paused"), [(True, False), (False, True)])
    def test_is_not_written_to_a_client_that_has_gone_or_does_not_keep_up(
        self, gone: bool, paused: bool
    ) -> None:
        cycle = Mock(disconnected=gone, default_headers=[], keep_alive=True)
        cycle.flow.write_paused = paused
        whole = Whole(cycle)
        assert not whole.answer(201, [(b"content-length", b"2")], b"{}")
        assert whole.status == 0
        cycle.transport.write.assert_not_called()
