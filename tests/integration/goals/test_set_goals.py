"""Setting goals through HTTP: one's own, another's, many at once; advice on them."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, time, timedelta
from uuid import uuid4

import httpx
import pytest

from shared.time import format_instant
from tests.integration.goals.world import Json, Pair, deadline, refused, short

pytestmark = pytest.mark.engines
DAY = timedelta(days=1)
OWNER_ROLES = [("mentee", "mentor"), ("mentor", "mentee"), ("leader", "mentee")]


class TestSetAGoal:
    @pytest.mark.parametrize(("owner", "counterpart"), OWNER_ROLES)
    async def test_of_ones_own_is_answered_whole_and_told_without_the_why(
        self, pair: Pair, owner: str, counterpart: str
    ) -> None:
        due = await pair.in_(30 * DAY)
        body = await pair.goal(due, why="PLANTED: I want to lead.", check_in_every_days=5)
        answer = await pair.as_(owner).post("/v1/goals", json=body)
        assert answer.status_code == 201, answer.text
        goal = answer.json()
        assert answer.headers["location"] == f"/v1/goals/{goal['goal_id']}"
        assessment, set_at = goal.pop("assessment"), goal.pop("set_at")
        assert goal == {
            "goal_id": goal["goal_id"],
            "mentorship_id": pair.mentorship_id,
            "program_id": "program",
            "owner_id": owner,
            "owner_role": owner,
            "counterpart_id": counterpart,
            "title": "Read seven papers",
            "measure": {"kind": "number", "target": 7.0},
            "deadline": deadline(due),
            "due_at": format_instant(due),
            "check_in_every_days": 5,
            "why": "PLANTED: I want to lead.",
            "state": "active",
            "revision": 1,
            "fraction": 0.0,
        }
        assert {letter: found.keys() for letter, found in assessment.items()} == {
            letter: {"ok", "advice"}
            for letter in ("specific", "measurable", "attainable", "relevant", "time_bound")
        }
        (event,) = await pair.told(f"goal/{goal['goal_id']}", 1)
        assert (short(event), event["time"]) == ("GoalSet", set_at)
        assert event["data"] == {
            name: value
            for name, value in {**goal, "org_id": pair.org}.items()
            if name not in ("why", "state", "fraction")
        }
        read = await pair.as_(owner).get(answer.headers["location"])
        assert read.headers["etag"] == answer.headers["etag"]

    async def test_its_rhythm_is_the_mentorships_unless_said(self, pair: Pair) -> None:
        goal_id = await pair.sets()
        assert (await pair.sees(goal_id))["check_in_every_days"] == 7

    @pytest.mark.parametrize(
        "measure",
        [
            {"kind": "number", "unit": "papers", "baseline": 10.0, "target": 2.5},
            {"kind": "milestones", "milestones": ["draft", "review"]},
            {"kind": "done"},
        ],
    )
    async def test_is_measured_as_it_says(self, pair: Pair, measure: Json) -> None:
        goal_id = await pair.sets(measure=measure)
        assert (await pair.sees(goal_id))["measure"] == measure

    async def test_for_another_is_theirs_once_they_accept(self, pair: Pair) -> None:
        body = await pair.goal(owner_id="mentee", why="Because I believe in you.")
        answer = await pair.as_("mentor").post("/v1/goals", json=body)
        assert answer.status_code == 202, answer.text
        goal_id, proposal_id = answer.json()["goal_id"], answer.json()["proposal_id"]
        assert answer.json() == {
            "goal_id": goal_id,
            "proposal_id": proposal_id,
            "waits_for": "mentee",
            "state": "proposed",
        }
        (proposed,) = await pair.told(f"goal/{goal_id}", 1)
        assert short(proposed) == "RevisionProposed"
        assert (proposed["data"]["revision"], proposed["data"]["waits_for"]) == (0, "mentee")
        assert (await pair.sees(goal_id))["state"] == "proposed"
        refused(await pair.revises(goal_id, title="Read less"), 409)
        accept = f"proposals/{proposal_id}/accept"
        refused(await pair.does(goal_id, accept, "mentor"), 403)
        accepted = await pair.does(goal_id, accept, "mentee")
        assert (accepted.status_code, accepted.json()["state"]) == (200, "active")
        assert accepted.json()["why"] == "Because I believe in you."
        _, goal_set = await pair.told(f"goal/{goal_id}", 2)
        assert short(goal_set) == "GoalSet"
        assert (goal_set["data"]["proposal_id"], goal_set["data"]["revision"]) == (proposal_id, 1)

    async def test_for_another_declined_never_was(self, pair: Pair) -> None:
        answer = await pair.as_("leader").post("/v1/goals", json=await pair.goal(owner_id="mentor"))
        goal_id = answer.json()["goal_id"]
        decline = f"proposals/{answer.json()['proposal_id']}/decline"
        declined = await pair.does(goal_id, decline, "leader")
        assert (declined.status_code, declined.json()["state"]) == (200, "declined")
        refused(await pair.says(goal_id, "dropped", "mentor"), 409)

    async def test_of_somebody_elses_mentorship_is_not_there(self, pair: Pair) -> None:
        refused(await pair.as_("eve").post("/v1/goals", json=await pair.goal()), 404)
        body = await pair.goal(mentorship_id=str(uuid4()))
        refused(await pair.as_("mentee").post("/v1/goals", json=body), 404)

    async def test_for_who_takes_no_part_is_refused(self, pair: Pair) -> None:
        answer = await pair.as_("mentee").post("/v1/goals", json=await pair.goal(owner_id="eve"))
        refused(answer, 422, "/owner_id")

    async def test_needs_a_participants_scope(self, pair: Pair) -> None:
        refused(await pair.hr().post("/v1/goals", json={}), 403)

    async def test_an_integration_sets_it_as_a_person(self, pair: Pair) -> None:
        client = pair.hr("onbelay:act_as", act_as="mentor")
        answer = await client.post("/v1/goals", json=await pair.goal())
        assert (answer.status_code, answer.json()["owner_id"]) == (201, "mentor")
        refused(await pair.hr("onbelay:act_as").post("/v1/goals", json=await pair.goal()), 403)

    async def test_many_of_one_mentorship_at_once_all_come_through(self, pair: Pair) -> None:
        body = await pair.goal()
        client = pair.as_("mentee")
        answers = await asyncio.gather(*(client.post("/v1/goals", json=body) for _ in range(30)))
        assert {answer.status_code for answer in answers} == {201}
        goals = [answer.json()["goal_id"] for answer in answers]
        revised = await asyncio.gather(*(pair.revises(goal_id, title="Read on") for goal_id in goals))
        assert {answer.status_code for answer in revised} == {200}

    async def test_a_reference_names_one_goal(self, pair: Pair) -> None:
        ref = f"crm-{uuid4().hex}"
        goal_id = await pair.sets(external_ref=ref)
        refused(await pair.as_("mentor").post("/v1/goals", json=await pair.goal(external_ref=ref)), 409)
        # Who it is for is wrong as well, but conflicts come first; in a dry run, too.
        body = await pair.goal(external_ref=ref, owner_id="eve")
        refused(await pair.as_("mentor").post("/v1/goals", json=body), 409)
        many = {"items": [{**body, "key": ref}], "dry_run": True}
        dry = await pair.as_("mentor").post("/v1/goals/batch", json=many)
        assert dry.json()["results"][0]["status"] == 409
        found = await pair.as_("mentee").get("/v1/goals", params={"external_ref": ref})
        assert [item["goal_id"] for item in found.json()["items"]] == [goal_id]
        assert found.json()["items"][0]["external_ref"] == ref


class TestAKey:
    async def test_answers_as_before_also_when_the_deadline_has_passed_since(self, pair: Pair) -> None:
        due = await pair.in_(timedelta(minutes=10))
        own, others = await pair.goal(due), await pair.goal(due, owner_id="mentee")
        key = f"key-{uuid4().hex}"
        headers, many = {"Idempotency-Key": key}, {"items": [{**own, "key": f"{key}-batch"}]}

        async def asked() -> list[httpx.Response]:
            return [
                await pair.as_("mentee").post("/v1/goals", json=own, headers=headers),
                await pair.as_("mentor").post("/v1/goals", json=others, headers=headers),
                await pair.as_("mentee").post("/v1/goals/batch", json=many),
            ]

        before = await asked()
        await pair.system.move(due)
        after = await asked()
        assert [each.status_code for each in after] == [201, 202, 200], [each.text for each in after]
        assert [each.json() for each in after] == [each.json() for each in before]
        assert {each.headers.get("idempotency-replayed") for each in after[:2]} == {"true"}
        dry = await pair.as_("mentee").post("/v1/goals/batch", json={**many, "dry_run": True})
        assert dry.json()["results"][0]["status"] == 201
        refused(await pair.as_("mentee").post("/v1/goals", json=own), 422, "/deadline")


class TestADeadline:
    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"date": "2020-01-01"}, "/deadline"),
            ({"date": "9999-12-31"}, "/deadline"),
            ({"date": "9999-12-31", "cutoff": "24:00"}, "/deadline/date"),
        ],
    )
    async def test_lies_ahead_and_within_ten_years(self, pair: Pair, change: Json, pointer: str) -> None:
        body = await pair.goal()
        if "cutoff" not in change:
            change = {**change, "cutoff": "12:00"}
        body["deadline"] |= change
        refused(await pair.as_("mentee").post("/v1/goals", json=body), 422, pointer)
        refused(await pair.revises(await pair.sets(), deadline=body["deadline"]), 422, pointer)
        elsewhere = {**body, "mentorship_id": str(uuid4())}
        refused(await pair.as_("mentee").post("/v1/goals", json=elsewhere), 422, pointer)

    async def test_in_a_gap_is_when_the_gap_ends_and_in_a_fold_the_first(self, pair: Pair) -> None:
        """The contract's examples, some years on."""
        year = (await pair.system.now()).year + 1
        spring = max(date(year, 3, day) for day in range(25, 32) if date(year, 3, day).weekday() == 6)
        autumn = max(date(year, 10, day) for day in range(25, 32) if date(year, 10, day).weekday() == 6)
        for day, hour in ((spring, 1), (autumn, 0)):
            at = {"date": day.isoformat(), "time_zone": "Europe/Berlin", "cutoff": "02:30"}
            body = {**await pair.goal(), "deadline": at}
            goal = (await pair.as_("mentee").post("/v1/goals", json=body)).json()
            expected = datetime.combine(day, time(hour, 0 if hour else 30))
            assert goal["due_at"] == f"{expected.isoformat()}Z"


