"""Goals at risk and the numbers of nudges, through Kafka and HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from shared import events as contract
from shared.mongo import Mongo
from tests.builders import Pair
from tests.integration.metrics.published import client, publish
from tests.support.polling import eventually
from tests.support.system import System
from tests.unit.metrics.histories import History

pytestmark = pytest.mark.engines

DAY = timedelta(days=1)


def told(org: str, now: datetime, program: str = "program-1") -> tuple[History, Pair]:
    """A pair whose goals are: fine; due soon; due soon and unrealistic; behind; and one that was met."""
    history = History(org)
    pair = Pair(org, program, f"{org}-{program}")
    history.add(pair.started(), now - 40 * DAY)
    for name, days in (("fine", 100), ("soon", 3), ("unreal", 5), ("behind", 20), ("met", 4)):
        goal = pair.goal_set(f"{pair.mentorship_id}-{name}", due_at=now + days * DAY)
        history.add(goal, now - 30 * DAY)
    for name, value in (("fine", 6.0), ("soon", 6.9), ("unreal", 6.9), ("behind", 1.0)):
        realistic = False if name == "unreal" else None
        at = now - DAY
        history.add(
            pair.logged(
                f"{pair.mentorship_id}-{name}-c",
                goal_id=f"{pair.mentorship_id}-{name}",
                occurred_at=at,
                logged_at=at,
                progress=contract.Progress(value=value),
                realistic=realistic,
            ),
            at,
        )
    met: dict[str, Any] = {"owner_id": "mentee-1", "owner_role": "mentee", "revision": 1}
    history.add(
        contract.GoalMet(
            **pair.common,
            **met,
            goal_id=f"{pair.mentorship_id}-met",
            met_at=now - DAY,
            due_at=now + 4 * DAY,
            days_early=5,
        ),
        now - DAY,
    )
    return history, pair


async def assessed(metrics: System, org: str) -> None:
    """Wait until all that happened has been assessed, and that is stored."""
    mongo = Mongo.connect(metrics.mongo)
    try:
        database = metrics.database(mongo, "metrics")
        live = ((await database["meta"].find_one({"_id": "generations"})) or {}).get("live", "")

        async def nothing_waits() -> bool:
            return await database[f"{live}stale"].find_one({"org_id": org}) is None

        await eventually(nothing_waits)
    finally:
        await mongo.close()


class TestAtRisk:
    async def test_most_signals_come_first_then_the_deadline(self, metrics: System, org: str) -> None:
        now = await metrics.now()
        history, pair = told(org, now)
        await publish(metrics, list(history.events.values()))
        items = (await client(metrics, org).get("/v1/metrics/at-risk")).json()["items"]
        assert [(item["goal_id"].rpartition("-")[2], item["signals"]) for item in items] == [
            ("unreal", ["due_soon", "unrealistic"]),
            ("soon", ["due_soon"]),
            ("behind", ["behind_pace"]),
        ]
        assert set(items[0]) == {"goal_id", "mentorship_id", "owner_id", "due_at", "fraction", "signals"}
        assert items[2]["fraction"] == 1 / 7
        assert items[2]["mentorship_id"] == pair.mentorship_id

    async def test_what_happens_next_is_seen_at_once(self, metrics: System, org: str) -> None:
        now = await metrics.now()
        history, pair = told(org, now)
        await publish(metrics, list(history.events.values()))
        asking = client(metrics, org)
        assert len((await asking.get("/v1/metrics/at-risk")).json()["items"]) == 3
        await assessed(metrics, org)
        more = History(org)
        for event in history.events["goals"]:
            if event.subject == f"goal/{pair.mentorship_id}-unreal":
                more.events["goals"].append(event)
        dropped = contract.GoalDropped(
            **pair.common,
            goal_id=f"{pair.mentorship_id}-unreal",
            owner_id="mentee-1",
            owner_role="mentee",
            revision=1,
            dropped_at=now,
        )
        more.add(dropped, now)
        await publish(metrics, list(more.events.values()))
        for _ in ("as it comes", "once it was assessed"):
            items = (await asking.get("/v1/metrics/at-risk")).json()["items"]
            assert [item["goal_id"].rpartition("-")[2] for item in items] == ["soon", "behind"]
            await assessed(metrics, org)

    async def test_it_is_read_page_by_page_of_one_program_or_owner(self, metrics: System, org: str) -> None:
        now = await metrics.now()
        for program in ("program-1", "program-2"):
            await publish(metrics, list(told(org, now, program)[0].events.values()))
        asking = client(metrics, org)
        seen: list[str] = []
        params: dict[str, str] = {"limit": "2"}
        while True:
            page = (await asking.get("/v1/metrics/at-risk", params=params)).json()
            seen += [item["goal_id"] for item in page["items"]]
            if "next_cursor" not in page:
                break
            params["cursor"] = page["next_cursor"]
        assert len(seen) == len(set(seen)) == 6
        for params, count in (
            ({"program_id": "program-2"}, 3),
            ({"program_id": "program-3"}, 0),
            ({"owner_id": "mentee-1"}, 6),
            ({"owner_id": "mentor-1"}, 0),
        ):
            items = (await asking.get("/v1/metrics/at-risk", params=params)).json()["items"]
            assert len(items) == count
        assert (await asking.get("/v1/metrics/at-risk", params={"program_id": "a b"})).status_code == 422
        assert (await client(metrics, org, "onbelay:metrics").get("/v1/metrics/at-risk")).status_code == 403


class TestNudges:
    async def test_they_are_told_by_kind_with_what_was_held_out(self, metrics: System, org: str) -> None:
        now = await metrics.now()
        history = History(org)
        for number in range(6):
            pair = Pair(org, "program-1", f"{org}-{number}", f"mentor-{number}", f"mentee-{number}")
            values: dict[str, Any] = {
                **pair.common,
                "nudge_id": f"{org}-n{number}",
                "recipient_id": pair.mentee_id,
                "goal_id": f"{org}-g{number}",
                "kind": "check_in_due",
                "period": "2026-01-01",
                "at": now - 3 * DAY,
            }
            event = (
                contract.NudgeSent(**values)
                if number < 4
                else contract.NudgeSuppressed(**values, reason="holdout")
            )
            history.add(event, now - 3 * DAY)
            if number in (0, 1, 4):
                at = now - 2 * DAY
                logged = pair.logged(
                    f"{org}-c{number}",
                    goal_id=f"{org}-g{number}",
                    author_id=pair.mentee_id,
                    occurred_at=at,
                    logged_at=at,
                )
                history.add(logged, at)
        await publish(metrics, list(history.events.values()))
        answer = (await client(metrics, org).get("/v1/metrics/nudges")).json()
        assert (answer["sent"], answer["failed"], answer["suppressed"]) == (4, 0, {"holdout": 2})
        kind = answer["kinds"]["check_in_due"]
        assert (kind["sent"], kind["answered"], kind["answered_share"]) == (4, 2, 0.5)
        assert (kind["held_out"], kind["held_out_answered"], kind["held_out_share"]) == (2, 1, 0.5)
        assert kind["answered_interval"][0] < 0.5 < kind["answered_interval"][1]
        assert kind["effect"]["low"] < 0 < kind["effect"]["high"]
        elsewhere = (await client(metrics, f"{org}-other").get("/v1/metrics/nudges")).json()
        assert elsewhere == {"sent": 0, "failed": 0, "suppressed": {}, "kinds": {}}

    async def test_it_needs_the_scope_of_numbers(self, metrics: System, org: str) -> None:
        response = await client(metrics, org, "onbelay:programs").get("/v1/metrics/nudges")
        assert response.status_code == 403
        reversed_ = {"from": "2026-02-02", "to": "2026-02-01"}
        response = await client(metrics, org).get("/v1/metrics/nudges", params=reversed_)
        assert response.json()["errors"][0]["parameter"] == "from"
