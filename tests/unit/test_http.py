"""The edge that all services share, through its own application: what it refuses, in which order, and how."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import pytest
from fastapi import Form, Query
from joserfc import jwk, jwt
from prometheus_client import REGISTRY
from pydantic import Field, model_validator
from pymongo.errors import ServerSelectionTimeoutError
from starlette.responses import HTMLResponse

from shared.clock import SystemClock
from shared.errors import Conflict, Forbidden, NotFound
from shared.http import (
    ACT_AS,
    PARTICIPATE,
    PROGRAMS,
    Answer,
    Body,
    Caller,
    Day,
    Id,
    Idem,
    IfMatch,
    Instant,
    Number,
    Page,
    Params,
    PersonId,
    Position,
    QueryInstant,
    Readiness,
    Reply,
    Router,
    Title,
    create_app,
    etag,
)
from shared.http.body import parse
from shared.idempotency import fingerprint
from shared.settings import Settings
from shared.telemetry import current_traceparent
from shared.time import parse_instant

ISSUER = "https://issuer.example"
KEY = jwk.ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})


class NumberMeasure(Body):
    kind: Literal["number"]
    target: Number


class MilestonesMeasure(Body):
    kind: Literal["milestones"]
    milestones: list[Title]


class ThingIn(Body):
    title: Title
    measure: Annotated[NumberMeasure | MilestonesMeasure, Field(discriminator="kind")] | None = None
    days: int | None = Field(None, ge=1, le=90)
    at: Instant | None = None
    on: Day | None = None
    owner_id: PersonId | None = None

    @model_validator(mode="after")
    def _not_both(self) -> ThingIn:
        if self.at and self.on:
            raise ValueError("Either at or on")
        return self


class Filters(Params):
    owner_id: Id | None = None
    from_: QueryInstant | None = Field(None, alias="from")


class Things:
    """Keeps in memory what the routes below need; counts how often a handler ran."""

    def __init__(self) -> None:
        self.ran = 0
        self.kept: dict[str, tuple[str, Answer]] = {}
        self.hold = asyncio.Event()
        self.hold.set()
        self.running = 0
        self.most_running = 0


def things_router(things: Things) -> Router:
    router = Router(tags=["things"])

    @router.post("/v1/things", scopes=[PARTICIPATE], status_code=201)
    async def make(body: ThingIn, caller: Caller, idem: Idem | None) -> Answer:
        """Make a thing."""
        if idem and idem.k in things.kept:
            kept = things.kept[idem.k][1]
            return Answer(kept.status, kept.body, kept.headers, replayed=True)
        things.running += 1
        things.most_running = max(things.most_running, things.running)
        await things.hold.wait()
        things.running -= 1
        things.ran += 1
        made = {"thing_id": str(things.ran), "title": body.title, "by": caller.person_id, "at": body.at}
        answer = Answer(201, made, {"Location": f"/v1/things/{things.ran}", "ETag": etag(1)})
        if idem:
            things.kept[idem.k] = (idem.fp, answer)
        return answer

    @router.get("/v1/things", scopes=[PARTICIPATE, PROGRAMS])
    async def list_things(filters: Annotated[Filters, Query()], page: Page, caller: Caller) -> Reply:
        first = page.after.id if page.after else "999"
        ids = [f"{number:03}" for number in range(120, 0, -1) if f"{number:03}" < first]
        at = parse_instant("2026-11-24T09:00:00.250Z")
        return page.listing(
            ids[: page.fetch], lambda id: Position(at, id), lambda id: {"id": id, "from": filters.from_}
        )

    @router.get("/v1/things/{thing_id}", scopes=[PARTICIPATE])
    async def read(thing_id: str, caller: Caller) -> Reply:
        if thing_id != "1":
            raise NotFound("There is no such thing.")
        return Answer(200, {"thing_id": "1", "by": caller.person_id}, {"ETag": etag(7)})

    @router.patch("/v1/things/{thing_id}", scopes=[PARTICIPATE])
    async def change(thing_id: str, body: ThingIn, caller: Caller, if_match: IfMatch) -> Reply:
        if thing_id != "1":
            raise NotFound("There is no such thing.")
        if caller.person_id == "stranger":
            raise Forbidden("Only its owner.")
        if_match.check(7)
        return Answer(200, {"title": body.title}, {"ETag": etag(8)})

    @router.post("/v1/things/{thing_id}/end", scopes=[PARTICIPATE])
    async def end(thing_id: str, caller: Caller) -> Reply:
        raise Conflict("It has not begun.", retry_after=3)

    @router.delete("/v1/things/{thing_id}", scopes=[PARTICIPATE])
    async def remove(thing_id: str, caller: Caller) -> Reply:
        return None

    @router.put("/v1/people/{person_id}", scopes=[PARTICIPATE])
    async def put_person(person_id: PersonId, body: ThingIn) -> Reply:
        return {"person_id": person_id}

    @router.post("/c/{token}", scopes=None)
    async def form(token: str, note: Annotated[str, Form()]) -> Reply:
        return HTMLResponse(f"<p>{len(note)}</p>")

    @router.get("/v1/trace", scopes=None)
    async def trace() -> Reply:
        return {"traceparent": current_traceparent()}

    @router.get("/v1/broken", scopes=None)
    async def broken() -> Reply:
        raise KeyError("a secret inside")

    @router.get("/v1/away", scopes=None)
    async def away() -> Reply:
        raise ServerSelectionTimeoutError("no server at 10.0.0.1")

    @router.get("/v1/slow", scopes=None, timeout_s=0.05)
    async def slow() -> Reply:
        await asyncio.Event().wait()
        return {}

    @router.get("/v1/slow/driver", scopes=None, timeout_s=0.05)
    async def slow_driver() -> Reply:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise RuntimeError("Lock is not acquired.") from None  # as drivers do when they are cancelled
        return {}

    return router


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(auth_issuer=ISSUER, auth_jwks=str(tmp_path / "jwks.json"))
    publish(made, KEY.as_dict(private=False))
    return made


@pytest.fixture
async def http(things: Things, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    readiness = Readiness({"mongo": _fine})
    app = create_app(
        "Onbelay things", settings, SystemClock(), routers=[things_router(things)], readiness=readiness
    )
    app.state.readiness = readiness
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://things") as client:
        yield client


def publish(settings: Settings, *keys: Any) -> None:
    """Make these the issuer's keys."""
    Path(settings.auth_jwks).write_text(json.dumps({"keys": keys}))


