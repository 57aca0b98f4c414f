"""Acknowledging a check-in through HTTP: who may, once each, and what is told of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.ids import uuid7
from tests.integration.checkins.world import PATH, PROGRAMS, Pair, refused
from tests.support.polling import eventually, only
from tests.support.system import System

pytestmark = pytest.mark.engines


async def acknowledge(pair: Pair, person: str, checkin_id: str, **body: Any) -> Any:
    return await pair.as_(person).post(f"{PATH}/{checkin_id}/acknowledgement", json=body)


class TestAcknowledged:
    async def test_it_is_answered_and_told_without_the_comment(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        checkin_id = (await pair.logs(goal_id=goal["goal_id"]))["checkin_id"]
        seen = await pair.as_("mentor").get(f"{PATH}/{checkin_id}")
        answer = await acknowledge(pair, "mentor", checkin_id, comment="PLANTED: well done")
        assert answer.status_code == 200, answer.text
        (given,) = answer.json()["acknowledgements"]
        assert (given["acknowledged_by"], given["acknowledger_role"]) == ("mentor", "mentor")
        assert given["comment"] == "PLANTED: well done"
        assert answer.headers["etag"] != seen.headers["etag"]
        read = await pair.as_("mentee").get(f"{PATH}/{checkin_id}")
        assert (read.json(), read.headers["etag"]) == (answer.json(), answer.headers["etag"])

        async def told() -> dict[str, Any]:
            return only(
                [
                    each
                    for each in await pair.events("checkins", "CheckInAcknowledged")
                    if each["data"]["checkin_id"] == checkin_id
                ]
            )

        event = await eventually(told, every=0.2)
        assert event["data"] == {
            "org_id": pair.org,
            "program_id": "program",
            "mentorship_id": pair.mentorship_id,
            "checkin_id": checkin_id,
            "goal_id": goal["goal_id"],
            "acknowledged_by": "mentor",
            "acknowledger_role": "mentor",
            "acknowledged_at": given["acknowledged_at"],
        }
        assert (event["subject"], event["sequence"]) == (f"checkin/{checkin_id}", "0000000002")

    async def test_no_comment_is_needed_and_no_body(self, pair: Pair) -> None:
        checkin_id = (await pair.logs())["checkin_id"]
        answer = await pair.as_("mentor").post(f"{PATH}/{checkin_id}/acknowledgement")
        assert answer.status_code == 200, answer.text

    async def test_whom_help_was_asked_of_acknowledges_without_a_role(self, pair: Pair) -> None:
        checkin_id = (await pair.logs(help={"route_to": "contact"}))["checkin_id"]
        answer = await acknowledge(pair, "contact", checkin_id, comment="Let us talk.")
        assert answer.status_code == 200, answer.text
        assert "acknowledger_role" not in answer.json()["acknowledgements"][0]

        async def told() -> bool:
            event = only(
                [
                    each
                    for each in await pair.events("checkins", "CheckInAcknowledged")
                    if each["data"]["checkin_id"] == checkin_id
                ]
            )
            return "acknowledger_role" not in event["data"]

        await eventually(told, every=0.2)

    async def test_each_acknowledges_once_and_both_see_both(self, pair: Pair) -> None:
        checkin_id = (await pair.logs("leader"))["checkin_id"]
        first, second = await asyncio.gather(
            acknowledge(pair, "mentor", checkin_id, comment="one"),
            acknowledge(pair, "mentee", checkin_id, comment="two"),
        )
        assert (first.status_code, second.status_code) == (200, 200)
        refused(await acknowledge(pair, "mentor", checkin_id), 409)
        read = (await pair.as_("mentee").get(f"{PATH}/{checkin_id}")).json()
        assert {each["comment"] for each in read["acknowledgements"]} == {"one", "two"}

    async def test_of_a_sensitive_one_nothing_is_told(self, pair: Pair) -> None:
        checkin_id = (await pair.logs(sensitive=True))["checkin_id"]
        assert (await acknowledge(pair, "contact", checkin_id, comment="I am here.")).status_code == 200
        later = (await pair.logs())["checkin_id"]
        await acknowledge(pair, "mentor", later)

        async def told() -> set[str]:
            found = {each["data"]["checkin_id"] for each in await pair.events("checkins")}
            assert later in found
            return found

        assert checkin_id not in await eventually(told, every=0.2)

    async def test_it_goes_on_after_the_mentorship_ended(self, system: System) -> None:
        fresh = await Pair(system).begin()
        checkin_id = (await fresh.logs())["checkin_id"]
        await fresh.say("end")
        assert (await acknowledge(fresh, "mentor", checkin_id)).status_code == 200

    async def test_a_key_answers_as_before(self, pair: Pair) -> None:
        checkin_id = (await pair.logs())["checkin_id"]
        key = {"Idempotency-Key": uuid7()}
        url = f"{PATH}/{checkin_id}/acknowledgement"
        first = await pair.as_("mentor").post(url, json={"comment": "once"}, headers=key)
        again = await pair.as_("mentor").post(url, json={"comment": "once"}, headers=key)
        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["idempotency-replayed"] == "true"
        refused(
            await pair.as_("mentor").post(url, json={"comment": "twice"}, headers=key), 422, "Idempotency-Key"
        )


class TestRefused:
    @pytest.mark.parametrize(
        ("body", "pointed"),
        [
            ({"comment": "x" * 2001}, "/comment"),
            ({"comment": 5}, "/comment"),
            ({"remark": "x"}, "/remark"),
        ],
    )
    async def test_the_requests_own_shape_comes_first(
        self, pair: Pair, body: dict[str, Any], pointed: str
    ) -> None:
        refused(await acknowledge(pair, "mentor", "nothing", **body), 422, pointed)

    async def test_what_is_not_there_or_not_for_them_is_404(self, pair: Pair) -> None:
        checkin_id = (await pair.logs())["checkin_id"]
        refused(await acknowledge(pair, "mentor", uuid7()), 404)
        refused(await acknowledge(pair, "stranger", checkin_id), 404)
        # A coordinator reads, and takes part in nothing; not even with both scopes.
        both = pair.as_("hr", scope=f"onbelay:participate {PROGRAMS}")
        refused(await both.post(f"{PATH}/{checkin_id}/acknowledgement", json={}), 404)
        sensitive = (await pair.logs(sensitive=True))["checkin_id"]
        refused(await acknowledge(pair, "mentor", sensitive), 404)
        url = f"{PATH}/{sensitive}/acknowledgement"
        refused(await pair.integration("contact").post(url, json={}), 404)

    async def test_a_coordinators_scope_does_not_acknowledge(self, pair: Pair) -> None:
        checkin_id = (await pair.logs())["checkin_id"]
        url = f"{PATH}/{checkin_id}/acknowledgement"
        refused(await pair.as_("mentor", scope=PROGRAMS).post(url, json={}), 403)

    async def test_the_author_does_not(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        for author, body in (("mentee", {"goal_id": goal["goal_id"]}), ("mentor", {}), ("leader", {})):
            checkin_id = (await pair.logs(author, **body))["checkin_id"]
            refused(await acknowledge(pair, author, checkin_id), 403)

    async def test_other_participants_do_not(self, pair: Pair) -> None:
        goal = await pair.set_goal()
        of_a_goal = (await pair.logs(goal_id=goal["goal_id"]))["checkin_id"]
        of_the_mentorship = (await pair.logs())["checkin_id"]
        refused(await acknowledge(pair, "leader", of_a_goal), 403)
        refused(await acknowledge(pair, "leader", of_the_mentorship), 403)
        of_the_leaders = await pair.set_goal("leader")
        checkin_id = (await pair.logs("leader", goal_id=of_the_leaders["goal_id"]))["checkin_id"]
        refused(await acknowledge(pair, "mentor", checkin_id), 403)
        assert (await acknowledge(pair, "mentee", checkin_id)).status_code == 200
