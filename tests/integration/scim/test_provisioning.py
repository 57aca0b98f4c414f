"""Recipients provided by an identity provider."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from scim2_client import BaseSyncSCIMClient
from scim2_client.client import RawResponse
from scim2_tester import Status, check_server

from shared import events as contract
from tests.builders import record
from tests.support.polling import eventually
from tests.support.records import Record
from tests.support.system import System

pytestmark = pytest.mark.engines
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


@pytest.fixture
def org() -> str:
    return f"org-{uuid4().hex[:10]}"


@pytest.fixture
def idp(system: System, org: str) -> httpx.AsyncClient:
    """The identity provider's client."""
    client = system.client("notifier", sub="idp", org=org, scope="onbelay:recipients")
    client.base_url = httpx.URL(system.urls["notifier"] + "/scim/v2/")
    client.headers["Content-Type"] = "application/scim+json"
    return client


def ada(**changes: Any) -> dict[str, Any]:
    return {
        "schemas": [USER],
        "userName": "ada@example.com",
        "externalId": "ada",
        "displayName": "Ada L.",
        "timezone": "Europe/Berlin",
        "preferredLanguage": "de-DE,de;q=0.9",
        "emails": [
            {"value": "home@example.com", "type": "home"},
            {"value": "ada@example.com", "type": "work", "primary": True},
        ],
        **changes,
    }