async def _fine() -> bool:
    return True


def token(
    scope: str = PARTICIPATE, sub: str = "ana", org: str = "acme", key: Any = KEY, **claims: Any
) -> dict[str, str]:
    """The headers of a request by `sub`."""
    header = {"alg": "ES256", "kid": "one"}
    made = {
        "iss": ISSUER,
        "aud": "onbelay",
        "exp": int(time.time()) + 86_400,
        "sub": sub,
        "org_id": org,
        "scope": scope,
        **claims,
    }
    kept = {name: value for name, value in made.items() if value is not None}
    return {"Authorization": f"Bearer {jwt.encode(header, kept, key)}"}


def problem_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem that a response carries, whose form is checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["status"] == status
    assert found["type"].startswith("urn:onbelay:problem:")
    assert found["title"]
    assert found["detail"]
    return found


def pointers(response: httpx.Response) -> list[str]:
    return [error["pointer"] for error in problem_of(response, 422)["errors"]]


def parameters(response: httpx.Response) -> list[str]:
    return [error["parameter"] for error in problem_of(response, 422)["errors"]]


class TestWhoCalls:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": "Basic YTpi"},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer nonsense"},
            {"Authorization": "Bearer a.b.c"},
            {"Authorization": "Bearer " + "a" * 9000},
            token(iss="https://other.example"),
            token(aud="other"),
            token(aud=None),
            token(exp=int(time.time()) - 1),
            token(exp=None),
            token(exp="soon"),
            token(nbf=int(time.time()) + 3_000),
            token(sub="a@b.example"),
            token(sub="system"),
            token(sub=7),  # type: ignore[arg-type]
            token(org=""),
            token(key=jwk.ECKey.generate_key("P-256", {"kid": "one"})),
        ],
    )
    async def test_a_token_that_does_not_hold_is_401(
        self, http: httpx.AsyncClient, headers: dict[str, str]
    ) -> None:
        response = await http.post("/v1/things", headers=headers, content=b"{broken")
        problem_of(response, 401)
        assert response.headers["www-authenticate"].startswith("Bearer")

    async def test_an_unsigned_token_is_401(self, http: httpx.AsyncClient) -> None:
        claims = {"iss": ISSUER, "aud": "onbelay", "exp": time.time() + 60, "sub": "ana", "org_id": "acme"}
        secret = jwk.OctKey.import_key("k" * 32)
        parts = ({"alg": "none"}, claims)
        encoded = [
            base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
        ]
        unsigned = ".".join([*encoded, ""])
        shared = jwt.encode({"alg": "HS256", "kid": "one"}, claims, secret)
        for bearer in (unsigned, shared):
            response = await http.get("/v1/things/1", headers={"Authorization": f"Bearer {bearer}"})
            problem_of(response, 401)

    async def test_rs256_and_eddsa_are_taken_too(self, http: httpx.AsyncClient, settings: Settings) -> None:
        rsa = jwk.RSAKey.generate_key(2048, {"kid": "rsa"})
        ed = jwk.OKPKey.generate_key("Ed25519", {"kid": "ed"})
        publish(settings, rsa.as_dict(private=False), ed.as_dict(private=False), {"kty": "oct", "k": "eA"})
        claims = {
            "iss": ISSUER, "aud": ["x", "onbelay"], "exp": time.time() + 60, "sub": "ana", "org_id": "acme",
            "scope": PARTICIPATE,
        }  # fmt: skip
        signed = [jwt.encode({"alg": "RS256", "kid": "rsa"}, claims, rsa)]
        with pytest.warns(UserWarning, match="EdDSA"):
            signed.append(jwt.encode({"alg": "EdDSA"}, claims, ed, algorithms=["EdDSA"]))
        for bearer in signed:
            response = await http.get("/v1/things/1", headers={"Authorization": f"Bearer {bearer}"})
            assert response.status_code == 200, response.text

    async def test_a_key_that_was_withdrawn_ends_tokens_that_were_verified(
        self, http: httpx.AsyncClient, settings: Settings
    ) -> None:
        headers = token()
        assert (await http.get("/v1/things/1", headers=headers)).status_code == 200
        other = jwk.ECKey.generate_key("P-256", {"kid": "two"})
        publish(settings, other.as_dict(private=False))
        deadline = time.monotonic() + 5
        while (await http.get("/v1/things/1", headers=headers)).status_code != 401:
            assert time.monotonic() < deadline, "the withdrawn key still counts"
            await asyncio.sleep(0.05)

    async def test_a_scope_that_does_not_allow_it_is_403_before_the_body_is_looked_at(
        self, http: httpx.AsyncClient
    ) -> None:
        response = await http.post("/v1/things", headers=token(scope=PROGRAMS), content=b"{broken")
        problem_of(response, 403)

    async def test_any_of_a_routes_scopes_is_enough(self, http: httpx.AsyncClient) -> None:
        assert (await http.get("/v1/things", headers=token(scope=PROGRAMS))).status_code == 200

    async def test_an_integration_acts_as_a_person(self, http: httpx.AsyncClient) -> None:
        headers = token(scope=ACT_AS, sub="robot") | {"Onbelay-Act-As": "ben"}
        response = await http.get("/v1/things/1", headers=headers)
        assert response.json()["by"] == "ben"

    async def test_acting_as_a_person_leaves_participate_alone(self, http: httpx.AsyncClient) -> None:
        headers = token(scope=f"{ACT_AS} {PROGRAMS}", sub="robot")
        assert (await http.get("/v1/things", headers=headers)).status_code == 200
        acting = headers | {"Onbelay-Act-As": "ben"}
        assert (await http.get("/v1/things", headers=acting)).status_code == 200
        problem_of(await http.get("/v1/things/1", headers=headers), 403)

    async def test_acting_without_its_scope_is_403(self, http: httpx.AsyncClient) -> None:
        problem_of(await http.get("/v1/things/1", headers=token() | {"Onbelay-Act-As": "ben"}), 403)

    @pytest.mark.parametrize("person", ["a@b.example", "system", "x" * 129, ""])
    async def test_acting_as_nobody_is_422(self, http: httpx.AsyncClient, person: str) -> None:
        response = await http.get("/v1/things/1", headers=token(scope=ACT_AS) | {"Onbelay-Act-As": person})
        assert parameters(response) == ["Onbelay-Act-As"]


