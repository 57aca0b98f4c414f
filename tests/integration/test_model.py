"""Random histories through HTTP and Kafka come out as the model has it: answers, events, states and numbers.

Few and long ones; `python -m tests.fuzz --live` plays others. A history is two mentorships of one organization, and
several histories go side by side, since they share a clock.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared import events as contract
from shared.mongo import Mongo
from tests.model import cadence
from tests.model.histories import Drawn, Seeded
from tests.model.live import Live, clear_of, patiently
from tests.model.numbers import Whose, anybody, by, engaged, numbers, of_goal
from tests.model.steps import Told
from tests.support.polling import eventually
from tests.support.system import System

FUZZING = "ONBELAY_FUZZ_ROUNDS" in os.environ

pytestmark = [pytest.mark.engines, pytest.mark.timeout(0 if FUZZING else 600)]

HISTORIES = int(os.environ.get("ONBELAY_FUZZ_HISTORIES", "2"))
ROUNDS = int(os.environ.get("ONBELAY_FUZZ_ROUNDS", "10"))
DECISIONS = 2
SEED = os.environ.get("ONBELAY_FUZZ_SEED", "1")
SPAN = ("scope", "id", "from", "to", "as_of")
WITHHELD = {"withheld": "fewer than 5 people"}
LATE = timedelta(seconds=8)
"""A move that takes longer is followed by another, to where nothing is decided soon."""
TIGHT = timedelta(seconds=25)
"""After so much of a round nobody begins anything: what is decided soon must not come in between."""


@dataclass
class History:
    """Two mentorships, six people."""

    org: str
    mentorships: list[Live]
    drawn: list[Drawn] = field(default_factory=list)
    told: list[list[Told]] = field(default_factory=list)


class TestHistories:
    async def test_they_come_out_as_the_model_has_them(self, system: System) -> None:
        async with following(system) as follower:
            begin = await move(system, [], await system.now() + timedelta(minutes=10))
            histories = [await a_history(system, number) for number in range(HISTORIES)]
            everybody = [live for history in histories for live in history.mentorships]
            draws = [drawn for history in histories for drawn in history.drawn]
            chance = Seeded(f"{SEED}-clock")
            for _ in range(ROUNDS):
                now = await move(system, everybody, chance.one_of(draws).later(await system.now()))
                pairs = list(zip(everybody, draws, strict=True))
                await asyncio.gather(*(decide(system, *each, now) for each in pairs))
                await follower.caught_up("goals", "checkins")
                await asyncio.gather(*(report(system, *each, now) for each in pairs))
                await follower.caught_up("goals", "checkins")
                await asyncio.gather(*(live.agrees() for live in everybody))
            end = await move(system, everybody, await system.now() + timedelta(hours=1))
            for history in histories:
                await told_the_same(system, history, end)
                await asyncio.gather(*(live.remembers() for live in history.mentorships))
            await follower.caught_up("metrics")
            for history in histories:
                await counted_the_same(system, history, begin.date(), end.date())


class Follower:
    """Knows how far services have read."""

    def __init__(self, system: System, mongo: Mongo, consumer: AIOKafkaConsumer) -> None:
        self._system = system
        self._mongo = mongo
        self._consumer = consumer

    async def caught_up(self, *services: str) -> None:
        """Wait until what was said so far is published and read, and what followed from it too."""
        for _ in range(2):
            # A move publishes all that is stored.
            await moved(self._system, await self._system.now())
            partitions = [
                TopicPartition(self._system.topic_prefix + contract.TOPICS[topic], number)
                for topic in ("goals", "checkins")
                for number in range(12)
            ]
            ends = await self._consumer.end_offsets(partitions)
            for service in services:
                offsets = self._system.database(self._mongo, service)["offsets"]

                async def has_read(offsets: Any = offsets, ends: dict[Any, int] = ends) -> bool:
                    stored = {
                        (each["topic"], each["partition"]): each["next"] async for each in offsets.find()
                    }
                    read = {topic for topic, _ in stored}
                    return all(
                        stored.get((tp.topic, tp.partition), 0) >= end
                        for tp, end in ends.items()
                        if tp.topic in read
                    )

                await eventually(has_read, seconds=30)


@asynccontextmanager
async def following(system: System) -> AsyncIterator[Follower]:
    """A follower of a system."""
    mongo = Mongo.connect(system.mongo)
    consumer = AIOKafkaConsumer(bootstrap_servers=system.kafka)
    await consumer.start()
    try:
        yield Follower(system, mongo, consumer)
    finally:
        await consumer.stop()
        await mongo.close()


async def moved(system: System, target: datetime) -> datetime:
    """Move the clock, again while a service does not follow in time."""

    async def attempt() -> datetime:
        return await system.move(max(target, await system.now() + timedelta(seconds=1)))

    return await eventually(attempt, seconds=60, every=1)


async def move(system: System, everybody: list[Live], target: datetime) -> datetime:
    """Let time pass, to where a round can begin, and wait until what became due is decided."""
    models = [live.model for live in everybody]
    target = clear_of(models, target)
    while (now := await moved(system, target)) - target > LATE:
        target = clear_of(models, now + LATE)
    for live in everybody:
        live.notes.append(f"it is {now:%a %F %T}")
        live.model.time_passes(now, now)
    await asyncio.gather(*(live.agrees() for live in everybody))
    return now


async def a_history(system: System, number: int) -> History:
    """Two mentorships that have just begun."""
    org = f"org-{uuid4().hex[:8]}"
    mentorships = [
        Live(system, org, "program", {role: f"{role}-{pair}" for role in ("mentor", "mentee", "leader")})
        for pair in (1, 2)
    ]
    history = History(org, mentorships)
    for pair, live in enumerate(mentorships):
        await live.begin()
        history.drawn.append(Drawn(Seeded(f"{SEED}-{number}-{pair}"), live.model, exact=False))
    return history


async def decide(system: System, live: Live, drawn: Drawn, begun: datetime) -> None:
    """People take steps that goals answers at once, unless it is late for that."""
    for _ in range(DECISIONS):
        now = await system.now()
        if now - begun < TIGHT:
            await live.take(drawn.decision(now))


async def report(system: System, live: Live, drawn: Drawn, begun: datetime) -> None:
    """Somebody checks in, or takes notice; what follows from it is on its way."""
    now = await system.now()
    step = drawn.report(now)
    if step is not None and now - begun < TIGHT:
        await live.take(step)


async def told_the_same(system: System, history: History, end: datetime) -> None:
    """Kafka holds the model's events, subject by subject, and its lapses."""

    async def all_told() -> bool:
        events = [
            event for topic in ("goals", "checkins") for event in await system.events(topic, history.org)
        ]
        history.told = []
        for live in history.mentorships:
            found = live.told_the_same(events)
            assert sorted(_lapse(each) for each in found) == sorted(lapses(live, end))
            history.told.append(renamed(live, [*live.model.told, *found]))
        return True

    await eventually(all_told, seconds=30, every=1)


