"""A small program, played through the public APIs as an integration would, that comes out the same whatever dies.

Three mentorships over three weeks; what becomes of each goal, and so every number, is known beforehand:

    A  mentee, a number: counted up in three check-ins, met early
    B  mentor: never met, missed
    C  leader: renegotiated a week ahead, met by the new deadline
    D  mentee: missed, then taken back by belated evidence of the mentor
    E  mentee, every 3 days: two check-ins lapse, met early

Each request is sent again with its idempotency key until it is answered, as a careful client does.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from shared.mongo import Mongo
from shared.time import format_instant
from tests.support.polling import eventually
from tests.support.system import System

DAY = timedelta(days=1)
PAIRS = 3
LAST_DAY = 23
PATIENCE_S = 60.0

NUMBERS: dict[str, Any] = {
    "goals": {
        "set": 5 * PAIRS,
        "met": 4 * PAIRS,
        "met_late": 0,
        "missed": PAIRS,
        "retracted": PAIRS,
        "dropped": 0,
        "revised": PAIRS,
        "eased": PAIRS,
        "open": 0,
    },
    "follow_through": 0.8,
    "check_ins": {"logged": 6 * PAIRS, "lapsed": 2 * PAIRS, "acknowledged": 0},
    "check_in_rate": 0.75,
    "people": 3 * PAIRS,
    "engaged": 3 * PAIRS,
    "engaged_share": 1.0,
}
"""What metrics must answer for the program in the end, whatever happened on the way."""


@dataclass
class Play:
    """One program of one organization, on a running system."""

    system: System
    org: str = field(default_factory=lambda: f"org-{uuid4().hex[:8]}")
    program: str = "rising"
    start: datetime = field(init=False)
    mentorships: list[str] = field(default_factory=list)
    goals: dict[str, str] = field(default_factory=dict)
    day: int = 0

    async def perform(self) -> None:
        """Play it from its first day to its last."""
        await self.set_up()
        for day in range(1, LAST_DAY + 1):
            await self.move(day)
            await self.do_what_belongs_to(day)

    async def set_up(self) -> None:
        """Move to a Monday at 9 in the morning, and set everything that is set on the first day."""
        now = await self._now()
        monday = (now + DAY * (7 - now.weekday())).replace(hour=9, minute=0, second=0, microsecond=0)
        self.start = monday
        await self._move_to(monday)
        for pair in range(PAIRS):
            for role in ("mentor", "mentee", "leader"):
                await self.put_recipient(f"{role}-{pair}")
            self.mentorships.append(await self._start(pair))
            number = {"kind": "number", "target": 4, "unit": "talks"}
            await self._set(pair, "A", "mentee", number, 14)
            await self._set(pair, "B", "mentor", {"kind": "done"}, 7)
            await self._set(pair, "C", "leader", {"kind": "done"}, 7)
            await self._set(pair, "D", "mentee", {"kind": "done"}, 8)
            await self._set(pair, "E", "mentee", {"kind": "done"}, 10, check_in_every_days=3)

    async def move(self, day: int) -> None:
        """Move the clock to 9 in the morning of a day."""
        self.day = day
        await self._move_to(self.start + DAY * day)

    async def do_what_belongs_to(self, day: int) -> None:
        """What people do on a day."""
        for pair in range(PAIRS):
            for on, value in ((3, 1), (7, 2), (10, 4)):
                if day == on:
                    await self.check_in(pair, "A", "mentee", {"value": value})
            if day == 2:
                await self._renegotiate(pair, "C", 21)
            if day == 8:
                await self.check_in(pair, "E", "mentee", {"done": True})
            if day == 10:
                # Belated: it happened before D was due, and is told after D was missed.
                await self._state(pair, "D", "missed")
                occurred = self.start + DAY * 7
                await self.check_in(pair, "D", "mentor", {"done": True}, occurred_at=format_instant(occurred))
            if day == 15:
                await self.check_in(pair, "C", "leader", {"done": True})

    # -- what came of it

    async def numbers(self) -> dict[str, Any]:
        """What metrics answers for the program."""
        client = self.system.client("metrics", sub="hr", org=self.org, scope="onbelay:metrics")
        window = {
            "from": (self.start - DAY).date().isoformat(),
            "to": (self.start + DAY * LAST_DAY).date().isoformat(),
        }
        response = await client.get(f"/v1/metrics/programs/{self.program}", params=window)
        return dict(response.json()) if response.status_code == 200 else {"status": response.status_code}

    async def came_out_right(self, seconds: float = 40) -> None:
        """The numbers are those expected, every goal was missed at most once, no event is lost, no nudge doubled."""

        async def as_expected() -> bool:
            found = await self.numbers()
            assert {name: found.get(name) for name in NUMBERS} == NUMBERS
            return True

        await eventually(as_expected, seconds=seconds)
        await self.everybody_was_told(seconds)
        await self.system.folded()
        await self.events_are_whole()
        await self.ledger_has_no_doubles()

    async def everybody_was_told(self, seconds: float = 40) -> None:
        """Wait until nothing is due to anybody any more."""
        mongo = Mongo.connect(self.system.mongo)
        people = self.system.database(mongo, "notifier")["people"]

        async def told() -> bool:
            due = {"org_id": self.org, "next_at": {"$lte": await self.system.now()}}
            return await people.find_one(due) is None

        try:
            await self.system.folded()
            await eventually(told, seconds=seconds)
        finally:
            await mongo.close()

    async def events_are_whole(self) -> None:
        """Per subject the first occurrences stand in sequence without gaps; one miss per goal and revision."""
        misses: Counter[tuple[str, int]] = Counter()
        for topic in ("goals", "checkins", "nudges"):
            last: dict[str, int] = {}
            ids: dict[tuple[str, int], str] = {}
            for event in await self.system.events(topic, org=self.org):
                subject, sequence = event["subject"], int(event["sequence"])
                if (subject, sequence) in ids:
                    assert ids[subject, sequence] == event["id"], f"{subject} has two events of {sequence}"
                    continue
                ids[subject, sequence] = event["id"]
                assert sequence == last.get(subject, 0) + 1, (
                    f"{subject}: {sequence} after {last.get(subject, 0)}"
                )
                last[subject] = sequence
                if event["type"] == "onbelay.GoalMissed.v1":
                    misses[event["data"]["goal_id"], event["data"]["revision"]] += 1
        wanted = [self.goals[f"{name}{pair}"] for name in "BD" for pair in range(PAIRS)]
        assert misses == Counter({(goal_id, 1): 1 for goal_id in wanted})

    async def ledger_has_no_doubles(self) -> None:
        """One ledger entry, and one event, per (recipient, kind, subject, period)."""
        entries = await self.ledger()
        said = Counter(
            (entry["recipient_id"], entry["kind"], entry.get("goal_id"), entry["period"]) for entry in entries
        )
        assert [what for what, times in said.items() if times > 1] == []
        assert entries, "nobody was nudged at all"
        told: dict[str, str] = {}
        for event in await self.system.events("nudges", org=self.org):
            told[event["id"]] = event["data"]["nudge_id"]
        assert sorted(told.values()) == sorted(entry["nudge_id"] for entry in entries)

    async def ledger(self) -> list[dict[str, Any]]:
        """All entries of the organization's ledger."""
        client = self.system.client("notifier", sub="hr", org=self.org, scope="onbelay:programs")
        entries: list[dict[str, Any]] = []
        parameters: dict[str, str] = {"limit": "200"}
        while True:
            response = await client.get("/v1/nudges", params=parameters)
            response.raise_for_status()
            page = response.json()
            entries += page["items"]
            if not page.get("next_cursor"):
                return entries
            parameters["cursor"] = page["next_cursor"]

    # -- steps

    async def _start(self, pair: int) -> str:
        body = {
            "program_id": self.program,
            "mentor_id": f"mentor-{pair}",
            "mentee_id": f"mentee-{pair}",
            "leader_id": f"leader-{pair}",
            "time_zone": "UTC",
            "check_in_every_days": 30,
        }
        answer = await self._send("goals", "POST", "/v1/mentorships", body, scope="onbelay:programs")
        return str(answer["mentorship_id"])

    async def _set(
        self, pair: int, name: str, role: str, measure: Mapping[str, Any], due: int, **more: Any
    ) -> None:
        body = {
            "mentorship_id": self.mentorships[pair],
            "title": f"Goal {name} of pair {pair}",
            "measure": measure,
            "deadline": self._deadline(due),
            **more,
        }
        answer = await self._send("goals", "POST", "/v1/goals", body, person=f"{role}-{pair}")
        self.goals[f"{name}{pair}"] = str(answer["goal_id"])

    async def _renegotiate(self, pair: int, name: str, due: int) -> None:
        goal_id, person = self.goals[f"{name}{pair}"], f"leader-{pair}"
        deadline = self._deadline(due)
        while True:
            goal, etag = await self._get(f"/v1/goals/{goal_id}", person)
            if goal["deadline"]["date"] == deadline["date"]:
                return
            answered = await self._once(
                "goals",
                "PATCH",
                f"/v1/goals/{goal_id}",
                {"deadline": deadline},
                person=person,
                headers={"If-Match": etag},
            )
            # A PATCH has no idempotency key: after a failure the goal is read again, above.
            assert answered is None or answered.status_code in (200, 412), answered.text

    async def check_in(
        self, pair: int, name: str, role: str, progress: Mapping[str, Any], **more: Any
    ) -> dict[str, Any]:
        """Log a check-in about a goal."""
        body = {
            "mentorship_id": self.mentorships[pair],
            "goal_id": self.goals[f"{name}{pair}"],
            "progress": progress,
            **more,
        }
        return await self._send("checkins", "POST", "/v1/checkins", body, person=f"{role}-{pair}")

    async def _state(self, pair: int, name: str, state: str) -> None:
        async def reached() -> bool:
            goal, _ = await self._get(f"/v1/goals/{self.goals[f'{name}{pair}']}", f"mentee-{pair}")
            assert goal["state"] == state
            return True

        await eventually(reached, seconds=PATIENCE_S)

    async def put_recipient(self, person: str) -> None:
        """Give a person an address."""
        body = {
            "time_zone": "UTC",
            "channels": [{"kind": "email", "address": f"{person}@{self.org}.example"}],
        }
        await self._send(
            "notifier", "PUT", f"/v1/recipients/{person}", body, scope="onbelay:recipients", key=False
        )

    def _deadline(self, day: int) -> dict[str, str]:
        return {"date": (self.start + DAY * day).date().isoformat(), "time_zone": "UTC", "cutoff": "24:00"}

    # -- a careful client

    async def _send(
        self,
        service: str,
        method: str,
        path: str,
        body: Mapping[str, Any],
        *,
        person: str | None = None,
        scope: str = "onbelay:act_as",
        key: bool = True,
    ) -> dict[str, Any]:
        headers = {"Idempotency-Key": uuid4().hex} if key else {}
        deadline = time.monotonic() + PATIENCE_S
        while True:
            response = await self._once(
                service, method, path, body, person=person, scope=scope, headers=headers
            )
            if response is not None:
                assert response.status_code in (200, 201), f"{method} {path}: {response.text}"
                return dict(response.json())
            assert time.monotonic() < deadline, f"{method} {path} was not answered"

    async def _get(self, path: str, person: str) -> tuple[dict[str, Any], str]:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            response = await self._once("goals", "GET", path, None, person=person)
            if response is not None:
                assert response.status_code == 200, response.text
                return dict(response.json()), response.headers["etag"]
            assert time.monotonic() < deadline, f"GET {path} was not answered"

    async def _once(
        self,
        service: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        person: str | None = None,
        scope: str = "onbelay:act_as",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response | None:
        """One try; None when there was no answer that settles anything."""
        client = self.system.client(service, sub="hr", org=self.org, scope=scope, act_as=person)
        try:
            response = await client.request(method, path, json=body, headers=headers)
        except httpx.TransportError:
            response = None
        if response is not None and response.status_code != 503:
            return response
        await asyncio.sleep(0.1)
        return None

    async def _now(self) -> datetime:
        return await self.system.now()

    async def _move_to(self, instant: datetime) -> None:
        """Move the clock; a service that is being killed may keep it from moving for a while."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for service in self.system.names:
                client = self.system.client(service, sub="clock", org=self.org, scope="onbelay:sandbox")
                try:
                    response = await client.put("/v1/sandbox/clock", json={"now": format_instant(instant)})
                except httpx.TransportError:
                    continue
                # 409: an earlier try of ours has moved it after all.
                if response.status_code in (200, 409):
                    return
            assert time.monotonic() < deadline, "the clock could not be moved"
            await asyncio.sleep(0.2)
