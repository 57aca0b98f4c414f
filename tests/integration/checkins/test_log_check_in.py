"""Logging a check-in through HTTP: what is answered, what is told on Kafka, and what is refused and why."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from shared.ids import uuid7
from shared.kafka import partition_of
from shared.mongo import Mongo
from shared.time import parse_instant
from tests.integration.checkins.world import PATH, PROGRAMS, Pair, drop, instant, refused, refuses, short
from tests.support.polling import eventually, only
from tests.support.system import System

pytestmark = pytest.mark.engines

MILESTONES = {"kind": "milestones", "milestones": ["draft", "review", "print"]}
DAY = timedelta(days=1)


class TestLogged:
    async def test_it_is_answered_whole_and_reads_the_same_later(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        said = {
            "goal_id": goal["goal_id"],
            "progress": {"value": 3.5},
            "confidence": 8,
            "realistic": True,
            "attainable": False,
            "feeling": "good",
            "note": "Two were hard.",
        }
        before = (await pair.system.now()) - 2 * DAY
        body = pair.check_in(**said, occurred_at=instant(before), help={"text": "Which next?"})
        answer = await pair.as_("mentee").post(PATH, json=body)
        assert answer.status_code == 201, answer.text
        told = answer.json()
        assert answer.headers["location"] == f"{PATH}/{told['checkin_id']}"
        assert {name: told[name] for name in said} == said
        assert told["help"] == {"text": "Which next?", "route_to": "mentor"}
        assert told["occurred_at"] == instant(before)
        assert (told["author_id"], told["author_role"], told["sensitive"]) == ("mentee", "mentee", False)
        again = await pair.as_("mentee").get(answer.headers["location"])
        assert again.json() == told
        assert again.headers["etag"] == answer.headers["etag"]

    async def test_it_is_told_without_private_words_and_a_call_for_help_on_a_topic_of_its_own(
        self, pair: Pair
    ) -> None:
        goal = await pair.set_goal()
        words: dict[str, Any] = {
            "feeling": "bad",
            "note": "PLANTED",
            "help": {"text": "PLANTED", "route_to": "leader"},
        }
        told = await pair.logs(goal_id=goal["goal_id"], progress={"value": 7}, confidence=10, **words)
        subject = f"checkin/{told['checkin_id']}"

        async def found(topic: str) -> dict[str, Any]:
            return only([each for each in await pair.events(topic) if each["subject"] == subject])

        logged = await eventually(lambda: found("checkins"), every=0.2)
        asked = await eventually(lambda: found("support"), every=0.2)
        common = {"org_id": pair.org, "program_id": "program", "mentorship_id": pair.mentorship_id}
        about = {"checkin_id": told["checkin_id"], "goal_id": goal["goal_id"], "author_id": "mentee"}
        assert logged["data"] == {
            **common,
            **about,
            "author_role": "mentee",
            "occurred_at": told["occurred_at"],
            "logged_at": told["logged_at"],
            "progress": {"value": 7.0},
            "confidence": 10,
        }
        assert asked["data"] == {**common, **about, "route_to": "leader", "sensitive": False}
        assert (short(logged), short(asked)) == ("CheckInLogged", "HelpRequested")
        for event in (logged, asked):
            assert event["time"] == told["logged_at"]
            assert event["sequence"] == "0000000001"
            assert event["source"] == "/onbelay/checkins"
            assert event["partitionkey"] == pair.mentorship_id

    async def test_of_a_sensitive_one_the_call_for_help_is_all_that_is_told(self, pair: Pair) -> None:
        told = await pair.logs(sensitive=True, note="PLANTED", confidence=1)
        subject = f"checkin/{told['checkin_id']}"
        asked = await eventually(
            lambda: _of(pair, "support", subject),
            every=0.2,
        )
        assert [short(each) for each in asked] == ["HelpRequested"]
        assert (asked[0]["data"]["route_to"], asked[0]["data"]["sensitive"]) == ("contact", True)
        later = await pair.logs(note="once this is told, so is what came before")
        await eventually(lambda: _of(pair, "checkins", f"checkin/{later['checkin_id']}"), every=0.2)
        assert not await _of(pair, "checkins", subject)

    async def test_a_goal_is_known_as_soon_as_it_was_set(self, pair: Pair) -> None:
        for _ in range(3):
            goal = await pair.set_goal()
            await pair.logs(goal_id=goal["goal_id"], progress={"value": 1})

    async def test_a_mentorship_is_known_as_soon_as_it_was_started(self, system: System) -> None:
        fresh = await Pair(system).begin()
        await fresh.logs("leader", note="We begin.")

    async def test_counterpart_and_leader_check_in_on_what_is_theirs(self, pair: Pair) -> None:
        goal = await pair.set_goal("leader")
        assert (await pair.logs("leader", goal_id=goal["goal_id"]))["author_role"] == "leader"
        assert (await pair.logs("mentee", goal_id=goal["goal_id"]))["author_role"] == "mentee"

    async def test_an_integration_logs_for_a_person(self, pair: Pair) -> None:
        answer = await pair.integration("mentor").post(PATH, json=pair.check_in(note="by the app"))
        assert answer.status_code == 201, answer.text
        assert (answer.json()["author_id"], answer.json()["author_role"]) == ("mentor", "mentor")

    async def test_while_a_mentorship_is_paused_check_ins_may_still_come(self, system: System) -> None:
        fresh = await Pair(system).begin()
        goal = await fresh.set_goal()
        await fresh.say("pause")
        await fresh.logs(goal_id=goal["goal_id"], progress={"value": 2})

    async def test_milestones_are_told_once_each_in_the_goals_order(self, pair: Pair) -> None:
        goal = await pair.set_goal(measure=MILESTONES)
        told = await pair.logs(
            goal_id=goal["goal_id"], progress={"milestones": ["review", "draft", "review"]}
        )
        assert told["progress"] == {"milestones": ["draft", "review"]}


class TestIdempotency:
    async def test_a_key_logs_once_also_at_the_same_time(self, pair: Pair) -> None:
        key = {"Idempotency-Key": uuid7()}
        body = pair.check_in(note="once")
        answers = await asyncio.gather(
            *(pair.as_("mentee").post(PATH, json=body, headers=key) for _ in range(8))
        )
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.text for answer in answers}) == 1
        assert len({answer.headers["location"] for answer in answers}) == 1
        replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
        assert replayed.count(None) == 1
        assert replayed.count("true") == 7

    async def test_another_body_is_refused(self, pair: Pair) -> None:
        key = {"Idempotency-Key": uuid7()}
        await pair.as_("mentee").post(PATH, json=pair.check_in(note="one"), headers=key)
        other = await pair.as_("mentee").post(PATH, json=pair.check_in(note="two"), headers=key)
        refused(other, 422, "Idempotency-Key")

    async def test_a_kept_answer_comes_again_whatever_happened_to_the_goal_since(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        key = {"Idempotency-Key": uuid7()}
        body = pair.check_in(goal_id=goal["goal_id"], progress={"value": 1})
        first = await pair.as_("mentee").post(PATH, json=body, headers=key)
        await drop(pair, goal["goal_id"])
        again = await pair.as_("mentee").post(PATH, json=body, headers=key)
        assert (again.status_code, again.json()) == (201, first.json())
        refused(await pair.as_("mentee").post(PATH, json=body), 409)

    async def test_keys_of_different_people_are_different(self, pair: Pair) -> None:
        key = {"Idempotency-Key": uuid7()}
        body = pair.check_in(note="each their own")
        mine = await pair.as_("mentee").post(PATH, json=body, headers=key)
        theirs = await pair.as_("mentor").post(PATH, json=body, headers=key)
        assert theirs.json()["checkin_id"] != mine.json()["checkin_id"]
        assert "idempotency-replayed" not in theirs.headers

    async def test_after_a_day_a_key_is_new(self, pair: Pair) -> None:
        key = {"Idempotency-Key": uuid7()}
        first = await pair.as_("mentee").post(PATH, json=pair.check_in(note="one"), headers=key)
        await pair.system.move(DAY)
        second = await pair.as_("mentee").post(PATH, json=pair.check_in(note="two"), headers=key)
        assert second.status_code == 201
        assert second.json()["checkin_id"] != first.json()["checkin_id"]


OWN_SHAPE: list[tuple[str, dict[str, Any], str]] = [
    ("no mentorship", {"mentorship_id": None}, "/mentorship_id"),
    ("an id with a space", {"mentorship_id": "a b"}, "/mentorship_id"),
    ("an id that is too long", {"mentorship_id": "x" * 129}, "/mentorship_id"),
    ("a number for an id", {"goal_id": 5}, "/goal_id"),
    ("an empty id", {"goal_id": ""}, "/goal_id"),
    ("no instant", {"occurred_at": "yesterday"}, "/occurred_at"),
    ("an instant without an offset", {"occurred_at": "2026-11-02T09:00:00"}, "/occurred_at"),
    ("a number for an instant", {"occurred_at": 1793600000}, "/occurred_at"),
    ("progress without any", {"progress": {}}, "/progress"),
    ("two kinds of progress", {"progress": {"value": 1, "done": True}}, "/progress"),
    ("a text for progress", {"progress": "half"}, "/progress"),
    ("a text for a value", {"progress": {"value": "7"}}, "/progress/value"),
    ("a truth for a value", {"progress": {"value": True}}, "/progress/value"),
    ("a value over all bounds", {"progress": {"value": 10**309}}, "/progress/value"),
    ("a text for milestones", {"progress": {"milestones": "draft"}}, "/progress/milestones"),
    ("51 milestones", {"progress": {"milestones": ["x"] * 51}}, "/progress/milestones"),
    ("a blank milestone", {"progress": {"milestones": ["draft", " "]}}, "/progress/milestones/1"),
    ("a long milestone", {"progress": {"milestones": ["x" * 201]}}, "/progress/milestones/0"),
    ("a milestone on two lines", {"progress": {"milestones": ["a\nb"]}}, "/progress/milestones/0"),
    ("a number for done", {"progress": {"done": 1}}, "/progress/done"),
    ("an unknown progress", {"progress": {"pages": 1}}, "/progress/pages"),
    ("confidence below 0", {"confidence": -1}, "/confidence"),
    ("confidence above 10", {"confidence": 11}, "/confidence"),
    ("half a confidence", {"confidence": 7.5}, "/confidence"),
    ("a text for confidence", {"confidence": "7"}, "/confidence"),
    ("a truth for confidence", {"confidence": True}, "/confidence"),
    ("a text for realistic", {"realistic": "yes"}, "/realistic"),
    ("a number for attainable", {"attainable": 0}, "/attainable"),
    ("an unknown feeling", {"feeling": "meh"}, "/feeling"),
    ("a number for a feeling", {"feeling": 5}, "/feeling"),
    ("a note of 4001", {"note": "x" * 4001}, "/note"),
    ("a note with NUL", {"note": "a\0b"}, "/note"),
    ("a list for a note", {"note": ["x"]}, "/note"),
    ("a text for help", {"help": "please"}, "/help"),
    ("help in 2001 characters", {"help": {"text": "x" * 2001}}, "/help/text"),
    ("help from an address", {"help": {"route_to": "a@example.org"}}, "/help/route_to"),
    ("help from nobody", {"help": {"route_to": "system"}}, "/help/route_to"),
    ("an unknown help", {"help": {"who": "leader"}}, "/help/who"),
    ("a text for sensitive", {"sensitive": "yes"}, "/sensitive"),
    ("an unknown field", {"mood": 5}, "/mood"),
]


class TestTheRequestsOwnShape:
    """422 with a pointer to the field, before anything is looked up."""

    @pytest.mark.parametrize(
        ("field", "pointed"),
        [pytest.param(field, pointed, id=name) for name, field, pointed in OWN_SHAPE],
    )
    async def test_a_field_out_of_bounds_is_pointed_at(
        self, pair: Pair, field: dict[str, Any], pointed: str
    ) -> None:
        body = {"mentorship_id": "nowhere", "goal_id": "nothing", **field}
        body = {name: value for name, value in body.items() if value is not None}
        refused(await pair.as_("mentee").post(PATH, json=body), 422, pointed)

    async def test_parameters_that_there_are_none_of_are_named(self, pair: Pair) -> None:
        answer = await pair.as_("mentee").post(PATH, json=pair.check_in(), params={"dry_run": "true"})
        refused(answer, 422, "dry_run")

    async def test_what_cannot_be_stored_as_text_is_pointed_at(self, pair: Pair) -> None:
        raw = json.dumps({"mentorship_id": "nowhere", "note": "a\ud800b"})
        answer = await pair.as_("mentee").post(
            PATH, content=raw, headers={"Content-Type": "application/json"}
        )
        refused(answer, 422, "/note")

    @pytest.mark.parametrize(
        "field",
        [
            {"note": "x" * 4000},
            {"note": ""},
            {"confidence": 0},
            {"confidence": 10},
            {"help": {"text": "x" * 2000}},
            {"help": {}},
            {"help": None, "note": None, "goal_id": None},
            {"feeling": "great"},
        ],
    )
    async def test_the_bounds_themselves_are_allowed(self, pair: Pair, field: dict[str, Any]) -> None:
        await pair.logs(**field)

    async def test_progress_is_about_a_goal_and_never_in_a_sensitive_check_in(self, pair: Pair) -> None:
        body: dict[str, Any] = {"mentorship_id": "nowhere", "progress": {"value": 1}}
        refused(await pair.as_("mentee").post(PATH, json=body), 422, "/progress")
        body |= {"goal_id": "nothing", "sensitive": True}
        refused(await pair.as_("mentee").post(PATH, json=body), 422, "/progress")

    async def test_it_occurred_within_seven_days_back_and_five_minutes_ahead(self, pair: Pair) -> None:
        second, now = timedelta(seconds=1), await pair.system.now()
        for at in (now - 7 * DAY - second, now + timedelta(minutes=5, seconds=30)):
            body = {"mentorship_id": "nowhere", "occurred_at": instant(at)}
            refused(await pair.as_("mentee").post(PATH, json=body), 422, "/occurred_at")
        for at in (now - 7 * DAY + 30 * second, now + timedelta(minutes=5)):
            assert (await pair.logs(occurred_at=instant(at)))["occurred_at"] == instant(at)

    async def test_what_occurred_before_the_goal_was_set_counts_too(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        before = parse_instant(goal["set_at"]) - 3 * DAY
        await pair.logs(goal_id=goal["goal_id"], occurred_at=instant(before), progress={"value": 2})
        await eventually(lambda: _fraction(pair, goal["goal_id"], 2 / 7), every=0.2)


class TestWhatIsThere:
    """404, 403, 409 and the rest of 422, in this order."""

    async def test_what_was_never_there_is_404(self, pair: Pair) -> None:
        unknown = pair.as_("mentee").post(PATH, json={"mentorship_id": uuid7()})
        no_goal = pair.as_("mentee").post(PATH, json=pair.check_in(goal_id=uuid7()))
        for answer in await asyncio.gather(unknown, no_goal):
            refused(answer, 404)

    async def test_to_strangers_and_other_organizations_a_mentorship_is_not_there(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        body = pair.check_in(goal_id=goal["goal_id"], progress={"done": True})
        stranger = pair.as_("stranger").post(PATH, json=body)
        coordinator = pair.as_("coordinator").post(PATH, json=body)
        elsewhere = pair.system.client("checkins", sub="mentee", org="elsewhere").post(PATH, json=body)
        for answer in await asyncio.gather(stranger, coordinator, elsewhere):
            refused(answer, 404)

    async def test_a_goal_of_another_mentorship_is_404_also_to_who_is_in_both(self, pair: Pair) -> None:
        other = await Pair(pair.system, org=pair.org).begin()
        goal = await other.set_goal()
        refused(await pair.as_("mentee").post(PATH, json=pair.check_in(goal_id=goal["goal_id"])), 404)

    async def test_a_coordinators_scope_does_not_log(self, pair: Pair) -> None:
        refused(await pair.as_("mentee", scope=PROGRAMS).post(PATH, json=pair.check_in()), 403)

    async def test_who_is_neither_owner_nor_counterpart_is_403_before_the_state_and_the_progress(
        self, pair: Pair
    ) -> None:
        goal = await pair.set_goal()
        await drop(pair, goal["goal_id"])
        body = pair.check_in(goal_id=goal["goal_id"], progress={"done": True})
        refused(await pair.as_("leader").post(PATH, json=body), 403)
        refused(await pair.as_("mentee").post(PATH, json=body), 409)

    async def test_a_proposed_or_declined_goal_is_409(self, pair: Pair) -> None:
        body = await pair.goal(owner_id="mentee")
        proposed = (await pair.as_("mentor", "goals").post("/v1/goals", json=body)).json()
        check_in = pair.check_in(goal_id=proposed["goal_id"], progress={"value": 1})
        refused(await pair.as_("mentee").post(PATH, json=check_in), 409)
        refused(await pair.as_("leader").post(PATH, json=check_in), 403)
        decline = f"/v1/goals/{proposed['goal_id']}/proposals/{proposed['proposal_id']}/decline"
        assert (await pair.as_("mentee", "goals").post(decline)).status_code == 200
        refused(await pair.as_("mentor").post(PATH, json=check_in), 409)

    async def test_once_it_is_accepted_check_ins_may_come(self, pair: Pair) -> None:
        body = await pair.goal(owner_id="mentee")
        proposed = (await pair.as_("mentor", "goals").post("/v1/goals", json=body)).json()
        accept = f"/v1/goals/{proposed['goal_id']}/proposals/{proposed['proposal_id']}/accept"
        assert (await pair.as_("mentee", "goals").post(accept)).status_code == 200
        await pair.logs(goal_id=proposed["goal_id"], progress={"value": 1})

    async def test_an_ended_mentorship_takes_none(self, system: System) -> None:
        fresh = await Pair(system).begin()
        goal = await fresh.set_goal()
        await fresh.say("end")
        await refuses(fresh, 409)
        refused(await fresh.as_("mentee").post(PATH, json=fresh.check_in(goal_id=goal["goal_id"])), 409)

    async def test_a_decided_goal_still_takes_them(self, pair: Pair) -> None:
        goal = await pair.set_goal(measure={"kind": "done"})
        await pair.logs(goal_id=goal["goal_id"], progress={"done": True})
        await eventually(lambda: _state(pair, goal["goal_id"], "met"), every=0.2)
        await pair.logs(goal_id=goal["goal_id"], note="It held.")

    @pytest.mark.parametrize(
        ("measure", "progress", "pointed"),
        [
            ({"kind": "number", "target": 7}, {"done": True}, "/progress"),
            ({"kind": "done"}, {"value": 1}, "/progress"),
            (MILESTONES, {"value": 1}, "/progress"),
            (MILESTONES, {"milestones": ["draft", "bind"]}, "/progress/milestones/1"),
        ],
    )
    async def test_progress_that_does_not_fit_the_measure_is_pointed_at(
        self, pair: Pair, measure: dict[str, Any], progress: dict[str, Any], pointed: str
    ) -> None:
        goal = await pair.set_goal(measure=measure)
        body = pair.check_in(goal_id=goal["goal_id"], progress=progress)
        refused(await pair.as_("mentee").post(PATH, json=body), 422, pointed)

    async def test_it_fits_what_the_goal_is_measured_by_at_present(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        url = f"/v1/goals/{goal['goal_id']}"
        seen = await pair.as_("mentee", "goals").get(url)
        revised = await pair.as_("mentee", "goals").patch(
            url, json={"measure": {"kind": "done"}}, headers={"If-Match": seen.headers["etag"]}
        )
        assert revised.status_code == 200, revised.text
        await pair.logs(goal_id=goal["goal_id"], progress={"done": False})
        body = pair.check_in(goal_id=goal["goal_id"], progress={"value": 1})
        refused(await pair.as_("mentee").post(PATH, json=body), 422, "/progress")


class TestHelp:
    @pytest.mark.parametrize(
        ("author", "counterpart"), [("mentee", "mentor"), ("mentor", "mentee"), ("leader", "mentee")]
    )
    async def test_goes_to_the_authors_counterpart_by_default(
        self, pair: Pair, author: str, counterpart: str
    ) -> None:
        assert (await pair.logs(author, help={}))["help"] == {"route_to": counterpart}

    @pytest.mark.parametrize("person", ["mentor", "leader", "coordinator", "contact"])
    async def test_goes_to_whom_of_the_mentorships_people_the_author_names(
        self, pair: Pair, person: str
    ) -> None:
        assert (await pair.logs(help={"route_to": person}))["help"]["route_to"] == person

    @pytest.mark.parametrize("person", ["mentee", "stranger"])
    async def test_goes_neither_to_the_author_nor_to_strangers(self, pair: Pair, person: str) -> None:
        body = pair.check_in(help={"route_to": person})
        refused(await pair.as_("mentee").post(PATH, json=body), 422, "/help/route_to")

    async def test_a_sensitive_one_goes_to_the_support_contact_else_to_the_coordinator_else_nowhere(
        self, pair: Pair, system: System
    ) -> None:
        assert (await pair.logs(sensitive=True))["help"]["route_to"] == "contact"
        no_contact = await Pair(system).begin()
        assert (await no_contact.logs(sensitive=True))["help"]["route_to"] == "coordinator"
        nobody = await Pair(system, coordinator_id=None).begin()
        refused(
            await nobody.as_("mentee").post(PATH, json=nobody.check_in(sensitive=True)), 422, "/help/route_to"
        )
        asked = await nobody.logs(sensitive=True, help={"route_to": "mentor"})
        assert asked["help"]["route_to"] == "mentor"


class TestBehind:
    async def test_what_may_be_on_its_way_is_answered_503_and_refused_by_nothing_that_is_old(
        self, pair: Pair
    ) -> None:
        """The fold of the goals topic is held up: its offsets are locked by a transaction of the test's."""
        body = await pair.goal(owner_id="mentee")
        proposed = (await pair.as_("mentor", "goals").post("/v1/goals", json=body)).json()
        await refuses(pair, 409, goal_id=proposed["goal_id"])
        mongo = Mongo.connect(pair.system.mongo)
        try:
            offsets = pair.system.database(mongo, "checkins")["offsets"]
            partition = partition_of(pair.mentorship_id, 12)
            (held,) = [
                each async for each in offsets.find({"topic": {"$regex": "goals"}, "partition": partition})
            ]

            async def while_held(session: Any) -> str:
                await offsets.update_one({"_id": held["_id"]}, {"$set": {"held": True}}, session=session)
                unknown = str((await pair.set_goal())["goal_id"])
                accept = f"/v1/goals/{proposed['goal_id']}/proposals/{proposed['proposal_id']}/accept"
                assert (await pair.as_("mentee", "goals").post(accept)).status_code == 200
                answers = await asyncio.gather(
                    *(
                        pair.as_("mentee").post(PATH, json=pair.check_in(goal_id=goal_id))
                        for goal_id in (unknown, proposed["goal_id"])
                    )
                )
                for answer in answers:
                    refused(answer, 503)
                    assert int(answer.headers["retry-after"]) >= 1
                # What is known is answered all the same.
                await pair.logs(note="still here")
                return unknown

            unknown = await mongo.transaction(while_held, seconds=30)
            await offsets.update_one({"_id": held["_id"]}, {"$unset": {"held": ""}})
        finally:
            await mongo.close()
        for goal_id in (unknown, proposed["goal_id"]):
            await eventually(partial(_logs, pair, goal_id), every=0.2)