class TestTheBody:
    async def post(self, http: httpx.AsyncClient, body: Any) -> httpx.Response:
        return await http.post("/v1/things", headers=token(), json=body)

    @pytest.mark.parametrize(
        "raw",
        [b"{", b"{'a': 1}", b'{"title": NaN}', b'{"title": -Infinity}', b'{"title": "\xff"}', b"[" * 5000],
    )
    async def test_what_is_not_json_is_400(self, http: httpx.AsyncClient, raw: bytes) -> None:
        problem_of(await http.post("/v1/things", headers=token(), content=raw), 400)

    async def test_any_content_type_is_read_as_json(self, http: httpx.AsyncClient) -> None:
        headers = token() | {"Content-Type": "text/plain"}
        assert (await http.post("/v1/things", headers=headers, content=b'{"title": "x"}')).status_code == 201

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ([], ""),
            ("x", ""),
            ({}, "/title"),
            ({"title": 7}, "/title"),
            ({"title": ""}, "/title"),
            ({"title": "  "}, "/title"),
            ({"title": "a\nb"}, "/title"),
            ({"title": "a\n"}, "/title"),
            ({"title": "a\u000b"}, "/title"),
            ({"title": "a\u0085"}, "/title"),
            ({"title": "x" * 201}, "/title"),
            ({"title": "a\0b"}, "/title"),
            ({"title": "x", "more/of~it": 1}, "/more~1of~0it"),
            ({"title": "x", "days": True}, "/days"),
            ({"title": "x", "days": "5"}, "/days"),
            ({"title": "x", "days": 5.5}, "/days"),
            ({"title": "x", "days": 91}, "/days"),
            ({"title": "x", "days": 10**30}, "/days"),
            ({"title": "x", "at": "2026-12-18"}, "/at"),
            ({"title": "x", "at": 1700000000}, "/at"),
            ({"title": "x", "at": "2026-12-18T17:00:00 01:00"}, "/at"),
            ({"title": "x", "on": "2026-02-30"}, "/on"),
            ({"title": "x", "on": "2026-02-01T00:00:00"}, "/on"),
            ({"title": "x", "owner_id": "a@b.example"}, "/owner_id"),
            ({"title": "x", "owner_id": "system"}, "/owner_id"),
            ({"title": "x", "measure": {}}, "/measure"),
            ({"title": "x", "measure": {"kind": "number"}}, "/measure/target"),
            ({"title": "x", "measure": {"kind": "number", "target": "7"}}, "/measure/target"),
            ({"title": "x", "measure": {"kind": "number", "target": 1, "number": 2}}, "/measure/number"),
            ({"title": "x", "measure": {"kind": "milestones"}}, "/measure/milestones"),
            (
                {"title": "x", "measure": {"kind": "milestones", "milestones": ["a", 7]}},
                "/measure/milestones/1",
            ),
            ({"title": "x", "at": "2026-12-18T10:00:00Z", "on": "2026-12-18"}, ""),
        ],
    )
    async def test_a_wrong_field_is_422_with_its_pointer(
        self, http: httpx.AsyncClient, body: Any, expected: str
    ) -> None:
        assert pointers(await self.post(http, body)) == [expected]

    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            (b'{"title": "x", "measure": {"kind": "number", "target": 1e999}}', "/measure/target"),
            (
                b'{"title": "x", "measure": {"kind": "number", "target": ' + b"9" * 309 + b"}}",
                "/measure/target",
            ),
            (b'{"title": "\\ud800"}', "/title"),
            (b'{"\\ud800": 1}', ""),
            (b'{"title": ' + b"[" * 40 + b"]" * 40 + b"}", "/title" + "/0" * 31),
            (b'{"title": "x", "days": ' + b"9" * 5000 + b"}", "/days"),
            (b"", "/title"),
        ],
    )
    async def test_what_cannot_be_stored_is_422(
        self, http: httpx.AsyncClient, raw: bytes, expected: str
    ) -> None:
        assert pointers(await http.post("/v1/things", headers=token(), content=raw)) == [expected]

    @pytest.mark.parametrize("target", ["1e20", "100000000000000000000", "-9223372036854775809", "1" * 300])
    async def test_a_finite_number_is_one_however_it_is_written(
        self, http: httpx.AsyncClient, target: str
    ) -> None:
        raw = b'{"title": "x", "measure": {"kind": "number", "target": %s}}' % target.encode()
        assert (await http.post("/v1/things", headers=token(), content=raw)).status_code == 201

    def test_a_large_number_is_the_same_however_it_is_written(self) -> None:
        assert fingerprint(parse(b"1e20")) == fingerprint(parse(b"100000000000000000000"))
        assert fingerprint(parse(b"9007199254740993")) != fingerprint(parse(b"9007199254740992"))

    async def test_every_wrong_field_is_named(self, http: httpx.AsyncClient) -> None:
        response = await self.post(http, {"days": 0, "nonsense": 1})
        assert sorted(pointers(response)) == ["/days", "/nonsense", "/title"]

    async def test_a_field_named_like_a_kind_does_not_confuse_the_pointers(
        self, http: httpx.AsyncClient
    ) -> None:
        response = await self.post(http, {"title": "x", "measure": {"kind": "number", "number": 5}})
        assert sorted(pointers(response)) == ["/measure/number", "/measure/target"]

    async def test_a_problem_does_not_repeat_what_was_sent(self, http: httpx.AsyncClient) -> None:
        response = await self.post(http, {"title": ["private words"]})
        assert "private words" not in response.text

    async def test_a_body_over_the_limit_is_413(self, http: httpx.AsyncClient) -> None:
        over = json.dumps({"title": "x" * 1_048_576}).encode()
        problem_of(await http.post("/v1/things", headers=token(), content=over), 413)

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(over), 65_536):
                yield over[start : start + 65_536]

        problem_of(await http.post("/v1/things", headers=token(), content=chunks()), 413)

    async def test_a_body_at_the_limit_is_read(self, http: httpx.AsyncClient) -> None:
        body = b'{"title": "x"}'
        padded = body + b" " * (1_048_576 - len(body))
        assert (await http.post("/v1/things", headers=token(), content=padded)).status_code == 201

    async def test_a_step_without_a_body_takes_none_but_an_empty_object(
        self, http: httpx.AsyncClient
    ) -> None:
        problem_of(await http.post("/v1/things/1/end", headers=token()), 409)
        problem_of(await http.post("/v1/things/1/end", headers=token(), json={}), 409)
        response = await http.post("/v1/things/1/end", headers=token(), json={"why": "x"})
        assert pointers(response) == ["/why"]

    async def test_an_instant_of_any_offset_is_answered_in_utc(self, http: httpx.AsyncClient) -> None:
        response = await self.post(http, {"title": "x", "at": "2026-12-18T17:00:00.1239+01:00"})
        assert response.json()["at"] == "2026-12-18T16:00:00.123Z"


