"""Rule 8 through HTTP and Kafka: which check-ins lapse while four weeks go by on the sandbox clock."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.time import end_of_day, parse_instant
from tests.conftest import NewSystem
from tests.integration.checkins.world import Pair
from tests.support.polling import eventually
from tests.support.system import System

pytestmark = pytest.mark.engines

BERLIN = "Europe/Berlin"
EVERY = 3
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
GRACE = timedelta(seconds=60)


class Weeks:
    """Goals with a check-in every three days, counted in days since they were set."""

    def __init__(self, system: System, start: datetime) -> None:
        self.system = system
        self.start = start
        self.goals: dict[str, dict[str, Any]] = {}

    async def set(self, name: str, pair: Pair, **body: Any) -> str:
        goal = await pair.set_goal(**{"days": 60, "check_in_every_days": EVERY, "title": name, **body})
        self.goals[name] = goal
        return str(goal["goal_id"])

    async def day(self, number: int) -> None:
        """Move to the morning of a day."""
        await self.system.move(self.start + number * DAY)

    def date(self, number: int) -> date:
        return (self.start + number * DAY).astimezone(ZoneInfo(BERLIN)).date()

    def end_of(self, number: int) -> datetime:
        """When a check-in is expected by that is expected on a day."""
        return end_of_day(self.date(number), BERLIN)

    async def lapsed(self, *pairs: Pair) -> dict[str, list[int]]:
        """The days on which check-ins lapsed, by the names of their goals."""
        names = {goal["goal_id"]: name for name, goal in self.goals.items()}
        found: dict[str, list[int]] = defaultdict(list)
        for pair in pairs:
            for event in await pair.events("checkins", "CheckInLapsed"):
                lapse = event["data"]
                number = (date.fromisoformat(lapse["period"]) - self.date(0)).days
                assert parse_instant(lapse["expected_by"]) == self.end_of(number)
                assert parse_instant(event["time"]) >= self.end_of(number) + GRACE
                assert event["subject"] == f"cadence/{lapse['goal_id']}"
                found[names[lapse["goal_id"]]].append(number)
                assert int(event["sequence"]) == len(found[names[lapse["goal_id"]]])
        return dict(found)


@pytest.fixture
async def weeks(system: System) -> Weeks:
    morning = (await system.now() + DAY).replace(hour=9, minute=0, second=0, microsecond=0)
    return Weeks(system, await system.move(morning))


async def test_a_check_in_lapses_once_for_each_period_in_which_none_came(
    system: System, weeks: Weeks
) -> None:
    pair, paused, ended = [await Pair(system).begin() for _ in range(3)]
    await weeks.set("silent", pair)
    answered = await weeks.set("answered by the owner", pair)
    seconded = await weeks.set("answered by the counterpart", pair)
    whispered = await weeks.set("answered by a sensitive one", pair)
    last_minute = await weeks.set("answered just before", pair)
    in_grace = await weeks.set("answered within the grace", pair)
    dropped = await weeks.set("dropped", pair)
    slower = await weeks.set("made slower", pair)
    revived = await weeks.set("missed and revived", pair)
    postponed = await weeks.set("postponed", pair, days=2)
    await weeks.set("due before", pair, days=2)
    met = await weeks.set("met", pair, measure={"kind": "done"})
    await weeks.set("in a pause", paused)
    await weeks.set("in the end", ended)

    await weeks.day(2)
    await pair.logs(goal_id=answered)
    await pair.logs("mentor", goal_id=seconded)
    await pair.logs(goal_id=whispered, sensitive=True)
    await pair.logs(note="about the mentorship, and so about no goal")
    await says(pair, dropped, "dropped")
    await says(pair, revived, "missed")
    await says(pair, met, "met")
    await revise(pair, slower, check_in_every_days=10)
    await revise(pair, postponed, deadline=a_deadline(weeks.date(40)), by="mentor")
    await paused.say("pause")
    await ended.say("end")

    await system.move(weeks.end_of(3) - 10 * SECOND)
    logged = await pair.logs(goal_id=last_minute)
    assert parse_instant(logged["logged_at"]) <= weeks.end_of(3)
    await system.move(weeks.end_of(3) + GRACE - 40 * SECOND)
    await pair.logs(goal_id=in_grace)
    await system.folded()
    assert await weeks.lapsed(pair, paused, ended) == {}
    await system.move(weeks.end_of(3) + GRACE)
    await eventually(lambda: lapsed_to(weeks, pair, silent=3, within=3), seconds=20, every=0.2)
    assert await weeks.lapsed(pair, paused, ended) == {
        "silent": [3],
        "answered within the grace": [3],
        "postponed": [3],
    }

    await weeks.day(5)
    await revise(pair, revived, deadline=a_deadline(weeks.date(70)), by="mentor")
    await weeks.day(8)
    await paused.say("resume")

    await weeks.day(13)
    await eventually(lambda: lapsed_to(weeks, pair, silent=12, within=10), seconds=20, every=0.2)
    await eventually(lambda: weeks.lapsed(paused), seconds=20, every=0.2)
    assert await weeks.lapsed(pair, paused, ended) == {
        "silent": [3, 6, 9, 12],
        "answered by the owner": [5, 8, 11],
        "answered by the counterpart": [5, 8, 11],
        "answered by a sensitive one": [5, 8, 11],
        "answered just before": [6, 9, 12],
        # Logged at 00:59 of the day after, which is the day that the next one is counted from.
        "answered within the grace": [3, 7, 10],
        "postponed": [3, 6, 9, 12],
        "made slower": [12],
        "missed and revived": [8, 11],
        "in a pause": [11],
    }


async def test_who_dies_meanwhile_decides_each_period_once_all_the_same(new_system: NewSystem) -> None:
    """Nineteen days to make up, each an instant of its own, and a service that is killed again and again."""
    system = await new_system(("goals", "checkins"))
    morning = (await system.now() + DAY).replace(hour=9, minute=0, second=0, microsecond=0)
    weeks = Weeks(system, await system.move(morning))
    pairs = [await Pair(system).begin() for _ in range(3)]
    names = {f"goal {number}": pair for number, pair in enumerate(pairs * 2)}
    for name, pair in names.items():
        await weeks.set(name, pair, check_in_every_days=1)
    await system.folded()
    await weeks.day(20)
    for _ in range(2):
        system.kill("checkins")
        await system.ended("checkins")
        await system.start("checkins")

    async def all_made_up() -> bool:
        assert await weeks.lapsed(*pairs) == {name: list(range(1, 20)) for name in names}
        return True

    await eventually(all_made_up, seconds=60, every=0.5)


async def lapsed_to(weeks: Weeks, pair: Pair, *, silent: int, within: int) -> bool:
    """Whether what lapses last in this pair has: all that came before is decided then."""
    found = await weeks.lapsed(pair)
    return (
        found.get("silent", [0])[-1] == silent and found.get("answered within the grace", [0])[-1] == within
    )


def a_deadline(day: date) -> dict[str, str]:
    return {"date": day.isoformat(), "time_zone": BERLIN}


async def says(pair: Pair, goal_id: str, outcome: str) -> None:
    """The owner says what became of a goal."""
    url = f"/v1/goals/{goal_id}/outcome"
    answer = await pair.as_("mentee", "goals").post(url, json={"outcome": outcome})
    assert answer.status_code == 200, answer.text


async def revise(pair: Pair, goal_id: str, *, by: str | None = None, **changes: Any) -> None:
    """The owner revises a goal; `by` accepts it where it needs them."""
    url = f"/v1/goals/{goal_id}"
    seen = await pair.as_("mentee", "goals").get(url)
    answer = await pair.as_("mentee", "goals").patch(
        url, json=changes, headers={"If-Match": seen.headers["etag"]}
    )
    if answer.status_code == 202 and by is not None:
        accept = f"{url}/proposals/{answer.json()['proposal_id']}/accept"
        answer = await pair.as_(by, "goals").post(accept)
    assert answer.status_code == 200, answer.text
