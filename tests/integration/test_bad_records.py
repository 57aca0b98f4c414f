"""Records that are wrong, published beside good ones to the running services: dead letters, and nothing else."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from shared import events as contract
from shared.ids import uuid7
from tests.builders import Pair, record
from tests.builders import Record as Sent
from tests.support.engines import Engines
from tests.support.polling import eventually
from tests.support.records import Record
from tests.support.system import DEFAULT_SERVICES, System

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
async def system(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """One of this module's own: other tests read all records of theirs, and find them good."""
    made = System(engines, tmp_path_factory.mktemp("system"), partitions=3)
    try:
        await made.begin()
        yield made
    finally:
        await made.end()


READERS = {"goals": {"checkins", "notifier", "metrics"}, "checkins": {"goals", "notifier", "metrics"}}
"""Which services read each topic, and so must each have refused its bad records."""

PREFIX = "onbelay-dead-letter-"


class Sender:
    """Publishes to one partition of the system's topics, so that good and bad records share batches."""

    def __init__(self, system: System) -> None:
        self._system = system

    async def send(self, *records: Sent) -> None:
        await self._system.publish([self._placed(each) for each in records])

    def _placed(self, sent: Sent) -> Record:
        topic = self._system.topic_prefix + contract.TOPICS[sent.topic]
        return Record(topic, 0, 0, sent.key, sent.value, dict(sent.headers))

    async def letters(self, mark: str) -> dict[str, dict[str, Record]]:
        """Dead letters that bear a mark in a header of their own: by that header's end, then by consumer."""
        found: dict[str, dict[str, Record]] = defaultdict(dict)
        for letter in await self._system.records("dead-letters"):
            name = letter.headers.get("x-mark", b"").decode()
            if name.startswith(mark):
                consumer = letter.headers[f"{PREFIX}consumer"].decode()
                assert consumer not in found[name.removeprefix(mark)], "one dead letter for each consumer"
                found[name.removeprefix(mark)][consumer] = letter
        return dict(found)


def bad(pair: Pair, stranger: Pair, goal_id: str) -> dict[str, tuple[Sent, str]]:
    """Bad records by what is wrong with them, and how the reason of their dead letter begins."""
    started = record(pair.started(), sequence=9)
    logged = record(pair.logged(goal_id=goal_id))
    return {
        "no headers": (Sent("goals", b"k", b"{}", []), "header: ce_type is missing"),
        "no sequence": (started.without("ce_sequence"), "header: ce_sequence is missing"),
        "no trace": (logged.without("traceparent"), "header: traceparent is missing"),
        "null value": (Sent("goals", started.key, None, started.headers), "value: there is none"),
        "no json": (Sent("goals", started.key, b'{"org_id"', started.headers), "json: "),
        "not utf-8": (started.with_header("ce_subject", b"\xff\xfe"), "header: ce_subject is not UTF-8"),
        "a wrong type": (record(pair.logged(), data={"occurred_at": 7}), "schema: "),
        "a megabyte": (Sent("checkins", logged.key, b"x" * 1_000_000, logged.headers), "json: "),
        "another tenant's header": (started.with_header("ce_orgid", b"org-of-others"), "tenant: "),
        "another tenant's goal": (record(stranger.logged(goal_id=goal_id)), "tenant: "),
        "another key": (Sent("checkins", b"elsewhere", logged.value, logged.headers), "key: "),
    }


async def set_goal(system: System, org: str) -> tuple[Pair, str, httpx.AsyncClient]:
    """A pair and a goal of theirs, made through the API; and the mentee's client of checkins."""
    hr = system.client("goals", sub="hr", org=org, scope="onbelay:programs")
    people = {"mentor_id": "mentor-1", "mentee_id": "mentee-1", "program_id": "program-1"}
    started = await hr.post("/v1/mentorships", json={**people, "time_zone": "UTC"})
    assert started.status_code == 201, started.text
    pair = Pair(org_id=org, mentorship_id=started.json()["mentorship_id"])
    due = (await system.now() + timedelta(days=20)).date().isoformat()
    body = {
        "mentorship_id": pair.mentorship_id,
        "title": "Give a talk",
        "measure": {"kind": "done"},
        "deadline": {"date": due, "time_zone": "UTC"},
    }
    goal = await system.client("goals", sub=pair.mentee_id, org=org).post("/v1/goals", json=body)
    assert goal.status_code == 201, goal.text
    return pair, goal.json()["goal_id"], system.client("checkins", sub=pair.mentee_id, org=org)


