"""Rule 3's promise: a check-in that was answered in time never ends in a miss; and the watermarks that keep it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest

from shared.events.export import schema_of
from shared.time import parse_instant
from tests.integration.checkins.world import Pair, instant, short
from tests.support.polling import eventually
from tests.support.system import System

pytestmark = pytest.mark.engines

PAIRS = 6
SECOND = timedelta(seconds=1)
GRACE = timedelta(seconds=60)


async def test_what_is_logged_in_time_is_met_and_what_is_not_is_missed(system: System) -> None:
    """Deadlines of one instant, in mentorships of several partitions."""
    pairs = await asyncio.gather(*(Pair(system, time_zone="UTC").begin() for _ in range(PAIRS)))
    due = (await system.now() + timedelta(hours=30)).replace(microsecond=0)
    goals = {
        name: await asyncio.gather(*(a_goal_due(pair, due) for pair in pairs))
        for name in ("just before", "within the grace", "never")
    }

    async def log(name: str, **body: Any) -> None:
        told = await asyncio.gather(
            *(
                pair.logs(goal_id=goal_id, progress={"done": True}, **body)
                for pair, goal_id in zip(pairs, goals[name], strict=True)
            )
        )
        assert {each["goal_id"] for each in told} == set(goals[name])

    await system.move(due - 10 * SECOND)
    await log("just before")
    assert await system.now() < due
    await system.move(due + GRACE - 40 * SECOND)
    await log("within the grace", occurred_at=instant(due - SECOND))
    assert await system.now() < due + GRACE
    await system.move(due + GRACE)

    async def states(name: str) -> set[str]:
        found = await asyncio.gather(
            *(pair.state_of(goal_id) for pair, goal_id in zip(pairs, goals[name], strict=True))
        )
        return {goal["state"] for goal in found}

    async def all_decided() -> bool:
        return await states("never") == {"missed"}

    await eventually(all_decided, seconds=30, every=0.25)
    assert await states("just before") == {"met"}
    assert await states("within the grace") == {"met"}
    missed = [
        event["data"]["goal_id"] for pair in pairs for event in await pair.events("goals", "GoalMissed")
    ]
    assert sorted(missed) == sorted(goals["never"])


async def a_goal_due(pair: Pair, due: datetime) -> str:
    goal = await pair.set_goal(
        measure={"kind": "done"},
        deadline={
            "date": due.date().isoformat(),
            "time_zone": pair.time_zone,
            "cutoff": due.time().isoformat("seconds"),
        },
    )
    assert parse_instant(goal["due_at"]) == due
    return str(goal["goal_id"])


async def test_nothing_that_was_logged_before_a_watermark_comes_after_it(system: System) -> None:
    pairs = await asyncio.gather(*(Pair(system).begin() for _ in range(PAIRS)))
    last: dict[str, datetime] = {}
    for _ in range(5):
        told = await asyncio.gather(*(pair.logs(note="and on") for pair in pairs for _ in range(4)))
        last |= {each["mentorship_id"]: parse_instant(each["logged_at"]) for each in told}

    await system.move(SECOND)  # which ends what was in flight, so that watermarks follow at once

    async def passed() -> bool:
        """Whether a watermark has passed every check-in just logged."""
        marks = [
            parse_instant(event["data"]["up_to"])
            for event in await system.events("checkins")
            if short(event) == "CheckInsWatermark"
        ]
        return bool(max(marks) > max(last.values()))

    await eventually(passed, seconds=30, every=0.5)
    reached: dict[int, datetime] = defaultdict(lambda: datetime.min.replace(tzinfo=UTC))
    for record in await system.records("checkins"):
        event = record.structured()
        if short(event) == "CheckInsWatermark":
            assert event["data"].keys() == {"partition", "up_to"}
            jsonschema.validate(event["data"], schema_of("CheckInsWatermark"))
            assert event["data"]["partition"] == record.partition
            assert record.key == f"partition/{record.partition}".encode()
            assert event["subject"] == event["partitionkey"] == f"partition/{record.partition}"
            assert not event.keys() & {"orgid", "sequence"}
            reached[record.partition] = max(reached[record.partition], parse_instant(event["data"]["up_to"]))
        elif short(event) == "CheckInLogged" and event["data"]["mentorship_id"] in last:
            # Others of the stack publish records by hand.
            assert parse_instant(event["data"]["logged_at"]) >= reached[record.partition]
    assert set(reached) == set(range(12))
