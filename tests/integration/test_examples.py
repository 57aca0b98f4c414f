"""The examples do what they say, on a system that runs."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from uuid import uuid4

import pytest

from deploy.local.children import ROOT
from tests.support.records import Record
from tests.support.system import System

pytestmark = pytest.mark.engines


async def follow(kafka: str, topic: str) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "examples" / "follow.py"), kafka, topic, "--once"),
        stdout=asyncio.subprocess.PIPE,
    )
    lines = (await process.communicate())[0].decode().splitlines()
    assert process.returncode == 0
    return [json.loads(line) for line in lines]


class TestFollow:
    async def test_it_tells_every_event_once_in_sequence(self, system: System) -> None:
        org = f"org-{uuid4().hex[:8]}"
        people = system.client("goals", sub="hr", org=org, scope="onbelay:programs")
        body = {"program_id": "spring", "mentor_id": "ana", "mentee_id": "ben", "time_zone": "UTC"}
        made = (await people.post("/v1/mentorships", json=body)).json()
        path = f"/v1/mentorships/{made['mentorship_id']}"
        for verb in ("pause", "resume"):
            assert (await people.post(f"{path}/{verb}")).status_code == 200
        await system.folded()
        ours: list[Record] = [
            record
            for record in await system.records("goals")
            if record.headers.get("ce_orgid") == org.encode()
        ]
        await system.publish(ours)  # byte for byte a second time

        topic = ours[0].topic
        told = [event for event in await follow(system.kafka, topic) if event["data"].get("org_id") == org]
        assert [(event["type"], event["sequence"]) for event in told] == [
            ("onbelay.MentorshipStarted.v1", 1),
            ("onbelay.MentorshipPaused.v1", 2),
            ("onbelay.MentorshipResumed.v1", 3),
        ]
        assert {event["subject"] for event in told} == {f"mentorship/{made['mentorship_id']}"}
