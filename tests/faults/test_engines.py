"""Kafka or MongoDB ends while people work: nothing that was answered is lost, and nobody is wronged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from deploy import topics
from shared.time import parse_instant
from tests.faults.own_engines import OwnEngines
from tests.support.play import Play
from tests.support.polling import eventually
from tests.support.system import DEFAULT_SERVICES, System

pytestmark = [pytest.mark.engines, pytest.mark.faults, pytest.mark.timeout(300)]
NO_HANG_S = 5.0
ORG = "acme"


@pytest.fixture
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnEngines]:
    engines = OwnEngines(tmp_path_factory.mktemp("own"))
    try:
        await engines.start()
        yield engines
    finally:
        await engines.stop()


@pytest.fixture
async def system(own: OwnEngines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    made = System(own.engines, tmp_path_factory.mktemp("system"), partitions=3)
    try:
        await made.begin()
        yield made
    finally:
        await made.close()


class Desk:
    """One who sends requests, and notices how long each takes."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.slowest = 0.0

    async def send(
        self, service: str, method: str, path: str, body: Any = None, *, person: str | None = None
    ) -> httpx.Response:
        scope = "onbelay:programs" if person is None else "onbelay:act_as"
        client = self._system.client(service, sub="hr", org=ORG, scope=scope, act_as=person)
        begun = time.monotonic()
        response = await client.request(method, path, json=body)
        self.slowest = max(self.slowest, time.monotonic() - begun)
        return response

    async def made(self, *request: Any, person: str | None = None) -> dict[str, Any]:
        response = await self.send(*request, person=person)
        assert response.status_code == 201, response.text
        return dict(response.json())

    async def start(self, number: int = 0) -> str:
        body = {
            "program_id": "rising",
            "mentor_id": f"mentor-{number}",
            "mentee_id": f"mentee-{number}",
            "time_zone": "UTC",
            "check_in_every_days": 30,
        }
        return str((await self.made("goals", "POST", "/v1/mentorships", body))["mentorship_id"])

    async def set_goal(self, mentorship_id: str, due: Any, number: int = 0) -> str:
        deadline = {"date": due.date().isoformat(), "time_zone": "UTC", "cutoff": due.strftime("%H:%M:%S")}
        body = {
            "mentorship_id": mentorship_id,
            "title": "Give a talk",
            "measure": {"kind": "done"},
            "deadline": deadline,
        }
        goal = await self.made("goals", "POST", "/v1/goals", body, person=f"mentee-{number}")
        return str(goal["goal_id"])

    async def known(self, mentorship_id: str, goal_id: str, number: int = 0) -> None:
        """Wait until the news of a goal has reached checkins: a check-in without progress is taken."""
        body = {"mentorship_id": mentorship_id, "goal_id": goal_id, "confidence": 8}

        async def taken() -> bool:
            answered = await self.send("checkins", "POST", "/v1/checkins", body, person=f"mentee-{number}")
            return bool(answered.status_code == 201)

        await eventually(taken, seconds=20)

    async def goal(self, goal_id: str, number: int = 0) -> dict[str, Any]:
        response = await self.send("goals", "GET", f"/v1/goals/{goal_id}", person=f"mentee-{number}")
        assert response.status_code == 200, response.text
        return dict(response.json())