class TestParameters:
    @pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1.0", "", "1e2", "٣", "9" * 5000])
    async def test_a_limit_out_of_range_is_422(self, http: httpx.AsyncClient, limit: str) -> None:
        assert parameters(await http.get("/v1/things", params={"limit": limit}, headers=token())) == ["limit"]

    @pytest.mark.parametrize("cursor", ["", "x", "AAAA", "%00", "é", "W10", "e30" * 100])
    async def test_a_made_up_cursor_is_422(self, http: httpx.AsyncClient, cursor: str) -> None:
        response = await http.get("/v1/things", params={"cursor": cursor}, headers=token())
        assert parameters(response) == ["cursor"]

    async def test_a_cursor_that_was_changed_is_422(self, http: httpx.AsyncClient) -> None:
        cursor = (await http.get("/v1/things", headers=token())).json()["next_cursor"]
        changed = cursor[:-2] + ("AA" if not cursor.endswith("AA") else "BB")
        response = await http.get("/v1/things", params={"cursor": changed}, headers=token())
        assert parameters(response) == ["cursor"]

    async def test_pages_follow_each_other_without_loss(self, http: httpx.AsyncClient) -> None:
        seen: list[str] = []
        params: dict[str, Any] = {}
        sizes = []
        while True:
            page = (await http.get("/v1/things", params=params, headers=token())).json()
            sizes.append(len(page["items"]))
            seen += [item["id"] for item in page["items"]]
            if "next_cursor" not in page:
                break
            params = {"cursor": page["next_cursor"]}
        assert sizes == [50, 50, 20]
        assert seen == [f"{number:03}" for number in range(120, 0, -1)]

    async def test_an_unknown_parameter_is_422(self, http: httpx.AsyncClient) -> None:
        response = await http.get("/v1/things", params={"owner": "x"}, headers=token())
        assert parameters(response) == ["owner"]
        response = await http.get("/v1/things/1", params={"x": "1"}, headers=token())
        assert parameters(response) == ["x"]

    @pytest.mark.parametrize(("name", "value"), [("owner_id", "a@b.example"), ("from", "yesterday")])
    async def test_a_wrong_filter_is_422(self, http: httpx.AsyncClient, name: str, value: str) -> None:
        response = await http.get("/v1/things", params={name: value}, headers=token())
        assert parameters(response) == [name]

    @pytest.mark.parametrize("text", ["2026-12-18T17:00:00%2B01:00", "2026-12-18T17:00:00+01:00"])
    async def test_an_offsets_plus_may_stay_unescaped(self, http: httpx.AsyncClient, text: str) -> None:
        response = await http.get(f"/v1/things?limit=1&from={text}", headers=token())
        assert response.json()["items"][0]["from"] == "2026-12-18T16:00:00Z"

    async def test_a_wrong_path_parameter_is_422(self, http: httpx.AsyncClient) -> None:
        response = await http.put("/v1/people/a@b.example", headers=token(), json={"title": "x"})
        assert parameters(response) == ["person_id"]


