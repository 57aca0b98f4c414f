"""A person's calendar, as a program that subscribes to it reads it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from icalendar import Calendar

from tests.support.polling import eventually
from tests.support.system import System

pytestmark = pytest.mark.engines


async def events(system: System, url: str) -> dict[str, Any]:
    answer = await system.anonymous("notifier").get(urlsplit(url).path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    return {str(event["uid"]): event for event in Calendar.from_ical(answer.content).walk("VEVENT")}


async def test_a_persons_calendar_follows_their_goals(system: System) -> None:
    org = f"org-{uuid4().hex[:10]}"
    hr = system.client("goals", sub="hr", org=org, scope="onbelay:programs")
    started = await hr.post(
        "/v1/mentorships",
        json={"program_id": "p", "mentor_id": "grace", "mentee_id": "ada", "time_zone": "Europe/Berlin"},
    )
    mentorship_id = started.json()["mentorship_id"]
    people = {sub: system.client("notifier", sub=sub, org=org) for sub in ("ada", "grace")}
    urls: dict[str, str] = {}
    for sub, client in people.items():
        body: dict[str, Any] = {"time_zone": "Europe/Berlin", "channels": []}
        assert (await client.put(f"/v1/recipients/{sub}", json=body)).status_code == 200
        urls[sub] = (await client.get(f"/v1/recipients/{sub}")).json()["calendar_url"]
    assert urls["ada"].startswith(system.urls["notifier"] + "/calendar/")

    ada = system.client("goals", sub="ada", org=org)
    due = (await system.now() + timedelta(days=30)).date()
    made = await ada.post(
        "/v1/goals",
        json={
            "mentorship_id": mentorship_id,
            "title": "Give a talk",
            "measure": {"kind": "done"},
            "deadline": {"date": due.isoformat(), "time_zone": "Asia/Tokyo", "cutoff": "17:00"},
        },
    )
    goal = made.json()
    uid = f"deadline-{goal['goal_id']}@onbelay"

    async def stands() -> Any:
        return (await events(system, urls["ada"])).get(uid)

    first = await eventually(stands)
    assert first["dtend"].params["tzid"] == "Asia/Tokyo"
    assert first.decoded("dtend").isoformat() == f"{due}T17:00:00+09:00"
    assert f"check-in-{goal['goal_id']}@onbelay" in await events(system, urls["ada"])
    assert await events(system, urls["grace"]) == {}, "a mentor's calendar holds the mentor's goals"

    feed = await system.anonymous("notifier").get(urlsplit(urls["ada"]).path)
    again = await system.anonymous("notifier").get(
        urlsplit(urls["ada"]).path, headers={"If-None-Match": feed.headers["etag"]}
    )
    assert again.status_code == 304

    dropped = await ada.post(f"/v1/goals/{goal['goal_id']}/outcome", json={"outcome": "dropped"})
    assert dropped.status_code == 200

    async def cancelled() -> Any:
        event = await stands()
        return event if event is not None and event["status"] == "CANCELLED" else None

    last = await eventually(cancelled)
    assert int(last["sequence"]) > int(first["sequence"])

    path = urlsplit(urls["ada"]).path
    assert (await system.anonymous("notifier").get(path.replace(".ics", "x.ics"))).status_code == 404
    assert (await people["ada"].delete("/v1/recipients/ada")).status_code == 204
    assert (await system.anonymous("notifier").get(path)).status_code == 404
