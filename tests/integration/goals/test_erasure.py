"""Erasing a person: their private words leave goals' database, kept answers too; all else stays as it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from shared.mongo import Mongo
from shared.time import format_instant
from tests.integration.goals.world import Json, Pair, refused
from tests.support.polling import eventually
from tests.support.system import System

pytestmark = pytest.mark.engines
ERASE = "onbelay:erase"


class Words:
    """Words that are planted, each told apart by who wrote it."""

    def __init__(self) -> None:
        self.tag = uuid4().hex[:8]

    def of(self, person: str) -> str:
        return f"PLANTED-{self.tag}-{person}"


async def planted(pair: Pair, words: Words) -> str:
    """Every private word that goals takes, of mentee and mentor, each with a key; the id of their goal."""

    async def post(by: str, url: str, **body: Any) -> Json:
        headers = {"Idempotency-Key": uuid4().hex}
        answer = await pair.as_(by).post(url, json=body, headers=headers)
        assert answer.status_code in (200, 201, 202), answer.text
        return dict(answer.json())

    mine, theirs = words.of("mentee"), words.of("mentor")
    base = f"/v1/mentorships/{pair.mentorship_id}/expectations"
    for by, other, text in (("mentor", "mentee", theirs), ("mentee", "mentor", mine)):
        body = await pair.expectations(items=[{"role": "mentor", "text": text}])
        version = (await post(by, base, **body))["version"]
        await post(other, f"{base}/{version}/agreements")
    due = await pair.in_(timedelta(hours=1))
    goal_id = str((await post("mentee", "/v1/goals", **await pair.goal(due, why=mine)))["goal_id"])
    await pair.revises(goal_id, why=f"{mine} again", reason=mine)
    await pair.revises(goal_id, "mentor", title="Read nine papers", why=theirs, reason=theirs)
    await post("mentee", f"/v1/goals/{goal_id}/outcome", outcome="missed", note=mine)
    then = format_instant(await pair.in_(timedelta(hours=-1)))
    await post("mentee", f"/v1/goals/{goal_id}/dispute", occurred_at=then, reason=mine)
    await post("mentor", f"/v1/goals/{goal_id}/outcome", outcome="met", occurred_at=then, note=theirs)
    met = str((await post("mentee", "/v1/goals", **await pair.goal(why=mine)))["goal_id"])
    await post("mentee", f"/v1/goals/{met}/outcome", outcome="met", note=mine)
    dropped = str((await post("mentee", "/v1/goals", **await pair.goal(why=mine)))["goal_id"])
    await post("mentee", f"/v1/goals/{dropped}/outcome", outcome="dropped", note=mine)
    return goal_id


async def found(system: System, text: str) -> dict[str, int]:
    """In how many documents of each of goals' collections a text stands."""
    mongo = Mongo.connect(system.mongo)
    try:
        database = system.database(mongo, "goals")
        counts = {}
        for name in await database.list_collection_names():
            count = sum([text in str(document) async for document in database[name].find()])
            if count:
                counts[name] = count
        return counts
    finally:
        await mongo.close()


class TestErasure:
    async def test_takes_every_word_of_the_person_and_leaves_the_rest(self, system: System) -> None:
        pair, words = await Pair(system).begin(), Words()
        goal_id = await planted(pair, words)
        mine, theirs = words.of("mentee"), words.of("mentor")
        assert (await found(system, mine)).keys() == {"goals", "check_ins", "expectations"}
        before, history = await pair.sees(goal_id, "mentor"), await pair.history(goal_id, "mentor")
        theirs_before = await found(system, theirs)

        answer = await pair.hr(ERASE).post("/v1/people/mentee/erasure")
        assert answer.status_code == 202, answer.text

        async def gone() -> bool:
            assert await found(system, mine) == {}
            return True

        await eventually(gone, seconds=20, every=0.2)
        assert await found(system, theirs) == theirs_before
        after = await pair.sees(goal_id, "mentor")
        assert mine not in str(after)
        unworded = {"why", "assessment"}
        assert {name: after[name] for name in after.keys() - unworded} == {
            name: before[name] for name in before.keys() - unworded
        }
        told = await pair.history(goal_id, "mentor")
        assert [{**item, "reason": None} for item in told] == [{**item, "reason": None} for item in history]
        assert [item["reason"] for item in told if "reason" in item] == [theirs, theirs]

    async def test_is_told_without_a_mentorship(self, pair: Pair) -> None:
        answer = await pair.hr(ERASE).post("/v1/people/nobody/erasure")
        (event,) = await pair.told(f"erasure/{answer.json()['erasure_id']}", 1)
        assert event["data"] == {"org_id": pair.org, "person_id": "nobody", "at": answer.json()["at"]}
        assert (event["partitionkey"], event["sequence"]) == ("nobody", "0000000001")

    async def test_what_is_written_afterwards_stays(self, system: System) -> None:
        pair, words = await Pair(system).begin(), Words()
        before, after = words.of("before"), words.of("after")
        goal_id = await pair.sets(why=before)
        assert (await pair.hr(ERASE).post("/v1/people/mentee/erasure")).status_code == 202
        # The erasure itself changes what is seen of the goal, and so its tag, at any moment.
        url, whatever = f"/v1/goals/{goal_id}", {"If-Match": "*"}
        answer = await pair.as_("mentee").patch(url, json={"why": after}, headers=whatever)
        assert answer.status_code == 200, answer.text

        async def gone() -> bool:
            assert await found(system, before) == {}
            return True

        await eventually(gone, seconds=20, every=0.2)
        assert (await pair.sees(goal_id))["why"] == after

    async def test_is_of_one_organization(self, system: System) -> None:
        pair, other, words = await Pair(system).begin(), await Pair(system).begin(), Words()
        mine, theirs = words.of("mine"), words.of("theirs")
        goal_id, kept = await pair.sets(why=mine), await other.sets(why=theirs)
        await pair.hr(ERASE).post("/v1/people/mentee/erasure")

        async def gone() -> bool:
            return "why" not in await pair.sees(goal_id)

        await eventually(gone)
        assert (await other.sees(kept))["why"] == theirs

    async def test_needs_its_scope_and_answers_a_key_as_before(self, pair: Pair) -> None:
        refused(await pair.hr().post("/v1/people/someone/erasure"), 403)
        headers = {"Idempotency-Key": uuid4().hex}
        first = await pair.hr(ERASE).post("/v1/people/someone/erasure", headers=headers)
        again = await pair.hr(ERASE).post("/v1/people/someone/erasure", headers=headers)
        assert (first.status_code, again.json()) == (202, first.json())
        assert again.headers["idempotency-replayed"] == "true"
