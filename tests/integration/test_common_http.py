"""What the contract says of all services' HTTP, asked of each as it runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import jsonschema
import pytest
from openapi_spec_validator import validate

from shared import events as contract
from shared.http.body import MAX_BODY_BYTES
from tests.support.system import DEFAULT_SERVICES, System

pytestmark = pytest.mark.engines
SCOPES = (
    "onbelay:participate onbelay:act_as onbelay:programs onbelay:erase onbelay:metrics onbelay:recipients "
    "onbelay:webhooks"
)
LISTS = {"goals": "/v1/goals", "checkins": "/v1/checkins", "notifier": "/v1/nudges"}
PUBLIC = (
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/asyncapi.json",
    "/schemas/GoalSet.v1.json",
)


def pointers(answer: httpx.Response) -> set[str]:
    """The pointers and parameters that a problem names."""
    return {str(error.get("pointer", error.get("parameter"))) for error in answer.json().get("errors", [])}


def is_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert {"type", "title", "detail"} <= body.keys()


@dataclass
class World:
    """An organization with one mentorship and one goal."""

    system: System
    org: str
    mentorship_id: str = ""
    goal_id: str = ""
    etag: str = ""

    def client(self, service: str, *, sub: str = "hr", scope: str = SCOPES, **more: Any) -> httpx.AsyncClient:
        return self.system.client(service, sub=sub, org=self.org, scope=scope, **more)

    @property
    def mentorship(self) -> dict[str, Any]:
        return {"program_id": "p", "mentor_id": "grace", "mentee_id": "ada", "time_zone": "Europe/Berlin"}

    @property
    def goal(self) -> dict[str, Any]:
        return {
            "mentorship_id": self.mentorship_id,
            "title": "Read seven papers",
            "measure": {"kind": "number", "target": 7},
            "deadline": {"date": "2031-12-18", "time_zone": "Europe/Berlin"},
        }


@pytest.fixture(scope="module")
async def world(system: System) -> World:
    made = World(system, f"org-{uuid4().hex[:8]}")
    answer = await made.client("goals").post("/v1/mentorships", json=made.mentorship)
    assert answer.status_code == 201, answer.text
    made.mentorship_id = answer.json()["mentorship_id"]
    answer = await made.client("goals", act_as="ada").post("/v1/goals", json=made.goal)
    assert answer.status_code == 201, answer.text
    made.goal_id, made.etag = answer.json()["goal_id"], answer.headers["etag"]
    return made


class TestEveryService:
    @pytest.mark.parametrize("service", DEFAULT_SERVICES)
    @pytest.mark.parametrize("path", PUBLIC)
    async def test_needs_no_token_to_tell_of_itself(self, system: System, service: str, path: str) -> None:
        answer = await system.anonymous(service).get(path)
        assert answer.status_code == 200, answer.text

    @pytest.mark.parametrize("service", DEFAULT_SERVICES)
    async def test_describes_itself_validly(self, system: System, service: str) -> None:
        client = system.anonymous(service)
        validate((await client.get("/openapi.json")).json())
        document = (await client.get("/asyncapi.json")).json()
        assert document["asyncapi"].startswith("3.")
        assert {channel["address"] for channel in document["channels"].values()} <= set(
            contract.TOPICS.values()
        )

    @pytest.mark.parametrize("service", DEFAULT_SERVICES)
    async def test_serves_the_schemas_of_all_events(self, system: System, service: str) -> None:
        for name in contract.TYPES:
            schema = (await system.anonymous(service).get(f"/schemas/{name}.v1.json")).json()
            assert schema["$id"] == f"urn:onbelay:event:{name}:v1"
        is_problem(await system.anonymous(service).get("/schemas/GoalShared.v1.json"), 404)

    @pytest.mark.parametrize("service", DEFAULT_SERVICES)
    async def test_knows_no_other_addresses_and_methods(self, system: System, service: str) -> None:
        is_problem(await system.anonymous(service).get("/v1/nothing"), 404)
        is_problem(await system.anonymous(service).delete("/livez"), 405)

    @pytest.mark.parametrize("service", DEFAULT_SERVICES)
    async def test_reads_the_sandbox_clock_to_any_token_and_moves_it_for_its_scope_alone(
        self, world: World, service: str
    ) -> None:
        client = world.client(service, scope="onbelay:participate")
        now = await client.get("/v1/sandbox/clock")
        assert now.status_code == 200
        assert now.json().keys() == {"now"}
        is_problem(await client.put("/v1/sandbox/clock", json=now.json()), 403)
        mover = world.client(service, scope="onbelay:sandbox")
        is_problem(await mover.put("/v1/sandbox/clock", json={"now": "2020-01-01T00:00:00Z"}), 409)
        wrong = await mover.put("/v1/sandbox/clock", json={"now": "soon"})
        is_problem(wrong, 422)
        assert pointers(wrong) == {"/now"}

    @pytest.mark.parametrize("service", LISTS)
    async def test_asks_for_a_token_first(self, system: System, service: str) -> None:
        for headers in ({}, {"Authorization": "Bearer no-token"}, {"Authorization": "Basic YTpi"}):
            answer = await system.anonymous(service).get(LISTS[service], headers=headers)
            is_problem(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")

    @pytest.mark.parametrize("service", LISTS)
    async def test_then_for_the_scope(self, world: World, service: str) -> None:
        client = world.client(service, scope="onbelay:sandbox")
        is_problem(await client.get(LISTS[service], params={"limit": "0"}), 403)

    @pytest.mark.parametrize("service", LISTS)
    @pytest.mark.parametrize(
        "parameters",
        [{"limit": "0"}, {"limit": "201"}, {"limit": "ten"}, {"cursor": "mine"}, {"colour": "blue"}],
    )
    async def test_refuses_parameters_that_cannot_be(
        self, world: World, service: str, parameters: dict[str, str]
    ) -> None:
        answer = await world.client(service).get(LISTS[service], params=parameters)
        is_problem(answer, 422)
        assert pointers(answer) == set(parameters)

    @pytest.mark.parametrize("service", LISTS)
    async def test_lists_have_items_and_say_when_there_is_more(self, world: World, service: str) -> None:
        answer = await world.client(service).get(LISTS[service], params={"limit": "1"})
        assert answer.status_code == 200, answer.text
        assert isinstance(answer.json()["items"], list)

    @pytest.mark.parametrize("service", LISTS)
    @pytest.mark.parametrize("person", ["a@b.example", "system", "", "x" * 129])
    async def test_acts_as_persons_alone(self, world: World, service: str, person: str) -> None:
        client = world.client(service, scope="onbelay:act_as")
        answer = await client.get(LISTS[service], headers={"Onbelay-Act-As": person})
        is_problem(answer, 422)
        assert pointers(answer) == {"Onbelay-Act-As"}
        without = world.client(service, scope="onbelay:programs")
        is_problem(await without.get(LISTS[service], headers={"Onbelay-Act-As": "ada"}), 403)


class TestAWrongBody:
    @pytest.mark.parametrize(
        ("content", "status"),
        [
            (b"{", 400), (b"\xff\xfe", 400), (b"NaN", 400), (b'{"title": NaN}', 400), (b"[]", 422), (b'"x"', 422),
            (b"{" + b" " * MAX_BODY_BYTES + b"}", 413),
        ],
    )  # fmt: skip
    async def test_is_refused_by_what_is_wrong_with_it(
        self, world: World, content: bytes, status: int
    ) -> None:
        for service, path in (("goals", "/v1/goals"), ("checkins", "/v1/checkins")):
            client = world.client(service, act_as="ada")
            is_problem(await client.post(path, content=content), status)

    async def test_of_exactly_the_bound_is_read(self, world: World) -> None:
        content = json.dumps({**world.goal, "why": ""}).encode()
        padded = content + b" " * (MAX_BODY_BYTES - len(content))
        assert (
            await world.client("goals", act_as="ada").post("/v1/goals", content=padded)
        ).status_code == 201

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"colour": "blue"}, "/colour"),
            ({"title": ""}, "/title"),
            ({"title": "x" * 201}, "/title"),
            ({"title": "two\nlines"}, "/title"),
            ({"title": 7}, "/title"),
            ({"title": "null\0"}, "/title"),
            ({"measure": {"kind": "number"}}, "/measure/target"),
            ({"measure": {"kind": "number", "target": "7"}}, "/measure/target"),
            ({"measure": {"kind": "number", "target": 7, "unit": "x" * 41}}, "/measure/unit"),
            ({"measure": {"kind": "milestones", "milestones": []}}, "/measure/milestones"),
            ({"measure": {"kind": "milestones", "milestones": ["a", "x" * 201]}}, "/measure/milestones/1"),
            ({"measure": {"kind": "mood"}}, "/measure/kind"),
            ({"deadline": {"date": "2031-02-30", "time_zone": "UTC"}}, "/deadline/date"),
            ({"deadline": {"date": "2031-02-01", "time_zone": "Mars/Olympus"}}, "/deadline/time_zone"),
            ({"deadline": {"date": "2031-02-01", "time_zone": "UTC", "cutoff": "25:00"}}, "/deadline/cutoff"),
            ({"check_in_every_days": 0}, "/check_in_every_days"),
            ({"check_in_every_days": 91}, "/check_in_every_days"),
            ({"check_in_every_days": True}, "/check_in_every_days"),
            ({"why": "x" * 2001}, "/why"),
            ({"owner_id": "a@b.example"}, "/owner_id"),
            ({"owner_id": "system"}, "/owner_id"),
        ],
    )
    async def test_tells_the_field(self, world: World, change: dict[str, Any], pointer: str) -> None:
        answer = await world.client("goals", act_as="ada").post("/v1/goals", json={**world.goal, **change})
        is_problem(answer, 422)
        assert pointers(answer) == {pointer}

    async def test_tells_all_that_is_missing(self, world: World) -> None:
        answer = await world.client("goals", act_as="ada").post("/v1/goals", json={})
        is_problem(answer, 422)
        assert pointers(answer) == {"/mentorship_id", "/title", "/measure", "/deadline"}

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"confidence": 11}, "/confidence"),
            ({"confidence": 5.5}, "/confidence"),
            ({"feeling": "meh"}, "/feeling"),
            ({"note": "x" * 4001}, "/note"),
            ({"occurred_at": "yesterday"}, "/occurred_at"),
            ({"help": {"text": "x" * 2001}}, "/help/text"),
            ({"realistic": "yes"}, "/realistic"),
        ],
    )
    async def test_tells_the_field_of_a_check_in(
        self, world: World, change: dict[str, Any], pointer: str
    ) -> None:
        body = {"mentorship_id": world.mentorship_id, **change}
        answer = await world.client("checkins", act_as="ada").post("/v1/checkins", json=body)
        is_problem(answer, 422)
        assert pointers(answer) == {pointer}


class TestTheOrderOfRefusals:
    async def test_the_body_comes_before_what_is_not_there(self, world: World) -> None:
        client = world.client("goals", act_as="ada")
        nowhere = f"/v1/goals/{uuid4()}"
        is_problem(await client.patch(nowhere, json={"colour": "blue"}), 422)
        is_problem(await client.patch(nowhere, json={"title": "Other"}), 404)

    async def test_the_role_comes_before_the_version(self, world: World) -> None:
        path = f"/v1/goals/{world.goal_id}"
        outsider = world.client("goals", act_as="eve")
        is_problem(await outsider.patch(path, json={"title": "Other"}), 404)
        owner = world.client("goals", act_as="ada")
        is_problem(await owner.patch(path, json={"title": "Other"}), 428)
        is_problem(await owner.patch(path, json={"title": "Other"}, headers={"If-Match": '"0"'}), 412)

    async def test_another_organizations_things_are_not_there(self, world: World) -> None:
        stranger = world.system.client("goals", sub="ada", org=f"org-{uuid4().hex[:8]}", scope=SCOPES)
        is_problem(await stranger.get(f"/v1/goals/{world.goal_id}"), 404)
        is_problem(await stranger.get(f"/v1/mentorships/{world.mentorship_id}"), 404)


class TestAnIdempotencyKey:
    async def test_answers_as_before_and_refuses_another_body(self, world: World) -> None:
        client = world.client("goals", act_as="ada")
        headers = {"Idempotency-Key": uuid4().hex}
        first = await client.post("/v1/goals", json=world.goal, headers=headers)
        again = await client.post("/v1/goals", json=world.goal, headers=headers)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["location"] == first.headers["location"]
        other = await client.post("/v1/goals", json={**world.goal, "title": "Other"}, headers=headers)
        is_problem(other, 422)
        assert pointers(other) == {"Idempotency-Key"}

    @pytest.mark.parametrize("key", ["", "x" * 256])
    async def test_has_its_bounds(self, world: World, key: str) -> None:
        client = world.client("goals", act_as="ada")
        answer = await client.post("/v1/goals", json=world.goal, headers={"Idempotency-Key": key})
        is_problem(answer, 422)
        assert pointers(answer) == {"Idempotency-Key"}


class TestWhatIsPublished:
    async def test_every_record_fits_the_table_and_its_schema(self, world: World) -> None:
        await world.system.folded()
        schemas: dict[str, Any] = {}
        for topic in ("goals", "checkins"):
            for record in await world.system.records(topic):
                headers = {name: content.decode() for name, content in record.headers.items()}
                assert headers["content-type"] == "application/json"
                assert headers["ce_partitionkey"].encode() == record.key
                event = record.structured()
                name = headers["ce_type"].split(".")[1]
                if name not in schemas:
                    told = await world.system.anonymous("goals").get(f"/schemas/{name}.v1.json")
                    schemas[name] = told.json()
                jsonschema.validate(event["data"], schemas[name])
                if name != "CheckInsWatermark":
                    assert len(headers["ce_sequence"]) == 10
                    assert headers["ce_orgid"] == event["data"]["org_id"]
