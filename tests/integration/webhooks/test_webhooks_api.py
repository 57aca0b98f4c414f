"""`/v1/webhooks` as integrations call it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from shared import events as contract
from tests.integration.webhooks.world import PAUSED, STARTED, World

pytestmark = pytest.mark.engines
NO_EVENT = "onbelay.HelpRequested.v1"


def pointers(answer: httpx.Response) -> list[str]:
    """Where a refused body is wrong."""
    assert answer.status_code == 422, answer.text
    return [error["pointer"] for error in answer.json()["errors"]]


async def refused(world: World, **changes: Any) -> list[str]:
    body = {"url": world.receiver.url, "event_types": [STARTED], **changes}
    return pointers(await world.admin.post("/v1/webhooks", json=body))


class TestAWebhook:
    async def test_is_made_once_per_idempotency_key_and_tells_its_secret_then_alone(
        self, world: World
    ) -> None:
        body = {"url": world.receiver.url + "/hook", "event_types": [STARTED], "description": "ours"}
        key = {"Idempotency-Key": "one"}
        made = await world.admin.post("/v1/webhooks", json=body, headers=key)
        again = await world.admin.post("/v1/webhooks", json=body, headers=key)
        other = await world.admin.post("/v1/webhooks", json={**body, "description": "x"}, headers=key)

        assert made.status_code == 201
        assert made.json()["secret"].startswith("whsec_")
        assert again.json() == made.json()
        assert again.headers["idempotency-replayed"] == "true"
        assert other.status_code == 422
        found = await world.admin.get(made.headers["location"])
        assert found.json() == {name: value for name, value in made.json().items() if name != "secret"}
        assert found.headers["etag"] == made.headers["etag"]
        listed = (await world.admin.get("/v1/webhooks")).json()
        assert listed == {"items": [found.json()]}

    async def test_may_have_every_type_but_those_that_are_nobody_elses(self, world: World) -> None:
        all_types = {contract.type_name(name) for name in contract.TYPES}
        told = sorted(all_types - {NO_EVENT, "onbelay.CheckInsWatermark.v1"})
        hook = await world.hook("/hook", *told, *told[:1])
        assert hook["event_types"] == told
        assert await refused(world, event_types=[STARTED, NO_EVENT]) == ["/event_types/1"]
        assert await refused(world, event_types=["GoalSet", "onbelay.CheckInsWatermark.v1"]) == [
            "/event_types/0",
            "/event_types/1",
        ]
        assert await refused(world, event_types=[]) == ["/event_types"]

    @pytest.mark.parametrize(
        "url",
        [
            "https://10.0.0.1/hook",
            "http://192.168.1.1/hook",
            "https://169.254.169.254/latest",
            "https://[fd00:ec2::254]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://0x7f.1/",
            "https://intranet/",
            "https://db.internal/",
            "https://user@example.com/",
            "ftp://example.com/",
            "example.com",
            "https://",
            "https://example.com/" + "x" * 2048,
            "https://example.com:0/",
            "https://exa mple.com/",
        ],
    )
    async def test_leads_to_public_addresses_alone_but_loopback_in_a_sandbox(
        self, world: World, url: str
    ) -> None:
        assert await refused(world, url=url) == ["/url"]

    async def test_is_changed_by_who_has_seen_it(self, world: World) -> None:
        hook = await world.hook(description="ours")
        path = f"/v1/webhooks/{hook['webhook_id']}"
        blind = await world.admin.patch(path, json={"enabled": False})
        assert blind.status_code == 428
        changed = await world.admin.patch(
            path,
            json={"event_types": [PAUSED], "description": None, "enabled": False},
            headers={"If-Match": hook["etag"]},
        )
        assert changed.status_code == 200
        assert changed.json()["event_types"] == [PAUSED]
        assert "description" not in changed.json()
        assert changed.json()["disabled"]["because"] == "asked"
        late = await world.admin.patch(path, json={"enabled": True}, headers={"If-Match": hook["etag"]})
        assert late.status_code == 412
        assert pointers(await world.patch(hook, url="https://10.0.0.1/")) == ["/url"]
        assert pointers(await world.patch(hook, url=None)) == ["/url"]
        assert pointers(await world.patch(hook, secret="whsec_mine")) == ["/secret"]

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"url": "https://10.0.0.1/"}, "/url"),
            ({"url": None}, "/url"),
            ({"event_types": [NO_EVENT]}, "/event_types/0"),
        ],
    )
    async def test_is_told_what_is_wrong_with_a_change_before_whether_it_may_be_made(
        self, world: World, changes: dict[str, Any], pointer: str
    ) -> None:
        hook = await world.hook()
        path = f"/v1/webhooks/{hook['webhook_id']}"
        assert pointers(await world.admin.patch(path, json=changes)) == [pointer]
        assert pointers(await world.admin.patch(path + "x", json=changes)) == [pointer]
        stale = {"If-Match": '"99"'}
        assert pointers(await world.admin.patch(path, json=changes, headers=stale)) == [pointer]

    async def test_is_listed_newest_first_page_by_page(self, world: World) -> None:
        made = [await world.hook(f"/{n}") for n in range(3)]
        first = (await world.admin.get("/v1/webhooks", params={"limit": 2})).json()
        rest = (
            await world.admin.get("/v1/webhooks", params={"limit": 2, "cursor": first["next_cursor"]})
        ).json()
        listed = [item["webhook_id"] for item in first["items"] + rest["items"]]
        assert listed == [hook["webhook_id"] for hook in reversed(made)]
        assert "next_cursor" not in rest

    async def test_is_for_its_organization_and_scope_alone(self, world: World) -> None:
        hook = await world.hook()
        path = f"/v1/webhooks/{hook['webhook_id']}"
        stranger = world.system.client("notifier", sub="ops", org="elsewhere", scope="onbelay:webhooks")
        for method, step in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/secret"),
            ("POST", "/test"),
            ("GET", "/deliveries"),
            ("POST", "/deliveries/x/redeliver"),
        ):
            assert (await stranger.request(method, path + step)).status_code == 404, (method, step)
        participant = world.system.client("notifier", sub="ops", org=world.org)
        assert (await participant.get("/v1/webhooks")).status_code == 403
        actor = world.system.client(
            "notifier", sub="ops", org=world.org, scope="onbelay:webhooks onbelay:act_as", act_as="ada"
        )
        assert (await actor.get(path)).status_code == 403
        assert (await world.shown(hook))["enabled"] is True

    async def test_has_its_secret_rotated_once_per_idempotency_key(self, world: World) -> None:
        hook = await world.hook()
        key = {"Idempotency-Key": "rotate"}
        first = await world.post(hook, "secret", headers=key)
        again = await world.post(hook, "secret", headers=key)
        assert first.json()["secret"] == again.json()["secret"]
        assert again.headers["idempotency-replayed"] == "true"
        assert "secret" not in await world.shown(hook)