class TestKafkaIsAway:
    async def test_every_write_is_answered_and_arrives_in_order_after_its_return(
        self, own: OwnEngines, system: System
    ) -> None:
        desk = Desk(system)
        due = await system.now() + timedelta(days=20)
        mentorship_id = await desk.start()
        goal_id = await desk.set_goal(mentorship_id, due)
        await desk.known(mentorship_id, goal_id)

        await own.kill("kafka")
        expected = {f"goal/{goal_id}", f"mentorship/{mentorship_id}"}
        for number in range(1, 11):
            another = await desk.start(number)
            expected |= {f"mentorship/{another}", f"goal/{await desk.set_goal(another, due, number)}"}
            checkin = await desk.made(
                "checkins", "POST", "/v1/checkins",
                {"mentorship_id": mentorship_id, "goal_id": goal_id, "confidence": number % 10},
                person="mentee-0",
            )  # fmt: skip
            expected.add(f"checkin/{checkin['checkin_id']}")
        assert desk.slowest < NO_HANG_S
        await own.start_kafka()

        async def arrived() -> bool:
            found = [
                event for topic in ("goals", "checkins") for event in await system.events(topic, org=ORG)
            ]
            assert expected <= {event["subject"] for event in found}
            sequences: dict[str, list[int]] = {}
            for event in found:
                seen = sequences.setdefault(event["subject"], [])
                if int(event["sequence"]) not in seen:
                    seen.append(int(event["sequence"]))
            assert all(seen == list(range(1, len(seen) + 1)) for seen in sequences.values())
            return True

        await eventually(arrived, seconds=40)

    async def test_a_check_in_answered_a_second_before_the_deadline_never_ends_in_a_miss(
        self, own: OwnEngines, system: System
    ) -> None:
        desk = Desk(system)
        due = (await system.now() + timedelta(hours=5)).replace(microsecond=0)
        kept_m, broken_m = await desk.start(0), await desk.start(1)
        kept, broken = await desk.set_goal(kept_m, due, 0), await desk.set_goal(broken_m, due, 1)
        await desk.known(kept_m, kept, 0)

        await own.kill("kafka")
        await system.move(due - timedelta(seconds=1.5))
        body = {"mentorship_id": kept_m, "goal_id": kept, "progress": {"done": True}}
        logged = await desk.made("checkins", "POST", "/v1/checkins", body, person="mentee-0")
        assert parse_instant(logged["logged_at"]) < due, "too slow to be a test of this"
        await system.move(due + timedelta(minutes=10))
        assert (await desk.goal(kept))["state"] == "active"
        assert (await desk.goal(broken, 1))["state"] == "active", "nobody can know yet"
        await own.start_kafka()

        async def decided() -> bool:
            assert (await desk.goal(kept))["state"] == "met"
            assert (await desk.goal(broken, 1))["state"] == "missed"
            return True

        await eventually(decided, seconds=40)
        history = await desk.send("goals", "GET", f"/v1/goals/{kept}/history", person="mentee-0")
        assert "missed" not in history.text.lower()

    async def test_an_emptied_cluster_is_filled_again_and_the_numbers_stay(
        self, own: OwnEngines, system: System
    ) -> None:
        play = Play(system)
        await play.perform()
        await play.came_out_right()
        before = {
            topic: await system.events(topic, org=play.org) for topic in ("goals", "checkins", "nudges")
        }

        await own.kill("kafka")
        await own.empty_kafka()
        await own.start_kafka()
        await topics.ensure(system.kafka, topics.wanted(system.topic_prefix, 3))
        # A supervisor starts afresh what ends itself at the sight of another cluster.
        for service in DEFAULT_SERVICES:
            system.kill(service)
            await system.ended(service)
        await asyncio.gather(*(system.start(service) for service in DEFAULT_SERVICES))

        async def filled() -> bool:
            for topic, events in before.items():
                found = await system.events(topic, org=play.org)
                assert {event["id"] for event in events} <= {event["id"] for event in found}
            return True

        await eventually(filled, seconds=40)
        await system.folded()
        await play.came_out_right()


class TestMongoIsAway:
    async def test_requests_are_refused_in_time_and_the_services_recover_by_themselves(
        self, own: OwnEngines, system: System
    ) -> None:
        desk = Desk(system)
        due = await system.now() + timedelta(days=20)
        mentorship_id = await desk.start()
        goal_id = await desk.set_goal(mentorship_id, due)
        await desk.known(mentorship_id, goal_id)
        pids = {service: system.pid(service) for service in DEFAULT_SERVICES}

        await own.kill("mongo")
        desk.slowest = 0.0
        person = "mentee-0"
        answers = [
            await desk.send("goals", "GET", f"/v1/goals/{goal_id}", person=person),
            await desk.send(
                "checkins", "POST", "/v1/checkins", {"mentorship_id": mentorship_id}, person=person
            ),
            await desk.send("checkins", "GET", "/v1/checkins", person=person),
            await desk.send("notifier", "GET", "/v1/nudges"),
            await desk.send("metrics", "GET", f"/v1/metrics/goals/{goal_id}"),
        ]
        for answer in answers:
            assert answer.status_code == 503, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) >= 1
        assert desk.slowest < NO_HANG_S
        async with httpx.AsyncClient() as probe:
            for service in DEFAULT_SERVICES:
                ready = await probe.get(f"{system.urls[service]}/readyz", timeout=NO_HANG_S)
                assert ready.status_code == 503
                assert "mongo" in ready.json()["failing"]
        await own.start_mongo()

        async def recovered() -> bool:
            assert (await desk.goal(goal_id))["state"] == "active"
            body = {"mentorship_id": mentorship_id, "goal_id": goal_id, "progress": {"done": True}}
            answered = await desk.send("checkins", "POST", "/v1/checkins", body, person=person)
            return bool(answered.status_code == 201)

        await eventually(recovered, seconds=40)

        async def met() -> bool:
            return bool((await desk.goal(goal_id))["state"] == "met")

        await eventually(met, seconds=40)
        assert pids == {service: system.pid(service) for service in DEFAULT_SERVICES}
        assert all(system.running(service) for service in DEFAULT_SERVICES)
