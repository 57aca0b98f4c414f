"""Rule 3: misses wait for the check-ins service, partition by partition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared import events as contract
from shared.ids import uuid7
from shared.kafka import partition_of
from tests.conftest import NewSystem
from tests.support.polling import eventually
from tests.support.records import Record
from tests.support.system import System

pytestmark = pytest.mark.engines

PARTITIONS = 3
GRACE = timedelta(seconds=60)


async def test_a_goal_is_decided_when_its_own_partition_s_watermark_says_so(new_system: NewSystem) -> None:
    system = await new_system(("goals",), partitions=PARTITIONS)
    org = f"org-{uuid4().hex[:8]}"
    mentorships = await two_of_different_partitions(system, org)
    deadline = (await system.now() + timedelta(days=1)).date()
    due = datetime(deadline.year, deadline.month, deadline.day, tzinfo=UTC) + timedelta(days=1)
    one, other = [await a_goal(system, org, each, deadline.isoformat()) for each in mentorships]
    await system.move(due + timedelta(hours=1))
    await system.publish([watermark(system, mentorships[0], due + GRACE)])

    async def missed() -> bool:
        return await state_of(system, org, one) == "missed"

    await eventually(missed)
    # Both were due at one instant; the one whose check-ins may still be on their way was not decided with it.
    assert await state_of(system, org, other) == "active"
    await system.publish([watermark(system, mentorships[1], due + GRACE)])

    async def other_missed() -> bool:
        return await state_of(system, org, other) == "missed"

    await eventually(other_missed)


async def two_of_different_partitions(system: System, org: str) -> list[str]:
    """Two mentorships whose events go to different partitions."""
    hr = system.client("goals", sub="hr", org=org, scope="onbelay:programs")
    found: dict[int, str] = {}
    while len(found) < 2:
        body = {"program_id": "program", "mentor_id": "mentor", "mentee_id": "mentee", "time_zone": "UTC"}
        answer = await hr.post("/v1/mentorships", json=body)
        assert answer.status_code == 201, answer.text
        mentorship_id = answer.json()["mentorship_id"]
        found.setdefault(partition_of(mentorship_id, PARTITIONS), mentorship_id)
    return list(found.values())


async def a_goal(system: System, org: str, mentorship_id: str, day: str) -> str:
    """A goal of the mentee's that is due at the end of a day."""
    body = {
        "mentorship_id": mentorship_id,
        "title": "Read seven papers",
        "measure": {"kind": "done"},
        "deadline": {"date": day, "time_zone": "UTC"},
    }
    answer = await system.client("goals", sub="mentee", org=org).post("/v1/goals", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["goal_id"])


async def state_of(system: System, org: str, goal_id: str) -> str:
    """The state that goals answers."""
    answer = await system.client("goals", sub="mentee", org=org).get(f"/v1/goals/{goal_id}")
    return str(answer.json()["state"])


def watermark(system: System, mentorship_id: str, up_to: datetime) -> Record:
    """What checkins would say of the partition of a mentorship."""
    event = contract.CheckInsWatermark(partition=partition_of(mentorship_id, PARTITIONS), up_to=up_to)
    subject = contract.subject_of(event)
    headers = contract.headers_of(
        type_="CheckInsWatermark",
        id_=uuid7(),
        subject=subject,
        time=up_to,
        key=subject,
        sequence=None,
        org_id=None,
        traceparent=None,
    )
    return Record(
        topic=system.topic_prefix + contract.TOPICS["checkins"],
        partition=event.partition,
        offset=0,
        key=subject.encode(),
        value=contract.encode_document("CheckInsWatermark", contract.to_document(event)),
        headers=dict(headers),
    )