class TestHowMany:
    async def test_a_goal_has_a_thousand_check_ins_at_most(self, pair: Pair) -> None:
        goal = await pair.set_goal()

        async def many(first: int, count: int, **batch: Any) -> list[int]:
            items = [
                {"key": f"{goal['goal_id']}-{number}", **pair.check_in(goal_id=goal["goal_id"])}
                for number in range(first, first + count)
            ]
            answer = await pair.as_("mentee").post(f"{PATH}/batch", json={"items": items, **batch})
            return [result["status"] for result in answer.json()["results"]]

        both = await asyncio.gather(many(0, 400), many(400, 400))
        assert {status for statuses in both for status in statuses} == {201}
        assert (await many(800, 202)).count(201) == 200
        refused(await pair.as_("mentor").post(PATH, json=pair.check_in(goal_id=goal["goal_id"])), 409)
        assert await many(2000, 1, dry_run=True) == [409]
        assert await many(0, 1) == [201]  # a kept answer
        await pair.logs(note="others go on")


async def _of(pair: Pair, topic: str, subject: str) -> list[dict[str, Any]]:
    return [each for each in await pair.events(topic) if each["subject"] == subject]


async def _fraction(pair: Pair, goal_id: str, fraction: float) -> bool:
    return bool((await pair.state_of(goal_id))["fraction"] == pytest.approx(fraction))


async def _state(pair: Pair, goal_id: str, state: str) -> bool:
    return bool((await pair.state_of(goal_id))["state"] == state)


async def _logs(pair: Pair, goal_id: str) -> bool:
    answer = await pair.as_("mentee").post(PATH, json=pair.check_in(goal_id=goal_id))
    return answer.status_code == 201
