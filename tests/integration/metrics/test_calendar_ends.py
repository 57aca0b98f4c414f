"""Windows at the first and the last days that a date can name: every page and answer that takes dates holds there."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest

from shared import events as contract
from tests.integration.metrics.published import a_big_history, client, publish
from tests.support.system import System
from tests.unit.metrics.histories import BEGIN, Happened

pytestmark = pytest.mark.engines

WINDOWS = (
    {"to": "9999-12-31"},
    {"to": "9999-12-30"},
    {"from": "9999-12-01", "to": "9999-12-31"},
    {"from": "9999-12-31", "to": "9999-12-31"},
    {"from": "0001-01-01", "to": "0001-01-05"},
    {"from": "0001-01-01", "to": "0001-01-01"},
    {"to": "0001-01-05"},
    {"to": "0001-01-01"},
)
GRANULARITIES: tuple[dict[str, str], ...] = (
    {},
    {"granularity": "day"},
    {"granularity": "week"},
    {"granularity": "month"},
)
ENDS = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))


async def told(metrics: System, org: str) -> tuple[contract.GoalSet, str]:
    """A history with nudges at both ends of the calendar: a goal of it, and the person who owns it."""
    events, topics = a_big_history(org, 5, one_program=True)
    goal = next(event.data for event in events if event.type == "GoalSet")
    nudges = []
    for number, at in enumerate(ENDS):
        nudge = contract.NudgeSent(
            org_id=org,
            program_id=goal.program_id,
            mentorship_id=goal.mentorship_id,
            nudge_id=f"{org}-n{number}",
            recipient_id=goal.owner_id,
            goal_id=goal.goal_id,
            kind="check_in_due",
            period="1",
            at=at,
        )
        nudges.append(Happened("NudgeSent", f"{org}-e{number}", f"nudge/{org}-n{number}", BEGIN, nudge))
    await publish(metrics, [*topics, nudges])
    return goal, goal.owner_id


class TestTheEndsOfTheCalendar:
    async def test_numbers_are_answered(self, metrics: System, org: str) -> None:
        goal, owner = await told(metrics, org)
        asking = client(metrics, org)
        for scope in (
            f"goals/{goal.goal_id}",
            f"mentorships/{goal.mentorship_id}",
            f"people/{owner}",
            f"programs/{goal.program_id}",
            f"orgs/{org}",
        ):
            path = f"/v1/metrics/{scope}"
            for window, cut, known in product(WINDOWS, GRANULARITIES, ({}, {"as_of": "0001-01-01"})):
                response = await asking.get(path, params={**window, **cut, **known})
                assert response.status_code == 200, (path, window, cut, known, response.text)
                assert response.json()["to"] == window["to"]
            for window in WINDOWS:
                response = await asking.get(f"{path}/explain", params={"number": "goals.open", **window})
                assert response.status_code == 200, (path, window, response.text)

    async def test_a_series_goes_to_the_last_day(self, metrics: System, org: str) -> None:
        goal, _ = await told(metrics, org)
        for cut, first in (("day", "9999-12-31"), ("week", "9999-12-27"), ("month", "9999-12-01")):
            response = await client(metrics, org).get(
                f"/v1/metrics/mentorships/{goal.mentorship_id}",
                params={"from": "9999-11-01", "to": "9999-12-31", "granularity": cut},
            )
            assert response.status_code == 200, response.text
            last = response.json()["series"][-1]
            assert (last["from"], last["to"]) == (first, "9999-12-31")

    async def test_nudges_of_the_first_and_the_last_day_are_counted(self, metrics: System, org: str) -> None:
        await told(metrics, org)
        asking = client(metrics, org)
        for window in WINDOWS:
            response = await asking.get("/v1/metrics/nudges", params=window)
            assert response.status_code == 200, (window, response.text)
            assert response.json()["sent"] == int(window["to"] != "9999-12-30"), window

    async def test_the_dashboards_pages_are_whole(self, metrics: System, org: str) -> None:
        goal, _ = await told(metrics, org)
        asking = client(metrics, org)
        for window, cut in product(WINDOWS, GRANULARITIES):
            params = {"program_id": goal.program_id, **window, **cut}
            page = await asking.get("/", params=params)
            assert page.status_code == 200, (params, page.text)
            assert page.text.rstrip().endswith("</html>"), params
            explained = {"scope": "programs", "id": goal.program_id, "number": "goals.met", **window}
            page = await asking.get("/explain", params=explained)
            assert page.status_code == 200, (params, page.text)
