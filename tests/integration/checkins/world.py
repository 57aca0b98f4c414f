"""A mentorship of an organization of its own, and what its people do, through HTTP as they would."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from shared.time import format_instant
from tests.support.polling import eventually
from tests.support.system import System

PATH = "/v1/checkins"
PARTICIPATE = "onbelay:participate"
PROGRAMS = "onbelay:programs"
ACT_AS = "onbelay:act_as"
SEVEN_PAPERS = {"kind": "number", "target": 7}


@dataclass
class Pair:
    """mentor, mentee and leader, their coordinator, and the support contact once they agreed on one."""

    system: System
    org: str = field(default_factory=lambda: f"org-{uuid4().hex[:8]}")
    mentorship_id: str = ""
    coordinator_id: str | None = "coordinator"
    leader_id: str | None = "leader"
    time_zone: str = "Europe/Berlin"

    async def begin(self) -> Pair:
        """Start the mentorship."""
        body: dict[str, Any] = {
            "program_id": "program",
            "mentor_id": "mentor",
            "mentee_id": "mentee",
            "time_zone": self.time_zone,
        }
        people = {"leader_id": self.leader_id, "coordinator_id": self.coordinator_id}
        body |= {name: person for name, person in people.items() if person is not None}
        self.mentorship_id = (await self.hr("goals").post("/v1/mentorships", json=body)).json()[
            "mentorship_id"
        ]
        return self

    # -- who

    def as_(self, person: str, service: str = "checkins", scope: str = PARTICIPATE) -> httpx.AsyncClient:
        """A person, with a token of their own."""
        return self.system.client(service, sub=person, org=self.org, scope=scope)

    def integration(self, person: str, service: str = "checkins") -> httpx.AsyncClient:
        """An integration that acts as a person."""
        return self.system.client(service, sub="app", org=self.org, scope=ACT_AS, act_as=person)

    def hr(self, service: str = "checkins") -> httpx.AsyncClient:
        """A coordinator's system."""
        return self.system.client(service, sub="hr", org=self.org, scope=PROGRAMS)

    # -- what they do

    async def agree(self, contact: str) -> None:
        """Agree on expectations that name a support contact."""
        base = f"/v1/mentorships/{self.mentorship_id}/expectations"
        today = (await self.system.now()).date()
        body = {
            "items": [{"role": "mentor", "text": "Be there."}],
            "review_on": (today + timedelta(days=60)).isoformat(),
            "support_contact_id": contact,
        }
        proposed = await self.as_("mentor", "goals").post(base, json=body)
        assert proposed.status_code == 201, proposed.text
        signed = await self.as_("mentee", "goals").post(f"{base}/{proposed.json()['version']}/agreements")
        assert signed.status_code == 200, signed.text

    async def set_goal(self, owner: str = "mentee", *, days: float = 30, **body: Any) -> dict[str, Any]:
        """Set a goal as its owner, due at the end of the day that comes in so many days."""
        answer = await self.as_(owner, "goals").post("/v1/goals", json=await self.goal(days=days, **body))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def goal(self, *, days: float = 30, **body: Any) -> dict[str, Any]:
        """The body of a goal."""
        due = (await self.system.now()).date() + timedelta(days=days)
        return {
            "mentorship_id": self.mentorship_id,
            "title": "Read seven papers",
            "measure": SEVEN_PAPERS,
            "deadline": {"date": due.isoformat(), "time_zone": self.time_zone},
            **body,
        }

    def check_in(self, **body: Any) -> dict[str, Any]:
        """The body of a check-in."""
        return {"mentorship_id": self.mentorship_id, **body}

    async def logs(self, person: str = "mentee", **body: Any) -> dict[str, Any]:
        """Log a check-in as a person."""
        answer = await self.as_(person).post(PATH, json=self.check_in(**body))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def say(self, step: str) -> None:
        """Pause, resume or end the mentorship."""
        answer = await self.hr("goals").post(f"/v1/mentorships/{self.mentorship_id}/{step}")
        assert answer.status_code == 200, answer.text

    # -- what comes of it

    async def state_of(self, goal_id: str) -> dict[str, Any]:
        """A goal as goals answers it."""
        return dict((await self.hr("goals").get(f"/v1/goals/{goal_id}")).json())

    async def events(self, topic: str, *types: str) -> list[dict[str, Any]]:
        """The organization's events in a topic, of some types; what was sent twice is told once."""
        found = {event["id"]: event for event in reversed(await self.system.events(topic, self.org))}
        return [event for event in reversed(found.values()) if not types or short(event) in types]

    async def happens(self, topic: str, type_: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for so many events of a type."""

        async def enough() -> list[dict[str, Any]]:
            found = await self.events(topic, type_)
            assert len(found) >= count, f"{len(found)} of {count} {type_}"
            return found

        return await eventually(enough, seconds=20, every=0.2)


def short(event: dict[str, Any]) -> str:
    """`GoalSet` of `onbelay.GoalSet.v1`."""
    return str(event["type"]).split(".")[1]


def pointers(answer: httpx.Response) -> set[str]:
    """The pointers and parameters that a problem names."""
    return {str(error.get("pointer", error.get("parameter"))) for error in answer.json().get("errors", [])}


def refused(answer: httpx.Response, status: int, *pointed: str) -> None:
    """A problem of this status, which names these fields and no others."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointers(answer) == set(pointed), answer.text


def instant(at: datetime) -> str:
    return format_instant(at)


async def drop(pair: Pair, goal_id: str) -> None:
    """Drop a goal, and wait until checkins has heard of it."""
    dropped = await pair.as_("mentee", "goals").post(
        f"/v1/goals/{goal_id}/outcome", json={"outcome": "dropped"}
    )
    assert dropped.status_code == 200, dropped.text

    await refuses(pair, 409, goal_id=goal_id)


async def refuses(pair: Pair, status: int, **body: Any) -> None:
    """Wait until the mentee's check-in is refused: the news of why has to travel."""

    async def heard() -> bool:
        return (await pair.as_("mentee").post(PATH, json=pair.check_in(**body))).status_code == status

    await eventually(heard, every=0.2)
