"""Erasing a person, asked of the whole system: their words and addresses are nowhere, and no number has moved."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared import events as contract
from shared.ids import uuid7
from shared.mongo import Mongo
from shared.time import format_instant
from tests.support.polling import eventually
from tests.support.system import DEFAULT_SERVICES, System

pytestmark = pytest.mark.engines

HR = "onbelay:programs onbelay:metrics onbelay:recipients onbelay:erase"
HOUR = timedelta(hours=1)


@dataclass
class Story:
    """A mentorship whose people have said something in every field that holds private words or an address."""

    system: System
    org: str = field(default_factory=lambda: f"org-{uuid4().hex[:8]}")
    mentorship_id: str = ""
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    """What each said, by person and where."""

    def says(self, person: str, where: str) -> str:
        """A word that is nowhere else."""
        word = f"planted{uuid4().hex}"
        self.words.setdefault(person, {})[where] = word
        return word

    def planted(self, person: str) -> set[str]:
        return set(self.words[person].values())

    def where(self, found: set[str]) -> set[str]:
        """Where the words of a finding were said, for a failure to tell."""
        return {
            f"{person}: {where}"
            for person, said in self.words.items()
            for where, word in said.items()
            if word in found
        }

    def as_(self, person: str, service: str) -> httpx.AsyncClient:
        return self.system.client(service, sub=person, org=self.org)

    def hr(self, service: str) -> httpx.AsyncClient:
        return self.system.client(service, sub="hr", org=self.org, scope=HR)

    async def post(
        self, person: str, service: str, path: str, body: dict[str, Any], status: int = 201
    ) -> Any:
        """A POST with an idempotency key, so that its answer is kept too."""
        client = self.hr(service) if person == "hr" else self.as_(person, service)
        answer = await client.post(path, json=body, headers={"Idempotency-Key": uuid7()})
        assert answer.status_code == status, answer.text
        return answer.json()

    # -- what they say

    async def begin(self) -> None:
        body = {
            "program_id": "program",
            "mentor_id": "mentor",
            "mentee_id": "mentee",
            "coordinator_id": "coordinator",
            "time_zone": "Europe/Berlin",
        }
        self.mentorship_id = (await self.post("hr", "goals", "/v1/mentorships", body))["mentorship_id"]

    async def agree(self, author: str, other: str, *, sign: bool) -> None:
        """Expectations of an author: agreed, or waiting to be."""
        base = f"/v1/mentorships/{self.mentorship_id}/expectations"
        review = (await self.system.now()).date() + timedelta(days=60)
        items = [{"role": author, "text": self.says(author, f"expectations, signed: {sign}")}]
        made = await self.post(author, "goals", base, {"items": items, "review_on": review.isoformat()})
        if sign:
            await self.post(other, "goals", f"{base}/{made['version']}/agreements", {}, 200)

    async def set_goal(self, owner: str, *, by: str | None = None, **body: Any) -> dict[str, Any]:
        due = (await self.system.now()).date() + timedelta(days=30)
        goal = {
            "mentorship_id": self.mentorship_id,
            "title": "Read seven papers",
            "measure": {"kind": "number", "target": 7},
            "deadline": {"date": due.isoformat(), "time_zone": "Europe/Berlin"},
            "why": self.says(by or owner, "why of a goal"),
            **body,
        }
        status = 201 if by is None else 202
        return dict(await self.post(by or owner, "goals", "/v1/goals", goal, status))

    async def revise(self, person: str, goal_id: str, **changes: Any) -> None:
        url = f"/v1/goals/{goal_id}"
        client = self.as_(person, "goals")
        seen = await client.get(url)
        body = {
            "why": self.says(person, "why of a revision"),
            "reason": self.says(person, "reason"),
            **changes,
        }
        answer = await client.patch(url, json=body, headers={"If-Match": seen.headers["etag"]})
        assert answer.status_code in (200, 202), answer.text

    async def quarrel(self, owner: str, counterpart: str) -> None:
        """A goal said missed, disputed, and the dispute left open."""
        goal_id = (await self.set_goal(owner))["goal_id"]
        said = {"outcome": "missed", "note": self.says(owner, "note of a miss")}
        await self.post(owner, "goals", f"/v1/goals/{goal_id}/outcome", said, 200)
        before = format_instant(await self.system.now() - HOUR)
        dispute = {"occurred_at": before, "reason": self.says(owner, "reason of a dispute")}
        await self.post(owner, "goals", f"/v1/goals/{goal_id}/dispute", dispute, 202)

    async def check_in(self, author: str, other: str, goal_id: str) -> None:
        """Check-ins of every kind, each acknowledged by the other."""
        about = {"mentorship_id": self.mentorship_id}
        said: list[dict[str, Any]] = [
            {"goal_id": goal_id, "progress": {"value": 2}, "note": self.says(author, "note on a goal")},
            {"feeling": "hard", "note": self.says(author, "note on the mentorship")},
            {"help": {"text": self.says(author, "call for help"), "route_to": other}},
        ]
        for body in said:
            logged = await self.post(author, "checkins", "/v1/checkins", {**about, **body})
            comment = {"comment": self.says(other, "comment")}
            url = f"/v1/checkins/{logged['checkin_id']}/acknowledgement"
            await self.post(other, "checkins", url, comment, 200)
        sensitive = {"sensitive": True, "note": self.says(author, "sensitive note"), "confidence": 2}
        logged = await self.post(author, "checkins", "/v1/checkins", {**about, **sensitive})
        url = f"/v1/checkins/{logged['checkin_id']}/acknowledgement"
        await self.post("coordinator", "checkins", url, {"comment": self.says("coordinator", "comment")}, 200)
        item = {"key": uuid7(), **about, "note": self.says(author, "note in a batch")}
        batch = await self.post(author, "checkins", "/v1/checkins/batch", {"items": [item]}, 200)
        assert batch["results"][0]["status"] == 201

    async def be_reachable(self, person: str) -> None:
        address = f"{self.says(person, 'address')}@example.org"
        chat = f"http://127.0.0.1:9/{self.says(person, 'chat')}"
        channels = [{"kind": "email", "address": address}, {"kind": "chat", "url": chat}]
        body = {"time_zone": "UTC", "channels": channels, "display_name": self.says(person, "display name")}
        put = await self.hr("notifier").put(f"/v1/recipients/{person}", json=body)
        assert put.is_success, put.text

    async def be_provided(self, person: str) -> None:
        """As an identity provider tells of a person."""
        user = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": f"{self.says(person, 'SCIM user name')}@example.org",
            "externalId": person,
            "displayName": self.says(person, "SCIM display name"),
            "name": {"formatted": self.says(person, "SCIM name")},
            "emails": [{"value": f"{self.says(person, 'SCIM address')}@example.org", "primary": True}],
        }
        made = await self.hr("notifier").post("/scim/v2/Users", json=user)
        assert made.status_code == 201, made.text

    # -- what is kept of it

    async def found(self, person: str) -> set[str]:
        """Which of a person's words stand anywhere in the databases of the system."""
        wanted = self.planted(person)
        found: set[str] = set()
        mongo = Mongo.connect(self.system.mongo)
        try:
            for service in (*DEFAULT_SERVICES, "sandbox"):
                database = self.system.database(mongo, service)
                for name in await database.list_collection_names():
                    async for document in database[name].find():
                        text = str(document)
                        found |= {word for word in wanted if word in text}
        finally:
            await mongo.close()
        return found

    async def numbers(self) -> list[Any]:
        """All numbers about these people, and the events behind one."""
        metrics = self.hr("metrics")
        answers = [
            await metrics.get(f"/v1/metrics/{scope}")
            for scope in (
                f"mentorships/{self.mentorship_id}",
                f"mentorships/{self.mentorship_id}/explain?number=check_ins.logged",
                "people/mentee",
                "people/mentor",
                f"orgs/{self.org}",
            )
        ]
        assert all(answer.status_code == 200 for answer in answers)
        return [answer.json() for answer in answers]