class TestConditions:
    async def test_404_and_403_come_before_428_and_412(self, http: httpx.AsyncClient) -> None:
        body = {"title": "x"}
        problem_of(await http.patch("/v1/things/2", headers=token(), json=body), 404)
        problem_of(await http.patch("/v1/things/1", headers=token(sub="stranger"), json=body), 403)
        problem_of(await http.patch("/v1/things/1", headers=token(), json=body), 428)
        for stale in ('"6"', 'W/"7"', "7", ""):
            headers = token() | {"If-Match": stale}
            problem_of(await http.patch("/v1/things/1", headers=headers, json=body), 412)
        assert pointers(await http.patch("/v1/things/1", headers=token(), json={})) == ["/title"]

    @pytest.mark.parametrize("tags", ['"7"', "*", '"5", "7"', ' "7" '])
    async def test_the_present_version_passes(self, http: httpx.AsyncClient, tags: str) -> None:
        headers = token() | {"If-Match": tags}
        response = await http.patch("/v1/things/1", headers=headers, json={"title": "x"})
        assert response.headers["etag"] == '"8"'

    async def test_a_get_of_what_is_known_is_304(self, http: httpx.AsyncClient) -> None:
        response = await http.get("/v1/things/1", headers=token() | {"If-None-Match": 'W/"7"'})
        assert response.status_code == 304
        assert response.headers["etag"] == '"7"'
        response = await http.get("/v1/things/1", headers=token() | {"If-None-Match": '"6"'})
        assert response.status_code == 200


