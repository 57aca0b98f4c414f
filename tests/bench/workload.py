"""The events of the projections' benchmarks: programs of pairs as they would be told over twelve weeks.

Each pair has two goals, and 40 events: it starts; each goal is set, and met or missed in the end; in between both
people log check-ins, some of which are acknowledged. All pairs go through the weeks at the same time, so that a
partition's events jump from goal to goal, as in life: a batch holds hardly more than one event of a goal.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared import events as contract
from shared.events.types import Role
from shared.ids import uuid7
from shared.kafka import Outgoing, Producer, partition_of
from tests.builders import Pair

BEGIN = datetime(2026, 8, 3, 8, tzinfo=UTC)
WEEKS = timedelta(weeks=12)
ORGS = 4
PROGRAMS_AN_ORG = 5
GOALS_A_PAIR = 5
"""Where nothing else happens."""
LOGGED_A_GOAL = 15
PARTITIONS = 6
HAND_OVER = 500

Told = tuple[datetime, int, contract.Event, str, int]
"""When it was recorded, a number that breaks ties, the event, its subject, and its sequence."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Topics that hold events: their prefix, how many events, and of how many goals."""

    topic_prefix: str
    events: int
    goals: int


def events(pairs: int, *, seed: int = 7) -> Iterator[Told]:
    """All events of so many pairs, in the order in which they were recorded."""
    chance = random.Random(seed)
    return heapq.merge(
        *(_life(n, chance.random(), random.Random(seed * 1_000_003 + n)) for n in range(pairs))
    )


def goals_set(pairs: int, *, at: datetime = BEGIN) -> Iterator[Told]:
    """The start of so many pairs, each with `GOALS_A_PAIR` goals that are set; and nothing else."""
    for n in range(pairs):
        pair = _pair(n)
        yield (at, n, *_of(pair.started()), 1)
        for _ in range(GOALS_A_PAIR):
            yield (at, n, *_of(pair.goal_set(due_at=at + WEEKS)), 1)


def _pair(n: int) -> Pair:
    org = n % ORGS
    program = (n // ORGS) % PROGRAMS_AN_ORG
    return Pair(
        org_id=f"org-{org}",
        program_id=f"program-{org}-{program}",
        mentor_id=f"mentor-{n}",
        mentee_id=f"mentee-{n}",
    )


def _of(event: contract.Event) -> tuple[contract.Event, str]:
    return event, contract.subject_of(event)


def _life(n: int, shift: float, chance: random.Random) -> Iterator[Told]:
    pair = _pair(n)
    begin = BEGIN + timedelta(days=shift)
    found: list[Told] = [(begin, n, *_of(pair.started()), 1)]
    for number in range(2):
        goal_id = uuid7()
        owner, other = (pair.mentee_id, pair.mentor_id) if number == 0 else (pair.mentor_id, pair.mentee_id)
        role: Role = "mentee" if number == 0 else "mentor"
        other_role: Role = "mentor" if number == 0 else "mentee"
        due_at = begin + WEEKS
        whose = {"owner_id": owner, "owner_role": role}
        goal = pair.goal_set(goal_id, **whose, counterpart_id=other, due_at=due_at)
        found.append((begin + timedelta(minutes=5 + number), n, *_of(goal), 1))
        step = WEEKS / (LOGGED_A_GOAL + 1)
        for k in range(LOGGED_A_GOAL):
            at = begin + timedelta(minutes=10) + step * (k + chance.random())
            by_owner = k % 4 != 3
            logged = pair.logged(
                goal_id=goal_id,
                author_id=owner if by_owner else other,
                author_role=role if by_owner else other_role,
                occurred_at=at,
                logged_at=at,
                progress=contract.Progress(value=round(7 * (k + 1) / LOGGED_A_GOAL, 2)),
                confidence=chance.randrange(3, 10),
                realistic=chance.random() > 0.1,
                attainable=True,
            )
            found.append((at, n, *_of(logged), 1))
            # Two or three acknowledgements a goal, so that a pair has 40 events.
            if k in (2, 8) or (k == 12 and number == 0):
                seen = contract.CheckInAcknowledged(
                    **pair.common,
                    checkin_id=logged.checkin_id,
                    goal_id=goal_id,
                    acknowledged_by=other if by_owner else owner,
                    acknowledger_role=other_role if by_owner else role,
                    acknowledged_at=at + timedelta(hours=3),
                )
                found.append((at + timedelta(hours=3), n, seen, f"checkin/{logged.checkin_id}", 2))
        common = {**pair.common, "goal_id": goal_id, **whose, "revision": 1, "due_at": due_at}
        if chance.random() < 0.6:
            met_at = due_at - timedelta(hours=30)
            met = contract.GoalMet(**common, met_at=met_at, days_early=1.25)
            found.append((met_at, n, *_of(met), 2))
        else:
            missed_at = due_at + timedelta(minutes=1)
            missed = contract.GoalMissed(**common, missed_at=missed_at, fraction=0.7)
            found.append((missed_at, n, *_of(missed), 2))
    found.sort(key=lambda each: each[0])
    return iter(found)


def outgoing(told: Told, prefix: str) -> Outgoing:
    """The record of an event, as the product publishes it."""
    time, _, event, subject, sequence = told
    name = type(event).__name__
    data = contract.to_document(event)
    key = data["mentorship_id"]
    return Outgoing(
        prefix + contract.TOPICS[contract.topic_of(name)],
        key.encode(),
        contract.encode_document(name, data),
        contract.headers_of(
            type_=name,
            id_=uuid7(),
            subject=subject,
            time=time,
            key=key,
            sequence=sequence,
            org_id=data["org_id"],
            traceparent=None,
        ),
        partition_of(key, PARTITIONS),
    )


async def publish(bootstrap: str, prefix: str, told: Iterable[Told]) -> int:
    """Publish events to topics that are there; how many those were."""
    producer = Producer(bootstrap, client_id="bench")
    waiting: dict[tuple[str, int], list[Outgoing]] = {}
    futures = []
    count = 0

    async def hand_over(topic: str, partition: int, records: list[Outgoing]) -> None:
        while records:
            future, taken = await producer.send_batch(topic, partition, records)
            futures.append(future)
            records = records[taken:]

    try:
        for each in told:
            record = outgoing(each, prefix)
            at = (record.topic, record.partition or 0)
            waiting.setdefault(at, []).append(record)
            count += 1
            if len(waiting[at]) >= HAND_OVER:
                await hand_over(*at, waiting.pop(at))
        for at, records in waiting.items():
            await hand_over(*at, records)
        for future in futures:
            await future
    finally:
        await producer.stop()
    return count
