"""A pair of an organization of its own, and what its people do with goals, through HTTP as they would."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from shared.time import format_instant
from tests.support.polling import eventually
from tests.support.system import System

GRACE = timedelta(seconds=60)
SEVEN_PAPERS = {"kind": "number", "target": 7}
DONE = {"value": 7}
PROGRAMS = "onbelay:programs"
Json = dict[str, Any]


@dataclass
class Pair:
    """mentor, mentee and leader, and their coordinator's system."""

    system: System
    org: str = field(default_factory=lambda: f"org-{uuid4().hex[:8]}")
    mentorship_id: str = ""

    async def begin(self, **body: Any) -> Pair:
        """Start the mentorship."""
        answer = await self.hr().post("/v1/mentorships", json=self.mentorship(**body))
        assert answer.status_code == 201, answer.text
        self.mentorship_id = answer.json()["mentorship_id"]
        return self

    # -- who

    def as_(self, person: str, service: str = "goals") -> httpx.AsyncClient:
        """A person, with a token of their own."""
        return self.system.client(service, sub=person, org=self.org)

    def hr(self, scope: str = PROGRAMS, **more: Any) -> httpx.AsyncClient:
        """A coordinator's system."""
        return self.system.client("goals", sub="hr", org=self.org, scope=scope, **more)

    # -- bodies

    def mentorship(self, **body: Any) -> Json:
        """The body of a mentorship."""
        return {
            "program_id": "program",
            "mentor_id": "mentor",
            "mentee_id": "mentee",
            "leader_id": "leader",
            "time_zone": "Europe/Berlin",
            **body,
        }

    async def in_(self, duration: timedelta) -> datetime:
        """A whole second, so far ahead."""
        return (await self.system.now() + duration).replace(microsecond=0)

    async def goal(self, due: datetime | None = None, **body: Any) -> Json:
        """The body of a goal, due in 30 days unless said otherwise."""
        return {
            "mentorship_id": self.mentorship_id,
            "title": "Read seven papers",
            "measure": SEVEN_PAPERS,
            "deadline": deadline(due or await self.in_(timedelta(days=30))),
            **body,
        }

    async def expectations(self, **body: Any) -> Json:
        """The body of a version of the expectations."""
        review_on = (await self.in_(timedelta(days=60))).date().isoformat()
        return {"items": [{"role": "mentor", "text": "Be there."}], "review_on": review_on, **body}

    # -- what they do

    async def sets(self, owner: str = "mentee", due: datetime | None = None, **body: Any) -> str:
        """Set a goal as its owner; its id."""
        answer = await self.as_(owner).post("/v1/goals", json=await self.goal(due, **body))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["goal_id"])

    async def checks_in(
        self, goal_id: str, by: str = "mentee", progress: Json | None = None, at: datetime | None = None
    ) -> str:
        """Log a check-in on a goal that it is done, unless said otherwise; its id."""
        body: Json = {"mentorship_id": self.mentorship_id, "goal_id": goal_id, "progress": progress or DONE}
        if at is not None:
            body["occurred_at"] = format_instant(at)
        answer = await self.as_(by, "checkins").post("/v1/checkins", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["checkin_id"])

    async def acknowledges(self, checkin_id: str, by: str = "mentor") -> None:
        """Acknowledge a check-in."""
        answer = await self.as_(by, "checkins").post(f"/v1/checkins/{checkin_id}/acknowledgement")
        assert answer.status_code == 200, answer.text

    async def revises(self, goal_id: str, by: str = "mentee", **changes: Any) -> httpx.Response:
        """Ask for a change of a goal as it is now."""
        url = f"/v1/goals/{goal_id}"
        seen = await self.as_(by).get(url)
        return await self.as_(by).patch(url, json=changes, headers={"If-Match": seen.headers["etag"]})

    async def says(self, goal_id: str, outcome: str, by: str = "mentee", **body: Any) -> httpx.Response:
        """Say of a goal that it is met, dropped or missed."""
        return await self.as_(by).post(f"/v1/goals/{goal_id}/outcome", json={"outcome": outcome, **body})

    async def does(self, goal_id: str, step: str, by: str = "mentor", **body: Any) -> httpx.Response:
        """Any other step of a goal's: `dispute`, `dispute/uphold`, `proposals/<id>/accept`, ..."""
        return await self.as_(by).post(f"/v1/goals/{goal_id}/{step}", json=body)

    async def turns(self, step: str) -> None:
        """Pause, resume or end the mentorship."""
        answer = await self.hr().post(f"/v1/mentorships/{self.mentorship_id}/{step}")
        assert answer.status_code == 200, answer.text

    # -- what comes of it

    async def sees(self, goal_id: str, by: str = "mentee") -> Json:
        """A goal as a person sees it."""
        answer = await self.as_(by).get(f"/v1/goals/{goal_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def becomes(self, goal_id: str, state: str) -> Json:
        """Wait until a goal is in a state."""

        async def is_so() -> Json:
            goal = await self.sees(goal_id)
            assert goal["state"] == state
            return goal

        return await eventually(is_so, seconds=20)

    async def history(self, goal_id: str, by: str = "mentee") -> list[Json]:
        """What happened to a goal, oldest first."""
        answer = await self.as_(by).get(f"/v1/goals/{goal_id}/history", params={"limit": "200"})
        assert answer.status_code == 200, answer.text
        return list(reversed(answer.json()["items"]))

    async def types(self, goal_id: str) -> list[str]:
        """The types of what happened to a goal, oldest first."""
        return [item["type"] for item in await self.history(goal_id)]

    async def told(self, subject: str, count: int) -> list[Json]:
        """Wait until so many events of a subject stand on Kafka; these, whole, each once."""

        async def all_of_them() -> list[Json]:
            events = await self.system.events("goals", self.org)
            found = {event["id"]: event for event in events if event["subject"] == subject}
            assert len(found) >= count
            return list(found.values())

        return await eventually(all_of_them, seconds=20, every=0.2)


def deadline(due: datetime) -> Json:
    """The deadline that stands for a whole second."""
    due = due.astimezone(UTC)
    return {"date": due.date().isoformat(), "time_zone": "UTC", "cutoff": due.strftime("%H:%M:%S")}


def short(event: Json) -> str:
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
