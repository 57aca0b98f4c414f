"""Rule 7 through HTTP and Kafka: pauses, resumptions and ends, and what was due around them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from shared.time import format_instant
from tests.integration.goals.world import GRACE, Pair, deadline, refused, short
from tests.support.polling import eventually
from tests.support.system import System

pytestmark = pytest.mark.engines
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class TestRule7Pause:
    async def test_holds_deadlines_and_resuming_moves_them_by_started_days(self, system: System) -> None:
        pair = await Pair(system).begin()
        due = await pair.in_(HOUR)
        before, inside, after = (
            await pair.sets(due=due),
            await pair.sets(due=due + 2 * HOUR),
            await pair.sets(),
        )
        late_in = await pair.sets(due=due + 2 * HOUR)
        waiting = await pair.revises(after, "mentor", deadline=deadline(due + 40 * DAY))
        proposed = await pair.as_("mentor").post(
            "/v1/goals", json=await pair.goal(due + 30 * DAY, owner_id="mentee")
        )
        after_due = (await pair.sees(after))["due_at"]
        await system.move(due)
        await pair.turns("pause")
        refused(await pair.hr().post(f"/v1/mentorships/{pair.mentorship_id}/pause"), 409)

        # What was due at its beginning is decided as ever, also during it; what falls due in it is not.
        await system.move(due + 3 * HOUR)
        await pair.becomes(before, "missed")
        assert (await pair.sees(inside))["state"] == "active"
        refused(await pair.as_("mentee").post("/v1/goals", json=await pair.goal()), 409)
        refused(await pair.revises(after, title="Other"), 409)
        refused(await pair.says(after, "missed"), 409)
        accept = f"proposals/{proposed.json()['proposal_id']}/accept"
        refused(await pair.does(proposed.json()["goal_id"], accept, "mentee"), 409)
        await pair.checks_in(late_in)

        # A day and some hours are two days.
        await system.move(due + DAY + HOUR)
        await pair.turns("resume")
        refused(await pair.hr().post(f"/v1/mentorships/{pair.mentorship_id}/resume"), 409)
        goal = await pair.sees(inside)
        assert (goal["state"], goal["revision"]) == ("active", 2)
        assert goal["due_at"] == format_instant(due + 2 * HOUR + 2 * DAY)
        assert (await pair.sees(after))["due_at"] > after_due
        assert (await pair.becomes(late_in, "met"))["revision"] == 2
        assert (await pair.sees(before))["due_at"] == format_instant(due)
        _, revised = await pair.told(f"goal/{inside}", 2)
        assert short(revised) == "GoalRevised"
        data = revised["data"]
        assert (data["revised_by"], data["eased"], data["changed"]) == ("system", False, ["deadline"])

        # Proposals go on after a revision of the system's, with their deadlines moved.
        accepted = await pair.does(after, f"proposals/{waiting.json()['proposal_id']}/accept", "mentee")
        assert accepted.json()["due_at"] == format_instant(due + 42 * DAY)
        accepted = await pair.does(proposed.json()["goal_id"], accept, "mentee")
        assert accepted.json()["due_at"] == format_instant(due + 32 * DAY)
        assert accepted.json()["revision"] == 1

    async def test_a_goal_may_be_dropped_or_met_in_it(self, system: System) -> None:
        pair = await Pair(system).begin()
        dropped, met, checked = await pair.sets(), await pair.sets(), await pair.sets()
        await pair.turns("pause")
        assert (await pair.says(dropped, "dropped")).json()["state"] == "dropped"
        assert (await pair.says(met, "met")).json()["state"] == "met"
        await pair.checks_in(checked)
        await pair.becomes(checked, "met")

    async def test_no_goal_that_is_set_at_the_same_moment_slips_behind_it(self, system: System) -> None:
        pair = await Pair(system).begin()
        body, client = await pair.goal(), pair.as_("mentee")
        sets = (client.post("/v1/goals", json=body) for _ in range(10))
        path = f"/v1/mentorships/{pair.mentorship_id}"
        paused, *answers = await asyncio.gather(pair.hr().post(f"{path}/pause"), *sets)
        assert paused.status_code == 200, paused.text
        assert {answer.status_code for answer in answers} <= {201, 409}
        for answer in answers:
            if answer.status_code == 201:
                assert answer.json()["set_at"] <= paused.json()["paused_at"]
        listed = (await client.get("/v1/goals")).json()["items"]
        assert len(listed) == [answer.status_code for answer in answers].count(201)


class TestRule7End:
    async def test_drops_what_is_active_withdraws_what_is_proposed_and_decides_what_was_due(
        self, system: System
    ) -> None:
        pair = await Pair(system).begin()
        due = await pair.in_(HOUR)
        was_due, active, met = await pair.sets(due=due), await pair.sets(), await pair.sets()
        asked = await pair.revises(active, "mentor", title="Read nine papers")
        proposed = await pair.as_("mentor").post("/v1/goals", json=await pair.goal(owner_id="mentee"))
        disputed = await pair.sets()
        await pair.says(disputed, "missed")
        await system.move(due)
        await pair.checks_in(met)
        await pair.turns("end")
        await system.move(due + GRACE)
        await pair.becomes(active, "dropped")
        await pair.becomes(met, "met")
        await pair.becomes(was_due, "missed")
        await pair.becomes(proposed.json()["goal_id"], "declined")
        events = await pair.told(f"goal/{active}", 4)
        assert [short(event) for event in events] == [
            "GoalSet",
            "RevisionProposed",
            "RevisionDeclined",
            "GoalDropped",
        ]
        assert (events[2]["data"]["declined_by"], events[2]["data"]["proposal_id"]) == (
            "system",
            asked.json()["proposal_id"],
        )

        # Afterwards only acknowledgements, disputes and rulings go on.
        for step in ("pause", "resume", "end"):
            refused(await pair.hr().post(f"/v1/mentorships/{pair.mentorship_id}/{step}"), 409)
        refused(await pair.as_("mentee").post("/v1/goals", json=await pair.goal()), 409)
        refused(await pair.revises(was_due, deadline=deadline(due + 9 * DAY)), 409)
        refused(await pair.says(was_due, "met", "mentor", occurred_at=format_instant(due - HOUR / 2)), 409)
        body = {"occurred_at": format_instant(due - HOUR / 2), "reason": "It was there."}
        assert (await pair.does(was_due, "dispute", "mentee", **body)).status_code == 202
        assert (await pair.does(was_due, "dispute/uphold")).json()["state"] == "met"

    async def test_what_fell_due_in_a_pause_that_turned_into_it_is_dropped(self, system: System) -> None:
        pair = await Pair(system).begin()
        due = await pair.in_(HOUR)
        goal_id = await pair.sets(due=due)
        await pair.turns("pause")
        await system.move(due + GRACE)
        await pair.turns("end")
        await system.move(GRACE)
        await pair.becomes(goal_id, "dropped")
        assert await pair.types(goal_id) == ["GoalSet", "GoalDropped"]

    async def test_an_acknowledgement_still_takes_a_miss_back(self, system: System) -> None:
        pair = await Pair(system).begin()
        goal_id = await pair.sets()
        await pair.says(goal_id, "missed")
        checkin_id = await pair.checks_in(goal_id)

        async def seen() -> bool:
            return bool((await pair.sees(goal_id))["fraction"] == 1.0)

        await eventually(seen)
        await pair.turns("end")
        await pair.acknowledges(checkin_id)
        await pair.becomes(goal_id, "met")
