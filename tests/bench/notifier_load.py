"""A hundred thousand people with reminders due in the same hour: how fast the notifier attends to them.

    python -m tests.bench.notifier_load                     # 100,000 people, and 2,000 one by one
    python -m tests.bench.notifier_load --people 2000       # short

Each person has two reminders, told in one message of their own. The service runs as it is shipped, with its intake,
its ledger in MongoDB, its events to Kafka, and its mail by SMTP to a server in this process that takes everything.
The same work one by one is the same service told to attend to one person at a time (`ONBELAY_NOTIFIER_WORKERS=1`),
on a fiftieth of the people, in the same run. Prints one line of JSON; rates are reminders decided in a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from deploy.local.ports import pick
from services.notifier.domain.causes import Happened
from services.notifier.domain.person import WEEKDAYS, Recipient
from services.notifier.domain.replica import Replica, fold
from services.notifier.store import Store
from shared import events as contract
from shared.clock import SystemClock
from shared.ids import uuid7
from shared.intake import Batch
from shared.mongo import Collection, Database, Doc
from tests.bench.ground import Failed, Ground, Place
from tests.builders import Pair
from tests.faults.scripted_smtp import ScriptedSmtp
from tests.support.engines import engines_for_tests

REMINDERS = 2
"""A person."""
PAIRS_AT_ONCE = 250
LOOK_EVERY_S = 0.5
STANDS_STILL_S = 120.0


class _Nobody:
    def kick(self, collection: Collection, document: Doc) -> None:
        """Nothing is published while it is filled in."""


async def fill(ground: Ground, database: Database, people: int) -> None:
    """So many mentors are to hear that their mentee has met two goals, half an hour ago."""
    store = Store(ground.client, database, _Nobody(), holder="fill", lease_s=20)
    await store.make_indexes()
    happened_at = SystemClock().now() - timedelta(minutes=30)
    for start in range(0, people, PAIRS_AT_ONCE):
        replica = Replica()
        for number in range(start, min(start + PAIRS_AT_ONCE, people)):
            for event in _events(number, happened_at):
                fold(replica, Happened(event, uuid7(), happened_at))

        async def save(session: Any, replica: Replica = replica) -> None:
            await store.save(replica, Batch("goals", 0, ()), happened_at, session)

        await ground.client.transaction(save)
    recipient = Recipient(
        time_zone="UTC", quiet_from="00:00", quiet_to="00:00", workdays=WEEKDAYS, put_at=happened_at
    )
    chosen = msgspec.to_builtins(recipient, builtin_types=(datetime,))
    channels = [{"kind": "email", "address": {"$concat": ["$person_id", "@example.com"]}}]
    await database["people"].update_many(
        {"person_id": {"$regex": "^mentor-"}}, [{"$set": {"recipient": {**chosen, "channels": channels}}}]
    )


def _events(number: int, at: datetime) -> Sequence[contract.Event]:
    pair = Pair(org_id="org", mentor_id=f"mentor-{number}", mentee_id=f"mentee-{number}")
    events: list[contract.Event] = [pair.started()]
    for _ in range(REMINDERS):
        set_ = pair.goal_set()
        met = contract.GoalMet(
            **pair.common, goal_id=set_.goal_id, owner_id=pair.mentee_id, owner_role="mentee", revision=1,
            met_at=at, due_at=set_.due_at, days_early=1.0,
        )  # fmt: skip
        events += [set_, met]
    return events


async def drain(ground: Ground, people: int, workers: int | None) -> dict[str, Any]:
    """Fill in so many people, start the service, and watch until the ledger tells of all their reminders.

    Raises:
        Failed: the ledger stands still before that, or somebody got another number of messages than one.
    """
    place = Place.new()
    database = ground.client.database(f"{place.database_prefix}notifier")
    await ground.topics(place)
    await fill(ground, database, people)
    (port,) = pick(1)
    env = {"ONBELAY_NOTIFIER_SMTP_PORT": str(port)}
    if workers is not None:
        env["ONBELAY_NOTIFIER_WORKERS"] = str(workers)
    smtp = ScriptedSmtp()
    nudges = database["nudges"]
    async with smtp.listening(port), ground.service("notifier", place, env=env) as running:
        first, begun, cpu = await _seen(nudges, 1), time.monotonic(), running.cpu_s()
        await _seen(nudges, REMINDERS * people)
        seconds, cpu = time.monotonic() - begun, running.cpu_s() - cpu
    messages = [len(set(ids)) for ids in smtp.handed_over.values()]
    if len(messages) != people or set(messages) != {1}:
        raise Failed(f"{len(messages)} of {people} people got messages, {sum(messages)} in all")
    await ground.clean(place)
    decided = REMINDERS * people - first
    return {
        "people": people,
        "messages": sum(messages),
        "seconds": round(seconds, 1),
        "decisions_per_s": round(decided / seconds, 1),
        "cpu_ms_per_person": round(1000 * cpu / people, 2),
    }


async def _seen(nudges: Collection, wanted: int) -> int:
    """Wait until the ledger has so many entries; how many it has."""
    found, changed = 0, time.monotonic()
    while True:
        now_found = await nudges.estimated_document_count()
        if now_found >= wanted:
            return int(now_found)
        if now_found != found:
            found, changed = now_found, time.monotonic()
        elif time.monotonic() - changed > STANDS_STILL_S:
            raise Failed(f"the ledger stands still at {found} of {wanted}")
        await asyncio.sleep(min(LOOK_EVERY_S, 0.02 if wanted == 1 else LOOK_EVERY_S))


async def measure(people: int, folder: Path) -> dict[str, Any]:
    """Both ways, on engines of their own or those that `ONBELAY_TEST_ENGINES` names."""
    async with engines_for_tests(folder / "engines") as engines:
        ground = Ground(engines, folder)
        alone = await drain(ground, max(200, people // 50), workers=1)
        together = await drain(ground, people, workers=None)
    return {
        "together": together,
        "one_by_one": alone,
        "ratio": round(together["decisions_per_s"] / alone["decisions_per_s"], 2),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.notifier_load", description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(options.people, Path(folder)))))


if __name__ == "__main__":
    main()