def lapses(live: Live, end: datetime) -> list[tuple[str, str, datetime]]:
    """The lapses of a mentorship's goals, as the model has them."""
    return [
        (goal, each.period.isoformat(), each.expected_by)
        for goal in live.model.goals
        for each in cadence.lapses(live.model.told, goal, _logged(live, goal), end)
    ]


def _logged(live: Live, goal: str) -> list[datetime]:
    return [each.logged_at for each in live.model.check_ins.values() if each.goal == goal]


def _lapse(told: Told) -> tuple[str, str, datetime]:
    return told.data["goal_id"], told.data["period"], told.data["expected_by"]


def renamed(live: Live, told: list[Told]) -> list[Told]:
    """By the ids that the services gave: names are a mentorship's own."""
    return [
        Told(each.subject, each.type, each.time, {**each.data, "goal_id": live.ids[each.data["goal_id"]]})
        if "goal_id" in each.data
        else each
        for each in told
    ]


async def counted_the_same(system: System, history: History, begin: date, last: date) -> None:
    """Metrics answers what the model counts: of goals, mentorships, people and the organization, week by week."""
    first, middle = begin - timedelta(days=8), begin + (last - begin) / 2
    for first_day, last_day, as_of in ((first, last, last), (middle, last, last), (first, last, middle)):
        window = {"from": first_day.isoformat(), "to": last_day.isoformat(), "as_of": as_of.isoformat()}
        for live, told in zip(history.mentorships, history.told, strict=True):
            asked: list[tuple[str, str, list[Told], Whose]] = [
                ("mentorships", live.mentorship_id, told, anybody)
            ]
            asked += [("people", person, told, by(person)) for person in live.people.values()]
            ids = (live.ids[name] for name in live.model.goals)
            asked += [("goals", goal, of_goal(told, goal), anybody) for goal in ids]
            for scope, id_, own, whose in asked:
                answer = await _numbers(system, history, f"{scope}/{id_}", {**window, "granularity": "week"})
                for part in (*answer.pop("series"), answer):
                    days = (date.fromisoformat(part["from"]), date.fromisoformat(part["to"]), as_of)
                    found = {name: value for name, value in part.items() if name not in SPAN}
                    assert found == numbers(own, *days, whose), f"{scope} {id_} {days}"
        answer = await _numbers(system, history, f"orgs/{history.org}", window, "onbelay:metrics")
        found = {name: value for name, value in answer.items() if name not in SPAN}
        assert found == of_the_organization(history, first_day, last_day, as_of)


def of_the_organization(history: History, first: date, last: date, as_of: date) -> dict[str, Any]:
    """Its numbers; with three people a mentorship no role has enough to be shown, and one mentorship has not either."""
    told = [each for own in history.told for each in own]
    people = {
        person
        for live in history.mentorships
        for person in live.people.values()
        if live.model.ended_at is None
        or not live.model.ended_at.date() < min(first, as_of + timedelta(days=1))
    }
    if len(people) < 5:
        return WITHHELD
    expected = numbers(told, first, last, as_of)
    expected["by_role"] = dict.fromkeys(expected["by_role"], WITHHELD)
    active = engaged(told, first, last, as_of) & people
    return {
        **expected,
        "people": len(people),
        "engaged": len(active),
        "engaged_share": len(active) / len(people),
    }


async def _numbers(
    system: System,
    history: History,
    of: str,
    parameters: dict[str, str],
    needs: str = "onbelay:programs",
) -> dict[str, Any]:
    client = system.client("metrics", sub="hr", org=history.org, scope=needs)
    answer = await patiently(lambda: client.get(f"/v1/metrics/{of}", params=parameters))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
