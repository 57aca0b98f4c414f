"""What goals takes in from the topic of check-ins: duplicates, strangers' records, and what comes very late."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.ids import uuid7
from shared.time import format_instant
from tests.integration.goals.world import GRACE, Pair
from tests.support.polling import eventually, only
from tests.support.records import Record
from tests.support.system import System

pytestmark = pytest.mark.engines
HOUR = timedelta(hours=1)
REASON = "onbelay-dead-letter-reason"


async def record_of(system: System, checkin_id: str) -> Record:
    """The CheckInLogged of a check-in, as it stands in the topic."""

    async def there() -> Record:
        subject = f"checkin/{checkin_id}".encode()
        records = await system.records("checkins")
        return only([each for each in records if each.headers["ce_subject"] == subject])

    return await eventually(there, seconds=20, every=0.2)


def another(record: Record, *, org: str | None = None, **data: Any) -> Record:
    """A record like this one, about another check-in."""
    checkin_id = uuid7()
    told = {**json.loads(record.value or b"{}"), "checkin_id": checkin_id, **data}
    headers = {
        **record.headers,
        "ce_id": uuid7().encode(),
        "ce_subject": f"checkin/{checkin_id}".encode(),
    }
    if org is not None:
        told["org_id"] = org
        headers["ce_orgid"] = org.encode()
    return replace(record, value=json.dumps(told).encode(), headers=headers)


class TestDuplicates:
    async def test_of_check_ins_change_nothing(self, pair: Pair) -> None:
        goal_id = await pair.sets()
        first = await record_of(pair.system, await pair.checks_in(goal_id, progress={"value": 3.5}))
        await pair.system.publish([first, first])
        await pair.checks_in(goal_id, "mentor")
        await pair.becomes(goal_id, "met")
        await pair.system.publish([first])
        after = await pair.sets()
        await pair.checks_in(after)
        await pair.becomes(after, "met")
        assert await pair.types(goal_id) == ["GoalSet", "GoalMet"]
        assert (await pair.sees(goal_id))["fraction"] == 1.0


class TestStrangers:
    async def test_records_about_no_goal_of_ours_are_dead_letters_and_their_neighbours_unharmed(
        self, pair: Pair
    ) -> None:
        goal_id = await pair.sets()
        beside, other = await Pair(pair.system, org=pair.org).begin(), await Pair(pair.system).begin()
        known = await record_of(pair.system, await pair.checks_in(goal_id, progress={"value": 1}))
        unknown = another(known, goal_id=uuid7())
        elsewhere = another(known, goal_id=await beside.sets())
        theirs = another(known, goal_id=await other.sets())
        foreign = another(known, org=other.org)
        good = another(known, progress={"value": 7})
        await pair.system.publish([unknown, elsewhere, theirs, foreign, good])
        await pair.becomes(goal_id, "met")
        assert await pair.types(goal_id) == ["GoalSet", "GoalMet"]

        async def letters() -> dict[str, str]:
            reasons = {
                letter.headers["ce_id"]: letter.headers[REASON].decode().split(":")[0]
                for letter in await pair.system.records("dead-letters")
                if letter.headers["onbelay-dead-letter-consumer"] == b"goals"
            }
            strangers = {
                "unknown": unknown,
                "elsewhere": elsewhere,
                "theirs": theirs,
                "foreign": foreign,
            }
            assert {each.headers["ce_id"] for each in strangers.values()} <= reasons.keys()
            return {name: reasons[each.headers["ce_id"]] for name, each in strangers.items()}

        found = await eventually(letters, seconds=20, every=0.2)
        assert found == {
            "unknown": "unknown",
            "elsewhere": "mentorship",
            "theirs": "tenant",
            "foreign": "tenant",
        }


class TestWhatComesVeryLate:
    async def test_timely_evidence_after_the_miss_takes_it_back_at_once(self, pair: Pair) -> None:
        """A dead letter that was replayed: it was answered in time, and is weighed by its own times."""
        due = await pair.in_(HOUR)
        goal_id = await pair.sets(due=due)
        known = await record_of(pair.system, await pair.checks_in(goal_id, progress={"value": 1}))
        await pair.system.move(due + GRACE)
        await pair.becomes(goal_id, "missed")
        then = format_instant(due - HOUR / 2)
        await pair.system.publish([another(known, progress={"value": 7}, occurred_at=then, logged_at=then)])
        goal = await pair.becomes(goal_id, "met")
        assert goal["met_at"] == then
        assert await pair.types(goal_id) == ["GoalSet", "GoalMissed", "GoalMissRetracted", "GoalMet"]


class TestWhatComesAfterAnEnd:
    async def test_meets_what_was_due_before_it_if_it_was_answered_within_the_grace(
        self, system: System
    ) -> None:
        """Checkins had not heard of the end yet."""
        pair = await Pair(system).begin()
        due = await pair.in_(HOUR)
        goal_id = await pair.sets(due=due)
        known = await record_of(system, await pair.checks_in(goal_id, progress={"value": 1}))
        await system.move(due)
        await pair.turns("end")
        then = due - timedelta(seconds=5)
        times = {"occurred_at": format_instant(then), "logged_at": format_instant(due + GRACE / 2)}
        await system.publish([another(known, progress={"value": 7}, **times)])
        await system.move(due + GRACE)
        assert (await pair.becomes(goal_id, "met"))["met_at"] == format_instant(then)
        assert await pair.types(goal_id) == ["GoalSet", "GoalMet"]
