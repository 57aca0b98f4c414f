"""Thin routes: what is surely right is answered past the framework, and nobody outside can tell the difference."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from joserfc import jwk

from shared.clock import SystemClock
from shared.errors import Conflict
from shared.http import ACT_AS, PARTICIPATE, Answer, Body, Caller, Idem, Router, Thin, Title, create_app
from shared.http.thin import MOST_BYTES
from shared.settings import Settings
from tests.unit.test_http import ISSUER, KEY, pointers, problem_of, publish, token

WORDS = {"title": "Read seven papers"}


class ThingIn(Body):
    title: Title


class _Thing(msgspec.Struct, forbid_unknown_fields=True):
    title: str


def _read(raw: bytes) -> str:
    said = msgspec.json.decode(raw, type=_Thing)
    if not (1 <= len(said.title) <= 200 and said.title.isprintable() and said.title.strip()):
        raise ValueError
    return said.title


@dataclass
class Things:
    """What was made, and which way each came; `begun` when one has, and waits to answer while `hold` is not set."""

    ways: list[str] = field(default_factory=list)
    uses: list[Idem | None] = field(default_factory=list)
    location: str = "/v1/things/1"
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.hold.set()

    async def make(self, way: str, caller: Caller, title: str, idem: Idem | None) -> Answer:
        self.ways.append(way)
        self.uses.append(idem)
        self.begun.set()
        await self.hold.wait()
        if title == "Taken":
            raise Conflict("There is one of that title.")
        body = {"title": title, "by": caller.person_id, "acts": caller.acts_as}
        return Answer(201, body, {"Location": self.location}, replayed=title == "Again")


def things_router(things: Things) -> Router:
    router = Router(tags=["things"])

    async def at_once(caller: Caller, title: str, idem: Idem | None) -> Answer:
        return await things.make("thin", caller, title, idem)

    @router.post("/v1/things", scopes=[PARTICIPATE], status_code=201, thin=Thin(_read, at_once))
    async def make_thing(body: ThingIn, caller: Caller, idem: Idem | None) -> Answer:
        """Make a thing."""
        return await things.make("ordinary", caller, body.title, idem)

    return router


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture
async def http(things: Things, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(auth_issuer=ISSUER, auth_jwks=str(tmp_path / "jwks.json"))
    publish(settings, KEY.as_dict(private=False))
    app = create_app("Onbelay things", settings, SystemClock(), routers=[things_router(things)])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://things") as client:
        yield client


async def post(
    http: httpx.AsyncClient, body: Any = WORDS, headers: dict[str, str] | None = None, query: str = ""
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    return await http.post(f"/v1/things{query}", content=content, headers=headers or token())


class TestWhatIsSurelyRight:
    async def test_is_answered_at_once(self, http: httpx.AsyncClient, things: Things) -> None:
        answer = await post(http)
        assert answer.status_code == 201
        assert answer.json() == {"title": "Read seven papers", "by": "ana", "acts": False}
        assert answer.headers["location"] == "/v1/things/1"
        assert things.ways == ["thin"]

    async def test_has_the_headers_of_the_ordinary_way(self, http: httpx.AsyncClient, things: Things) -> None:
        thin = await post(http)
        # An escape that looks like one that cannot be stored goes the ordinary way.
        ordinary = await post(http, b'{"title": "Read \\\\u0000"}')
        assert things.ways == ["thin", "ordinary"]
        lengthy = {"content-length"}
        assert {name: value for name, value in thin.headers.items() if name not in lengthy} == {
            name: value for name, value in ordinary.headers.items() if name not in lengthy
        }

    async def test_acts_as_a_person(self, http: httpx.AsyncClient, things: Things) -> None:
        answer = await post(http, headers={**token(ACT_AS), "Onbelay-Act-As": "ben"})
        assert answer.json() == {"title": "Read seven papers", "by": "ben", "acts": True}
        assert things.ways == ["thin"]

    async def test_says_so_when_it_is_answered_again(self, http: httpx.AsyncClient) -> None:
        assert (await post(http, {"title": "Again"})).headers["idempotency-replayed"] == "true"

    async def test_uses_a_key_as_the_ordinary_way_does(self, http: httpx.AsyncClient, things: Things) -> None:
        headers = {**token(), "Idempotency-Key": "k-1"}
        await post(http, b'{"title": "One"}', headers)
        await post(http, b'{ "title": "One" }' + b" " * MOST_BYTES, headers)
        assert things.ways == ["thin", "ordinary"]
        assert things.uses[0] == things.uses[1] is not None

    async def test_is_refused_by_what_is_stored(self, http: httpx.AsyncClient, things: Things) -> None:
        problem = problem_of(await post(http, {"title": "Taken"}), 409)
        assert problem["detail"] == "There is one of that title."
        assert things.ways == ["thin"]


class TestWhatIsNot:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [({"X-Nothing": "1"}, 401), ({"Authorization": "Bearer a.b.c"}, 401), (token(ACT_AS), 403)],
    )
    async def test_is_refused_for_who_asks_before_what(
        self, http: httpx.AsyncClient, things: Things, headers: dict[str, str], status: int
    ) -> None:
        problem_of(await post(http, b"no JSON", headers), status)
        assert things.ways == []

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/title"),
            ({"title": 7}, "/title"),
            ({"title": "two\nlines"}, "/title"),
            ({"title": "x" * 201}, "/title"),
            ({**WORDS, "more": 1}, "/more"),
            (b'{"title": "a\\u0000"}', "/title"),
        ],
    )
    async def test_is_refused_with_its_pointer(
        self, http: httpx.AsyncClient, things: Things, body: Any, pointer: str
    ) -> None:
        assert pointers(await post(http, body)) == [pointer]
        assert things.ways == []

    async def test_is_refused_for_a_parameter_that_is_none(
        self, http: httpx.AsyncClient, things: Things
    ) -> None:
        problem_of(await post(http, query="?more=1"), 422)
        assert things.ways == []

    async def test_is_refused_for_a_key_that_is_too_long(
        self, http: httpx.AsyncClient, things: Things
    ) -> None:
        problem_of(await post(http, headers={**token(), "Idempotency-Key": "k" * 256}), 422)
        assert things.ways == []

    async def test_is_no_json(self, http: httpx.AsyncClient) -> None:
        problem_of(await post(http, b'{"title": '), 400)

    async def test_a_withdrawn_key_ends_it_too(self, http: httpx.AsyncClient, things: Things) -> None:
        other = jwk.ECKey.generate_key("P-256", {"kid": "two", "use": "sig"})
        problem_of(await post(http, headers=token(key=other)), 401)
        assert things.ways == []
