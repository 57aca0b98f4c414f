"""What the tests of metrics share: the service alone, and histories published to it in the contract's format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from random import Random
from typing import Any

import httpx

from shared import events as contract
from shared.kafka import partition_of
from tests.support.records import Record
from tests.support.system import System
from tests.unit.metrics.histories import Happened, random_history
from tests.unit.metrics.recount import Filter, people

PARTITIONS = 3
START, END = date(2026, 1, 1), date(2026, 5, 31)
SPAN = ("scope", "id", "from", "to", "as_of", "series", "people", "engaged", "engaged_share")


def records(system: System, events: Iterable[Happened]) -> list[Record]:
    """Events as records, numbered per subject and topic."""
    sequences: dict[tuple[str, str], int] = {}
    made = []
    for event in events:
        topic = contract.topic_of(event.type)
        sequence = sequences[topic, event.subject] = sequences.get((topic, event.subject), 0) + 1
        key = event.data.mentorship_id
        headers = contract.headers_of(
            type_=event.type,
            id_=event.id,
            subject=event.subject,
            time=event.time,
            key=key,
            sequence=sequence,
            org_id=event.data.org_id,
            traceparent=None,
        )
        made.append(
            Record(
                system.topic_prefix + contract.TOPICS[topic],
                partition_of(key, PARTITIONS),
                0,
                key.encode(),
                contract.encode_document(event.type, contract.to_document(event.data)),
                dict(headers),
            )
        )
    return made


def client(
    system: System, org: str, scope: str = "onbelay:programs onbelay:metrics", sub: str = "hr"
) -> httpx.AsyncClient:
    return system.client("metrics", sub=sub, org=org, scope=scope)


async def get(asking: httpx.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    response = await asking.get(path, params={"from": START.isoformat(), "to": END.isoformat(), **params})
    assert response.status_code == 200, response.text
    return dict(response.json())


def numbers_of(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in SPAN}


def without_withheld(answer: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """What is expected, less the roles that are withheld or stand for nobody."""
    by_role = {
        role: answer["by_role"][role] if "withheld" in answer["by_role"][role] else numbers
        for role, numbers in expected["by_role"].items()
    }
    return {**expected, "by_role": by_role}


def done_by(person: str) -> Filter:
    return lambda role, who: who == person


def a_big_history(
    org: str, seed: int, *, one_program: bool = False
) -> tuple[list[Happened], list[list[Happened]]]:
    """A history of enough people for its numbers to be told: all events, and by topic in order."""
    rng = Random(seed)
    while True:
        history = random_history(rng, org)
        programs = {event.data.program_id for event in history.all}
        if len(set(people(history.all, START, END, END).values())) >= 8 and (
            not one_program or len(programs) == 1
        ):
            return history.all, list(history.events.values())


async def publish(system: System, topics: Sequence[Sequence[Happened]], times: int = 1) -> None:
    made = [record for events in topics for record in records(system, events)]
    for _ in range(times):
        await system.publish(made)
    await system.folded()