async def made(idp: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await idp.post("Users", json=ada(**changes))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def recipient(system: System, org: str, person_id: str) -> httpx.Response:
    client = system.client("notifier", sub=person_id, org=org)
    return await client.get(f"/v1/recipients/{person_id}")


async def patched(idp: httpx.AsyncClient, id: str, *operations: dict[str, Any]) -> httpx.Response:
    return await idp.patch(f"Users/{id}", json={"schemas": [PATCH], "Operations": list(operations)})


def refused(answer: httpx.Response, status: int, kind: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/scim+json")
    assert answer.json()["schemas"] == [ERROR]
    assert answer.json()["status"] == str(status)
    assert answer.json().get("scimType") == kind


class Client(BaseSyncSCIMClient):
    """The checker's client, over HTTP."""

    def __init__(self, http: httpx.Client) -> None:
        super().__init__()
        self._http = http

    def request(self, method: str, url: str, **options: Any) -> RawResponse:
        return self._http.request(method, url, **options)

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return True

    def _parse_json(self, response: RawResponse) -> Any:
        return json.loads(response.text)


class TestTheStandard:
    async def test_holds_by_its_own_checker(self, system: System, org: str) -> None:
        token = system.token("idp", org, "onbelay:recipients")

        def check() -> list[Any]:
            http = httpx.Client(
                base_url=system.urls["notifier"] + "/scim/v2",
                headers={"Authorization": f"Bearer {token}"},
            )
            with http:
                return list(check_server(Client(http)))

        results = await asyncio.to_thread(check)
        wrong = [f"{r.title}: {r.reason}" for r in results if r.status == Status.ERROR]
        assert wrong == []
        assert sum(result.status == Status.SUCCESS for result in results) > 40


class TestAUser:
    async def test_makes_a_recipient_with_their_address_zone_language_and_name(
        self, system: System, org: str, idp: httpx.AsyncClient
    ) -> None:
        user = await made(idp)
        assert user["meta"]["location"] == f"{system.urls['notifier']}/scim/v2/Users/{user['id']}"
        found = (await recipient(system, org, "ada")).json()
        assert found["channels"] == [{"kind": "email", "address": "ada@example.com"}]
        assert found["time_zone"] == "Europe/Berlin"
        assert found["language"] == "de-DE"
        assert found["display_name"] == "Ada L."

    async def test_without_an_external_id_is_the_person_of_its_user_name(
        self, system: System, org: str, idp: httpx.AsyncClient
    ) -> None:
        await made(idp, userName="grace", externalId=None)
        assert (await recipient(system, org, "grace")).status_code == 200
        nobody = await idp.post("Users", json=ada(userName="g@example.com", externalId=None))
        refused(nobody, 400, "invalidValue")
        refused(await idp.post("Users", json=ada(externalId="system")), 400, "invalidValue")

    async def test_keeps_what_the_person_chose_that_scim_does_not_tell_of(
        self, system: System, org: str, idp: httpx.AsyncClient
    ) -> None:
        own = system.client("notifier", sub="ada", org=org)
        chosen = {
            "time_zone": "Asia/Tokyo",
            "channels": [{"kind": "chat", "url": "https://chat.example.com/hook"}],
            "daily_budget": 1,
            "quiet_hours": {"from": "18:00", "to": "10:00"},
        }
        assert (await own.put("/v1/recipients/ada", json=chosen)).status_code == 200
        await made(idp, timezone=None)
        found = (await recipient(system, org, "ada")).json()
        assert found["daily_budget"] == 1
        assert found["quiet_hours"] == chosen["quiet_hours"]
        assert found["time_zone"] == "Asia/Tokyo"
        assert [channel["kind"] for channel in found["channels"]] == ["email", "chat"]

    async def test_is_found_by_its_name_whatever_its_case(self, idp: httpx.AsyncClient) -> None:
        user = await made(idp)
        await made(idp, userName="bob", externalId="bob")
        for text in (
            'userName eq "ADA@example.com"',
            'externalId eq "ada"',
            'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada@example.com"',
            f'id eq "{user["id"]}"',
            'emails[type eq "work" and value co "ada"]',
            'userName sw "a" and active ne false',
        ):
            found = (await idp.get("Users", params={"filter": text})).json()
            assert [each["id"] for each in found["Resources"]][:1] == [user["id"]], text
        none = (await idp.get("Users", params={"filter": 'userName eq "nobody"'})).json()
        assert none["totalResults"] == 0
        refused(await idp.get("Users", params={"filter": "userName is ada"}), 400, "invalidFilter")
        refused(await idp.get("Users", params={"count": "many"}), 400, "invalidValue")

    async def test_is_listed_page_by_page(self, idp: httpx.AsyncClient) -> None:
        for name in ("c", "a", "b"):
            await made(idp, userName=name, externalId=name)
        page = (await idp.get("Users", params={"startIndex": 2, "count": 1})).json()
        assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (3, 2, 1)
        ordered = (await idp.get("Users", params={"sortBy": "userName", "attributes": "userName"})).json()
        assert [each["userName"] for each in ordered["Resources"]] == ["a", "b", "c"]
        assert "emails" not in ordered["Resources"][0]

    async def test_is_there_once_per_name_and_person(self, idp: httpx.AsyncClient) -> None:
        await made(idp)
        refused(
            await idp.post("Users", json=ada(userName="ADA@example.com", externalId="x")), 409, "uniqueness"
        )
        refused(await idp.post("Users", json=ada(userName="other")), 409, "uniqueness")

    async def test_that_is_deactivated_is_reminded_no_more_until_it_is_active_again(
        self, system: System, org: str, idp: httpx.AsyncClient
    ) -> None:
        user = await made(idp)
        off = await patched(idp, user["id"], {"op": "Replace", "path": "active", "value": "False"})
        assert off.status_code == 200, off.text
        assert off.json()["active"] is False
        assert (await recipient(system, org, "ada")).status_code == 404
        on = await patched(idp, user["id"], {"op": "replace", "value": {"active": True}})
        assert on.json()["active"] is True
        assert (await recipient(system, org, "ada")).status_code == 200

    async def test_is_patched_as_providers_do(self, system: System, org: str, idp: httpx.AsyncClient) -> None:
        user = await made(idp)
        changed = await patched(
            idp,
            user["id"],
            {"op": "Add", "path": 'emails[type eq "work"].value', "value": "new@example.com"},
            {"op": "Replace", "path": "timezone", "value": "America/New_York"},
            {
                "op": "Add",
                "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
                "value": "R&D",
            },
        )
        assert changed.status_code == 200, changed.text
        found = (await recipient(system, org, "ada")).json()
        assert found["channels"] == [{"kind": "email", "address": "new@example.com"}]
        assert found["time_zone"] == "America/New_York"
        wrong = await patched(idp, user["id"], {"op": "replace", "path": "timezone", "value": "Mars/Base"})
        refused(wrong, 400, "invalidValue")
        refused(await patched(idp, "nobody", {"op": "remove", "path": "emails"}), 404)
        removed = await patched(idp, user["id"], {"op": "remove", "path": "emails"})
        assert "emails" not in removed.json()
        assert (await recipient(system, org, "ada")).json()["channels"] == []

    async def test_whose_person_changes_takes_the_recipient_along(
        self, system: System, org: str, idp: httpx.AsyncClient
    ) -> None:
        user = await made(idp)
        replaced = await idp.put(f"Users/{user['id']}", json=ada(externalId="countess"))
        assert replaced.status_code == 200, replaced.text
        assert replaced.json()["id"] == user["id"]
        assert (await recipient(system, org, "ada")).status_code == 404
        assert (await recipient(system, org, "countess")).status_code == 200

    async def test_that_is_deleted_takes_its_recipient_along(
        self, system: System, org: str, idp: httpx.AsyncClient
    ) -> None:
        user = await made(idp)
        assert (await idp.delete(f"Users/{user['id']}")).status_code == 204
        refused(await idp.get(f"Users/{user['id']}"), 404)
        assert (await recipient(system, org, "ada")).status_code == 404
        refused(await idp.delete(f"Users/{user['id']}"), 404)

    async def test_goes_with_its_recipient(self, system: System, org: str, idp: httpx.AsyncClient) -> None:
        user = await made(idp)
        own = system.client("notifier", sub="ada", org=org)
        assert (await own.delete("/v1/recipients/ada")).status_code == 204
        refused(await idp.get(f"Users/{user['id']}"), 404)

    async def test_whose_person_is_erased_is_forgotten_and_begins_anew(
        self, system: System, org: str, idp: httpx.AsyncClient
    ) -> None:
        user = await made(idp)
        dpo = system.client("goals", sub="dpo", org=org, scope="onbelay:erase")
        assert (await dpo.post("/v1/people/ada/erasure")).status_code == 202

        async def gone() -> bool:
            return (await idp.get(f"Users/{user['id']}")).status_code == 404

        await eventually(gone)
        await made(idp)
        assert (await recipient(system, org, "ada")).status_code == 200

    async def test_that_is_patched_before_the_erasure_arrives_keeps_what_was_patched_alone(
        self, system: System, org: str, idp: httpx.AsyncClient
    ) -> None:
        user = await made(idp)
        own = system.client("notifier", sub="ada", org=org)
        chat = {"kind": "chat", "url": "https://chat.example.com/hook"}
        chosen = {"time_zone": "Asia/Tokyo", "channels": [chat], "display_name": "Ada", "daily_budget": 7}
        assert (await own.put("/v1/recipients/ada", json=chosen)).status_code == 200
        named = {"op": "replace", "path": "name.formatted", "value": "A. Lovelace"}
        assert (await patched(idp, user["id"], named)).status_code == 200
        # An erasure of a moment ago, which arrives when the provider has called once more.
        erased_at = await system.now()
        await system.move(erased_at + timedelta(seconds=1))
        again = {"op": "replace", "path": "preferredLanguage", "value": "de-DE,de;q=0.9"}
        assert (await patched(idp, user["id"], again)).status_code == 200
        event = contract.PersonErased(org_id=org, person_id="ada", at=erased_at)
        sent = record(event, subject=f"erasure/{uuid4()}", time=erased_at)
        topic = system.topic_prefix + contract.TOPICS[sent.topic]
        await system.publish([Record(topic, 0, 0, sent.key, sent.value, dict(sent.headers))])

        async def forgotten() -> dict[str, Any]:
            found = dict((await recipient(system, org, "ada")).json())
            assert found["channels"] == []
            return found

        found = await eventually(forgotten)
        assert found["language"] == "de-DE"
        assert (found["time_zone"], found["daily_budget"]) == ("UTC", 3)
        assert "display_name" not in found
        left = (await idp.get(f"Users/{user['id']}")).json()
        assert left.keys() == {"schemas", "id", "meta", "externalId", "userName", "preferredLanguage"}
        assert left["userName"] == user["id"], "the name may be an address"
        # The next call builds on what is left.
        assert (await patched(idp, user["id"], {**named, "value": "Ada"})).status_code == 200
        assert (await recipient(system, org, "ada")).json()["channels"] == []

    async def test_is_its_organizations_and_for_the_scope_alone(
        self, system: System, idp: httpx.AsyncClient
    ) -> None:
        user = await made(idp)
        stranger = system.client("notifier", sub="idp", org="elsewhere", scope="onbelay:recipients")
        refused(await stranger.get(f"/scim/v2/Users/{user['id']}"), 404)
        assert (await stranger.get("/scim/v2/Users")).json()["totalResults"] == 0
        participant = system.client("notifier", sub="ada", org="elsewhere")
        assert (await participant.get("/scim/v2/Users")).status_code == 403
        assert (await system.anonymous("notifier").get("/scim/v2/Users")).status_code == 401

    async def test_that_is_no_json_is_refused_in_scims_own_words(self, idp: httpx.AsyncClient) -> None:
        refused(await idp.post("Users", content=b"{"), 400, "invalidSyntax")
        refused(await idp.post("Users", json={"schemas": [USER]}), 400, "invalidValue")
        refused(await idp.post("Users", json=ada(emails=[{"value": "no address"}])), 400, "invalidValue")
