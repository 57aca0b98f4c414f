"""Revising goals and saying what came of them, through HTTP: who may, what is answered, what is told."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from shared.time import format_instant
from tests.integration.goals.world import Json, Pair, refused, short
from tests.support.polling import eventually

pytestmark = pytest.mark.engines
DAY = timedelta(days=1)
OWNER_ROLES = [("mentee", "mentor"), ("mentor", "mentee"), ("leader", "mentee")]


class TestReviseAGoal:
    async def test_as_its_owner_it_holds_at_once(self, pair: Pair) -> None:
        goal_id = await pair.sets(why="Because.")
        answer = await pair.revises(
            goal_id, title="Read nine papers", measure={"kind": "number", "target": 9}
        )
        assert answer.status_code == 200, answer.text
        goal = answer.json()
        assert (goal["title"], goal["revision"], goal["why"]) == ("Read nine papers", 2, "Because.")
        event = (await pair.told(f"goal/{goal_id}", 2))[-1]
        data = event["data"]
        assert short(event) == "GoalRevised"
        assert (data["changed"], data["eased"]) == (["title", "measure"], False)
        assert (data["revised_by"], data["agreed_by"]) == ("mentee", [])
        assert "proposal_id" not in data

    async def test_null_removes_the_why_and_nothing_else(self, pair: Pair) -> None:
        goal_id = await pair.sets(why="Because.")
        answer = await pair.revises(goal_id, why=None)
        assert (answer.status_code, answer.json().get("why")) == (200, None)
        for name in ("title", "measure", "deadline", "check_in_every_days"):
            nothing: Json = {name: None}
            refused(await pair.revises(goal_id, **nothing), 422, f"/{name}")

    async def test_that_changes_nothing_is_none(self, pair: Pair) -> None:
        goal_id = await pair.sets()
        answer = await pair.revises(goal_id, title="Read seven papers", reason="No reason.")
        assert (answer.status_code, answer.json()["revision"]) == (200, 1)
        assert await pair.types(goal_id) == ["GoalSet"]

    async def test_what_the_counterpart_wants_waits_for_the_owner(self, pair: Pair) -> None:
        goal_id = await pair.sets()
        answer = await pair.revises(goal_id, "mentor", title="Read nine papers", reason="You can.")
        assert answer.status_code == 202, answer.text
        assert answer.json()["waits_for"] == "mentee"
        assert (await pair.sees(goal_id))["title"] == "Read seven papers"
        accepted = await pair.does(goal_id, f"proposals/{answer.json()['proposal_id']}/accept", "mentee")
        assert (accepted.json()["title"], accepted.json()["revision"]) == ("Read nine papers", 2)
        _, proposed, revised = await pair.told(f"goal/{goal_id}", 3)
        assert proposed["data"]["revision"] == 1
        assert (revised["data"]["revised_by"], revised["data"]["agreed_by"]) == ("mentor", ["mentee"])
        assert revised["data"]["proposal_id"] == answer.json()["proposal_id"]

    async def test_an_accepted_proposal_makes_others_stale(self, pair: Pair) -> None:
        goal_id = await pair.sets()
        first = (await pair.revises(goal_id, "mentor", title="Read nine papers")).json()["proposal_id"]
        second = (await pair.revises(goal_id, "mentor", title="Read ten papers")).json()["proposal_id"]
        assert (await pair.does(goal_id, f"proposals/{second}/accept", "mentee")).status_code == 200
        refused(await pair.does(goal_id, f"proposals/{first}/accept", "mentee"), 409)
        refused(await pair.does(goal_id, f"proposals/{uuid4()}/accept", "mentee"), 404)
        listed = await pair.as_("mentee").get(f"/v1/goals/{goal_id}/proposals")
        assert [(item["proposal_id"], item["state"]) for item in listed.json()["items"]] == [
            (second, "accepted"),
            (first, "open"),
        ]
        assert listed.json()["items"][0]["changes"] == {"title": "Read ten papers"}

    async def test_easing_near_the_deadline_waits_for_the_counterpart(self, pair: Pair) -> None:
        """Rule 6: from the cutoff on the second workday before its date on, in the deadline's zone."""
        today = (await pair.system.now()).date()
        near = {"date": (today + 2 * DAY).isoformat(), "time_zone": "Pacific/Kiritimati", "cutoff": "12:00"}
        far = {**near, "date": (today + 9 * DAY).isoformat()}
        later = {**near, "date": (today + 20 * DAY).isoformat()}
        inside, outside = await pair.sets(deadline=near), await pair.sets(deadline=far)
        assert (await pair.revises(outside, deadline=later)).status_code == 200
        waiting = await pair.revises(inside, deadline=later)
        assert (waiting.status_code, waiting.json()["waits_for"]) == (202, "mentor")
        (_, proposed) = await pair.told(f"goal/{inside}", 2)
        assert proposed["data"]["eased"] is True
        assert (await pair.revises(inside, title="Read seven papers twice")).status_code == 200

    async def test_only_owner_and_counterpart_do(self, pair: Pair) -> None:
        goal_id = await pair.sets()
        refused(await pair.revises(goal_id, "leader", title="Read less"), 403)
        # The role comes before the version.
        refused(await pair.as_("leader").patch(f"/v1/goals/{goal_id}", json={"title": "Read less"}), 403)
        refused(await pair.as_("eve").patch(f"/v1/goals/{goal_id}", json={"title": "Mine"}), 404)

    async def test_it_is_weighed_at_once_by_its_new_measure(self, pair: Pair) -> None:
        goal_id = await pair.sets()
        await pair.checks_in(goal_id, progress={"value": 5})

        async def seen() -> bool:
            return bool((await pair.sees(goal_id))["fraction"] > 0.7)

        await eventually(seen)
        answer = await pair.revises(goal_id, measure={"kind": "number", "target": 5})
        assert (answer.json()["state"], answer.json()["revision"]) == ("met", 2)
        assert await pair.types(goal_id) == ["GoalSet", "GoalRevised", "GoalMet"]

    async def test_needs_the_version_that_was_seen(self, pair: Pair) -> None:
        goal_id = await pair.sets()
        url, client = f"/v1/goals/{goal_id}", pair.as_("mentee")
        seen = await client.get(url)
        assert (await client.get(url, headers={"If-None-Match": seen.headers["etag"]})).status_code == 304
        refused(await client.patch(url, json={"title": "Other"}), 428)
        refused(await client.patch(url, json={"title": "Other"}, headers={"If-Match": '"old"'}), 412)
        matching = {"If-Match": seen.headers["etag"]}
        changed = await client.patch(url, json={"title": "Other one"}, headers=matching)
        assert changed.status_code == 200
        assert changed.headers["etag"] != seen.headers["etag"]
        refused(await client.patch(url, json={"title": "Third"}, headers=matching), 412)
        theirs = await pair.as_("leader").get(url)
        assert theirs.headers["etag"] == changed.headers["etag"]