@pytest.fixture
async def story(system: System) -> Story:
    """Everything said by both of a pair, and taken in by all services."""
    made = Story(system)
    await made.begin()
    for author, other in (("mentee", "mentor"), ("mentor", "mentee")):
        await made.be_provided(author)
        await made.be_reachable(author)
        await made.agree(author, other, sign=True)
        goal_id = (await made.set_goal(author))["goal_id"]
        await made.revise(author, goal_id)
        await made.check_in(author, other, goal_id)
        await made.revise(other, goal_id, title="Read eight papers")  # which waits for the owner
        await made.set_goal(other, by=author, owner_id=other)  # which waits for the other
        await made.quarrel(author, other)
    await made.agree("mentee", "mentor", sign=False)
    await system.folded()
    return made


class TestErasure:
    async def test_words_and_addresses_go_from_everywhere_and_no_number_moves(self, story: Story) -> None:
        assert story.where(story.planted("mentee") - await story.found("mentee")) == set()
        assert story.where(story.planted("mentor") - await story.found("mentor")) == set()
        before = await story.numbers()
        erased = await story.post("hr", "goals", "/v1/people/mentee/erasure", {}, 202)
        assert erased

        async def gone() -> bool:
            assert story.where(await story.found("mentee")) == set()
            return True

        await eventually(gone, seconds=20, every=0.25)
        # Theirs alone went.
        assert story.where(story.planted("mentor") - await story.found("mentor")) == set()
        assert story.where(story.planted("coordinator") - await story.found("coordinator")) == set()
        await story.system.folded()
        assert _without_as_of(await story.numbers()) == _without_as_of(before)

    async def test_events_logs_and_metrics_never_held_any(self, story: Story) -> None:
        everything = story.planted("mentee") | story.planted("mentor") | story.planted("coordinator")
        records = [record for topic in contract.TOPICS for record in await story.system.records(topic)]
        told = b"".join(
            (record.key or b"") + (record.value or b"") + b"".join(record.headers.values())
            for record in records
        ).decode("utf-8", "replace")
        assert story.where({word for word in everything if word in told}) == set()
        for service in DEFAULT_SERVICES:
            logged = story.system.logs(service, 1_000_000)
            counted = (await story.system.anonymous(service).get("/metrics")).text
            assert story.where({word for word in everything if word in logged + counted}) == set()

    async def test_the_erased_person_may_begin_anew(self, story: Story) -> None:
        await story.post("hr", "goals", "/v1/people/mentee/erasure", {}, 202)

        async def gone() -> bool:
            return not await story.found("mentee")

        await eventually(gone, seconds=20, every=0.25)
        recipients = story.hr("notifier")
        assert (await recipients.get("/v1/recipients/mentee")).status_code == 404
        story.words.clear()
        await story.be_reachable("mentee")
        body = {"mentorship_id": story.mentorship_id, "note": story.says("mentee", "a new note")}
        logged = await story.post("mentee", "checkins", "/v1/checkins", body)
        assert logged["note"] == body["note"]
        again = await story.post("hr", "goals", "/v1/people/mentor/erasure", {}, 202)  # another's
        assert again
        await story.system.folded()
        assert await story.found("mentee") == story.planted("mentee")
        read = await story.as_("mentee", "checkins").get(f"/v1/checkins/{logged['checkin_id']}")
        assert read.json()["note"] == body["note"]

    async def test_only_the_scope_erases_and_only_in_its_organization(self, story: Story) -> None:
        path = "/v1/people/mentee/erasure"
        assert (await story.as_("mentee", "goals").post(path, json={})).status_code == 403
        other = story.system.client("goals", sub="hr", org="elsewhere", scope="onbelay:erase")
        assert (await other.post(path, json={})).status_code == 202
        await story.system.folded()
        assert story.where(story.planted("mentee") - await story.found("mentee")) == set()


def _without_as_of(numbers: list[Any]) -> str:
    return json.dumps([{name: value for name, value in each.items() if name != "as_of"} for each in numbers])
