"""Mentorships through HTTP: started and changed by coordinators, read by their participants."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.integration.goals.world import Json, Pair, refused, short
from tests.support.system import System

pytestmark = pytest.mark.engines


class TestStart:
    async def test_is_answered_whole_and_told_without_the_focus(self, pair: Pair) -> None:
        ref = f"hr-{uuid4().hex}"
        body = pair.mentorship(
            coordinator_id="kim", check_in_every_days=14, focus="PLANTED speaking", external_ref=ref
        )
        answer = await pair.hr().post("/v1/mentorships", json=body)
        assert answer.status_code == 201, answer.text
        found = answer.json()
        url = f"/v1/mentorships/{found['mentorship_id']}"
        assert answer.headers["location"] == url
        assert {name: found[name] for name in body} == body
        assert (found["state"], found["version"]) == ("active", 1)
        (event,) = await pair.told(f"mentorship/{found['mentorship_id']}", 1)
        assert (short(event), event["partitionkey"]) == ("MentorshipStarted", found["mentorship_id"])
        assert event["data"] == {
            "org_id": pair.org,
            "mentorship_id": found["mentorship_id"],
            **{name: value for name, value in body.items() if name not in ("focus", "external_ref")},
        }
        read = await pair.hr().get(url)
        assert (read.json(), read.headers["etag"]) == (found, answer.headers["etag"])

    async def test_has_its_defaults(self, pair: Pair) -> None:
        body = pair.mentorship()
        del body["leader_id"]
        found = (await pair.hr().post("/v1/mentorships", json=body)).json()
        assert found["check_in_every_days"] == 7
        assert not {"leader_id", "coordinator_id", "focus", "external_ref"} & found.keys()

    async def test_is_of_coordinators(self, pair: Pair) -> None:
        refused(await pair.as_("mentor").post("/v1/mentorships", json=pair.mentorship()), 403)

    async def test_a_reference_names_one_mentorship_of_the_organization(self, system: System) -> None:
        body = {"external_ref": f"hr-{uuid4().hex}"}
        first, elsewhere = await Pair(system).begin(**body), await Pair(system).begin(**body)
        refused(await first.hr().post("/v1/mentorships", json=first.mentorship(**body)), 409)
        found = await first.hr().get("/v1/mentorships", params=body)
        assert [item["mentorship_id"] for item in found.json()["items"]] == [first.mentorship_id]
        refused(await elsewhere.hr().get(f"/v1/mentorships/{first.mentorship_id}"), 404)

    async def test_many_at_once(self, pair: Pair) -> None:
        key = f"key-{uuid4().hex}"
        items = [
            {**pair.mentorship(), "key": key},
            {**pair.mentorship(mentee_id="mentor"), "key": f"{key}-2"},
            {**pair.mentorship(), "key": key},
        ]
        answer = await pair.hr().post("/v1/mentorships/batch", json={"items": items})
        first, second, again = answer.json()["results"]
        assert (first["status"], second["status"]) == (201, 422)
        assert second["problem"]["errors"][0]["pointer"] == "/mentee_id"
        assert again == first
        read = await pair.hr().get(f"/v1/mentorships/{first['mentorship_id']}")
        assert read.status_code == 200


class TestChange:
    async def changed(self, pair: Pair, **changes: Any) -> Any:
        url = f"/v1/mentorships/{pair.mentorship_id}"
        seen = await pair.hr().get(url)
        return await pair.hr().patch(url, json=changes, headers={"If-Match": seen.headers["etag"]})

    async def test_is_answered_and_told_with_what_changed(self, system: System) -> None:
        pair = await Pair(system).begin(coordinator_id="kim", focus="Speaking")
        changes = {"time_zone": "Asia/Tokyo", "coordinator_id": None, "focus": None, "leader_id": "leader"}
        answer = await self.changed(pair, **changes)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert (found["time_zone"], found["version"]) == ("Asia/Tokyo", 2)
        assert not {"coordinator_id", "focus"} & found.keys()
        _, event = await pair.told(f"mentorship/{pair.mentorship_id}", 2)
        assert short(event) == "MentorshipChanged"
        assert event["data"]["changed"] == ["coordinator_id", "time_zone", "focus"]
        assert (event["data"]["leader_id"], "coordinator_id" in event["data"]) == ("leader", False)

    async def test_that_changes_nothing_is_none(self, pair: Pair) -> None:
        answer = await self.changed(pair, time_zone="Europe/Berlin")
        assert (answer.status_code, answer.json()["version"]) == (200, 1)

    async def test_needs_the_version_that_was_seen(self, pair: Pair) -> None:
        url = f"/v1/mentorships/{pair.mentorship_id}"
        refused(await pair.hr().patch(url, json={"focus": "x"}), 428)
        refused(await pair.hr().patch(url, json={"focus": "x"}, headers={"If-Match": '"old"'}), 412)
        refused(await pair.hr().patch("/v1/mentorships/none", json={"focus": "x"}), 404)
        refused(await pair.as_("mentor").patch(url, json={"focus": "x"}), 403)

    async def test_mentor_and_mentee_do_not_become_the_leader(self, pair: Pair) -> None:
        refused(await self.changed(pair, leader_id="mentor"), 422, "/leader_id")

    async def test_a_leader_with_open_goals_stays(self, system: System) -> None:
        pair = await Pair(system).begin()
        goal_id = await pair.sets("leader")
        refused(await self.changed(pair, leader_id=None), 409)
        refused(await self.changed(pair, leader_id="other"), 409)
        await pair.says(goal_id, "dropped", "leader")
        answer = await self.changed(pair, leader_id="other")
        assert (answer.status_code, answer.json()["leader_id"]) == (200, "other")
        refused(await pair.as_("leader").get(f"/v1/goals/{goal_id}"), 404)
        assert (await pair.sees(goal_id))["owner_id"] == "leader"

    async def test_after_the_end_it_is_not_changed(self, system: System) -> None:
        pair = await Pair(system).begin()
        await pair.turns("end")
        refused(await self.changed(pair, focus="x"), 409)


class TestRead:
    async def test_participants_read_theirs_others_do_not(self, pair: Pair) -> None:
        url = f"/v1/mentorships/{pair.mentorship_id}"
        for person in ("mentor", "mentee", "leader"):
            assert (await pair.as_(person).get(url)).status_code == 200
        refused(await pair.as_("eve").get(url), 404)
        refused(await pair.hr("onbelay:act_as", act_as="eve").get(url), 404)

    async def test_they_are_listed_newest_first_and_filtered(self, system: System) -> None:
        one = await Pair(system).begin(program_id="p-1")
        two = await Pair(system, org=one.org).begin(program_id="p-2", mentor_id="other", leader_id=None)
        await two.turns("pause")

        async def found(client: Any, **filters: str) -> list[str]:
            answer = await client.get("/v1/mentorships", params=filters)
            assert answer.status_code == 200, answer.text
            return [item["mentorship_id"] for item in answer.json()["items"]]

        first, second = one.mentorship_id, two.mentorship_id
        assert await found(one.hr()) == [second, first]
        assert await found(one.hr(), program_id="p-1") == [first]
        assert await found(one.hr(), state="paused") == [second]
        assert await found(one.hr(), person_id="leader") == [first]
        assert await found(one.as_("mentee")) == [second, first]
        assert await found(one.as_("mentor")) == [first]
        assert await found(one.as_("mentor"), person_id="other") == []
        page = (await one.hr().get("/v1/mentorships", params={"limit": "1"})).json()
        rest = await found(one.hr(), cursor=page["next_cursor"])
        assert rest == [first]

    @pytest.mark.parametrize(
        ("filters", "parameter"),
        [({"state": "over"}, "state"), ({"person_id": "a@b"}, "person_id"), ({"owner_id": "x"}, "owner_id")],
    )
    async def test_filters_that_cannot_be_are_refused(
        self, pair: Pair, filters: Json, parameter: str
    ) -> None:
        refused(await pair.hr().get("/v1/mentorships", params=filters), 422, parameter)