async def logged(metrics: httpx.AsyncClient, goal_id: str) -> int | None:
    """How many check-ins metrics counts for a goal; None: it does not know the goal yet."""
    window = {"from": "2026-01-01", "to": "2030-12-31"}
    answer = await metrics.get(f"/v1/metrics/goals/{goal_id}", params=window)
    return int(answer.json()["check_ins"]["logged"]) if answer.status_code == 200 else None


class TestBadRecords:
    async def test_each_is_a_dead_letter_of_each_reader_and_its_neighbours_are_unharmed(
        self, system: System
    ) -> None:
        org, mark = f"org-{uuid4().hex[:8]}", f"{uuid4().hex[:8]}/"
        pair, goal_id, mentee = await set_goal(system, org)
        sender = Sender(system)
        stranger = Pair(org_id=f"{org}-2", mentorship_id=pair.mentorship_id)
        wrong = bad(pair, stranger, goal_id)
        pids = [system.pid(service) for service in DEFAULT_SERVICES]

        # Good records of another program stand between the bad ones, in the same partitions.
        others = Pair(org_id=org, program_id="others", mentorship_id=uuid7())
        good_goal = uuid7()
        between = [
            record(others.started()),
            record(others.goal_set(good_goal)),
            *(record(others.logged(goal_id=good_goal)) for _ in range(len(wrong) - 2)),
        ]
        mixed: list[Sent] = []
        for (name, (broken, _)), fine in zip(wrong.items(), between, strict=True):
            mixed += [broken.with_header("x-mark", (mark + name).encode()), fine]
        await system.folded()  # whose a goal is can be told once it is known
        await sender.send(*mixed)

        async def refused() -> dict[str, dict[str, Record]]:
            found = await sender.letters(mark)
            for name, (broken, _) in wrong.items():
                assert set(found.get(name, {})) == READERS[broken.topic], name
            return found

        letters = await eventually(refused, seconds=20)
        for name, (broken, reason) in wrong.items():
            for letter in letters[name].values():
                assert letter.headers[f"{PREFIX}reason"].decode().startswith(reason), name
                assert (letter.key, letter.value) == (broken.key, broken.value)
                kept = {key: value for key, value in letter.headers.items() if not key.startswith(PREFIX)}
                assert kept == {**dict(broken.headers), "x-mark": (mark + name).encode()}

        reader = system.client("metrics", sub="hr", org=org, scope="onbelay:programs")

        async def counted() -> bool:
            return await logged(reader, good_goal) == len(wrong) - 2 and await logged(reader, goal_id) == 0

        await eventually(counted, seconds=20)

        # And people go on as if nothing had been.
        body = {"mentorship_id": pair.mentorship_id, "goal_id": goal_id, "progress": {"done": True}}
        assert (await mentee.post("/v1/checkins", json=body)).status_code == 201
        goals = system.client("goals", sub=pair.mentee_id, org=org)

        async def met() -> bool:
            return bool((await goals.get(f"/v1/goals/{goal_id}")).json()["state"] == "met")

        await eventually(met, seconds=20)
        assert pids == [system.pid(service) for service in DEFAULT_SERVICES]

    async def test_a_type_that_nobody_knows_is_passed_over(self, system: System) -> None:
        org, mark = f"org-{uuid4().hex[:8]}", f"{uuid4().hex[:8]}/"
        pair, goal_id, _ = await set_goal(system, org)
        sender = Sender(system)
        unknown = record(pair.logged(goal_id=goal_id)).with_header("ce_type", b"onbelay.CheckInFramed.v1")
        beyond = json.dumps({"org_id": org, "anything": [1, {}]}).encode()
        counted_id = uuid7()
        await sender.send(
            Sent("checkins", unknown.key, beyond, unknown.headers).with_header("x-mark", mark.encode()),
            record(pair.logged(counted_id, goal_id=goal_id), time=await system.now()),
        )
        reader = system.client("metrics", sub="hr", org=org, scope="onbelay:programs")

        async def counted() -> bool:
            return await logged(reader, goal_id) == 1

        await eventually(counted, seconds=20)
        await system.folded()
        assert await sender.letters(mark) == {}
