"""An organization whose people are written to: their preferences, the ledger, and what lies in their mailboxes."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx

from shared.time import parse_instant
from tests.integration.goals.world import Pair
from tests.support.polling import eventually
from tests.support.system import System

Json = dict[str, Any]
RECIPIENTS = "onbelay:recipients"
AT_ANY_HOUR = {"quiet_hours": {"from": "00:00", "to": "00:00"}}
DAY = timedelta(days=1)
MONDAY, FRIDAY, SATURDAY, SUNDAY = 0, 4, 5, 6


@dataclass
class Office:
    """One organization."""

    system: System
    org: str = field(default_factory=lambda: f"org-{uuid4().hex[:8]}")

    # -- who

    def as_(self, person: str, service: str = "notifier") -> httpx.AsyncClient:
        """A person, with a token of their own."""
        return self.system.client(service, sub=person, org=self.org)

    def hr(
        self, scope: str = f"{RECIPIENTS} onbelay:programs", service: str = "notifier"
    ) -> httpx.AsyncClient:
        """A coordinator's system."""
        return self.system.client(service, sub="hr", org=self.org, scope=scope)

    def address(self, person: str) -> str:
        """Where a person's mail goes."""
        return f"{person}@{self.org}.example"

    async def provide(self, *people: str, **chosen: Any) -> None:
        """Say that people can be written to by mail; in UTC, unless said otherwise."""
        for person in people:
            body = {
                "time_zone": "UTC",
                "channels": [{"kind": "email", "address": self.address(person)}],
                **chosen,
            }
            answer = await self.hr().put(f"/v1/recipients/{person}", json=body)
            assert answer.status_code == 200, answer.text

    async def pair(self, mentor: str, mentee: str, **body: Any) -> Pair:
        """Start a mentorship of these two; without a leader, in UTC and with a check-in a quarter, unless said."""
        made = Pair(self.system, self.org)
        without = {} if "leader_id" in body else {"leader_id": None}
        people = {"mentor_id": mentor, "mentee_id": mentee, **without}
        return await made.begin(**{"time_zone": "UTC", "check_in_every_days": 90, **people, **body})

    # -- when

    async def next_(self, weekday: int, wall: str = "10:00", zone: str = "UTC") -> datetime:
        """Move to the next such weekday's wall time in a zone, at least a day ahead."""
        now = await self.system.now()
        today = now.astimezone(ZoneInfo(zone)).date()
        day = today + DAY * ((weekday - today.weekday()) % 7 or 7)
        return await self.system.move(at(day, wall, zone))

    async def recorded(self, type_: str, topic: str = "goals") -> datetime:
        """Wait for the organization's event of a type; when the latest was recorded."""

        async def there() -> str:
            times = [
                str(event["time"])
                for event in await self.system.events(topic, self.org)
                if event["type"] == f"onbelay.{type_}.v1"
            ]
            return max(times, default="")

        return parse_instant(await eventually(there, seconds=20))

    # -- what came of it

    async def becomes(self, goal_id: str, state: str) -> None:
        """Wait until a goal is in a state."""

        async def is_so() -> bool:
            answer = await self.hr(service="goals").get(f"/v1/goals/{goal_id}")
            assert answer.json()["state"] == state, answer.text
            return True

        await eventually(is_so, seconds=20)

    async def ledger(self, **filters: str) -> list[Json]:
        """Entries, newest first, as a coordinator sees them."""
        return await self.entries(self.hr(), **filters)

    async def entries(self, client: httpx.AsyncClient, **filters: str) -> list[Json]:
        """All pages of the ledger, newest first."""
        found: list[Json] = []
        asked = {"limit": "200", **filters}
        while True:
            answer = await client.get("/v1/nudges", params=asked)
            assert answer.status_code == 200, answer.text
            body = answer.json()
            found += body["items"]
            if "next_cursor" not in body:
                return found
            asked["cursor"] = body["next_cursor"]

    async def entry(self, person: str, kind: str, **facts: Any) -> Json:
        """Wait for the one entry of a kind about a person, of these facts."""

        async def there() -> Json:
            found = [
                made
                for made in await self.ledger(recipient_id=person)
                if made["kind"] == kind and facts.items() <= made.items()
            ]
            assert len(found) == 1, f"{kind} to {person}: {found}"
            return found[0]

        return await eventually(there, seconds=20)

    async def outcomes(self, kind: str, people: Collection[str]) -> Mapping[str, str]:
        """Wait until each of these people has an entry of a kind; reason or outcome of each."""

        async def all_of_them() -> dict[str, str]:
            found: dict[str, str] = {
                made["recipient_id"]: str(made.get("reason", made["outcome"]))
                for made in await self.ledger()
                if made["kind"] == kind
            }
            assert set(people) <= set(found), f"nothing yet of {set(people) - set(found)}"
            return {person: found[person] for person in people}

        return await eventually(all_of_them, seconds=20)

    def mails(self, person: str) -> list[EmailMessage]:
        """The messages in a person's mailbox, oldest first."""
        found = []
        for folder in ("new", "cur"):
            for file in (self.system.maildir / folder).glob("*"):
                mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
                if mail["Delivered-To"] == self.address(person):
                    found.append((file.stat().st_mtime_ns, mail))
        return [mail for _, mail in sorted(found, key=lambda pair: pair[0])]

    async def mail(self, person: str, containing: str = "") -> EmailMessage:
        """Wait for a message to a person whose subject or text contains something; the newest."""

        async def there() -> EmailMessage:
            found = [m for m in self.mails(person) if containing in m["Subject"] or containing in text_of(m)]
            assert found, f"no such mail to {person}"
            return found[-1]

        return await eventually(there, seconds=20)


def at(day: date, wall: str, zone: str = "UTC") -> datetime:
    """The instant of a wall time on a date in a zone."""
    return datetime.combine(day, time.fromisoformat(wall), ZoneInfo(zone)).astimezone(UTC)


def text_of(mail: EmailMessage) -> str:
    """The plain part of a message."""
    part = mail.get_body(("plain",))
    assert part is not None, "no plain text"
    return str(part.get_content())


def html_of(mail: EmailMessage) -> str:
    """The HTML part of a message."""
    part = mail.get_body(("html",))
    assert part is not None, "no HTML"
    return str(part.get_content())


def link(mail: EmailMessage, path: str) -> str:
    """The path of the first link in a message whose path begins so."""
    found = re.search(rf"https?://[^/\s]+({path}[^\s\"]*)", text_of(mail))
    assert found, f"no link to {path} in: {text_of(mail)}"
    return found.group(1)


def said_at(entry: Json) -> datetime:
    """When it was decided."""
    return parse_instant(entry["at"])
