"""Numbers through Kafka and HTTP: events published in the contract's format, answers read as a client does."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from shared.ids import uuid7
from tests.integration.metrics.published import (
    END,
    START,
    a_big_history,
    client,
    done_by,
    get,
    numbers_of,
    publish,
    records,
    without_withheld,
)
from tests.support.system import System
from tests.unit.metrics.recount import anybody, engaged, of_goal_or_pair, people, recount

pytestmark = pytest.mark.engines


class TestNumbers:
    @pytest.mark.parametrize("seed", range(3))
    async def test_they_are_those_of_a_recount_whatever_comes_twice(
        self, metrics: System, org: str, seed: int
    ) -> None:
        events, topics = a_big_history(org, seed)
        await publish(metrics, topics, times=2)
        asking = client(metrics, org)
        for as_of in (None, END, date(2026, 1, 20), date(2026, 2, 10)):
            params = {} if as_of is None else {"as_of": as_of.isoformat()}
            answer = await get(asking, f"/v1/metrics/orgs/{org}", **params)
            as_of = as_of or date.fromisoformat(answer["as_of"])
            behind = set(people(events, START, END, as_of).values())
            if len(behind) < 5:
                assert answer["withheld"] == "fewer than 5 people"
            else:
                expected = recount(events, START, END, as_of)
                assert numbers_of(answer) == without_withheld(answer, expected)
                assert answer["people"] == len(behind)
                assert answer["engaged"] == len(engaged(events, START, END, as_of) & behind)
        for goal_id in {event.data.goal_id for event in events if event.type == "GoalSet"}:
            answer = await get(asking, f"/v1/metrics/goals/{goal_id}")
            own = of_goal_or_pair(events, "goal_id", goal_id)
            assert numbers_of(answer) == recount(own, START, END, END)
        for mentorship_id in {event.data.mentorship_id for event in events}:
            answer = await get(asking, f"/v1/metrics/mentorships/{mentorship_id}", as_of="2026-02-10")
            own = of_goal_or_pair(events, "mentorship_id", mentorship_id)
            assert numbers_of(answer) == recount(own, START, END, date(2026, 2, 10))
        for person in {event.data.mentor_id for event in events if event.type == "MentorshipStarted"}:
            answer = await get(asking, f"/v1/metrics/people/{person}")
            assert numbers_of(answer) == recount(events, START, END, END, done_by(person))

    async def test_a_window_is_cut_into_days_iso_weeks_and_months_and_clipped(
        self, metrics: System, org: str
    ) -> None:
        events, topics = a_big_history(org, 7)
        await publish(metrics, topics)
        asking = client(metrics, org)
        window = {"from": "2026-01-08", "to": "2026-04-15"}
        for granularity, ends in (("day", "2026-01-08"), ("week", "2026-01-11"), ("month", "2026-01-31")):
            for as_of in ({}, {"as_of": "2026-03-01"}):
                answer = await get(
                    asking, f"/v1/metrics/orgs/{org}", granularity=granularity, **window, **as_of
                )
                series = answer["series"]
                known = date.fromisoformat(answer["as_of"])
                assert (series[0]["from"], series[0]["to"]) == ("2026-01-08", ends)
                assert series[-1]["to"] == "2026-04-15"
                shown = [bucket for bucket in series if "withheld" not in bucket and bucket["people"]]
                assert shown
                for bucket in shown:
                    start, end = date.fromisoformat(bucket["from"]), date.fromisoformat(bucket["to"])
                    expected = recount(events, start, end, known, anybody, by_role=False)
                    assert {**numbers_of(bucket), "by_role": None} == {**expected, "by_role": None}
                    behind = set(people(events, start, end, known).values())
                    assert bucket["engaged"] == len(engaged(events, start, end, known) & behind)

    async def test_a_killed_service_goes_on_without_counting_twice(self, metrics: System, org: str) -> None:
        events, topics = a_big_history(org, 11)
        made = [record for topic in topics for record in records(metrics, topic)]
        await metrics.publish(made)
        metrics.kill("metrics")
        await metrics.ended("metrics")
        await metrics.publish(made)
        await metrics.start("metrics")
        await metrics.folded()
        answer = await get(client(metrics, org), f"/v1/metrics/orgs/{org}")
        assert numbers_of(answer) == without_withheld(answer, recount(events, START, END, END))


class TestWhoMaySee:
    async def test_a_participant_sees_their_own_alone(self, metrics: System, org: str) -> None:
        events, topics = a_big_history(org, 1)
        await publish(metrics, topics)
        goal = next(event.data for event in events if event.type == "GoalSet")
        mentor = next(
            event.data.mentor_id
            for event in events
            if event.type == "MentorshipStarted" and event.data.mentorship_id == goal.mentorship_id
        )
        inside = client(metrics, org, "onbelay:participate", mentor)
        outside = client(metrics, org, "onbelay:participate", "stranger-1")
        for path in (f"goals/{goal.goal_id}", f"mentorships/{goal.mentorship_id}", f"people/{mentor}"):
            assert (await inside.get(f"/v1/metrics/{path}")).status_code == 200
            assert (await inside.get(f"/v1/metrics/{path}/explain?number=goals.set")).status_code == 200
        assert (await outside.get(f"/v1/metrics/goals/{goal.goal_id}")).status_code == 404
        assert (await outside.get(f"/v1/metrics/mentorships/{goal.mentorship_id}")).status_code == 404
        assert (await outside.get(f"/v1/metrics/people/{mentor}")).status_code == 403
        assert (await inside.get(f"/v1/metrics/orgs/{org}")).status_code == 403
        assert (await inside.get(f"/v1/metrics/orgs/{org}/explain?number=goals.set")).status_code == 403

    async def test_what_was_never_known_is_404(self, metrics: System, org: str) -> None:
        asking = client(metrics, org)
        for scope in ("goals", "mentorships", "people", "programs", "orgs"):
            assert (await asking.get(f"/v1/metrics/{scope}/{uuid7()}")).status_code == 404
            response = await asking.get(f"/v1/metrics/{scope}/{uuid7()}/explain?number=goals.set")
            assert response.status_code == 404

    async def test_another_organization_is_404(self, metrics: System, org: str) -> None:
        events, topics = a_big_history(org, 2)
        await publish(metrics, topics)
        asking = client(metrics, f"{org}-other")
        goal = next(event.data for event in events if event.type == "GoalSet")
        for path in (f"goals/{goal.goal_id}", f"mentorships/{goal.mentorship_id}", f"people/{goal.owner_id}"):
            assert (await asking.get(f"/v1/metrics/{path}")).status_code == 404
        assert (await asking.get(f"/v1/metrics/orgs/{org}")).status_code == 404
        assert (await asking.get(f"/v1/metrics/programs/{goal.program_id}")).status_code == 404


class TestBadWindows:
    @pytest.mark.parametrize(
        ("params", "parameter"),
        [
            ({"from": "2026-02-01", "to": "2026-01-01"}, "from"),
            ({"from": "2020-01-01", "to": "2026-01-02"}, "from"),
            ({"from": "2026-02-30"}, "from"),
            ({"to": "today"}, "to"),
            ({"as_of": "2999-01-01"}, "as_of"),
            ({"granularity": "year"}, "granularity"),
            ({"until": "2026-01-01"}, "until"),
        ],
    )
    async def test_they_are_refused_by_name(
        self, metrics: System, org: str, params: dict[str, str], parameter: str
    ) -> None:
        response = await client(metrics, org).get(f"/v1/metrics/orgs/{org}", params=params)
        assert response.status_code == 422
        assert response.headers["content-type"] == "application/problem+json"
        assert [error["parameter"] for error in response.json()["errors"]] == [parameter]

    async def test_by_default_it_is_the_28_days_up_to_today(self, metrics: System, org: str) -> None:
        _, topics = a_big_history(org, 3)
        await publish(metrics, topics)
        today = (await metrics.now()).date()
        response = await client(metrics, org).get(f"/v1/metrics/orgs/{org}")
        answer = response.json()
        assert answer["to"] == answer["as_of"] == today.isoformat()
        assert answer["from"] == (today - timedelta(days=27)).isoformat()


class TestExplain:
    async def test_the_events_behind_a_number_add_up_to_it_page_by_page(
        self, metrics: System, org: str
    ) -> None:
        _, topics = a_big_history(org, 4)
        await publish(metrics, topics)
        asking = client(metrics, org)
        answer = await get(asking, f"/v1/metrics/orgs/{org}")
        for number in ("goals.set", "goals.met", "goals.missed", "goals.open", "check_ins.logged"):
            items: list[dict[str, Any]] = []
            params: dict[str, str] = {}
            while True:
                page = await get(
                    asking, f"/v1/metrics/orgs/{org}/explain", number=number, limit="2", **params
                )
                items += page["items"]
                if "next_cursor" not in page:
                    break
                params = {"cursor": page["next_cursor"]}
            group, _, name = number.partition(".")
            assert sum(item["weight"] for item in items) == answer[group][name]
            assert [item["time"] for item in items] == sorted((item["time"] for item in items), reverse=True)
            assert all(
                set(item) == {"type", "id", "subject", "time", "counts_on", "weight"} for item in items
            )

    async def test_an_unknown_number_is_422(self, metrics: System, org: str) -> None:
        response = await client(metrics, org).get(
            f"/v1/metrics/orgs/{org}/explain", params={"number": "goals.won"}
        )
        assert response.status_code == 422
        assert response.json()["errors"][0]["parameter"] == "number"


class TestService:
    async def test_it_tells_what_it_is(self, metrics: System) -> None:
        asking = metrics.anonymous("metrics")
        for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/asyncapi.json"):
            assert (await asking.get(path)).status_code == 200
        assert (await asking.get("/v1/metrics/orgs/org-1")).status_code == 401

    async def test_requests_for_help_are_not_read(self, metrics: System) -> None:
        document = (await metrics.anonymous("metrics").get("/asyncapi.json")).json()
        assert set(document["channels"]) == {"goals", "checkins", "nudges"}