class TestIdempotencyKeys:
    async def test_the_same_key_answers_as_before(self, http: httpx.AsyncClient, things: Things) -> None:
        headers = token() | {"Idempotency-Key": "k"}
        first = await http.post("/v1/things", headers=headers, content=b'{"title": "x", "days": 5}')
        second = await http.post("/v1/things", headers=headers, content=b'{ "days":5,"title":"\\u0078"}')
        assert (first.status_code, first.json()) == (second.status_code, second.json())
        assert second.headers["location"] == first.headers["location"]
        assert second.headers["idempotency-replayed"] == "true"
        assert "idempotency-replayed" not in first.headers
        assert things.ran == 1

    async def test_the_same_json_has_the_same_fingerprint_and_other_json_another(
        self, http: httpx.AsyncClient, things: Things
    ) -> None:
        prints = []
        for number, raw in enumerate(
            [b'{"title":"x","days":5}', b'{"days": 5, "title": "x"}', b'{"title":"x"}']
        ):
            headers = token() | {"Idempotency-Key": str(number)}
            await http.post("/v1/things", headers=headers, content=raw)
            prints.append(list(things.kept.values())[-1][0])
        assert prints[0] == prints[1] != prints[2]

    async def test_a_key_is_of_one_organization_and_person(
        self, http: httpx.AsyncClient, things: Things
    ) -> None:
        for headers in (
            token(),
            token(org="other"),
            token(sub="ben"),
            token(scope=ACT_AS, sub="ana") | {"Onbelay-Act-As": "cleo"},
        ):
            await http.post("/v1/things", headers=headers | {"Idempotency-Key": "k"}, json={"title": "x"})
        assert things.ran == 4

    async def test_acting_as_a_person_is_that_persons_key(
        self, http: httpx.AsyncClient, things: Things
    ) -> None:
        for headers in (token(), token(scope=ACT_AS, sub="robot") | {"Onbelay-Act-As": "ana"}):
            await http.post("/v1/things", headers=headers | {"Idempotency-Key": "k"}, json={"title": "x"})
        assert things.ran == 1

    async def test_a_second_one_waits_for_the_first(self, http: httpx.AsyncClient, things: Things) -> None:
        headers = token() | {"Idempotency-Key": "k"}
        things.hold.clear()
        requests = [
            asyncio.create_task(http.post("/v1/things", headers=headers, json={"title": "x"}))
            for _ in range(5)
        ]
        await _until(lambda: things.running == 1)
        things.hold.set()
        answers = await asyncio.gather(*requests)
        assert [answer.status_code for answer in answers] == [201] * 5
        assert things.ran == 1
        assert things.most_running == 1

    async def test_a_second_one_that_waits_too_long_is_409(
        self, http: httpx.AsyncClient, things: Things, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.http.routing.IDEMPOTENT_WAIT_S", 0.05)
        headers = token() | {"Idempotency-Key": "k"}
        things.hold.clear()
        first = asyncio.create_task(http.post("/v1/things", headers=headers, json={"title": "x"}))
        await _until(lambda: things.running == 1)
        second = await http.post("/v1/things", headers=headers, json={"title": "x"})
        problem_of(second, 409)
        assert int(second.headers["retry-after"]) >= 1
        things.hold.set()
        assert (await first).status_code == 201

    @pytest.mark.parametrize("key", ["", "x" * 256])
    async def test_a_key_of_another_length_is_422(self, http: httpx.AsyncClient, key: str) -> None:
        headers = token() | {"Idempotency-Key": key}
        response = await http.post("/v1/things", headers=headers, json={"title": "x"})
        assert parameters(response) == ["Idempotency-Key"]


class TestForms:
    async def test_a_form_is_read_as_one(self, http: httpx.AsyncClient) -> None:
        response = await http.post("/c/some-token", data={"note": "five5"})
        assert (response.status_code, response.text) == (200, "<p>5</p>")

    async def test_a_missing_field_is_422(self, http: httpx.AsyncClient) -> None:
        problem_of(await http.post("/c/some-token", data={"other": "x"}), 422)

    async def test_a_form_over_the_limit_is_413(self, http: httpx.AsyncClient) -> None:
        problem_of(await http.post("/c/some-token", data={"note": "x" * 1_048_576}), 413)


class TestWhatGoesWrong:
    async def test_an_unknown_address_is_a_404_problem(self, http: httpx.AsyncClient) -> None:
        problem_of(await http.get("/v1/nothing"), 404)
        problem_of(await http.get("/v1/things/"), 404)

    async def test_an_unknown_method_is_a_405_problem(self, http: httpx.AsyncClient) -> None:
        response = await http.put("/v1/things")
        problem_of(response, 405)

    async def test_a_bug_is_a_500_problem_that_tells_nothing(self, http: httpx.AsyncClient) -> None:
        response = await http.get("/v1/broken")
        problem_of(response, 500)
        assert "secret" not in response.text

    async def test_the_store_being_away_is_503(self, http: httpx.AsyncClient) -> None:
        response = await http.get("/v1/away")
        problem_of(response, 503)
        assert "10.0.0.1" not in response.text
        assert int(response.headers["retry-after"]) >= 1

    @pytest.mark.parametrize("path", ["/v1/slow", "/v1/slow/driver"])
    async def test_what_takes_too_long_is_503(self, http: httpx.AsyncClient, path: str) -> None:
        problem_of(await http.get(path), 503)

    async def test_a_refusal_says_when_to_come_back(self, http: httpx.AsyncClient) -> None:
        response = await http.post("/v1/things/1/end", headers=token())
        assert response.headers["retry-after"] == "3"

    async def test_a_delete_is_204(self, http: httpx.AsyncClient) -> None:
        response = await http.delete("/v1/things/1", headers=token())
        assert (response.status_code, response.content) == (204, b"")


class TestEveryService:
    async def test_it_lives(self, http: httpx.AsyncClient) -> None:
        assert (await http.get("/livez")).status_code == 200

    async def test_it_is_ready_when_all_checks_hold(self, http: httpx.AsyncClient) -> None:
        assert (await http.get("/readyz")).status_code == 200

    async def test_what_is_not_there_is_named(
        self, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.http.app.CHECK_S", 0.05)
        transport = http._transport
        assert isinstance(transport, httpx.ASGITransport)
        readiness: Readiness = transport.app.state.readiness  # type: ignore[attr-defined]

        async def broken() -> bool:
            raise ServerSelectionTimeoutError("away")

        async def hanging() -> bool:
            return await asyncio.Event().wait()

        readiness.add("kafka", broken)
        readiness.add("intake", hanging)
        response = await http.get("/readyz")
        assert response.status_code == 503
        assert response.json()["failing"] == ["kafka", "intake"]

    async def test_openapi_names_scopes_and_headers(self, http: httpx.AsyncClient) -> None:
        document = (await http.get("/openapi.json")).json()
        operation = document["paths"]["/v1/things"]["post"]
        assert operation["security"] == [{"bearer": [PARTICIPATE]}]
        assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
        assert {each["name"] for each in operation["parameters"]} == {"Idempotency-Key", "Onbelay-Act-As"}
        assert "ThingIn" in json.dumps(operation["requestBody"])
        listed = document["paths"]["/v1/things"]["get"]["parameters"]
        assert {each["name"] for each in listed} == {"owner_id", "from", "limit", "cursor", "Onbelay-Act-As"}
        assert document["paths"]["/livez"]["get"]["security"] == []

    async def test_openapi_is_valid(self, http: httpx.AsyncClient) -> None:
        from openapi_spec_validator import validate

        validate((await http.get("/openapi.json")).json())

    async def test_the_pages_need_no_other_host(self, http: httpx.AsyncClient) -> None:
        page = await http.get("/docs")
        assert page.headers["content-type"].startswith("text/html")
        assert "/v1/things/{thing_id}" in page.text
        assert "http" not in page.text.replace("http-equiv", "")
        assert "<script" not in page.text

    @pytest.mark.parametrize("file", ["Nothing.v1.json", "..%2fcodec.py", "%2e%2e/%2e%2e/settings.py"])
    async def test_an_unknown_schema_is_404(self, http: httpx.AsyncClient, file: str) -> None:
        problem_of(await http.get(f"/schemas/{file}"), 404)

    async def test_requests_are_counted_by_route(self, http: httpx.AsyncClient) -> None:
        labels = {"service": "things", "method": "GET", "route": "/v1/things/{thing_id}", "status": "4xx"}
        before = REGISTRY.get_sample_value("onbelay_http_requests_total", labels) or 0
        await http.get("/v1/things/some-private-token", headers=token())
        text = (await http.get("/metrics")).text
        assert REGISTRY.get_sample_value("onbelay_http_requests_total", labels) == before + 1
        assert "onbelay_http_request_seconds_bucket" in text
        assert "some-private-token" not in text

    async def test_it_continues_the_callers_trace(self, http: httpx.AsyncClient) -> None:
        trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
        headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
        found = (await http.get("/v1/trace", headers=headers)).json()["traceparent"]
        assert found.split("-")[1] == trace_id

    async def test_the_sandbox_clock_is_not_there_without_a_sandbox(self, http: httpx.AsyncClient) -> None:
        problem_of(await http.get("/v1/sandbox/clock"), 404)
        problem_of(await http.put("/v1/sandbox/clock", json={}), 404)


async def _until(holds: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.005)
