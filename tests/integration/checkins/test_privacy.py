"""Rule 10 through HTTP: for whom a check-in is there, and who reads its private words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.ids import uuid7
from tests.integration.checkins.world import PARTICIPATE, PATH, PROGRAMS, Pair
from tests.support.system import System

pytestmark = pytest.mark.engines

WORDS = {"note": "PLANTED note", "feeling": "hard"}

READERS: dict[str, Callable[[Pair], httpx.AsyncClient]] = {
    "the mentee": lambda pair: pair.as_("mentee"),
    "the mentor": lambda pair: pair.as_("mentor"),
    "the leader": lambda pair: pair.as_("leader"),
    "the coordinator": lambda pair: pair.as_("coordinator"),
    "the coordinator by programs": lambda pair: pair.as_("coordinator", scope=PROGRAMS),
    "the contact": lambda pair: pair.as_("contact"),
    "a stranger": lambda pair: pair.as_("stranger"),
    "hr": lambda pair: pair.hr(),
    "the mentor by programs": lambda pair: pair.as_("mentor", scope=PROGRAMS),
    "an integration as the mentee": lambda pair: pair.integration("mentee"),
    "an integration as the mentor": lambda pair: pair.integration("mentor"),
    "an integration as the leader": lambda pair: pair.integration("leader"),
    "an integration as the contact": lambda pair: pair.integration("contact"),
    "the mentee of another organization": lambda pair: pair.system.client(
        "checkins", sub="mentee", org="elsewhere", scope=f"{PARTICIPATE} {PROGRAMS}"
    ),
}
"""Everybody who may want to read, by name."""


def everybody(default: str, **others: list[str]) -> dict[str, str]:
    """What each of `READERS` sees: `words`, `facts` or `nothing`."""
    seen = dict.fromkeys(READERS, default)
    for what, names in others.items():
        seen |= dict.fromkeys(names, what)
    return seen


FACTS = ["the leader", "hr", "the mentor by programs", "the coordinator by programs"]
FACTS_AS = [*FACTS, "an integration as the leader"]
BOTH = ["the mentee", "the mentor", "an integration as the mentee", "an integration as the mentor"]

TABLE: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "the mentee's, on a goal of the mentee": (
        "mentee",
        {"goal": "mentee"},
        everybody("nothing", words=BOTH, facts=FACTS_AS),
    ),
    "the mentor's, on a goal of the mentee": (
        "mentor",
        {"goal": "mentee"},
        everybody("nothing", words=[*BOTH, "the mentor by programs"], facts=FACTS_AS[:2] + FACTS_AS[3:]),
    ),
    "the leader's, on a goal of the leader": (
        "leader",
        {"goal": "leader"},
        everybody(
            "nothing",
            words=[
                "the leader",
                "an integration as the leader",
                "the mentee",
                "an integration as the mentee",
            ],
            facts=[
                "the mentor",
                "an integration as the mentor",
                "the mentor by programs",
                "hr",
                "the coordinator by programs",
            ],
        ),
    ),
    "the mentee's, on the mentorship": (
        "mentee",
        {},
        everybody("nothing", words=BOTH, facts=FACTS_AS),
    ),
    "the leader's, on the mentorship": (
        "leader",
        {},
        everybody("nothing", facts=[*FACTS_AS[1:]], words=[*BOTH, "the leader"]),
    ),
    "the mentee's on a goal, help asked of the contact": (
        "mentee",
        {"goal": "mentee", "to": "contact"},
        everybody(
            "nothing", words=[*BOTH, "the contact"], facts=[*FACTS_AS, "an integration as the contact"]
        ),
    ),
    "the mentee's on a goal, help asked of the coordinator": (
        "mentee",
        {"goal": "mentee", "to": "coordinator"},
        everybody("nothing", facts=FACTS_AS, words=[*BOTH, "the coordinator", "the coordinator by programs"]),
    ),
    "the mentee's on a goal, sensitive": (
        "mentee",
        {"goal": "mentee", "sensitive": True},
        everybody("nothing", words=["the mentee", "the contact"]),
    ),
    "the mentee's on the mentorship, sensitive, sent to the leader": (
        "mentee",
        {"sensitive": True, "to": "leader"},
        everybody("nothing", words=["the mentee", "the leader"]),
    ),
    "the leader's, sensitive, sent to the coordinator": (
        "leader",
        {"sensitive": True, "to": "coordinator"},
        everybody("nothing", words=["the leader", "the coordinator", "the coordinator by programs"]),
    ),
}
"""Check-ins: whose they are, what about, and what each of `READERS` sees of them."""


async def a_check_in(pair: Pair, author: str, about: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {**WORDS, "sensitive": about.get("sensitive", False)}
    if "goal" in about:
        body["goal_id"] = (await pair.set_goal(about["goal"]))["goal_id"]
    if "to" in about:
        body["help"] = {"text": "PLANTED help", "route_to": about["to"]}
    return await pair.logs(author, **body)


def seen(check_in: dict[str, Any]) -> str:
    """`words` when all private words are there, `facts` when none is."""
    there = {"note" in check_in, "feeling" in check_in}
    there |= {"comment" in each for each in check_in["acknowledgements"]}
    assert len(there) == 1, check_in
    if there == {False}:
        assert "help" not in check_in
        assert "PLANTED" not in str(check_in)
        return "facts"
    return "words"


@pytest.mark.parametrize("name", TABLE)
class TestWhoReads:
    async def test_a_check_in_alone_and_in_a_list(self, pair: Pair, name: str) -> None:
        author, about, expected = TABLE[name]
        logged = await a_check_in(pair, author, about)
        if not about.get("sensitive"):
            given = await pair.as_("mentee" if author != "mentee" else "mentor").post(
                f"{PATH}/{logged['checkin_id']}/acknowledgement", json={"comment": "PLANTED comment"}
            )
            assert given.status_code == 200, given.text
        alone, listed = {}, {}
        for reader, client_of in READERS.items():
            client = client_of(pair)
            one = await client.get(f"{PATH}/{logged['checkin_id']}")
            assert one.status_code in (200, 404), one.text
            alone[reader] = seen(one.json()) if one.status_code == 200 else "nothing"
            some = await client.get(PATH, params={"author_id": author, "limit": 200})
            found = [each for each in some.json()["items"] if each["checkin_id"] == logged["checkin_id"]]
            listed[reader] = seen(found[0]) if found else "nothing"
            if alone[reader] == "words" and "to" in about:
                assert one.json()["help"] == {"text": "PLANTED help", "route_to": about["to"]}
        assert alone == expected
        assert listed == expected


class TestTheKeptAnswerOfAnAcknowledgement:
    async def acknowledged(self, pair: Pair, **about: Any) -> tuple[str, dict[str, str]]:
        """A check-in that went to the contact, who has acknowledged it in person: where, and by which key."""
        logged = await a_check_in(pair, "mentee", {"to": "contact", **about})
        path, key = f"{PATH}/{logged['checkin_id']}", {"Idempotency-Key": uuid7()}
        for _ in range(2):
            given = await pair.as_("contact").post(
                f"{path}/acknowledgement", json={"comment": "PLANTED comment"}, headers=key
            )
            assert seen(given.json()) == "words"
        assert given.headers["idempotency-replayed"] == "true"
        return path, key

    async def test_tells_an_integration_what_it_may_read_and_no_more(self, pair: Pair) -> None:
        path, key = await self.acknowledged(pair)
        theirs = await pair.integration("contact").post(
            f"{path}/acknowledgement", json={"comment": "PLANTED comment"}, headers=key
        )
        assert theirs.headers["idempotency-replayed"] == "true"
        assert seen(theirs.json()) == "facts"
        assert theirs.json() == (await pair.integration("contact").get(path)).json()

    async def test_of_a_sensitive_one_is_none_for_an_integration(self, pair: Pair) -> None:
        path, key = await self.acknowledged(pair, sensitive=True)
        theirs = await pair.integration("contact").post(
            f"{path}/acknowledgement", json={"comment": "PLANTED comment"}, headers=key
        )
        assert theirs.status_code == 404


class TestSensitive:
    async def test_an_integration_may_log_one_and_is_answered_its_id_alone(self, pair: Pair) -> None:
        key = {"Idempotency-Key": uuid7()}
        body = pair.check_in(sensitive=True, note="PLANTED", confidence=2)
        answer = await pair.integration("mentee").post(PATH, json=body, headers=key)
        assert answer.status_code == 201, answer.text
        assert answer.json().keys() == {"checkin_id"}
        again = await pair.integration("mentee").post(PATH, json=body, headers=key)
        assert again.json() == answer.json()
        assert again.headers["idempotency-replayed"] == "true"
        assert (await pair.integration("mentee").get(answer.headers["location"])).status_code == 404
        assert (await pair.as_("mentee").get(answer.headers["location"])).json()["note"] == "PLANTED"

    async def test_not_even_a_kept_answer_tells_an_integration_more(self, pair: Pair) -> None:
        key = {"Idempotency-Key": uuid7()}
        body = pair.check_in(sensitive=True, note="PLANTED")
        mine = await pair.as_("mentee").post(PATH, json=body, headers=key)
        theirs = await pair.integration("mentee").post(PATH, json=body, headers=key)
        assert theirs.json() == {"checkin_id": mine.json()["checkin_id"]}

    async def test_it_moves_no_number(self, system: System) -> None:
        fresh = await Pair(system).begin()
        await fresh.logs(sensitive=True, confidence=1, realistic=False)
        await fresh.logs(confidence=9)
        await fresh.happens("checkins", "CheckInLogged")
        await system.folded()
        today = (await system.now()).date().isoformat()
        numbers = await fresh.hr("metrics").get(
            f"/v1/metrics/mentorships/{fresh.mentorship_id}", params={"from": today, "to": today}
        )
        assert numbers.status_code == 200, numbers.text
        assert numbers.json()["check_ins"]["logged"] == 1
        assert numbers.json()["confidence_mean"] == 9
        assert numbers.json()["unrealistic"] == 0