class TestOutcomes:
    async def test_the_owner_drops_a_goal(self, pair: Pair) -> None:
        goal_id = await pair.sets()
        for by in ("mentor", "leader"):
            refused(await pair.says(goal_id, "dropped", by), 403)
        answer = await pair.says(goal_id, "dropped", note="No time.")
        assert (answer.status_code, answer.json()["state"]) == (200, "dropped")
        refused(await pair.says(goal_id, "dropped"), 409)
        refused(await pair.revises(goal_id, title="Other"), 409)
        _, event = await pair.told(f"goal/{goal_id}", 2)
        assert short(event) == "GoalDropped"
        assert event["data"].keys() == {
            "org_id", "program_id", "mentorship_id", "goal_id", "owner_id", "owner_role", "revision", "dropped_at",
        }  # fmt: skip

    @pytest.mark.parametrize("by", ["mentee", "mentor"])
    async def test_owner_or_counterpart_say_that_it_is_met_and_when(self, pair: Pair, by: str) -> None:
        goal_id = await pair.sets()
        then = format_instant(await pair.in_(-6 * DAY))
        answer = await pair.says(goal_id, "met", by, occurred_at=then)
        assert (answer.status_code, answer.json()["met_at"]) == (200, then)
        assert answer.json()["fraction"] == 1.0
        _, event = await pair.told(f"goal/{goal_id}", 2)
        assert (short(event), event["data"]["met_at"]) == ("GoalMet", then)
        listed = await pair.as_("mentor", "checkins").get("/v1/checkins", params={"goal_id": goal_id})
        assert listed.json()["items"] == []

    async def test_what_is_met_occurred_at_most_a_week_ago_and_not_ahead(self, pair: Pair) -> None:
        goal_id = await pair.sets()
        for duration in (-7 * DAY - timedelta(minutes=1), timedelta(minutes=6)):
            then = format_instant(await pair.in_(duration))
            refused(await pair.says(goal_id, "met", occurred_at=then), 422, "/occurred_at")
            refused(await pair.says(str(uuid4()), "met", occurred_at=then), 422, "/occurred_at")
        then = format_instant(await pair.in_(-DAY))
        refused(await pair.says(goal_id, "dropped", occurred_at=then), 422, "/occurred_at")

    async def test_a_key_answers_as_before_though_it_was_a_week_ago_meanwhile(self, pair: Pair) -> None:
        url = f"/v1/goals/{await pair.sets()}/outcome"
        then = await pair.in_(-7 * DAY + timedelta(minutes=5))
        body = {"outcome": "met", "occurred_at": format_instant(then)}
        headers = {"Idempotency-Key": uuid4().hex}
        before = await pair.as_("mentee").post(url, json=body, headers=headers)
        await pair.system.move(then + 7 * DAY + timedelta(seconds=1))
        after = await pair.as_("mentee").post(url, json=body, headers=headers)
        assert (after.status_code, after.json()) == (200, before.json()), after.text
        assert after.headers["idempotency-replayed"] == "true"
        refused(await pair.as_("mentee").post(url, json=body), 422, "/occurred_at")
