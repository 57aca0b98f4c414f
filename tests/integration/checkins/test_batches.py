"""Batches of check-ins: each item as if it were alone."""

from __future__ import annotations

from typing import Any

import pytest

from shared.ids import uuid7
from tests.integration.checkins.world import ACT_AS, PARTICIPATE, PATH, Pair, refused

pytestmark = pytest.mark.engines
BATCH = f"{PATH}/batch"


class TestBatch:
    async def test_each_item_has_the_status_that_it_would_have_alone(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        app = pair.system.client("checkins", sub="app", org=pair.org, scope=f"{ACT_AS} {PARTICIPATE}")
        on_goal = pair.check_in(goal_id=goal["goal_id"])
        items: list[tuple[int, dict[str, Any], str | None]] = [
            (201, {"act_as": "mentee", **on_goal, "progress": {"value": 1}}, None),
            (201, {"act_as": "mentor", **pair.check_in(sensitive=True, note="PLANTED")}, None),
            (403, {"act_as": "leader", **on_goal}, None),
            (404, {"act_as": "mentee", "mentorship_id": uuid7()}, None),
            (404, {"act_as": "stranger", **on_goal}, None),
            (404, on_goal, None),  # as the integration itself
            (422, {"act_as": "mentee", **on_goal, "progress": {"done": True}}, "/progress"),
            (422, {"act_as": "mentee", **on_goal, "confidence": 11}, "/confidence"),
            (422, {"act_as": "a@b", **on_goal}, "/act_as"),
            (422, {"act_as": "mentee"}, "/mentorship_id"),
        ]
        keys = [uuid7() for _ in items]
        sent = [{"key": key, **item} for key, (_, item, _) in zip(keys, items, strict=True)]
        answer = await app.post(BATCH, json={"items": sent})
        assert answer.status_code == 200, answer.text
        results = answer.json()["results"]
        assert [result["key"] for result in results] == keys
        assert [result["status"] for result in results] == [status for status, _, _ in items]
        for result, (status, _, pointed) in zip(results, items, strict=True):
            assert ("checkin_id" in result) == (status == 201)
            assert ("problem" in result) == (status != 201)
            if pointed is not None:
                assert [error["pointer"] for error in result["problem"]["errors"]] == [pointed]
        again = (await app.post(BATCH, json={"items": sent[:2]})).json()["results"]
        assert again == results[:2]
        # A key is the same as that of a single POST.
        single = await pair.integration("mentee").post(
            PATH, json={**on_goal, "progress": {"value": 1}}, headers={"Idempotency-Key": keys[0]}
        )
        assert single.json()["checkin_id"] == results[0]["checkin_id"]
        assert single.headers["idempotency-replayed"] == "true"

    async def test_a_dry_run_answers_alike_and_stores_nothing(self, pair: Pair) -> None:
        mentee = pair.as_("mentee")
        before = (await mentee.get(PATH, params={"limit": 200})).json()["items"]
        items = [
            {"key": "a", **pair.check_in()},
            {"key": "b", **pair.check_in(confidence=-1)},
            {"key": "c", **pair.check_in(help={"route_to": "stranger"})},
        ]
        answer = await mentee.post(BATCH, json={"items": items, "dry_run": True})
        assert [result["status"] for result in answer.json()["results"]] == [201, 422, 422]
        assert all("checkin_id" not in result for result in answer.json()["results"])
        assert (await mentee.get(PATH, params={"limit": 200})).json()["items"] == before

    async def test_to_act_as_somebody_needs_the_scope(self, pair: Pair) -> None:
        items = [{"key": "a", "act_as": "mentor", **pair.check_in()}, {"key": "b", **pair.check_in()}]
        answer = await pair.as_("mentee").post(BATCH, json={"items": items})
        assert [result["status"] for result in answer.json()["results"]] == [403, 201]

    @pytest.mark.parametrize(
        ("body", "pointed"),
        [
            ({"items": []}, "/items"),
            ({"items": [{"key": f"k{n}"} for n in range(501)]}, "/items"),
            ({"items": [{"mentorship_id": "m"}]}, "/items/0/key"),
            ({"items": [{"key": "x" * 256}]}, "/items/0/key"),
            ({"items": [{"key": "a"}], "dry_run": "no"}, "/dry_run"),
            ({}, "/items"),
        ],
    )
    async def test_a_batch_that_is_no_batch_is_refused_whole(
        self, pair: Pair, body: dict[str, Any], pointed: str
    ) -> None:
        refused(await pair.as_("mentee").post(BATCH, json=body), 422, pointed)
