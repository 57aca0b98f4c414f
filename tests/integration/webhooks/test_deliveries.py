"""Events on their way to other systems, through the whole stack."""

from __future__ import annotations

import asyncio
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from shared.mongo import Mongo
from tests.integration.webhooks.world import PAUSED, STARTED, World
from tests.support.polling import eventually
from tests.support.receiver import Request, answer

pytestmark = pytest.mark.engines
VERIFY = Path(__file__).with_name("verify.sh")


def verified_by_shell(secret: str, request: Request, folder: Path) -> bool:
    body = folder / "body.json"
    body.write_bytes(request.body)
    headers = [request.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")]
    done = subprocess.run([str(VERIFY), secret, headers[0], headers[1], str(body), headers[2]], check=False)
    return done.returncode == 0


async def logged(world: World, hook: dict[str, Any], state: str) -> dict[str, Any]:
    """The newest delivery, once it is in that state."""

    async def found() -> list[dict[str, Any]]:
        return [row for row in (await world.deliveries(hook))[:1] if row["state"] == state]

    rows: list[dict[str, Any]] = await eventually(found, seconds=15)
    return rows[0]


class TestADelivery:
    async def test_is_the_event_signed_as_the_standard_says(self, world: World, tmp_path: Path) -> None:
        hook = await world.hook()
        mentorship_id = await world.start()
        (request,) = await world.came(1)

        event = request.event
        (stored,) = [e for e in await world.system.events("goals", world.org) if e["type"] == STARTED]
        assert request.headers["webhook-id"] == event["id"] == stored["id"]
        assert request.headers["content-type"].startswith("application/cloudevents+json")
        told = {name: value for name, value in event.items() if name != "datacontenttype"}
        assert told == stored
        assert event["data"]["mentorship_id"] == mentorship_id

        Verifier(hook["secret"]).verify(request.body, request.headers)
        assert verified_by_shell(hook["secret"], request, tmp_path)
        assert not verified_by_shell(hook["secret"], Request("/", request.headers, b"{}"), tmp_path)

    async def test_goes_to_those_who_asked_for_its_type_in_its_organization(self, world: World) -> None:
        await world.hook("/started", STARTED)
        await world.hook("/paused", PAUSED)
        other = World(world.system, world.receiver, f"{world.org}-other")
        await other.hook("/elsewhere", STARTED, PAUSED)
        mentorship_id = await world.start()
        await world.hr.post(f"/v1/mentorships/{mentorship_id}/pause")
        await world.came(1, "/paused")
        await world.came(1, "/started")
        await other.start()
        (elsewhere,) = await world.came(1, "/elsewhere")

        assert elsewhere.event["orgid"] == other.org
        assert [r.event["type"] for r in world.receiver.to("/started")] == [STARTED]
        assert [r.event["type"] for r in world.receiver.to("/paused")] == [PAUSED]

    async def test_that_fails_comes_again_with_the_same_id_and_body(self, world: World) -> None:
        replies = iter([answer(500, b"not now"), answer(302, b"", "Location: /elsewhere")])
        world.receiver.reply = lambda _: next(replies, answer(200, b"thanks"))
        hook = await world.hook()
        await world.start()
        first, second = await world.came(2)

        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        assert int(second.headers["webhook-timestamp"]) >= int(first.headers["webhook-timestamp"]) + 5
        delivery = await eventually(lambda: self._tried(world, hook, 2))
        assert delivery["state"] == "pending"
        assert [each["status"] for each in delivery["attempts"]] == [500, 302]
        assert delivery["attempts"][0]["response"] == "not now"
        assert world.receiver.to("/elsewhere") == [], "a redirect was followed"

    async def _tried(self, world: World, hook: dict[str, Any], times: int) -> dict[str, Any] | None:
        (row,) = await world.deliveries(hook)
        return row if len(row["attempts"]) >= times else None

    async def test_is_logged_with_its_request_and_the_first_kilobyte_of_the_answer(
        self, world: World
    ) -> None:
        world.receiver.reply = lambda _: answer(200, b"x" * 1_000_000)
        hook = await world.hook()
        await world.start()
        (request,) = await world.came(1)
        delivery = await logged(world, hook, "delivered")

        assert delivery["status"] == 200
        assert delivery["response"] == "x" * 1024
        assert delivery["request"]["body"] == request.event
        assert delivery["request"]["url"] == hook["url"]
        assert delivery["request"]["headers"] == {
            name: request.headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        }
        assert "next_attempt_at" not in delivery
        assert await world.deliveries(hook, state="failed") == []

    async def test_can_be_asked_for_again(self, world: World) -> None:
        hook = await world.hook()
        await world.start()
        (first,) = await world.came(1)
        delivery = await logged(world, hook, "delivered")
        again = await world.post(
            hook, f"deliveries/{delivery['delivery_id']}/redeliver", headers={"Idempotency-Key": "again"}
        )
        assert again.status_code == 200
        assert again.json()["delivery_id"] == delivery["delivery_id"]
        _, second = await world.came(2)
        assert (second.headers["webhook-id"], second.body) == (first.headers["webhook-id"], first.body)
        replayed = await world.post(
            hook, f"deliveries/{delivery['delivery_id']}/redeliver", headers={"Idempotency-Key": "again"}
        )
        assert replayed.headers["idempotency-replayed"] == "true"
        (row,) = await eventually(lambda: world.deliveries(hook, state="delivered"))
        assert len(row["attempts"]) == 2

    async def test_tells_of_nudges_too_but_never_of_help(self, world: World) -> None:
        hook = await world.hook("/all", "onbelay.NudgeSuppressed.v1", "onbelay.CheckInLogged.v1")
        mentorship_id = await world.start(mentor_id="grace", mentee_id="ada")
        ada = world.system.client("checkins", sub="ada", org=world.org)
        body = {"mentorship_id": mentorship_id, "help": {"text": "please"}, "note": "private"}
        assert (await ada.post("/v1/checkins", json=body)).status_code == 201
        # Expectations were not agreed on for two workdays: a nudge, on a workday, and no channel for it.
        now = await world.system.now()
        days = next(n for n in range(4, 9) if (now + timedelta(days=n)).weekday() in (1, 2, 3))
        await world.system.move(timedelta(days=days))

        async def types() -> set[str]:
            return {request.event["type"] for request in world.receiver.to("/all")}

        await eventually(lambda: _both(world), seconds=20)
        assert await types() == {"onbelay.NudgeSuppressed.v1", "onbelay.CheckInLogged.v1"}
        assert all(b"private" not in r.body and b"please" not in r.body for r in world.receiver.requests)
        assert {row["event_type"] for row in await world.deliveries(hook)} == await types()


def _both(world: World) -> bool:
    return len({request.event["type"] for request in world.receiver.to("/all")}) == 2


class TestAnEndpoint:
    async def test_that_says_gone_is_switched_off_until_a_patch(self, world: World) -> None:
        world.receiver.reply = lambda _: answer(410)
        hook = await world.hook()
        await world.start()
        failed = await logged(world, hook, "failed")
        assert failed["status"] == 410

        off = await eventually(lambda: self._off(world, hook))
        assert off["disabled"]["because"] == "gone"
        assert (await world.post(hook, "test")).status_code == 409
        await world.start()
        assert len(await world.deliveries(hook)) == 1, "what happens while it is off is not kept for it"

        world.receiver.reply = lambda _: answer(200)
        on = await world.patch(hook, enabled=True)
        assert on.status_code == 200
        assert "disabled" not in on.json()
        await world.start()
        await world.came(2)
        assert (await world.shown(hook))["enabled"] is True

    async def _off(self, world: World, hook: dict[str, Any]) -> dict[str, Any] | None:
        shown = await world.shown(hook)
        return None if shown["enabled"] else shown

    async def test_that_fails_for_five_days_is_switched_off_and_its_creator_told(self, world: World) -> None:
        recipients = world.system.client("notifier", sub="ops", org=world.org, scope="onbelay:recipients")
        address = f"{world.org}@example.com"
        body = {"time_zone": "Europe/Berlin", "channels": [{"kind": "email", "address": address}]}
        assert (await recipients.put("/v1/recipients/ops", json=body)).status_code == 200
        world.receiver.reply = lambda _: answer(500)
        hook = await world.hook(description="the tracker")
        await world.start()
        await world.came(1)
        # Days of the real clock cannot be waited for, nor moved.
        mongo = Mongo.connect(world.system.mongo)
        try:
            webhooks = world.system.database(mongo, "notifier")["webhooks"]

            async def failing() -> bool:
                found = await webhooks.find_one({"_id": hook["webhook_id"]})
                since = found.get("health", {}).get("failing_since")
                if since is None:
                    return False
                setting = {"$set": {"health.failing_since": since - timedelta(days=5)}}
                await webhooks.update_one({"_id": hook["webhook_id"]}, setting)
                return True

            await eventually(failing)
        finally:
            await mongo.close()
        await world.start()
        off = await eventually(lambda: self._off(world, hook))

        assert off["disabled"]["because"] == "failing"
        mails = await eventually(lambda: _mails_to(world, address))
        assert len(mails) == 1
        assert "the tracker" in mails[0]

    async def test_whose_secret_is_rotated_gets_both_signatures_for_a_day(self, world: World) -> None:
        hook = await world.hook()
        rotated = await world.post(hook, "secret")
        assert rotated.status_code == 200
        new = rotated.json()["secret"]
        assert new != hook["secret"]
        await world.start()
        (request,) = await world.came(1)
        assert len(request.headers["webhook-signature"].split(" ")) == 2
        for secret in (hook["secret"], new):
            Verifier(secret).verify(request.body, request.headers)

        await world.system.move(timedelta(hours=24, minutes=1))
        await world.start()
        _, later = await world.came(2)
        Verifier(new).verify(later.body, later.headers)
        assert len(later.headers["webhook-signature"].split(" ")) == 1

    async def test_that_is_slow_holds_up_nobody_else(self, world: World) -> None:
        world.receiver.reply = lambda request: None if request.target == "/slow" else answer(200)
        await world.hook("/slow")
        await world.hook("/quick")
        await asyncio.gather(*(world.start() for _ in range(12)))
        await world.came(12, "/quick", seconds=8)
        assert len(world.receiver.to("/slow")) <= 4

    async def test_is_tested_by_an_event_of_no_meaning(self, world: World) -> None:
        hook = await world.hook()
        tested = await world.post(hook, "test")
        assert tested.status_code == 200
        (request,) = await world.came(1)
        assert request.headers["webhook-id"] == request.event["id"] == tested.json()["event_id"]
        assert request.event["type"] == "onbelay.WebhookTest.v1"
        Verifier(hook["secret"]).verify(request.body, request.headers)

    async def test_that_is_deleted_gets_nothing_more(self, world: World) -> None:
        gone, stays = await world.hook("/gone"), await world.hook("/stays")
        assert (await world.admin.delete(f"/v1/webhooks/{gone['webhook_id']}")).status_code == 204
        await world.start()
        await world.came(1, "/stays")
        assert world.receiver.to("/gone") == []
        assert (await world.admin.get(f"/v1/webhooks/{gone['webhook_id']}/deliveries")).status_code == 404
        assert len(await eventually(lambda: world.deliveries(stays, state="delivered"))) == 1


def _mails_to(world: World, address: str) -> list[str]:
    texts = [path.read_text() for path in (world.system.maildir / "new").glob("*")]
    return [text for text in texts if f"To: {address}" in text or f"<{address}>" in text]
