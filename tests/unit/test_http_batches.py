"""Batches over an application whose single POST counts and remembers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import httpx
import pytest
from pymongo.errors import ServerSelectionTimeoutError

from shared.clock import SystemClock
from shared.errors import Conflict
from shared.http import (
    ACT_AS,
    PARTICIPATE,
    PROGRAMS,
    Answer,
    Body,
    Caller,
    Edge,
    Idem,
    Router,
    Title,
    add_batch,
    create_app,
)
from shared.http.auth import Authenticator
from shared.settings import Settings


class ThingIn(Body):
    title: Title


class Anyone(Authenticator):
    """Takes scopes as the token: who may do what is tested with real tokens elsewhere."""

    def __init__(self) -> None:
        pass

    async def caller(
        self, authorization: str | None, act_as: str | None = None, scopes: Collection[str] = ()
    ) -> Caller:
        own = frozenset((authorization or "").split())
        caller = Caller("acme", "ana", "ana", own, may_act_as=ACT_AS in own)
        caller.require(scopes)
        return caller


class Things:
    def __init__(self) -> None:
        self.made: list[tuple[str, str]] = []
        self.kept: dict[str, Answer] = {}
        self.tried = 0

    async def make(self, caller: Caller, body: ThingIn, idem: Idem | None, dry_run: bool) -> Answer:
        self.tried += 1
        if idem and idem.k in self.kept:
            return self.kept[idem.k]
        if body.title == "taken":
            raise Conflict("It is taken.")
        if body.title == "away":
            raise ServerSelectionTimeoutError("away")
        answer = Answer(201, {"thing_id": f"thing-{len(self.made)}", "title": body.title})
        if not dry_run:
            self.made.append((caller.person_id, body.title))
            if idem:
                self.kept[idem.k] = answer
        return answer


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture
def http(things: Things) -> httpx.AsyncClient:
    router = Router()

    @router.post("/v1/things", scopes=[PARTICIPATE], status_code=201)
    async def single(body: ThingIn, caller: Caller, idem: Idem | None, edge: Edge) -> Answer:
        return await things.make(caller, body, idem, False)

    add_batch(router, "/v1/things", scopes=[PARTICIPATE], model=ThingIn, one=things.make, id_field="thing_id")
    app = create_app("Onbelay things", Settings(), SystemClock(), routers=[router], authenticator=Anyone())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://things")


async def send(
    http: httpx.AsyncClient, items: Any, scope: str = PARTICIPATE, **fields: Any
) -> httpx.Response:
    return await http.post(
        "/v1/things/batch", json={"items": items, **fields}, headers={"Authorization": scope}
    )


class TestABatch:
    async def test_each_item_has_the_outcome_it_would_have_had_alone(
        self, http: httpx.AsyncClient, things: Things
    ) -> None:
        response = await send(
            http,
            [
                {"key": "1", "title": "a"},
                {"key": "2", "title": ""},
                {"key": "3", "title": "taken"},
                {"key": "4", "title": "b", "nonsense": 1},
                {"key": "5", "title": "c"},
            ],
        )
        assert response.status_code == 200
        results = response.json()["results"]
        assert [result["key"] for result in results] == ["1", "2", "3", "4", "5"]
        assert [result["status"] for result in results] == [201, 422, 409, 422, 201]
        assert results[0] == {"key": "1", "status": 201, "thing_id": "thing-0"}
        assert results[1]["problem"]["errors"][0]["pointer"] == "/title"
        assert results[2]["problem"]["detail"] == "It is taken."
        assert results[3]["problem"]["errors"][0]["pointer"] == "/nonsense"
        assert things.made == [("ana", "a"), ("ana", "c")]

    async def test_what_cannot_be_stored_is_a_matter_of_its_item(
        self, http: httpx.AsyncClient, things: Things
    ) -> None:
        items = [
            {"key": "1", "title": "a\0b"},
            {"key": "2", "title": "b"},
            {"key": "3", "title": "c", "\0": 1},
        ]
        results = (await send(http, items)).json()["results"]
        assert [result["status"] for result in results] == [422, 201, 422]
        assert results[0]["problem"]["errors"][0]["pointer"] == "/title"
        assert things.made == [("ana", "b")]

    async def test_sent_again_it_changes_nothing(self, http: httpx.AsyncClient, things: Things) -> None:
        items = [{"key": "1", "title": "a"}, {"key": "2", "title": "b"}]
        first = await send(http, items)
        second = await send(http, items)
        assert first.json() == second.json()
        assert len(things.made) == 2

    async def test_an_items_key_is_that_of_a_single_post(
        self, http: httpx.AsyncClient, things: Things
    ) -> None:
        headers = {"Authorization": PARTICIPATE, "Idempotency-Key": "1"}
        await http.post("/v1/things", json={"title": "a"}, headers=headers)
        await send(http, [{"key": "1", "title": "a"}])
        assert things.made == [("ana", "a")]

    async def test_dry_run_stores_nothing(self, http: httpx.AsyncClient, things: Things) -> None:
        response = await send(
            http, [{"key": "1", "title": "a"}, {"key": "2", "title": "taken"}], dry_run=True
        )
        assert [result["status"] for result in response.json()["results"]] == [201, 409]
        assert things.made == []

    async def test_an_integration_names_a_person_per_item(
        self, http: httpx.AsyncClient, things: Things
    ) -> None:
        items = [
            {"key": "1", "title": "a", "act_as": "ben"},
            {"key": "2", "title": "b"},
            {"key": "3", "title": "c", "act_as": "a@b.example"},
        ]
        results = (await send(http, items, scope=ACT_AS)).json()["results"]
        assert [result["status"] for result in results] == [201, 403, 422]
        assert results[2]["problem"]["errors"][0]["pointer"] == "/act_as"
        assert things.made == [("ben", "a")]

    async def test_acting_needs_its_scope(self, http: httpx.AsyncClient, things: Things) -> None:
        results = (await send(http, [{"key": "1", "title": "a", "act_as": "ben"}])).json()["results"]
        assert results[0]["status"] == 403
        assert things.made == []

    async def test_other_scopes_may_not_call_it(self, http: httpx.AsyncClient) -> None:
        assert (await send(http, [{"key": "1", "title": "a"}], scope=PROGRAMS)).status_code == 403

    async def test_once_the_store_is_away_the_rest_is_not_tried(
        self, http: httpx.AsyncClient, things: Things
    ) -> None:
        items = [{"key": str(n), "title": "away" if n == 1 else "a"} for n in range(5)]
        results = (await send(http, items)).json()["results"]
        assert [result["status"] for result in results] == [201, 503, 503, 503, 503]
        assert things.tried == 2

    @pytest.mark.parametrize(
        ("items", "expected"),
        [
            ([], "/items"),
            ([{"key": str(n)} for n in range(501)], "/items"),
            ("x", "/items"),
            ([{"key": "1", "title": "a"}, 7], "/items/1"),
            ([{"key": "1", "title": "a"}, {"title": "a"}], "/items/1/key"),
            ([{"key": "", "title": "a"}], "/items/0/key"),
            ([{"key": "x" * 256, "title": "a"}], "/items/0/key"),
            ([{"key": 7, "title": "a"}], "/items/0/key"),
            ([{"key": "a\0b", "title": "a"}], "/items/0/key"),
        ],
    )
    async def test_a_batch_of_the_wrong_shape_is_422(
        self, http: httpx.AsyncClient, items: Any, expected: str
    ) -> None:
        response = await send(http, items)
        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [expected]
