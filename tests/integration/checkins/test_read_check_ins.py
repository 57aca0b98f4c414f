"""Lists of check-ins: what they are narrowed to, their order, and going on by a cursor."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import jsonschema
import pytest

from shared.ids import uuid7
from shared.time import parse_instant
from tests.integration.checkins.world import PATH, Pair, instant, refused
from tests.support.system import System

pytestmark = pytest.mark.engines
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
async def told(system: System) -> tuple[Pair, list[dict[str, Any]]]:
    """A pair, and its five check-ins in the order in which they occurred, which is not that of logging."""
    pair = await Pair(system).begin()
    goal = await pair.set_goal()
    now = await system.now()
    on_goal = {"goal_id": goal["goal_id"]}
    logged = [
        await pair.logs(occurred_at=instant(now - 3 * HOUR), **on_goal),
        await pair.logs(occurred_at=instant(now - 5 * HOUR), note="the first"),
        await pair.logs("mentor", occurred_at=instant(now - 4 * HOUR), **on_goal),
        await pair.logs("leader", occurred_at=instant(now - 2 * HOUR)),
        await pair.logs(occurred_at=instant(now - 1 * HOUR), sensitive=True, **on_goal),
    ]
    return pair, sorted(logged, key=lambda each: parse_instant(each["occurred_at"]))


async def ids(client: httpx.AsyncClient, **params: Any) -> list[str]:
    answer = await client.get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    return [each["checkin_id"] for each in answer.json()["items"]]


def newest(check_ins: list[dict[str, Any]], *numbers: int) -> list[str]:
    """The ids of some of the five, as a list shows them."""
    return [check_ins[number]["checkin_id"] for number in sorted(numbers, reverse=True)]


class TestList:
    async def test_the_newest_comes_first_by_when_it_occurred(self, told: tuple[Pair, Any]) -> None:
        pair, five = told
        assert await ids(pair.as_("mentee")) == newest(five, 0, 1, 2, 3, 4)
        assert await ids(pair.hr(), mentorship_id=pair.mentorship_id) == newest(five, 0, 1, 2, 3)

    async def test_it_is_narrowed_to_mentorship_goal_author_and_time(self, told: tuple[Pair, Any]) -> None:
        pair, five = told
        mentee, goal_id = pair.as_("mentee"), five[1]["goal_id"]
        assert await ids(mentee, goal_id=goal_id) == newest(five, 1, 2, 4)
        assert await ids(pair.as_("mentor"), goal_id=goal_id) == newest(five, 1, 2)
        assert await ids(mentee, author_id="leader") == newest(five, 3)
        assert await ids(mentee, mentorship_id=pair.mentorship_id, author_id="mentee") == newest(
            five, 0, 2, 4
        )
        begin, end = five[1]["occurred_at"], five[3]["occurred_at"]
        assert await ids(mentee, **{"from": begin}) == newest(five, 1, 2, 3, 4)
        assert await ids(mentee, to=end) == newest(five, 0, 1, 2)
        assert await ids(mentee, **{"from": begin, "to": end}) == newest(five, 1, 2)
        assert await ids(mentee, **{"from": end, "to": begin}) == []
        for nothing in ({"goal_id": uuid7()}, {"mentorship_id": uuid7()}, {"author_id": "nobody"}):
            assert await ids(mentee, **nothing) == []

    async def test_an_instant_with_any_offset_is_understood(self, told: tuple[Pair, Any]) -> None:
        pair, five = told
        at = parse_instant(five[1]["occurred_at"])
        local = (at + timedelta(hours=2)).replace(tzinfo=None).isoformat(timespec="milliseconds") + "+02:00"
        assert await ids(pair.as_("mentee"), **{"from": local}) == newest(five, 1, 2, 3, 4)

    async def test_a_cursor_goes_on_without_gaps_and_repeats(self, told: tuple[Pair, Any]) -> None:
        pair, five = told
        mentee, found, cursor = pair.as_("mentee"), [], None
        for _ in range(3):
            params = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
            page = (await mentee.get(PATH, params=params)).json()
            found += [each["checkin_id"] for each in page["items"]]
            cursor = page.get("next_cursor")
        assert cursor is None
        assert found == newest(five, 0, 1, 2, 3, 4)

    async def test_of_one_instant_none_is_lost_between_pages(self, system: System) -> None:
        pair = await Pair(system).begin()
        at = instant(await system.now() - HOUR)
        logged = {(await pair.logs(occurred_at=at))["checkin_id"] for _ in range(5)}
        first = (await pair.as_("mentee").get(PATH, params={"limit": 3})).json()
        rest = await ids(pair.as_("mentee"), limit=3, cursor=first["next_cursor"])
        assert {*rest, *(each["checkin_id"] for each in first["items"])} == logged

    async def test_to_an_integration_the_lists_are_those_of_whom_it_acts_as(
        self, told: tuple[Pair, Any]
    ) -> None:
        pair, five = told
        assert await ids(pair.integration("mentee")) == newest(five, 0, 1, 2, 3)
        assert await ids(pair.integration("stranger")) == []

    async def test_of_the_mentorships_of_others_nothing_is_listed(self, told: tuple[Pair, Any]) -> None:
        pair, _ = told
        other = await Pair(pair.system, org=pair.org, leader_id=None).begin()
        theirs = (await other.logs())["checkin_id"]
        assert theirs not in await ids(pair.as_("leader"))
        assert await ids(pair.as_("leader"), mentorship_id=other.mentorship_id) == []
        assert theirs in await ids(pair.hr())
        elsewhere = pair.system.client("checkins", sub="mentee", org="elsewhere")
        assert await ids(elsewhere, mentorship_id=pair.mentorship_id) == []

    async def test_whom_help_was_asked_of_finds_it_in_their_list(self, told: tuple[Pair, Any]) -> None:
        pair, five = told
        assert await ids(pair.as_("coordinator")) == newest(five, 4)

    @pytest.mark.parametrize(
        ("params", "named"),
        [
            ({"goal_id": "a b"}, "goal_id"),
            ({"mentorship_id": "x" * 129}, "mentorship_id"),
            ({"author_id": ""}, "author_id"),
            ({"from": "yesterday"}, "from"),
            ({"to": "2026-11-02"}, "to"),
            ({"limit": 0}, "limit"),
            ({"limit": 201}, "limit"),
            ({"cursor": "x"}, "cursor"),
            ({"state": "active"}, "state"),
            ({"from_": "2026-11-02T09:00:00Z"}, "from_"),
        ],
    )
    async def test_a_wrong_parameter_is_named(
        self, told: tuple[Pair, Any], params: dict[str, Any], named: str
    ) -> None:
        refused(await told[0].as_("mentee").get(PATH, params=params), 422, named)


class TestOne:
    async def test_what_is_not_there_is_404(self, told: tuple[Pair, Any]) -> None:
        refused(await told[0].as_("mentee").get(f"{PATH}/{uuid7()}"), 404)

    async def test_what_has_not_changed_is_304(self, told: tuple[Pair, Any]) -> None:
        pair, five = told
        url = f"{PATH}/{five[0]['checkin_id']}"
        seen = await pair.as_("mentee").get(url)
        again = await pair.as_("mentee").get(url, headers={"If-None-Match": seen.headers["etag"]})
        assert again.status_code == 304


class TestDescription:
    async def test_answers_are_what_openapi_says_of_them(self, system: System) -> None:
        pair = await Pair(system).begin()
        document = (await pair.system.anonymous("checkins").get("/openapi.json")).json()

        def fits(answer: httpx.Response, path: str, method: str) -> None:
            described = document["paths"][path][method]["responses"][str(answer.status_code)]
            schema = described["content"]["application/json"]["schema"]
            validator = jsonschema.Draft202012Validator({**schema, "components": document["components"]})
            validator.validate(answer.json())
            assert not validator.is_valid({})

        mentee, url = pair.as_("mentee"), f"{PATH}/{(await pair.logs('mentor'))['checkin_id']}"
        asked = pair.check_in(help={"text": "Which next?"}, feeling="ok", confidence=3)
        fits(await mentee.post(PATH, json=asked), PATH, "post")
        sensitive = pair.check_in(sensitive=True)
        fits(await pair.integration("mentee").post(PATH, json=sensitive), PATH, "post")
        fits(await mentee.get(PATH, params={"limit": 2}), PATH, "get")
        fits(await mentee.get(url), f"{PATH}/{{checkin_id}}", "get")
        answer = await mentee.post(f"{url}/acknowledgement", json={"comment": "Good."})
        fits(answer, f"{PATH}/{{checkin_id}}/acknowledgement", "post")