class TestAssess:
    async def test_advises_on_a_goals_body_and_stores_nothing(self, pair: Pair) -> None:
        body = await pair.goal(title="Improve", why="Because I want to.")
        before = (await pair.as_("mentor").get("/v1/goals", params={"limit": "1"})).json()
        answer = await pair.as_("mentor").post("/v1/goals/assess", json=body)
        assert answer.status_code == 200, answer.text
        assert {letter: found["ok"] for letter, found in answer.json().items()} == {
            "specific": False,
            "measurable": False,
            "attainable": True,
            "relevant": True,
            "time_bound": True,
        }
        after = (await pair.as_("mentor").get("/v1/goals", params={"limit": "1"})).json()
        assert after == before

    async def test_takes_as_much_of_it_as_there_is_and_a_deadline_that_has_passed(self, pair: Pair) -> None:
        client = pair.as_("mentee")
        nothing = (await client.post("/v1/goals/assess", json={})).json()
        assert not any(found["ok"] for found in nothing.values())
        passed = {"deadline": {"date": "2020-01-01", "time_zone": "UTC"}, "measure": {"kind": "number"}}
        answer = await client.post("/v1/goals/assess", json=passed)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["time_bound"]["ok"], answer.json()["measurable"]["ok"]) == (False, False)


class TestBatch:
    async def test_each_item_gets_what_it_would_have_got_alone(self, pair: Pair) -> None:
        client = pair.hr("onbelay:participate onbelay:act_as")
        goal, key = await pair.goal(), f"key-{uuid4().hex}"
        items = [
            {**goal, "key": key, "act_as": "mentee"},
            {**goal, "key": f"{key}-2", "act_as": "mentor", "owner_id": "mentee"},
            {**goal, "key": f"{key}-3", "act_as": "eve"},
            {**goal, "key": f"{key}-4", "act_as": "mentee", "title": ""},
            {**goal, "key": f"{key}-5", "act_as": "mentee", "deadline": {"date": "2020-01-01", "time_zone": "UTC"}},
            {**goal, "key": key, "act_as": "mentee"},
            {**goal, "key": key, "act_as": "mentee", "title": "Another body"},
        ]  # fmt: skip
        dry = await client.post("/v1/goals/batch", json={"items": items[:6], "dry_run": True})
        assert [each["status"] for each in dry.json()["results"]] == [201, 202, 404, 422, 422, 201]
        answer = await client.post("/v1/goals/batch", json={"items": items})
        assert answer.status_code == 200, answer.text
        results = answer.json()["results"]
        assert [each["status"] for each in results] == [201, 202, 404, 422, 422, 201, 422]
        assert [each["key"] for each in results] == [item["key"] for item in items]
        assert results[5]["goal_id"] == results[0]["goal_id"]
        assert results[3]["problem"]["errors"][0]["pointer"] == "/title"
        assert results[4]["problem"]["errors"][0]["pointer"] == "/deadline"
        assert (await pair.sees(results[0]["goal_id"]))["owner_id"] == "mentee"
        alone = await pair.hr("onbelay:act_as", act_as="mentee").post(
            "/v1/goals", json=goal, headers={"Idempotency-Key": key}
        )
        assert alone.json()["goal_id"] == results[0]["goal_id"]
        assert alone.headers["idempotency-replayed"] == "true"

    async def test_a_dry_run_stores_nothing(self, pair: Pair) -> None:
        ref = f"crm-{uuid4().hex}"
        item = {**await pair.goal(external_ref=ref), "key": ref}
        for _ in range(2):
            answer = await pair.as_("mentee").post("/v1/goals/batch", json={"items": [item], "dry_run": True})
            assert answer.json()["results"][0]["status"] == 201
        found = await pair.as_("mentee").get("/v1/goals", params={"external_ref": ref})
        assert found.json()["items"] == []
        await pair.sets(external_ref=ref)
        again = {"items": [{**item, "key": f"{ref}-again"}], "dry_run": True}
        answer = await pair.as_("mentee").post("/v1/goals/batch", json=again)
        assert answer.json()["results"][0]["status"] == 409

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/items"),
            ({"items": []}, "/items"),
            ({"items": [{}] * 501}, "/items"),
            ({"items": [{"title": "No key"}]}, "/items/0/key"),
            ({"items": [{"key": "k"}], "colour": "blue"}, "/colour"),
            ({"items": [{"key": "k"}], "dry_run": "yes"}, "/dry_run"),
        ],
    )
    async def test_its_own_shape_is_refused_whole(self, pair: Pair, body: Json, pointer: str) -> None:
        refused(await pair.as_("mentee").post("/v1/goals/batch", json=body), 422, pointer)

    async def test_acting_as_others_needs_its_scope(self, pair: Pair) -> None:
        body = {"items": [{**await pair.goal(), "key": uuid4().hex, "act_as": "mentor"}]}
        answer = await pair.as_("mentee").post("/v1/goals/batch", json=body)
        assert answer.json()["results"][0]["status"] == 403
