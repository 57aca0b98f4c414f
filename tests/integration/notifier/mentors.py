"""Mentors who are to hear of something at once, from a notifier that runs alone: tests publish what others would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared import events as contract
from shared.kafka import partition_of
from tests.builders import Pair
from tests.builders import record as built
from tests.support.polling import eventually
from tests.support.records import Record
from tests.support.system import System

PARTITIONS = 3
AT_ANY_TIME = {
    "time_zone": "UTC",
    "quiet_hours": {"from": "00:00", "to": "00:00"},
    "workdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
}


@dataclass
class Mentors:
    """Mentors of one organization who are to hear, at once, that their mentee has met a goal."""

    system: System
    org: str

    def address(self, mentor: str) -> str:
        return f"{mentor}@{self.org}.example"

    async def hear(self, mentors: Iterable[str]) -> None:
        """Provide them, and let it happen to all of them."""
        hr = self.system.client("notifier", sub="hr", org=self.org, scope="onbelay:recipients")
        at = await self.system.now()
        records: list[Record] = []
        for mentor in mentors:
            body = {**AT_ANY_TIME, "channels": [{"kind": "email", "address": self.address(mentor)}]}
            answer = await hr.put(f"/v1/recipients/{mentor}", json=body)
            assert answer.status_code == 200, answer.text
            records += self._happened(mentor, at)
        await self.system.publish(records)

    def _happened(self, mentor: str, at: datetime) -> Iterable[Record]:
        pair = Pair(org_id=self.org, mentor_id=mentor, mentee_id=f"mentee-of-{mentor}")
        set_ = pair.goal_set()
        met = contract.GoalMet(
            **pair.common, goal_id=set_.goal_id, owner_id=pair.mentee_id, owner_role="mentee", revision=1,
            met_at=at, due_at=set_.due_at, days_early=1.0,
        )  # fmt: skip
        for event, sequence in ((pair.started(), 1), (set_, 1), (met, 2)):
            made = built(event, sequence=sequence, time=at)
            yield Record(
                topic=self.system.topic_prefix + contract.TOPICS["goals"],
                partition=partition_of(pair.mentorship_id, PARTITIONS),
                offset=0,
                key=made.key,
                value=made.value,
                headers=dict(made.headers),
            )

    async def ledger(self) -> dict[str, dict[str, Any]]:
        """The entry of what each mentor was to hear; asserts that there is one at most."""
        client = self.system.client("notifier", sub="hr", org=self.org, scope="onbelay:programs")
        found: dict[str, dict[str, Any]] = {}
        asked = {"limit": "200"}
        while True:
            answer = await client.get("/v1/nudges", params=asked)
            answer.raise_for_status()
            for entry in answer.json()["items"]:
                if entry["kind"] == "goal_met":
                    assert entry["recipient_id"] not in found, f"two entries: {entry}"
                    found[entry["recipient_id"]] = entry
            if "next_cursor" not in answer.json():
                return found
            asked["cursor"] = answer.json()["next_cursor"]

    async def have_heard(self, mentors: Iterable[str], seconds: float = 60) -> dict[str, dict[str, Any]]:
        """Wait until the ledger tells of each of them."""
        wanted = set(mentors)

        async def all_of_them() -> dict[str, dict[str, Any]]:
            found = await self.ledger()
            assert wanted <= found.keys(), f"{len(wanted - found.keys())} are missing"
            return found

        return await eventually(all_of_them, seconds=seconds, every=0.2)
