"""A nudge by chat, through the whole stack."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.support.polling import eventually
from tests.support.receiver import Request, answer, receiver
from tests.support.system import System

pytestmark = pytest.mark.engines


async def begun(system: System, org: str, channels: list[dict[str, Any]], **more: Any) -> None:
    """A mentorship whose mentor can be written to by these channels."""
    grace = system.client("notifier", sub="grace", org=org)
    any_time = {
        "quiet_hours": {"from": "00:00", "to": "00:00"},
        "workdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    }
    body = {"time_zone": "UTC", "channels": channels, **any_time, **more}
    put = await grace.put("/v1/recipients/grace", json=body)
    assert put.status_code == 200, put.text
    hr = system.client("goals", sub="hr", org=org, scope="onbelay:programs")
    started = await hr.post(
        "/v1/mentorships",
        json={"program_id": "p", "mentor_id": "grace", "mentee_id": "ada", "time_zone": "UTC"},
    )
    assert started.status_code == 201, started.text


async def sent(system: System, org: str) -> list[dict[str, Any]]:
    grace = system.client("notifier", sub="grace", org=org)
    answered = await grace.get("/v1/nudges", params={"outcome": "sent"})
    return list(answered.json()["items"])


async def test_goes_to_the_chat_and_stands_in_the_ledger(system: System) -> None:
    org = f"org-{uuid4().hex[:10]}"
    async with receiver() as chat:
        await begun(system, org, [{"kind": "chat", "url": chat.url + "/hooks/grace"}], language="de-AT")
        await system.move(timedelta(days=3))
        requests: list[Request] = await eventually(lambda: chat.to("/hooks/grace"), seconds=20)
        (entry,) = await eventually(lambda: sent(system, org))
    assert entry["channel"] == "chat"
    assert entry["kind"] == "agree_expectations"
    assert requests[0].headers["onbelay-message-id"] == entry["message_id"]
    assert requests[0].event["text"].startswith("Hallo,"), "in the recipient's language"


async def test_falls_back_to_the_next_channel_where_the_chat_is_gone(system: System) -> None:
    org = f"org-{uuid4().hex[:10]}"
    async with receiver(lambda _: answer(410)) as chat:
        address = f"grace@{org}.example"
        channels = [{"kind": "chat", "url": chat.url}, {"kind": "email", "address": address}]
        await begun(system, org, channels)
        await system.move(timedelta(days=3))
        (entry,) = await eventually(lambda: sent(system, org), seconds=20)
    assert entry["channel"] == "email"
    assert len(chat.requests) == 1


async def test_never_leads_inside(system: System) -> None:
    org = f"org-{uuid4().hex[:10]}"
    grace = system.client("notifier", sub="grace", org=org)
    body = {"time_zone": "UTC", "channels": [{"kind": "chat", "url": "https://10.0.0.7/hook"}]}
    refused = await grace.put("/v1/recipients/grace", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/channels/0/url"
