"""Reading goals through HTTP: their history, lists, and to whom private words are shown."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.time import format_instant
from tests.integration.goals.world import Json, Pair, refused
from tests.support.system import System

pytestmark = pytest.mark.engines
DAY = timedelta(days=1)
OWNER_ROLES = [("mentee", "mentor"), ("mentor", "mentee"), ("leader", "mentee")]


class TestHistory:
    async def test_tells_who_when_and_what_changed_newest_first(self, pair: Pair) -> None:
        goal_id = await pair.sets()
        await pair.revises(goal_id, title="Read eight papers")
        proposal = (await pair.revises(goal_id, "mentor", title="Read nine papers", reason="You can.")).json()
        await pair.does(goal_id, f"proposals/{proposal['proposal_id']}/decline", "mentee")
        await pair.says(goal_id, "missed", note="I cannot.")
        items = await pair.history(goal_id)
        assert [(item["type"], item["by"], item["revision"]) for item in items] == [
            ("GoalSet", "mentee", 1),
            ("GoalRevised", "mentee", 2),
            ("RevisionProposed", "mentor", 2),
            ("RevisionDeclined", "mentee", 2),
            ("GoalMissed", "mentee", 2),
        ]
        assert all("at" in item for item in items)
        assert items[1]["changed"] == ["title"]
        assert (items[2]["reason"], items[4]["reason"]) == ("You can.", "I cannot.")

    async def test_is_read_page_by_page(self, pair: Pair) -> None:
        goal_id = await pair.sets()
        for number in range(4):
            await pair.revises(goal_id, title=f"Read {number} papers")
        found: list[Json] = []
        parameters = {"limit": "2"}
        while True:
            page = (await pair.as_("mentor").get(f"/v1/goals/{goal_id}/history", params=parameters)).json()
            found += page["items"]
            if "next_cursor" not in page:
                break
            parameters["cursor"] = page["next_cursor"]
        assert [item.get("title") for item in found] == [
            *(f"Read {number} papers" for number in (3, 2, 1, 0)),
            "Read seven papers",
        ]


@pytest.fixture(scope="module")
async def listed(system: System) -> tuple[Pair, dict[str, str]]:
    pair = await Pair(system).begin()
    goals = {
        "active": await pair.sets(due=await pair.in_(10 * DAY)),
        "dropped": await pair.sets(due=await pair.in_(20 * DAY)),
        "mentors": await pair.sets("mentor", due=await pair.in_(30 * DAY)),
    }
    await pair.says(goals["dropped"], "dropped")
    elsewhere = await Pair(system, org=pair.org).begin(mentee_id="another", leader_id=None)
    goals["elsewhere"] = await elsewhere.sets("another")
    return pair, goals


class TestLists:
    async def found(self, pair: Pair, by: str, **filters: Any) -> list[str]:
        client = pair.hr() if by == "hr" else pair.as_(by)
        answer = await client.get("/v1/goals", params=filters)
        assert answer.status_code == 200, answer.text
        return [item["goal_id"] for item in answer.json()["items"]]

    async def test_are_newest_first_of_ones_own_mentorships(
        self, listed: tuple[Pair, dict[str, str]]
    ) -> None:
        pair, goals = listed
        newest_first = [goals[name] for name in ("mentors", "dropped", "active")]
        assert await self.found(pair, "mentee") == newest_first
        assert await self.found(pair, "mentor") == [goals["elsewhere"], *newest_first]
        assert await self.found(pair, "hr") == [goals["elsewhere"], *newest_first]
        assert await self.found(pair, "eve") == []

    async def test_are_filtered(self, listed: tuple[Pair, dict[str, str]]) -> None:
        pair, goals = listed
        mine = {"mentorship_id": pair.mentorship_id}
        assert await self.found(pair, "hr", **mine, state="active") == [goals["mentors"], goals["active"]]
        assert await self.found(pair, "hr", **mine, owner_id="mentor") == [goals["mentors"]]
        before = format_instant(await pair.in_(20 * DAY + timedelta(hours=1)))
        assert await self.found(pair, "hr", **mine, due_before=before) == [goals["dropped"], goals["active"]]
        assert await self.found(pair, "another", **mine) == []

    async def test_go_on_where_the_page_ended(self, listed: tuple[Pair, dict[str, str]]) -> None:
        pair, goals = listed
        found, parameters = [], {"limit": "1"}
        while True:
            page = (await pair.as_("mentor").get("/v1/goals", params=parameters)).json()
            found += [item["goal_id"] for item in page["items"]]
            if "next_cursor" not in page:
                break
            parameters["cursor"] = page["next_cursor"]
        assert found == [goals[name] for name in ("elsewhere", "mentors", "dropped", "active")]

    @pytest.mark.parametrize(
        ("filters", "parameter"),
        [
            ({"state": "late"}, "state"),
            ({"due_before": "tomorrow"}, "due_before"),
            ({"due_before": "2026-12-18"}, "due_before"),
            ({"owner_id": "a@b.example"}, "owner_id"),
            ({"mentorship_id": "a b"}, "mentorship_id"),
            ({"external_ref": "x" * 129}, "external_ref"),
            ({"program_id": "p"}, "program_id"),
        ],
    )
    async def test_refuse_filters_that_cannot_be(self, pair: Pair, filters: Json, parameter: str) -> None:
        refused(await pair.as_("mentee").get("/v1/goals", params=filters), 422, parameter)


class TestPrivacy:
    """Rule 10."""

    async def test_words_about_a_goal_are_read_by_owner_and_counterpart_alone(self, system: System) -> None:
        pair = await Pair(system).begin()
        goal_id = await pair.sets(why="PLANTED why")
        await pair.revises(
            goal_id, "mentor", title="Read nine papers", why="PLANTED other", reason="PLANTED no"
        )
        await pair.says(goal_id, "missed", note="PLANTED note")
        then = format_instant(await pair.in_(-DAY))
        await pair.does(goal_id, "dispute", "mentee", occurred_at=then, reason="PLANTED dispute")
        paths = [f"/v1/goals/{goal_id}", f"/v1/goals/{goal_id}/history", f"/v1/goals/{goal_id}/proposals"]
        counts = {}
        readers = {
            "mentee": pair.as_("mentee"),
            "mentor": pair.as_("mentor"),
            "leader": pair.as_("leader"),
            "coordinator": pair.hr(),
            "both": system.client(
                "goals", sub="mentor", org=pair.org, scope="onbelay:participate onbelay:programs"
            ),
            "coordinating": system.client("goals", sub="mentor", org=pair.org, scope="onbelay:programs"),
        }
        for name, client in readers.items():
            answers = [await client.get(path) for path in [*paths, "/v1/goals"]]
            assert [answer.status_code for answer in answers] == [200] * 4
            counts[name] = [answer.text.count("PLANTED") for answer in answers]
        assert counts == {
            "mentee": [1, 3, 2, 1],
            "mentor": [1, 3, 2, 1],
            "leader": [0, 0, 0, 0],
            "coordinator": [0, 0, 0, 0],
            "both": [1, 3, 2, 1],
            "coordinating": [0, 0, 0, 0],
        }
        for path in paths:
            refused(await pair.as_("eve").get(path), 404)
            refused(await system.client("goals", sub="mentee", org="other").get(path), 404)
        events = await pair.told(f"goal/{goal_id}", 4)
        assert "PLANTED" not in str(events)

    async def test_what_is_answered_to_a_change_is_private_too(self, pair: Pair) -> None:
        """The leader proposes a goal to the mentor: its owner and the mentee read why, the leader does not."""
        body = await pair.goal(owner_id="mentor", why="PLANTED why")
        proposed = await pair.as_("leader").post("/v1/goals", json=body)
        assert "PLANTED" not in proposed.text
        goal_id = proposed.json()["goal_id"]
        assert "why" not in await pair.sees(goal_id, "leader")
        decline = f"proposals/{proposed.json()['proposal_id']}/decline"
        answer = await pair.does(goal_id, decline, "leader")
        assert (answer.status_code, "PLANTED" in answer.text) == (200, False)
